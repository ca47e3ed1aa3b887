"""What is known about one source, as frozen records.

No I/O, no imports but the standard library. Tuples with names: thousands a second travel
between processes, and a dataclass takes four times as long.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Protocol


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
    HASH_MISMATCH = "hash-mismatch"
    CRASHED = "crashed"
    TIMED_OUT = "timed-out"

    BAD_PATH = "bad-path"
    STORE_FAILED = "store-failed"
    HOOK_FAILED = "hook-failed"
    INTERRUPTED = "interrupted"


#: Outcomes with which a source has its image; all others are failures.
SUCCESSES = frozenset(
    {Outcome.STORED, Outcome.CACHED, Outcome.UP_TO_DATE, Outcome.REVALIDATED, Outcome.JOINED}
)


_NOTHING: Mapping[str, Any] = {}  # nobody changes it


class Rendition(NamedTuple):
    """One encoded output of a source, as it is stored: the full image or a thumbnail.

    Attributes:
        name: its key in ``IMAGES_THUMBS`` or ``IMGPIPE_RENDITIONS``; empty for the full image.
        path: where it is, relative to the store.
        width: in pixels; 0 where nobody knows.
        height: in pixels; 0 where nobody knows.
        bytes: its size.
        modified: when it was put, Unix seconds in the precision of :func:`stamp`;
            0 where the store did not say.
        checksum: MD5, 32 hexadecimal digits.
        plan: digest of what it was to be; empty where nobody knows.
        format: of a thumbnail, in Pillow's spelling; the record has that of the full image.
    """

    name: str
    path: str
    width: int
    height: int
    bytes: int
    modified: float
    checksum: str
    plan: str = ""
    format: str = ""


class ImageRecord(NamedTuple):
    """All that the index knows about one source: a row of it.

    A source is told by its fingerprint and by the name that it was asked for under: one
    URL may be stored under several names, for the name may depend on the item.

    Attributes:
        fingerprint: of the request, in hexadecimal; empty where only the name is known.
        asked: what ``file_path`` says before there is a response; empty where it cannot tell.
        url: of the request; empty where only the name is known.
        full: the stored full image; None where nothing is stored.
        format: of the full image, in Pillow's spelling.
        renditions: its thumbnails.
        plan: digest of all that was to be made; see :attr:`Plan.digest`.
        limits: digest of the limits that it was judged by.
        content: MD5 of the bytes that were downloaded.
        etag: validator that came with them.
        last_modified: validator that came with them.
        stored_at: when it was stored, Unix seconds.
        checked_at: when its origin last gave or confirmed it, Unix seconds; 0 where it
            has to be fetched again, whatever its age.
        failed_at: when it last failed, Unix seconds; 0 where it has not since it was stored.
        outcome: code of how it last ended.
        reason: why it failed.
        http_status: of the last response; 0 where there was none.
        tries: how often it failed since it was stored.
        placeholder: what kind of placeholder the picture is; empty where it is none.
        measured: what record functions said of it.
    """

    fingerprint: str
    asked: str
    url: str
    full: Rendition | None = None
    format: str = ""
    renditions: tuple[Rendition, ...] = ()
    plan: str = ""
    limits: str = ""
    content: str = ""
    etag: str = ""
    last_modified: str = ""
    stored_at: float = 0
    checked_at: float = 0
    failed_at: float = 0
    outcome: str = ""
    reason: str = ""
    http_status: int = 0
    tries: int = 0
    placeholder: str = ""
    measured: Mapping[str, Any] = _NOTHING

    def as_result(self, url: str, status: str) -> dict[str, Any]:
        """Return a new dict with Scrapy's ``FileInfo`` keys and ours beside them.

        Made of dicts, lists, strings and numbers only, so every feed exporter takes it. Of
        what is no image there are Scrapy's keys only, and of what is not stored none.

        Args:
            url: that the item asked for.
            status: ``downloaded``, ``cached``, ``uptodate`` or ``revalidated``.
        """
        full = self.full
        if full is None:
            return {}
        return result_of(url, status, full, self)

    @property
    def files(self) -> tuple[Rendition, ...]:
        """The full image and its thumbnails, where anything is stored."""
        return () if self.full is None else (self.full, *self.renditions)


class _Described(Protocol):
    """What :func:`result_of` takes more than the full image from."""

    @property
    def format(self) -> str: ...
    @property
    def renditions(self) -> tuple[Rendition, ...]: ...
    @property
    def placeholder(self) -> str: ...
    @property
    def measured(self) -> Mapping[str, Any]: ...


def result_of(url: str, status: str, full: Rendition, rest: _Described) -> dict[str, Any]:
    """Return what an item gets for *full*; see :meth:`ImageRecord.as_result`."""
    result: dict[str, Any] = {
        "url": url,
        "path": full.path,
        "checksum": full.checksum,
        "status": status,
    }
    if not rest.format:
        return result
    result["width"] = full.width
    result["height"] = full.height
    result["format"] = rest.format
    result["bytes"] = full.bytes
    result["renditions"] = [rendition_told(file) for file in rest.renditions]
    if rest.placeholder:
        result["placeholder"] = rest.placeholder
    return result | near_marks(rest.measured)


def rendition_told(file: Rendition) -> dict[str, Any]:
    """Return what items and reports tell of *file*."""
    return {
        "name": file.name,
        "path": file.path,
        "width": file.width,
        "height": file.height,
        "format": file.format,
        "bytes": file.bytes,
    }


#: Names under which it is recorded what a picture is a near-duplicate of: the URL of the
#: other, and how many bits of the two perceptual hashes differ.
NEAR_DUPLICATE = "near_duplicate"
NEAR_DISTANCE = "near_distance"

#: What is recorded beside the answers of record functions.
MARKS = ("trailing_bytes", "truncated", NEAR_DUPLICATE, NEAR_DISTANCE)


def near_marks(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Return what *measured* says of a near-duplicate; an empty dict where it is none."""
    if NEAR_DUPLICATE not in measured:
        return {}
    return {name: measured.get(name) for name in (NEAR_DUPLICATE, NEAR_DISTANCE)}


def stamp(seconds: float) -> float:
    """Return *seconds* as records keep times: to a tenth of a millisecond.

    That many digits survive any text form; file systems hardly have more.
    """
    return round(seconds, 4)


def digest(*values: object) -> str:
    """Return 8 hexadecimal digits that change when any of *values* does.

    They are compared by their ``repr``, which has to be the same in every process.
    """
    return hashlib.blake2s(repr(values).encode(), digest_size=4).hexdigest()


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
