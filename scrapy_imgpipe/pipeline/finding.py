"""What is there of a source already: looked for, mended, renewed, remembered.

Nothing here is a hook; hooks are called through :mod:`.hooks`. This file decides what
runs in a worker and what on the event loop, and does neither by itself.
"""

from __future__ import annotations

import functools
import inspect
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

from twisted.python.failure import Failure

from scrapy_imgpipe import imaging, stats, tasks
from scrapy_imgpipe.errors import (
    ImageBroken,
)
from scrapy_imgpipe.freshness import Verdict, conditional_headers, is_lasting, judge
from scrapy_imgpipe.guards import shown_url
from scrapy_imgpipe.index import Key
from scrapy_imgpipe.pipeline.failures import error_in, known_failure, one_line
from scrapy_imgpipe.pipeline.hooks import is_overridden
from scrapy_imgpipe.pipeline.knowledge import failed_record, renewed_record, stored_record
from scrapy_imgpipe.pipeline.log import is_heard, referrer, shown
from scrapy_imgpipe.pipeline.storing import Storing
from scrapy_imgpipe.records import ImageRecord, near_marks
from scrapy_imgpipe.store_adapter import far_store

if TYPE_CHECKING:
    from scrapy.http import Request
    from scrapy.pipelines.media import FileInfo, MediaPipeline

    from scrapy_imgpipe.pipeline.asks import Work

_logger = logging.getLogger(__name__)


