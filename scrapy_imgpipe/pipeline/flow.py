"""From an item to the results of its sources: ask, join, obtain, settle.

Rules of this file: it knows requests, responses and failures, never images or
stores. Each source ends in :meth:`SourceFlow._settle` or with a result, is
counted once and logged at most once, and never costs the item or the others.

Scrapy's names are kept where subclasses and tests reach for them:
``info.downloading``, ``info.waiting``, ``info.downloaded`` and
``_cache_result_and_execute_waiters`` mean what they mean there.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
import warnings
from typing import TYPE_CHECKING, Any, NoReturn

from scrapy.exceptions import ScrapyDeprecationWarning
from scrapy.http import Request, Response
from scrapy.http.request import NO_CALLBACK
from scrapy.utils.asyncio import is_asyncio_available
from scrapy.utils.defer import ensure_awaitable, maybe_deferred_to_future
from scrapy.utils.misc import arg_to_iter
from scrapy.utils.python import global_object_name
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from scrapy_imgpipe import stats
from scrapy_imgpipe.compat import (
    FileException,
    current_page,
    gather,
    lean_failure,
    make_lean,
    referrer_policy,
    translate,
    without_bodies,
)
from scrapy_imgpipe.errors import HookFailed, ImagePipeError
from scrapy_imgpipe.guards import check_url
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
from scrapy_imgpipe.pipeline.settings import Configured
from scrapy_imgpipe.pipeline.sources import asked_url, check_request, lenient, requests_for
from scrapy_imgpipe.records import Outcome, own_copy

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrapy.pipelines.media import FileInfo, FileInfoOrError, MediaPipeline
    from scrapy.spidermiddlewares.referer import ReferrerPolicy

    from scrapy_imgpipe.pipeline.priorities import Priorities
    from scrapy_imgpipe.pipeline.turns import Turns

_logger = logging.getLogger(__name__)

_OUTCOMES = {
    "downloaded": Outcome.STORED,
    "cached": Outcome.CACHED,
    "uptodate": Outcome.UP_TO_DATE,
}


class _First(Deferred[Any]):
    """Stands in ``info.waiting`` for who asked first, and has the result without it."""

    def callback(self, result: object) -> None:
        """Do nothing."""


_FIRST = _First()


class SourceFlow(Configured):
    """The part of the pipeline that turns items into asks and asks into results."""

    turns: Turns
    priorities: Priorities
    _first_ask: float | None = None
    _referrer_policy: ReferrerPolicy | None = None

    async def process_item(self, item: Any, spider: object = None) -> Any:
        """Download, render and store the images of *item*, and fill its field.

        Where ``get_media_requests`` raises, what it had yielded is processed
        first, then the item fails with that error, as in Scrapy.
        """
        info = self.spiderinfo
        if self._first_ask is None:
            self._first_ask = time.monotonic()
        requests, error = await self._requests_of(item, info)
        results: list[FileInfoOrError] = []
        if requests:
            results = await gather([self._ask(request, info, item) for request in requests])
        if error is not None:
            raise error
        return await ensure_awaitable(self.item_completed(results, item, info))

    def get_media_requests(self, item: Any, info: MediaPipeline.SpiderInfo) -> list[Request]:
        """Return one request per entry of the item's URL field, in order.

        An entry that cannot be downloaded gives a request that is never sent
        and ends as a failed result.

        Raises:
            TypeError: where the field is no list and the caller is not
                ``process_item``, which takes any iterable.
        """
        return requests_for(item, self.images_urls_field)

    async def _requests_of(
        self, item: Any, info: MediaPipeline.SpiderInfo
    ) -> tuple[list[Any], Exception | None]:
        requests: list[Any] = []
        with lenient():
            try:
                made: Any = self.get_media_requests(item, info)
                if inspect.isasyncgen(made):
                    async for request in made:
                        requests.append(request)  # noqa: PERF401 - kept when it raises
                else:
                    made = await ensure_awaitable(made)
                    for request in arg_to_iter(made):
                        requests.append(request)  # noqa: PERF402 - kept when it raises
            except Exception as error:  # noqa: BLE001 - raised by the caller
                return requests, error
        return requests, None

    async def _ask(
        self, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> FileInfoOrError:
        try:
            check_url(check_request(request).url, self.options.allowed_schemes)
            self._prepare(request)
            result = await self._process_request(request, info, item)
        except Exception as error:  # noqa: BLE001 - each ends as a failed result
            result = self._settle(error, request, info)
        if isinstance(result, Failure):
            result.imgpipe_url = asked_url(request)  # type: ignore[attr-defined]
            return False, result
        return True, result

    def _prepare(self, request: Request) -> None:
        """Give *request* what the settings ask for and the user has not set."""
        if not request.priority:
            request.priority = self.options.priority
        if self.options.allow_offsite:
            request.meta.setdefault("allow_offsite", True)
        page = current_page.get() if self.options.referer else None
        if page is not None and "Referer" not in request.headers:
            if self._referrer_policy is None:
                self._referrer_policy = referrer_policy(self.crawler.settings)
            value = self._referrer_policy.referrer(page, request.url)
            if value is not None:
                request.headers["Referer"] = value

    async def _process_request(  # type: ignore[override]  # a failure is returned, not raised
        self, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> FileInfo | Failure:
        """Obtain *request* once: who asks for it again waits for the first."""
        fingerprint = self._fingerprinter.fingerprint(request)
        errback = request.errback
        request.callback, request.errback = NO_CALLBACK, None
        if fingerprint in info.downloaded:
            self._count(Outcome.JOINED)
            result = info.downloaded[fingerprint]
        else:
            waiters = info.waiting[fingerprint]
            if fingerprint in info.downloading:
                self._count(Outcome.JOINED)
                self.priorities.lend(fingerprint, request.priority)
                waiter: Deferred[Any] = Deferred()
                waiters.append(waiter)
                (result,) = await maybe_deferred_to_future(waiter)
            else:
                info.downloading.add(fingerprint)
                waiters.append(_FIRST)
                result = await self._obtain_for_all(fingerprint, request, info, item)
        if isinstance(result, Failure):
            return await self._through_errback(lean_failure(error_in(result)), errback)
        copied: FileInfo = own_copy(result)
        return copied

    async def _obtain_for_all(
        self, fingerprint: bytes, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> FileInfo | Failure:
        try:
            result = await self._obtain(fingerprint, request, info, item)
        except BaseException:  # cancelled: nobody may wait for ever
            ended = HookFailed("The item that asked for it first was given up", "interrupted")
            failure = self._settle(ended, request, info)
            self._cache_result_and_execute_waiters(failure, fingerprint, info)
            info.downloaded.pop(fingerprint, None)  # the next one who asks may have it
            raise
        self._cache_result_and_execute_waiters(result, fingerprint, info)
        return result

    async def _obtain(
        self, fingerprint: bytes, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> FileInfo | Failure:
        swallowed: Exception | None = None
        try:
            with self.turns.undecided():
                result = await self._looked_up(request, info, item)
            if not result:
                result, swallowed = await self._fetched(fingerprint, request, info, item)
        except asyncio.CancelledError:
            task = asyncio.current_task() if is_asyncio_available() else None
            if task is not None and task.cancelling():
                raise  # the item itself is given up
            ended = HookFailed("A hook ended in CancelledError", "interrupted")
            return self._settle(ended, request, info)
        except Exception as error:  # noqa: BLE001 - each ends as a failed result
            return self._settle(error, request, info)
        status = result.get("status") if isinstance(result, dict) else None
        outcome = _OUTCOMES.get(status or "downloaded", Outcome.STORED)
        self._count(outcome if swallowed is None else outcome_of(swallowed))
        return result

    async def _looked_up(
        self, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> FileInfo | None:
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
        downloaded = False
        ticket = self.priorities.ticket_for(fingerprint, request)
        try:
            await self.turns.turn_of(ticket)
            self._modify_media_request(request)
            response: Response = await self.crawler.engine.download_async(request)
            downloaded = True
            self.turns.landed(ticket, *self._weights(response))
            await self.turns.turn_of(ticket)
            return await ensure_awaitable(
                call(self.media_downloaded, response, request, info, item=item)
            ), None
        except Exception as caught:  # noqa: BLE001 - the user's hook decides
            error = judged(caught, downloaded=downloaded)
            failure: Failure = Failure(caught)  # type: ignore[no-untyped-call]
            failure.imgpipe_downloaded = downloaded  # type: ignore[attr-defined]
            hook: Callable[..., Any] = self.media_failed
            result = await ensure_awaitable(hook(failure, request, info))
        finally:
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

    def _weights(self, response: Response) -> tuple[int, int]:
        """Return the bytes of memory that *response* holds, and that storing it will take."""
        raise NotImplementedError

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

    def _settle(
        self, error: Exception, request: Request, info: MediaPipeline.SpiderInfo
    ) -> Failure:
        """Log *error* unless that was done, count its outcome, return it without weight."""
        log_once(error, request, info)
        outcome = outcome_of(error)
        self._count(outcome)
        error = as_scrapys(error)
        mark(error, outcome=outcome)
        return lean_failure(error)

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

    async def _through_errback(
        self, failure: Failure, errback: Callable[[Failure], Any] | None
    ) -> FileInfo | Failure:
        if errback is None:
            return failure
        try:
            result: FileInfo | Failure = await ensure_awaitable(errback(failure))
        except Exception as error:  # noqa: BLE001 - the errback's own failure is the result
            return lean_failure(error)
        return result

    def _count(self, outcome: str) -> None:
        self.crawler.stats.inc_value(stats.OUTCOME + outcome)
