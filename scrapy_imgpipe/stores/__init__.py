"""Where renditions are kept: one protocol, and the stores that speak it.

A store imports errors, paths and its own client library, which it looks for when one is
made; it knows neither Scrapy, Twisted nor Pillow.
"""

from scrapy_imgpipe.stores.access import Access
from scrapy_imgpipe.stores.anywhere import store_at
from scrapy_imgpipe.stores.filesystem import FileSystemStore
from scrapy_imgpipe.stores.memory import MemoryStore
from scrapy_imgpipe.stores.opening import SCHEMES, open_store
from scrapy_imgpipe.stores.protocol import (
    NO_FACTS,
    Adopting,
    Facts,
    File,
    Linking,
    Signing,
    Stat,
    Store,
    put_file,
)

__all__ = [
    "NO_FACTS",
    "SCHEMES",
    "Access",
    "Adopting",
    "Facts",
    "File",
    "FileSystemStore",
    "Linking",
    "MemoryStore",
    "Signing",
    "Stat",
    "Store",
    "open_store",
    "put_file",
    "store_at",
]
