"""How each format of a text file becomes URLs and columns.

Every reader looks at the head of its file before it yields the first line, and raises
:class:`~scrapy_imgpipe.errors.SettingError` where that is no list, or has no URLs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any, BinaryIO, Final, TypeAlias

from scrapy_imgpipe.errors import SettingError
from scrapy_imgpipe.lists.lines import (
    PROBLEM,
    Entry,
    damaged,
    entry_of,
    names_of,
    shown,
    url_of,
)
from scrapy_imgpipe.lists.records import (
    Damage,
    begins_with_nul,
    json_array,
    json_lines,
    lines_of,
    too_long,
)
from scrapy_imgpipe.lists.separated import rows_of

#: Objects of which one has to have a URL.
_HEAD = 100

_Lines: TypeAlias = Iterator["bytes | None"]
_Records: TypeAlias = Iterator["dict[str, Any] | Damage"]


def of_text(lines: _Lines, column: str, place: str) -> Iterator[Entry]:  # noqa: ARG001
    """Yield the URL of each line that is not blank and does not begin with ``#``."""
    for number, line in enumerate(lines, 1):
        if line is None:
            yield damaged(too_long(number), place)
        elif (url := line.strip()) and not url.startswith(b"#"):
            yield url.decode("utf-8", "replace"), {}


def of_json_lines(lines: _Lines, column: str, place: str) -> Iterator[Entry]:
    """Yield what the object of each line tells."""
    return _of_objects(json_lines(lines), column, place)


def _of_objects(records: _Records, column: str, place: str) -> Iterator[Entry]:
    for record in chain(_head(records, column, place), records):
        if isinstance(record, Damage):
            yield damaged(record, place)
        else:
            yield entry_of(record, column)


def _head(records: _Records, column: str, place: str) -> list[dict[str, Any] | Damage]:
    """Take records up to the first that has a URL."""
    head: list[dict[str, Any] | Damage] = []
    keys: dict[str, None] = {}
    for record in records:
        head.append(record)
        if not isinstance(record, Damage):
            if column in record:
                return head
            keys |= dict.fromkeys(record)
        if len(head) == _HEAD:
            break
    if not head:
        return head
    if all(isinstance(record, Damage) for record in head):
        raise SettingError(f"Expected JSON objects in {place} but {head[0].problem}")  # type: ignore[union-attr]
    raise without_column(place, column, keys)


def without_column(place: str, column: str, keys: Mapping[str, Any]) -> SettingError:
    """Return what is said of a list that has no column of URLs."""
    return SettingError(
        f"Expected a column {column!r} with URLs in {place} but received columns {shown(keys)}"
    )


def _of_separated(lines: _Lines, column: str, place: str, delimiter: str) -> Iterator[Entry]:
    rows = rows_of(lines, delimiter)
    header = next(rows, None)
    if header is None:
        return
    if isinstance(header, Damage):
        raise SettingError(f"Expected a line of column names in {place} but {header.problem}")
    keys = tuple(key.strip() for key in header)
    if column not in keys:
        raise without_column(place, column, dict.fromkeys(keys))
    url_place, names = keys.index(column), names_of(keys, column)
    for row in rows:
        if isinstance(row, Damage):
            yield damaged(row, place)
            continue
        columns: dict[str, Any] = {
            name: cell for name, cell in zip(names, row, strict=False) if name
        }
        if len(row) > len(keys):
            columns[PROBLEM] = f"{place}: {len(row)} cells where the header has {len(keys)}"
        yield url_of(row[url_place]) if url_place < len(row) else "", columns


def of_csv(lines: _Lines, column: str, place: str) -> Iterator[Entry]:
    """Yield what each row of CSV tells."""
    return _of_separated(lines, column, place, ",")


def of_tsv(lines: _Lines, column: str, place: str) -> Iterator[Entry]:
    """Yield what each row of TSV tells."""
    return _of_separated(lines, column, place, "\t")


def _sniffed(lines: _Lines, column: str, place: str) -> Iterator[Entry]:
    """Yield from JSON lines where the first line that is not blank is an object, or text."""
    blank: list[bytes | None] = []
    for line in lines:
        blank.append(line)
        if line is None or line.strip():
            break
    is_json = bool(blank) and (blank[-1] or b"").lstrip().startswith(b"{")
    read = of_json_lines if is_json else of_text
    return read(chain(blank, lines), column, place)


_OF_LINES: Final[Mapping[str, Callable[[_Lines, str, str], Iterator[Entry]]]] = {
    "": _sniffed,
    ".txt": of_text,
    ".csv": of_csv,
    ".tsv": of_tsv,
    ".jsonl": of_json_lines,
    ".jl": of_json_lines,
    ".ndjson": of_json_lines,
}

#: Extensions of text files with URLs.
TEXTS: Final = (*(name for name in _OF_LINES if name), ".json")


def entries_in(file: BinaryIO, extension: str, column: str, place: str) -> Iterator[Entry]:
    """Yield URL and columns of each line of *file*.

    Args:
        file: whatever was packed is unpacked; it can peek.
        extension: one of :data:`TEXTS`, or empty where only the content tells.
        column: with the URLs.
        place: what messages call the file.

    Raises:
        SettingError: it is no list, or has no such column; later, where there is no way
            to go on behind damage.
    """
    if extension == ".json":
        try:
            yield from _of_objects(json_array(file), column, place)
        except ValueError as error:
            if isinstance(error, SettingError):
                raise
            raise SettingError(f"Expected a JSON array in {place} but {error}") from None
        return
    if begins_with_nul(file):
        raise SettingError(f"Expected lines of UTF-8 in {place} but found NUL characters")
    yield from _OF_LINES[extension](lines_of(file), column, place)
