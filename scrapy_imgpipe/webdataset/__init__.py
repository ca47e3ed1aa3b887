"""Tar shards for training, each with a Parquet file and its figures beside it.

As readers of img2dataset's ``webdataset`` format expect them: ``00000.tar``,
``00000.parquet``, ``00000_stats.json``. They go into any store; no network, no Scrapy.
"""

from scrapy_imgpipe.webdataset.finished import Finished, finished
from scrapy_imgpipe.webdataset.writing import SHARD_ROWS, ShardWriter

__all__ = ["SHARD_ROWS", "Finished", "ShardWriter", "finished"]
