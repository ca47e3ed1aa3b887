"""Which path in the store belongs to which identifier: the layout of a crawl.

A crawl names an image by the SHA-1 of its URL, the service one by that of its bytes; both
are 40 hexadecimal digits, so one store may have images of either.
"""

from __future__ import annotations

import re
from hashlib import sha1
from typing import TYPE_CHECKING, Final

from scrapy_imgpipe.imaging import DEFAULT_FORMATS, extension_of, format_of
from scrapy_imgpipe.probe import probe

if TYPE_CHECKING:
    from scrapy_imgpipe import Variant
    from scrapy_imgpipe.stores import Stat, Store

#: What an identifier looks like.
ID: Final = "^[0-9a-f]{40}$"

#: What a file looks like that others may read: no raw upload, no job, no index.
FILE: Final = r"^[0-9a-f]{40}\.[a-z0-9]{2,5}$"

_FULL = re.compile(r"full/([0-9a-f]{40})\.[a-z0-9]{2,5}")

# JPEG is the first of them, and what nearly all are.
_EXTENSIONS = tuple(dict.fromkeys(map(extension_of, DEFAULT_FORMATS)))

#: In EXIF, from here on width and height are exchanged.
_QUARTER_TURN = 5


def id_of(data: bytes) -> str:
    """Return the identifier of an upload: a name, not a protection."""
    return sha1(data, usedforsecurity=False).hexdigest()


def id_in(path: str) -> str:
    """Return the identifier of the full image *path*; empty where it has none."""
    found = _FULL.fullmatch(path)
    return "" if found is None else found[1]


def full_path(image_id: str, extension: str = ".jpg") -> str:
    """Return where the full image of an upload goes."""
    return f"full/{image_id}{extension}"


def variant_path(image_id: str, variant: Variant) -> str:
    """Return where a variant goes, of an upload or of a crawl."""
    return f"thumbs/{variant.name}/{image_id}{variant.extension}"


def upload_path(image_id: str) -> str:
    """Return where the raw upload is kept until its variants are safe."""
    return f"uploads/{image_id}"


def job_path(image_id: str) -> str:
    """Return where it is kept how far a job is."""
    return f"jobs/{image_id}.json"


def find_full(store: Store, image_id: str) -> tuple[str, Stat] | None:
    """Return path and stat of the full image, in whichever format; None where there is none.

    Raises:
        StoreFailed: the store cannot tell.
    """
    for extension in _EXTENSIONS:
        path = full_path(image_id, extension)
        stat = find(store, path)
        if stat is not None:
            return path, stat
    return None


def find(store: Store, path: str) -> Stat | None:
    """Return the stat of *path*; an empty file is none.

    Raises:
        StoreFailed: the store cannot tell.
    """
    stat = store.stat(path)
    return stat if stat is not None and stat.bytes else None


def look_of(data: bytes) -> tuple[int | None, int | None, str]:
    """Return width and height, upright, and format of a stored file, by its header."""
    seen = probe(data)
    if seen is None:
        return None, None, format_of(data)
    size = seen.width, seen.height
    width, height = size[::-1] if seen.orientation >= _QUARTER_TURN else size
    return width, height, seen.format
