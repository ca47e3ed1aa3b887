"""Work that must not hold up the event loop, and how much of it goes on at once.

Images are rendered in worker processes: what kills one (a decoder, the memory limit, the
clock) costs that image, not the service. Stores and the index block, so they have threads.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Collection, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

from scrapy_imgpipe import Plan, render
from scrapy_imgpipe.imaging import Picture
from scrapy_imgpipe.processes.pool import Processes
from scrapy_imgpipe.processes.process import Terms
from scrapy_imgpipe.stores.access import CONNECTIONS
from scrapy_imgpipe.surroundings import surroundings

_T = TypeVar("_T")
_P = ParamSpec("_P")


class Engine:
    """Renders in processes, reads and writes in threads.

    Args:
        workers: processes, 1 or more.
        seconds, memory: what each image may take.

    Attributes:
        renders: how many images were rendered, or tried, so far.
    """

    def __init__(self, workers: int, seconds: float, memory: int) -> None:
        self.renders = 0
        self._processes = Processes(
            workers, Terms(("scrapy_imgpipe.imaging",), seconds, memory), surroundings
        )
        self._renderers = ThreadPoolExecutor(workers, "render")
        self._stores = ThreadPoolExecutor(CONNECTIONS, "store")
        self._flights: dict[Hashable, asyncio.Task[Any]] = {}

    async def render(
        self, data: bytes, plan: Plan, only: Collection[str] | None = None
    ) -> list[Picture]:
        """Return the renditions of *data*; see :func:`scrapy_imgpipe.render`.

        Raises:
            ImagePipeError: as there; ``crashed`` or ``timed-out`` where a process died of it.
        """
        self.renders += 1
        call = functools.partial(render, only=only)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._renderers, self._processes.call, call, data, plan)

    async def run(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Return what *function* returns, which may wait for a store or the index."""
        call = functools.partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._stores, call)

    async def once(self, key: Hashable, work: Callable[[], Awaitable[_T]]) -> _T:
        """Return what *work* returns; who comes meanwhile with the same *key* gets the same.

        It goes on where the one who began it is gone.
        """
        task = self._flights.get(key)
        if task is None:
            task = asyncio.ensure_future(work())
            self._flights[key] = task
            task.add_done_callback(functools.partial(self._landed, key))
        result: _T = await asyncio.shield(task)
        return result

    def _landed(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        del self._flights[key]
        with suppress(asyncio.CancelledError):
            task.exception()  # nobody may be left who asks

    async def close(self) -> None:
        """Wait for what has begun, and end."""
        while self._flights:
            await asyncio.wait(list(self._flights.values()))
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        for pool in (self._renderers, self._stores):
            pool.shutdown(cancel_futures=True)
        self._processes.close()
