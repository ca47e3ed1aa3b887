"""What Scrapy's own downloader middlewares do, or are about to do, as facts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from scrapy.utils.defer import deferred_from_coro, maybe_deferred_to_future
from w3lib.http import basic_auth_header
from w3lib.url import safe_url_string

from scrapy_imgpipe.errors import DownloadFailed
from scrapy_imgpipe.guards import shown_entry, without_credentials

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from scrapy.http import Request, Response
    from twisted.internet.defer import Deferred

#: What an encoded body may grow to, in bytes, and how many times its length; no picture
#: is sent with a Content-Encoding that gains more, but for some icons.
LEAST_GROWN = 16 << 20
MOST_GROWTH = 100

#: What a robots.txt may have, encoded and decoded, in bytes: "at least 500 kibibytes"
#: (RFC 9309, 2.5). Scrapy's parser takes 0.3 s for a MB of them on the event loop.
MOST_OF_ROBOTS = 512 << 10

# Keys in ``Request.meta``: Scrapy's for a limit of bytes, and ours to keep a user's in.
_LIMIT = "download_maxsize"
_USERS_LIMIT = "imgpipe_maxsize"

_REDIRECTS = frozenset({301, 302, 303, 307, 308})  # RedirectMiddleware.process_response


def watch_fetches(crawler: Crawler, prepare: Callable[[Request], Awaitable[None] | None]) -> None:
    """Have *prepare* called with each request before any downloader middleware sees it.

    With redirects and retries, wherever they come from: the network, a cache, a page. If it
    returns something to await, the request waits for that, in the place of no other one, and
    fails with what that raises. A downloader of another make is left alone.
    """
    downloader: Any = getattr(crawler.engine, "downloader", None)
    fetch: Callable[..., Deferred[Any]] | None = getattr(downloader, "fetch", None)
    if fetch is None:
        return

    async def prepare_and_fetch(awaited: Awaitable[None], *args: Any) -> Any:
        await awaited
        return await maybe_deferred_to_future(fetch(*args))

    def prepared(request: Request, *args: Any) -> Deferred[Any]:
        awaited = prepare(request)
        if awaited is None:
            return fetch(request, *args)
        return deferred_from_coro(prepare_and_fetch(awaited, request, *args))

    downloader.fetch = prepared


def bound_robots(request: Request, most: int) -> None:
    """Let a robots.txt be no longer than its limit, nor grow beyond that when it is decoded.

    Of one that does Scrapy knows no rules: all is allowed.

    Args:
        request: for it.
        most: ``DOWNLOAD_MAXSIZE``; 0 is none.
    """
    request.meta.setdefault(_LIMIT, min(most, MOST_OF_ROBOTS) if most > 0 else MOST_OF_ROBOTS)


def restore_limit(request: Request) -> None:
    """Give *request* the limit of bytes that its user gave it, if any.

    It, or the copy of it for a next hop, has the one that another response could grow to.
    """
    if _USERS_LIMIT in request.meta:
        limit = request.meta[_LIMIT] = request.meta.pop(_USERS_LIMIT)
        if limit is None:
            del request.meta[_LIMIT]


def bound_growth(request: Request, length: int, most: int) -> None:
    """Let a body of *length* bytes grow to some size only when it is decoded.

    ``HttpCompressionMiddleware`` looks for the limit where the download handler did.
    """
    limit = request.meta.setdefault(_USERS_LIMIT, request.meta.get(_LIMIT))
    grown = max(LEAST_GROWN, MOST_GROWTH * length)
    for other in (most, limit):
        if isinstance(other, int) and other > 0:
            grown = min(grown, other)
    request.meta[_LIMIT] = grown


def grew_too_large(error: BaseException) -> bool:
    """Return whether *error* is ``HttpCompressionMiddleware``'s for a body that grew too large."""
    return type(error.__cause__).__name__ == "_DecompressionMaxSizeExceeded"


def redirected_to(request: Request, response: Response) -> str:
    """Return where ``RedirectMiddleware`` is about to go, empty where it is not.

    User and password are taken from *response*: the downloader refuses them, and the log
    would show them.

    Raises:
        DownloadFailed: it would go to what is no URL; Scrapy's own error tells the password.
    """
    meta, status = request.meta, response.status
    kept = meta.get("handle_httpstatus_all") or status in meta.get("handle_httpstatus_list", ())
    if status not in _REDIRECTS or meta.get("dont_redirect") or kept:
        return ""
    location = response.headers.get("Location")
    if not location:
        return ""
    try:
        url = without_credentials(urljoin(request.url, safe_url_string(location)))
    except ValueError:  # so would the middleware find
        shown = shown_entry(location.decode("latin-1"))
        raise DownloadFailed(f"It redirects to what is no URL: {shown}") from None
    response.headers["Location"] = url
    return url


def authorization(user: str, password: str) -> bytes:
    """Return the header that ``HttpAuthMiddleware`` would send, in UTF-8."""
    header: bytes = basic_auth_header(user, password, "utf-8")
    return header
