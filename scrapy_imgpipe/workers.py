"""The one bridge between the event loop and the threads that do the work.

Runs under the asyncio reactor, under any other Twisted reactor and without a
reactor; knows nothing of images. Threads, not processes: nothing imports the
user's ``__main__``, so scripts without a main guard and notebooks work. Pillow
and hashlib release the interpreter lock where the time goes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from scrapy.utils.asyncio import is_asyncio_available
from scrapy.utils.defer import deferred_from_coro, ensure_awaitable
from twisted.internet.defer import Deferred
from twisted.internet.threads import blockingCallFromThread

from scrapy_imgpipe.errors import HookFailed

_T = TypeVar("_T")
_P = ParamSpec("_P")


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

    async def run(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Call *function* in a worker and return what it returns.

        What it raises is raised here. When the caller is cancelled, the worker
        still finishes what it began; its result is dropped.
        """
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads, "imgpipe", self._mark_worker)
        with_asyncio = is_asyncio_available()
        if with_asyncio:  # before the work begins: it may ask for the loop at once
            self._loop = asyncio.get_running_loop()
        future = self._pool.submit(function, *args, **kwargs)
        return await (asyncio.wrap_future(future) if with_asyncio else _deferred(future))

    def wait_for(self, awaitable: Awaitable[_T]) -> _T:
        """Return what *awaitable* gives, to code that cannot ``await``.

        For overridden hooks that are ``async`` and called from code that is not.
        Called in a worker, it lets the event loop finish *awaitable*; the worker
        is blocked meanwhile, the loop is not. Called on the event loop itself,
        *awaitable* has to finish without waiting for anything.

        Raises:
            HookFailed: when it would have to wait on the event loop.
        """
        if not getattr(self._here, "is_worker", False):
            return _finished_at_once(awaitable)
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


def _finished_at_once(awaitable: Awaitable[_T]) -> _T:
    steps = awaitable.__await__()
    try:
        next(steps)
    except StopIteration as end:
        result: _T = end.value
        return result
    steps.close()
    raise HookFailed("An async hook had to wait in a place that cannot wait for it")


async def _finish(awaitable: Awaitable[_T]) -> _T:
    result: _T = await ensure_awaitable(awaitable)
    return result


def _deferred(future: Future[_T]) -> Deferred[_T]:
    from twisted.internet import reactor  # noqa: PLC0415 - importing it installs one

    deferred: Deferred[_T] = Deferred()

    def fire() -> None:
        error = future.exception()
        if error is not None:
            deferred.errback(error)
        else:
            deferred.callback(future.result())

    future.add_done_callback(lambda _: reactor.callFromThread(fire))
    return deferred
