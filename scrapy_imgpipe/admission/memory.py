"""One budget over all that is under way: what is expected to come, what came, what it grows to.

Nobody knows how large a download will be before its headers are there, so each counts
with what its host's were like of late. What is announced counts from the headers on; but
only for a while, for who announces much and sends nothing must not hold up the others.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from math import inf

from scrapy_imgpipe.admission.ticket import Ticket

#: What a download is expected to weigh before the first one is through, in bytes.
#: A photo of a web page is lighter; the first answers tell.
FIRST_GUESS = 1 << 20

#: How much of a past large download the expectation keeps with each later one.
MEMORY_OF_LARGE = 0.9

#: After so many seconds, a download counts with what has come of it.
PATIENCE_SECONDS = 2.0

#: One part in so many of the budget is kept for hosts of which nothing is being downloaded.
RESERVE = 4

#: Of how many hosts it is remembered what their downloads weigh.
MOST_HOSTS = 10_000


class Memory:
    """What all that is under way takes, and is expected to take.

    Args:
        budget: bytes that all of it may take together, 1 or more.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.in_use: int = 0
        self.expected: int = min(FIRST_GUESS, budget)
        self._of_host: OrderedDict[Hashable, int] = OrderedDict()
        self._young: OrderedDict[Ticket, None] = OrderedDict()  # in the order of their beginning

    def expected_of(self, host: Hashable) -> int:
        """Return what one more download of *host* is expected to weigh."""
        return self._of_host.get(host, self.expected)

    def has_room(self, host: Hashable, *, first: bool) -> bool:
        """Say whether one more download of *host* fits in; *first* for its only one."""
        usable = self.budget if first else self.budget - self.budget // RESERVE
        return self.in_use + self.expected_of(host) <= usable

    def begin(self, ticket: Ticket, now: float) -> None:
        """Count a download from *now* on with what is expected of it."""
        ticket.begun = now
        self._young[ticket] = None
        self.weigh(ticket, self.expected_of(ticket.host))

    def announced(self, ticket: Ticket, weight: int | None) -> None:
        """Count a download with the *weight* of which its headers tell, if they do."""
        ticket.arrived = 0
        if ticket in self._young and weight is not None:
            self.weigh(ticket, weight)
            # The host's next ones may be as large, but a word is not a deed: it counts for no
            # other host, and never so much that these would have to wait.
            told = min(weight, self.budget // RESERVE)
            self._of_host[ticket.host] = max(self.expected_of(ticket.host), told)
            self._forget_one()

    def arrived(self, ticket: Ticket, weight: int) -> None:
        """Count *weight* more bytes of a download that have come."""
        ticket.arrived += weight
        if ticket.arrived > ticket.weight or ticket not in self._young:
            self.weigh(ticket, ticket.arrived)

    def grow_old(self, now: float) -> None:
        """Count downloads that have taken long with what has come of them."""
        while self._young:
            ticket = next(iter(self._young))
            if now - ticket.begun < PATIENCE_SECONDS:
                return
            del self._young[ticket]
            self.weigh(ticket, ticket.arrived)

    def next_old(self) -> float:
        """Return when the next download will have taken long; infinity for never."""
        return next(iter(self._young)).begun + PATIENCE_SECONDS if self._young else inf

    def landed(self, ticket: Ticket, weight: int) -> None:
        """Learn what a download weighed at its largest moment."""
        self.expected = _learnt(self.expected, weight)
        self._of_host[ticket.host] = _learnt(self._of_host.pop(ticket.host, 0), weight)
        self._forget_one()

    def end(self, ticket: Ticket) -> None:
        """Take note that the download of *ticket* is over."""
        self._young.pop(ticket, None)

    def weigh(self, ticket: Ticket, weight: int) -> None:
        """Count *ticket* with *weight* bytes."""
        self.in_use += weight - ticket.weight
        ticket.weight = weight

    def _forget_one(self) -> None:
        if len(self._of_host) > MOST_HOSTS:
            self._of_host.popitem(last=False)


def _learnt(expected: int, weight: int) -> int:
    """Expect what was largest of late: it falls slowly and rises at once."""
    return max(weight, int(expected * MEMORY_OF_LARGE + weight * (1 - MEMORY_OF_LARGE)))
