"""How one request is served: joined, looked up, asked for, or fetched.

Rules of this file: it knows requests, responses and failures, never images or stores.
Each request ends with a result or in :meth:`Asking._settle`, is logged at most once, and
never costs the item or the others.

Scrapy's names are kept where subclasses and tests reach for them:
``info.downloading``, ``info.waiting``, ``info.downloaded`` and
``_cache_result_and_execute_waiters`` mean what they mean there.
"""

from __future__ import annotations

import asyncio
import logging
import warnings
from time import perf_counter
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import WeakKeyDictionary

from scrapy.exceptions import ScrapyDeprecationWarning
from scrapy.http import Request, Response
from scrapy.http.request import NO_CALLBACK
from scrapy.utils.asyncio import is_asyncio_available
from scrapy.utils.defer import ensure_awaitable, maybe_deferred_to_future
from scrapy.utils.python import global_object_name
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from scrapy_imgpipe.compat import (
    FileException,
    lean_failure,
    make_lean,
    takes_requests,
    translate,
    without_bodies,
)
from scrapy_imgpipe.compat.fingerprints import fingerprints_of
from scrapy_imgpipe.errors import HookFailed, ImagePipeError, Overtaken
from scrapy_imgpipe.pipeline.asks import OUTCOMES, Ask, Work
from scrapy_imgpipe.pipeline.failures import (
    as_scrapys,
    error_in,
    judged,
    log_once,
    mark,
    one_line,
    outcome_of,
)
from scrapy_imgpipe.pipeline.hooks import call
from scrapy_imgpipe.pipeline.knowledge import validators
from scrapy_imgpipe.pipeline.parts import Parts
from scrapy_imgpipe.pipeline.sources import sendable
from scrapy_imgpipe.records import Outcome, own_copy

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrapy.pipelines.media import FileInfo, MediaPipeline

    from scrapy_imgpipe.pipeline.hops import Hops
    from scrapy_imgpipe.pipeline.priorities import Priorities
    from scrapy_imgpipe.pipeline.retries import Retries
    from scrapy_imgpipe.pipeline.sharing import Sharing
    from scrapy_imgpipe.pipeline.turns import Turns

_logger = logging.getLogger(__name__)

_NOT_MODIFIED = 304


class _First(Deferred[Any]):
    """Stands in ``info.waiting`` for who asked first, and has the result without it."""

    def callback(self, result: object) -> None:
        """Do nothing."""


_FIRST = _First()

#: What :meth:`SourceFlow._fetched` gives where the origin says that nothing has changed.
_UNCHANGED = {"status": "unchanged"}

#: What it gives where another crawl has the source, and is waited for.
_ELSEWHERE = {"status": "elsewhere"}

#: What it gives where what came is broken, and may not be if it comes once more.
_AGAIN = {"status": "again"}


