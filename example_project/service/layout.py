"""Which path in the store belongs to which identifier: the layout of a crawl.

A crawl names an image by the SHA-1 of its URL, the service one by that of its bytes; both
are 40 hexadecimal digits, so one store may have images of either. What looks for a file
raises StoreFailed where the store cannot tell.
"""

from __future__ import annotations

import re
from hashlib import sha1
from typing import TYPE_CHECKING, Final, NamedTuple

from scrapy_imgpipe.imaging import DEFAULT_FORMATS, extension_of, format_of
from scrapy_imgpipe.probe import probe
from scrapy_imgpipe.variants import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scrapy_imgpipe import Variant
    from scrapy_imgpipe.stores import Stat, Store

#: What an identifier looks like.
ID: Final = "^[0-9a-f]{40}$"

#: What a file looks like that others may read: no raw upload, no job, no index.
FILE: Final = r"^/?(full|thumbs/.{1,255})/[0-9a-f]{40}\.[a-z0-9]{2,5}$"

# JPEG is the first of them, and what nearly all are. The last ones are other people's.
_KEPT = map(extension_of, (*DEFAULT_FORMATS, "HEIF", "JXL", "JPEG2000"))
_EXTENSIONS = tuple(dict.fromkeys((*_KEPT, ".heic", ".jpeg", ".mpo", ".tiff")))
_FULL = re.compile(rf"full/([0-9a-f]{{40}})(?:{'|'.join(map(re.escape, _EXTENSIONS))})")
_THUMB = re.compile(r"thumbs/(.{1,255})/[0-9a-f]{40}\.[a-z0-9]{2,5}")

_MADE = tuple(form.extension for form in OUTPUTS.values())

#: In EXIF, from here on width and height are exchanged.
_QUARTER_TURN = 5


class Found(NamedTuple):
    """A file that is there."""

    path: str
    stat: Stat


class Look(NamedTuple):
    """What a stored file looks like: width and height, upright, its format and its size."""

    width: int | None
    height: int | None
    format: str
    bytes: int | None


def id_of(data: bytes) -> str:
    """Return the identifier of an upload: a name, not a protection."""
    return sha1(data, usedforsecurity=False).hexdigest()


def id_in(path: str) -> str:
    """Return the identifier of the full image *path*; empty where it has none."""
    found = _FULL.fullmatch(path)
    return "" if found is None else found[1]


def name_in(path: str) -> str:
    """Return the name of the thumbnail *path*; empty where it has none."""
    found = _THUMB.fullmatch(path)
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


def find_full(store: Store, image_id: str) -> Found | None:
    """Return the full image, in whichever format; None where there is none."""
    return _first_of(store, (full_path(image_id, extension) for extension in _EXTENSIONS))


def find_thumb(store: Store, image_id: str, name: str) -> Found | None:
    """Return the thumbnail of a crawl that is called *name*, in whichever format."""
    return _first_of(store, (f"thumbs/{name}/{image_id}{extension}" for extension in _MADE))


def find(store: Store, path: str) -> Found | None:
    """Return the file at *path*; an empty file is none."""
    stat = store.stat(path)
    return Found(path, stat) if stat is not None and stat.bytes else None


def look_of(data: bytes) -> Look:
    """Return what the header of a stored file says."""
    seen = probe(data)
    if seen is None:
        return Look(None, None, format_of(data), len(data))
    size = seen.width, seen.height
    width, height = size[::-1] if seen.orientation >= _QUARTER_TURN else size
    return Look(width, height, seen.format, len(data))


def _first_of(store: Store, paths: Iterable[str]) -> Found | None:
    return next(filter(None, (find(store, path) for path in paths)), None)
