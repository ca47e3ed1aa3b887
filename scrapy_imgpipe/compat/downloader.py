"""What Scrapy's downloader is doing at this moment, as facts, and its back-out.

The downloader bounds the requests of pages, but bursts of media requests slip past
its limits: under asyncio, a slot counts a transfer only when its task has begun. So
whoever sends such requests asks here first whether the limits have room.

``Downloader.active`` has every request that was handed to it; each slot, one for a
host, has ``active`` (handed on to the slot), ``queue`` (not yet begun, because of the
limit or the delay of the slot) and ``transferring``. A downloader of another make
without these is taken at its settings.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from scrapy.crawler import Crawler
    from scrapy.http import Request

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
        own_of: Callable[[str], int],
    ) -> None:
        self._crawler = crawler
        self._own = own
        self._own_of = own_of
        settings = crawler.settings
        self._total = settings.getint("CONCURRENT_REQUESTS")
        self._per_host = settings.getint("CONCURRENT_REQUESTS_PER_DOMAIN")
        #: When to look again, seconds from now; None where nobody else is in the way.
        self.look_again: float | None = None

    @property
    def _real(self) -> Any:
        downloader = getattr(self._crawler.engine, "downloader", None)
        known = isinstance(getattr(downloader, "active", None), set) and isinstance(
            getattr(downloader, "slots", None), dict
        )
        return downloader if known else None

    def key_of(self, request: Request) -> str:
        """Return the name of the slot that *request* will be in."""
        downloader = self._real
        if downloader is not None:
            return str(downloader.get_slot_key(request))
        return str(request.meta.get("download_slot") or urlsplit(request.url).hostname or "")

    def places(self) -> int | None:
        """Return how many more requests may begin in all; None is no limit."""
        downloader = self._real
        total = self._total if downloader is None else downloader.total_concurrency
        if total <= 0:
            return None
        free: int = total - len(self._own)
        if downloader is None or free <= 0:
            return free
        others = self._others(downloader.active)
        if others >= free:
            others -= sum(self._queued(slot) for slot in downloader.slots.values())
        if others > 0 and others >= free:
            self._again_in(LOOK_AGAIN_SECONDS)
        return free - max(others, 0)

    def has_room(self, key: str) -> bool:
        """Say whether one more request may begin in the slot *key*."""
        downloader = self._real
        own = self._own_of(key)
        if downloader is None:
            return self._per_host <= 0 or own < self._per_host
        slot = downloader.slots.get(key)
        if slot is None:  # its first request makes it
            if own:
                self._again_in(LOOK_AGAIN_SECONDS)
            return not own
        if self._queued(slot):  # a place in that queue is all there is to be had
            return own < (1 if slot.delay else slot.concurrency)
        in_slot = sum(request.meta.get(TICKET) in self._own for request in slot.active)
        on_the_way = max(own - in_slot, 0)  # in middlewares: robots.txt, say
        if len(slot.active) + on_the_way >= slot.concurrency:
            if len(slot.active) > in_slot:
                self._again_in(LOOK_AGAIN_SECONDS)
            return False
        return not slot.delay or self._is_due(slot, waiting=len(slot.queue) + on_the_way)

    def _is_due(self, slot: Any, *, waiting: int) -> bool:
        """Say whether a slot with a delay could begin one more request soon.

        One is handed on when the least possible delay is over, and none while
        another waits in the slot: what goes next is decided as late as it can be.
        """
        if waiting:
            self._again_in(max(slot.delay / 4, LOOK_AGAIN_SECONDS))
            return False
        jitter = getattr(slot, "jitter", None)
        if jitter is None:
            jitter = _JITTER if slot.randomize_delay else 0.0
        due_in = slot.lastseen + slot.delay * (1 - min(jitter, 1.0)) - time.monotonic()
        if due_in > 0:
            self._again_in(max(due_in, LOOK_AGAIN_SECONDS))
        return bool(due_in <= 0)

    def _others(self, requests: Collection[Request]) -> int:
        return sum(request.meta.get(TICKET) not in self._own for request in requests)

    def _queued(self, slot: Any) -> int:
        """Return how many requests of others wait in *slot*, and have not begun."""
        return sum(request.meta.get(TICKET) not in self._own for request, _ in slot.queue)

    def _again_in(self, seconds: float) -> None:
        self.look_again = min(seconds, self.look_again or seconds)


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
