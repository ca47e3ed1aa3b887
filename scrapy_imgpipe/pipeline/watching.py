"""Tells people how far a crawl is: in the log, and on the terminal where they want it.

One per crawl, whatever number of pipelines it has. Runs on the event loop; looks at the
crawler's stats and counts nothing but what was asked for.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from scrapy import signals
from scrapy.utils.asyncio import create_looping_call

from scrapy_imgpipe import stats
from scrapy_imgpipe.pipeline.crawls import OfCrawl
from scrapy_imgpipe.pipeline.live_line import LiveLine, Numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scrapy.crawler import Crawler
    from scrapy.utils.asyncio import AsyncioLoopingCall
    from twisted.internet.task import LoopingCall

_logger = logging.getLogger(__name__)

#: Seconds between two looks at the numbers of the live line, which is painted as often.
_LOOK_SECONDS = 0.25

#: Scrapy's scheduler counts the pages of a crawl alone: requests for images do not pass it.
_PAGES = "scheduler/dequeued"

_of_crawl: OfCrawl[Watching] = OfCrawl()


class Watching:
    """How far one crawl is.

    Args:
        crawler: whose stats count, and whose ``LOGSTATS_INTERVAL``.

    Attributes:
        on_terminal: whether the live line is wanted; counts when the spider opens.
    """

    def __init__(self, crawler: Crawler) -> None:
        self.on_terminal: bool = False
        self._crawler = crawler
        self._interval: float = crawler.settings.getfloat("LOGSTATS_INTERVAL")
        self._asked = 0
        self._done_before = 0
        self._first_ask: float | None = None
        self._is_summed_up = False
        self._live_line: LiveLine | None = None
        self._timers: list[AsyncioLoopingCall | LoopingCall] = []
        crawler.signals.connect(self._spider_opened, signals.spider_opened)
        crawler.signals.connect(self._spider_closed, signals.spider_closed)

    @classmethod
    def of(cls, crawler: Crawler, *, on_terminal: bool) -> Watching:
        """Return the one of *crawler*; one pipeline that wants the live line is enough."""
        watching = _of_crawl.get(crawler, lambda: cls(crawler))
        watching.on_terminal |= on_terminal
        return watching

    def asks(self, count: int) -> None:
        """Take note of *count* more sources that are asked for."""
        if self._first_ask is None:
            self._first_ask = time.monotonic()
        self._asked += count

    def sum_up(self) -> None:
        """Log one line about all sources of the crawl; safe to call twice."""
        if self._is_summed_up:  # for another pipeline of ours: the stats are one
            return
        self._is_summed_up = True
        seconds = time.monotonic() - (self._first_ask or time.monotonic())
        self._log(stats.summary(self._stats(), seconds))

    # --- meanwhile ---

    def _spider_opened(self) -> None:
        if self._interval > 0:
            self._call_every(self._interval, self._say)
        if self.on_terminal:
            self._live_line = LiveLine.join(self)
        if self._live_line is not None:
            self._call_every(_LOOK_SECONDS, self._show)

    def _spider_closed(self) -> None:
        for timer in self._timers:
            if timer.running:
                timer.stop()
        self._timers.clear()
        if self._live_line is not None:
            self._live_line.leave(self)
            self._live_line = None

    def _call_every(self, seconds: float, function: Callable[[], None]) -> None:
        timer = create_looping_call(function)
        timer.start(seconds, now=False)
        self._timers.append(timer)

    def _say(self) -> None:
        """Log how far the crawl is, if it has to do with images."""
        known = self._stats()
        if not self._asked or not known:  # who collects no stats is told nothing
            return
        done = _done(known)
        rate = (done - self._done_before) * 60 / self._interval
        self._done_before = done
        self._log(stats.so_far(known, max(self._asked - done, 0), rate))

    def _show(self) -> None:
        if not self._asked or self._live_line is None:
            return
        known = self._stats()
        ended = stats.outcomes(known)
        done = sum(ended.values())
        numbers = Numbers(
            done=done,
            failed=sum(stats.failures(ended).values()),
            bytes_in=known.get(stats.BYTES_IN, 0),
            waiting=max(self._asked - done, 0),
            pages=known.get(_PAGES, 0),
        )
        self._live_line.update(self, numbers)

    def _stats(self) -> Mapping[str, Any]:
        return self._crawler.stats.get_stats()

    def _log(self, line: str | None) -> None:
        if line is not None:
            _logger.info(line, extra={"spider": self._crawler.spider})


def _done(known: Mapping[str, Any]) -> int:
    return sum(stats.outcomes(known).values())
