"""Ends worker processes whose call takes too long; one thread for all of them.

No thread is woken for a call: all may take equally long, so whoever looks after that
time, and again whenever the next could be late, comes in time for each.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from scrapy_imgpipe.processes.process import NotStarted

if TYPE_CHECKING:
    from scrapy_imgpipe.processes.process import WorkerProcess


class Watch:
    """Knows which processes are at work, and since when. Safe for threads.

    Args:
        seconds: that a call may take; 0 for any time.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._changed = threading.Condition()
        self._due: dict[WorkerProcess, float] = {}
        self._late: set[WorkerProcess] = set()
        self._thread: threading.Thread | None = None
        self._closing = False

    def start(self) -> None:
        """Begin to look; more than once is once.

        Raises:
            NotStarted: no thread can be had for it.
        """
        with self._changed:
            if not self._seconds or self._thread is not None or self._closing:
                return
            thread = threading.Thread(target=self._look, name="imgpipe-watch", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                raise NotStarted(str(error)) from None
            self._thread = thread

    def begin(self, process: WorkerProcess) -> None:
        """Give *process* its time, from now on."""
        if self._seconds:
            with self._changed:
                self._due[process] = time.monotonic() + self._seconds

    def end(self, process: WorkerProcess) -> bool:
        """Leave *process* alone from now on; return whether it was killed for being late."""
        with self._changed:
            self._due.pop(process, None)
            late = process in self._late
            self._late.discard(process)
            if self._closing:
                self._changed.notify()
        return late

    def close(self) -> None:
        """Stop to look as soon as no process is at work."""
        with self._changed:
            self._closing = True
            self._changed.notify()
            thread = None if self._due else self._thread
        if thread is not None:
            thread.join()

    def _look(self) -> None:
        with self._changed:
            while self._due or not self._closing:
                self._changed.wait(self._kill_late())

    def _kill_late(self) -> float:
        """Kill who is late; return for how many seconds nobody else can be."""
        now = time.monotonic()
        for process in [process for process, due in self._due.items() if due <= now]:
            self._late.add(process)
            process.kill()
            self._due[process] = float("inf")
        sleeps = [self._seconds, *(due - now for due in self._due.values())]
        return min([*sleeps, threading.TIMEOUT_MAX])
