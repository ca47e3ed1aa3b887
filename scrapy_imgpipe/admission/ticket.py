"""One source on its way through."""

from __future__ import annotations

import enum
from collections.abc import Hashable
from dataclasses import dataclass


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
        host: whose places it takes.
        priority: higher goes first.
        state: where it is.
        weight: bytes it is counted with in this state.
        need: bytes that rendering takes beside the body; known once it has landed.
        begun: when its download began, in seconds.
        arrived: bytes that this download has been seen to take.
        attempts: requests that were sent for it, redirects and retries included.
    """

    number: int
    host: Hashable
    priority: int = 0
    state: State = State.WAITING
    weight: int = 0
    need: int = 0
    begun: float = 0.0
    arrived: int = 0
    attempts: int = 0
