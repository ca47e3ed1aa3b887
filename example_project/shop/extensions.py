"""Scrapy extensions of the project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from scrapy import signals

if TYPE_CHECKING:
    from scrapy.crawler import Crawler


class StatsFile:
    """Writes the final stats of a crawl to `<spider>.stats.json` in the output folder.

    `run.py` makes its summary of it.
    """

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.folder = Path(crawler.settings["OUTPUT"])

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> StatsFile:
        """Start listening for the end of the crawl."""
        extension = cls(crawler)
        # Later than spider_closed, at which feeds and others still add to the stats.
        crawler.signals.connect(extension.write, signal=signals.engine_stopped)
        return extension

    def write(self) -> None:
        """Write the file; one of an earlier crawl is replaced."""
        stats = self.crawler.stats
        if stats is None or self.crawler.spidercls is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(stats.get_stats(), default=str, indent=1, sort_keys=True)
        path = self.folder / f"{self.crawler.spidercls.name}.stats.json"
        path.write_text(text, encoding="utf-8")
