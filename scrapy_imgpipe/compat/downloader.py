"""What Scrapy's downloader is doing at this moment, as facts, and its back-out.

The downloader bounds the requests of pages, but bursts of media requests slip past
its limits. So whoever sends such requests asks here first whether the limits have room.

``Downloader.active`` has every request that was handed to it; each slot, one for a
host, has ``active`` (handed on to the slot), ``queue`` (not yet begun, because of the
limit or the delay of the slot) and ``transferring``. A downloader of another make
without these is taken at its settings.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable
from math import inf
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable

    from scrapy.crawler import Crawler
    from scrapy.http import Request

#: Downloads a request, and what may be put around that.
Download: TypeAlias = Callable[["Request"], Awaitable[Any]]
Around: TypeAlias = Callable[[Download, "Request"], Awaitable[Any]]

#: Key in ``Request.meta`` under which a source's ticket number travels; copies that
#: middlewares make of a request (retry, redirect) keep it.
TICKET = "imgpipe_ticket"

#: How soon to look again where others stand in the way, in seconds: the downloader
#: tells nobody when a place is free.
LOOK_AGAIN_SECONDS = 0.01

#: How far a random delay may be below the configured one: Scrapy before 2.19 knows
#: this one only, for its ``RANDOMIZE_DOWNLOAD_DELAY``.
_JITTER = 0.5


class Downloader:
    """Answers what the limits of a crawl allow just now.

    Args:
        crawler: its engine may not be there yet.
        own: numbers of the tickets that are being downloaded, as a live view.
        own_of: how many of them belong to a slot.
    """

    def __init__(
        self,
        crawler: Crawler,
        own: Collection[int],
        own_of: Callable[[Hashable], int],
    ) -> None:
        self._crawler = crawler
        self._own = own
        self._own_of = own_of
        settings = crawler.settings
        self._total = settings.getint("CONCURRENT_REQUESTS")
        self._per_host = settings.getint("CONCURRENT_REQUESTS_PER_DOMAIN")
        #: Whether it is others who take all places, at the last look.
        self.others_in_the_way: bool = False

    @property
    def _real(self) -> Any:
        downloader = getattr(self._crawler.engine, "downloader", None)
        known = isinstance(getattr(downloader, "active", None), set) and isinstance(
            getattr(downloader, "slots", None), dict
        )
        return downloader if known else None

    def key_of(self, request: Request) -> Hashable:
        """Return the key of the slot that *request* will be in."""
        downloader = self._real
        if downloader is not None:
            key: Hashable = downloader.get_slot_key(request)
            return key
        return request.meta.get("download_slot") or urlsplit(request.url).hostname or ""

    def places(self) -> int | None:
        """Return how many more requests may begin in all; None is no limit."""
        downloader = self._real
        self.others_in_the_way = False
        total = self._total if downloader is None else downloader.total_concurrency
        if total <= 0:
            return None
        free: int = total - len(self._own)
        if downloader is None or free <= 0:
            return free
        others = self._others(downloader.active)
        if others >= free:
            others -= sum(self._queued(slot) for slot in downloader.slots.values())
        self.others_in_the_way = others > 0 and others >= free
        return free - max(others, 0)

    def wait_of(self, key: Hashable) -> float:
        """Return in how many seconds there may be room in the slot *key* for one more.

        0 is now; infinity is not before one of ours has left the slot.
        """
        downloader = self._real
        own = self._own_of(key)
        if downloader is None:
            return 0.0 if self._per_host <= 0 or own < self._per_host else inf
        slot = downloader.slots.get(key)
        if slot is None:  # one that reaches it makes it
            concurrency, delay = self._of_new_slot(downloader, key)
            if own and delay:
                return LOOK_AGAIN_SECONDS
            return 0.0 if own < concurrency else inf
        if self._queued(slot):  # a place in that queue is all there is to be had
            return 0.0 if own < (1 if slot.delay else slot.concurrency) else inf
        in_slot = sum(request.meta.get(TICKET) in self._own for request in slot.active)
        on_the_way = max(own - in_slot, 0)  # in middlewares: robots.txt, say
        if len(slot.active) + on_the_way >= slot.concurrency:
            return LOOK_AGAIN_SECONDS if len(slot.active) > in_slot else inf
        return self._until_due(slot, waiting=len(slot.queue) + on_the_way) if slot.delay else 0.0

    def _of_new_slot(self, downloader: Any, key: Hashable) -> tuple[int, float]:
        """Return the concurrency and delay that the slot *key* will have."""
        chosen = getattr(downloader, "per_slot_settings", {}).get(key, {})
        of_all = getattr(downloader, "ip_concurrency", 0) or self._per_host
        delay = getattr(downloader, "_delay", None)
        if delay is None:  # before 2.19
            delay = self._crawler.settings.getfloat("DOWNLOAD_DELAY")
            delay = getattr(self._crawler.spider, "download_delay", delay)
        return chosen.get("concurrency", of_all), chosen.get("delay", delay)

    def _until_due(self, slot: Any, *, waiting: int) -> float:
        """Return in how many seconds a slot with a delay could begin one more request.

        One is handed on when the least possible delay is over, and none while
        another waits in the slot: what goes next is decided as late as it can be.
        """
        if waiting:
            return max(float(slot.delay) / 4, LOOK_AGAIN_SECONDS)
        jitter = getattr(slot, "jitter", None)
        if jitter is None:
            jitter = _JITTER if slot.randomize_delay else 0.0
        due_in: float = slot.lastseen + slot.delay * (1 - min(jitter, 1.0)) - time.monotonic()
        return max(due_in, LOOK_AGAIN_SECONDS) if due_in > 0 else 0.0

    def _others(self, requests: Collection[Request]) -> int:
        return sum(request.meta.get(TICKET) not in self._own for request in requests)

    def _queued(self, slot: Any) -> int:
        """Return how many requests of others wait in *slot*, and have not begun."""
        return sum(request.meta.get(TICKET) not in self._own for request, _ in slot.queue)

    def count_at_once(self) -> None:
        """Let slots count a transfer when it is taken from their queue.

        Under asyncio they count it when its task has begun, which is later: until then
        they take whatever else is queued.
        """
        downloader: Any = self._real
        transfer = getattr(downloader, "_wait_for_download", None)
        if transfer is None or hasattr(transfer, "imgpipe_counts"):
            return

        def counted(slot: Any, request: Request, *args: Any) -> Any:
            slot.transferring.add(request)
            return transfer(slot, request, *args)

        counted.imgpipe_counts = True  # type: ignore[attr-defined]
        downloader._wait_for_download = counted  # noqa: SLF001


def watch_hops(crawler: Crawler, around: Around) -> bool:
    """Have *around* called for each request that goes out, redirects and retries included.

    Behind all downloader middlewares: what it is called with is what is sent, and what it
    returns or raises is what the last of them gets.

    Returns:
        Whether the downloader is of a make where that can be done.
    """
    downloader = getattr(crawler.engine, "downloader", None)
    handlers: Any = getattr(downloader, "handlers", None)
    download: Download | None = getattr(handlers, "download_request_async", None)
    if download is None:
        return False
    handlers.download_request_async = functools.partial(around, download)
    return True


class Pages:
    """Lets the engine count sources that wait as requests that are under way.

    It starts no page while as many requests are active as ``CONCURRENT_REQUESTS``
    allows, and in Scrapy sources that wait for the downloader are active.

    Args:
        crawler: its engine is asked for at :meth:`hold_back`.
        waiting: how many sources wait just now.
    """

    def __init__(self, crawler: Crawler, waiting: Callable[[], int]) -> None:
        self._crawler = crawler
        self._waiting = waiting
        self._held_back = False

    def hold_back(self) -> None:
        """Be asked from now on; where the downloader has no ``needs_backout``, pages go on."""
        downloader: Any = getattr(self._crawler.engine, "downloader", None)
        asked: Callable[[], bool] | None = getattr(downloader, "needs_backout", None)
        if asked is None or hasattr(asked, "imgpipe_counts"):
            return

        def needs_backout() -> bool:
            if asked():
                return True
            total = downloader.total_concurrency
            self._held_back = 0 < total <= len(downloader.active) + self._waiting()
            return self._held_back

        needs_backout.imgpipe_counts = True  # type: ignore[attr-defined]
        downloader.needs_backout = needs_backout

    def let_go(self) -> None:
        """Have the engine ask again, if it was told to wait: fewer sources wait now.

        It asks by itself when a download ends, and not when a source is found stored.
        """
        slot = getattr(self._crawler.engine, "_slot", None)
        if self._held_back and slot is not None:
            self._held_back = False
            slot.nextcall.schedule()
