"""The database's shape, as numbered steps from nothing to today.

A step that has been released is never changed; what comes later is a new one.
"""

from __future__ import annotations

import sqlite3

from scrapy_imgpipe.errors import IndexFailed

#: Step *n* leads from version *n - 1* to version *n* (``PRAGMA user_version``).
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE source (
            id INTEGER PRIMARY KEY,
            fingerprint TEXT NOT NULL,
            asked TEXT NOT NULL,
            url TEXT NOT NULL,
            path TEXT,
            width INTEGER NOT NULL,
            height INTEGER NOT NULL,
            bytes INTEGER NOT NULL,
            modified REAL NOT NULL,
            checksum TEXT NOT NULL,
            format TEXT NOT NULL,
            renditions TEXT NOT NULL,
            plan TEXT NOT NULL,
            limits TEXT NOT NULL,
            content TEXT,
            etag TEXT NOT NULL,
            last_modified TEXT NOT NULL,
            stored_at REAL NOT NULL,
            checked_at REAL NOT NULL,
            failed_at REAL NOT NULL,
            outcome TEXT NOT NULL,
            reason TEXT NOT NULL,
            http_status INTEGER NOT NULL,
            tries INTEGER NOT NULL,
            placeholder TEXT NOT NULL,
            measured TEXT NOT NULL
        )""",
        "CREATE TABLE about (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
        "INSERT INTO about VALUES ('since', CAST(strftime('%s', 'now') AS REAL))",
        "CREATE INDEX source_content ON source (content) WHERE content IS NOT NULL",
    ),
    tuple(
        f"""CREATE INDEX source_phash_{band} ON source (
            substr(json_extract(measured, '$.phash'), {4 * band + 1}, 4),
            json_extract(measured, '$.phash')
        ) WHERE json_extract(measured, '$.phash') IS NOT NULL
            AND json_extract(measured, '$.near_duplicate') IS NULL"""
        for band in range(4)
    ),
)


def migrate(
    connection: sqlite3.Connection, steps: tuple[tuple[str, ...], ...] = MIGRATIONS
) -> None:
    """Bring the database to the version of *steps*; several processes may try at once.

    Raises:
        IndexFailed: a later version of this package wrote it.
    """
    if version_of(connection) == len(steps):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        refuse_later(connection, steps)
        version = version_of(connection)  # another process may have done it meanwhile
        for step in steps[version:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(steps)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def refuse_later(
    connection: sqlite3.Connection, steps: tuple[tuple[str, ...], ...] = MIGRATIONS
) -> None:
    """Refuse a database that was written by a later version of this package; only look.

    Raises:
        IndexFailed: it was.
    """
    version = version_of(connection)
    if version > len(steps):
        msg = f"it has version {version}, this package knows {len(steps)}"
        raise IndexFailed(msg)


def version_of(connection: sqlite3.Connection) -> int:
    """Return the number of the last step that was taken."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)
