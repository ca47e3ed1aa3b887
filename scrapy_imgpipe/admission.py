"""Which source goes next: by priority, fair between hosts, within limits and memory.

Pure state, no I/O, no clock: whoever drives it says what happened, and asks who may
go. A source passes these states, and holds what stands behind them::

    waiting      nothing
    downloading  a place of its host, and the bytes its download is expected to take
    landed       the bytes of its body; waiting for its turn to be rendered
    rendering    the bytes of its body and of the pixels a worker decodes

What bounds memory is one budget over all of these. Nothing is ever refused for its
size: what is larger than the whole budget goes alone.
"""

from __future__ import annotations

import enum
from bisect import bisect_left, insort
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

#: What a download is expected to weigh before the first one is through, in bytes.
#: A photo of a web page is lighter; the first answers tell.
FIRST_GUESS = 1 << 20

#: How much of a past large download the expectation keeps with each later one.
MEMORY_OF_LARGE = 0.9

#: From so many places on, the last free one is kept for a host that has none, so
#: that hosts that never answer cannot take all.
PLACES_TO_SPARE_ONE = 8

HasRoom = Callable[[str], bool]

#: What waits at one priority: the hosts in turn, each with its sources in order.
_Line: TypeAlias = "OrderedDict[str, OrderedDict[Ticket, None]]"


class State(enum.Enum):
    """Where a source is on its way."""

    WAITING = "waiting"
    DOWNLOADING = "downloading"
    LANDED = "landed"
    RENDERING = "rendering"
    GONE = "gone"


@dataclass(eq=False, slots=True)
class Ticket:
    """One source on its way through.

    Attributes:
        number: tells it from all others of the crawl.
        host: whose places it takes; any string.
        priority: higher goes first.
        state: written by :class:`Admission` only.
        weight: bytes it is counted with in this state.
        need: bytes that rendering takes beside the body; known once it has landed.
    """

    number: int
    host: str
    priority: int = 0
    state: State = State.WAITING
    weight: int = 0
    need: int = 0


