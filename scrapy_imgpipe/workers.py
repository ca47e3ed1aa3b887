"""The one bridge between the event loop and the threads that do the work.

Runs under the asyncio reactor, under any other Twisted reactor and without a
reactor; knows nothing of images. Threads, not processes: nothing imports the
user's ``__main__``, so scripts without a main guard and notebooks work. Pillow
and hashlib release the interpreter lock where the time goes.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, ParamSpec, TypeAlias, TypeVar

from scrapy.utils.asyncio import is_asyncio_available
from scrapy.utils.defer import deferred_from_coro, ensure_awaitable
from twisted.internet.defer import Deferred
from twisted.internet.threads import blockingCallFromThread

from scrapy_imgpipe.errors import HookFailed

#: How long the event loop may stand still for a hook that is asked on it. Not
#: measured; only a hook that would wait for ever comes near it.
PATIENCE_SECONDS = 30.0

_T = TypeVar("_T")
_P = ParamSpec("_P")

#: What stands for work that is under way: awaitable, each in its own world.
Answer: TypeAlias = "asyncio.Future[Any] | Deferred[Any]"

#: Most pieces of short work that one trip to a worker takes along.
BATCH = 32


class Workers:
    """A bounded pool of threads, started when the first work comes.

    Args:
        threads: how many at most, 1 or more.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._here = threading.local()
        self._waiting: deque[tuple[Callable[..., Any], tuple[Any, ...], Answer]] = deque()
        self._batches = 0

    async def run(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Call *function* in a worker and return what it returns.

        What it raises is raised here. When the caller is cancelled, the worker
        still finishes what it began; its result is dropped.
        """
        answer = self._new_answer()

        def work() -> None:
            good: bool
            value: Any
            try:
                good, value = True, function(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - raised where it is awaited
                good, value = False, error
            self._on_loop(_settle, answer, good, value)

        self._start(work)
        result: _T = await answer
        return result

    def _new_answer(self) -> Answer:
        """Return what the event loop at hand can await; on that loop."""
        if not is_asyncio_available():
            return Deferred()
        # known before any work begins: it may ask for the loop at once
        self._loop = asyncio.get_running_loop()
        return self._loop.create_future()

    def _start(self, work: Callable[[], None]) -> None:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads, "imgpipe", self._mark_worker)
        self._pool.submit(work)

    def _on_loop(self, function: Callable[..., object], *args: Any) -> None:
        """Call *function* on the event loop soon; from a worker."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(function, *args)
        else:
            from twisted.internet import reactor  # noqa: PLC0415 - importing it installs one

            reactor.callFromThread(function, *args)

    async def run_in_batch(self, function: Callable[..., _T], /, *args: Any) -> _T:
        """As :meth:`run`, for work that is short: what comes together shares a trip.

        A trip to a worker and back costs 0.1 ms, as much as looking a file up
        (measured 2026-11). Work of one batch is done one after the other, by as many
        workers as have a full batch waiting.
        """
        answer = self._new_answer()
        self._waiting.append((function, args, answer))
        if not self._batches or (len(self._waiting) >= BATCH and self._batches < self.threads):
            self._batches += 1
            self._start(self._work_off_a_batch)
        result: _T = await answer
        return result

    def _work_off_a_batch(self) -> None:
        done: list[tuple[Answer, bool, Any]] = []
        with suppress(IndexError):  # another worker took the last one
            while len(done) < BATCH:
                function, args, answer = self._waiting.popleft()
                try:
                    done.append((answer, True, function(*args)))
                except BaseException as error:  # noqa: BLE001 - raised where it is awaited
                    done.append((answer, False, error))
        self._on_loop(self._deliver, done)

    def _deliver(self, done: list[tuple[Answer, bool, Any]]) -> None:
        if self._waiting:
            self._start(self._work_off_a_batch)
        else:
            self._batches -= 1
        for answer, good, value in done:
            _settle(answer, good, value)

    def wait_for(self, awaitable: Awaitable[_T]) -> _T:
        """Return what *awaitable* gives, to code that cannot ``await``.

        For overridden hooks that are ``async`` and called from code that is not.
        Called in a worker, it lets the event loop finish *awaitable*; the worker
        is blocked meanwhile, the loop is not. Called on the event loop itself
        (an ``async`` hook in whose middle ours, which is not, calls another
        ``async`` one), *awaitable* gets a loop of its own and this one is blocked:
        there, it cannot wait for anything that only this loop can bring about.

        Raises:
            HookFailed: when it waited for that, after :data:`PATIENCE_SECONDS`.
        """
        if not getattr(self._here, "is_worker", False):
            return _finished_elsewhere(awaitable)
        if self._loop is not None:
            return asyncio.run_coroutine_threadsafe(_finish(awaitable), self._loop).result()
        from twisted.internet import reactor  # noqa: PLC0415 - importing it installs one

        def start() -> Deferred[_T]:
            return deferred_from_coro(_finish(awaitable))

        result: _T = blockingCallFromThread(reactor, start)  # type: ignore[arg-type]
        return result

    def _mark_worker(self) -> None:
        self._here.is_worker = True

    def close(self) -> None:
        """End the threads; work that has begun is finished first.

        Safe to call twice, and when no work ever came.
        """
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)


def _settle(answer: Answer, good: bool, value: Any) -> None:  # noqa: FBT001 - one of two
    if isinstance(answer, Deferred):
        answer.callback(value) if good else answer.errback(value)
    elif not answer.done():  # cancelled meanwhile
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
