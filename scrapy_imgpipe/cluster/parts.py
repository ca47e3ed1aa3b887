"""The report of a list on a cluster: a Parquet file for each shard, and a summary.

A part says of which shard it is, and what came of it, in the metadata of its schema, so that
one that is there is whole and known.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scrapy_imgpipe.errors import StoreFailed
from scrapy_imgpipe.report.optional import pyarrow
from scrapy_imgpipe.report.parquet_files import PART_NAME, parts_of

if TYPE_CHECKING:
    from scrapy_imgpipe.fetching.results import Results

#: Where a part's schema says what came of its shard.
_KEY = b"scrapy_imgpipe"

_SUMMARY = "summary.json"
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
    table = arrow.concat_tables(tables, promote_options="default").sort_by("line")
    table = table.replace_schema_metadata({_KEY: json.dumps(asdict(facts))})
    sink = arrow.BufferOutputStream()
    parquet.write_table(table, sink)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


class Parts:
    """The folder of a report.

    Args:
        folder: made when it is not there.

    Raises:
        StoreFailed: it cannot be.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._arrow, self._parquet = pyarrow()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._failed("make", error) from None

    def known(self, shards: Iterable[str]) -> dict[int, Facts]:
        """Return what came of the shards that have a part; parts of others are removed.

        Args:
            shards: what tells each shard from others, by its number.
        """
        wanted = dict(enumerate(shards))
        found = {}
        for part in parts_of(self._folder):
            number = int(part.stem.partition("-")[2])
            facts = self._facts_in(part)
            if facts is not None and facts.shard == wanted.get(number):
                found[number] = facts
            else:
                with suppress(OSError):
                    part.unlink()
        return found

    def _facts_in(self, part: Path) -> Facts | None:
        try:
            metadata = self._parquet.read_schema(part).metadata or {}
            return Facts(**json.loads(metadata[_KEY]))
        except (OSError, self._arrow.ArrowException, ValueError, KeyError, TypeError):
            return None

    def put(self, number: int, part: bytes) -> Facts:
        """Write the *part* of a shard, whole or not at all; return what came of the shard.

        Raises:
            StoreFailed: it cannot be written, or is none.
        """
        temporary = self._folder / _TEMPORARY
        try:
            temporary.write_bytes(part)
            facts = self._facts_in(temporary)
            if facts is None:
                raise StoreFailed(f"What came of shard {number} is no report")
            temporary.replace(self._folder / PART_NAME.format(number))
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
            (self._folder / _SUMMARY).write_text(text, encoding="utf-8")
        except OSError as error:
            raise self._failed("write", error) from None

    def _failed(self, what: str, error: OSError) -> StoreFailed:
        place = os.fspath(self._folder)
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
