"""Rows and pictures in, shards out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Final

from scrapy_imgpipe.errors import SettingError, StoreFailed
from scrapy_imgpipe.parsers import Parser, parse, whole_number
from scrapy_imgpipe.report.optional import pyarrow
from scrapy_imgpipe.stores import FileSystemStore, Store
from scrapy_imgpipe.webdataset.facts import facts_of
from scrapy_imgpipe.webdataset.finished import schema_of
from scrapy_imgpipe.webdataset.names import key_of
from scrapy_imgpipe.webdataset.shard import Shard
from scrapy_imgpipe.webdataset.spool import remove_left_over
from scrapy_imgpipe.webdataset.table import Columns, columns_of

#: Rows of a shard, as img2dataset has them.
SHARD_ROWS: Final = 10_000


class ShardWriter:
    """Writes a dataset of tar shards; not for several threads at once.

    A shard is in the store whole or not at all: the Parquet file, which is put last, tells
    that it is complete. The unfinished one is in local files, and lost with the process;
    memory is that of one sample. A store of files takes these files as they are, any other
    one gets the bytes of a whole tar at once, so that a shard has to fit into memory there.

    Args:
        store: that the shards go into; best one of their own.
        shard_size: rows of a full shard, failed ones with them.
        caption: column of the list whose text goes into ``<key>.txt``; empty for none.
        first: number of the first shard; :func:`~scrapy_imgpipe.webdataset.finished` tells
            which one is free. One that is there is replaced.
        folder: for the unfinished shard; on the disk of a store of files if left out, else
            where the system has temporary files.

    Raises:
        SettingError: an argument cannot be used, or pyarrow is missing.
        StoreFailed: *folder* cannot be written to, or the store not be read.
    """

    def __init__(
        self,
        store: Store,
        *,
        shard_size: int = SHARD_ROWS,
        caption: str = "",
        first: int = 0,
        folder: str | None = None,
    ) -> None:
        self._store = store
        self._size: int = parse(_SIZE, "shard_size", shard_size)
        self._caption: str = parse(_TEXT, "caption", caption)
        number: int = parse(_NUMBER, "first", first)
        try:
            pyarrow()
        except ImportError as error:
            raise SettingError(f"Could not write shards: {error}") from None
        own = store.base if isinstance(store, FileSystemStore) else gettempdir()
        self._folder = Path(folder or own)
        remove_left_over(self._folder)
        schema = schema_of(store, number - 1) if number else None
        self._columns = Columns() if schema is None else columns_of(schema)
        self._shard = Shard(number, self._folder, self._columns)
        self._is_closed = False

    @property
    def shard(self) -> int:
        """Number of the shard that is not in the store yet."""
        return self._shard.number

    def add(self, row: Mapping[str, Any], files: Sequence[tuple[str, bytes]] = ()) -> str:
        """Add one image, and put the shard into the store where it is full with it.

        Args:
            row: of the run report, with the columns of the list, and ``exif``,
                ``original_width`` and ``original_height`` where they are known. Its
                ``sha256`` is told from the full image.
            files: extension and bytes of each: the full image (``jpg``) first, renditions
                as ``small.jpg``; none where the image failed.

        Returns:
            The key of the sample.

        Raises:
            StoreFailed: the row is not kept; or, where it made the shard full, that could
                not be put, which the next call tries again.
        """
        if self._is_closed:
            raise StoreFailed("The shards are finished already")
        if self._shard.rows >= self._size:
            self._put()
        key = key_of(self._shard.number, self._shard.rows, self._size)
        full = files[0][1] if files else None
        facts = facts_of(row, key, full, self._caption)
        self._shard.add(facts, files, facts["caption"] if self._caption else None)
        if self._shard.rows >= self._size:
            self._put()
        return key

    def close(self) -> None:
        """Put the last shard, if it has rows; a second call does nothing.

        Raises:
            StoreFailed: it could not be put; the next call tries again.
        """
        if self._is_closed:
            return
        if self._shard.rows:
            self._shard.put(self._store)
        self.abandon()

    def abandon(self) -> None:
        """Forget the unfinished shard; what is in the store stays."""
        self._is_closed = True
        self._shard.remove()

    def _put(self) -> None:
        self._shard.put(self._store)
        self._shard = Shard(self._shard.number + 1, self._folder, self._columns)


def _parse_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


_SIZE = whole_number(1, "rows")
_NUMBER = whole_number(0)
_TEXT = Parser("the name of a column, or empty text", _parse_text)
