"""What is known about one source, as frozen records.

No I/O, no imports but the standard library.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """How a source ended. The values are stable; see ``imgpipe/outcome/*`` in the stats."""

    STORED = "stored"
    UP_TO_DATE = "up-to-date"
    REVALIDATED = "revalidated"
    CACHED = "cached"
    JOINED = "joined"

    BAD_URL = "bad-url"
    URL_NOT_ALLOWED = "url-not-allowed"
    ADDRESS_NOT_ALLOWED = "address-not-allowed"
    FILTERED = "filtered"
    OPTED_OUT = "opted-out"
    TOO_MANY_BYTES = "too-many-bytes"
    TOO_FEW_BYTES = "too-few-bytes"
    TOO_MANY_PIXELS = "too-many-pixels"
    TOO_SMALL = "too-small"
    ASPECT_RATIO = "aspect-ratio"
    NOT_AN_IMAGE = "not-an-image"
    FORMAT_NOT_ALLOWED = "format-not-allowed"
    PLACEHOLDER = "placeholder"

    HTTP_STATUS = "http-status"
    REDIRECT_REFUSED = "redirect-refused"
    DOWNLOAD_FAILED = "download-failed"

    BROKEN = "broken"
    CRASHED = "crashed"
    TIMED_OUT = "timed-out"

    BAD_PATH = "bad-path"
    STORE_FAILED = "store-failed"
    HOOK_FAILED = "hook-failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Rendition:
    """One stored output besides the full image.

    Attributes:
        name: its key in ``IMAGES_THUMBS``.
        path: where it is, relative to the store.
        width: in pixels, 1 or more.
        height: in pixels, 1 or more.
        bytes: size of the stored file.
    """

    name: str
    path: str
    width: int
    height: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One source whose renditions are in the store.

    Attributes:
        url: the URL that the item asked for.
        path: the full image, relative to the store.
        checksum: MD5 of the stored full image, 32 hexadecimal digits.
        status: ``downloaded``, ``cached`` or ``uptodate``, as Scrapy says it.
        width: of the full image, in pixels.
        height: of the full image, in pixels.
        format: of the stored full image, in Pillow's spelling (``JPEG``).
        bytes: size of the stored full image.
        renditions: the thumbnails, in the order of ``IMAGES_THUMBS``.
    """

    url: str
    path: str
    checksum: str
    status: str
    width: int
    height: int
    format: str
    bytes: int
    renditions: tuple[Rendition, ...] = ()

    def as_result(self) -> dict[str, Any]:
        """Return a new dict with Scrapy's ``FileInfo`` keys and ours beside them.

        Made of dicts, lists, strings and numbers only, so every feed exporter
        takes it.
        """
        result = {name: getattr(self, name) for name in _RECORD_FIELDS}
        result["renditions"] = [
            {name: getattr(rendition, name) for name in _RENDITION_FIELDS}
            for rendition in self.renditions
        ]
        return result


# dataclasses.asdict() copies deeply, for records that cannot change.
_RECORD_FIELDS = tuple(field.name for field in fields(ImageRecord))
_RENDITION_FIELDS = tuple(field.name for field in fields(Rendition))


def failed_result(url: str, outcome: str, reason: str) -> dict[str, Any]:
    """Return what a failed source leaves in its slot under ``IMGPIPE_KEEP_FAILED``."""
    return {
        "url": url,
        "path": None,
        "checksum": None,
        "status": "failed",
        "outcome": str(outcome),
        "reason": reason,
    }


def own_copy(result: Any) -> Any:
    """Return *result* for one asker: none shares a dict or a list with another.

    Overridden hooks may have given anything; what is no dict is left alone.
    """
    if not isinstance(result, dict):
        return result
    copied = dict(result)
    if isinstance(copied.get("renditions"), list):
        copied["renditions"] = [dict(rendition) for rendition in copied["renditions"]]
    return copied


def checksum(data: bytes) -> str:
    """Return the MD5 of *data* as Scrapy reports it: 32 hexadecimal digits."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
