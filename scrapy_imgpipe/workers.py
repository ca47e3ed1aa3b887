"""The one bridge between the event loop and those who do the work.

Runs under the asyncio reactor, under any other Twisted reactor and without a
reactor; knows nothing of images. Threads do the work, or worker processes that serve
one thread at a time: Pillow and hashlib release the interpreter lock where the time
goes, but a busy event loop gives it back late, and small images ask for it often.

Whoever asks gets an answer, also when a thread cannot be had or the crawl ends.
All state belongs to the event loop, but for ``_waiting``: there workers take from the front.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple, ParamSpec, TypeAlias, TypeVar

from scrapy_imgpipe.errors import HookFailed, ImageBroken
from scrapy_imgpipe.processes.outcomes import applied, harmless, outcome
from scrapy_imgpipe.processes.placement import Placement
from scrapy_imgpipe.processes.pool import Processes
from scrapy_imgpipe.processes.process import Terms
from scrapy_imgpipe.promises import (
    Promise,
    breach,
    call_on_loop,
    finished_elsewhere,
    keep,
    loop_runs,
    new_promise,
    waited_for,
)
from scrapy_imgpipe.surroundings import surroundings

#: What a worker process imports at its start, lest its first call waits for it.
_MODULES = ("scrapy_imgpipe.tasks",)

#: Most pieces of short work that one trip to a worker takes along.
BATCH = 32

_T = TypeVar("_T")
_P = ParamSpec("_P")


class _Piece(NamedTuple):
    """Short work that waits for its batch."""

    function: Callable[..., list[Any]]
    piece: Any
    shared: tuple[Any, ...]
    answer: Promise


_Waiting: TypeAlias = deque[_Piece]

_POOL, _LINE, _STORE = "pool", "line", "store"

_here = threading.local()  # tells worker threads from the one of the event loop


class Workers:
    """A bounded pool of threads, started when the first work comes.

    Args:
        threads: how many at most, 1 or more; one more where :meth:`run_in_line`
            is used. Each may have a worker process beside it.
        isolation: where :meth:`render` has its work done: as for :class:`Placement`.
        seconds, memory: what a worker process may take: as for :class:`Terms`.
        connections: how many threads :meth:`run_to_store` has at most.

    Attributes:
        given_up: why nobody is to wait for the store any more; empty as long as it is well.
        halted: why nothing more is to be rendered; what has begun is finished and answered.
    """

    def __init__(
        self,
        threads: int,
        isolation: str = "auto",
        seconds: float = 0,
        memory: int = 0,
        connections: int = 16,
    ) -> None:
        self.threads = threads
        self._sizes = {_POOL: threads, _STORE: connections}
        self.given_up = self.halted = ""
        self.isolation = isolation
        level = logging.WARNING if isolation == "process" else logging.INFO
        self._placement = Placement(isolation, threads)
        self._processes = Processes(
            self._placement.processes,
            Terms(_MODULES, seconds, memory),
            surroundings,
            level,
            waits=isolation != "auto",
        )
        self._rendering = 0
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open: set[Promise] = set()  # what somebody awaits
        self._waiting: _Waiting = deque()
        self._batches = 0
        self._begun = self._closed = False

    async def run(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Call *function* in a worker and return what it returns.

        What it raises is raised here, ``SystemExit`` and its like as a ``RuntimeError`` that
        says so: it would end the event loop. When the caller is cancelled, the worker
        still finishes what it began; its result is dropped.

        Raises:
            HookFailed: code ``interrupted``, when the crawl ends or no thread can
                be had before *function* has begun.
        """
        return await self._run(_POOL, functools.partial(function, *args, **kwargs))

    async def render(self, function: Callable[..., _T], data: bytes | None, /, *args: Any) -> _T:
        """As :meth:`run`, for what can as well be done by a worker process.

        *function* must be found by its name and not change its arguments. What it
        raises there is raised here, without a traceback of there. Where no process can
        be had, it is done here.

        Raises:
            ImageBroken: code ``crashed`` or ``timed-out``: as :meth:`Processes.call`.
            HookFailed: as for :meth:`run`.
        """
        self._rendering += 1
        try:
            waiting = 0 if self._processes.starting else self._rendering  # let it try first
            self._placement.count_source(len(data or b""), waiting)
            self._processes.most = self._placement.processes
            return await self.run(self._render, function, data, *args)
        finally:
            self._rendering -= 1

    def _render(self, function: Callable[..., _T], data: bytes | None, *args: Any) -> _T:
        """Do it, or have it done; in a worker, which decides late: a process may be there now."""
        if self.halted:
            raise HookFailed(self.halted, "interrupted")
        if self._placement.of_source(len(data or b"")):
            return self._processes.call(function, data, *args)
        made: _T = applied(function, data, args)
        return made

    async def run_to_store(
        self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """As :meth:`run`, in threads of their own for what waits for another machine.

        Who waits there holds up nobody who decodes, and many may wait at once.

        Raises:
            HookFailed: ``interrupted``; also when the store was given up before it began.
        """
        return await self._run(_STORE, lambda: self._unless_over(function, *args, **kwargs))

    def _unless_over(
        self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """Call *function* as long as somebody waits for it; in a worker.

        What stands in line when a crawl is ended at once would go to the store all the same.
        """
        if self.given_up or not loop_runs(self._loop):
            raise HookFailed(self.given_up or "The event loop has ended", "interrupted")
        return function(*args, **kwargs)

    async def run_in_line(self, function: Callable[[], _T], line: str = _LINE) -> _T:
        """As :meth:`run`, one after another in a thread of their own.

        For code of users, which was written for one thread, and for what has to be
        written in order: each *line* has its thread, and holds up no worker.
        """
        return await self._run(line, function)

    async def run_in_batch(
        self, function: Callable[..., list[Any]], piece: Any, /, *shared: Any
    ) -> Any:
        """Return what *function* answers for *piece*, asked for all that come together.

        ``function(pieces, *shared)`` returns one result for each of a list of pieces; an
        exception among them is raised where its piece was asked for. A result that is
        true tells that there was something to do: when that is so for many, batches go to
        a worker process, so all of it has to be as for :meth:`render`.
        """
        answer = self._new_answer()
        self._waiting.append(_Piece(function, piece, shared, answer))
        if not self._batches or (len(self._waiting) >= BATCH and self._batches < self.threads):
            self._batches += 1
            self._start(_POOL, functools.partial(self._work_off, self._waiting))
        return await self._answered(answer)

    async def _run(self, where: str, function: Callable[[], _T]) -> _T:
        answer = self._new_answer()
        self._start(where, lambda: self._on_loop(_settle, answer, *outcome(function, ())))
        result: _T = await self._answered(answer)
        return result

    def _new_answer(self) -> Promise:
        """Return what the event loop at hand can await; on that loop."""
        if self._closed:
            raise HookFailed("The crawl has ended", "interrupted")
        answer = new_promise()
        if isinstance(answer, asyncio.Future):
            self._loop = answer.get_loop()  # work may ask for it as soon as it begins
        self._open.add(answer)
        return answer

    async def _answered(self, answer: Promise) -> Any:
        try:
            return await answer
        finally:
            self._open.discard(answer)

    def _start(self, where: str, work: Callable[[], None]) -> None:
        if where not in self._pools:
            threads = self._sizes.get(where, 1)
            self._pools[where] = ThreadPoolExecutor(threads, f"imgpipe-{where}", _mark_worker)
            self._begun = True
        try:
            self._pools[where].submit(work)
        except RuntimeError:  # no thread to be had; the next who asks tries again
            self._give_up("No thread could be started")

    def _give_up(self, why: str) -> list[ThreadPoolExecutor]:
        """Forget all pools and what has not begun, and answer everybody who waits."""
        pools = list(self._pools.values())
        self._pools = {}
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
        self._waiting, self._batches = deque(), 0
        for answer in list(self._open):
            _settle(answer, False, HookFailed(why, "interrupted"))
        return pools

    def _on_loop(self, function: Callable[..., object], *args: Any) -> None:
        """Call *function* on the event loop soon; from a worker."""
        call_on_loop(self._loop, function, *args)

    def _work_off(self, waiting: _Waiting) -> None:
        """Do one batch of *waiting*; in a worker."""
        batch: list[_Piece] = []
        with suppress(IndexError):  # another worker took the last one
            while len(batch) < BATCH:
                piece = waiting.popleft()
                if batch and (piece.function, piece.shared) != (batch[0].function, batch[0].shared):
                    waiting.appendleft(piece)
                    break
                batch.append(piece)
        self._on_loop(self._deliver, batch, self._results(batch), waiting)

    def _results(self, batch: list[_Piece]) -> list[Any]:
        """Return a result, or an exception, for each piece of *batch*; in a worker."""
        if not batch:
            return []
        call = functools.partial(self._asked, batch[0].function, batch[0].shared)
        good, value = outcome(call, ([piece.piece for piece in batch],))
        if not good and isinstance(value, ImageBroken):  # a process died: of which one?
            each = [outcome(call, ([piece.piece],)) for piece in batch]
            return [value[0] if good else value for good, value in each]
        return value if good else [value] * len(batch)

    def _asked(
        self, function: Callable[..., list[Any]], shared: tuple[Any, ...], pieces: list[Any]
    ) -> list[Any]:
        if self._placement.of_pieces() and self._processes.usable:
            results = self._processes.call(function, None, pieces, *shared)
            if not isinstance(results, list) or len(results) != len(pieces):  # who wrote them?
                raise ImageBroken("A worker process answered something else", "crashed")
            return results
        return function(pieces, *shared)

    def _deliver(self, batch: list[_Piece], results: list[Any], waiting: _Waiting) -> None:
        useful = 0
        for piece, result in zip(batch, results, strict=True):
            failed = isinstance(result, BaseException)
            useful += not failed and bool(result)
            _settle(piece.answer, not failed, result)
        self._placement.count_pieces(useful, len(batch))
        if waiting is not self._waiting:
            return  # of a pool that was given up
        if waiting:
            self._start(_POOL, functools.partial(self._work_off, waiting))
        else:
            self._batches -= 1

    def wait_for(self, awaitable: Awaitable[_T]) -> _T:
        """Return what *awaitable* gives, to code that cannot ``await``.

        For overridden hooks that are ``async`` and called from code that is not.
        Called in a worker, it lets the event loop finish *awaitable*; the worker
        is blocked meanwhile, the loop is not. Called on the event loop itself
        (an ``async`` hook in whose middle ours, which is not, calls another
        ``async`` one), *awaitable* gets a loop of its own and this one is blocked:
        there, it cannot wait for anything that only this loop can bring about.

        Raises:
            HookFailed: when it waited for that, after half a minute;
                code ``interrupted`` when the event loop has ended.
        """
        if not getattr(_here, "is_worker", False):
            return finished_elsewhere(awaitable)
        return waited_for(awaitable, self._loop)

    async def close(self, last: Callable[[], object] | None = None) -> None:
        """End threads and processes; what has begun is finished first, and may use the loop.

        Work that has not begun is answered ``interrupted``, and so is all that
        comes later. Safe to call twice, and when no work ever came.

        Args:
            last: called when all threads have ended, in one more; not where there were none.
        """
        pools = self._give_up("The crawl ended before the image was stored")
        if self._begun and not self._closed:
            answer = self._new_answer()

            def wait() -> None:
                for pool in pools:
                    pool.shutdown(wait=True)
                self._processes.close()
                done = outcome(last, ()) if last is not None else (True, None)
                self._on_loop(_settle, answer, *done)

            closer = threading.Thread(target=wait, name="imgpipe-close", daemon=True)
            closer.start()
            await self._answered(answer)
            closer.join()  # it has nothing left to do
        self._closed = True


def _mark_worker() -> None:
    _here.is_worker = True


def _settle(answer: Promise, good: bool, value: Any) -> None:  # noqa: FBT001 - one of two
    if good:
        keep(answer, value)
    else:
        breach(answer, harmless(value))  # what is no Exception would end the loop
