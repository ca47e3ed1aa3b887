"""Who asks for what is under way already lends it its priority, where that is higher."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scrapy.http import Request

    from scrapy_imgpipe.admission import Ticket
    from scrapy_imgpipe.pipeline.turns import Turns


class Priorities:
    """The priorities of all sources of one pipeline, by fingerprint.

    Args:
        turns: the line they stand in, once they have to be downloaded.
    """

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._tickets: dict[bytes, Ticket] = {}
        self._lent: dict[bytes, int] = {}  # to those that are still looked for in the store

    def lend(self, fingerprint: bytes, priority: int) -> None:
        """Let a source that is under way have *priority*, if that is higher than its own."""
        ticket = self._tickets.get(fingerprint)
        if ticket is not None:
            self._turns.admission.raise_priority(ticket, priority)
        else:
            self._lent[fingerprint] = max(priority, self._lent.get(fingerprint, priority))

    def ticket_for(self, fingerprint: bytes, request: Request) -> Ticket:
        """Put *request* in line, as :meth:`Turns.ticket_for`, with what was lent to it."""
        lent = self._lent.pop(fingerprint, request.priority)
        request.priority = max(request.priority, lent)
        ticket = self._tickets[fingerprint] = self._turns.ticket_for(request)
        return ticket

    def forget(self, fingerprint: bytes) -> None:
        """Take note that a source is through."""
        self._tickets.pop(fingerprint, None)
        self._lent.pop(fingerprint, None)
