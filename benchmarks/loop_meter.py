"""Measure the process this runs in: the event loop's stalls, CPU, memory.

The standard library only; memory needs Linux's ``/proc`` and is 0.0 elsewhere.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from pathlib import Path

TICK_S = 0.002
"""How often the loop is asked to show that it is alive."""


class LoopMeter:
    """Measures from ``begin`` to ``end``, in the thread of the running loop.

    A timer asks to be called every 2 ms; how much later it is called is the stall.
    A worker thread that holds the GIL makes the loop just as late as work on the loop
    does, and shows in the same way. So does another process on a busy machine: compare
    with the downloader alone, measured in the same minute.
    """

    ended = False

    def begin(self) -> None:
        """Start measuring. What start-up left behind is collected first, not counted."""
        gc.collect()
        # Start-up objects leave the collector's sight: a later full collection walks
        # what the crawl made, not Scrapy's modules. The same for every pipeline.
        gc.freeze()
        self.loop = asyncio.get_running_loop()
        self.late_s: list[float] = []
        self.rss_before_mib = rss_mib()
        self.cpu_before_s = cpu_s()
        self.began_s = time.perf_counter()
        self._ask()

    def end(self) -> None:
        """Stop measuring. Without ``begin`` nothing was measured, and ``ended`` says so."""
        if not hasattr(self, "began_s"):
            return
        self.ended = True
        self.wall_s = time.perf_counter() - self.began_s
        self.cpu_used_s = cpu_s() - self.cpu_before_s
        self.timer.cancel()
        self.late_s.append(max(0.0, self.loop.time() - self.due_s))

    def kept_mib(self) -> float:
        """Return how much larger the process is now than at ``begin``.

        Collects garbage first, which stalls the loop: for crawls whose stalls are not asked for.
        """
        gc.collect()
        return rss_mib() - self.rss_before_mib

    def longest_stall_ms(self) -> float:
        """Return the longest time the loop was late."""
        return max(self.late_s) * 1000

    def p99_stall_ms(self) -> float:
        """Return the 99th percentile of the times the loop was late."""
        return sorted(self.late_s)[int(len(self.late_s) * 0.99)] * 1000

    def _ask(self) -> None:
        self.due_s = self.loop.time() + TICK_S
        self.timer = self.loop.call_later(TICK_S, self._answer)

    def _answer(self) -> None:
        self.late_s.append(max(0.0, self.loop.time() - self.due_s))
        self._ask()


def cpu_s() -> float:
    """Return the CPU seconds of this process, and of its children that have ended."""
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


def rss_mib() -> float:
    """Return the resident size of this process."""
    return _status_mib("VmRSS")


def peak_rss_mib() -> float:
    """Return the largest resident size this process ever had.

    Not ``ru_maxrss``: Linux hands that on from the parent through ``exec``, so a large
    parent would show as a large child.
    """
    return _status_mib("VmHWM")


def _status_mib(name: str) -> float:
    status = Path("/proc/self/status")
    if not status.exists():
        return 0.0
    for line in status.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    return 0.0
