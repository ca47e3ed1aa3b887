"""A report as JSON lines: one object for each row, empty cells left out.

A line without its line end was cut by the death of the writer; it does not count.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, BinaryIO

from scrapy_imgpipe.errors import StoreFailed
from scrapy_imgpipe.report.cells import clean, restored, to_json
from scrapy_imgpipe.report.failures import said
from scrapy_imgpipe.report.growing import GrowingFile


class JsonlReport:
    """A :class:`~scrapy_imgpipe.report.protocol.ReportFile` of JSON lines."""

    def __init__(self, path: Path, *, append: bool = False) -> None:
        self._path = path
        with said("open", path):
            self._file = GrowingFile(path, _whole_bytes(path) if append else 0)

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the batch in one piece."""
        piece = "".join(f"{to_json(clean(row))}\n" for row in rows).encode()
        with said("write", self._path, ValueError):
            self._file.add(piece)

    def close(self) -> None:
        """Close the file."""
        with said("close", self._path):
            self._file.close()


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows; a line at a time is in memory.

    Raises:
        StoreFailed: when the file cannot be read, or a whole line is no JSON object.
    """
    with said("read", path), path.open("rb") as file:
        for number, line in enumerate(_whole_lines(file), 1):
            try:
                cells = json.loads(line)
            except (ValueError, RecursionError):
                cells = None
            if not isinstance(cells, dict):
                raise StoreFailed(
                    f"Could not read the report {str(path)!r}: line {number} is no JSON object"
                )
            yield restored(cells, lambda value: value)


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    # Up to the first that is cut: a moment later its writer may have added the rest.
    return takewhile(lambda line: line.endswith(b"\n"), file)


def _whole_bytes(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(map(len, _whole_lines(file)))
