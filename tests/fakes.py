"""The pipeline without a crawl: a downloader that answers from a dict, and a runner.

The real :class:`ImagesPipeline` over a real store in a temporary folder; only
the network is not there. Everything runs under ``asyncio.run``, without a reactor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

from scrapy import signals
from scrapy.http import Request, Response
from scrapy.utils.misc import build_from_crawler
from scrapy.utils.spider import DefaultSpider
from scrapy.utils.test import get_crawler

from scrapy_imgpipe import ImagesPipeline

Answer = bytes | int | Exception | Response | Callable[[Request], Any]


class FakeSite:
    """Answers requests: bytes are a 200, an int is a status, an exception is raised.

    A callable gets the request and may be async. Unknown URLs are a 404.

    Attributes:
        asked: every request that reached the network, in order.
    """

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.answers = answers
        self.asked: list[Request] = []

    @property
    def urls(self) -> list[str]:
        return [request.url for request in self.asked]

    async def download_async(self, request: Request) -> Response:
        self.asked.append(request)
        await asyncio.sleep(0)
        answer = self.answers.get(request.url, 404)
        if callable(answer):
            answer = answer(request)
            if asyncio.iscoroutine(answer):
                answer = await answer
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, int):
            return Response(request.url, status=answer, request=request)
        if isinstance(answer, Response):
            return answer
        return Response(request.url, body=answer, request=request)


class Crawl:
    """One pipeline with its crawler, store and site; may process several items.

    ``with Crawl(...) as crawl`` opens the spider and closes it at the end, so
    that the workers end and the summary is logged.
    """

    def __init__(
        self,
        store: Path | str,
        answers: Mapping[str, Answer] | None = None,
        pipeline: type[ImagesPipeline] = ImagesPipeline,
        **settings: Any,
    ) -> None:
        self.store = Path(store)
        self.site = FakeSite(answers or {})
        settings = {
            "IMAGES_STORE": str(store),
            "EXTENSIONS_BASE": {},
            "IMGPIPE_RETRIES": 0,  # tests count requests; those that are about retries say so
            **settings,
        }
        self.crawler = get_crawler(DefaultSpider, settings)
        self.crawler.spider = self.crawler._create_spider()
        self.crawler.engine = SimpleNamespace(  # type: ignore[assignment]
            download_async=self.site.download_async
        )
        self.pipeline = build_from_crawler(pipeline, self.crawler)

    def __enter__(self) -> Self:
        self.pipeline.open_spider()
        asyncio.run(self._send(signals.spider_opened))
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run(self._send(signals.spider_closed, reason="finished"))

    async def _send(self, signal: object, **kwargs: Any) -> None:
        manager = self.crawler.signals
        await manager.send_catch_log_async(signal, spider=self.crawler.spider, **kwargs)

    @property
    def stats(self) -> dict[str, Any]:
        return self.crawler.stats.get_stats()

    def outcomes(self) -> dict[str, int]:
        """Return the outcome codes that were counted."""
        prefix = "imgpipe/outcome/"
        return {k.removeprefix(prefix): v for k, v in self.stats.items() if k.startswith(prefix)}

    def process(self, *items: Any) -> Any:
        """Process *items* at once and return what came out; one item comes back alone."""

        async def run() -> list[Any]:
            return await asyncio.gather(*(self.pipeline.process_item(item) for item in items))

        results = asyncio.run(run())
        return results[0] if len(items) == 1 else results

    def images(self, *urls: Any) -> list[dict[str, Any]]:
        """Process one dict item with *urls* and return its ``images``."""
        images: list[dict[str, Any]] = self.process({"image_urls": list(urls)})["images"]
        return images

    def files(self) -> dict[str, bytes]:
        """Return everything in the store: path to content."""
        return {
            path.relative_to(self.store).as_posix(): path.read_bytes()
            for path in sorted(self.store.rglob("*"))
            if path.is_file()
        }
