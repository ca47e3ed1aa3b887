"""What waits for its download: by priority, and fair between the hosts of one priority.

A host stands in one line, that of the highest priority it has. Of whom there is no room
for it stands aside, until its time comes or one of its places is free, so that a choice
does not have to look at all that wait.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from math import inf
from operator import attrgetter

from scrapy_imgpipe.admission.ticket import State, Ticket

#: Asked for a host: in how many seconds there may be room for one more download; 0 for
#: now, infinity for not before one of ours has left its place.
WaitOf = Callable[[Hashable], float]

#: Asked for a host: whether there is memory for one more download.
Fits = Callable[["Host"], bool]


@dataclass(eq=False, slots=True)
class Host:
    """What waits of one host, and the places it has.

    Attributes:
        name: of the host.
        places: how many of its sources are being downloaded.
        waiting: how many wait.
        sources: a heap; entries of those that have left the queue, or have risen in it,
            stay until they are on top.
        line: priority of the line it stands in; None where it stands aside.
        aside: number of its entry among those that stand aside; None where it does not.
    """

    name: Hashable
    places: int = 0
    waiting: int = 0
    sources: list[tuple[int, int, Ticket]] = field(default_factory=list)
    line: int | None = None
    aside: int | None = None


class Queue:
    """All that waits, and the places of all hosts."""

    def __init__(self) -> None:
        self.waiting: int = 0
        self._hosts: dict[Hashable, Host] = {}
        self._lines: dict[int, OrderedDict[Host, None]] = {}
        self._order: list[int] = []  # negative priorities of the lines, so highest first
        # A heap: until when, and the entry's number.
        self._aside: list[tuple[float, int, Host]] = []
        self._numbers = count()

    def places_of(self, name: Hashable) -> int:
        """Return how many sources of the host *name* are being downloaded."""
        host = self._hosts.get(name)
        return 0 if host is None else host.places

    def add(self, ticket: Ticket) -> None:
        """Let *ticket* wait behind those of its host and priority."""
        host = self._hosts.get(ticket.host)
        if host is None:
            host = self._hosts[ticket.host] = Host(ticket.host)
        heappush(host.sources, (-ticket.priority, next(self._numbers), ticket))
        host.waiting += 1
        self.waiting += 1
        if host.aside is None:
            self._stand_in_line(host)

    def raise_priority(self, ticket: Ticket, priority: int) -> None:
        """Let *ticket* wait with a higher *priority*, behind those that have it."""
        host = self._hosts[ticket.host]
        ticket.priority = priority
        heappush(host.sources, (-priority, next(self._numbers), ticket))
        self._tidy(host)
        if host.aside is None:
            self._stand_in_line(host)

    def remove(self, ticket: Ticket) -> None:
        """Let *ticket*, which does not wait any more, wait no longer."""
        host = self._hosts[ticket.host]
        host.waiting -= 1
        self.waiting -= 1
        self._tidy(host)
        if host.waiting and host.aside is None:
            self._stand_in_line(host)

    def begin(self, host: Host) -> Ticket:
        """Take the next source of *host*, which stands in line, and give it a place."""
        _, _, ticket = heappop(host.sources)
        host.places += 1
        host.waiting -= 1
        self.waiting -= 1
        self._tidy(host)
        if host.waiting:
            self._stand_in_line(host)
            self._lines[-host.sources[0][0]].move_to_end(host)
        return ticket

    def leave_place(self, name: Hashable) -> None:
        """Free one place of the host *name*, which may go on if it stood aside."""
        host = self._hosts[name]
        host.places -= 1
        self._tidy(host)
        if host.aside is not None:
            self._return(host)

    def next_host(self, wait_of: WaitOf, fits: Fits, now: float, *, spare_one: bool) -> Host | None:
        """Return who goes next, or None where there is room for nobody.

        Args:
            wait_of: asked for hosts in turn; who has to wait stands aside for so long.
            fits: asked for who has room. Who does not fit is passed over by others of its
                priority where it has a place, else by nobody.
            now: the time, in seconds.
            spare_one: whether only hosts without a place may go.
        """
        while self._aside and self._aside[0][0] <= now:
            _, number, host = heappop(self._aside)
            if host.aside == number:
                self._return(host)
        place = 0
        while place < len(self._order):
            priority = self._order[place]
            chosen, stop = self._next_in_line(-priority, wait_of, fits, now, spare_one=spare_one)
            if chosen is not None or stop:
                return chosen
            if place < len(self._order) and self._order[place] == priority:  # it is still there
                place += 1
        return None

    def next_look(self) -> float:
        """Return when somebody who stands aside may go on; infinity for at no known time."""
        while self._aside and self._aside[0][2].aside != self._aside[0][1]:
            heappop(self._aside)
        return self._aside[0][0] if self._aside else inf

    def _next_in_line(
        self, priority: int, wait_of: WaitOf, fits: Fits, now: float, *, spare_one: bool
    ) -> tuple[Host | None, bool]:
        chosen: Host | None = None
        stop = False
        full: list[tuple[Host, float]] = []
        for host in self._by_places(priority, spare_one=spare_one):
            wait = wait_of(host.name)
            if wait > 0:
                full.append((host, wait))
            elif fits(host):
                chosen = host
                break
            else:
                stop = True
                if not host.places:
                    break
        for host, wait in full:
            self._stand_aside(host, now + wait)
        return chosen, stop

    def _by_places(self, priority: int, *, spare_one: bool) -> Iterator[Host]:
        """Yield the hosts in a line, those with the fewest places first; else in its order."""
        line = self._lines[priority]
        yield from (host for host in line if not host.places)
        if not spare_one:
            yield from sorted((host for host in line if host.places), key=attrgetter("places"))

    def _stand_in_line(self, host: Host) -> None:
        """Let *host*, which does not stand aside, be in the line of its first source."""
        priority = -host.sources[0][0]
        if host.line == priority:
            return
        self._leave_line(host)
        line = self._lines.get(priority)
        if line is None:
            line = self._lines[priority] = OrderedDict()
            insort(self._order, -priority)
        line[host] = None
        host.line = priority

    def _leave_line(self, host: Host) -> None:
        if host.line is None:
            return
        line = self._lines[host.line]
        del line[host]
        if not line:
            del self._lines[host.line]
            del self._order[bisect_left(self._order, -host.line)]
        host.line = None

    def _stand_aside(self, host: Host, until: float) -> None:
        self._leave_line(host)
        host.aside = next(self._numbers)
        if until < inf:
            heappush(self._aside, (until, host.aside, host))

    def _return(self, host: Host) -> None:
        """Let *host* be the first in its line: it has waited longest."""
        host.aside = None
        if host.waiting:
            self._stand_in_line(host)
            self._lines[-host.sources[0][0]].move_to_end(host, last=False)

    def _tidy(self, host: Host) -> None:
        """Forget entries on top that do not hold, and a host that has nothing any more."""
        while host.sources:
            lowest, _, ticket = host.sources[0]
            if ticket.state is State.WAITING and ticket.priority == -lowest:
                break
            heappop(host.sources)
        if not host.waiting:
            self._leave_line(host)
            host.aside = None
            if not host.places:
                del self._hosts[host.name]
