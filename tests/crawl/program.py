"""A user's script, run in a process of its own: crawl the pages that it is told to.

Reads what to do from the JSON file named by its argument, writes what came of it
to the one named there as ``report``. Has no main guard, as scripts often have not.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import scrapy
from scrapy import signals
from scrapy.crawler import AsyncCrawlerProcess, AsyncCrawlerRunner, CrawlerProcess
from scrapy.pipelines.files import FilesPipeline
from scrapy.utils.log import configure_logging

from scrapy_imgpipe import ImagesPipeline

TASK = json.loads(Path(sys.argv[1]).read_text())
LOG = {"LOG_FORMAT": "%(levelname)s|%(name)s|%(message)s", "LOG_LEVEL": "DEBUG"}
QUIET = {
    "EXTENSIONS_BASE": {},
    "RETRY_ENABLED": False,
    "DOWNLOAD_TIMEOUT": 20,
}
MODES = {
    "asyncio": {},
    "select": {"TWISTED_REACTOR": "twisted.internet.selectreactor.SelectReactor"},
    "none": {"TWISTED_REACTOR_ENABLED": False},
}
SETTINGS = {**LOG, **QUIET, **MODES[TASK["mode"]], **TASK["settings"]}
for name, value in SETTINGS.items():
    if name.endswith("IMAGES_THUMBS"):  # JSON has no tuples
        SETTINGS[name] = {thumb: tuple(size) for thumb, size in value.items()}
CRAWLS: list[dict[str, Any]] = []
#: What decodes, encodes, hashes and touches files while a crawl runs, by thread.
CRAWLING = threading.Event()
TOUCHED: dict[str, set[str]] = {"main": set(), "elsewhere": set()}


class OtherPipeline(ImagesPipeline):
    """Another field, another store, and a Referer of its own."""

    @classmethod
    def from_crawler(cls, crawler: Any) -> Any:
        return cls(TASK["other_store"], crawler=crawler)

    def get_media_requests(self, item: Any, info: Any) -> Any:
        for request in super().get_media_requests(item, info):
            if request.url.endswith("mine.png"):
                request.headers["Referer"] = "http://mine.example/"
            yield request


class WithScrapysStore(ImagesPipeline):
    """Ours, over Scrapy's own class for S3."""

    STORE_SCHEMES: ClassVar[dict[str, Any]] = {
        **ImagesPipeline.STORE_SCHEMES,
        "s3": FilesPipeline.STORE_SCHEMES["s3"],
    }


class GallerySpider(scrapy.Spider):
    """One item per page: all its images, in order."""

    name = "gallery"
    allowed_domains = TASK.get("allowed_domains")

    async def start(self) -> Any:
        for url in TASK["pages"]:
            yield scrapy.Request(url, meta={"allow_offsite": True})
        for item in TASK.get("items", ()):
            yield item

    def parse(self, response: Any) -> Any:
        yield {"page": response.url, "image_urls": response.css("img::attr(src)").getall()}

    @classmethod
    def from_crawler(cls, crawler: Any, *args: Any, **kwargs: Any) -> Any:
        spider = super().from_crawler(crawler, *args, **kwargs)
        spider.items = []
        crawler.signals.connect(spider.scraped, signals.item_scraped)
        crawler.signals.connect(spider.opened, signals.spider_opened)
        crawler.signals.connect(spider.closed_at_last, signals.engine_stopped)
        return spider

    def scraped(self, item: Any) -> None:
        self.items.append(item)

    def opened(self) -> None:
        if TASK.get("die_at"):
            die_at(**TASK["die_at"])
        if TASK.get("watch_threads"):
            watch_threads(self.settings["IMAGES_STORE"])
            TASK["watch_threads"] = False  # once is enough for all crawls of the process
        CRAWLING.set()
        self.memory = resident_megabytes()

    def closed_at_last(self) -> None:
        CRAWLING.clear()
        CRAWLS.append(
            {
                "items": sorted(self.items, key=lambda item: item["page"]),
                "stats": json.loads(json.dumps(self.crawler.stats.get_stats(), default=str)),
                "threads": [thread.name for thread in threading.enumerate()],
                "touched": {side: sorted(names) for side, names in TOUCHED.items()},
                "megabytes": resident_megabytes() - self.memory,
                "heavy_failures": heavy_failures(self.crawler) if TASK.get("weigh") else None,
            }
        )


