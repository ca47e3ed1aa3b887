"""What one report tells, and what two of them tell together.

Rows go from the reader into a database that SQLite keeps in a file without a name;
questions are answered there, so that memory does not grow with the report.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any, Self
from urllib.parse import urlsplit

from scrapy_imgpipe.records import SUCCESSES
from scrapy_imgpipe.report.failures import said
from scrapy_imgpipe.report.figures import Comparison, Found, Host, Source, Summary, Totals
from scrapy_imgpipe.report.reading import read_rows

_SECONDS = ("seconds_waiting", "seconds_downloading", "seconds_rendering", "seconds_storing")

# 16 MiB of pages in memory; the rest, and what is sorted, is on disk.
_SET_UP = """
PRAGMA temp_store = FILE;
PRAGMA journal_mode = OFF;
PRAGMA cache_size = -16384;
CREATE TABLE asks (
    number INTEGER PRIMARY KEY, report INTEGER, url TEXT, host TEXT, outcome TEXT, ok INTEGER,
    checksum TEXT, bytes_in INTEGER, bytes_stored INTEGER, downloading REAL, seconds REAL
);
"""

_ADD = "INSERT INTO asks VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

# Each URL once in each report: its best ask, and when it was first asked for.
_GROUP = """
CREATE TABLE sources AS
SELECT report, url, ok, checksum, first FROM (
    SELECT report, url, ok, checksum, min(number) OVER source AS first,
        row_number() OVER (source ORDER BY ok DESC, checksum IS NULL, number) AS place
    FROM asks WHERE url IS NOT NULL
    WINDOW source AS (PARTITION BY report, url)
) WHERE place = 1;
CREATE INDEX by_url ON sources (url, report);
"""

_TOTALS = """
SELECT count(*), (SELECT count(*) FROM sources WHERE report = ?), total(NOT ok),
    total(bytes_in), total(bytes_stored)
