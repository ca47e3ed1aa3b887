"""The one way to read a report as a stream, whatever its format."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from scrapy_imgpipe.report import csv_file, jsonl_file, parquet_files, sqlite_file
from scrapy_imgpipe.report.location import check_format, extension_of

_FORMATS: dict[str, Callable[[Path], Iterator[dict[str, Any]]]] = {
    ".jsonl": jsonl_file.read,
    ".csv": csv_file.read,
    ".sqlite": sqlite_file.read,
    ".parquet": parquet_files.read,
}


def read_rows(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a report, in the order they were written.

    Every row has every column, None where it is empty, and the further keys that
    are not empty. The rows are the same from every format. Some rows are in memory,
    however many there are; the report may be written meanwhile.

    Raises:
        FileNotFoundError: at once, when there is no report.
        SettingError: at once, for an extension that is none of ours.
        ImportError: when pyarrow is needed and missing.
        StoreFailed: when it cannot be read, or is no report.
    """
    place = Path(check_format(path, "the path of a report"))
    if not place.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(place))
    return _FORMATS[extension_of(place.name)](place)
