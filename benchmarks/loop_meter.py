"""Measure the process this runs in and its children: the event loop's stalls, CPU, memory."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import TYPE_CHECKING, TypeVar

from family import children_cpu_s, rss_mib

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

TICK_S = 0.002
"""How often the loop is asked to show that it is alive."""


class LoopMeter:
    """Measures from ``begin`` to ``end``, in the thread of the running loop.

    A timer asks to be called every 2 ms; how much later it is called is the stall.
    A worker thread that holds the GIL makes the loop just as late as work on the loop
    does, and shows in the same way. So does another process on a busy machine: compare
    with the downloader alone, measured in the same minute.
    """

    begun = False
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
        self.children_before_s = children_cpu_s()
        self.own_before_s = time.process_time()
        self.began_s = time.perf_counter()
        self.begun = True
        self._ask()

    def end(self) -> None:
        """Stop measuring. Without ``begin`` nothing was measured, and ``ended`` says so."""
        if not self.begun:
            return
        self.ended = True
        self.wall_s = time.perf_counter() - self.began_s
        self._stop_asking()
        own_s = time.process_time() - self.own_before_s
        self.cpu_used_s = own_s + children_cpu_s() - self.children_before_s

    def aside(self, look: Callable[[], _T]) -> _T:
        """Return what *look* returns; the time it takes is no stall."""
        self._stop_asking()
        seen = look()
        self._ask()
        return seen

    def kept_mib(self) -> float:
        """Return how much larger process and children are now than at ``begin``.

        Garbage is collected first; to be called ``aside``.
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

    def _stop_asking(self) -> None:
        self.timer.cancel()
        self.late_s.append(max(0.0, self.loop.time() - self.due_s))

    def _answer(self) -> None:
        self.late_s.append(max(0.0, self.loop.time() - self.due_s))
        self._ask()
