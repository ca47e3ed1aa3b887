"""A report as a folder of Parquet files: ``part-00000.parquet``, ``part-00001.parquet``, ...

A Parquet file is readable only when it is finished, so each part is written beside
its place and renamed into it. What is gathered for the next part is lost with the
process.

Lists stand as JSON, and so do further values that are no text; every part has the
columns that were known when it was written.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scrapy_imgpipe.report.cells import clean
from scrapy_imgpipe.report.columns import COLUMNS
from scrapy_imgpipe.report.failures import said
from scrapy_imgpipe.report.layout import Layout, unfolded
from scrapy_imgpipe.report.optional import pyarrow

#: Rows of a full part.
PART_ROWS = 50_000

#: Bytes of a full part, as Arrow has it in memory; on disk it is a fraction.
PART_BYTES = 16 << 20

#: Seconds after which what is gathered becomes a part with the next rows.
PART_SECONDS = 60.0

# Python's dicts take ten times what Arrow's columns take, so few of them wait.
_CHUNK_ROWS = 1000
_CHUNK_CHARACTERS = 1 << 20
_READ_ROWS = 1000

#: What a part is called, by its number.
PART_NAME = "part-{:05}.parquet"

_PART = re.compile(r"part-(\d{5,})\.parquet")
_TEMPORARY = ".part.parquet.tmp"


class ParquetReport:
    """A :class:`~scrapy_imgpipe.report.protocol.ReportFile` in a folder of parts.

    Args:
        folder: made when it is not there; other files in it are left alone.
        append: whether the parts that are there stay.
        part_rows: rows of a full part.
    """

    def __init__(self, folder: Path, *, append: bool = False, part_rows: int = PART_ROWS) -> None:
        self._folder = folder
        self._part_rows = part_rows
        self._arrow, self._parquet = pyarrow()
        numbers = {"int": self._arrow.int64(), "float": self._arrow.float64()}
        self._types = {c.name: numbers[c.kind] for c in COLUMNS if c.kind in numbers}
        self._layout = Layout()
        self._rows: list[dict[str, Any]] = []  # not yet in a chunk
        self._characters = 0  # of their text
        self._chunks: list[Any] = []
        self._bytes = 0  # of the chunks
        self._count = 0  # of all rows for the next part
        self._begun = 0.0  # when the first of them came
        with said("open", folder):
            folder.mkdir(exist_ok=True)
            (folder / _TEMPORARY).unlink(missing_ok=True)
            parts = parts_of(folder)
            if not append:
                for part in parts:
                    part.unlink()
            self._next = _number_of(parts[-1]) + 1 if parts and append else 0

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Gather the batch; write a part when enough is there."""
        with said("write", self._folder, self._arrow.ArrowException):
            if not self._count:
                self._begun = time.monotonic()
            for row in rows:
                cells = clean(row)
                self._rows.append(cells)
                self._count += 1
                self._characters += sum(len(c) for c in cells.values() if isinstance(c, str))
                if len(self._rows) >= _CHUNK_ROWS or self._characters >= _CHUNK_CHARACTERS:
                    self._pack()
                if self._count >= self._part_rows or self._bytes >= PART_BYTES:
                    self._finish_part()
            if self._count and time.monotonic() - self._begun >= PART_SECONDS:
                self._finish_part()

    def close(self) -> None:
        """Write what is gathered as the last part."""
        with said("write", self._folder, self._arrow.ArrowException):
            self._finish_part()

    def _pack(self) -> None:
        """Turn the gathered rows into columns."""
        rows, self._rows, self._characters = self._rows, [], 0
        self._layout = self._layout.widened(rows)
        columns = zip(*(self._layout.cells(row) for row in rows), strict=True)
        arrays = [
            self._arrow.array(cells, self._types.get(name, self._arrow.string()))
            for name, cells in zip(self._layout.names, columns, strict=True)
        ]
        chunk = self._arrow.table(arrays, names=list(self._layout.names))
        self._bytes += chunk.nbytes
        self._chunks.append(chunk)

    def _finish_part(self) -> None:
        if self._rows:
            self._pack()
        # Taken before they are written: what cannot be must not pile up.
        chunks, self._chunks = self._chunks, []
        self._count = self._bytes = 0
        if chunks:
            self._write_part(self._arrow.concat_tables(chunks, promote_options="default"))

    def _write_part(self, table: Any) -> None:
        temporary = self._folder / _TEMPORARY
        self._parquet.write_table(table, temporary)  # which removes what it cannot finish
        temporary.replace(self._folder / PART_NAME.format(self._next))
        self._next += 1


def read(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows, part after part; a thousand are in memory.

    Raises:
        ImportError: when pyarrow is missing.
        StoreFailed: when a part cannot be read.
    """
    arrow, parquet = pyarrow()
    with said("read", folder, arrow.ArrowException):
        for part in parts_of(folder) if folder.is_dir() else [folder]:
            with parquet.ParquetFile(part) as file:
                for batch in file.iter_batches(batch_size=_READ_ROWS):
                    names = batch.schema.names
                    columns = [column.to_pylist() for column in batch.columns]
                    for cells in zip(*columns, strict=True):
                        yield unfolded(names, cells)


def parts_of(folder: Path) -> list[Path]:
    """Return the parts in *folder*, in the order of their numbers."""
    return sorted(filter(_is_part, folder.iterdir()), key=_number_of)


def _is_part(path: Path) -> bool:
    return _PART.fullmatch(path.name) is not None


def _number_of(path: Path) -> int:
    return int(path.name.removeprefix("part-").removesuffix(".parquet"))
