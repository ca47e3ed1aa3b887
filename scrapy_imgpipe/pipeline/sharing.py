"""Shares sources with other crawls: each is downloaded by the one that has its lease.

On the event loop; the server is asked in a thread of its own, for all that comes together.
Where it cannot be asked, the crawl goes on as if it were alone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, TypeVar

from scrapy.utils.asyncio import call_later
from scrapy.utils.defer import deferred_from_coro

from scrapy_imgpipe import stats
from scrapy_imgpipe.batches import Batches
from scrapy_imgpipe.errors import HookFailed, IndexFailed
from scrapy_imgpipe.leases import OURS, Lease
from scrapy_imgpipe.promises import Promise, keep, new_promise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scrapy.statscollectors import StatsCollector

    from scrapy_imgpipe.leases import Leases
    from scrapy_imgpipe.pipeline.asks import Work
    from scrapy_imgpipe.workers import Workers

_logger = logging.getLogger(__name__)

_T = TypeVar("_T")

_LINE = "leases"

#: Leases that one trip to the server takes or gives back at most.
_BATCH = 256

#: How often it is looked whether what somebody waits for is free, in seconds.
LOOK_SECONDS = 0.1

#: A lease is renewed when so much of it is over.
RENEWED_AFTER = 1 / 3

#: After a failure the server is left alone for so long, in seconds.
ALONE_SECONDS = 5.0


@dataclass(slots=True, eq=False)
class _Wish:
    """A lease that is to be taken, or given back."""

    name: str
    giving: bool = False
    ours: bool = True


class Sharing:
    """The leases of one pipeline.

    Args:
        leases: None where nothing is shared.
        workers: that ask the server.
        collector: of stats.
    """

    def __init__(
        self, leases: Leases | None, workers: Workers, collector: StatsCollector | None
    ) -> None:
        self._leases = leases
        self._workers = workers
        self._stats = collector
        self._wishes: Batches[_Wish] = Batches(self._exchange, _BATCH)
        self._held: dict[str, Lease] = {}
        self._awaited: dict[str, list[Promise]] = {}
        self._renew_at = inf
        self._alone_until = -inf
        self._is_away = self._tends = False
        self._pause: Promise | None = None

    async def take(self, work: Work) -> bool:
        """Return whether the source of *work* is ours to download.

        ``work.lease`` is its lease then, and None where nobody can be asked.
        """
        if self._leases is None or work.lease is not None or self._is_alone():
            return True
        wish = _Wish(work.fingerprint)
        began = time.monotonic()
        await self._wishes.added(wish)
        if wish.ours and not self._is_alone():
            lease = Lease(wish.name, began + self._leases.seconds)
            work.lease = self._held[wish.name] = lease
            self._renew_at = min(self._renew_at, began + self._leases.seconds * RENEWED_AFTER)
            self._tend()
        return wish.ours

    async def wait(self, work: Work) -> None:
        """Wait until nobody else has the source of *work*."""
        if self._is_alone() or work.lease is not None:
            return
        free = new_promise()
        self._awaited.setdefault(work.fingerprint, []).append(free)
        self._count(stats.AWAITED)
        self._tend()
        await free

    def give_back(self, work: Work) -> None:
        """Let others have the source of *work*; safe where it is not ours."""
        lease, work.lease = work.lease, None
        if lease is not None and self._held.pop(lease.name, None) is not None:
            self._wishes.add(_Wish(lease.name, giving=True))

    async def overtaken(self, work: Work) -> None:
        """Take note that what came of *work* was dropped, for its lease had ended."""
        lease = work.lease
        self._count(stats.OVERTAKEN)
        if lease is None or self._leases is None:
            return
        leases = self._leases
        answers = await self._asked(lambda: leases.renew([lease.name]))
        if answers == [OURS] or answers is None:
            lease.until = inf  # it took longer than a lease lasts, and would so again
        else:
            self.give_back(work)

    async def close(self) -> None:
        """Give back what is left, and let go of the connection."""
        if self._leases is None:
            return
        for name in list(self._held):
            del self._held[name]
            self._wishes.add(_Wish(name, giving=True))
        self._let_go(list(self._awaited))
        if self._pause is not None:
            keep(self._pause, None)  # there is nothing left to look after
        await self._wishes.drained()
        self._leases.close()

    # --- what is done for all at once ---

    async def _exchange(self, wishes: Sequence[_Wish]) -> None:
        assert self._leases is not None  # noqa: S101 - nobody wishes then
        leases = self._leases
        wanted = [wish for wish in wishes if not wish.giving]
        names = [wish.name for wish in wanted]
        given = [wish.name for wish in wishes if wish.giving]
        if self._is_alone():
            return
        answers = await self._asked(lambda: leases.exchange(names, given))
        for wish, ours in zip(wanted, answers or (), strict=False):
            wish.ours = ours

    def _tend(self) -> None:
        """Have somebody look after leases, as long as any is held or awaited."""
        if not self._tends:
            self._tends = True
            deferred_from_coro(self._look_after())

    async def _look_after(self) -> None:
        try:
            while self._held or self._awaited:
                self._pause = new_promise()
                call_later(LOOK_SECONDS, keep, self._pause, None)
                await self._pause
                if self._awaited:
                    await self._look()
                if self._held and time.monotonic() >= self._renew_at:
                    await self._renew()
        except asyncio.CancelledError:  # its event loop has ended
            return
        finally:
            self._tends = False

    async def _look(self) -> None:
        assert self._leases is not None  # noqa: S101 - nobody waits then
        leases, names = self._leases, list(self._awaited)
        taken = None if self._is_alone() else await self._asked(lambda: leases.are_taken(names))
        if taken is not None:
            names = [name for name, held in zip(names, taken, strict=True) if not held]
        self._let_go(names)

    def _let_go(self, names: Sequence[str]) -> None:
        for name in names:
            for promise in self._awaited.pop(name, ()):
                keep(promise, None)

    async def _renew(self) -> None:
        assert self._leases is not None  # noqa: S101 - nothing is held then
        leases, held = self._leases, list(self._held.values())
        began = time.monotonic()
        self._renew_at = began + leases.seconds * RENEWED_AFTER
        if self._is_alone():
            return
        names = [lease.name for lease in held]
        answers = await self._asked(lambda: leases.renew(names))
        for lease, answer in zip(held, answers or (), strict=False):
            if lease.until == inf:
                continue  # nobody could tell: what comes of it is kept
            lease.until = began + leases.seconds if answer == OURS else -inf

    # --- the server ---

    async def _asked(self, function: Callable[[], _T]) -> _T | None:
        """Return what the server says; None where it cannot be asked."""
        try:
            answer = await self._workers.run_in_line(function, _LINE)
        except IndexFailed as error:
            self._go_on_alone(error.reason)
            return None
        except HookFailed:  # the crawl has ended
            return None
        if self._is_away:
            self._is_away = False
            _logger.info("Downloads are shared with other crawls again")
        return answer

    def _is_alone(self) -> bool:
        return time.monotonic() < self._alone_until

    def _go_on_alone(self, why: str) -> None:
        self._alone_until = time.monotonic() + ALONE_SECONDS
        for lease in self._held.values():
            lease.until = inf
        self._let_go(list(self._awaited))
        if not self._is_away:
            self._is_away = True
            _logger.warning(
                "Other crawls may download the same, until their leases can be seen again: %s", why
            )

    def _count(self, name: str) -> None:
        if self._stats is not None:
            self._stats.inc_value(name)
