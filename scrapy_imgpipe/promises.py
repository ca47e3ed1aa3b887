"""What the event loop can await and somebody else will keep, with or without asyncio.

A promise belongs to the event loop it was made on, and is kept there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias, TypeVar

from scrapy.utils.asyncio import call_later, is_asyncio_available
from scrapy.utils.defer import deferred_from_coro, ensure_awaitable
from twisted.internet.defer import Deferred

from scrapy_imgpipe.errors import HookFailed

_T = TypeVar("_T")

#: How long the event loop may stand still for a hook that is asked on it. Not measured.
PATIENCE_SECONDS = 30.0

#: Awaitable, each in its own world.
Promise: TypeAlias = "asyncio.Future[Any] | Deferred[Any]"


def new_promise() -> Promise:
    """Return one that can be awaited where this is called.

    With asyncio a future, and no ``Deferred`` that would have to be made one.
    """
    if is_asyncio_available():
        return asyncio.get_running_loop().create_future()
    return Deferred()


def keep(promise: Promise, value: object) -> None:
    """Let who awaits *promise* have *value*, unless it was settled or cancelled before."""
    if isinstance(promise, Deferred):
        if not promise.called:
            promise.callback(value)
    elif not promise.done():
        promise.set_result(value)


async def pause(seconds: float) -> None:
    """Wait for *seconds*, and let others go on."""
    promise = new_promise()
    call_later(seconds, keep, promise, None)
    await promise


def breach(promise: Promise, error: BaseException) -> None:
    """Raise *error* where *promise* is awaited, unless it was settled or cancelled before."""
    if isinstance(error, StopIteration):  # a future refuses it (PEP 479)
        error = RuntimeError("a hook raised StopIteration")
    if isinstance(promise, Deferred):
        if not promise.called:
            promise.errback(error)
    elif not promise.done():
        promise.set_exception(error)


async def finish(awaitable: Awaitable[_T]) -> _T:
    """Return what *awaitable* gives, which may be a ``Deferred`` under asyncio."""
    result: _T = await ensure_awaitable(awaitable)
    return result


def finished_elsewhere(awaitable: Awaitable[_T]) -> _T:
    """Return what *awaitable* gives on a loop of its own; the one of here stands still.

    Raises:
        HookFailed: it waits for what only the loop of here can bring about; after
            :data:`PATIENCE_SECONDS`.
    """
    pool = ThreadPoolExecutor(1, "imgpipe")
    future = pool.submit(asyncio.run, finish(awaitable))
    pool.shutdown(wait=False)
    try:
        return future.result(timeout=PATIENCE_SECONDS)
    except TimeoutError:
        msg = "An async hook waited for the event loop in a place that cannot wait for it"
        raise HookFailed(msg) from None


def waited_for(awaitable: Awaitable[_T], loop: asyncio.AbstractEventLoop | None) -> _T:
    """Return what *awaitable* gives, which *loop* finishes; in a thread, which is blocked.

    Raises:
        HookFailed: code ``interrupted`` when the event loop has ended.
    """
    future: Future[_T] = Future()

    def begin() -> None:
        deferred = deferred_from_coro(finish(awaitable))
        deferred.addCallbacks(
            future.set_result, lambda failure: future.set_exception(failure.value)
        )

    call_on_loop(loop, begin)
    while True:
        try:
            return future.result(timeout=1)
        except TimeoutError:
            if future.done():
                raise  # the hook's own
            if not loop_runs(loop):
                msg = "The event loop ended under an async hook"
                raise HookFailed(msg, "interrupted") from None


def call_on_loop(
    loop: asyncio.AbstractEventLoop | None, function: Callable[..., object], *args: Any
) -> None:
    """Call *function* soon on *loop*, or on the reactor where there is none; from a thread."""
    if loop is not None:
        loop.call_soon_threadsafe(function, *args)
    else:
        from twisted.internet import reactor  # noqa: PLC0415 - importing it installs one

        reactor.callFromThread(function, *args)


def loop_runs(loop: asyncio.AbstractEventLoop | None) -> bool:
    """Return whether *loop* runs, or the reactor where there is none."""
    if loop is not None:
        return loop.is_running()
    from twisted.internet import reactor  # noqa: PLC0415 - importing it installs one

    return bool(reactor.running)