class SourceFlow(Parts):
    """The part of the pipeline that turns requests into results."""

    turns: Turns
    hops: Hops
    retries: Retries
    priorities: Priorities
    sharing: Sharing

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._works: WeakKeyDictionary[Request, Work] = WeakKeyDictionary()
        self._fingerprint_of = fingerprints_of(self._fingerprinter)

    def _work(self, request: Request) -> Work:
        """Return what is known of *request*, which hooks may be called with by anybody."""
        work = self._works.get(request)
        if work is None:
            work = self._works[request] = Work(self._fingerprint_of(request).hex())
        return work

    async def _obtained(
        self, ask: Ask, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> FileInfo | Failure:
        """Obtain *request* once: who asks for it again waits for the first."""
        fingerprint = self._fingerprint_of(request)
        ask.errback = ask.errback or request.errback
        request.callback, request.errback = NO_CALLBACK, None
        if fingerprint in info.downloaded:
            ask.outcome = Outcome.JOINED
            result = info.downloaded[fingerprint]
        else:
            waiters = info.waiting[fingerprint]
            if fingerprint in info.downloading:
                ask.outcome = Outcome.JOINED
                self.priorities.lend(fingerprint, request.priority)
                waiter: Deferred[Any] = Deferred()
                waiters.append(waiter)
                (result,) = await maybe_deferred_to_future(waiter)
            else:
                info.downloading.add(fingerprint)
                waiters.append(_FIRST)
                work = self._works[request] = Work(fingerprint.hex())
                ask.works.append(work)
                result = await self._obtain_for_all(ask, fingerprint, request, info, item)
        if isinstance(result, Failure):
            return lean_failure(error_in(result))
        copied: FileInfo = own_copy(result)
        return copied

    async def _obtain_for_all(
        self,
        ask: Ask,
        fingerprint: bytes,
        request: Request,
        info: MediaPipeline.SpiderInfo,
        item: Any,
    ) -> FileInfo | Failure:
        try:
            result = await self._obtain(ask, fingerprint, request, info, item)
            await self._remember(request, ask.outcome, result)
            self.sharing.give_back(self._work(request))
        except BaseException:  # cancelled: nobody may wait for ever
            self._let_go(self._work(request))
            self.sharing.give_back(self._work(request))
            ended = HookFailed("The item that asked for it first was given up", "interrupted")
            failure = self._settle(ended, request, info)
            self._cache_result_and_execute_waiters(failure, fingerprint, info)
            info.downloaded.pop(fingerprint, None)  # the next one who asks may have it
            raise
        self._cache_result_and_execute_waiters(result, fingerprint, info)
        return result

    async def _obtain(
        self,
        ask: Ask,
        fingerprint: bytes,
        request: Request,
        info: MediaPipeline.SpiderInfo,
        item: Any,
    ) -> FileInfo | Failure:
        swallowed: Exception | None = None
        try:
            with self.turns.undecided():
                result = await self._looked_up(request, info, item)
            while not result:
                result, swallowed = await self._fetched(fingerprint, request, info, item)
                if result is _AGAIN:
                    await self.retries.wait(self._work(request))
                    result = None
                elif result is _ELSEWHERE:
                    await self.sharing.wait(self._work(request))
                    result = await self._news(request, info, item)
                elif result is _UNCHANGED:
                    result = await self._renewed(request, info, item)
                elif not result:
                    break
            result = await self._published(result) if result else result
        except asyncio.CancelledError:
            task = asyncio.current_task() if is_asyncio_available() else None
            if task is not None and task.cancelling():
                raise  # the item itself is given up
            ended = HookFailed("A hook ended in CancelledError", "interrupted")
            return self._failed(ask, ended, request, info)
        except Exception as error:  # noqa: BLE001 - each ends as a failed result
            return self._failed(ask, error, request, info)
        status = result.get("status") if isinstance(result, dict) else None
        outcome = OUTCOMES.get(status or "downloaded", Outcome.STORED)
        ask.outcome = outcome if swallowed is None else outcome_of(swallowed)
        self._watch_store(ask.outcome, written=True)
        return result

    def _failed(
        self, ask: Ask, error: Exception, request: Request, info: MediaPipeline.SpiderInfo
    ) -> Failure:
        ask.outcome = outcome_of(error)
        self._watch_store(ask.outcome, written=bool(self._work(request).http_status))
        return self._settle(error, request, info)

    async def _looked_up(
        self, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> FileInfo | None:
        self._check_store()
        try:
            return await self._stored(request, info, item)
        except (ImagePipeError, FileException):
            raise
        except Exception as error:
            log_once(error, request, info)
            raise HookFailed(one_line(error)) from error

    async def _stored(
        self, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> FileInfo | None:
        found = call(self.media_to_download, request, info, item=item)
        result: FileInfo | None = await ensure_awaitable(found)
        return result

    async def _fetched(
        self, fingerprint: bytes, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> tuple[Any, Exception | None]:
        """Return a result, and beside it the error where ``media_failed`` swallowed one."""
        downloaded, response = False, None
        ticket = self.priorities.ticket_for(fingerprint, request)
        work = self._work(request)
        try:
            self._check_store()
            await self.turns.turn_of(ticket)
            self._check_store()
            if spared := await self._spared(work, request, info, item):
                return spared, None
            self._modify_media_request(request)
            response = await self._downloaded(request, work)
            downloaded = True
            if work.unchanged or (work.conditional and work.http_status == _NOT_MODIFIED):
                return _UNCHANGED, None
            self.turns.landed(ticket, *self._weights(response))
            await self.turns.turn_of(ticket)
            return await ensure_awaitable(
                call(self.media_downloaded, response, request, info, item=item)
            ), None
        except Exception as caught:  # noqa: BLE001 - the user's hook decides
            self._let_go(work)
            if isinstance(caught, Overtaken) or self.sharing.is_lost(work):
                await self.sharing.overtaken(work)
                return _ELSEWHERE, None
            error = judged(caught, downloaded=downloaded)
            if await self.retries.may_help(error, response, request, work):
                return _AGAIN, None
            failure: Failure = Failure(caught)  # type: ignore[no-untyped-call]
            failure.imgpipe_downloaded = downloaded  # type: ignore[attr-defined]
            hook: Callable[..., Any] = self.media_failed
            result = await ensure_awaitable(hook(failure, request, info))
        finally:
            work.attempts += ticket.attempts
            self.turns.leave(ticket)
        if isinstance(result, Failure):
            warnings.warn(
                f"{global_object_name(self.media_failed)} returned a Failure instance."
                " This is deprecated, please raise an exception instead.",
                category=ScrapyDeprecationWarning,
                stacklevel=1,
            )
            result.raiseException()
        return result, error.with_traceback(None)

    async def _spared(
        self, work: Work, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> Any:
        """Return what spares a download, another crawl's doing; None where it is ours to do."""
        held, news = work.lease, None
        if not await self.sharing.take(work):
            return _ELSEWHERE
        if work.lease is not held:
            news = await self._news(request, info, item)
        if not news and not takes_requests(self.crawler):
            raise HookFailed("The crawl ended before it was downloaded", "interrupted")
        return news

    async def _downloaded(self, request: Request, work: Work) -> Response:
        """Return the response to *request*; under conditions, where something is stored of it."""
        conditions = {} if work.conditional else self._conditions(request)
        for name, value in conditions.items():
            request.headers[name] = value.encode("latin-1", "replace")
        work.conditional = bool(conditions)
        sent = sendable(request)
        began = perf_counter()
        try:
            response: Response = await self.hops.download(sent, self._watch(work))
        finally:
            work.downloading += perf_counter() - began
            for name in conditions:
                del request.headers[name]
        if isinstance(response, Response):  # who overrides media_downloaded takes anything
            work.http_status = response.status
            work.bytes_in += len(response.body)
            # validators are those of the URL that answered (RFC 9110, 8.8)
            same = response.url == sent.url
            work.etag, work.last_modified = validators(response) if same else ("", "")
            work.unchanged = same and work.conditional and response.status == _NOT_MODIFIED
        return response

    def media_failed(
        self, failure: Failure, request: Request, info: MediaPipeline.SpiderInfo
    ) -> NoReturn:
        """Say in one log line why *request* failed, and raise our error for it.

        Raises:
            FileException: the error in *failure* where it is one already, else
                one of ours with its ``code``.
        """
        raised = error_in(failure)
        error = judged(raised, downloaded=getattr(failure, "imgpipe_downloaded", False))
        if isinstance(error, HookFailed):  # its traceback helps
            log_once(raised, request, info)
            mark(error, logged=True)
        log_once(error, request, info)
        raise as_scrapys(error) from None

    def _cache_result_and_execute_waiters(
        self, result: FileInfo | Failure, fp: bytes, info: MediaPipeline.SpiderInfo
    ) -> None:
        kept = result
        if isinstance(result, Failure):
            make_lean(result)
            error = error_in(result)
            try:
                bodiless = without_bodies(error)
            except Exception:  # noqa: BLE001 - a user's class that cannot be copied
                bodiless = translate(HookFailed(one_line(error)))
            kept = result if bodiless is error else lean_failure(bodiless)
        info.downloading.remove(fp)
        self.priorities.forget(fp)
        info.downloaded[fp] = kept
        for waiter in info.waiting.pop(fp):
            waiter.callback((result,))  # type: ignore[arg-type]  # a tuple: no errback chain
