"""A report as CSV (RFC 4180): a header line, then one record for each row.

Lists, and further values that are no text, stand as JSON. A record without its line
end was cut by the death of the writer; it does not count.

A new column makes the file be written again with the wider header, beside the old
one, which it then replaces: readers see one of them, whole.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from scrapy_imgpipe.report.cells import clean
from scrapy_imgpipe.report.columns import NAMES
from scrapy_imgpipe.report.failures import said
from scrapy_imgpipe.report.growing import GrowingFile
from scrapy_imgpipe.report.layout import Layout, unfolded

# The csv module refuses fields beyond 131072 characters, which data: URLs have, and
# its limit is the whole process's.
_CELL = re.compile(r'(?:"([^"]*(?:""[^"]*)*)"|([^,"]*)),')


class CsvReport:
    """A :class:`~scrapy_imgpipe.report.protocol.ReportFile` in one CSV file."""

    def __init__(self, path: Path, *, append: bool = False) -> None:
        self._path = path
        with said("open", path):
            _temporary(path).unlink(missing_ok=True)
            names, kept = _whole_part(path) if append else ([], 0)
            self._layout = Layout(names or NAMES)
            self._file = GrowingFile(path, kept)
            if not kept:
                self._file.add(_records([NAMES]))
            self._widen(self._layout.widened([dict.fromkeys(NAMES)]))

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the batch in one piece, after the wider header where it needs one."""
        cleaned = [clean(row) for row in rows]
        with said("write", self._path, ValueError):
            self._widen(self._layout.widened(cleaned))
            self._file.add(_records(self._layout.cells(row) for row in cleaned))

    def close(self) -> None:
        """Close the file."""
        with said("close", self._path):
            self._file.close()

    def _widen(self, wider: Layout) -> None:
        """Copy the file, record by record, to one with the columns of *wider*."""
        if wider is self._layout:
            return
        temporary = _temporary(self._path)
        more = len(wider.names) - len(self._layout.names)
        self._file.close()  # Windows replaces no open file
        try:
            with self._path.open("rb") as old, temporary.open("wb") as new:
                records = whole_records(old)
                next(records)
                new.write(_records([wider.names]))
                new.writelines(record.rstrip(b"\r\n") + b"," * more + b"\r\n" for record in records)
            temporary.replace(self._path)
            self._layout = wider
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        finally:
            self._file = GrowingFile(self._path, self._path.stat().st_size)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows; a record at a time is in memory.

    Raises:
        StoreFailed: when the file cannot be read.
    """
    with said("read", path), path.open("rb") as file:
        records = whole_records(file)
        names = _cells_of(next(records, b"").removeprefix(b"\xef\xbb\xbf"))
        for record in records:
            yield unfolded(names, (cell or None for cell in _cells_of(record)))


def whole_records(file: BinaryIO) -> Iterator[bytes]:
    """Yield each record with its line end; one that is cut is none.

    A line end inside quotes ends no record: there, an odd number of quotes has
    gone before.
    """
    lines: list[bytes] = []
    quotes = 0
    for line in file:
        lines.append(line)
        quotes += line.count(b'"')
        if quotes % 2 == 0 and line.endswith(b"\n"):
            yield b"".join(lines)
            lines.clear()


def _cells_of(record: bytes) -> list[str]:
    text = record.rstrip(b"\r\n").decode(errors="replace")
    return [quoted.replace('""', '"') or bare for quoted, bare in _CELL.findall(f"{text},")]


def _records(rows: Iterable[Iterable[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _whole_part(path: Path) -> tuple[list[str], int]:
    """Return the header, and the bytes up to the end of the last whole record."""
    if not path.exists():
        return [], 0
    with path.open("rb") as file:
        records = whole_records(file)
        header = next(records, b"")
        kept = len(header) + sum(map(len, records))
    return _cells_of(header.removeprefix(b"\xef\xbb\xbf")) if header else [], kept


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")
