"""Run very many sources through a pipeline in this process, without any network.

``python fake_crawl.py PIPELINE SOURCES``: a real pipeline with a real store in a
temporary folder; only the engine is none: it answers at once, nearly always with a
404. Nothing is logged, for Scrapy's class would write a traceback for each of those.
Prints a line of JSON, a ``job.Mark``, after each tenth of the sources.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import sys
import tempfile
import time
from io import BytesIO
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from family import children_rss_mib, rss_mib
from job import IMAGE_EVERY, ITEMS_AT_ONCE, MARKS, Mark
from PIL import Image
from scrapy import signals
from scrapy.http import Request, Response
from scrapy.utils.misc import build_from_crawler, load_object
from scrapy.utils.spider import DefaultSpider
from scrapy.utils.test import get_crawler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrapy.crawler import Crawler

URLS_PER_ITEM = 10


def tiny_image() -> bytes:
    """Return the one image there is, 8x8 of noise."""
    pixels = random.Random(0).randbytes(8 * 8 * 3)
    out = BytesIO()
    Image.frombytes("RGB", (8, 8), pixels).save(out, "JPEG")
    return out.getvalue()


class FakeEngine(SimpleNamespace):
    """Answers each request at once; what a pipeline needs of an engine."""

    image = tiny_image()

    async def download_async(self, request: Request) -> Response:
        """Return an image where the URL says so, else a 404."""
        await asyncio.sleep(0)
        if request.url.endswith(".jpg"):
            return Response(request.url, body=self.image, request=request)
        return Response(request.url, status=404, request=request)


class FakeCrawl:
    """Sends items through one pipeline, so many at a time."""

    def __init__(self, pipeline: str, sources: int, store: str) -> None:
        index = f"{store}/.index.sqlite"  # goes with the folder
        settings = {
            "IMAGES_STORE": store,
            "IMGPIPE_INDEX": index,
            "IMGPIPE_REPORT": f"{store}/.report.jsonl",
            "EXTENSIONS_BASE": {},
        }
        crawler = get_crawler(DefaultSpider, settings)
        # Both are what Scrapy does when a crawl starts.
        crawler.spider = crawler._create_spider()  # noqa: SLF001
        crawler.engine = FakeEngine()  # type: ignore[assignment]
        self.crawler: Crawler = crawler
        self.pipeline: Any = build_from_crawler(load_object(pipeline), crawler)
        self.sources = sources
        self.step = sources // MARKS
        self.done = self.images = 0
        self.given_up = False

    async def run(self) -> None:
        """Process all items, printing the marks."""
        self.pipeline.open_spider()
        await self._send(signals.spider_opened)
        self.began_s = time.perf_counter()
        items = self._items()
        await asyncio.gather(*(self._process(items) for _ in range(ITEMS_AT_ONCE)))
        await self._send(signals.spider_closed, reason="finished")

    def _items(self) -> Iterator[dict[str, Any]]:
        """Yield items whose URLs come nowhere else, until images were lost."""
        for first in range(0, self.sources, URLS_PER_ITEM):
            if self.given_up:
                return
            numbers = range(first, min(first + URLS_PER_ITEM, self.sources))
            yield {"image_urls": [_url(number) for number in numbers]}

    async def _process(self, items: Iterator[dict[str, Any]]) -> None:
        for item in items:
            asked = len(item["image_urls"])
            processed = await self.pipeline.process_item(item)
            self.images += len(processed["images"])
            tenths_before = self.done // self.step
            self.done += asked
            if self.done // self.step > tenths_before:
                self._mark()

    def _mark(self) -> None:
        gc.collect()
        wall_s = time.perf_counter() - self.began_s
        mark = Mark(self.done, wall_s, rss_mib(), children_rss_mib(), self.images)
        print(mark.to_json(), flush=True)
        self.given_up = mark.lost() > 0

    async def _send(self, signal: object, **kwargs: Any) -> None:
        spider = self.crawler.spider
        await self.crawler.signals.send_catch_log_async(signal, spider=spider, **kwargs)


def _url(number: int) -> str:
    ending = "jpg" if number % IMAGE_EVERY == 0 else "gone"
    return f"http://127.0.0.1/photos/of/things/{number:09}.{ending}"


def main() -> None:
    """Run the crawl that the command line asks for."""
    logging.disable()
    pipeline, sources = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="imgpipe-bench-") as folder:
        crawl = FakeCrawl(pipeline, int(sources), f"{folder}/images")
        asyncio.run(crawl.run())
    assert crawl.crawler.stats is not None
    print(crawl.crawler.stats.get_stats(), file=sys.stderr)


if __name__ == "__main__":
    main()
