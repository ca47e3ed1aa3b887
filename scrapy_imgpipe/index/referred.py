"""Which paths records refer to, for an index that is on another machine."""

from __future__ import annotations

import json
import sqlite3
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scrapy_imgpipe.records import ImageRecord

#: Records whose paths are entered at a time.
_BATCH = 500


class Referred:
    """The paths of some records, in a file that nobody else sees and that ends with this.

    Memory does not grow with their number. Safe for threads, not after a fork.
    """

    def __init__(self, records: Iterable[ImageRecord]) -> None:
        self._lock = threading.Lock()
        self._paths = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        try:
            self._paths.execute("PRAGMA journal_mode = OFF")
            self._paths.execute("CREATE TABLE referred (path TEXT PRIMARY KEY) WITHOUT ROWID")
            some: list[str] = []
            for record in records:
                some += [file.path for file in record.files]
                if len(some) >= _BATCH:
                    self._add(some)
                    some = []
            self._add(some)
        except BaseException:
            self._paths.close()
            raise

    def among(self, paths: Sequence[str]) -> set[str]:
        """Return those of *paths* that a record refers to."""
        query = "SELECT path FROM referred WHERE path IN (SELECT value FROM json_each(?))"
        with self._lock:
            return {path for (path,) in self._paths.execute(query, (json.dumps(list(paths)),))}

    def close(self) -> None:
        """Remove them."""
        with self._lock:
            self._paths.close()

    def _add(self, paths: list[str]) -> None:
        insert = "INSERT OR IGNORE INTO referred SELECT value FROM json_each(?)"
        self._paths.execute(insert, (json.dumps(paths),))