FROM asks WHERE report = ?"""

_OUTCOMES = """
SELECT outcome, count(*) AS asks FROM asks WHERE report = ?
GROUP BY outcome ORDER BY asks DESC, outcome"""

_HOSTS = """
SELECT host, count(*) AS asks, total(NOT ok), total(bytes_in), total(bytes_stored)
FROM asks WHERE report = ? GROUP BY host ORDER BY asks DESC, host LIMIT ?"""

# The value in the middle, or the mean of the two there.
_MEDIAN = """
SELECT avg(downloading) FROM (
    SELECT downloading, count(*) OVER () AS many,
        row_number() OVER (ORDER BY downloading) AS place
    FROM asks WHERE report = ? AND host = ? AND downloading > 0
) WHERE place IN ((many + 1) / 2, (many + 2) / 2)"""

# Beside a max(), SQLite takes the other columns from the row that has it
# (sqlite.org/lang_select.html, "Bare columns in an aggregate query").
_SLOWEST = """
SELECT url, outcome, max(seconds) AS most, bytes_in FROM asks
WHERE report = ? AND url IS NOT NULL AND seconds > 0
GROUP BY url ORDER BY most DESC, number LIMIT ?"""

_LARGEST = """
SELECT url, outcome, seconds, max(bytes_in) AS most FROM asks
WHERE report = ? AND url IS NOT NULL AND bytes_in > 0
GROUP BY url ORDER BY most DESC, number LIMIT ?"""

_FAILED = "SELECT url FROM sources WHERE report = ? AND NOT ok ORDER BY first"

_ONLY = """
FROM sources AS here WHERE report = {} AND NOT EXISTS (
    SELECT 1 FROM sources AS there WHERE there.url = here.url AND there.report = {}
)"""
_FINE_BEFORE = """
FROM sources AS here JOIN sources AS before ON before.url = here.url AND before.report = 0
WHERE here.report = 1 AND before.ok"""
_NEW = _ONLY.format(1, 0)
_GONE = _ONLY.format(0, 1)
_CHANGED = f"{_FINE_BEFORE} AND here.ok AND here.checksum <> before.checksum"
_NEWLY_FAILING = f"{_FINE_BEFORE} AND NOT here.ok"


class Analysis:
    """One report, or an earlier and a later one; for a ``with`` statement.

    Loads them at once. Questions about one report take its number: 0, or 1 for the
    later one. To be used in the thread that made it.

    Args:
        path: the report, or the earlier one of two.
        later: the later one.

    Raises:
        FileNotFoundError: when one is missing.
        SettingError: for an extension that is none of ours.
        ImportError: when pyarrow is needed and missing.
        StoreFailed: when one cannot be read, or the disk is full.
    """

    def __init__(
        self, path: str | os.PathLike[str], later: str | os.PathLike[str] | None = None
    ) -> None:
        paths = [path] if later is None else [path, later]
        # Without a name it is gone when it is closed, or the process dies.
        self._database = sqlite3.connect("", isolation_level=None)
        self._reports = len(paths)
        try:
            self._load(paths)
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        """Forget everything; a second call does nothing."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def summary(self, most: int = 10, report: int = 0) -> Summary:
        """Return the totals, and *most* hosts, slowest and largest sources."""
        return Summary(
            self.totals(report),
            self.hosts(most, report),
            self.slowest(most, report),
            self.largest(most, report),
        )

    def totals(self, report: int = 0) -> Totals:
        """Return the sums over all asks."""
        ((asks, sources, failed, bytes_in, bytes_stored),) = self._ask(_TOTALS, report, report)
        outcomes = tuple(self._ask(_OUTCOMES, report))
        return Totals(asks, sources, int(failed), int(bytes_in), int(bytes_stored), outcomes)

    def hosts(self, most: int = 10, report: int = 0) -> tuple[Host, ...]:
        """Return the hosts with the most asks; equal ones in order of their names."""
        return tuple(
            Host(
                name,
                asks,
                int(failed),
                int(bytes_in),
                int(bytes_stored),
                self._median(report, name),
            )
            for name, asks, failed, bytes_in, bytes_stored in self._ask(_HOSTS, report, most)
        )

    def slowest(self, most: int = 10, report: int = 0) -> tuple[Source, ...]:
        """Return the URLs with the longest asks, the longest first."""
        return tuple(Source(*row) for row in self._ask(_SLOWEST, report, most))

    def largest(self, most: int = 10, report: int = 0) -> tuple[Source, ...]:
        """Return the URLs with the largest bodies, the largest first."""
        return tuple(Source(*row) for row in self._ask(_LARGEST, report, most))

    def failed_urls(self, report: int = 0) -> Iterator[str]:
        """Yield each URL of which no ask went well, once, in order of asking."""
        return (url for (url,) in self._database.execute(_FAILED, (report,)))

    def comparison(self, most: int = 10) -> Comparison:
        """Return how the later report differs, with the first *most* URLs of each kind.

        Raises:
            ValueError: when there is only one report.
        """
        if self._reports == 1:
            raise ValueError("A comparison takes two reports")
        kinds = (_NEW, _GONE, _CHANGED, _NEWLY_FAILING)
        return Comparison(*(self._found(kind, most) for kind in kinds))

    def _median(self, report: int, host: str) -> float | None:
        ((seconds,),) = self._ask(_MEDIAN, report, host)
        return None if seconds is None else float(seconds)

    def _found(self, kind: str, most: int) -> Found:
        ((count,),) = self._ask(f"SELECT count(*) {kind}")
        first = self._ask(f"SELECT here.url {kind} ORDER BY here.first LIMIT ?", most)
        return Found(count, tuple(url for (url,) in first))

    def _ask(self, question: str, *values: Any) -> list[Any]:
        return self._database.execute(question, values).fetchall()

    def _load(self, paths: list[str | os.PathLike[str]]) -> None:
        self._database.executescript(_SET_UP)
        for report, path in enumerate(paths):
            rows = read_rows(path)
            with said("analyse", path):
                self._database.execute("BEGIN")
                self._database.executemany(_ADD, (_values(report, row) for row in rows))
                self._database.execute("COMMIT")
        with said("analyse", paths[-1]):
            self._database.executescript(_GROUP)


def _values(report: int, row: Mapping[str, Any]) -> tuple[Any, ...]:
    outcome = row["outcome"] or ""
    return (
        report,
        row["url"],
        _host(row["url"] or ""),
        outcome,
        outcome in SUCCESSES and row.get("status") != "failed",  # who joined a failure
        row["checksum"],
        row["bytes_in"] or 0,
        row["bytes_stored"] or 0,
        row["seconds_downloading"],
        sum(row[name] or 0.0 for name in _SECONDS),
    )


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        name = parts.hostname
    except ValueError:  # brackets that hold no address
        return ""
    return name or (f"{parts.scheme}:" if parts.scheme else "")
