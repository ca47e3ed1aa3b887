"""Shares sources with other crawls: each is downloaded by the one that has its lease.

On the event loop; the server is asked in a thread of its own, for all that comes together.
Where it cannot be asked, the crawl goes on as if it were alone.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, TypeVar

from scrapy.utils.asyncio import call_later
from scrapy.utils.defer import deferred_from_coro

from scrapy_imgpipe import stats
from scrapy_imgpipe.batches import Batches
from scrapy_imgpipe.compat import is_closing
from scrapy_imgpipe.errors import HookFailed, IndexFailed
from scrapy_imgpipe.leases import OURS, OURS_AGAIN, Lease, now
from scrapy_imgpipe.promises import Promise, keep, new_promise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scrapy.crawler import Crawler

    from scrapy_imgpipe.index import Index, Key
    from scrapy_imgpipe.leases import Leases
    from scrapy_imgpipe.pipeline.asks import Work
    from scrapy_imgpipe.records import ImageRecord
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

#: Leases that are given back as soon as the server is there again; others end by themselves.
MOST_OWED = 10_000


#: So often what comes of a source is dropped because its lease had ended; then it is kept,
#: or crawls whose leases are too short would overtake each other without end.
MOST_OVERTAKEN = 2

_OVER = "The crawl ended before another one that had the source was through"


@dataclass(slots=True, eq=False)
class _Wish:
    """A lease that is to be taken, or given back."""

    name: str
    key: Key | None = None
    giving: bool = False
    ours: bool = True
    dropped: bool = False
    told: ImageRecord | None = None


class Sharing:
    """The leases of one pipeline.

    Args:
        leases: None where nothing is shared.
        index: that crawls share, and is looked into where a lease was.
        workers: that ask the server.
        crawler: whose stats count.
    """

    def __init__(
        self, leases: Leases | None, index: Index | None, workers: Workers, crawler: Crawler
    ) -> None:
        self._leases = leases
        self._index = index
        self._workers = workers
        self._crawler = crawler
        self._wishes: Batches[_Wish] = Batches(self._exchange, _BATCH)
        self._held: dict[str, Lease] = {}
        self._awaited: dict[str, list[tuple[Work, Promise]]] = {}
        self._owed: list[str] = []  # that could not be given back
        self._renew_at = inf
        self._ask_at = -inf
        self._is_away = self._tends = self._is_closed = False
        self._pause: Promise | None = None

    async def take(self, work: Work) -> bool:
        """Return whether the source of *work* is ours to download.

        ``work.lease`` is its lease then, and ``work.told`` what the index knows now; both are
        None where nobody can be asked.
        """
        if self._leases is None or work.lease is not None or self._is_away:
            return True
        wish = _Wish(work.fingerprint, _key_of(work))
        began = now()
        try:
            await self._wishes.added(wish)
        except BaseException:  # cancelled
            wish.dropped = True
            raise
        if wish.ours and not self._is_away:
            keeps = work.overtaken >= MOST_OVERTAKEN
            lease = Lease(wish.name, inf if keeps else began + self._leases.seconds)
            work.lease = self._held[wish.name] = lease
            self._renew_at = min(self._renew_at, began + self._leases.seconds * RENEWED_AFTER)
            work.told = wish.told
            self._tend()
        return wish.ours

    async def wait(self, work: Work) -> None:
        """Wait until nobody else has the source of *work*; ``work.told`` is as for :meth:`take`.

        Raises:
            HookFailed: ``interrupted``, where the crawl ends.
        """
        if work.lease is None:
            work.told = None
            if not self._is_away:
                free = new_promise()
                self._awaited.setdefault(work.fingerprint, []).append((work, free))
                self._count(stats.AWAITED)
                self._tend()
                await free
        if self._is_over():
            raise HookFailed(self._workers.given_up or _OVER, "interrupted")

    def give_back(self, work: Work) -> None:
        """Let others have the source of *work*; safe where it is not ours."""
        lease, work.lease = work.lease, None
        if lease is not None and self._held.pop(lease.name, None) is not None:
            self._wishes.add(_Wish(lease.name, giving=True))

    @staticmethod
    def is_lost(work: Work) -> bool:
        """Return whether somebody else may have the source of *work*, which was ours."""
        return work.lease is not None and work.lease.until <= now()

    async def overtaken(self, work: Work) -> None:
        """Take note that what came of *work* was dropped, for its lease had ended."""
        lease, leases = work.lease, self._leases
        work.overtaken += 1
        self._count(stats.OVERTAKEN)
        if lease is None or leases is None:
            return
        key, began = _key_of(work), now()
        answers = await self._asked(lambda: self._with_records(leases.renew([lease.name]), [key]))
        answer, work.told = answers[0] if answers else (OURS, None)
        if answer == OURS or work.overtaken >= MOST_OVERTAKEN:
            lease.until = inf  # it took longer than a lease lasts, and would so again
        elif answer == OURS_AGAIN:
            lease.until = began + leases.seconds
        else:
            self.give_back(work)

    async def close(self) -> None:
        """Give back what is left, and let go of the connection."""
        if self._leases is None:
            return
        self._is_closed = True
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
        wanted = [wish for wish in wishes if not wish.giving and not wish.dropped]
        names = [wish.name for wish in wanted]
        keys = [wish.key for wish in wanted]
        given = [*self._owed, *(wish.name for wish in wishes if wish.giving)]
        answers = None
        if not self._is_away:
            answers = await self._asked(
                lambda: self._with_records(leases.exchange(names, given), keys)
            )
        self._owed = [] if answers is not None else given[-MOST_OWED:]
        for wish, (ours, told) in zip(wanted, answers or (), strict=False):
            wish.ours, wish.told = ours, told
            if wish.dropped and ours:
                self._wishes.add(_Wish(wish.name, giving=True))

    def _with_records(
        self, answers: Sequence[_T], keys: Sequence[Key | None]
    ) -> list[tuple[_T, ImageRecord | None]]:
        """Return *answers*, each with what the index knows of its key; in the thread that asks.

        That is looked for where an answer is true, and there is a key.
        """
        pairs = list(zip(answers, keys, strict=True))
        sought = [key for answer, key in pairs if answer and key is not None]
        records: Sequence[ImageRecord | None] = [None] * len(sought)
        if self._index is not None and sought:
            with suppress(IndexFailed):
                records = self._index.get(sought)
        known = dict(zip(sought, records, strict=True))
        return [
            (answer, known[key] if answer and key is not None else None) for answer, key in pairs
        ]

    def _tend(self) -> None:
        """Have somebody look after leases, as long as there is anything to look after."""
        if not self._tends:
            self._tends = True
            deferred_from_coro(self._look_after())

    async def _look_after(self) -> None:
        try:
            while (self._held or self._awaited or self._is_away) and not self._is_closed:
                self._pause = new_promise()
                call_later(LOOK_SECONDS, keep, self._pause, None)
                await self._pause
                await self._look()
        except asyncio.CancelledError:  # its event loop has ended
            return
        finally:
            self._tends = False

    async def _look(self) -> None:
        assert self._leases is not None  # noqa: S101 - there is nothing to look after then
        if self._is_over():
            self._let_go(list(self._awaited))
        if self._is_away:
            if now() >= self._ask_at and not self._is_closed:
                await self._asked(self._leases.ping)
            return
        if self._awaited:
            leases, names = self._leases, list(self._awaited)
            keys = [_key_of(self._awaited[name][0][0]) for name in names]
            free = await self._asked(
                lambda: self._with_records([not taken for taken in leases.are_taken(names)], keys)
            )
            for name, (is_free, told) in zip(names, free or (), strict=False):
                if is_free:
                    self._let_go([name], told)
        if self._held and now() >= self._renew_at:
            await self._renew()

    def _let_go(self, names: Sequence[str], told: ImageRecord | None = None) -> None:
        for name in names:
            for work, promise in self._awaited.pop(name, ()):
                work.told = told
                keep(promise, None)

    async def _renew(self) -> None:
        assert self._leases is not None  # noqa: S101 - nothing is held then
        leases, held = self._leases, list(self._held.values())
        began = now()
        self._renew_at = began + leases.seconds * RENEWED_AFTER
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

    def _go_on_alone(self, why: str) -> None:
        """Let nobody wait for the server, which is asked again now and then by nobody else."""
        self._ask_at = now() + ALONE_SECONDS
        for lease in self._held.values():
            lease.until = inf
        self._let_go(list(self._awaited))
        if not self._is_away:
            self._is_away = True
            self._tend()
            _logger.warning(
                "Other crawls may download the same, until their leases can be seen again: %s", why
            )

    def _is_over(self) -> bool:
        """Return whether nothing more is to be waited for."""
        return self._is_closed or bool(self._workers.given_up) or is_closing(self._crawler)

    def _count(self, name: str) -> None:
        if self._crawler.stats is not None:
            self._crawler.stats.inc_value(name)


def _key_of(work: Work) -> Key | None:
    """Return what the index knows the source of *work* by; None where it is not to be asked."""
    return None if work.wanted is None else work.wanted.key
