"""The store that somebody means: a directory, an address, or a store itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from scrapy_imgpipe.errors import SettingError
from scrapy_imgpipe.parsers import Parser, parse
from scrapy_imgpipe.stores.filesystem import FileSystemStore
from scrapy_imgpipe.stores.opening import SCHEMES, open_store
from scrapy_imgpipe.stores.protocol import Store

if TYPE_CHECKING:
    from scrapy_imgpipe.stores.access import Access


def store_at(
    place: str | os.PathLike[str] | Store, access: Access | None = None, key: str = "store"
) -> Store:
    """Return the store at *place*; a directory that is not there is made.

    Args:
        place: a directory, also as ``file:`` URI; a URI as for :func:`open_store`; or a store.
        access: how a store on another machine is reached.
        key: what a message calls it.

    Raises:
        SettingError: it is none of these.
        StoreFailed: the directory cannot be made.
        ImportError: what the scheme needs is not installed.
    """
    if isinstance(place, Store):
        return place
    text: str = parse(_PLACE, key, place)
    scheme, slashes, rest = text.partition("://")
    if not slashes or os.path.isabs(text):  # noqa: PTH117 - it is text by now
        return FileSystemStore(text)
    if scheme == "file":
        return FileSystemStore(rest)
    try:
        return open_store(text, access)
    except SettingError:
        raise
    except ValueError as error:
        shown = f"{scheme}://{rest.rpartition('@')[2]}"  # without a password
        reason = f"Expected {_PLACE.expected} for {key} but received {shown!r}: {error}"
    raise SettingError(reason)


def _parse_place(value: Any) -> str:
    text = os.fspath(value)
    if not isinstance(text, str) or not text:
        raise TypeError
    return text


_PLACE = Parser(f"a directory, a store or a URI of {', '.join(SCHEMES)}", _parse_place)
