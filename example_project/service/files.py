"""Stored files, as HTTP wants them: by what is in them, in pieces, and not sent twice."""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from litestar import Request, Response
from litestar.response import Stream

from scrapy_imgpipe import StoreFailed
from scrapy_imgpipe.imaging import format_of, media_type_of
from scrapy_imgpipe.stores import FileSystemStore, Stat
from service import layout
from service.problems import NotThere

if TYPE_CHECKING:
    from scrapy_imgpipe.stores import Store
    from service.engine import Engine
    from service.turns import Turns

#: How long a file may be taken as it is, in seconds: a crawl may download it again.
FRESH_SECONDS: Final = 3600

#: The most of a file that waits for a reader, in bytes, if it is on this machine.
_PIECE_BYTES: Final = 128 << 10


async def sent(
    path: str, request: Request[Any, Any, Any], store: Store, engine: Engine, reads: Turns
) -> Response[Any]:
    """Return the answer to a request for the file *path*; 304 where it is known there.

    Raises:
        NotThere: there is none.
        Busy: as many are in memory as may be; files of a local store are not.
        StoreFailed: it cannot be read.
    """
    found = await engine.run(layout.find, store, path)
    if found is None:
        raise NotThere(f"There is no file {path!r}")
    if _is_known(request, found.stat):
        return Response(b"", status_code=304, headers=_headers(found.stat), media_type="")
    held: AsyncExitStack = request.scope["state"]["held"]  # until the answer is sent
    if not isinstance(store, FileSystemStore):
        await held.enter_async_context(reads.taken())
    file, stat = await engine.run(_opened, store, path, found.stat)
    held.callback(file.close)
    head = await engine.run(file.read, _PIECE_BYTES)
    # A name may say anything, and a store of a crawl may hold anything.
    kind = media_type_of(format_of(head))
    headers = {"Content-Type": kind, "Content-Length": str(stat.bytes), **_headers(stat)}
    return Stream(_pieces(head, file, engine), headers=headers)


def _headers(stat: Stat) -> dict[str, str]:
    return {
        "ETag": _tag(stat),
        "Last-Modified": format_datetime(_time(stat), usegmt=True),
        "Cache-Control": f"public, max-age={FRESH_SECONDS}",
    }


def _opened(store: Store, path: str, stat: Stat) -> tuple[BinaryIO, Stat]:
    """Return the file, and the stat of the very one that was opened."""
    if isinstance(store, FileSystemStore):
        try:
            file = Path(store.base, path).open("rb")  # noqa: SIM115 - closed by who asks
        except FileNotFoundError:
            raise NotThere(f"There is no file {path!r}") from None
        except OSError as error:
            raise StoreFailed(f"Could not read {path!r}: {error.strerror}") from None
        now = os.fstat(file.fileno())
        return file, Stat(now.st_size, now.st_mtime)
    data = store.get(path)
    if data is None:
        raise NotThere(f"There is no file {path!r}")
    return io.BytesIO(data), Stat(len(data), stat.modified, stat.checksum)


async def _pieces(head: bytes, file: BinaryIO, engine: Engine) -> AsyncIterator[bytes]:
    while head:
        yield head
        head = await engine.run(file.read, _PIECE_BYTES)


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
