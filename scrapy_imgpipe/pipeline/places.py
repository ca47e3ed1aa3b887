"""Where the index of a store is, unless the settings say."""

from __future__ import annotations

import os
import re
from hashlib import sha1
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from platformdirs import user_data_path
from scrapy.utils.project import inside_project, project_data_dir

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_MOST_CHARACTERS = 40


def index_path(store_uri: str, *servers: str) -> Path:
    """Return the file of the index of the store at *store_uri*, on one of *servers* if any.

    In the data directory of the project (``.scrapy``), outside of one in the user's; its
    name begins as the store's does, and ends in a digest of all of its address, so that each
    store has its own.
    """
    slug = (
        _UNSAFE.sub("-", _place(store_uri).rstrip("/").rpartition("/")[2])[:_MOST_CHARACTERS]
        or "images"
    )
    place = store_address(store_uri, *servers)
    digest = sha1(place.encode(errors="replace"), usedforsecurity=False).hexdigest()[:8]
    base = (
        Path(project_data_dir()) / "imgpipe"
        if inside_project()
        else user_data_path("scrapy-imgpipe", appauthor=False)
    )
    return base / f"{slug}-{digest}.sqlite"


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
