"""Looks at every hop of a download: before it is sent, while it comes in, once it is there.

A redirect is a hop of its own, and so is a retry: they happen inside the download, where
the pipeline sees none of it. What cannot become an image is stopped where more of it is to
come than a new connection costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from scrapy import signals
from scrapy.exceptions import StopDownload
from scrapy.http import Request, Response

from scrapy_imgpipe import imaging, stats
from scrapy_imgpipe.compat.downloader import TICKET, watch_hops
from scrapy_imgpipe.errors import SourceRejected
from scrapy_imgpipe.guards import HostRules, check_url
from scrapy_imgpipe.optouts import TDM
from scrapy_imgpipe.pipeline.answers import said_no
from scrapy_imgpipe.pipeline.neighbourhood import Neighbourhood
from scrapy_imgpipe.pipeline.reservations import Reservations
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

#: What an encoded body may grow to, in bytes, and how many times its length; no picture
#: is sent with a Content-Encoding that gains more, but for some icons.
_LEAST_GROWN = 16 << 20
_MOST_GROWTH = 100

_HEAD = 1024  # bytes by which text is told

#: URLs whose host is the one that is connected to.
_WITH_HOSTS = ("http:", "https:", "ftp:")

#: Keys in ``Request.meta``: Scrapy's for a limit of bytes, and ours to keep a user's in.
_LIMIT = "download_maxsize"
_USERS_LIMIT = "imgpipe_maxsize"

_of_crawl: WeakKeyDictionary[Crawler, ref[Hops]] = WeakKeyDictionary()


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
        self.neighbourhood: Neighbourhood = Neighbourhood.of(crawler)
        self._reservations = Reservations.of(crawler)
        crawler.signals.connect(self._headers_received, signals.headers_received)
        crawler.signals.connect(self._bytes_received, signals.bytes_received)

    @classmethod
    def of(cls, crawler: Crawler) -> Hops:
        """Return the one of *crawler*."""
        known = _of_crawl.get(crawler)
        hops = known() if known is not None else None
        if hops is None:
            hops = cls(crawler)
            _of_crawl[crawler] = ref(hops)
        return hops

    def spider_opened(self) -> None:
        """Look at requests where they leave the house; the downloader is there now."""
        if not self._installed:
            self._installed = watch_hops(self._crawler, self._around)

    async def download(self, request: Request, watch: Watch) -> Any:
        """Return the response to *request*, which has its ticket, or raise why not."""
        number = request.meta.get(TICKET, 0)
        self._watches[number] = watch
        download = self._crawler.engine.download_async
        try:
            if TDM in watch.rules.opt_out:
                await self._reserved(request, watch)
            if self._installed:
                return await download(request)
            return await self._around(download, request)
        finally:
            del self._watches[number]

    async def _reserved(self, request: Request, watch: Watch) -> None:
        """Refuse what its site reserves; asked here, where the place of its host is still free."""
        check_url(request.url, watch.rules.options.allowed_schemes)
        if request.url.startswith(_WITH_HOSTS):
            await self.neighbourhood.check(request, watch.rules.hosts)
        await self._reservations.check(request.url)

    async def _around(self, download: Download, request: Request) -> Any:
        watch = self._watches.get(request.meta.get(TICKET, 0))
        if watch is None:
            return await download(request)
        check_url(request.url, watch.rules.options.allowed_schemes)
        if request.url.startswith(_WITH_HOSTS):
            await self.neighbourhood.check(request, watch.rules.hosts)
        watch.begin()
        _restore_limit(request)
        response = await download(request)
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
            _bound_growth(request, len(response.body), watch.rules.options.max_bytes)
        return response

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


def _restore_limit(request: Request) -> None:
    """Give *request* the limit of bytes that its user gave it, if any.

    The copy for a next hop has the one that the last response could grow to.
    """
    if _USERS_LIMIT in request.meta:
        limit = request.meta[_LIMIT] = request.meta.pop(_USERS_LIMIT)
        if limit is None:
            del request.meta[_LIMIT]


def _bound_growth(request: Request, length: int, most: int) -> None:
    """Let a body of *length* bytes grow to some size only when it is decoded.

    ``HttpCompressionMiddleware`` looks for the limit where the download handler did.
    """
    limit = request.meta[_USERS_LIMIT] = request.meta.get(_LIMIT)
    grown = max(_LEAST_GROWN, _MOST_GROWTH * length)
    for other in (most, limit):
        if isinstance(other, int) and other > 0:
            grown = min(grown, other)
    request.meta[_LIMIT] = grown
