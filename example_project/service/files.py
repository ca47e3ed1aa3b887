"""Stored files, as HTTP wants them: by what is in them, and not sent twice."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from litestar import Request, Response

from scrapy_imgpipe.imaging import format_of, media_type_of
from service import layout
from service.problems import NotThere

if TYPE_CHECKING:
    from scrapy_imgpipe.stores import Stat, Store
    from service.engine import Engine

#: How long a file may be taken as it is, in seconds: a crawl may download it again.
FRESH_SECONDS: Final = 3600


async def sent(
    path: str, request: Request[Any, Any, Any], store: Store, engine: Engine
) -> Response[bytes]:
    """Return the answer to a request for the file *path*; 304 where it is known there.

    Raises:
        NotThere: there is none.
        StoreFailed: it cannot be read.
    """
    stat = await engine.run(layout.find, store, path)
    if stat is None:
        raise NotThere(f"There is no file {path!r}")
    headers = {
        "ETag": _tag(stat),
        "Last-Modified": format_datetime(_time(stat), usegmt=True),
        "Cache-Control": f"public, max-age={FRESH_SECONDS}",
    }
    if _is_known(request, stat):
        return Response(b"", status_code=304, headers=headers, media_type="")
    data = await engine.run(store.get, path)
    if data is None:
        raise NotThere(f"There is no file {path!r}")
    # A name may say anything, and a store of a crawl may hold anything.
    kind = media_type_of(format_of(data))
    return Response(data, headers=headers, media_type=kind)


def _is_known(request: Request[Any, Any, Any], stat: Stat) -> bool:
    """Return whether who asks has the file as it is (RFC 9110, 13.2.2)."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        known = {tag.strip().removeprefix("W/") for tag in tags.split(",")}
        return "*" in known or _tag(stat) in known
    since = request.headers.get("if-modified-since")
    try:
        return since is not None and parsedate_to_datetime(since) >= _time(stat)
    except (ValueError, TypeError):  # no date, or one without a zone
        return False


def _tag(stat: Stat) -> str:
    return f'"{stat.checksum or f"{stat.modified:.6f}"}-{stat.bytes:x}"'


def _time(stat: Stat) -> datetime:
    return datetime.fromtimestamp(int(stat.modified), UTC)
