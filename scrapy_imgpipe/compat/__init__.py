"""Each version-dependent or private Scrapy name, as a named fact.

Nothing else in the package compares versions or reaches into Scrapy's privates.
Supported: Scrapy 2.16 and later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from scrapy.http import Response
from scrapy.pipelines.images import ImageException
from scrapy.spidermiddlewares.referer import RefererMiddleware, ReferrerPolicy
from scrapy.utils.asyncio import is_asyncio_available
from scrapy.utils.defer import deferred_from_coro
from twisted.internet.defer import DeferredList
from twisted.python.failure import Failure

from scrapy_imgpipe.errors import (
    DownloadFailed,
    HookFailed,
    ImageBroken,
    ImagePipeError,
    SourceRejected,
    StoreFailed,
)

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from scrapy.pipelines.media import FileException as FileException
    from scrapy.pipelines.media import _MediaRequestFiltered as MediaRequestFiltered
    from scrapy.settings import BaseSettings
else:
    try:  # Scrapy >= 2.18: filtered requests are told apart from failed ones
        from scrapy.pipelines.media import FileException
        from scrapy.pipelines.media import _MediaRequestFiltered as MediaRequestFiltered
    except ImportError:  # Scrapy 2.16, 2.17
        from scrapy.pipelines.files import FileException

        MediaRequestFiltered = FileException

_T = TypeVar("_T")

#: URL of the page whose callback yielded the item that is being processed.
current_page: ContextVar[str | None] = ContextVar("imgpipe_current_page", default=None)


class _Rejected(SourceRejected, ImageException):
    """As Scrapy's too small images: an ``ImageException``."""


class _Filtered(SourceRejected, MediaRequestFiltered):
    """As Scrapy's filtered requests."""


class _Failed(DownloadFailed, FileException):
    """As Scrapy's failed downloads."""


class _Broken(ImageBroken, ImageException):
    """As an image that Scrapy cannot open."""


class _Unstored(StoreFailed, FileException):
    """As whatever a store raised in Scrapy."""


class _Hook(HookFailed, FileException):
    """As whatever an overridden method raised in Scrapy."""


_FOR_SCRAPY: dict[type[ImagePipeError], type[ImagePipeError]] = {
    SourceRejected: _Rejected,
    DownloadFailed: _Failed,
    ImageBroken: _Broken,
    StoreFailed: _Unstored,
    HookFailed: _Hook,
}
for _known in (*_FOR_SCRAPY.values(), _Filtered):
    _known.__name__ = _known.__bases__[0].__name__  # what a user's log shows


def translate(error: ImagePipeError) -> ImagePipeError:
    """Return *error* as Scrapy users expect it: a ``FileException`` as well.

    Code and reason stay; an error that is one already comes back as it is.
    """
    if isinstance(error, FileException):
        return error
    if error.code == "filtered":
        return _Filtered(error.reason, error.code)
    for ours, scrapys in _FOR_SCRAPY.items():
        if type(error) is ours:
            return scrapys(error.reason, error.code)
        if isinstance(error, ours):  # of a class that a user derived from ours
            kind = type(type(error).__name__, (type(error), scrapys), {"codes": error.codes})
            known: ImagePipeError = Exception.__new__(kind)
            known.__dict__.update(vars(error))
            known.args = error.args
            return known
    return _Hook(error.reason)  # a SettingError in a hook, say


async def gather(coros: list[Coroutine[Any, Any, _T]]) -> list[_T]:
    """Run *coros* at once and return their results in order, with or without asyncio.

    They must not raise: the first error would hide the other results.
    """
    if len(coros) == 1:
        return [await coros[0]]
    if is_asyncio_available():
        return list(await asyncio.gather(*coros))
    results = await DeferredList([deferred_from_coro(coro) for coro in coros])
    return [value for _, value in results]


def lean_failure(error: BaseException) -> Failure:
    """Return *error* as a failure that holds nothing but the error itself.

    Tracebacks and chained errors are cut from *error*: their frames hold the
    response body and the decoded bitmap for as long as somebody keeps the
    failure (``benchmarks/failures.py`` prints how much that is in Scrapy).
    """
    seen: BaseException | None = error
    while seen is not None:
        following = seen.__cause__ or seen.__context__
        seen.__traceback__ = None
        seen.__cause__ = seen.__context__ = None
        seen = following
    failure: Failure = Failure(error)  # type: ignore[no-untyped-call]
    return failure


def make_lean(failure: Failure) -> None:
    """Cut from *failure*, in place, what :func:`lean_failure` cuts from an error."""
    if failure.value is not None:
        failure.__dict__.update(lean_failure(failure.value).__dict__)
        failure.frames = []


def without_bodies(error: BaseException) -> BaseException:
    """Return *error*, or a copy of it whose responses have empty bodies.

    A user's own error may carry the response (Scrapy's documentation shows
    how); it is handed to ``item_completed`` whole, and kept without its body.
    """
    held = {name: value for name, value in vars(error).items() if isinstance(value, Response)}
    arguments = tuple(_bodiless(argument) for argument in error.args)
    if not held and all(a is b for a, b in zip(arguments, error.args, strict=True)):
        return error
    copy = type(error).__new__(type(error))
    copy.__dict__.update(vars(error))
    copy.args = arguments
    for name, response in held.items():
        setattr(copy, name, _bodiless(response))
    return copy


def _bodiless(value: object) -> object:
    if not isinstance(value, Response):
        return value
    return Response(value.url, status=value.status, headers=value.headers, flags=value.flags)


def watch_pages(crawler: Crawler) -> None:
    """Keep :data:`current_page` at the page that the item in process came from.

    Item pipelines are not told the response. The scraper is: its
    ``start_itemproc_async`` gets item and response, and awaits the pipelines in
    the same context. Installed once per crawl; where that method is not there,
    the page stays None.
    """
    scraper = getattr(crawler.engine, "scraper", None)
    start: Callable[..., Awaitable[None]] | None = getattr(scraper, "start_itemproc_async", None)
    if start is None or hasattr(start, "imgpipe_watches"):
        return

    async def start_and_watch(item: Any, *, response: Any) -> None:
        token = current_page.set(getattr(response, "url", None))
        try:
            await start(item, response=response)
        finally:
            with suppress(ValueError):  # collected after a forced shutdown, in another context
                current_page.reset(token)
            _let_close(scraper)

    start_and_watch.imgpipe_watches = True  # type: ignore[attr-defined]
    scraper.start_itemproc_async = start_and_watch  # type: ignore[union-attr]


def _let_close(scraper: Any) -> None:
    """Let a scraper that waits for its last item close, where that came from no page.

    Scrapy's looks after each response whether it may close, and not after an item that
    ``Spider.start`` has yielded: with one under way, a spider would not close ever.
    """
    slot = getattr(scraper, "slot", None)
    if slot is not None and slot.closing is not None and not slot.closing.called:
        scraper._check_if_closing()  # noqa: SLF001 - see above


def is_closing(crawler: Crawler) -> bool:
    """Return whether the spider of *crawler* is being closed, which waits for its items."""
    slot = getattr(crawler.engine, "_slot", None)
    return slot is not None and slot.closing is not None


def takes_requests(crawler: Crawler) -> bool:
    """Return whether a download may begin: of an engine that has closed, requests end oddly."""
    slot = getattr(crawler.engine, "_slot", None)
    return slot is None or slot.closing is None or not slot.closing.called


def referrer_policy(settings: BaseSettings) -> ReferrerPolicy:
    """Return what decides which ``Referer`` goes where: the policy of ``REFERRER_POLICY``."""
    return RefererMiddleware(settings).default_policy()
