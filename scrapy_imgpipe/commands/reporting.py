"""``report``: what a crawl's report tells, or two of them together."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from scrapy_imgpipe.report.analysis import Analysis
from scrapy_imgpipe.report.text import comparison_lines, summary_lines

if TYPE_CHECKING:
    from scrapy_imgpipe.commands.console import Console

#: Columns of a terminal that does not say; and of what is none.
_WIDTH = 100

#: What stands for standard output in place of a file.
STANDARD_OUTPUT = "-"


def report(
    path: str,
    console: Console,
    later: str | None = None,
    *,
    most: int = 10,
    failed: str | None = None,
) -> int:
    """Tell what the report at *path* says; return the exit status.

    Args:
        path: the report, or the earlier one of two.
        console: gets the lines.
        later: of a later crawl; then what has changed is told.
        most: lines that each list has.
        failed: file for the URLs that failed, in the later report where there are two;
            for :data:`STANDARD_OUTPUT` they are all that is told.

    Raises:
        FileNotFoundError: there is no such report.
        SettingError: it is of no known kind.
        StoreFailed: it cannot be read.
        ImportError: pyarrow is needed and missing.
        OSError: *failed* cannot be written.
    """
    with Analysis(path, later) as analysis:
        urls = _on_one_line(analysis.failed_urls(report=0 if later is None else 1))
        if failed == STANDARD_OUTPUT:
            for url in urls:
                console.line(url)
            return 0
        width = shutil.get_terminal_size((_WIDTH, 0)).columns
        if later is None:
            lines = summary_lines(analysis.summary(most), width)
        else:
            lines = comparison_lines(analysis.comparison(most), width)
        for line in lines:
            console.line(line)
        if failed is not None:
            console.line(f"{_written(urls, failed):,} failed URLs written to {failed}")
    return 0


def _on_one_line(urls: Iterator[str]) -> Iterator[str]:
    """Yield those that are one line each: an item may have anything in the place of a URL."""
    return (url for url in urls if url.isprintable() and url.strip())


def _written(urls: Iterator[str], path: str) -> int:
    with Path(path).open("w", encoding="utf-8") as file:
        return sum(file.write(f"{url}\n") > 0 for url in urls)
