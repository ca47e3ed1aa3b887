"""The one way to begin a report."""

from __future__ import annotations

import os
from pathlib import Path

from scrapy_imgpipe.errors import SettingError
from scrapy_imgpipe.report.csv_file import CsvReport
from scrapy_imgpipe.report.failures import said
from scrapy_imgpipe.report.jsonl_file import JsonlReport
from scrapy_imgpipe.report.location import check_format, extension_of
from scrapy_imgpipe.report.parquet_files import ParquetReport
from scrapy_imgpipe.report.protocol import ReportFile
from scrapy_imgpipe.report.sqlite_file import SqliteReport

_FORMATS: dict[str, type[JsonlReport | CsvReport | SqliteReport | ParquetReport]] = {
    ".jsonl": JsonlReport,
    ".csv": CsvReport,
    ".sqlite": SqliteReport,
    ".parquet": ParquetReport,
}


def open_report(path: str | os.PathLike[str], *, append: bool = False) -> ReportFile:
    """Begin the report at *path*, in the format that its extension names.

    Directories on the way are made. One writer at a time; readers may look at any
    moment.

    Args:
        path: ends in ``.jsonl``, ``.csv``, ``.sqlite`` or ``.parquet`` (a folder).
        append: go on with what is there, without a last line that a killed writer
            left cut off; else it is replaced, at once.

    Raises:
        SettingError: for another extension, or when pyarrow is needed and missing.
        StoreFailed: when the file cannot be opened.
    """
    place = Path(check_format(path)).absolute()
    with said("make the directory of", place):
        place.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _FORMATS[extension_of(place.name)](place, append=append)
    except ImportError as error:
        raise SettingError(str(error)) from None
