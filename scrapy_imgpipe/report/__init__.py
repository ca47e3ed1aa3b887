"""The run report: a row for every ask, written while the crawl runs; and what it tells.

No Scrapy, no event loop, no Pillow. Everything blocks, so the writer is called in a
thread of its own. pandas and pyarrow are imported when they are needed.
"""

from scrapy_imgpipe.report.columns import COLUMNS, Column, timestamp
from scrapy_imgpipe.report.frame import read_report
from scrapy_imgpipe.report.location import check_report_path, expand
from scrapy_imgpipe.report.protocol import ReportFile
from scrapy_imgpipe.report.reading import read_rows
from scrapy_imgpipe.report.writing import open_report

__all__ = [
    "COLUMNS",
    "Column",
    "ReportFile",
    "check_report_path",
    "expand",
    "open_report",
    "read_report",
    "read_rows",
    "timestamp",
]
