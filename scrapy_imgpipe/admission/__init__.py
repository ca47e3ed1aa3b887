"""Which source goes next: by priority, fair between hosts, within limits and memory.

Pure state, no I/O, no clock: whoever drives it says what happened and what time it is,
and asks who may go. A source passes these states, and holds what stands behind them::

    waiting      nothing
    downloading  a place of its host, and the bytes its download is expected to take
    landed       the bytes of its body; waiting for its turn to be rendered
    rendering    the bytes of its body and of the pixels a worker decodes

What bounds memory is one budget over all of these. Nothing is ever refused for its
size: what is larger than the whole budget goes alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from math import inf

from scrapy_imgpipe.admission.memory import Memory
from scrapy_imgpipe.admission.queue import Host, Queue, WaitOf
from scrapy_imgpipe.admission.ticket import State, Ticket

__all__ = ["Admission", "State", "Ticket"]

#: From so many places on, the last free one is kept for a host that has none, so
#: that hosts that never answer cannot take all.
PLACES_TO_SPARE_ONE = 8

#: While so many bodies wait for each worker, no download begins: the workers have enough to
#: do for a while, and memory is not filled with what they cannot take.
MOST_LANDED = 32


class Admission:
    """The state of all sources that are under way.

    Args:
        budget: bytes that all of them may take together, 1 or more.
        workers: how many render at once.
    """

    def __init__(self, budget: int, workers: int = 1) -> None:
        self.memory: Memory = Memory(budget)
        self.workers: int = workers
        self._queue = Queue()
        self._downloading = 0
        self._landed: deque[Ticket] = deque()
        self._giants: deque[Ticket] = deque()  # landed, and larger than the budget
        self._rendering = 0
        self._rendering_weight = 0
        self._lacks_memory = False

    @property
    def waiting(self) -> int:
        """How many sources wait for their download."""
        return self._queue.waiting

    @property
    def downloading(self) -> int:
        """How many sources are being downloaded."""
        return self._downloading

    @property
    def under_way(self) -> int:
        """How many sources hold memory: all but those that wait for their download."""
        return self._downloading + self._rendering + len(self._landed) + len(self._giants)

    def places_of(self, host: Hashable) -> int:
        """Return how many sources of *host* are being downloaded."""
        return self._queue.places_of(host)

    def add(self, ticket: Ticket) -> None:
        """Let *ticket* wait for its download, behind those of its host and priority."""
        self._queue.add(ticket)

    def raise_priority(self, ticket: Ticket, priority: int) -> None:
        """Let *ticket* wait for its download with *priority*, if that is higher than its own."""
        if ticket.state is State.WAITING and priority > ticket.priority:
            self._queue.raise_priority(ticket, priority)

    def next_download(self, places: int | None, wait_of: WaitOf, now: float) -> Ticket | None:
        """Let one more source be downloaded and return it; None when none may.

        The highest priority goes first; within one, the host that has the fewest
        places, and of several such the one whose turn was longest ago. A host
        without room is passed over, also by lower priorities. One that lacks memory is
        passed over by its own priority, and only while it has a place. Nobody goes while
        workers have enough to do, or one of them lacks memory that bodies take.

        Args:
            places: how many more downloads may begin in all; None is no limit.
            wait_of: says how long one more download of a host has to wait.
            now: seconds, never less than the last time.
        """
        self._lacks_memory = False
        if not self.waiting or (places is not None and places < 1):
            return None
        self.memory.grow_old(now)
        if self._workers_come_first():
            return None
        spare_one = places == 1 and self._downloading + 1 >= PLACES_TO_SPARE_ONE
        host = self._queue.next_host(wait_of, self._fits, now, spare_one=spare_one)
        if host is None:
            return None
        ticket = self._queue.begin(host)
        ticket.state = State.DOWNLOADING
        self._downloading += 1
        self.memory.begin(ticket, now)
        return ticket

    def _workers_come_first(self) -> bool:
        """Return whether workers have enough to do, or one lacks memory that bodies take."""
        if len(self._landed) >= MOST_LANDED * self.workers:
            return True
        if not self._landed or not 0 < self._rendering < self.workers:
            return False
        ticket, budget = self._landed[0], self.memory.budget
        fits = self.memory.in_use + ticket.need <= budget
        would_fit = self._rendering_weight + ticket.weight + ticket.need <= budget
        self._lacks_memory = would_fit and not fits
        return self._lacks_memory

    def _fits(self, host: Host) -> bool:
        if not self.under_way:
            return True
        # Of giants that have landed, one would never be alone.
        fits = not self._giants and self.memory.has_room(host.name, first=not host.places)
        self._lacks_memory = self._lacks_memory or not fits
        return fits

    def next_look(self) -> float:
        """Return when to ask for a download again, if nothing happens until then.

        In seconds, by the clock of :meth:`next_download`; infinity for never.
        """
        if not self.waiting:
            return inf
        return min(self._queue.next_look(), self.memory.next_old() if self._lacks_memory else inf)

    def announced(self, ticket: Ticket, weight: int | None) -> None:
        """Take note of the headers of a download, and the *weight* they tell, if they do."""
        if ticket.state is State.DOWNLOADING:
            self.memory.announced(ticket, weight)

    def arrived(self, ticket: Ticket, weight: int) -> None:
        """Take note that *weight* more bytes of a download have come."""
        if ticket.state is State.DOWNLOADING:
            self.memory.arrived(ticket, weight)

    def landed(self, ticket: Ticket, body: int, need: int, weight: int) -> None:
        """Take note that a download is through; its place is free.

        Args:
            ticket: of a source that is being downloaded.
            body: bytes that came, held until the source is done.
            need: bytes that rendering takes beside them.
            weight: what the download took at its largest moment.
        """
        self._end_download(ticket)
        self.memory.landed(ticket, weight)
        self.memory.weigh(ticket, body)
        self.found(ticket, need)

    def found(self, ticket: Ticket, need: int) -> None:
        """Let *ticket*, whose bytes have landed or are in the store, wait to be rendered."""
        ticket.state = State.LANDED
        ticket.need = need
        giant = ticket.weight + need > self.memory.budget
        (self._giants if giant else self._landed).append(ticket)

    def next_rendering(self) -> Ticket | None:
        """Let one more source be rendered and return it; None when none may.

        In the order in which they landed. One goes at any time; a further one when
        the budget has room for it. What is larger than the whole budget goes when
        nothing else is rendered or waits for it, and no download begins before it is
        through; it does not wait for those that have begun, one of which may take long.
        """
        if self._landed:
            ticket = self._landed[0]
            if self._rendering and self.memory.in_use + ticket.need > self.memory.budget:
                return None
            self._landed.popleft()
        elif self._giants and not self._rendering:
            ticket = self._giants.popleft()
        else:
            return None
        ticket.state = State.RENDERING
        self._rendering += 1
        self.memory.weigh(ticket, ticket.weight + ticket.need)
        self._rendering_weight += ticket.weight
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give back all that *ticket* holds, whatever its state; safe to call again."""
        was, ticket.state = ticket.state, State.GONE
        if was is State.WAITING:
            self._queue.remove(ticket)
        elif was is State.DOWNLOADING:
            self._end_download(ticket)
        elif was is State.LANDED:
            (self._giants if ticket in self._giants else self._landed).remove(ticket)
        elif was is State.RENDERING:
            self._rendering -= 1
            self._rendering_weight -= ticket.weight
        self.memory.weigh(ticket, 0)

    def _end_download(self, ticket: Ticket) -> None:
        self._downloading -= 1
        self._queue.leave_place(ticket.host)
        self.memory.end(ticket)
