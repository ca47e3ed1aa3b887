"""What sites reserve for themselves: their tdmrep.json, asked for once for each site.

One per crawl. The request for it goes through the downloader and its middlewares like any
other, before the first image of the site; a file that cannot be had reserves nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from scrapy.http import Request, Response
from scrapy.http.request import NO_CALLBACK

from scrapy_imgpipe.errors import SourceRejected
from scrapy_imgpipe.optouts import MAX_TDM_BYTES, TDM_PATH, TdmRules
from scrapy_imgpipe.pipeline.latest import LatestResults
from scrapy_imgpipe.promises import Promise, keep, new_promise

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

#: Of how many sites the rules are remembered.
_MOST_SITES = 10_000

_FOUND = 200

_META = {
    "dont_redirect": True,
    "dont_retry": True,
    "download_maxsize": MAX_TDM_BYTES,
    "allow_offsite": True,
}


class Reservations:
    """The rules of the sites of one crawl.

    Args:
        crawler: whose downloader is asked.
    """

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._rules: LatestResults[str, TdmRules] = LatestResults(_MOST_SITES)
        self._asked: dict[str, list[Promise]] = {}

    async def check(self, url: str, meta: dict[str, Any]) -> None:
        """Refuse *url* where its site reserves it.

        Args:
            url: of an image.
            meta: for the request that asks its site.

        Raises:
            SourceRejected: ``opted-out``.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"}:
            return
        site = f"{parts.scheme}://{parts.netloc}"
        if site not in self._rules:
            await self._ask(site, meta)
        query = f"?{parts.query}" if parts.query else ""
        if self._rules.get(site, TdmRules()).reserved(parts.path + query):
            raise SourceRejected(f"Not for us: reserved by {site}{TDM_PATH}", "opted-out")

    async def _ask(self, site: str, meta: dict[str, Any]) -> None:
        waiting = self._asked.get(site)
        if waiting is not None:
            promise = new_promise()
            waiting.append(promise)
            await promise
            return
        self._asked[site] = []
        rules = TdmRules()
        try:
            rules = await self._fetched(site + TDM_PATH, meta)
        finally:
            self._rules[site] = rules
            for promise in self._asked.pop(site):
                keep(promise, None)

    async def _fetched(self, url: str, meta: dict[str, Any]) -> TdmRules:
        request = Request(url, meta={**meta, **_META}, callback=NO_CALLBACK)
        assert self._crawler.engine is not None  # noqa: S101 - an image is being downloaded
        try:
            response = await self._crawler.engine.download_async(request)
        except Exception:  # noqa: BLE001 - a site without rules
            return TdmRules()
        found = isinstance(response, Response) and response.status == _FOUND
        return TdmRules.parse(response.body) if found else TdmRules()
