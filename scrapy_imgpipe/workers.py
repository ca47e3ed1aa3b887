"""The one bridge between the event loop and those who do the work.

Runs under the asyncio reactor, under any other Twisted reactor and without a
reactor; knows nothing of images. Threads do the work, or worker processes that serve
one thread at a time: Pillow and hashlib release the interpreter lock where the time
goes, but a busy event loop gives it back late, and small images ask for it often.

Whoever asks gets an answer, also when a thread cannot be had or the crawl ends.
All state belongs to the event loop, but for the two ends of ``_waiting``: the
loop appends, workers take.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple, ParamSpec, TypeAlias, TypeVar

from scrapy.utils.asyncio import is_asyncio_available
from scrapy.utils.defer import deferred_from_coro, ensure_awaitable
from twisted.internet.defer import Deferred

from scrapy_imgpipe.errors import HookFailed
from scrapy_imgpipe.processes.outcomes import Outcome, outcome
from scrapy_imgpipe.processes.pool import Processes
from scrapy_imgpipe.surroundings import surroundings

#: How long the event loop may stand still for a hook that is asked on it. Not measured.
PATIENCE_SECONDS = 30.0

#: Largest source, in bytes, that goes to a process unless all do.
PROCESS_BYTES = 256 << 10

#: How many small sources threads take before any goes to a process unless all do.
FEW_SOURCES = 64

#: How much short work threads do before any goes to a process unless all does.
FEW_PIECES = 256

#: What a worker process imports at its start, lest its first call waits for it.
_MODULES = ("scrapy_imgpipe.tasks",)

#: Most pieces of short work that one trip to a worker takes along.
BATCH = 32

_T = TypeVar("_T")
_P = ParamSpec("_P")

#: What stands for work that is under way: awaitable, each in its own world.
Answer: TypeAlias = "asyncio.Future[Any] | Deferred[Any]"


class _Piece(NamedTuple):
    """Short work that waits for its batch."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    sieve: Callable[..., Any] | None
    answer: Answer


_Waiting: TypeAlias = deque[_Piece]

_POOL, _LINE = "pool", "line"

_here = threading.local()  # tells worker threads from the one of the event loop


