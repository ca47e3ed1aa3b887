"""What is known of the files of a store, in a database that has no name and is soon gone.

On disk, since a store may have millions of files; used by one thread.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from scrapy_imgpipe.commands.feeds import Entry
from scrapy_imgpipe.index import Key
from scrapy_imgpipe.records import ImageRecord

# 16 MiB of pages in memory; the rest is on disk.
_SET_UP = """
PRAGMA temp_store = FILE;
PRAGMA journal_mode = OFF;
PRAGMA cache_size = -16384;
CREATE TABLE full (
    path TEXT, fingerprint TEXT, asked TEXT, has_url INTEGER, bytes INTEGER, modified REAL,
    checksum TEXT, PRIMARY KEY (path, fingerprint, asked)
) WITHOUT ROWID;
CREATE TABLE rendition (path TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE item (
    path TEXT, url TEXT, checksum TEXT, thumbs TEXT, PRIMARY KEY (path, url)
) WITHOUT ROWID;
BEGIN;
"""

_AMONG = "WHERE path IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True, slots=True)
class Stored:
    """What the index knows of one full image.

    Attributes:
        key: of its record.
        has_url: whether the record has one.
        bytes: its size.
        modified: its time, as records keep it.
        checksum: its MD5.
    """

    key: Key
    has_url: bool
    bytes: int
    modified: float
    checksum: str


@dataclass(frozen=True, slots=True)
class About:
    """All that is known of one path.

    Attributes:
        stored: by the index, as a full image; of several records, each.
        entries: by items.
        is_rendition: whether the index knows it as a thumbnail.
    """

    stored: tuple[Stored, ...] = ()
    entries: tuple[Entry, ...] = ()
    is_rendition: bool = False


class Known:
    """The database; for a ``with`` statement."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(_SET_UP)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add_records(self, records: Iterable[ImageRecord]) -> None:
        """Take in what is stored of *records*."""
        for record in records:
            full = record.full
            if full is None:
                continue
            key = (full.path, record.fingerprint, record.asked, bool(record.url))
            self._add("full", (*key, full.bytes, full.modified, full.checksum))
            for file in record.renditions:
                self._add("rendition", (file.path,))

    def forget_records(self) -> None:
        """Know nothing of the index."""
        for table in ("full", "rendition"):
            self._database.execute(f"DELETE FROM {table}")  # noqa: S608 - ours

    def add_entries(self, entries: Iterable[Entry]) -> None:
        """Take in *entries*; of two with the same path and URL, the later one counts."""
        for entry in entries:
            thumbs = json.dumps(entry.thumbs)
            self._add("item", tuple(map(_text, (entry.path, entry.url, entry.checksum, thumbs))))

    def about(self, paths: Sequence[str]) -> list[tuple[str, About]]:
        """Return each of *paths* with what is known of it."""
        stored: dict[str, list[Stored]] = {}
        for path, fingerprint, asked, has_url, *file in self._of("full", paths):
            one = Stored(Key(fingerprint, asked), bool(has_url), *file)
            stored.setdefault(path, []).append(one)
        entries: dict[str, list[Entry]] = {}
        for path, url, checksum, thumbs in self._of("item", paths):
            entries.setdefault(path, []).append(Entry(path, url, checksum, json.loads(thumbs)))
        renditions = {path for (path,) in self._of("rendition", paths)}
        return [
            (
                path,
                About(
                    tuple(stored.get(path, ())),
                    tuple(entries.get(path, ())),
                    path in renditions,
                ),
            )
            for path in paths
        ]

    def _add(self, table: str, row: tuple[object, ...]) -> None:
        places = ", ".join("?" * len(row))
        self._database.execute(f"INSERT OR REPLACE INTO {table} VALUES ({places})", row)  # noqa: S608

    def _of(self, table: str, paths: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        query = f"SELECT * FROM {table} {_AMONG}"  # noqa: S608 - one of ours
        return iter(self._database.execute(query, (json.dumps(list(paths)),)).fetchall())


def _text(value: str) -> str:
    """Return *value* as a database can hold it."""
    return value.encode(errors="replace").decode()
