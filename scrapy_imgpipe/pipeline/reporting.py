"""Puts every ask into the run report, as it ends.

Rows go to a thread of their own, some hundreds at a time or whatever came within a
second; who would let more pile up waits. A report that cannot be written costs no
source: it is said once, and the crawl goes on.
"""

from __future__ import annotations

import atexit
import functools
import logging
import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary, WeakValueDictionary

from itemadapter import ItemAdapter
from scrapy.utils.asyncio import call_later

from scrapy_imgpipe.batches import Batches
from scrapy_imgpipe.compat import current_page
from scrapy_imgpipe.errors import ImagePipeError, StoreFailed
from scrapy_imgpipe.guards import shown_url
from scrapy_imgpipe.imaging.measures import ERROR
from scrapy_imgpipe.pipeline.asks import Ask
from scrapy_imgpipe.pipeline.sources import asked_url
from scrapy_imgpipe.records import Outcome, failed_result
from scrapy_imgpipe.report import ReportFile, expand, open_report, timestamp
from scrapy_imgpipe.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scrapy.crawler import Crawler
    from scrapy.utils.asyncio import CallLaterResult

_logger = logging.getLogger(__name__)

#: Rows that one batch takes at most.
_BATCH = 500

#: Rows that may wait to be written.
_MOST_WAITING = 5000

#: How long a row waits for others, in seconds.
_SECONDS = 1.0

_being_written: WeakValueDictionary[str, Reporting] = WeakValueDictionary()

_of_crawl: WeakKeyDictionary[Crawler, dict[str, Reporting]] = WeakKeyDictionary()

_taken_by: WeakKeyDictionary[Crawler, TakesRows] = WeakKeyDictionary()


class TakesRows(ReportFile, Protocol):
    """A report that somebody takes on: for how many seconds rows are gathered for it."""

    patience_seconds: float


def take_rows(crawler: Crawler, file: TakesRows) -> None:
    """Have the rows of *crawler*, which is not built yet, given to *file*, and to no report."""
    _taken_by[crawler] = file