class Admission:
    """The state of all sources that are under way.

    Args:
        budget: bytes that all of them may take together, 1 or more.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.waiting: int = 0
        self.in_use: int = 0
        self.expected: int = min(FIRST_GUESS, budget)
        self._lines: dict[int, _Line] = {}
        self._order: list[int] = []  # negative priorities of the lines, so highest first
        self._places: dict[str, int] = {}  # taken by downloads, by host
        self._downloading = 0
        self._landed: deque[Ticket] = deque()
        self._giants: deque[Ticket] = deque()  # landed, and larger than the budget
        self._rendering = 0

    @property
    def downloading(self) -> int:
        """How many sources are being downloaded."""
        return self._downloading

    @property
    def under_way(self) -> int:
        """How many sources hold memory: all but those that wait for their download."""
        return self._downloading + self._rendering + len(self._landed) + len(self._giants)

    def places_of(self, host: str) -> int:
        """Return how many sources of *host* are being downloaded."""
        return self._places.get(host, 0)

    def add(self, ticket: Ticket) -> None:
        """Let *ticket* wait for its download, behind those of its host and priority."""
        line = self._lines.get(ticket.priority)
        if line is None:
            line = self._lines[ticket.priority] = OrderedDict()
            insort(self._order, -ticket.priority)
        line.setdefault(ticket.host, OrderedDict())[ticket] = None
        self.waiting += 1

    def next_download(self, places: int | None, has_room: HasRoom) -> Ticket | None:
        """Let one more source be downloaded and return it; None when none may.

        The highest priority goes first; within one, the host that has the fewest
        places, and of several such the one whose turn was longest ago. A host
        without room is passed over, also by lower priorities.

        Args:
            places: how many more downloads may begin in all; None is no limit.
            has_room: says whether one more download of a host may begin.
        """
        if not self.waiting or not self._has_memory() or (places is not None and places < 1):
            return None
        spare_one = places == 1 and self._downloading + 1 >= PLACES_TO_SPARE_ONE
        for negative in self._order:
            host = self._next_host(self._lines[-negative], has_room, spare_one=spare_one)
            if host is not None:
                return self._begin(-negative, host)
        return None

    def _next_host(self, line: _Line, has_room: HasRoom, *, spare_one: bool) -> str | None:
        chosen, fewest = None, 0
        for host in line:
            taken = self._places.get(host, 0)
            if (chosen is None or taken < fewest) and not (spare_one and taken) and has_room(host):
                chosen, fewest = host, taken
                if not taken:
                    break
        return chosen

    def _begin(self, priority: int, host: str) -> Ticket:
        line = self._lines[priority]
        ticket, _ = line[host].popitem(last=False)
        self._tidy(priority, host)
        if host in line:
            line.move_to_end(host)
        self.waiting -= 1
        ticket.state = State.DOWNLOADING
        self._downloading += 1
        self._places[host] = self._places.get(host, 0) + 1
        self._weigh(ticket, self.expected)
        return ticket

    def _tidy(self, priority: int, host: str) -> None:
        line = self._lines[priority]
        if not line[host]:
            del line[host]
        if not line:
            del self._lines[priority]
            del self._order[bisect_left(self._order, -priority)]

    def _has_memory(self) -> bool:
        if self._giants:
            return False  # one of them would never be alone
        return not self.under_way or self.in_use + self.expected <= self.budget

    def sized(self, ticket: Ticket, weight: int) -> None:
        """Count a download with *weight* bytes: its header has told how large it is."""
        if ticket.state is State.DOWNLOADING:
            self._weigh(ticket, weight)
            self._learn(weight)

    def landed(self, ticket: Ticket, body: int, need: int, weight: int) -> None:
        """Take note that a download is through; its place is free.

        Args:
            ticket: of a source that is being downloaded.
            body: bytes that came, held until the source is done.
            need: bytes that rendering takes beside them.
            weight: what the download took at its largest moment.
        """
        self._leave_place(ticket)
        self._learn(weight)
        self._weigh(ticket, body)
        self.found(ticket, need)

    def found(self, ticket: Ticket, need: int) -> None:
        """Let *ticket*, whose bytes have landed or are in the store, wait to be rendered."""
        ticket.state = State.LANDED
        ticket.need = need
        (self._giants if ticket.weight + need > self.budget else self._landed).append(ticket)

    def next_rendering(self) -> Ticket | None:
        """Let one more source be rendered and return it; None when none may.

        In the order in which they landed. One goes at any time; a further one when
        the budget has room for it. What is larger than the whole budget goes when
        nothing else is rendered or waits for it, and no download begins before it is
        through; it does not wait for those that have begun, one of which may take long.
        """
        if self._landed:
            ticket = self._landed[0]
            if self._rendering and self.in_use + ticket.need > self.budget:
                return None
            self._landed.popleft()
        elif self._giants and not self._rendering:
            ticket = self._giants.popleft()
        else:
            return None
        ticket.state = State.RENDERING
        self._rendering += 1
        self._weigh(ticket, ticket.weight + ticket.need)
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give back all that *ticket* holds, whatever its state; safe to call again."""
        if ticket.state is State.WAITING:
            del self._lines[ticket.priority][ticket.host][ticket]
            self._tidy(ticket.priority, ticket.host)
            self.waiting -= 1
        elif ticket.state is State.DOWNLOADING:
            self._leave_place(ticket)
        elif ticket.state is State.LANDED:
            (self._giants if ticket in self._giants else self._landed).remove(ticket)
        elif ticket.state is State.RENDERING:
            self._rendering -= 1
        ticket.state = State.GONE
        self._weigh(ticket, 0)

    def _leave_place(self, ticket: Ticket) -> None:
        self._downloading -= 1
        self._places[ticket.host] -= 1
        if not self._places[ticket.host]:
            del self._places[ticket.host]

    def _weigh(self, ticket: Ticket, weight: int) -> None:
        self.in_use += weight - ticket.weight
        ticket.weight = weight

    def _learn(self, weight: int) -> None:
        """Expect what was largest of late: it falls slowly and rises at once."""
        fallen = int(self.expected * MEMORY_OF_LARGE + weight * (1 - MEMORY_OF_LARGE))
        self.expected = max(weight, fallen)
