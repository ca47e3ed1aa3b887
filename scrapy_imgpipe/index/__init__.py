"""What is known about every source, behind one protocol."""

from __future__ import annotations

from scrapy_imgpipe.index.places import index_at, store_address
from scrapy_imgpipe.index.protocol import Index, Key, Near
from scrapy_imgpipe.index.redis import RedisIndex
from scrapy_imgpipe.index.sqlite import SqliteIndex

__all__ = ["Index", "Key", "Near", "RedisIndex", "SqliteIndex", "index_at", "store_address"]
