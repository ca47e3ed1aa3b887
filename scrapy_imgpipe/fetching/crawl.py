"""The crawl of a fetch: a spider that has no pages, in a process of its own.

Sources come in on standard input and rows go out on standard output, see :mod:`.wires`.
It says so when it cannot begin, and ends when nobody talks to it any more.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Self

from scrapy import Spider, signals
from scrapy.crawler import AsyncCrawlerProcess, CrawlerProcess
from scrapy.settings import Settings
from scrapy.utils.defer import deferred_from_coro
from scrapy.utils.misc import load_object

from scrapy_imgpipe.errors import ImagePipeError
from scrapy_imgpipe.fetching import wires
from scrapy_imgpipe.fetching.numbered import followed, numbered
from scrapy_imgpipe.fetching.settings import DEFAULTS
from scrapy_imgpipe.pipeline import ImagesPipeline
from scrapy_imgpipe.pipeline.hops import Hops
from scrapy_imgpipe.pipeline.rendering import EXPECTED_HASH
from scrapy_imgpipe.pipeline.reporting import take_rows
from scrapy_imgpipe.processes.pipes import private_pipes
from scrapy_imgpipe.promises import Promise, keep, new_promise
from scrapy_imgpipe.report.cells import clean
from scrapy_imgpipe.workers import Workers

if TYPE_CHECKING:
    from io import RawIOBase

    from scrapy.crawler import Crawler

    from scrapy_imgpipe.fetching.wires import Orders

_ASYNCIO = "twisted.internet.asyncioreactor.AsyncioSelectorReactor"

#: What the pipeline says of sources that were waiting when the fetch was stopped.
_STOPPED = "The fetch was stopped"

#: How long what is under way may take once nobody is there to be told of it, in seconds.
_ALONE_SECONDS = 5.0


class RowPipe:
    """Takes the rows of a report and sends them home; a ``ReportFile``.

    Args:
        pipe: a file descriptor.
    """

    #: How long rows are gathered: whoever sent the sources waits for room.
    patience_seconds: float = 0.05

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Send *rows*."""
        self.send([clean(row) for row in rows])

    def send(self, value: object) -> None:
        """Send a line; to nobody, when they have died."""
        view = memoryview(wires.line_of(value))
        with suppress(OSError):
            while view:
                view = view[os.write(self._pipe, view) :]

    def close(self) -> None:
        """Do nothing: there is more to be said when the crawl is over."""


class ListSpider(Spider):
    """Yields an item for each source that comes in.

    Args:
        sources: what comes in, some at a time.
        orders: what is to be done with them.
    """

    name = "fetch"

    @classmethod
    def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> Self:
        """Listen for the end, whoever decides on it."""
        spider: Self = super().from_crawler(crawler, *args, **kwargs)
        crawler.signals.connect(spider._closed, signals.spider_closed)
        return spider

    def __init__(self, sources: Iterator[list[Any]], orders: Orders) -> None:
        super().__init__()
        self._came: SimpleQueue[list[Any]] = SimpleQueue()
        self._hash_column = orders.hash_column
        self._workers = Workers(1, "thread")
        self._pipeline: ImagesPipeline | None = None
        self._under_way = 0
        self._is_stopped = False
        self._last: Promise | None = None
        self.reason: str = ""
        # a thread that nobody waits for: there may be nothing to read
        Thread(target=self._read, args=(sources,), daemon=True).start()

    async def start(self) -> AsyncIterator[Any]:
        """Yield items until the sources have ended."""
        self._pipeline = _pipeline_of(self.crawler)
        self._give_up_if_stopped()
        Hops.of(self.crawler).neighbourhood.counts_sources = True
        ending = False
        while not ending:
            for source in await self._workers.run_in_line(self._came.get):
                ending = source in (wires.STOP, wires.END)
                if ending:
                    break
                self._under_way += 1
                yield self._item(source)
        await self._all_over()
        # by itself the engine looks every 5 seconds whether all is done
        engine: Any = self.crawler.engine
        deferred_from_coro(engine.close_spider_async(reason="finished"))

    def _read(self, sources: Iterator[list[Any]]) -> None:
        for some in sources:
            self._is_stopped = some[-1] == wires.STOP
            self._give_up_if_stopped()
            self._came.put(some)
        # Who talked to us has died. What is stored is whole, and known to the next run.
        self._is_stopped = True
        self._give_up_if_stopped()
        self._came.put([wires.STOP])
        time.sleep(_ALONE_SECONDS)
        os._exit(1)

    def _give_up_if_stopped(self) -> None:
        """Let no download begin any more; called by both threads, as soon as each can know."""
        if self._is_stopped and self._pipeline is not None:
            self._pipeline.workers.given_up = _STOPPED

    def _item(self, source: Any) -> dict[str, Any]:
        number, url, columns = source
        assert self._pipeline is not None  # noqa: S101 - start() sees to that
        item = {**columns, self._pipeline.images_urls_field: [url], wires.NUMBER: number}
        if self._hash_column:
            item[EXPECTED_HASH] = _digest_in(columns.get(self._hash_column))
        return item

    async def _closed(self, reason: str) -> None:
        self.reason = reason
        self._came.put([wires.STOP])  # somebody may wait for it
        await self._workers.close()

    async def _all_over(self) -> None:
        """Wait until no item is under way."""
        while self._under_way:
            self._last = new_promise()
            await self._last

    def over(self, pipeline: ImagesPipeline, number: Any) -> None:
        """Take note that *pipeline* is through with the item of line *number*."""
        pipeline.reporting.note({wires.OVER: number})
        self._under_way -= 1
        if self._last is not None and not self._under_way:
            keep(self._last, None)  # without asyncio, the report is closed in here