def resident_megabytes() -> float:
    """Return what this process has in memory right now; 0 where nobody tells."""
    gc.collect()
    with suppress(OSError, AttributeError):  # what glibc keeps in case, as many threads left it
        ctypes.CDLL(None).malloc_trim(0)
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def heavy_failures(crawler: Any) -> list[str]:
    """Name the kept failures that hold on to a traceback or another error."""
    heavy = []
    for pipeline in crawler.engine.scraper.itemproc.middlewares:
        for kept in pipeline.spiderinfo.downloaded.values():
            error = getattr(kept, "value", None)
            if error and (error.__traceback__ or error.__context__ or error.__cause__):
                heavy.append(repr(error))
    return heavy


def die_at(event: str, count: int) -> None:
    """Send SIGKILL to ourselves at the *count*-th *event* that touches a temporary file."""
    left = [count]

    def hook(name: str, args: tuple[Any, ...]) -> None:
        if name == event and ".imgpipe-" in str(args[0]):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def watch_threads(store: str) -> None:
    """Note in TOUCHED what happens on the main thread, which runs the loop, and what elsewhere."""
    import hashlib

    from PIL import Image, ImageFile

    main = threading.main_thread()

    def note(what: str) -> None:
        if CRAWLING.is_set():
            TOUCHED["main" if threading.current_thread() is main else "elsewhere"].add(what)

    def hook(name: str, args: tuple[Any, ...]) -> None:
        if name in {"open", "os.rename", "os.remove", "os.mkdir", "os.scandir", "os.listdir"} and (
            str(args[0]).startswith(store)
        ):
            note(name)

    def watched(what: str, function: Any, heavy: Any = lambda *_: True) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            if heavy(*args):
                note(what)
            return function(*args, **kwargs)

        return call

    def is_body(data: bytes = b"", *_: object) -> bool:
        return len(data) > 10_000

    sys.addaudithook(hook)
    ImageFile.ImageFile.__init__ = watched("Image.open", ImageFile.ImageFile.__init__)
    Image.Image.save = watched("Image.save", Image.Image.save)
    Image.Image.resize = watched("resize", Image.Image.resize)
    # What every decode and encode goes through, whichever method it began with.
    Image._getdecoder = watched("decode", Image._getdecoder)
    Image._getencoder = watched("encode", Image._getencoder)
    for name in ("md5", "sha1", "sha256"):
        setattr(hashlib, name, watched("hash", getattr(hashlib, name), is_body))


if "limit_bytes" in TASK:
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (TASK["limit_bytes"], most))


async def crawl_again_and_again() -> None:
    runner = AsyncCrawlerRunner(SETTINGS)
    for _ in range(TASK["crawls"]):
        await runner.crawl(GallerySpider)


if TASK["how"] == "asyncio.run":  # as in a notebook, whose loop runs already
    configure_logging(SETTINGS)
    asyncio.run(crawl_again_and_again())
elif TASK["how"] == "runner":  # a reactor of the user's own, and one crawl after the other
    from scrapy.utils.defer import deferred_from_coro
    from scrapy.utils.reactor import install_reactor

    configure_logging(SETTINGS)
    install_reactor("twisted.internet.asyncioreactor.AsyncioSelectorReactor")
    from twisted.internet import reactor

    deferred_from_coro(crawl_again_and_again()).addBoth(lambda _: reactor.stop())
    reactor.run()
else:
    process = (CrawlerProcess if TASK["mode"] == "select" else AsyncCrawlerProcess)(SETTINGS)
    process.crawl(GallerySpider)
    process.start()

Path(TASK["report"]).write_text(
    json.dumps({"crawls": CRAWLS, "threads": [thread.name for thread in threading.enumerate()]})
)
