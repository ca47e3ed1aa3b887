"""URLs of stored files, as a page on the same disk writes them. No I/O."""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from urllib.parse import quote

from scrapy_imgpipe.stores import FileSystemStore, Store


def base_of(store: Store, folder: str) -> str:
    """Return the URL of the files of *store* for a page in *folder*; empty where it has none.

    Relative, so that page and store may move together, and with a final slash. On another
    drive than *folder* it is a ``file:`` URL.

    Args:
        store: whose files.
        folder: an absolute path. A browser takes ``..`` away as text does, and knows no
            links, so it has to be spelt as the page is opened.
    """
    if not isinstance(store, FileSystemStore):
        return ""
    try:
        relative = PurePath(os.path.relpath(store.base, folder)).as_posix()
    except ValueError:  # Windows: another drive
        return f"{Path(store.base).as_uri().rstrip('/')}/"
    return f"{quoted(relative)}/"


def quoted(path: str) -> str:
    """Return *path* as a part of a URL: all but ASCII letters, digits and ``-._~/`` escaped."""
    return quote(path, safe="/", errors="surrogateescape")
