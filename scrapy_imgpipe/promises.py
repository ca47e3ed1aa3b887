"""What the event loop can await and somebody else will keep, with or without asyncio.

A promise belongs to the event loop it was made on, and is kept there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias, TypeVar

from scrapy.utils.asyncio import call_later, is_asyncio_available
from scrapy.utils.defer import ensure_awaitable
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
