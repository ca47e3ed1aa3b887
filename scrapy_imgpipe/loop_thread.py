"""An event loop in a thread of its own, for callers that have none, or must not touch theirs.

The standard library only; what runs on the loop is nobody's business here.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

_T = TypeVar("_T")


class LoopThread:
    """Runs an event loop until :meth:`close`; a daemon, so it keeps no process alive.

    Args:
        name: of the thread.

    Raises:
        RuntimeError: no thread can be had.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self._loop.close()
            raise
        except BaseException:  # interrupted: it may run by now
            self._loop.call_soon_threadsafe(self._loop.stop)
            raise

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def call(self, function: Callable[..., object], *args: Any) -> None:
        """Call *function* on the loop soon; from any thread.

        Raises:
            RuntimeError: it is closed.
        """
        self._loop.call_soon_threadsafe(function, *args)

    def begin(self, work: Coroutine[Any, Any, _T]) -> Future[_T]:
        """Have *work* done on the loop; from any thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """End the loop, whose tasks have ended; not from its own thread. Safe to call twice."""
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
