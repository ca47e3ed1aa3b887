"""The report of a list on a cluster: a Parquet file for each shard, and a summary.

A part says of which shard it is, and what came of it, in the metadata of its schema, so that
one that is there is whole and known.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scrapy_imgpipe.errors import SettingError, StoreFailed
from scrapy_imgpipe.report.optional import pyarrow
from scrapy_imgpipe.report.parquet_files import PART_NAME, parts_of

if TYPE_CHECKING:
    from scrapy_imgpipe.fetching.results import Results

#: Where a part's schema says what came of its shard.
_KEY = b"scrapy_imgpipe"

_SUMMARY = "summary.json"
_LOCK = ".lock"
_TEMPORARY = ".shard.parquet.tmp"


@dataclass(frozen=True, slots=True)
class Facts:
    """What came of a shard.

    Attributes:
        shard: what tells it from others: its lines, and what was done with them.
        outcomes: how many sources ended how.
        failed: how many of them have no image.
        bytes_in: of all bodies.
        bytes_stored: of all renditions.
        seconds: that it took.
        worker: who did it.
    """

    shard: str
    outcomes: Mapping[str, int]
    failed: int
    bytes_in: int
    bytes_stored: int
    seconds: float
    worker: str

    @property
    def rows(self) -> int:
        """How many lines it had."""
        return sum(self.outcomes.values())


def facts_of(shard: str, results: Results, seconds: float, worker: str) -> Facts:
    """Return what *results* are of *shard*."""
    outcomes = dict(sorted(results.outcomes.items()))
    sizes = (results.failed, results.bytes_in, results.bytes_stored)
    return Facts(shard, outcomes, *sizes, seconds, worker)


def packed_part(report: Path, facts: Facts) -> bytes:
    """Return the rows of *report*, a folder of Parquet files, as one file, in order.

    Args:
        report: that is complete.
        facts: about it.
    """
    arrow, parquet = pyarrow()
    tables = [parquet.read_table(part) for part in parts_of(report)]
    table = arrow.concat_tables(tables, promote_options="default")
    lines = table["line"].to_pylist()  # numbers as text
    order = sorted(range(len(lines)), key=lambda row: int(lines[row]))
    table = table.take(order).replace_schema_metadata({_KEY: json.dumps(asdict(facts))})
    sink = arrow.BufferOutputStream()
    parquet.write_table(table, sink)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


class Parts:
    """The folder of a report, which nobody else has until it is closed.

    Args:
        folder: made when it is not there.

    Attributes:
        folder: as given.

    Raises:
        SettingError: another run has it, or it has something else in Parquet.
        StoreFailed: it cannot be made or read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder: Path = folder
        self._arrow, self._parquet = pyarrow()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._failed("make", error) from None
        self._lock = self._locked()
        try:
            self._found: Mapping[Path, Facts | None] = self._looked()
        except BaseException:
            self.close()
            with suppress(OSError):
                (folder / _LOCK).unlink()
            raise

    def _looked(self) -> dict[Path, Facts | None]:
        """Return all parts, with what came of the shard of each; None for a damaged one."""
        parts = parts_of(self.folder)
        for file in self.folder.iterdir():
            if file.suffix.lower() == ".parquet" and file.name[0] != "." and file not in parts:
                raise self._strange(file)
        return {part: self._facts_in(part) for part in parts}

    def _locked(self) -> sqlite3.Connection:
        """Return what keeps others out, until it is closed or its process is gone.

        A database, for its locks are alike on all systems.
        """
        lock: sqlite3.Connection | None = None
        try:
            lock = sqlite3.connect(self.folder / _LOCK, timeout=0, isolation_level=None)
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            if lock is not None:
                lock.close()
            place = os.fspath(self.folder)
            if getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_BUSY:
                raise StoreFailed(f"Could not lock {place!r}: {error}") from None
            raise SettingError(
                f"Expected a report that no other run has for report but received {place!r}"
                " of type str"
            ) from None
        return lock

    def close(self) -> None:
        """Let others have it."""
        self._lock.close()

    def known(self, shards: Iterable[str]) -> dict[int, Facts]:
        """Return what came of the shards that have a part; parts of others are removed.

        Args:
            shards: what tells each shard from others, by its number.
        """
        wanted = dict(enumerate(shards))
        found, kept = {}, {}
        for part, facts in self._found.items():
            number = int(part.stem.partition("-")[2])
            if facts is not None and facts.shard == wanted.get(number):
                found[number] = kept[part] = facts
                continue
            with suppress(OSError):
                part.unlink()
        if len(kept) < len(self._found):
            with suppress(OSError):
                (self.folder / _SUMMARY).unlink()  # it was of these
        self._found = kept
        return found

    def _facts_in(self, part: Path) -> Facts | None:
        """Return what *part* says came of its shard; None where it is damaged.

        Raises:
            SettingError: it is no part of a list on a cluster.
            StoreFailed: it cannot be read.
        """
        try:
            metadata = self._parquet.read_schema(part).metadata or {}
        except OSError as error:
            if error.errno:
                raise self._failed("read", error) from None
            return None  # so it says that of some damage
        except self._arrow.ArrowException:
            return None
        try:
            return Facts(**json.loads(metadata[_KEY]))
        except (ValueError, KeyError, TypeError):
            raise self._strange(part) from None

    def _strange(self, file: Path) -> SettingError:
        return SettingError(
            "Expected a folder with no Parquet files but those of a list on a cluster for report"
            f" but received {os.fspath(self.folder)!r} of type str, which has {file.name!r}"
        )

    def put(self, number: int, part: bytes) -> Facts:
        """Write the *part* of a shard, whole or not at all; return what came of the shard.

        Raises:
            StoreFailed: it cannot be written, or is none.
        """
        temporary, facts = self.folder / _TEMPORARY, None
        try:
            temporary.write_bytes(part)
            with suppress(SettingError):
                facts = self._facts_in(temporary)
            if facts is None:
                raise StoreFailed(f"What came of shard {number} is no report")
            temporary.replace(self.folder / PART_NAME.format(number))
        except OSError as error:
            raise self._failed("write", error) from None
        return facts

    def summarise(self, summary: Mapping[str, object]) -> None:
        """Write *summary* beside the parts.

        Raises:
            StoreFailed: it cannot be written.
        """
        text = json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
        try:
            temporary = self.folder / f"{_SUMMARY}.tmp"
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(self.folder / _SUMMARY)
        except OSError as error:
            raise self._failed("write", error) from None

    def _failed(self, what: str, error: OSError) -> StoreFailed:
        place = os.fspath(self.folder)
        return StoreFailed(f"Could not {what} {place!r}: {error.strerror or error}")


def totals(known: Iterable[Facts]) -> dict[str, object]:
    """Return the sums of what is *known* of shards."""
    outcomes: Counter[str] = Counter()
    sums: Counter[str] = Counter()
    seconds = 0.0
    for facts in known:
        outcomes.update(facts.outcomes)
        sums["failed"] += facts.failed
        sums["bytes_in"] += facts.bytes_in
        sums["bytes_stored"] += facts.bytes_stored
        seconds += facts.seconds
    return {
        "outcomes": dict(outcomes.most_common()),
        "failed": sums["failed"],
        "bytes_in": sums["bytes_in"],
        "bytes_stored": sums["bytes_stored"],
        "seconds_of_shards": round(seconds, 3),
    }