class Reporting:
    """The report of one crawl; several pipelines may share it.

    Args:
        path: where it goes, with ``%(name)s`` and ``%(time)s`` for spider and time; empty
            for no report.
        crawler: whose asks it has.
        item_key: field of an item that tells it from the others; empty for its number.
    """

    def __init__(self, path: str, crawler: Crawler, item_key: str = "") -> None:
        taken_by = _taken_by.get(crawler)
        self.is_on: bool = bool(path) or taken_by is not None
        self._seconds = _SECONDS if taken_by is None else taken_by.patience_seconds
        self._path = path
        self._crawler = crawler
        self._item_key = item_key
        self._began = datetime.now(UTC)
        self._items = 0
        self._users = 0
        self._open: dict[Ask, None] = {}
        self._rows: list[dict[str, Any]] = []
        self._timer: CallLaterResult | None = None
        self._file: ReportFile | None = taken_by
        self._failed = self._error_said = False
        self._continues = _is_continued(crawler)
        self._workers = Workers(1, "thread")
        self._batches: Batches[list[dict[str, Any]]] = Batches(self._write, 1)
        if self.is_on:  # a second Ctrl-C closes no spider
            atexit.register(self._end_at_exit)

    @classmethod
    def of(cls, crawler: Crawler, path: str, item_key: str) -> Reporting:
        """Return the report of *crawler* under *path*."""
        known = _of_crawl.setdefault(crawler, {})
        reporting = known.get(path)
        if reporting is None:
            reporting = known[path] = cls(path, crawler, item_key)
        reporting._users += 1
        return reporting

    def asks_of(self, item: Any, requests: Iterable[object]) -> list[Ask]:
        """Return an ask for each of *requests* of *item*."""
        if not self.is_on:
            return [Ask(url=asked_url(request)) for request in requests]
        self._items += 1
        key, page = self._key_of(item), current_page.get()
        asks = [Ask(key, page, slot, asked_url(each)) for slot, each in enumerate(requests)]
        self._open.update(dict.fromkeys(asks))
        return asks

    def _key_of(self, item: Any) -> str:
        if self._item_key:
            value = ItemAdapter(item).get(self._item_key)
            if value is not None:
                return str(value)
        return str(self._items)

    def ended(self, ask: Ask, result: Mapping[str, Any]) -> None:
        """Put *ask* into the report; *result* is what is in its slot."""
        if ask not in self._open:
            return
        del self._open[ask]
        if ERROR in ask.measured and not self._error_said:
            self._error_said = True
            _logger.warning(
                "A record function failed: %s (%s); see the column %s",
                ask.measured[ERROR],
                shown_url(ask.url),
                ERROR,
            )
        self._add(ask.row(result, timestamp(time.time())))

    def note(self, line: dict[str, Any]) -> None:
        """Put what is no ask's row behind the rows so far, for who takes them on."""
        self._add(line)

    def _add(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        if len(self._rows) >= _BATCH:
            self._flush()
        elif self._timer is None:
            self._timer = call_later(self._seconds, self._flush)

    async def room(self) -> None:
        """Wait while too many rows wait to be written."""
        if len(self._batches) * _BATCH >= _MOST_WAITING:
            await self._batches.drained()

    async def close(self) -> None:
        """Write what is left; the last of those who share it ends it. Safe to call twice."""
        self._users -= 1
        if not self.is_on or self._users != 0:
            return
        atexit.unregister(self._end_at_exit)
        self._rows += self._interrupted()
        self._flush()
        await self._batches.drained()
        await self._workers.run_in_line(self._close)
        await self._workers.close()

    def _interrupted(self) -> list[dict[str, Any]]:
        """Take out what is still open, as rows."""
        rows = []
        for ask in self._open:
            ask.outcome = Outcome.INTERRUPTED
            reason = "The crawl ended before the image was stored"
            rows.append(
                ask.row(failed_result(ask.url, ask.outcome, reason), timestamp(time.time()))
            )
        self._open.clear()
        return rows

    def _end_at_exit(self) -> None:
        """Write what is left when the process ends and nobody has closed the spider.

        There is no event loop any more, and threads have finished what they had begun.
        """
        waiting = [row for rows in self._batches.left() for row in rows]
        left = waiting + self._rows + self._interrupted()
        if left:
            self._write_rows(left)
            self._close()

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        rows, self._rows = self._rows, []
        if rows:
            self._batches.add(rows)

    async def _write(self, batches: list[list[dict[str, Any]]]) -> None:
        for rows in batches:
            await self._workers.run_in_line(functools.partial(self._write_rows, rows))

    def _write_rows(self, rows: list[dict[str, Any]]) -> None:
        """Write *rows*; in a worker."""
        try:
            if self._file is None:
                self._file = self._opened()
            self._file.write(rows)
        except (ImagePipeError, OSError) as error:
            self._fail(error)

    def _close(self) -> None:
        try:
            if self._file is None:
                self._file = self._opened()  # no ask at all is a report, too
            self._file.close()
            for place in [place for place, by in _being_written.items() if by is self]:
                del _being_written[place]
        except (ImagePipeError, OSError) as error:
            self._fail(error)

    def _opened(self) -> ReportFile:
        spider = self._crawler.spider
        path = expand(self._path, spider.name if spider else "", self._began)
        place = os.path.abspath(path)  # noqa: PTH100
        if _being_written.setdefault(place, self) is not self:
            raise StoreFailed(
                f"Another crawl of this process writes {path!r}; put %(name)s into its name"
            )
        return open_report(path, append=self._continues)

    def _fail(self, error: Exception) -> None:
        """Say once what goes wrong; the next rows may be luckier."""
        if not self._failed:
            self._failed = True
            _logger.error("The report is not complete: %s", error)


def _is_continued(crawler: Crawler) -> bool:
    """Return whether the crawl goes on where an earlier one of its ``JOBDIR`` stopped."""
    folder = crawler.settings.get("JOBDIR")
    try:
        return bool(folder) and bool(os.listdir(folder))  # noqa: PTH208 - it may be no folder
    except OSError:
        return False
