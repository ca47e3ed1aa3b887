"""From an item to its asks, and from their results to the item.

Rules of this file: it knows entries, requests and outcomes; how a request is served is
:mod:`.flow`'s. Every ask ends in :meth:`Asking._ended`, is counted there once and leaves
a row in the report.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from scrapy.utils.defer import ensure_awaitable
from scrapy.utils.misc import arg_to_iter
from twisted.python.failure import Failure

from scrapy_imgpipe import stats
from scrapy_imgpipe.compat import current_page, gather, lean_failure, referrer_policy
from scrapy_imgpipe.guards import check_url
from scrapy_imgpipe.pipeline.asks import Ask
from scrapy_imgpipe.pipeline.failures import (
    as_scrapys,
    error_in,
    log_once,
    mark,
    one_line,
    outcome_of,
)
from scrapy_imgpipe.pipeline.settings import Configured
from scrapy_imgpipe.pipeline.sources import (
    asked_url,
    candidates_after,
    check_request,
    lenient,
    requests_for,
)
from scrapy_imgpipe.records import Outcome, failed_result

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrapy.http import Request
    from scrapy.pipelines.media import FileInfo, FileInfoOrError, MediaPipeline
    from scrapy.spidermiddlewares.referer import ReferrerPolicy

    from scrapy_imgpipe.pipeline.reporting import Reporting
    from scrapy_imgpipe.pipeline.watching import Watching


class Asking(Configured):
    """The part of the pipeline that turns items into asks and results into items."""

    reporting: Reporting
    watching: Watching
    _referrer_policy: ReferrerPolicy | None = None

    async def process_item(self, item: Any, spider: object = None) -> Any:
        """Download, render and store the images of *item*, and fill its field.

        Where ``get_media_requests`` raises, what it had yielded is processed
        first, then the item fails with that error, as in Scrapy.
        """
        info = self.spiderinfo
        requests, error = await self._requests_of(item, info)
        results: list[FileInfoOrError] = []
        if requests:
            self.watching.asks(len(requests))
            asks = self.reporting.asks_of(item, requests)
            pairs = zip(asks, requests, strict=True)
            results = await gather([self._ask(*pair, info, item) for pair in pairs])
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
        self, ask: Ask, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> FileInfoOrError:
        """Serve one entry: its request, or the first of its candidates that can be had."""
        try:
            following = candidates_after(request)
            result = await self._served(ask, request, info, item)
            while isinstance(result, Failure) and following:
                request = following.pop(0)
                result = await self._served(ask, request, info, item)
            if isinstance(result, Failure) and ask.errback is not None:
                result = await _through_errback(result, ask.errback)
        except BaseException:
            ask.outcome = Outcome.INTERRUPTED
            self.crawler.stats.inc_value(stats.OUTCOME + ask.outcome)
            self.reporting.ended(ask, failed_result(ask.url, ask.outcome, "The item was given up"))
            raise
        ask.url = asked_url(request)
        await self._ended(ask, result)
        if isinstance(result, Failure):
            result.imgpipe_url = ask.url  # type: ignore[attr-defined]
            return False, result
        return True, result

    async def _served(
        self, ask: Ask, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> FileInfo | Failure:
        try:
            check_url(check_request(request).url, self.options.allowed_schemes)
            self._prepare(request)
            return await self._obtained(ask, request, info, item)
        except Exception as error:  # noqa: BLE001 - each ends as a failed result
            ask.outcome = outcome_of(error)
            return self._settle(error, request, info)

    async def _obtained(
        self, ask: Ask, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> FileInfo | Failure:
        """Return what *request* gives, and note on *ask* how it ended."""
        raise NotImplementedError

    async def _ended(self, ask: Ask, result: FileInfo | Failure) -> None:
        """Count *ask*, and put it into the report."""
        self.crawler.stats.inc_value(stats.OUTCOME + ask.outcome)
        if self.reporting.is_on:
            self.reporting.ended(ask, slot_of(result, ask.url))
            await self.reporting.room()

    def _settle(
        self, error: Exception, request: Request, info: MediaPipeline.SpiderInfo
    ) -> Failure:
        """Log *error* unless that was done, and return it without weight."""
        log_once(error, request, info)
        outcome = outcome_of(error)
        error = as_scrapys(error)
        mark(error, outcome=outcome)
        return lean_failure(error)

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


def slot_of(result: Any, url: str) -> dict[str, Any]:
    """Return what *result* leaves in its slot; a failure says so, with its outcome and reason."""
    if isinstance(result, Failure):
        return failed_result(url, outcome_of(error_in(result)), one_line(result.value))
    return result if isinstance(result, dict) else {}


async def _through_errback(
    failure: Failure, errback: Callable[[Failure], Any] | None
) -> FileInfo | Failure:
    if errback is None:
        return failure
    try:
        result: FileInfo | Failure = await ensure_awaitable(errback(failure))
    except Exception as error:  # noqa: BLE001 - the errback's own failure is the result
        return lean_failure(error)
    return result
