"""Records as rows of the table ``source``, and back.

Rows travel as JSON, a whole batch as one text: the database then takes one step for all
of them. Each step lets go of the interpreter lock, which a busy event loop gives back
late.
"""

from __future__ import annotations

import json
from hashlib import sha1
from typing import TYPE_CHECKING, Any

from scrapy_imgpipe.index.protocol import Key
from scrapy_imgpipe.records import ImageRecord, Rendition

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Columns that hold JSON.
JSON_COLUMNS = ("renditions", "measured")

#: All columns, in the order of a row.
COLUMNS = (
    "id",
    "fingerprint",
    "asked",
    "url",
    "path",
    "width",
    "height",
    "bytes",
    "modified",
    "checksum",
    "format",
    "renditions",
    "plan",
    "limits",
    "content",
    "etag",
    "last_modified",
    "stored_at",
    "checked_at",
    "failed_at",
    "outcome",
    "reason",
    "http_status",
    "tries",
    "placeholder",
    "measured",
)


def id_of(key: Key) -> int:
    """Return the row's number: 63 bits of a digest of *key*.

    Of ten million sources, two share a number in one case of 200,000; the later one
    replaces the other then, which costs that one a look at its file.
    """
    digest = sha1(f"{key.fingerprint} {key.asked}".encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def key_of(record: ImageRecord) -> Key:
    """Return what *record* is found by."""
    return Key(record.fingerprint, record.asked)


def as_row(record: ImageRecord) -> list[Any]:
    """Return the values of *record* in the order of :data:`COLUMNS`, all fit for JSON."""
    full = record.full
    stored: list[Any] = [None, 0, 0, 0, 0, ""]
    if full is not None:
        path = None if full.path == record.asked else full.path
        stored = [path, full.width, full.height, full.bytes, full.modified, full.checksum]
    return [
        id_of(key_of(record)),
        record.fingerprint,
        record.asked,
        _text(record.url),
        *stored,
        record.format,
        [_listed(file) for file in record.renditions],
        record.plan,
        record.limits,
        record.content or None,
        _text(record.etag),
        _text(record.last_modified),
        record.stored_at,
        record.checked_at,
        record.failed_at,
        record.outcome,
        _text(record.reason),
        record.http_status,
        record.tries,
        record.placeholder,
        dict(record.measured),
    ]


def record_of(row: list[Any]) -> ImageRecord:
    """Return the record of a *row*."""
    _, fingerprint, asked, url, path, *sizes = row
    width, height, size, modified, checksum, form, renditions, *rest = sizes
    plan, limits, content, *known = rest
    full = None
    if checksum:
        full = Rendition("", path or asked, width, height, size, modified, checksum)
    files = tuple(Rendition(*file) for file in renditions) if full else ()
    return ImageRecord(
        fingerprint, asked, url, full, form, files, plan, limits, content or "", *known
    )


def as_json(records: Iterable[ImageRecord]) -> str:
    """Return the rows of *records* as one JSON text.

    Raises:
        TypeError: something in them is nothing that JSON has.
        ValueError: as above; a number that is none, or half a character.
    """
    rows = [as_row(record) for record in records]
    return json.dumps(rows, separators=(",", ":"), allow_nan=False)


def _listed(file: Rendition) -> list[Any]:
    return [
        file.name,
        file.path,
        file.width,
        file.height,
        file.bytes,
        file.modified,
        file.checksum,
        file.plan,
        file.format,
    ]


def _text(value: str) -> str:
    """Return *value* as every database can hold it."""
    return value.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