class Finding(Storing):
    """The part of the pipeline that knows what is stored."""

    _has_http_cache: bool = False

    # --- look-up ---

    async def _stored(
        self, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> FileInfo | None:
        if is_overridden(self, "media_to_download"):
            return await super()._stored(request, info, item)
        return await self._find(request, info, item)  # one task fewer

    async def _find(
        self, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> FileInfo | None:
        rules = self._rules()
        work = self._work(request)
        path = await self._asked_path(request, info, item)
        thumbs = {} if rules.any_thumbs else await self._known_thumb_paths(request, info, item)
        work.wanted = tasks.Wanted(Key(work.fingerprint, path), thumbs, shown_url(request.url))
        if rules.store is None and rules.index is None:
            return await self._judged_by_scrapy(path, request, info)
        work.found = await self._looked_for(work.wanted, rules)
        if rules.store is None:
            return await self._found_elsewhere(work, path, request, info)
        return await self._found(work, rules, request, info)

    async def _looked_for(self, wanted: tasks.Wanted, rules: tasks.Rules) -> tasks.Found:
        try:
            found: tasks.Found = await self.workers.run_in_batch(tasks.look_up, wanted, rules)
        except ImageBroken:  # a worker process died of what is stored
            return tasks.Found()
        if found.trouble:
            self.knowledge.say(found.trouble)
        return found

    async def _found(
        self,
        work: Work,
        rules: tasks.Rules,
        request: Request,
        info: MediaPipeline.SpiderInfo,
        status: str = "uptodate",
    ) -> FileInfo | None:
        """Return the result for what was found, once it is complete; None means fetch."""
        found = work.found
        if found is None or found.record is None or found.verdict is Verdict.FETCH:
            return None
        if found.verdict is Verdict.REFUSE:
            work.known = True
            raise known_failure(found.record)
        if found.verdict is not Verdict.FRESH:
            return None
        record = await self._completed(work, rules, request, info)
        if record is None or not self._is_accepted(record, request, info, status):
            return None
        if not found.told:
            record = await self.knowledge.put(record)
            work.found = work.found._replace(record=record) if work.found else None
        work.known = True
        return record.as_result(request.url, status)  # type: ignore[return-value]  # and more

    async def _news(
        self, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> FileInfo | None:
        """Return what another crawl has stored since *request* was looked for; None for nothing.

        Raises:
            ImagePipeError: another crawl has failed at it since, as this one would.
        """
        work, rules = self._work(request), self._rules()
        before, was_told = work.found, work.found is not None and not work.found.trouble
        if work.wanted is None:  # who overrides the look-up has the say
            return await self._looked_up(request, info, item)
        record = work.told
        old = None if before is None else before.record
        if record is None or (was_told and times(record) == times(old)):
            return None
        result = await self._looked_up(request, info, item)
        found = work.found
        if result or not was_told or found is None or found.record is None:
            return result
        record = found.record
        if record.failed_at != times(old)[-1]:
            if is_lasting(record, rules.policy):
                work.known = True
                raise known_failure(record, just_now=True)
            return None
        if found.verdict is Verdict.REFUSE or record.full is None or record.plan != rules.digest:
            return None
        work.found = found._replace(verdict=Verdict.FRESH)  # so it is, however short that holds
        return await self._found(work, rules, request, info)

    def _is_accepted(
        self,
        record: ImageRecord,
        request: Request,
        info: MediaPipeline.SpiderInfo,
        status: str,
    ) -> bool:
        """Say that it is up to date, and let an overridden ``_onsuccess`` have its own view."""
        if status == "uptodate" and is_overridden(self, "_onsuccess"):
            full = record.full
            assert full is not None  # noqa: S101 - it is stored
            stat: Any = {"last_modified": full.modified, "checksum": full.checksum}
            return bool(self._onsuccess(stat, request, info, full.path))
        self._say_kept(status, request, info)
        return True

    async def _completed(
        self,
        work: Work,
        rules: tasks.Rules,
        request: Request,
        info: MediaPipeline.SpiderInfo,
    ) -> ImageRecord | None:
        """Have made what is lacking, if anything: long work, so it waits for its turn."""
        found = work.found
        if found is None:
            return None
        if not found.need:
            return found.record
        ticket = self.turns.ticket_to_mend(found.need)
        try:
            await self.turns.turn_of(ticket)
            if rules.store is None:
                mended = await self._mended_elsewhere(found, rules)
            elif is_overridden(self, "convert_image"):
                remake = functools.partial(self._remake_thumb, found.thumbs)
                mend = functools.partial(tasks.mend, found, rules, remake)
                mended = await self.workers.run_in_line(mend)
            else:
                mended = await self.workers.render(tasks.mend, None, found, rules)
        except ImageBroken:  # a worker process died of what is stored
            return None
        finally:
            self.turns.leave(ticket)
        if mended is None:
            return None
        if mended.trouble:
            self._count_store_error(written=True)
            _logger.error(
                "File (error): Error mending thumbnails of %(request)s: %(trouble)s",
                {"request": shown(request), "trouble": mended.trouble},
                extra={"spider": info.spider},
            )
        self._count_written(mended.files, mended.written, restored=mended.files)
        work.rendering, work.storing = mended.rendering, mended.storing
        work.written = mended.written
        work.found = found._replace(record=mended.record)
        return mended.record

    async def _mended_elsewhere(
        self, found: tasks.Found, rules: tasks.Rules
    ) -> tasks.Mended | None:
        """Read the full image back from another machine, and store what is made of it there."""
        far, record = far_store(self.store), found.record
        if far is None or record is None or record.full is None:
            return None
        data = await self.workers.run_to_store(far.get, record.full.path)
        if data is None:
            return None
        if is_overridden(self, "convert_image"):
            remake = functools.partial(self._remake_thumb, found.thumbs)
            make = functools.partial(tasks.remade_of, data, found, rules, remake)
            remade = await self.workers.run_in_line(make)
        else:
            remade = await self.workers.render(tasks.remade_of, data, found, rules)
        if remade is None:
            return None
        return await self.workers.run_to_store(tasks.put_remade, remade, found, rules, far)

    def _remake_thumb(self, thumbs: Mapping[str, str], data: bytes, name: str) -> tasks.Output:
        """Make one thumbnail of a stored full image as the user's ``convert_image`` does."""
        if name in self.renditions:  # the hook has no part in these
            (made,) = imaging.render(data, self._plan(), only={name})
            return tasks.output_of(made, "", thumbs)
        box = next(size for key, size in self.thumbs.items() if str(key) == name)
        with imaging.open_image(data, self.options.formats) as image:
            made = self._finished(self.convert_image(image, box, response_body=BytesIO(data)))
        return tasks.taken(thumbs[name], name, *made)

    def _finished(self, value: Any) -> Any:
        """Return *value*, or what it gives where a user's hook is ``async``."""
        return self.workers.wait_for(value) if inspect.isawaitable(value) else value

    def _say_kept(self, status: str, request: Request, info: MediaPipeline.SpiderInfo) -> None:
        if is_heard(_logger, logging.DEBUG):
            _logger.debug(
                "File (%(status)s): Downloaded %(medianame)s from %(request)s"
                " referred in <%(referer)s>",
                {
                    "status": status,
                    "medianame": "image",
                    "request": shown(request),
                    "referer": referrer(request),
                },
                extra={"spider": info.spider},
            )
        self.inc_stats(status)

    def _count_written(self, files: int, size: int, *, restored: int = 0) -> None:
        count = self.crawler.stats.inc_value
        if files:
            count(stats.BYTES_OUT, size)
            count(stats.RENDITIONS, files)
        if restored:
            count(stats.RESTORED, restored)

    # --- stores that only Scrapy's protocol reaches ---

    async def _found_elsewhere(
        self, work: Work, path: str, request: Request, info: MediaPipeline.SpiderInfo
    ) -> FileInfo | None:
        """Judge by the index, and one question to the store unless the index is trusted."""
        found = work.found
        record = found.record if found is not None else None
        if found is None or record is None or record.full is None:
            if found is not None and found.verdict is Verdict.REFUSE:
                return await self._found(work, self._rules(), request, info)
            return await self._judged_by_scrapy(path, request, info)
        if found.verdict in {Verdict.FETCH, Verdict.REFUSE} or self.options.trust_index:
            return await self._found(work, self._rules(), request, info)
        if is_overridden(self, "_onsuccess"):
            return await self._judged_by_scrapy(record.full.path, request, info)
        stat = await self._stat_elsewhere(record.full.path, info, record.full)
        if not stat or stat.get("checksum") not in {None, record.full.checksum}:
            work.found = None
            return None
        confirmed = record.checked_at > record.stored_at
        modified = stat.get("last_modified") or record.stored_at
        if not confirmed and judge(modified, time.time(), self.expires) is not Verdict.FRESH:
            work.found = found._replace(verdict=Verdict.REVALIDATE)
        return await self._found(work, self._rules(), request, info)

    async def _judged_by_scrapy(
        self, path: str, request: Request, info: MediaPipeline.SpiderInfo
    ) -> FileInfo | None:
        if not path:
            return None
        stat = await self._stat_elsewhere(path, info)
        return None if stat is None else self._onsuccess(stat, request, info, path)

    # --- conditions, and what the index gets to know ---

    def _conditions(self, request: Request) -> dict[str, str]:
        found = self._work(request).found
        if found is None or found.record is None or found.verdict is not Verdict.REVALIDATE:
            return {}
        if self._has_http_cache or any(name in request.headers for name in _CONDITIONS):
            return {}
        return conditional_headers(found.record)

    async def _renewed(
        self, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> FileInfo | None:
        work, rules = self._work(request), self._rules()
        old = work.found.record if work.found is not None else None
        if old is None or work.wanted is None or not work.unchanged:
            return None
        record = renewed_record(old, work)
        record = await self.knowledge.put(record)
        args = (work.wanted, record, rules, record.checked_at)  # fresh now, however long that is
        work.found = await self.workers.run(tasks.found_of, *args)
        return await self._found(work, rules, request, info, "revalidated")

    async def _remember(self, request: Request, outcome: str, result: FileInfo | Failure) -> None:
        work = self._work(request)
        try:
            record = self._known_of(work, request, outcome, result)
            if record is not None:
                self._mark(await self.knowledge.put(record), work, result)
        finally:
            self._let_go(work)

    def _known_of(
        self, work: Work, request: Request, outcome: str, result: FileInfo | Failure
    ) -> ImageRecord | None:
        if work.known or self.knowledge.index is None:
            return None
        rules, url = self._rules(), shown_url(request.url)
        limits = rules.policy.limits
        if isinstance(result, Failure):
            reason = one_line(error_in(result))
            return failed_record(work, url, outcome, reason, limits)
        return stored_record(work, url, rules.digest, limits)

    def _mark(self, record: ImageRecord, work: Work, result: FileInfo | Failure) -> None:
        """Say in *result*, and in the report, what *record* was found to be much like."""
        marks = near_marks(record.measured)
        if not marks or work.saved is None or not isinstance(result, dict):
            return
        result.update(marks)  # type: ignore[typeddict-item]  # and more
        work.saved = replace(work.saved, measured=record.measured)
        self.crawler.stats.inc_value(stats.NEAR_DUPLICATES)


_CONDITIONS = ("If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range")


def times(record: ImageRecord | None) -> tuple[float, float, float]:
    """Return when the source was stored, confirmed and failed, as far as is known."""
    return (0, 0, 0) if record is None else (record.stored_at, record.checked_at, record.failed_at)
