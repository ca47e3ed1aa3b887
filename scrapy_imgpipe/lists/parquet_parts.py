"""Rows of Parquet files, a batch of them in memory.

Columns of bytes are passed over, for they are no JSON, and often whole pictures; only
the column of URLs may be one. Moments become ISO 8601 text, in UTC where they have a
zone; decimals, and what JSON has no word for, become text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from math import isfinite
from pathlib import Path
from typing import Any

from scrapy_imgpipe.errors import SettingError
from scrapy_imgpipe.lists.formats import without_column
from scrapy_imgpipe.lists.lines import Entry, names_of, url_of
from scrapy_imgpipe.report.optional import pyarrow

EXTENSION = ".parquet"

#: Rows in memory; Python's objects take ten times what Arrow's take.
_BATCH_ROWS = 1000
_BUFFER = 1 << 20
_NUMBERS = re.compile(r"(\d+)")


def parts_in(folder: str) -> list[str]:
    """Return the Parquet files of a folder, those with numbers in the order of these.

    Raises:
        SettingError: there is none.
    """
    names = [
        entry.name
        for entry in Path(folder).iterdir()
        if entry.name.lower().endswith(EXTENSION) and entry.name[0] not in "._"
    ]
    if not names:
        raise SettingError(f"Expected files that end in {EXTENSION} in {folder!r} but found none")
    return [os.path.join(folder, name) for name in sorted(names, key=_natural)]  # noqa: PTH118


def _natural(name: str) -> list[tuple[int, str]]:
    # Both kinds of pieces alternate, so numbers are never compared with text.
    pieces = _NUMBERS.split(name)
    return [(int(piece), "") if place % 2 else (0, piece) for place, piece in enumerate(pieces)]


class ParquetPart:
    """One Parquet file; its columns are looked at at once.

    Attributes:
        path: where it is.
        weight: its bytes.
        identity: path, bytes and time.

    Raises:
        SettingError: pyarrow is missing, or it cannot be read, or has no such column.
    """

    def __init__(self, path: str, column: str) -> None:
        self._place = repr(path)
        self.path: str = os.path.abspath(path)  # noqa: PTH100 - keeps links as they are
        self._column = column
        try:
            self._arrow, self._parquet = pyarrow()
        except ImportError as error:
            raise SettingError(f"Could not read {self._place}: {error}") from None
        self._file: Any = None
        self._row = self._rows = 0
        with self._said():
            found = Path(self.path).stat()
            with self._parquet.ParquetFile(self.path) as file:
                self._rows = file.metadata.num_rows
                schema = file.schema_arrow
        if column not in schema.names:
            raise without_column(self._place, column, dict.fromkeys(schema.names))
        self._read = [field.name for field in schema if self._is_read(field)]
        self._is_whole = len(self._read) == len(schema.names)
        self.weight: int | None = found.st_size
        self.identity: list[Any] | None = [self.path, found.st_size, found.st_mtime_ns]

    def entries(self) -> Iterator[Entry]:
        """Yield URL and columns of each row."""
        # Not pre-buffered, or all of a row group would be in memory.
        options = {"buffer_size": _BUFFER, "pre_buffer": False}
        with self._said():
            try:
                self._file = self._parquet.ParquetFile(self.path, **options)
                columns = None if self._is_whole else self._read
                for batch in self._file.iter_batches(_BATCH_ROWS, columns=columns):
                    yield from self._of_batch(batch)
            finally:
                self.close()

    def _of_batch(self, batch: Any) -> Iterator[Entry]:
        keys = tuple(batch.schema.names)
        names = names_of(keys, self._column)
        url_place = names.index("")
        columns = [self._values(column) for column in batch.columns]
        for cells in zip(*columns, strict=True):
            self._row += 1
            beside = {name: cell for name, cell in zip(names, cells, strict=True) if name}
            yield url_of(cells[url_place]), beside

    def _is_read(self, field: Any) -> bool:
        return field.name == self._column or not self._is_bytes(field.type)

    def _is_bytes(self, kind: Any) -> bool:
        types = self._arrow.types
        if types.is_dictionary(kind):
            kind = kind.value_type
        tests = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary)
        views: Callable[[Any], bool] | None = getattr(types, "is_binary_view", None)
        return any(test(kind) for test in tests) or (views is not None and views(kind))

    def _values(self, column: Any) -> list[Any]:
        """Return the cells of *column* as plain Python."""
        kind, types = column.type, self._arrow.types
        if types.is_timestamp(kind):
            # Python knows microseconds, and UTC without a database of zones.
            zone = "UTC" if kind.tz else None
            column = column.cast(self._arrow.timestamp("us", zone), safe=False)
        if self._is_bytes(kind):
            return [None if cell is None else _decoded(cell) for cell in _cells(column)]
        if types.is_string(kind) or types.is_integer(kind) or types.is_boolean(kind):
            plain: list[Any] = column.to_pylist()
            return plain
        return [_plain(cell) for cell in _cells(column)]

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except (OSError, self._arrow.ArrowException) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or error
            raise SettingError(f"Could not read {self._place}: {reason}") from None

    def done(self) -> int:
        """Return how many bytes of it are through, told from its rows."""
        return (self.weight or 0) * self._row // self._rows if self._rows else self.weight or 0

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _cells(column: Any) -> list[Any]:
    """Return *column* as Python has it; a year beyond 9999, which it has not, is None."""
    try:
        cells: list[Any] = column.to_pylist()
    except (ValueError, OverflowError):
        return [_cell(scalar) for scalar in column]
    return cells


def _cell(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):
        return None


def _decoded(cell: Any) -> str:
    return bytes(cell).decode("utf-8", "replace")


def _plain(cell: Any) -> Any:
    """Return *cell* ready for JSON."""
    if cell is None or isinstance(cell, (str, bool, int)):
        return cell
    if isinstance(cell, dict):
        return {str(key): _plain(value) for key, value in cell.items()}
    if isinstance(cell, (list, tuple)):
        return [_plain(part) for part in cell]
    if isinstance(cell, bytes) or (isinstance(cell, float) and not isfinite(cell)):
        return None
    if isinstance(cell, float):
        return cell
    return cell.isoformat() if isinstance(cell, (datetime, date, time)) else str(cell)
