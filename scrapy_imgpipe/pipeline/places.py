"""Where the index of a store is, unless the settings say."""

from __future__ import annotations

import re
from hashlib import sha1
from pathlib import Path

from platformdirs import user_data_path
from scrapy.utils.project import inside_project, project_data_dir

from scrapy_imgpipe.index import store_address

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_MOST_CHARACTERS = 40


def index_path(store_uri: str, *servers: str) -> Path:
    """Return the file of the index of the store at *store_uri*, on one of *servers* if any.

    In the data directory of the project (``.scrapy``), outside of one in the user's; its
    name begins as the store's does, and ends in a digest of all of its address, so that each
    store has its own.
    """
    plain = store_address(store_uri)
    slug = _UNSAFE.sub("-", plain.rstrip("/").rpartition("/")[2])[:_MOST_CHARACTERS] or "images"
    place = store_address(store_uri, *servers)
    digest = sha1(place.encode(errors="replace"), usedforsecurity=False).hexdigest()[:8]
    base = (
        Path(project_data_dir()) / "imgpipe"
        if inside_project()
        else user_data_path("scrapy-imgpipe", appauthor=False)
    )
    return base / f"{slug}-{digest}.sqlite"
