"""An index in a dict: the least that keeps the contract, and no file anywhere."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Collection, Iterator, Sequence

from scrapy_imgpipe.errors import IndexFailed
from scrapy_imgpipe.index import Key, Near
from scrapy_imgpipe.index.nearness import distance, is_hash
from scrapy_imgpipe.records import ImageRecord


class MemoryIndex:
    """An :class:`~scrapy_imgpipe.index.Index` that lives as long as its process.

    Args:
        shared: another handle, whose records this one has, too.
    """

    def __init__(self, shared: MemoryIndex | None = None) -> None:
        self._known: dict[Key, ImageRecord] = shared._known if shared else {}
        self._since = time.time()
        self._lock: threading.Lock = shared._lock if shared else threading.Lock()

    def get(self, keys: Sequence[Key]) -> list[ImageRecord | None]:
        with self._lock:
            return [self._get(key) for key in keys]

    def _get(self, key: Key) -> ImageRecord | None:
        found = self._known.get(key)
        return self._known.get(Key("", key.asked)) if found is None and key.asked else found

    def put(self, records: Sequence[ImageRecord]) -> None:
        try:
            json.dumps([dict(record.measured) for record in records])
        except TypeError as error:
            raise IndexFailed(str(error)) from None
        with self._lock:
            for record in records:
                self._known.pop(Key("", record.asked), None)
                self._known[Key(record.fingerprint, record.asked)] = record

    def forget(self, keys: Sequence[Key]) -> None:
        with self._lock:
            for key in keys:
                self._known.pop(key, None)

    def alike(self, content: str, most: int) -> list[ImageRecord]:
        found = (each for each in self.records() if each.full and each.content == content)
        return list(found)[:most] if content else []

    def near(self, phash: str, most: int, but: Collection[str]) -> Near | None:
        found = [
            Near(each.url, distance(phash, each.measured["phash"]))
            for each in self.records()
            if each.full and each.fingerprint not in but
            if is_hash(each.measured.get("phash")) and "near_duplicate" not in each.measured
        ]
        close = [near for near in found if near.bits <= most]
        return min(close, key=lambda near: near.bits, default=None)

    def records(self) -> Iterator[ImageRecord]:
        with self._lock:
            return iter(list(self._known.values()))

    def refers_to(self, paths: Sequence[str]) -> set[str]:
        used = {file.path for record in self.records() for file in record.files}
        return used.intersection(paths)

    def since(self) -> float:
        return self._since

    def knows_all(self) -> None:
        self._since = 0.0

    def count(self) -> int:
        return len(self._known)

    def close(self) -> None:
        """Nothing is held."""
