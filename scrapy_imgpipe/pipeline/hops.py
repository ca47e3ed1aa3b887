"""Looks at every hop of a download: before it is sent, while it comes in, once it is there.

A redirect is a hop of its own, and so is a retry: they happen inside the download, where
the pipeline sees none of it. What cannot become an image is stopped where more of it is to
come than a new connection costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from scrapy import signals
from scrapy.exceptions import (
    DownloadCancelledError,
    DownloadTimeoutError,
    IgnoreRequest,
    StopDownload,
)
from scrapy.http import Request, Response
from scrapy.http.request import NO_CALLBACK
from scrapy.utils.asyncio import is_asyncio_available
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError

from scrapy_imgpipe import imaging, stats
from scrapy_imgpipe.compat.downloader import TICKET, watch_hops
from scrapy_imgpipe.compat.middlewares import (
    bound_growth,
    bound_robots,
    redirected_to,
    restore_limit,
    watch_fetches,
)
from scrapy_imgpipe.errors import DownloadFailed, SourceRejected
from scrapy_imgpipe.guards import HostRules, check_url
from scrapy_imgpipe.optouts import TDM
from scrapy_imgpipe.pipeline.answers import said_no
from scrapy_imgpipe.pipeline.crawls import OfCrawl
from scrapy_imgpipe.pipeline.neighbourhood import Neighbourhood
from scrapy_imgpipe.pipeline.reservations import Reservations
from scrapy_imgpipe.pipeline.sources import quiet
from scrapy_imgpipe.probe import Prober

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

    from scrapy_imgpipe.compat.downloader import Download
    from scrapy_imgpipe.options import Options
    from scrapy_imgpipe.pipeline.asks import Work

#: From how many bytes still to come a download is worth stopping: about what a connection
#: delivers in the three round trips that a new one takes for TCP, TLS 1.3 and the request
#: (RFC 6928: 10 segments of 1460 bytes in the first of them, and twice as many in each next).
WORTH_STOPPING = 128 << 10

_HEAD = 1024  # bytes by which text is told

#: URLs whose host is the one that is connected to.
_WITH_HOSTS = ("http:", "https:", "ftp:", "s3:")

#: Key in ``Request.meta`` of the rules for what is sent for the sake of a source.
_RULES = "imgpipe_rules"

_of_crawl: OfCrawl[Hops] = OfCrawl()


@dataclass(frozen=True, slots=True)
class WatchRules:
    """What a download is judged by while it comes in.

    Attributes:
        options: of the pipeline.
        hosts: that may be asked.
        opt_out: words of ``IMGPIPE_OPT_OUT``.
        plan: whose limits count.
        whole: whether images are decoded at full scale in any case.
    """

    options: Options
    hosts: HostRules
    opt_out: frozenset[str]
    plan: imaging.Plan
    whole: bool


class Watch:
    """What was seen of one download.

    Args:
        rules: that it is judged by.
        work: what is known of the request.
    """

    #: Why it cannot become an image.
    refused: SourceRejected | None
    #: Bytes that its headers tell of.
    told: int | None
    #: Bytes that have come.
    received: int

    def __init__(self, rules: WatchRules, work: Work) -> None:
        self.rules: WatchRules = rules
        self.work: Work = work
        self.hosts: set[str | None] = set()  # that are asked, one hop after the other
        self.begin()

    def begin(self) -> None:
        """Take note that another hop begins."""
        self.refused = self.told = None
        self.received = 0
        self._encoded = False
        self._head = b""
        self._prober: Prober | None = Prober()

    @property
    def _worth_stopping(self) -> bool:
        """Whether more is to come than a new connection costs."""
        if self.told is None:
            return self.received > WORTH_STOPPING
        return self.told - self.received > WORTH_STOPPING

    def headers_came(self, headers: Any, told: int | None, user_agent: str) -> None:
        """Look at what headers tell.

        Raises:
            StopDownload: it cannot become an image.
        """
        self.told = told
        encoding = headers.get("Content-Encoding", b"identity").strip().lower()
        self._encoded = encoding not in {b"", b"identity"}
        most = self.rules.options.max_bytes
        said = said_no(headers, self.rules.opt_out, user_agent) if self.rules.opt_out else ""
        if said:
            self._refuse(SourceRejected(said, "opted-out"))
        elif most and told is not None and told > most:
            self._refuse(SourceRejected(f"{told} bytes are announced (> {most})", "too-many-bytes"))

    def bytes_came(self, data: bytes) -> None:
        """Look at what has come.

        Raises:
            StopDownload: it cannot become an image.
        """
        self.received += len(data)
        most = self.rules.options.max_bytes
        if self.refused is not None:
            self._refuse(self.refused)
        elif most and self.received > most:
            self._refuse(SourceRejected(f"More than {most} bytes came", "too-many-bytes"))
        elif self._prober is not None and not self._encoded:
            self._probe(self._prober, data)

    def _probe(self, prober: Prober, data: bytes) -> None:
        if not (self._worth_stopping or self.told is None):
            return
        prober.feed(data)
        if len(self._head) < _HEAD:
            self._head += data[: _HEAD - len(self._head)]
        if not self._worth_stopping:
            return
        try:
            self._look(prober)
        except SourceRejected as refused:
            self._refuse(refused)
        if prober.done:
            self._prober = None

    def _look(self, prober: Prober) -> None:
        imaging.check_early(prober, self.rules.plan, whole=self.rules.whole)
        if prober.done and prober.format is None:
            imaging.check_head(self._head, self.rules.plan.formats)

    def _refuse(self, refused: SourceRejected) -> None:
        self.refused = refused.with_traceback(None)
        if self._worth_stopping:
            raise StopDownload(fail=False)


class Hops:
    """The downloads that are under way in one crawl.

    Args:
        crawler: whose downloader it is.
    """

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._watches: dict[int, Watch] = {}
        self._installed = False
        self.neighbourhood: Neighbourhood = Neighbourhood(crawler)
        self._reservations = Reservations(crawler)
        crawler.signals.connect(self._headers_received, signals.headers_received)
        crawler.signals.connect(self._bytes_received, signals.bytes_received)

    @classmethod
    def of(cls, crawler: Crawler) -> Hops:
        """Return the one of *crawler*."""
        return _of_crawl.get(crawler, lambda: cls(crawler))

    def spider_opened(self) -> None:
        """Look at requests where they leave the house; the downloader is there now."""
        if not self._installed:
            self._installed = watch_hops(self._crawler, self._around)
            watch_fetches(self._crawler, self._prepare)

    async def download(self, request: Request, watch: Watch) -> Any:
        """Return the response to *request*, which has its ticket, or raise why not."""
        number = request.meta.get(TICKET, 0)
        self._watches[number] = watch
        watch.hosts.add(urlsplit(request.url).hostname)
        download = self._crawler.engine.download_async
        try:
            await self._check_reservation(request, watch)
            bound_growth(request, 0, watch.rules.options.max_bytes)  # of what a cache has
            if self._installed:
                return await download(request)
            return await self._around(download, request)
        finally:
            del self._watches[number]

    def _prepare(self, request: Request) -> Awaitable[None] | None:
        """Look at *request* before its robots.txt is asked for, and at that one."""
        watch = self._watches.get(request.meta.get(TICKET, 0))
        if watch is None:
            if self._rules_of_other(request) is not None:
                quiet(request)
            return None
        quiet(request)
        watch.hosts.add(urlsplit(request.url).hostname)
        return self._check_reservation(request, watch) if TDM in watch.rules.opt_out else None

    async def _check_reservation(self, request: Request, watch: Watch) -> None:
        """Ask the site of *request*, which has no place of its host yet that others wait for."""
        if TDM not in watch.rules.opt_out:
            return
        proxy = request.meta.get("proxy")
        meta = {_RULES: watch.rules, **({"proxy": proxy} if proxy else {})}
        await self._reservations.check(request.url, meta)

    async def _around(self, download: Download, request: Request) -> Any:
        watch = self._watches.get(request.meta.get(TICKET, 0))
        if watch is None:
            return await self._of_others(download, request)
        await self._check(request.url, request.meta, watch.rules)
        watch.begin()
        restore_limit(request)
        response = await _in_time(download, request)
        if not isinstance(response, Response):
            return response
        await self.neighbourhood.check_answer(response, request, watch.rules.hosts)
        if watch.refused is not None and response.status in watch.rules.options.statuses:
            if "download_stopped" in response.flags:
                self._count(watch)
            watch.work.http_status = response.status
            watch.work.bytes_in += watch.received
            raise watch.refused
        if "Content-Encoding" in response.headers:
            bound_growth(request, len(response.body), watch.rules.options.max_bytes)
        target = redirected_to(request, response)
        if target:
            watch.hosts.add(urlsplit(target).hostname)
            await self._check(target, request.meta, watch.rules)
        return response

    async def _of_others(self, download: Download, request: Request) -> Any:
        """Look at what is sent for the sake of a source: a tdmrep.json, a robots.txt."""
        rules = self._rules_of_other(request)
        if rules is None:
            return await download(request)
        try:
            await self._check(request.url, request.meta, rules)
            response = await _in_time(download, request)
            await self.neighbourhood.check_answer(response, request, rules.hosts)
            target = redirected_to(request, response)
            if target:
                await self._check(target, request.meta, rules)
        except (SourceRejected, DownloadFailed, DownloadCancelledError) as refused:
            raise IgnoreRequest(str(refused)) from None  # that is no error, so Scrapy logs none
        return response

    def _rules_of_other(self, request: Request) -> WatchRules | None:
        """Return the rules for what is no source, but sent for one; None for all else.

        A robots.txt is known by the host of a source that waits for it. Its redirects, and
        those of a tdmrep.json, have the rules in their ``meta``: middlewares copy that.
        """
        rules: WatchRules | None = request.meta.get(_RULES)
        if rules is not None or request.callback is not NO_CALLBACK:
            return rules
        if not self._watches or not request.url.endswith("/robots.txt"):
            return None
        host = urlsplit(request.url).hostname
        for watch in self._watches.values():
            if host in watch.hosts:
                request.meta[_RULES] = watch.rules
                bound_robots(request, self._crawler.settings.getint("DOWNLOAD_MAXSIZE"))
                return watch.rules
        return None

    async def _check(self, url: str, meta: dict[str, Any], rules: WatchRules) -> None:
        check_url(url, rules.options.allowed_schemes)
        if url.startswith(_WITH_HOSTS):
            await self.neighbourhood.check(url, meta, rules.hosts)

    def _count(self, watch: Watch) -> None:
        count = self._crawler.stats.inc_value
        count(stats.STOPPED)
        if watch.told is not None:
            count(stats.BYTES_SPARED, max(watch.told - watch.received, 0))

    def _headers_received(self, headers: Any, body_length: object, request: Request) -> None:
        watch = self._watches.get(request.meta.get(TICKET, 0))
        if watch is not None:
            told = body_length if isinstance(body_length, int) and body_length >= 0 else None
            agent = (request.headers.get("User-Agent") or b"").decode("latin-1")
            watch.headers_came(headers, told, agent)

    def _bytes_received(self, data: bytes, request: Request) -> None:
        watch = self._watches.get(request.meta.get(TICKET, 0))
        if watch is not None:
            watch.bytes_came(data)


async def _in_time(download: Download, request: Request) -> Any:
    """Return what *download* gives; what comes by FTP in ``DOWNLOAD_TIMEOUT``.

    Scrapy's handler for FTP has no time-out: a server that says nothing would hold the crawl.

    Raises:
        DownloadTimeoutError: it takes longer; Scrapy tries again, as with HTTP.
    """
    seconds = request.meta.get("download_timeout") or 0
    if not request.url.startswith("ftp:") or seconds <= 0:
        return await download(request)
    try:
        if is_asyncio_available():
            return await asyncio.wait_for(download(request), seconds)
        from twisted.internet import reactor  # noqa: PLC0415 - importing it installs one

        downloading: Deferred[Any] = Deferred.fromCoroutine(download(request))  # type: ignore[arg-type]
        return await downloading.addTimeout(seconds, reactor)
    except (TimeoutError, DeferredTimeoutError):
        raise DownloadTimeoutError(f"FTP took longer than {seconds} seconds") from None
