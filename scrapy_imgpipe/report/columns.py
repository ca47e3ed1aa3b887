"""The columns of a run report, in order: name, kind of value, one line of meaning.

No I/O. A row is a plain dict with these keys; a key that is missing or None is
empty. One row tells how one ask ended, an ask being one item's wish for one source
in one slot.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

#: ``int`` has 64 bits, ``float`` is finite, ``list`` is JSON.
Kind = Literal["text", "int", "float", "list"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the report.

    Attributes:
        name: the key in a row.
        kind: what its values are.
        doc: its meaning and unit, in one line.
    """

    name: str
    kind: Kind
    doc: str


COLUMNS: tuple[Column, ...] = (
    Column("url", "text", "The URL that the item asked for."),
    Column("item", "text", "The key of the item."),
    Column("page", "text", "URL of the page that the item came from."),
    Column("slot", "int", "Place in the item's list of URLs, from 0."),
    Column("path", "text", "The full image, relative to the store."),
    Column("status", "text", "downloaded, rendered, cached, uptodate, revalidated or failed."),
    Column("outcome", "text", "How the ask ended: one of the stable outcome codes."),
    Column("reason", "text", "Why it failed, in one sentence."),
    Column("http_status", "int", "Status of the response."),
    Column("width", "int", "Of the full image, in pixels."),
    Column("height", "int", "Of the full image, in pixels."),
    Column("format", "text", "Of the full image, in Pillow's spelling."),
    Column("bytes_in", "int", "Bytes of the response body; 0 for a joined ask."),
    Column("bytes_stored", "int", "Bytes written to the store, thumbnails included."),
    Column("checksum", "text", "MD5 of the full image, 32 hexadecimal digits."),
    Column("renditions", "list", "The thumbnails: name, path, width, height, bytes of each."),
    Column("attempts", "int", "Requests sent, retries included."),
    Column("seconds_waiting", "float", "Seconds from the ask to the start of the download."),
    Column("seconds_downloading", "float", "Seconds of the download."),
    Column("seconds_rendering", "float", "Seconds of decoding and encoding."),
    Column("seconds_storing", "float", "Seconds of writing to the store."),
    Column("finished", "text", "When it ended: ISO 8601, UTC, milliseconds, with a final Z."),
)

#: Their names, in order.
NAMES: tuple[str, ...] = tuple(column.name for column in COLUMNS)


def timestamp(seconds: float) -> str:
    """Return Unix *seconds* as the column ``finished`` spells a moment."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
