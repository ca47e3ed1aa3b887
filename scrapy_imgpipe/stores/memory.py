"""Renditions in the memory of this process: for tests, and for who wants no files."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import ClassVar

from scrapy_imgpipe.records import checksum
from scrapy_imgpipe.stores.keyed import KeyedStore
from scrapy_imgpipe.stores.protocol import Facts, Stat


class MemoryStore(KeyedStore):
    """A :class:`~scrapy_imgpipe.stores.protocol.Store` in a dict.

    Two of one *name* share what they keep, for as long as the process lives.

    Args:
        name: of the place; empty for one that nobody shares.
        prefix: as for :class:`KeyedStore`.
    """

    _places: ClassVar[dict[str, dict[str, tuple[bytes, Stat, Facts]]]] = {}

    def __init__(self, name: str = "", prefix: str = "") -> None:
        super().__init__(f"memory://{name}", prefix)
        self._files = self._places.setdefault(name, {}) if name else {}
        self._lock = threading.Lock()

    def facts(self, path: str) -> Facts | None:
        """Return what *path* was put with; None where there is none."""
        found = self._files.get(self._key(path))
        return None if found is None else found[2]

    def clear(self) -> None:
        """Forget all files, also those of other prefixes."""
        self._files.clear()

    def _put(self, key: str, data: bytes, facts: Facts) -> Stat:
        stat = Stat(len(data), time.time(), checksum(data))
        with self._lock:
            self._files[key] = bytes(data), stat, facts
        return stat

    def _get(self, key: str) -> bytes | None:
        found = self._files.get(key)
        return None if found is None else found[0]

    def _stat(self, key: str) -> Stat | None:
        found = self._files.get(key)
        return None if found is None else found[1]

    def _delete(self, key: str) -> bool:
        with self._lock:
            return self._files.pop(key, None) is not None

    def _list(self, prefix: str) -> Iterator[str]:
        with self._lock:
            keys = list(self._files)
        return (key for key in keys if key.startswith(prefix))
