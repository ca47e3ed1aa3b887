"""Rows of a fetch on their way into tar shards: with the files that crawls have left for them."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scrapy_imgpipe.errors import SettingError, StoreFailed
from scrapy_imgpipe.fetching.results import LINE, done_in
from scrapy_imgpipe.records import SUCCESSES, Outcome
from scrapy_imgpipe.webdataset import Finished, ShardWriter, finished

if TYPE_CHECKING:
    from scrapy_imgpipe.fetching.done import Done
    from scrapy_imgpipe.fetching.results import Sink
    from scrapy_imgpipe.stores import Store

#: Where the shards' store says which list they are of.
LIST = "list.json"

#: Rows for which files stay that were read: who joined a download has its files, and its row
#: comes with the next ones.
_ROWS = 4096


class Shards:
    """Gives rows to a :class:`ShardWriter`, and on to reports once their shard is complete.

    Args:
        writer: gets rows and files.
        staging: where crawls have put the files; each is read once, and deleted.
        sinks: that get rows as well.
    """

    def __init__(self, writer: ShardWriter, staging: Store, sinks: Sequence[Sink]) -> None:
        self._writer = writer
        self._staging = staging
        self._sinks = sinks
        self._rows: list[Mapping[str, Any]] = []
        self._read: deque[str] = deque()

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add *rows*.

        Raises:
            StoreFailed: a shard cannot be written.
        """
        for row in rows:
            shard = self._writer.shard
            self._writer.add(row, [self._file(path) for path in _paths(row)])
            self._rows.append(row)
            if self._writer.shard != shard:
                self._tell()
        while len(self._read) > _ROWS:
            self._staging.delete(self._read.popleft())

    def close(self) -> None:
        """Finish the last shard.

        Raises:
            StoreFailed: it cannot be written.
        """
        self._writer.close()
        self._tell()

    def abandon(self) -> None:
        """Forget the last shard, whose rows are done again the next time."""
        self._writer.abandon()

    def _file(self, path: str) -> tuple[str, bytes]:
        data = self._staging.get(path)
        if data is None:
            raise StoreFailed(f"Could not read {path!r}: it is not there any more")
        self._read.append(path)
        return path.partition(".")[2], data  # behind the number of the line

    def _tell(self) -> None:
        for sink in self._sinks:
            sink.write(self._rows)
        self._rows = []


def _paths(row: Mapping[str, Any]) -> list[str]:
    """Return the files of *row*, the full image first."""
    if row["outcome"] not in SUCCESSES or not row.get("path"):
        return []
    return [str(row["path"]), *(str(one["path"]) for one in row.get("renditions") or ())]


def begun(store: Store, identity: str) -> Finished:
    """Return the shards of the list *identity* that *store* has, to go on behind them.

    Raises:
        SettingError: it has those of another list, or of one that cannot be known again.
        StoreFailed: it cannot be read or written.
    """
    complete = finished(store)
    told = store.get(LIST)
    if complete.next and (not identity or told is None or _identity_in(told) != identity):
        raise SettingError(
            "The store has shards of another list, or of one that nobody can know again:"
            " name an empty one"
        )
    store.put(LIST, json.dumps({"list": identity}).encode())
    return complete


def _identity_in(told: bytes) -> str:
    try:
        return str(json.loads(told)["list"])
    except (ValueError, KeyError, TypeError):
        return ""


def done_in_shards(complete: Finished) -> Done:
    """Return the lines that have a row in *complete*."""
    rows = Finished(complete.store, complete.shards, 0, (LINE, "outcome"))
    return done_in({**row, LINE: int(row[LINE])} for row in rows)


def rows_in_shards(complete: Finished) -> Iterator[dict[str, Any]]:
    """Yield what the report says of the rows in *complete*."""
    for row in complete:
        outcome = row.get("outcome")
        status = "cached" if outcome == Outcome.CACHED else "downloaded"
        told = {name: value for name, value in row.items() if name not in _WORDS}
        told["status"] = status if outcome in SUCCESSES else "failed"
        yield {**told, "reason": row.get("error_message")}


# What img2dataset's readers want, and the report has in other words.
_WORDS = frozenset({"status", "error_message"})
