"""What Scrapy's own downloader middlewares do, or are about to do, as facts."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin

from w3lib.http import basic_auth_header
from w3lib.url import safe_url_string

from scrapy_imgpipe.guards import without_credentials

if TYPE_CHECKING:
    from scrapy.http import Request, Response

#: What an encoded body may grow to, in bytes, and how many times its length; no picture
#: is sent with a Content-Encoding that gains more, but for some icons.
LEAST_GROWN = 16 << 20
MOST_GROWTH = 100

# Keys in ``Request.meta``: Scrapy's for a limit of bytes, and ours to keep a user's in.
_LIMIT = "download_maxsize"
_USERS_LIMIT = "imgpipe_maxsize"

_REDIRECTS = frozenset({301, 302, 303, 307, 308})  # RedirectMiddleware.process_response


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
    except ValueError:  # so will the middleware find
        return ""
    response.headers["Location"] = url
    return url


def authorization(user: str, password: str) -> bytes:
    """Return the header that ``HttpAuthMiddleware`` would send, in UTF-8."""
    header: bytes = basic_auth_header(user, password, "utf-8")
    return header
