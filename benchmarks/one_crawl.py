"""Run one crawl in this process and report what it cost.

``python one_crawl.py REPORT < JOB``: reads a ``job.CrawlJob`` as JSON, writes a
``job.CrawlReport`` to the file REPORT. A real Scrapy process with the asyncio
reactor and the real downloader; only the pages are left out: the spider fetches
one page and has all items then.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from family import children_alive, children_peak_rss_mib, own_peak_rss_mib
from job import CrawlJob, CrawlReport
from loop_meter import LoopMeter
from scrapy import Spider, signals
from scrapy.crawler import AsyncCrawlerProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from scrapy.http import Response


class PhotoSpider(Spider):
    """Yields the job's sources in items, once a first item has warmed everything up."""

    name = "photos"

    @classmethod
    def from_crawler(cls, crawler: Any, *args: Any, **kwargs: Any) -> Self:
        """Listen for what the meter needs to know."""
        spider: Self = super().from_crawler(crawler, *args, **kwargs)
        crawler.signals.connect(spider.on_item, signals.item_scraped)
        crawler.signals.connect(spider.on_item, signals.item_error)
        crawler.signals.connect(spider.on_idle, signals.spider_idle)
        # Not spider_closed: pipelines listen to that as well, and all are called at once.
        crawler.signals.connect(spider.on_stopped, signals.engine_stopped)
        return spider

    def __init__(self, job: CrawlJob) -> None:
        super().__init__()
        self.start_urls = [job.page_url]
        self.job = job
        self.meter = LoopMeter()
        self.warmed_up = asyncio.Event()
        self.images = 0
        self.kept_mib = 0.0
        self.children = 0
        self.children_peak_mib = 0.0

    async def parse(self, _response: Response) -> AsyncIterator[dict[str, Any]]:
        """Yield the warm-up item, wait until it is through, measure from then on."""
        yield {"image_urls": [self.job.warm_up_url]}
        await self.warmed_up.wait()
        self.responses_before = self._stat("downloader/response_count")
        self.meter.begin()
        urls, per_item = self.job.urls, self.job.urls_per_item
        for i in range(0, len(urls), per_item):
            yield {"image_urls": urls[i : i + per_item]}

    def on_item(self, item: dict[str, Any]) -> None:
        """Count what the pipeline brought, if anything."""
        if self.warmed_up.is_set():
            self.images += len(item.get("images", ()))
        self.warmed_up.set()

    def on_idle(self) -> None:
        """Weigh the processes: all items are done, nothing is closed yet."""
        if self.meter.begun:
            self.meter.aside(self._weigh)

    def on_stopped(self) -> None:
        """Stop the clock: the pipeline is closed, and its children have ended."""
        self.meter.end()

    def _weigh(self) -> None:
        self.children = children_alive()
        self.children_peak_mib = children_peak_rss_mib()
        if self.job.weigh:
            self.kept_mib = self.meter.kept_mib()

    def report(self) -> CrawlReport:
        """Return what was measured; to be called after the crawl."""
        return CrawlReport(
            wall_s=self.meter.wall_s,
            cpu_s=self.meter.cpu_used_s,
            images=self.images,
            responses=self._stat("downloader/response_count") - self.responses_before,
            errors=self._stat("log_count/ERROR"),
            peak_rss_mib=own_peak_rss_mib() + self.children_peak_mib,
            kept_rss_mib=self.kept_mib,
            children=self.children,
            children_peak_rss_mib=self.children_peak_mib,
            longest_stall_ms=self.meter.longest_stall_ms(),
            p99_stall_ms=self.meter.p99_stall_ms(),
        )

    def _stat(self, name: str) -> int:
        assert self.crawler.stats is not None
        return int(self.crawler.stats.get_value(name, 0))


def settings_of(job: CrawlJob) -> dict[str, Any]:
    """Return the settings of the crawl: Scrapy's own but for what is named here."""
    return {
        "CONCURRENT_REQUESTS": 16,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 16,
        "IMAGES_STORE": job.store,
        "IMGPIPE_INDEX": f"{job.store}.sqlite",  # goes when the folder goes
        "IMAGES_THUMBS": job.thumbs,
        "ITEM_PIPELINES": {job.pipeline: 1},
        "LOG_LEVEL": "ERROR",
        "TELNETCONSOLE_ENABLED": False,
        **job.settings,
    }


def main() -> None:
    """Run the job on standard input, write the report to the file named."""
    job = CrawlJob.from_json(sys.stdin.read())
    process = AsyncCrawlerProcess(settings_of(job))
    crawler = process.create_crawler(PhotoSpider)
    process.crawl(crawler, job=job)
    process.start()
    if not (isinstance(crawler.spider, PhotoSpider) and crawler.spider.meter.ended):
        sys.exit("The crawl ended before anything was measured.")
    Path(sys.argv[1]).write_text(crawler.spider.report().to_json())


if __name__ == "__main__":
    main()
