"""Items of earlier crawls, read as streams: which URL is stored under which path."""

from __future__ import annotations

import ast
import csv
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from scrapy_imgpipe.errors import SettingError, StoreFailed
from scrapy_imgpipe.paths import checked_path

#: Characters of a JSON feed that are read at a time; an item may be longer.
_CHARACTERS = 1 << 20

_BETWEEN = " \t\r\n,[]"


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
    path: str, name: str, read: Callable[[TextIO], Iterator[dict[str, Any]]]
) -> Iterator[Entry]:
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        try:
            for item in read(file):
                for result in _listed(item.get(name)):
                    entry = _entry(result)
                    if entry is not None:
                        yield entry
        except (ValueError, csv.Error) as error:
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


def _json_lines(file: TextIO) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except ValueError:
            if not line.endswith("\n"):
                return
            raise ValueError(f"line {number} is no JSON") from None
        yield _checked(item)


def _json_array(file: TextIO) -> Iterator[dict[str, Any]]:
    decoder, text, place = json.JSONDecoder(), "", 0
    while chunk := file.read(_CHARACTERS):
        text, place = text[place:] + chunk, 0
        while True:
            while text[place : place + 1] in _BETWEEN and place < len(text):
                place += 1
            try:
                item, place = decoder.raw_decode(text, place)
            except ValueError:
                break  # the rest of it is still to be read
            yield _checked(item)
    if text[place:].strip(_BETWEEN):
        raise ValueError("it is no JSON array, or cut off")


def _csv(file: TextIO) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    yield from csv.DictReader(file)


def _checked(item: Any) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise ValueError("an item is no object")  # noqa: TRY004 - the one kind that is told
    return item


_READERS: dict[str, Callable[[TextIO], Iterator[dict[str, Any]]]] = {
    ".jsonl": _json_lines,
    ".jl": _json_lines,
    ".json": _json_array,
    ".csv": _csv,
}