class Workers:
    """A bounded pool of threads, started when the first work comes.

    Args:
        threads: how many at most, 1 or more; one more where :meth:`run_in_line`
            is used. Each may have a worker process beside it.
        isolation: where :meth:`render` has its work done: ``thread``, ``process``, or
            ``auto``, which is processes for small sources once there have been some.
    """

    def __init__(self, threads: int, isolation: str = "auto") -> None:
        self.threads = threads
        self.isolation = isolation
        level = logging.WARNING if isolation == "process" else logging.INFO
        self._processes = Processes(_MODULES, surroundings, level)
        self._small = self._pieces = 0
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open: set[Answer] = set()  # what somebody awaits
        self._waiting: _Waiting = deque()
        self._batches = 0
        self._begun = self._closed = False

    async def run(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Call *function* in a worker and return what it returns.

        What it raises is raised here. When the caller is cancelled, the worker
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
            ImageBroken: code ``crashed``, when two worker processes died of it.
            HookFailed: as for :meth:`run`.
        """
        if self._goes_to_process(len(data or b"")):
            return await self.run(self._processes.call, function, data, *args)
        return await self.run(function, *args if data is None else (data, *args))

    def _goes_to_process(self, size: int) -> bool:
        if self.isolation == "auto":
            if size > PROCESS_BYTES:
                return False
            self._small += 1
            return self._small > FEW_SOURCES
        return self.isolation == "process"

    async def run_in_line(self, function: Callable[[], _T]) -> _T:
        """As :meth:`run`, one after another in a thread of their own.

        For code of users, which was written for one thread; it holds up no worker.
        """
        return await self._run(_LINE, function)

    async def run_in_batch(
        self,
        function: Callable[..., _T],
        /,
        *args: Any,
        sieve: Callable[..., object] | None = None,
    ) -> _T | None:
        """As :meth:`run`, for work that is short: what comes together shares a trip.

        Work of one batch is done one after the other, by as many workers as have
        a full batch waiting.

        Args:
            function: as for :meth:`render` where there is a *sieve*.
            args: of both.
            sieve: tells in a moment whether there is anything to do, else the answer
                is None. What passes it may go to a worker process in one trip.
        """
        answer = self._new_answer()
        self._waiting.append(_Piece(function, args, sieve, answer))
        if not self._batches or (len(self._waiting) >= BATCH and self._batches < self.threads):
            self._batches += 1
            self._start(_POOL, functools.partial(self._work_off, self._waiting))
        result: _T | None = await self._answered(answer)
        self._pieces += sieve is not None and result is not None
        return result

    async def _run(self, where: str, function: Callable[[], _T]) -> _T:
        answer = self._new_answer()

        self._start(where, lambda: self._on_loop(_settle, answer, *outcome(function, ())))
        result: _T = await self._answered(answer)
        return result

    def _new_answer(self) -> Answer:
        """Return what the event loop at hand can await; on that loop."""
        if self._closed:
            raise HookFailed("The crawl has ended", "interrupted")
        answer: Answer
        if is_asyncio_available():
            # known before any work begins: it may ask for the loop at once
            self._loop = asyncio.get_running_loop()
            answer = self._loop.create_future()
        else:
            answer = Deferred()
        self._open.add(answer)
        return answer

    async def _answered(self, answer: Answer) -> Any:
        try:
            return await answer
        finally:
            self._open.discard(answer)

    def _start(self, where: str, work: Callable[[], None]) -> None:
        if where not in self._pools:
            threads = self.threads if where == _POOL else 1
            self._pools[where] = ThreadPoolExecutor(threads, "imgpipe", _mark_worker)
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
        if self._loop is not None:
            self._loop.call_soon_threadsafe(function, *args)
        else:
            from twisted.internet import reactor  # noqa: PLC0415 - importing it installs one

            reactor.callFromThread(function, *args)

    def _loop_runs(self) -> bool:
        if self._loop is not None:
            return self._loop.is_running()
        from twisted.internet import reactor  # noqa: PLC0415 - importing it installs one

        return bool(reactor.running)

    def _work_off(self, waiting: _Waiting) -> None:
        """Do one batch of *waiting*; in a worker."""
        done: list[tuple[Answer, Outcome]] = []
        sieved: list[_Piece] = []
        few = self.isolation == "auto" and self._pieces < FEW_PIECES
        here = few or self.isolation == "thread" or not self._processes.usable
        with suppress(IndexError):  # another worker took the last one
            while len(done) + len(sieved) < BATCH:
                piece = waiting.popleft()
                if here or piece.sieve is None:
                    done.append((piece.answer, outcome(piece.function, piece.args)))
                    continue
                good, value = outcome(piece.sieve, piece.args)
                if good and value:
                    sieved.append(piece)
                else:
                    done.append((piece.answer, (good, None if good else value)))
        if sieved:
            calls = [(piece.function, piece.args) for piece in sieved]
            good, value = outcome(self._processes.call_all, (calls,))
            found = value if good else [(good, value)] * len(sieved)
            done += zip((piece.answer for piece in sieved), found, strict=True)
        self._on_loop(self._deliver, done, waiting)

    def _deliver(self, done: list[tuple[Answer, Outcome]], waiting: _Waiting) -> None:
        for answer, (good, value) in done:
            _settle(answer, good, value)
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
            HookFailed: when it waited for that, after :data:`PATIENCE_SECONDS`;
                code ``interrupted`` when the event loop has ended.
        """
        if not getattr(_here, "is_worker", False):
            return _finished_elsewhere(awaitable)
        future: Future[_T] = Future()

        def begin() -> None:
            deferred = deferred_from_coro(_finish(awaitable))
            deferred.addCallbacks(
                future.set_result, lambda failure: future.set_exception(failure.value)
            )

        self._on_loop(begin)
        while True:
            try:
                return future.result(timeout=1)
            except TimeoutError:
                if future.done():
                    raise  # the hook's own
                if not self._loop_runs():
                    msg = "The event loop ended under an async hook"
                    raise HookFailed(msg, "interrupted") from None

    async def close(self) -> None:
        """End threads and processes; what has begun is finished first, and may use the loop.

        Work that has not begun is answered ``interrupted``, and so is all that
        comes later. Safe to call twice, and when no work ever came.
        """
        pools = self._give_up("The crawl ended before the image was stored")
        if self._begun and not self._closed:
            answer = self._new_answer()

            def wait() -> None:
                for pool in pools:
                    pool.shutdown(wait=True)
                self._processes.close()
                self._on_loop(_settle, answer, True, None)

            closer = threading.Thread(target=wait, name="imgpipe-close", daemon=True)
            closer.start()
            await self._answered(answer)
            closer.join()  # it has nothing left to do
        self._closed = True


def _mark_worker() -> None:
    _here.is_worker = True


def _settle(answer: Answer, good: bool, value: Any) -> None:  # noqa: FBT001 - one of two
    if not good and isinstance(value, StopIteration):  # a future refuses it (PEP 479)
        value = RuntimeError("a hook raised StopIteration")
    if isinstance(answer, Deferred):
        if not answer.called:  # given up meanwhile
            answer.callback(value) if good else answer.errback(value)
    elif not answer.done():  # cancelled or given up meanwhile
        answer.set_result(value) if good else answer.set_exception(value)


def _finished_elsewhere(awaitable: Awaitable[_T]) -> _T:
    pool = ThreadPoolExecutor(1, "imgpipe")
    future = pool.submit(asyncio.run, _finish(awaitable))
    pool.shutdown(wait=False)
    try:
        return future.result(timeout=PATIENCE_SECONDS)
    except TimeoutError:
        msg = "An async hook waited for the event loop in a place that cannot wait for it"
        raise HookFailed(msg) from None


async def _finish(awaitable: Awaitable[_T]) -> _T:
    result: _T = await ensure_awaitable(awaitable)
    return result
