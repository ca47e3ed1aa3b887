"""Where the rows of a fetch go: counted, with the columns of the list, into the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from scrapy_imgpipe.fetching.done import Done
from scrapy_imgpipe.records import SUCCESSES, Outcome

if TYPE_CHECKING:
    from scrapy_imgpipe.fetching.process import Row
    from scrapy_imgpipe.fetching.wires import Source

#: Column with the number of the line in the list, from 0.
LINE = "line"


class Sink(Protocol):
    """Takes rows that are as they will be in the report."""

    def write(self, rows: Sequence[Mapping[str, Any]], /) -> None:
        """Add *rows*."""


class Results:
    """Takes the rows of all crawls of one fetch; called by several threads.

    Args:
        sinks: that get the rows.
        item_key: column that tells an item from the others in the report; else its number.

    Attributes:
        outcomes: how many sources ended how.
        failed: how many of them have no image.
        bytes_in: of all bodies.
        bytes_stored: of all renditions.
    """

    def __init__(self, sinks: Sequence[Sink], item_key: str) -> None:
        self.outcomes: Counter[str] = Counter()
        self.failed: int = 0
        self.bytes_in: int = 0
        self.bytes_stored: int = 0
        self._sinks = sinks
        self._item_key = item_key
        self._lock = Lock()

    @property
    def count(self) -> int:
        """How many sources have ended."""
        return self.outcomes.total()

    def take(self, pairs: list[tuple[Row, Source]]) -> None:
        """Take rows, each with its source.

        What was interrupted has not been done: it is no row, and goes on the next time.
        """
        ended = [(row, source) for row, source in pairs if row["outcome"] != Outcome.INTERRUPTED]
        rows = [self._merged(row, source) for row, source in ended]
        with self._lock:
            for sink in self._sinks:
                sink.write(rows)
            for row in rows:
                self._count(row)

    def _count(self, row: Mapping[str, Any]) -> None:
        self.outcomes[str(row["outcome"])] += 1
        self.failed += row["outcome"] not in SUCCESSES or row.get("status") == "failed"
        self.bytes_in += row.get("bytes_in") or 0
        self.bytes_stored += row.get("bytes_stored") or 0

    def _merged(self, row: Row, source: Source) -> dict[str, Any]:
        number, _, columns = source
        item = columns.get(self._item_key)
        merged = {**row, LINE: number, "item": str(number if item is None else item)}
        merged |= {_beside(name, merged, columns): value for name, value in columns.items()}
        return merged


def _beside(name: str, row: Mapping[str, Any], columns: Mapping[str, Any]) -> str:
    """Return what a column of the list is called in *row*, which may have one of that name."""
    if name not in row:
        return name
    free = f"list_{name}"
    while free in row or free in columns:
        free += "_2"
    return free


def done_in(rows: Iterable[Mapping[str, Any]]) -> Done:
    """Return which lines have a row among *rows*, and how they ended."""
    done = Done()
    for row in rows:
        number = row.get(LINE)
        if isinstance(number, int):
            done.add(number)
            done.outcomes[str(row.get("outcome"))] += 1
    return done
