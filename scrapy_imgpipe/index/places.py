"""Which index is meant, and whose it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

from scrapy_imgpipe.index.redis import RedisIndex
from scrapy_imgpipe.index.redis_server import is_url
from scrapy_imgpipe.index.sqlite import SqliteIndex

if TYPE_CHECKING:
    from scrapy_imgpipe.index.protocol import Index

#: Instead of a place: there is to be no index.
OFF: Final = "off"


def index_at(place: str | Path, store: str, key: str = "IMGPIPE_INDEX") -> Index | None:
    """Return the index at *place*, which is opened when it is first asked.

    Args:
        place: its file, the URL of a Redis or Valkey server, or ``off``.
        store: address of the store that it belongs to, as :func:`store_address` returns it;
            one server has the indexes of many.
        key: of the setting that *place* stands in.

    Returns:
        The index; None for ``off``.

    Raises:
        SettingError: the URL cannot be used, or redis is not installed; no network.
    """
    if place == OFF:
        return None
    if isinstance(place, str) and is_url(place):
        return RedisIndex(place, store, key)
    return SqliteIndex(place)


def store_address(store_uri: str, *servers: str) -> str:
    """Return what tells the store at *store_uri*, on one of *servers* if any, from all others.

    It is the same however the store is written, and has no password.
    """
    return "\n".join((_place(store_uri), *filter(None, servers)))


def _place(store_uri: str) -> str:
    """Return the address of a store, the same however it is written, and without passwords."""
    parts = urlsplit(store_uri)
    if os.path.isabs(store_uri) or parts.scheme in {"", "file"}:  # noqa: PTH117
        path = parts.path if parts.scheme == "file" else store_uri
        return Path(path).absolute().as_posix()
    address = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, address, parts.path.rstrip("/"), "", ""))
