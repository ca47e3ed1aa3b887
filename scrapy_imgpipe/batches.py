"""Hands things on in batches, one batch at a time: what comes meanwhile makes the next.

The more there is to do, the larger the batches: nothing waits for a clock. All of it runs
on the event loop, with or without asyncio.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from scrapy.utils.defer import deferred_from_coro

from scrapy_imgpipe.promises import Promise, breach, keep, new_promise

_T = TypeVar("_T")


class Batches(Generic[_T]):
    """A queue whose things are handed on as lists.

    Args:
        hand_on: takes a batch; not called again before it is through.
        most: things in one batch.
    """

    def __init__(self, hand_on: Callable[[list[_T]], Awaitable[None]], most: int) -> None:
        self._hand_on = hand_on
        self._most = most
        self._waiting: list[tuple[_T, Promise | None]] = []
        self._idle: list[Promise] = []
        self._running = False

    def __len__(self) -> int:
        """How many things wait for their batch."""
        return len(self._waiting)

    def add(self, thing: _T) -> None:
        """Have *thing* handed on soon; what goes wrong then is *hand_on*'s to tell."""
        self._put(thing, None)

    async def added(self, thing: _T) -> None:
        """As :meth:`add`, and wait until it is through.

        Raises:
            Exception: what *hand_on* raised for its batch.
        """
        through = new_promise()
        self._put(thing, through)
        await through

    async def drained(self) -> None:
        """Wait until everything is handed on."""
        if self._running:
            idle = new_promise()
            self._idle.append(idle)
            await idle

    def left(self) -> list[_T]:
        """Take out what waits for its batch; for an end at which no event loop hands it on."""
        waiting, self._waiting = self._waiting, []
        return [thing for thing, _ in waiting]

    def _put(self, thing: _T, through: Promise | None) -> None:
        self._waiting.append((thing, through))
        if not self._running:
            self._running = True
            deferred_from_coro(self._run())

    async def _run(self) -> None:
        try:
            await self._hand_on_all()
        finally:
            self._running = False  # also where its event loop has ended: another may follow
        idle, self._idle = self._idle, []
        for promise in idle:
            keep(promise, None)

    async def _hand_on_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            error: Exception | None = None
            try:
                await self._hand_on([thing for thing, _ in batch])
            except Exception as caught:  # noqa: BLE001 - raised where it is awaited
                error = caught
            for _, through in batch:
                if through is None:
                    continue
                if error is None:
                    keep(through, None)
                else:
                    breach(through, error)
