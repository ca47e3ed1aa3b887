"""The index as one SQLite file, beside it the two of its write-ahead log, and a lock.

Readers and one writer work at the same time, in any number of processes of one machine
(not over a network file system: https://sqlite.org/wal.html). A commit survives the
death of the process; the loss of power may take the last ones, never the file.

A damaged file is set aside, and an empty one begun: what it knew costs a look at the
store then, or a download, never an image.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
import time
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from scrapy_imgpipe.errors import IndexFailed
from scrapy_imgpipe.index import queries
from scrapy_imgpipe.index.migrations import migrate, refuse_later
from scrapy_imgpipe.index.nearness import distance, is_hash, words_near
from scrapy_imgpipe.index.protocol import Key, Near
from scrapy_imgpipe.index.rows import as_json, id_of, record_of
from scrapy_imgpipe.index.trouble import is_damage, is_locked

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from scrapy_imgpipe.records import ImageRecord

_logger = logging.getLogger(__name__)

#: How long to wait for another process that opens the file, and may bring it to a newer
#: version meanwhile, in seconds.
_PATIENCE_SECONDS = 60.0

#: How long to wait for another process that writes, in seconds; ours take milliseconds.
_WAIT_SECONDS = 10.0

#: The same where somebody was waited for in vain, lest a crawl stand still as often as it asks.
_NO_PATIENCE_SECONDS = 0.5

#: Pages of the file that a connection keeps in memory, in KiB.
_CACHE_KIB = 2048

#: Records that :meth:`SqliteIndex.records` reads at a time.
_STRIDE = 500

#: Indexes that a worker process keeps open; a crawl has one for each of its stores.
_KNOWN_INDEXES = 16

_T = TypeVar("_T")


class SqliteIndex:
    """An :class:`~scrapy_imgpipe.index.protocol.Index` in one SQLite file.

    Safe for threads and processes at once. Memory does not grow with the number of records.

    Args:
        path: of the file; it and its directory are made by the first call that needs them,
            which raises IndexFailed where it cannot be opened or a later version of this
            package wrote it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: str = os.path.abspath(path)  # noqa: PTH100 - links stay as they are
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open: list[sqlite3.Connection] = []

    def __reduce__(self) -> tuple[Callable[..., SqliteIndex], tuple[Any, ...]]:
        """Let other processes use it too; each keeps it open for all it is sent."""
        return _kept, (self.path,)

    def get(self, keys: Sequence[Key]) -> list[ImageRecord | None]:
        """Return the record of each of *keys*; one query for all of them."""
        names = [Key("", key.asked) for key in keys if key.asked]
        ids = json.dumps([*map(id_of, keys), *map(id_of, names)])
        found: dict[Key, ImageRecord] = {}
        for record in self._read(queries.GET, ids):
            found[Key(record.fingerprint, record.asked)] = record
        if not found:
            return [None] * len(keys)
        return [found.get(key) or found.get(Key("", key.asked)) for key in keys]

    def put(self, records: Sequence[ImageRecord]) -> None:
        """Keep *records* in one transaction."""
        try:
            rows = as_json(records)
        except (TypeError, ValueError) as error:  # not what a record may hold
            failed = self._failed(str(error))
        else:
            return self._put(rows, records)
        raise failed

    def _put(self, rows: str, records: Sequence[ImageRecord]) -> None:
        replaced = json.dumps(
            [id_of(Key("", record.asked)) for record in records if record.fingerprint]
        )

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute(queries.FORGET, (replaced,))
                connection.execute(queries.PUT, (rows,))
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

        self._do(write)

    def forget(self, keys: Sequence[Key]) -> None:
        """Remove the records of *keys*."""
        ids = json.dumps([id_of(key) for key in keys])
        self._do(lambda connection: connection.execute(queries.FORGET, (ids,)))

    def alike(self, content: str, most: int) -> list[ImageRecord]:
        """Return up to *most* records of what came as the same bytes."""
        return self._read(queries.ALIKE, content, most)

    def near(self, phash: str, most: int, but: Collection[str]) -> Near | None:
        """Return the source whose picture is nearest to one with the hash *phash*."""
        others = json.dumps(list(but))
        found = self._ask(queries.PHASHES_NEAR, *map(json.dumps, words_near(phash, most)))
        for bits, close in sorted((distance(phash, one), one) for one in found if is_hash(one)):
            if bits > most:
                break
            urls = self._ask(queries.OF_PHASH, close, close, others)
            if urls:
                return Near(urls[0], bits)
        return None

    def records(self) -> Iterator[ImageRecord]:
        """Yield all records, some hundreds at a time."""
        last = -1

        def ask(connection: sqlite3.Connection) -> list[Any]:
            rows = _fetched(connection, queries.NEXT, last, _STRIDE)
            if rows and rows[-1][0] <= last:  # it would go on for ever
                msg = "out of order"
                raise sqlite3.DatabaseError(msg)
            return rows

        while rows := self._do(ask):
            yield from map(record_of, rows)
            last = rows[-1][0]

    def refers_to(self, paths: Sequence[str]) -> set[str]:
        """Return those of *paths* that some record refers to."""

        def ask(connection: sqlite3.Connection) -> list[tuple[str]]:
            if not getattr(self._local, "has_referred", False):
                connection.executescript(queries.REFERRED)
                self._local.has_referred = True
            query = "SELECT path FROM referred WHERE path IN (SELECT value FROM json_each(?))"
            return connection.execute(query, (json.dumps(list(paths)),)).fetchall()

        return {path for (path,) in self._do(ask)}

    def since(self) -> float:
        """Return from when on it was told of everything, Unix seconds."""
        query = "SELECT value FROM about WHERE name = 'since'"
        rows = self._do(lambda connection: connection.execute(query).fetchall())
        return float(rows[0][0]) if rows else time.time()

    def knows_all(self) -> None:
        """Take note that it has been told of all files."""
        query = "UPDATE about SET value = 0 WHERE name = 'since'"
        self._do(lambda connection: connection.execute(query))

    def count(self) -> int:
        """Return how many records there are; reads all of the file's pages."""
        query = "SELECT count(*) FROM source"
        ((number,),) = self._do(lambda connection: connection.execute(query).fetchall())
        return int(number)

    def close(self) -> None:
        """Close all connections; not while another thread uses one."""
        with self._lock:
            connections, self._open = self._open, []
            self._local = threading.local()
        for connection in connections:
            connection.close()

    def _read(self, query: str, *args: object) -> list[ImageRecord]:
        return [record_of(row) for row in self._ask(query, *args)]

    def _ask(self, query: str, *args: object) -> list[Any]:
        """Return what *query* gives as one JSON array."""
        return self._do(lambda connection: _fetched(connection, query, *args))

    def _do(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Return what *work* does with a connection; once more where the file was damaged."""
        try:
            try:
                done = work(self._connection())
            except (sqlite3.Error, UnicodeDecodeError) as error:
                self._have_patience(locked=is_locked(error))
                known = getattr(self._local, "known", None)
                if known is None or not is_damage(error):
                    raise
                self._let_go(known)
                with self._alone():
                    if _inode(self.path) == known.inode:  # else somebody has done so already
                        self._set_aside(error)
                done = work(self._connection())
        except (sqlite3.Error, UnicodeDecodeError, OSError) as error:
            failed = self._failed(str(error))
        except IndexFailed as error:
            failed = self._failed(error.reason)
        else:
            self._have_patience()
            return done
        raise failed

    def _have_patience(self, *, locked: bool = False) -> None:
        """Wait shorter for who was waited for in vain, until something works again.

        Each thread for itself: others may read where one cannot write.
        """
        self._local.wait_seconds = _NO_PATIENCE_SECONDS if locked else _WAIT_SECONDS

    def _connection(self) -> sqlite3.Connection:
        """Return this thread's connection; after a fork, or to another file, a new one."""
        known: _Known | None = getattr(self._local, "known", None)
        wait_seconds = getattr(self._local, "wait_seconds", _WAIT_SECONDS)
        if known is not None:
            now = (os.getpid(), _inode(self.path), wait_seconds)
            if (known.pid, known.inode, known.wait_seconds) == now:
                return known.connection
            self._let_go(known)
        Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        with self._alone():
            if _inode(self.path) is None:
                self._remove_log()  # of a file that was removed
            try:
                connection = self._opened(wait_seconds)
            except (sqlite3.Error, UnicodeDecodeError) as error:
                if not is_damage(error):
                    raise
                self._set_aside(error)
                connection = self._opened(wait_seconds)
            inode = _inode(self.path)
        with self._lock:
            self._open.append(connection)
        self._local.known = _Known(os.getpid(), inode, connection, wait_seconds)
        self._local.has_referred = False
        return connection

    def _opened(self, wait_seconds: float) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=wait_seconds, isolation_level=None, check_same_thread=False
        )
        try:
            refuse_later(connection)  # before anything is changed
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let no other thread or process open the file, or set it aside, meanwhile.

        Else one could take the new file for the damaged one, or give the new one the log
        of the old. The way to WAL mode does not wait for others by itself, either.
        """
        name = f"{self.path}.lock"
        with closing(
            sqlite3.connect(name, timeout=_PATIENCE_SECONDS, isolation_level=None)
        ) as lock:
            lock.execute("BEGIN EXCLUSIVE")
            yield

    def _set_aside(self, error: Exception) -> None:
        """Give a damaged file another name; whoever has it open will see that it is gone."""
        aside = f"{self.path}.damaged-{int(time.time())}-{_inode(self.path)}"
        Path(self.path).rename(aside)
        self._remove_log()
        _logger.warning("The index was damaged (%s): it is now %s, and begun anew", error, aside)

    def _remove_log(self) -> None:
        for suffix in ("-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)

    def _let_go(self, known: _Known) -> None:
        """Close a connection that this thread has opened; not that of the parent of a fork."""
        self._local.known = None
        if known.pid == os.getpid():
            with self._lock, suppress(ValueError):
                self._open.remove(known.connection)
            known.connection.close()

    def _failed(self, reason: str) -> IndexFailed:
        return IndexFailed(f"Could not use the index {self.path!r}: {reason}")


class _Known(NamedTuple):
    """A connection, who opened it, which file it leads to, and how long it waits."""

    pid: int
    inode: int | None
    connection: sqlite3.Connection
    wait_seconds: float


def _fetched(connection: sqlite3.Connection, query: str, *args: object) -> list[Any]:
    ((text,),) = connection.execute(query, args).fetchall()
    rows: list[Any] = json.loads(text)
    return rows


def _inode(path: str) -> int | None:
    """Return what tells the file from another of its name; None where there is none."""
    try:
        return os.stat(path).st_ino  # noqa: PTH116 - for each call
    except FileNotFoundError:
        return None


@lru_cache(_KNOWN_INDEXES)
def _kept(path: str) -> SqliteIndex:
    return SqliteIndex(path)
