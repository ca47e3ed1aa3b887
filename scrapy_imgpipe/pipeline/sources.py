"""From the entries of an item's URL field to requests, one per entry.

An entry that cannot be downloaded becomes an :class:`UnusableRequest`, which
costs that entry only: it keeps its place, is never sent, and ends as a failed
result with a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

from itemadapter import ItemAdapter
from scrapy.http import Request
from scrapy.http.request import NO_CALLBACK

from scrapy_imgpipe.candidates import candidates_of
from scrapy_imgpipe.compat.middlewares import authorization
from scrapy_imgpipe.errors import SourceRejected
from scrapy_imgpipe.guards import (
    check_entry,
    credentials_in,
    shown_entry,
    shown_url,
    shown_value,
    without_credentials,
)

#: Longest part of an unusable entry that is repeated in messages and URLs.
_SHOWN_CHARACTERS = 200
#: Longest part of one that a log line shows in the place of a request.
_LOGGED_CHARACTERS = 1000
#: Longest part of one that is no text, as text.
_MOST_CHARACTERS = 100_000
#: Key in ``meta`` of the URLs to try when a request fails.
CANDIDATES = "imgpipe_candidates"

#: Key in ``meta`` of a URL as the item has it, where the request has another.
ENTRY = "imgpipe_entry"

#: Candidates of one entry that are tried; no page has as many for one picture.
_MOST = 32

_PREFIX = "imgpipe-unusable://entry/"

_lenient: ContextVar[bool] = ContextVar("imgpipe_lenient", default=False)


@contextmanager
def lenient() -> Iterator[None]:
    """Let :func:`requests_for` take any container while this is entered.

    Scrapy raises ``TypeError`` for anything but a list, and its callers may
    count on that; inside ``process_item`` a tuple, a set or a generator is as
    good as a list.
    """
    token = _lenient.set(True)
    try:
        yield
    finally:
        _lenient.reset(token)


class UnusableRequest(Request):
    """Stands for an entry that cannot be downloaded; never sent.

    A request, so that overrides of ``get_media_requests`` that go through
    ``super()`` may treat it like any other: ``replace``, ``meta``, ``url``.

    Args:
        url: our own scheme, with the entry behind it.
        entry: what the item had in its place, as text.
        reason: why it cannot be downloaded, one sentence.
    """

    attributes: tuple[str, ...] = (*Request.attributes, "entry", "reason")

    def __init__(
        self, url: str, *args: Any, entry: str = "", reason: str = "", **kwargs: Any
    ) -> None:
        super().__init__(url, *args, **kwargs)
        self.entry = entry
        self.reason = reason

    def __repr__(self) -> str:
        """Return what the log shows in place of a request: the entry as the page has it."""
        return f"<{shown_value(self.entry, _LOGGED_CHARACTERS)}>"

    __str__ = __repr__


def requests_for(item: Any, field: str) -> list[Request]:
    """Return one request per entry of *field* of *item*, in order.

    A generator is replaced in the item by the list of what it gave, so that
    later pipelines see the URLs too. No field, or None in it, means no images.

    Raises:
        TypeError: where *field* is no list, outside :func:`lenient`.
    """
    adapter = ItemAdapter(item)
    value = adapter.get(field, [])
    if isinstance(value, list):
        return [_request(entry) for entry in value]
    if not _lenient.get():
        msg = f"{field} must be a list of URLs, got {type(value).__name__}. "
        raise TypeError(msg)
    if value is None:
        return []
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        return [
            _unusable(value, f"Expected a list of URLs for {field} but received {_shown(value)}")
        ]
    entries = list(value)
    if isinstance(value, Iterator):
        adapter[field] = entries
    return [_request(entry) for entry in entries]


def check_request(request: object) -> Request:
    """Return *request*, or say why it is none that can be sent.

    Raises:
        SourceRejected: code ``bad-url``.
    """
    if not isinstance(request, Request):
        msg = f"Expected a Request from get_media_requests but received {_shown(request)}"
        raise SourceRejected(msg, "bad-url")
    if isinstance(request, UnusableRequest):
        raise SourceRejected(request.reason, "bad-url")
    if request.url.startswith(_PREFIX):
        msg = f"Expected an absolute URL but received {unquote(request.url[len(_PREFIX) :])!r}"
        raise SourceRejected(msg, "bad-url")
    return request


class _Quiet:
    """What makes a request one that Scrapy's log shows as ours does, and its copies as well.

    Where a redirect leads to a URL with user and password, middlewares make a copy with it.
    """

    __slots__ = ()

    def __repr__(self: Any) -> str:
        return f"<{self.method} {shown_url(self.url)}>"

    __str__ = __repr__

    def replace(self, *args: Any, **kwargs: Any) -> Any:
        return sendable(super().replace(*args, **kwargs))  # type: ignore[misc]


@lru_cache(maxsize=256)
def _quiet_kind(kind: type[Request]) -> type[Request]:
    names = {"__slots__": (), "__module__": kind.__module__, "__doc__": kind.__doc__}
    quiet_kind: type[Request] = type(kind.__name__, (_Quiet, kind), names)
    return quiet_kind


def quiet(request: Request) -> Request:
    """Return *request* itself, with no user and password in the lines of Scrapy's log.

    Its class becomes one derived from it, for a copy would part it from the ``meta`` that
    hooks look at. A class that cannot be derived from stays.
    """
    if not isinstance(request, _Quiet):
        with suppress(TypeError):
            request.__class__ = _quiet_kind(type(request))  # type: ignore[arg-type]  # a class has a hash
    return request


def sendable(request: Request) -> Request:
    """Return what to send for *request*: it, or a copy where its URL has user and password.

    Those go into a header: the downloader of Scrapy refuses such a URL, and its log would
    show it. A ``data:`` URL keeps its bytes out of the log.
    """
    credentials = credentials_in(request.url)
    if credentials is None:
        return quiet(request)
    sent = quiet(request.replace(url=without_credentials(request.url)))
    if sent.url.startswith("ftp:"):
        sent.meta.setdefault("ftp_user", credentials[0])
        sent.meta.setdefault("ftp_password", credentials[1])
    else:
        sent.headers.setdefault("Authorization", authorization(*credentials))
    return sent


def asked_url(request: object) -> str:
    """Return what the item had in the place of *request*: a URL, or anything as text."""
    if isinstance(request, UnusableRequest):
        return request.entry
    if isinstance(request, Request) and ENTRY in request.meta:
        return str(request.meta[ENTRY])
    return request.url if isinstance(request, Request) else _shown(request)


def candidates_after(request: object) -> list[Request]:
    """Return the requests to send when *request* fails, in order.

    They are as *request* is now, with whatever a user gave it, but for their URLs.
    """
    if not isinstance(request, Request):
        return []
    urls = request.meta.pop(CANDIDATES, ())
    return [request.replace(url=url, meta={**request.meta, ENTRY: entry}) for url, entry in urls]


def _request(entry: object) -> Request:
    candidates = candidates_of(entry)
    if candidates is None:
        return _request_of_one(entry)
    requests = [_request_of_one(candidate) for candidate in candidates]
    usable = [request for request in requests if not isinstance(request, UnusableRequest)]
    if not usable:
        reason = requests[0].reason if requests else "Expected a URL but the list is empty"  # type: ignore[attr-defined]
        return _unusable(entry, reason)
    if usable[1:]:
        usable[0].meta[CANDIDATES] = tuple((r.url, asked_url(r)) for r in usable[1:_MOST])
    return usable[0]


def _request_of_one(entry: object) -> Request:
    try:
        entry = check_entry(entry)
    except SourceRejected as error:
        return _unusable(entry, error.reason)
    try:
        request = Request(entry, callback=NO_CALLBACK)
    except ValueError as error:
        reason = f"Expected an absolute URL but received {_shown(entry)}"
        if "@" not in entry or shown_entry(entry) == entry:  # else it may tell of a password
            reason = f"{reason}: {str(error)[:_LOGGED_CHARACTERS]}"
        return _unusable(entry, reason)
    if request.url != entry:  # Request escapes what a URL may not have
        request.meta[ENTRY] = entry
    return request


def _unusable(entry: object, reason: str) -> UnusableRequest:
    text = entry if isinstance(entry, str) else shown_value(entry, _MOST_CHARACTERS)
    shown = shown_entry(text)[:_SHOWN_CHARACTERS]
    url = f"{_PREFIX}{quote(shown, safe='', errors='replace')}"
    return UnusableRequest(url, callback=NO_CALLBACK, entry=text, reason=reason)


def _shown(value: object) -> str:
    return f"{shown_value(value, _SHOWN_CHARACTERS)} of type {type(value).__name__}"