def _digest_in(cell: Any) -> Any:
    """Return what stands in *cell*; None where it is empty, as it may be in many ways."""
    if isinstance(cell, str):
        return cell.strip() or None
    return None if cell != cell else cell  # noqa: PLR0124 - NaN, which JSON can say here


def _ended(pipeline: ImagesPipeline, number: Any) -> None:
    spider: Any = pipeline.crawler.spider
    spider.over(pipeline, number)


def _pipeline_of(crawler: Crawler) -> ImagesPipeline:
    pipeline = crawler.get_item_pipeline(ImagesPipeline)
    assert isinstance(pipeline, ImagesPipeline)  # noqa: S101 - the settings name one
    return pipeline


def main() -> None:
    """Do what standard input says."""
    for name in ("SIGINT", "SIGTTOU"):  # the one who started us decides
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    told, answers = private_pipes()
    pipe = RowPipe(answers)
    try:
        with open(told, "rb", buffering=0) as source:  # noqa: PTH123 - a descriptor
            orders = wires.read_orders(source)
            pipe.send({"ended": _crawl(orders, source, pipe)})
    except ImagePipeError as error:
        pipe.send({"refused": str(error)})
    except Exception as error:  # noqa: BLE001 - what settings name may raise anything
        pipe.send({"refused": f"The crawl could not begin: {type(error).__name__}: {error}"})


def _crawl(orders: Orders, source: RawIOBase, pipe: RowPipe) -> str:
    """Crawl, and return the reason for the end."""
    settings = Settings()
    for name, (value, priority) in orders.settings.items():
        settings.set(name, value, priority=priority)
    kind: Any = load_object(orders.pipeline)
    if orders.numbered:
        kind = numbered(kind)
    settings.set("ITEM_PIPELINES", {followed(kind, _ended): 1}, "cmdline")
    is_async = settings["TWISTED_REACTOR"] == _ASYNCIO
    runs_async = is_async or not settings.getbool("TWISTED_REACTOR_ENABLED")
    process: Any = (AsyncCrawlerProcess if runs_async else CrawlerProcess)(settings)
    _calm_retries(settings)  # the process has configured logging
    crawler = process.create_crawler(ListSpider)
    take_rows(crawler, pipe)
    failed: list[BaseException] = []
    crawl = process.crawl(crawler, sources=wires.lines(source), orders=orders)
    _when_failed(crawl, failed)
    process.start(install_signal_handlers=False)
    if failed:
        raise failed[0]
    spider: Any = crawler.spider
    return str(spider.reason)


def _calm_retries(settings: Settings) -> None:
    """Keep "Gave up retrying" out of the log: how each source ended is in the report."""
    if settings["LOG_LEVEL"] == DEFAULTS["LOG_LEVEL"]:
        logging.getLogger("scrapy.downloadermiddlewares.retry").setLevel(logging.CRITICAL)


def _when_failed(crawl: Any, failed: list[BaseException]) -> None:
    """Put into *failed* what *crawl* raises, a task or a Deferred."""

    def ended(task: Any) -> None:
        if not task.cancelled() and task.exception() is not None:
            failed.append(task.exception())

    if hasattr(crawl, "add_done_callback"):
        crawl.add_done_callback(ended)
    else:
        crawl.addErrback(lambda failure: failed.append(failure.value))
