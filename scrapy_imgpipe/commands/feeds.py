"""Items of earlier crawls, read as streams: which URL is stored under which path."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from scrapy_imgpipe.errors import SettingError, StoreFailed
from scrapy_imgpipe.lists import Damage, begins_with_nul, json_array, json_lines, lines_of, rows_of
from scrapy_imgpipe.paths import checked_path


@dataclass(frozen=True, slots=True)
class Entry:
    """What an item tells of one stored image.

    Attributes:
        path: of the full image.
        url: that it came from.
        checksum: MD5 of the full image; empty where the item does not tell.
        thumbs: path of each thumbnail by name, where the item tells.
    """

    path: str
    url: str
    checksum: str = ""
    thumbs: dict[str, str] = field(default_factory=dict)


def entries_of(path: str, name: str) -> Iterator[Entry]:
    """Yield what the items of a feed tell of stored images.

    A last line of a ``.jsonl`` that is cut off, as a killed crawl leaves it, is passed over.

    Args:
        path: of the feed, which ends in ``.jsonl``, ``.jl``, ``.json`` or ``.csv``.
        name: of the field with the results.

    Raises:
        SettingError: at once for another extension; for a feed that is none.
        OSError: it cannot be read.
    """
    read = _READERS.get(Path(path).suffix.lower())
    if read is None:
        raise SettingError(f"Expected .jsonl, .jl, .json or .csv for --items but received {path!r}")
    return _entries(path, name, read)


def _entries(
    path: str, name: str, read: Callable[[BinaryIO], Iterator[dict[str, Any] | Damage]]
) -> Iterator[Entry]:
    with Path(path).open("rb") as file:
        try:
            for item in _items(read(file)):
                for result in _listed(item.get(name)):
                    entry = _entry(result)
                    if entry is not None:
                        yield entry
        except ValueError as error:
            raise SettingError(
                f"Expected items in {path!r} but found something else: {error}"
            ) from None


def _entry(result: Any) -> Entry | None:
    if not isinstance(result, dict):
        return None
    path, url, checksum = (result.get(key) for key in ("path", "url", "checksum"))
    if not path or not url or not isinstance(path, str) or not isinstance(url, str):
        return None  # a failed one, or one of another pipeline
    thumbs = {}
    for file in _listed(result.get("renditions")):
        if isinstance(file, dict) and isinstance(file.get("path"), str):
            with suppress(StoreFailed):
                checked = checked_path(file["path"], windows=os.name == "nt")
                thumbs[str(file.get("name"))] = checked
    return Entry(path, url, checksum if isinstance(checksum, str) else "", thumbs)


def _listed(value: Any) -> list[Any]:
    """Return a list that may stand as text, which is what becomes of it in a CSV feed."""
    if isinstance(value, str) and value.startswith("["):
        for read in (json.loads, ast.literal_eval):
            with suppress(ValueError, SyntaxError, RecursionError):
                value = read(value)
                break
    return value if isinstance(value, list) else []


def _items(records: Iterator[dict[str, Any] | Damage]) -> Iterator[dict[str, Any]]:
    for record in records:
        if not isinstance(record, Damage):
            yield record
        elif record.cut:
            return
        else:
            raise ValueError(record.problem)


def _csv(file: BinaryIO) -> Iterator[dict[str, Any] | Damage]:
    if begins_with_nul(file):
        raise ValueError("it is no text")
    header: list[str] | None = None
    for row in rows_of(lines_of(file), ","):
        if isinstance(row, Damage):
            yield row
        elif header is None:
            header = row
        else:
            yield dict(zip(header, row, strict=False))


_READERS: dict[str, Callable[[BinaryIO], Iterator[dict[str, Any] | Damage]]] = {
    ".jsonl": lambda file: json_lines(lines_of(file)),
    ".jl": lambda file: json_lines(lines_of(file)),
    ".json": json_array,
    ".csv": _csv,
}
