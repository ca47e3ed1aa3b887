"""A list on its way through crawls: shared out by host, stopped in good order, told of."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zlib import crc32

from scrapy_imgpipe.fetching.process import CrawlProcess
from scrapy_imgpipe.fetching.results import Results

if TYPE_CHECKING:
    from scrapy_imgpipe.fetching.done import Done
    from scrapy_imgpipe.lists import ImageList
    from scrapy_imgpipe.progress import Progress

#: How long one waits before the progress is looked after, in seconds.
_SECONDS = 0.2

#: Lines between two looks at the clock.
_LINES = 64


class Run:
    """One list, some crawls.

    Args:
        images: the list.
        done: lines that need not be done again.
        orders: for each crawl, and for it once it has died; packed.
        processes: how many crawls there are.
        results: where rows go.
        progress: that is told; None for none.
        say: called with what crawls print.

    Attributes:
        passed_over: lines that were done.
    """

    def __init__(
        self,
        images: ImageList,
        done: Done,
        orders: tuple[bytes, bytes],
        processes: int,
        results: Results,
        progress: Progress | None,
        say: Callable[[str], None],
    ) -> None:
        self.passed_over = 0
        self._images = images
        self._done = done
        self._results = results
        self._progress = progress
        self._told = time.monotonic()
        self._lock = Lock()
        self._print = say
        self._crawls = [CrawlProcess(orders, results.take, self._say) for _ in range(processes)]

    def run(self) -> None:
        """Do all of it.

        Raises:
            KeyboardInterrupt: when asked to stop; what was under way has been finished, or
                was given up where it was asked twice.
            ImagePipeError: a crawl cannot begin, or not go on.
        """
        try:
            try:
                self._feed()
                self._end(CrawlProcess.end)
            except KeyboardInterrupt:
                self._say("Stopping when what is under way is finished; again to stop at once")
                self._end(CrawlProcess.stop)
                raise
        finally:
            for crawl in self._crawls:
                crawl.kill()
            self._wipe()

    def _feed(self) -> None:
        for count, (number, url, columns) in enumerate(self._images):
            if number in self._done:
                self.passed_over += 1
            else:
                self._send((number, url, columns))
            if count % _LINES == 0:
                self._tell()

    def _send(self, source: tuple[int, str, Mapping[str, Any]]) -> None:
        crawl = self._crawls[_place(source[1], len(self._crawls))]
        while not crawl.send(source, _SECONDS):
            self._tell()

    def _end(self, finish: Callable[[CrawlProcess], None]) -> None:
        for crawl in self._crawls:
            finish(crawl)
        for crawl in self._crawls:
            while not crawl.join(_SECONDS):
                self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        if self._progress is None or now - self._told < _SECONDS:
            return
        self._told = now
        results, waiting = self._results, sum(crawl.under_way for crawl in self._crawls)
        with self._lock:
            self._progress.update(
                results.count,
                results.failed,
                results.bytes_in,
                share=self._images.share,
                waiting=waiting,
            )

    def _say(self, line: str) -> None:
        with self._lock:
            if self._progress is not None:
                self._progress.wipe()
            self._print(line)

    def _wipe(self) -> None:
        with self._lock:
            if self._progress is not None:
                self._progress.close()


def _place(url: str, places: int) -> int:
    """Return which of *places* crawls has the host of *url*: one alone asks it."""
    if places == 1:
        return 0
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    return crc32(host.encode(errors="replace")) % places
