"""What a fetch said of its list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrapy_imgpipe.fetching.fetch import Fetched
from scrapy_imgpipe.report import read_rows
from tests.pictures import jpeg

if TYPE_CHECKING:
    import os

    from tests.crawl.site import Site


def photos(site: Site, count: int) -> list[str]:
    """Serve *count* photos, and return their URLs."""
    paths = [f"/{number}.jpg" for number in range(count)]
    site.answers |= {path: jpeg((120, 60 + number)) for number, path in enumerate(paths)}
    return [site.url(path) for path in paths]


def rows_of(report: str | os.PathLike[str] | Fetched) -> list[dict[str, Any]]:
    """Return the rows of *report* in the order of their lines, each of which has exactly one."""
    path = report.report if isinstance(report, Fetched) else report
    rows = sorted(read_rows(path), key=lambda row: row["line"])
    assert [row["line"] for row in rows] == [*range(len(rows))]
    return rows


def outcomes_of(report: str | os.PathLike[str] | Fetched) -> list[str]:
    """Return how each line of a list ended."""
    return [row["outcome"] for row in rows_of(report)]
