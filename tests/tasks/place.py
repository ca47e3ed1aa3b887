"""A real store and a real index, with sources that went through both."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scrapy_imgpipe.freshness import Policy
from scrapy_imgpipe.imaging import Plan, Variant
from scrapy_imgpipe.index import Index, Key
from scrapy_imgpipe.records import ImageRecord, Outcome, checksum, stamp
from scrapy_imgpipe.stores import FileSystemStore, Stat
from scrapy_imgpipe.tasks import Found, Rules, Saved, Source, Wanted, look_up, make_and_save

DAY = 86_400
ETAG = '"abc"'

#: What pictures of 120x80 come out as 50x33 and 100x67 by.
SMALL, BIG = Variant("small", 50, 50), Variant("big", 100, 100)
PLAN = Plan((SMALL, BIG))
POLICY = Policy(90, 30, "limits")


class CountingStore(FileSystemStore):
    """A store that remembers what was asked of it.

    Attributes:
        read: paths of what was read.
        put: paths of what was written, in order.
        linked: paths that were given to what was there.
    """

    def __init__(self, base: Path) -> None:
        super().__init__(base)
        self.read: list[str] = []
        self.written: list[str] = []
        self.linked: list[str] = []

    def get(self, path: str) -> bytes | None:
        self.read.append(path)
        return super().get(path)

    def put_all(self, files: Sequence[tuple[str, bytes]]) -> list[Stat]:
        self.written += [path for path, *_ in files]
        return super().put_all(files)

    def link_all(self, files: Sequence[tuple[str, str]]) -> list[Stat]:
        self.linked += [path for path, *_ in files]
        return super().link_all(files)


@dataclass
class Place:
    """A store, its index and what counts there.

    Attributes:
        store: real, in a temporary folder.
        index: as above.
        settings: of the rules, where they are not the usual ones.
    """

    store: CountingStore
    index: Index
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def rules(self) -> Rules:
        usual = {"plan": PLAN, "policy": POLICY, "store": self.store, "index": self.index}
        return Rules(**{**usual, **self.settings})

    def under(self, **settings: Any) -> Place:
        """Return this place as the next crawl finds it, with other settings."""
        return Place(self.store, self.index, {**self.settings, **settings})

    def source(self, name: str, **fields: Any) -> Source:
        thumbs = {one.name: f"thumbs/{one.name}/{name}.jpg" for one in self.rules.plan.variants}
        return replace(Source(url_of(name), f"full/{name}.jpg", thumbs), **fields)

    def wanted(self, name: str, **fields: Any) -> Wanted:
        source = self.source(name)
        known = Wanted(Key(fingerprint_of(name), source.full), source.thumbs, source.url)
        return known._replace(**fields)

    def make(self, name: str, data: bytes) -> Saved:
        return make_and_save(data, self.source(name), self.rules)

    def crawl(self, name: str, data: bytes, **fields: Any) -> ImageRecord:
        """Store a source and tell the index of it, as a crawl that saw it does."""
        record = recorded(name, self.make(name, data), self.rules)._replace(**fields)
        self.index.put([record])
        self.store.read.clear()
        return record

    def know(self, record: ImageRecord) -> ImageRecord:
        self.index.put([record])
        return record

    def look(self, name: str, **fields: Any) -> Found:
        """Look for one source."""
        (found,) = look_up([self.wanted(name, **fields)], self.rules)
        if isinstance(found, Exception):
            raise found
        return found

    def path(self, stored: str) -> Path:
        return Path(self.store.base, stored)

    def touch(self, stored: str, seconds: float = 0.0) -> float:
        """Give a file another time; return what a record has of it."""
        modified = round(time.time() - seconds) + 0.25
        os.utime(self.path(stored), (modified, modified))
        return modified

    def files(self) -> dict[str, bytes]:
        """Return everything in the store: path to content."""
        paths = (path for path in Path(self.store.base).rglob("*") if path.is_file())
        return {path.relative_to(self.store.base).as_posix(): path.read_bytes() for path in paths}


def url_of(name: str) -> str:
    return f"https://example.com/{name}"


def fingerprint_of(name: str) -> str:
    return checksum(name.encode())


def recorded(name: str, saved: Saved, rules: Rules, **fields: Any) -> ImageRecord:
    """Return the record of what was just stored, without validators."""
    now = stamp(time.time())
    record = ImageRecord(
        fingerprint_of(name),
        f"full/{name}.jpg",
        url_of(name),
        saved.full,
        saved.format,
        saved.renditions,
        rules.digest,
        rules.policy.limits,
        saved.content,
        stored_at=now,
        checked_at=now,
        outcome=Outcome.STORED,
        http_status=200,
        placeholder=saved.placeholder,
        measured=saved.measured,
    )
    return record._replace(**fields)


def gone(name: str, **fields: Any) -> ImageRecord:
    """Return the record of a source that was not there a moment ago."""
    record = ImageRecord(fingerprint_of(name), f"full/{name}.jpg", url_of(name), limits="limits")
    record = record._replace(outcome=Outcome.HTTP_STATUS, http_status=404, tries=1)
    return record._replace(failed_at=stamp(time.time()), **fields)
