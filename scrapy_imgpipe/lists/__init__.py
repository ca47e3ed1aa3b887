"""Lists of image URLs, read as streams: from files, standard input, arguments or Python.

No network, no Scrapy. What is in memory is a line, a record or a batch of rows, however
long a list is.
"""

from scrapy_imgpipe.lists.lines import PROBLEM, Line
from scrapy_imgpipe.lists.opening import ImageList, list_of, open_list
from scrapy_imgpipe.lists.records import (
    Damage,
    begins_with_nul,
    json_array,
    json_lines,
    lines_of,
)
from scrapy_imgpipe.lists.separated import rows_of

__all__ = [
    "PROBLEM",
    "Damage",
    "ImageList",
    "Line",
    "begins_with_nul",
    "json_array",
    "json_lines",
    "lines_of",
    "list_of",
    "open_list",
    "rows_of",
]
