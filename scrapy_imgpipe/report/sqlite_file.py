"""A report as a SQLite database with one table, ``report``.

The journal is SQLite's older one, not WAL: after a ``kill -9`` the file alone has
every batch, except where the kill met a commit, which the journal beside it then
undoes at the next opening. Readers wait for a commit and a commit for readers, so
ours take a few rows at a time.

Numbers and text are themselves; a further value that is True, False, a list or a
dict stands as JSON.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from scrapy_imgpipe.report.cells import clean, decoded, encoded
from scrapy_imgpipe.report.columns import COLUMNS, NAMES
from scrapy_imgpipe.report.failures import said
from scrapy_imgpipe.report.layout import Layout, unfolded

#: Seconds that a writer waits for somebody who looks into the report, and a reader for
#: the writer.
WAIT_SECONDS = 60.0

#: Rows that a reader takes under one lock. Few, for a data: URL has megabytes.
_PAGE_ROWS = 100

_BESIDE = ("-journal", "-wal", "-shm", "")  # the database last: without it they are nothing
_TYPES = {"text": "TEXT", "int": "INTEGER", "float": "REAL", "list": "TEXT"}


class SqliteReport:
    """A :class:`~scrapy_imgpipe.report.protocol.ReportFile` in a SQLite database.

    Args:
        path: the file.
        append: whether the rows that are there stay.
        wait_seconds: for those who look into the report; then the batch fails.
    """

    def __init__(
        self, path: Path, *, append: bool = False, wait_seconds: float = WAIT_SECONDS
    ) -> None:
        self._path = path
        with said("open", path):
            if not append:
                for ending in _BESIDE:
                    Path(f"{path}{ending}").unlink(missing_ok=True)
            self._database = _connected(path, "rwc", wait_seconds)
            try:
                self._layout = self._prepared()
            except BaseException:
                self._database.close()
                raise

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the batch in one transaction, with the columns it needs."""
        cleaned = [clean(row) for row in rows]
        with said("write", self._path), self._transaction():
            wider = self._layout.widened(cleaned)
            self._add_columns(wider.names[len(self._layout.names) :])
            names = ", ".join(map(_quoted, wider.names))
            places = ", ".join("?" * len(wider.names))
            self._database.executemany(
                f"INSERT INTO report ({names}) VALUES ({places})",  # noqa: S608 - quoted names
                (wider.cells(row, _encoded) for row in cleaned),
            )
        self._layout = wider

    def close(self) -> None:
        """Close the database."""
        with said("close", self._path):
            self._database.close()

    def _prepared(self) -> Layout:
        self._database.execute("PRAGMA journal_mode = DELETE")
        # A loss of power may cost the last batches, but hardly ever the whole report.
        self._database.execute("PRAGMA synchronous = NORMAL")
        columns = ", ".join(f"{_quoted(column.name)} {_TYPES[column.kind]}" for column in COLUMNS)
        with self._transaction():
            self._database.execute(f"CREATE TABLE IF NOT EXISTS report ({columns})")
            found = self._database.execute("SELECT name FROM pragma_table_info('report')")
            layout = Layout(name for (name,) in found)
            wider = layout.widened([dict.fromkeys(NAMES)])
            self._add_columns(wider.names[len(layout.names) :])
        return wider

    def _add_columns(self, names: Sequence[str]) -> None:
        for name in names:
            self._database.execute(f"ALTER TABLE report ADD COLUMN {_quoted(name)}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:  # a full disk may have ended it
                self._database.execute("ROLLBACK")
            raise


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows; a hundred are in memory, and no lock is held between them.

    Raises:
        StoreFailed: when the file is no database or has no report.
    """
    with said("read", path), closing(_connected(path, "rw")) as database:
        if not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return  # its writer died before the first commit
        last = -1
        while True:
            page = database.execute(
                "SELECT rowid, * FROM report WHERE rowid > ? ORDER BY rowid LIMIT ?",
                (last, _PAGE_ROWS),
            )
            names = [column[0] for column in page.description][1:]
            rows = page.fetchall()
            if not rows:
                return
            last = rows[-1][0]
            for row in rows:
                yield unfolded(names, row[1:], _decoded)


def _connected(path: Path, mode: str, wait_seconds: float = WAIT_SECONDS) -> sqlite3.Connection:
    # "rw", not "ro": only who may write can undo what a killed writer left half.
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        timeout=wait_seconds,
        isolation_level=None,
        check_same_thread=False,
        uri=True,
    )


def _encoded(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    return value if isinstance(value, str) and _is_number(decoded(value)) else encoded(value)


def _decoded(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    value = decoded(cell)
    return cell if _is_number(value) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))
