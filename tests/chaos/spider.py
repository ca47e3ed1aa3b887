"""The crawl: pages of items with image URLs, one page after the other.

``python spider.py SETTINGS.json`` reads its settings, and the first page, from a file.
Items, as they went in, are written to the one named there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import scrapy
from scrapy import signals
from scrapy.crawler import AsyncCrawlerProcess


class ChaosSpider(scrapy.Spider):
    """Yields the items of a page, and asks for the next when all of them are done."""

    name = "chaos"

    @classmethod
    def from_crawler(cls, crawler: Any, *args: Any, **kwargs: Any) -> Any:
        spider = super().from_crawler(crawler, *args, **kwargs)
        spider.asked = Path(TASK["asked"]).open("w")  # noqa: SIM115 - closed below
        crawler.signals.connect(spider.stopped, signals.engine_stopped)
        return spider

    def stopped(self) -> None:
        self.asked.close()

    async def start(self) -> Any:
        yield scrapy.Request(TASK["page"])

    def parse(self, response: Any) -> Any:
        page = response.json()
        for number, urls in enumerate(page["items"]):
            key = f"{response.url} {number}"
            self.asked.write(json.dumps([key, urls]) + "\n")
            yield {"key": key, "image_urls": urls}
        if page["next"]:
            yield response.follow(page["next"])


if __name__ == "__main__":
    TASK = json.loads(Path(sys.argv[1]).read_text())
    process = AsyncCrawlerProcess(TASK["settings"])
    process.crawl(ChaosSpider)
    process.start()
