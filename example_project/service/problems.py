"""What goes wrong, as ``application/problem+json`` (RFC 9457) and in our own words."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec

from scrapy_imgpipe import ImageBroken, ImagePipeError, SourceRejected, StoreFailed
from service.settings import MOST_BYTES
from service.wire import Problem

_logger = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"

#: For all answers: they are data, and run nothing, whatever an upload contains.
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

#: Codes of what Litestar refuses, where there is a better one than the words of the status.
_CODES: Final = {413: ("too-many-bytes", f"An image may have {MOST_BYTES:,} bytes")}

#: When somebody who met a full house may come again, in seconds.
RETRY_SECONDS: Final = 5


class Refused(HTTPException):
    """A request that is answered with a problem.

    Args:
        status: of the answer, 400 to 599.
        code: for programs.
        detail: one sentence for people.
        headers: of the answer.
    """

    def __init__(
        self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail=detail, status_code=status, headers=dict(headers or {}))
        self.code = code


class NotThere(Refused):
    """There is nothing under this address."""

    def __init__(self, detail: str) -> None:
        super().__init__(404, "not-found", detail)


class Busy(Refused):
    """As much is under way as there may be."""

    def __init__(self, detail: str) -> None:
        super().__init__(503, "busy", detail, {"Retry-After": str(RETRY_SECONDS)})


def responses(*statuses: int) -> dict[int, ResponseSpec]:
    """Return what the OpenAPI description says of answers with *statuses*."""
    return {
        status: ResponseSpec(
            Problem,
            description=HTTPStatus(status).phrase,
            media_type=MEDIA_TYPE,
            generate_examples=False,
        )
        for status in (*statuses, 421)  # whoever asks by another name, whatever for
    }


def told(status: int, code: str, detail: str, headers: Mapping[str, str] = {}) -> Response[Problem]:
    """Return the answer that tells of a problem."""
    problem = Problem(status, HTTPStatus(status).phrase, detail, code)
    return Response(
        problem, status_code=status, media_type=MEDIA_TYPE, headers={**HEADERS, **headers}
    )


def of_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    """Tell what Litestar or one of us refused."""
    status = error.status_code
    default = HTTPStatus(status).phrase.lower().replace(" ", "-"), error.detail
    code, detail = _CODES.get(status, default)
    if isinstance(error, Refused):
        code, detail = error.code, error.detail
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        wrong = [f"{each.get('key', '?')}: {each.get('message', '')}" for each in error.extra]
        detail = "; ".join(wrong) or detail
    headers = dict(error.headers or {})
    if request.method == "POST":  # or the server would read a body to its end that nobody wants
        headers["Connection"] = "close"
    return told(status, code, detail, headers)


def of_image(_: Request[Any, Any, Any], error: ImagePipeError) -> Response[Problem]:
    """Tell what the library refused: the image, or its store."""
    if isinstance(error, (SourceRejected, ImageBroken)):
        return told(400, error.code, error.reason)
    if error.code == "bad-path":  # no store keeps anything there
        return told(404, "not-found", error.reason)
    if isinstance(error, StoreFailed):  # the store is away; why is for the log
        _logger.error("%s", error)
        headers = {"Retry-After": str(RETRY_SECONDS)}
        return told(503, error.code, "The store does not answer as it should", headers)
    _logger.error("%s", error)
    return told(500, error.code, "Something went wrong here")


def of_rest(_: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Tell that something went wrong, and not what: that is for the log."""
    _logger.error("A request failed", exc_info=error)
    return told(500, "internal", "Something went wrong here")
