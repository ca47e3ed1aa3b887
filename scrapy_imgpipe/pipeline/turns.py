"""Gives each source its turn: drives the admission on the event loop.

One per crawl, whatever number of pipelines it has: the limits and the memory are the
crawl's. All of it runs on the event loop; nothing here is awaited but a turn.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from itertools import count
from math import inf
from typing import TYPE_CHECKING

from scrapy import signals
from scrapy.utils.asyncio import call_later

from scrapy_imgpipe.admission import Admission, State, Ticket
from scrapy_imgpipe.compat.downloader import LOOK_AGAIN_SECONDS, TICKET, Downloader, Pages
from scrapy_imgpipe.pipeline.crawls import OfCrawl
from scrapy_imgpipe.promises import Promise, keep, new_promise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrapy.crawler import Crawler
    from scrapy.http import Request
    from scrapy.utils.asyncio import CallLaterResult

#: A body is held twice for a moment when it is whole: in the pieces it came in, and as
#: the body of the response.
COPIES_OF_BODY = 2

_of_crawl: OfCrawl[Turns] = OfCrawl()


class Turns:
    """Who may be downloaded, and who rendered, in one crawl.

    Args:
        crawler: whose downloader, limits and signals count.
        budget: bytes that bodies and pixels may take together.
        workers: how many render at once.
    """

    def __init__(self, crawler: Crawler, budget: int, workers: int) -> None:
        self.admission: Admission = Admission(budget, workers)
        self._numbers = count(1)
        self._tickets: dict[int, Ticket] = {}  # of what is being downloaded
        self._awaited: dict[Ticket, Promise] = {}
        self._timer: CallLaterResult | None = None
        self._then = inf  # when the timer fires
        self._calling = self._again = False
        self._undecided = 0
        self._called: set[Ticket] = set()  # and not yet handed to the downloader
        self._pages = Pages(crawler, self._holding_back)
        self._downloader = Downloader(crawler, self._tickets, self.admission.places_of)
        crawler.signals.connect(self._request_sent, signals.request_reached_downloader)
        crawler.signals.connect(self._headers_received, signals.headers_received)
        crawler.signals.connect(self._bytes_received, signals.bytes_received)

    @classmethod
    def of(cls, crawler: Crawler, budget: int, workers: int) -> Turns:
        """Return the one of *crawler*; of several budgets, and workers, the largest counts."""
        turns = _of_crawl.get(crawler, lambda: cls(crawler, budget, workers))
        admission = turns.admission
        admission.memory.budget = max(admission.memory.budget, budget)
        admission.workers = max(admission.workers, workers)
        return turns

    def spider_opened(self) -> None:
        """Let sources that wait hold pages back, and limits hold; the engine is there now."""
        self._pages.hold_back()
        self._downloader.count_at_once()

    @contextmanager
    def undecided(self) -> Iterator[None]:
        """Count one more source that may have to wait for its download, while it is looked for."""
        self._undecided += 1
        try:
            yield
        finally:
            self._undecided -= 1
            self._pages.let_go()

    def _holding_back(self) -> int:
        return self.admission.waiting + self._undecided + len(self._called)

    def ticket_for(self, request: Request) -> Ticket:
        """Put *request* in line; the ticket is to be given back, whatever comes."""
        key = self._downloader.key_of(request)
        ticket = Ticket(next(self._numbers), key, request.priority)
        request.meta[TICKET] = ticket.number
        self.admission.add(ticket)
        self._call()
        return ticket

    def ticket_to_mend(self, need: int) -> Ticket:
        """Put in line what takes *need* bytes to mend; the ticket is to be given back."""
        ticket = Ticket(next(self._numbers), "")
        self.admission.found(ticket, need)
        self._call()
        return ticket

    async def turn_of(self, ticket: Ticket) -> None:
        """Wait until what *ticket* stands for may be downloaded, or rendered once it is there."""
        if ticket.state not in (State.WAITING, State.LANDED):
            return
        turn = self._awaited[ticket] = new_promise()
        try:
            await turn
        finally:
            self._called.discard(ticket)

    def landed(self, ticket: Ticket, body: int, need: int) -> None:
        """Take note that a download is through.

        Args:
            ticket: from :meth:`ticket_for`; its turn has come.
            body: bytes that came.
            need: bytes that rendering will take beside them.
        """
        del self._tickets[ticket.number]
        self.admission.landed(ticket, body, need, body * COPIES_OF_BODY)
        self._call()

    def leave(self, ticket: Ticket) -> None:
        """Give back what *ticket* holds; safe at any time."""
        self._tickets.pop(ticket.number, None)
        self._awaited.pop(ticket, None)
        self.admission.leave(ticket)
        self._call()

    def _call(self) -> None:
        """Call up everybody who may go now.

        Who is called may run at once, up to its own end (without asyncio), and bring
        about a further call: that one is left to the first.
        """
        self._again = True
        if self._calling:
            return
        self._calling = True
        try:
            while self._again:
                self._again = False
                self._call_all()
        finally:
            self._calling = False
        self._set_timer()

    def _call_all(self) -> None:
        while (ticket := self.admission.next_rendering()) is not None:
            self._go(ticket)
        while self.admission.waiting:
            places, now = self._downloader.places(), time.monotonic()
            ticket = self.admission.next_download(places, self._downloader.wait_of, now)
            if ticket is None:
                break
            self._tickets[ticket.number] = ticket
            self._go(ticket)

    def _go(self, ticket: Ticket) -> None:
        turn = self._awaited.pop(ticket, None)
        if turn is not None:
            self._called.add(ticket)
            keep(turn, None)

    def _set_timer(self) -> None:
        now = time.monotonic()
        then = self.admission.next_look()
        if self._downloader.others_in_the_way and self.admission.waiting:
            then = min(then, now + LOOK_AGAIN_SECONDS)
        if then == self._then:
            return
        self._then = then
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if then < inf:
            self._timer = call_later(max(then - now, 0), self._time_is_up)

    def _time_is_up(self) -> None:
        self._timer, self._then = None, inf
        self._call()

    def _request_sent(self, request: Request) -> None:
        ticket = self._tickets.get(request.meta.get(TICKET, 0))
        if ticket is not None:
            ticket.attempts += 1

    def _headers_received(self, body_length: object, request: Request) -> None:
        ticket = self._tickets.get(request.meta.get(TICKET, 0))
        if ticket is not None:
            told = body_length if isinstance(body_length, int) and body_length > 0 else None
            self.admission.announced(ticket, told and told * COPIES_OF_BODY)

    def _bytes_received(self, data: bytes, request: Request) -> None:
        ticket = self._tickets.get(request.meta.get(TICKET, 0))
        if ticket is not None:
            self.admission.arrived(ticket, len(data) * COPIES_OF_BODY)
