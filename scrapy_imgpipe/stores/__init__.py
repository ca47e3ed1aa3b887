"""Where renditions are kept: one protocol, and the stores that speak it.

A store imports errors, paths and its own client library; it knows neither
Scrapy, Twisted nor Pillow.
"""

from scrapy_imgpipe.stores.filesystem import FileSystemStore
from scrapy_imgpipe.stores.protocol import Linking, Stat, Store

__all__ = ["FileSystemStore", "Linking", "Stat", "Store"]
