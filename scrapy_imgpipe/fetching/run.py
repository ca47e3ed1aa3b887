"""A list on its way through crawls: shared out by host, stopped in good order, told of."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit
from zlib import crc32

from scrapy_imgpipe.errors import SettingError
from scrapy_imgpipe.fetching.process import CrawlProcess
from scrapy_imgpipe.fetching.results import Results

if TYPE_CHECKING:
    from scrapy_imgpipe.fetching.done import Done
    from scrapy_imgpipe.lists import Line

#: How long one waits before the progress is looked after, in seconds.
_SECONDS = 0.2

#: Lines between two looks at the clock.
_TOLD_LINES = 64


def _print(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201 - where a crawl prints


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a list, as a run goes through them.

    Attributes:
        lines: in their order.
        share: called for how much of them is through, 0.0 to 1.0, or None.
        done: lines that need not be done again.
    """

    lines: Iterable[Line]
    share: Callable[[], float | None]
    done: Done


@dataclass(frozen=True, slots=True)
class Crawls:
    """The crawls of a run.

    Attributes:
        orders: for each crawl, and for it once it has died; packed.
        processes: how many there are.
    """

    orders: tuple[bytes, bytes]
    processes: int


class Follower(Protocol):
    """Is told how far a run is, as a :class:`~scrapy_imgpipe.progress.Progress` is."""

    def update(
        self,
        done: int,
        failed: int = 0,
        bytes_in: int = 0,
        *,
        share: float | None = None,
        waiting: int | None = None,
    ) -> None:
        """Take note; a ``KeyboardInterrupt`` asks for the end, a second one for it at once."""

    def wipe(self) -> None:
        """Make room for a line of text."""

    def close(self) -> None:
        """Say the last word."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Who is told of a run.

    Attributes:
        progress: that is told how far it is; None for none.
        say: called with each line that crawls print, in a thread.
    """

    progress: Follower | None = None
    say: Callable[[str], None] = _print


class Run:
    """One list, some crawls, which begin at once.

    Args:
        lines: of the list.
        crawls: that share them.
        results: where rows go.
        audience: that is told.

    Attributes:
        passed_over: lines that were done.
    """

    def __init__(self, lines: Lines, crawls: Crawls, results: Results, audience: Audience) -> None:
        self.passed_over: int = 0
        self._lines = lines
        self._results = results
        self._progress = audience.progress
        self._print = audience.say
        self._told = time.monotonic()
        self._lock = Lock()
        self._crawls = [
            CrawlProcess(crawls.orders, results.take, self._say) for _ in range(crawls.processes)
        ]

    def run(self) -> None:
        """Do all of it.

        Raises:
            KeyboardInterrupt: when asked to stop; what was under way has been finished, or
                was given up where it was asked twice.
            SettingError: the list cannot be read on; all lines before that are done.
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
            self._tell_the_end()

    def _feed(self) -> None:
        for count, line in enumerate(self._read()):
            if line.number in self._lines.done:
                self.passed_over += 1
            else:
                self._send((line.number, line.url, line.columns))
            if count % _TOLD_LINES == 0:
                self._tell()

    def _read(self) -> Iterator[Line]:
        """Yield the lines; where they cannot be read on, finish what they were up to there."""
        try:
            yield from self._lines.lines
        except SettingError:
            self._end(CrawlProcess.end)
            raise

    def _send(self, source: tuple[int, str, Mapping[str, Any]]) -> None:
        crawl = self._crawl_for(source[1])
        while not crawl.send(source, _SECONDS):
            self._tell()

    def _crawl_for(self, url: str) -> CrawlProcess:
        if len(self._crawls) == 1:
            return self._crawls[0]
        return self._crawls[crawl_of(host_of(url), len(self._crawls))]

    def _end(self, finish: Callable[[CrawlProcess], None]) -> None:
        for crawl in self._crawls:
            finish(crawl)
        for crawl in self._crawls:
            while not crawl.join(_SECONDS):
                self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._told >= _SECONDS:
            self._told = now
            with self._lock:
                self._update()

    def _update(self) -> None:
        if self._progress is None:
            return
        results, share = self._results, self._lines.share()
        waiting = sum(crawl.under_way for crawl in self._crawls)
        ended = results.count + self.passed_over
        if share is not None:  # of what was read; what waits is not through
            share *= ended / max(ended + waiting, 1)
        self._progress.update(
            results.count,
            results.failed,
            results.bytes_in,
            share=share,
            waiting=waiting,
        )

    def _say(self, line: str) -> None:
        with self._lock:
            if self._progress is not None:
                self._progress.wipe()
            self._print(line)

    def _tell_the_end(self) -> None:
        with self._lock:
            self._update()
            if self._progress is not None:
                if not self._results.count:
                    self._progress.update(0)  # there is nothing to tell
                self._progress.close()


def crawl_of(host: str, crawls: int) -> int:
    """Return which of *crawls* has *host*: one alone asks it."""
    return crc32(host.encode(errors="replace")) % crawls


def host_of(url: str) -> str:
    """Return the host of *url* in the one way it is written; empty where it has none."""
    try:
        host = urlsplit(url).hostname or ""
        return host if host.isascii() else host.encode("idna").decode()  # as its other name
    except ValueError:
        return ""
