"""Which shards of a store are complete, and what is in them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from scrapy_imgpipe.errors import SettingError, StoreFailed
from scrapy_imgpipe.report.optional import pyarrow
from scrapy_imgpipe.stores import Store
from scrapy_imgpipe.webdataset.names import TAR_BYTES, figures_of, shard_of, table_of, tar_of

_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Finished:
    """The complete shards of a store; iterating tells their rows, shard after shard.

    Attributes:
        store: that they are in.
        shards: their numbers, in order.
        next: the first number behind all shards, also those of another program.
        columns: that rows have; all where it is empty.
    """

    store: Store
    shards: tuple[int, ...]
    next: int
    columns: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        """Yield the rows as plain Python; those of one shard are in memory, packed.

        Raises:
            StoreFailed: a shard cannot be read.
        """
        for shard in self.shards:
            with _opened(self.store, shard) as file:
                names = file.schema_arrow.names
                wanted = [name for name in self.columns if name in names] or names
                for batch in file.iter_batches(_ROWS, columns=wanted):
                    yield from batch.to_pylist()


def finished(store: Store, columns: Sequence[str] = ()) -> Finished:
    """Look for the shards that are complete in *store*, to go on behind them.

    A shard counts whose Parquet file is there, with a tar of the size that its figures tell.
    What a killed run has left is none, and its number is free.

    Args:
        store: with shards; other files in it are passed over.
        columns: that the rows are to have; all if left out.

    Raises:
        StoreFailed: the store cannot be listed or read.
    """
    paths = (path for digit in "0123456789" for path in store.list(digit))
    numbers = sorted(shard for path in paths if (shard := shard_of(path)) is not None)
    complete, after = [], 0
    for number in numbers:
        told = _told_bytes(store, number)
        stat = None if told is None else store.stat(tar_of(number))
        if stat is not None and stat.bytes == told:
            complete.append(number)
            after = number + 1
        elif told is None:  # another program's
            after = number + 1
    return Finished(store, tuple(complete), after, tuple(columns))


def _told_bytes(store: Store, shard: int) -> int | None:
    """Return how many bytes a shard's tar had; None where its figures do not tell."""
    data = store.get(figures_of(shard))
    with suppress(ValueError, RecursionError):
        figures = json.loads(data or b"")
        told = figures.get(TAR_BYTES) if isinstance(figures, dict) else None
        return told if isinstance(told, int) else None
    return None


def schema_of(store: Store, shard: int) -> Any:
    """Return the schema of a shard's Parquet file; None where there is none, or no such file.

    Raises:
        SettingError: pyarrow is missing.
        StoreFailed: the store cannot be read.
    """
    try:
        with _opened(store, shard) as file:
            return file.schema_arrow
    except _NoShard:
        return None


class _NoShard(StoreFailed):
    """There is no Parquet file, or it is no shard's."""


def _opened(store: Store, shard: int) -> Any:
    try:
        arrow, parquet = pyarrow()
    except ImportError as error:
        raise SettingError(f"Could not read shards: {error}") from None
    path = table_of(shard)
    data = store.get(path)
    if data is None:
        raise _NoShard(f"Could not read {path!r}: it is not there")
    try:
        return parquet.ParquetFile(arrow.BufferReader(data))
    except arrow.ArrowException as error:
        failure = _NoShard(f"Could not read {path!r}: {error}")
    raise failure
