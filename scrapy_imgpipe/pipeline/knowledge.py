"""What the index gets to know, and what is said when it fails.

The index is told after the store and before the item goes on; what comes together shares
a transaction, in a thread of its own. It costs no source: where it fails, the crawl goes
on with what the store shows.
"""

from __future__ import annotations

import functools
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scrapy_imgpipe import tasks
from scrapy_imgpipe.batches import Batches
from scrapy_imgpipe.errors import HookFailed, IndexFailed
from scrapy_imgpipe.records import ImageRecord, Outcome, stamp

if TYPE_CHECKING:
    from scrapy.http import Response

    from scrapy_imgpipe.index import Index
    from scrapy_imgpipe.pipeline.asks import Work
    from scrapy_imgpipe.workers import Workers

_logger = logging.getLogger(__name__)

#: Records that one transaction takes at most.
_BATCH = 256

#: Longest validator that is kept, in characters; no server needs more.
_MOST_VALIDATOR = 1024

#: Failures that say nothing about the source.
_NOT_OF_THE_SOURCE = {Outcome.INTERRUPTED, Outcome.HOOK_FAILED, Outcome.JOINED}


class Knowledge:
    """The pipeline's way to its index.

    Args:
        index: None where there is none.
        workers: who writes.
        near: bits by which perceptual hashes of near-duplicates differ at most; None
            where nobody asks for them.
    """

    def __init__(self, index: Index | None, workers: Workers, near: int | None = None) -> None:
        self.index = index
        self._workers = workers
        self._near = near
        self._batches: Batches[_Entry] = Batches(self._write, _BATCH)
        self._said = False

    async def put(self, record: ImageRecord) -> ImageRecord:
        """Have *record* kept, and return it as it is kept, with its mark if it has one."""
        if self.index is None:
            return record
        entry = _Entry(record)
        try:
            await self._batches.added(entry)
        except IndexFailed as error:
            self.say(error.reason)
        except HookFailed:  # the crawl ends, and no thread is left to write
            pass
        return entry.record

    def say(self, trouble: str) -> None:
        """Log once what goes wrong."""
        if not self._said:
            self._said = True
            _logger.error("%s (files are looked into instead)", trouble)

    async def drained(self) -> None:
        """Wait until everything is written."""
        await self._batches.drained()

    async def _write(self, entries: list[_Entry]) -> None:
        assert self.index is not None  # noqa: S101 - see put()
        records = [entry.record for entry in entries]
        if self._near is None:
            write = functools.partial(self.index.put, records)
            await self._workers.run_in_line(write, "index")
            return
        mark = functools.partial(tasks.put_marked, records, self.index, self._near)
        marked = await self._workers.run_in_line(mark, "index")
        for entry, record in zip(entries, marked, strict=True):
            entry.record = record


@dataclass(slots=True)
class _Entry:
    """A record on its way into the index."""

    record: ImageRecord


def stored_record(work: Work, url: str, digest: str, limits: str) -> ImageRecord | None:
    """Return the record of what was just stored; None where a user's hook stored it.

    Args:
        work: that stored it.
        url: of the request.
        digest: of the plan.
        limits: digest of the limits.
    """
    saved, wanted = work.saved, work.wanted
    if saved is None or saved.full is None or wanted is None:
        return None
    now = stamp(time.time())
    return ImageRecord(
        wanted.key.fingerprint,
        wanted.key.asked,
        url,
        saved.full,
        saved.format,
        saved.renditions,
        digest,
        limits,
        saved.content,
        work.etag,
        work.last_modified,
        stored_at=now,
        checked_at=now,
        outcome=Outcome.STORED,
        http_status=work.http_status,
        placeholder=saved.placeholder,
        measured=saved.measured,
    )


def failed_record(
    work: Work, url: str, outcome: str, reason: str, limits: str
) -> ImageRecord | None:
    """Return the record of a source that failed, with what is stored of it still."""
    if work.wanted is None or outcome in _NOT_OF_THE_SOURCE:
        return None
    key = work.wanted.key
    old = work.found.record if work.found is not None else None
    record = old if old is not None else ImageRecord("", key.asked, "")
    return record._replace(
        fingerprint=key.fingerprint,
        url=url,
        limits=limits,
        failed_at=stamp(time.time()),
        outcome=outcome,
        reason=reason,
        http_status=work.http_status,
        tries=old.tries + 1 if old else 1,
    )


def renewed_record(record: ImageRecord, work: Work) -> ImageRecord:
    """Return *record* after its origin told *work* that it has not changed."""
    return record._replace(
        etag=work.etag or record.etag,
        last_modified=work.last_modified or record.last_modified,
        checked_at=stamp(time.time()),
        failed_at=0,
        outcome=Outcome.REVALIDATED,
        reason="",
        http_status=work.http_status,
        tries=0,
    )


def validators(response: Response) -> tuple[str, str]:
    """Return ``ETag`` and ``Last-Modified`` of *response*, empty where there is none."""
    return _header(response, "ETag"), _header(response, "Last-Modified")


def _header(response: Response, name: str) -> str:
    value = response.headers.get(name)
    text = value.decode("latin-1") if isinstance(value, bytes) else ""
    return text if len(text) <= _MOST_VALIDATOR else ""
