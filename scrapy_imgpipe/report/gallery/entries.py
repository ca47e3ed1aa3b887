"""What a gallery is made of: one entry for each row of a report, record of an index, or file.

No I/O but what :func:`of_files` asks its store. Nothing that comes from outside is trusted:
any value becomes text, or a number that a browser has as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from scrapy_imgpipe.records import SUCCESSES
from scrapy_imgpipe.report.columns import NAMES, timestamp
from scrapy_imgpipe.report.gallery.thumbnails import MADE

if TYPE_CHECKING:
    from scrapy_imgpipe.records import ImageRecord
    from scrapy_imgpipe.stores import Store

#: What a cell of a record may be; of a list, a line each.
Cell: TypeAlias = str | int | float | bool | list[str]

#: Whole numbers beyond it are others in JavaScript (ECMA-262, Number.MAX_SAFE_INTEGER).
_MOST_WHOLE = 2**53 - 1

#: Pixels of a side beyond which there is no picture, in any format.
_MOST_SIDE = 2**31 - 1

#: Characters of one cell; what is longer tells nobody more.
_MOST_TEXT = 8000

#: Characters of one further column that the search looks into.
_MOST_WORDS = 200

#: Further columns that say in words what is to be seen, the best first.
_WORDS_FOR_IT = ("alt", "caption", "title", "label", "text")

#: Further columns that are no words that anybody would look for.
_NO_WORDS = frozenset({"phash", "blurhash", "dominant_colour", "record_error"})

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")

#: What galleries have made, wherever they are.
_OF_A_GALLERY = re.compile(rf"(?:.*/)?(?:{MADE.pattern})", re.DOTALL)


class Small(NamedTuple):
    """A rendition that may serve as a thumbnail: where it is, and its sides in pixels."""

    path: str
    width: int
    height: int


class Entry(NamedTuple):
    """One picture, or one failure.

    Attributes:
        url: it was asked for under; empty where only the file is known.
        path: of the full image in the store; empty where there is none.
        width: in pixels; 0 where nobody knows.
        height: in pixels; 0 where nobody knows.
        format: in Pillow's spelling; empty where nobody knows.
        outcome: code of how it ended; empty where nobody knows.
        reason: why it failed.
        is_failed: whether it failed; a picture may be there from before.
        finished: when it ended, Unix seconds; 0 where nobody knows.
        alt: what is to be seen, in words; empty where nobody said.
        words: what else the search looks into.
        colour: ``#rrggbb`` that most of it has, or empty.
        renditions: what may serve as a thumbnail.
        record: all that is known of it, name and value.
        is_known: whether somebody said that it is an image.
    """

    url: str
    path: str
    width: int = 0
    height: int = 0
    format: str = ""
    outcome: str = ""
    reason: str = ""
    is_failed: bool = False
    finished: float = 0
    alt: str = ""
    words: str = ""
    colour: str = ""
    renditions: tuple[Small, ...] = ()
    record: tuple[tuple[str, Cell], ...] = ()
    is_known: bool = True

    @property
    def host(self) -> str:
        """Host of the URL, in lower case; its scheme where it has none."""
        try:
            parts = urlsplit(self.url)
            name = parts.hostname
        except ValueError:  # brackets that hold no address
            return ""
        return name or (f"{parts.scheme}:" if parts.scheme else "")


def of_row(row: Mapping[str, Any]) -> Entry:
    """Return the entry of one row of a report."""
    outcome = _text(row.get("outcome"))
    further = {name: value for name, value in row.items() if name not in NAMES}
    return Entry(
        url=_text(row.get("url")),
        path=str(row.get("path") or ""),
        width=_side(row.get("width")),
        height=_side(row.get("height")),
        format=_text(row.get("format")),
        outcome=outcome,
        reason=_text(row.get("reason")),
        is_failed=row.get("status") == "failed" or outcome not in SUCCESSES,
        finished=_seconds(row.get("finished")),
        alt=_alt(further),
        words=_words(row.get("page"), row.get("item"), *_searched(further)),
        colour=_colour(further),
        renditions=_smalls(row.get("renditions")),
        record=_record(row),
    )


def of_record(record: ImageRecord) -> Entry:
    """Return the entry of what an index knows of one source."""
    full = record.full
    finished = max(record.checked_at, record.failed_at, record.stored_at)
    row = {
        "url": record.url,
        "path": full.path if full else "",
        "outcome": record.outcome,
        "reason": record.reason,
        "http_status": record.http_status or None,
        "width": full.width if full else None,
        "height": full.height if full else None,
        "format": record.format,
        "bytes": full.bytes if full else None,
        "checksum": full.checksum if full else None,
        "renditions": [
            {"name": file.name, "path": file.path, "width": file.width, "height": file.height}
            | {"format": file.format, "bytes": file.bytes}
            for file in record.renditions
        ],
        "stored": _moment(record.stored_at),
        "checked": _moment(record.checked_at),
        "failed": _moment(record.failed_at),
        "tries": record.tries or None,
        "placeholder": record.placeholder,
        "etag": record.etag,
        "last_modified": record.last_modified,
        **{name: value for name, value in record.measured.items() if name not in NAMES},
    }
    # What an import has entered has no outcome, and is there.
    failed = record.outcome not in SUCCESSES if record.outcome else full is None
    return of_row(row)._replace(is_failed=failed, finished=finished)


def of_files(store: Store, but: str = "") -> Iterator[Entry]:
    """Yield an entry for each file of *store*, in the order of their paths.

    Where there are images below ``full/``, thumbnails below ``thumbs/`` are left out; so is
    what a gallery has made, wherever it is.

    Args:
        store: its paths are in memory at once.
        but: left out is what begins with it; empty for nothing.

    Raises:
        StoreFailed: it cannot be listed.
    """
    paths = sorted(path for path in store.list() if not but or not path.startswith(but))
    is_pipelines = any(path.startswith("full/") for path in paths)
    for path in paths:
        is_thumb = is_pipelines and path.startswith("thumbs/")
        if not is_thumb and not _OF_A_GALLERY.fullmatch(path):
            yield Entry("", path, record=(("path", path),), is_known=False)


# --- cells ---


def _text(value: object) -> str:
    """Return *value* as text, shortened."""
    text = "" if value is None else str(value)
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}…"


def _cell(value: object) -> Cell:
    """Return *value* as a browser can have it: what it has no number for is text."""
    if isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _MOST_WHOLE else str(value)
    if isinstance(value, dict | list):
        return _text(json.dumps(value, ensure_ascii=False, default=str))
    return _text(value)


def _side(value: object) -> int:
    """Return *value* in pixels; 0 where no picture has so many."""
    return value if isinstance(value, int) and 0 < value <= _MOST_SIDE else 0


def _record(row: Mapping[str, Any]) -> tuple[tuple[str, Cell], ...]:
    return tuple(
        (name, _renditions(value) if name == "renditions" else _cell(value))
        for name, value in row.items()
        if value not in (None, "", [])
    )


def _renditions(value: object) -> Cell:
    if not isinstance(value, list):
        return _cell(value)
    lines = []
    for each in value:
        if not isinstance(each, dict):
            return _cell(value)
        size = f"{each.get('width')}×{each.get('height')}"  # noqa: RUF001 - as it is printed
        told = (each.get("name"), size, each.get("format"), each.get("path"))
        lines.append(_text(" · ".join(str(part) for part in told if part)))
    return lines


def _smalls(value: object) -> tuple[Small, ...]:
    found = []
    for each in value if isinstance(value, list) else ():
        if isinstance(each, dict):
            path, width, height = (each.get(name) for name in ("path", "width", "height"))
            if isinstance(path, str) and isinstance(width, int) and isinstance(height, int):
                found.append(Small(path, width, height))
    return tuple(found)


def _alt(further: Mapping[str, Any]) -> str:
    """Return the column that says what is to be seen, under its own or a prefixed name."""
    for word in _WORDS_FOR_IT:
        for name, value in further.items():
            if name.rpartition("_")[2] == word and isinstance(value, str) and value.strip():
                return _text(value.strip())[:_MOST_WORDS]
    return ""


def _searched(further: Mapping[str, Any]) -> Iterator[str]:
    return (
        value[:_MOST_WORDS]
        for name, value in further.items()
        if isinstance(value, str) and name not in _NO_WORDS
    )


def _words(*values: object) -> str:
    return "\n".join(_text(value)[: _MOST_WORDS * 4] for value in values if value)


def _colour(further: Mapping[str, Any]) -> str:
    value = further.get("dominant_colour")
    return value if isinstance(value, str) and _COLOUR.fullmatch(value) else ""


# --- times ---


def _seconds(finished: object) -> float:
    try:
        moment = datetime.fromisoformat(str(finished or ""))
    except ValueError:
        return 0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _moment(seconds: float) -> str | None:
    try:
        return timestamp(seconds) if seconds else None
    except (OverflowError, OSError, ValueError):  # beyond the years that there are
        return None
