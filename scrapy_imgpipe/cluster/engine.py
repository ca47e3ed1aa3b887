"""Dask, as a list sees it: tasks go out, and come back as they end.

The one file that knows ``distributed``, which is imported when it is needed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pkgutil import resolve_name
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias
from uuid import uuid4

import scrapy_imgpipe
from scrapy_imgpipe.cluster.shard import Bench, Far, ShardEnd, ShardOrder, fetch_shard
from scrapy_imgpipe.errors import FetchFailed, SettingError

_INSTALL = "pip install scrapy-imgpipe[cluster]"

#: How long the scheduler, and then its first worker, is waited for, in seconds.
_PATIENCE_SECONDS = 10

#: Between two words of a worker about how far a shard is, in seconds.
_TOLD_SECONDS = 1.0

#: For how long the number of places is believed, in seconds.
_PLACES_SECONDS = 5.0

#: Shards that have ended: number, and what came of each, or why nothing did.
_Ended: TypeAlias = "SimpleQueue[tuple[int, Any]]"


def _distributed() -> Any:
    try:
        return import_module("distributed")
    except ImportError as error:
        raise SettingError(f"distributed is needed for --cluster: {_INSTALL}") from error


def _not(_: logging.LogRecord) -> bool:
    return False


class Engine:
    """A scheduler and its workers.

    Args:
        address: of the scheduler.
        hear: called with a shard's number and how far it is, in a thread.

    Raises:
        SettingError: there is none, it has no workers, or they cannot do what they should.
    """

    def __init__(self, address: str, hear: Callable[[int, Far], None]) -> None:
        distributed = _distributed()
        self._address = address
        self._topic = f"imgpipe-{uuid4().hex}"
        self._tasks: dict[int, Any] = {}
        self._tries = 0
        self._ended: _Ended = SimpleQueue()
        # what goes wrong is told in one sentence, and not as a traceback
        self._log = logging.getLogger("distributed.client")
        self._log.addFilter(_not)
        self._places, self._asked = 0, float("-inf")
        try:
            self._client = distributed.Client(
                address, timeout=_PATIENCE_SECONDS, set_as_default=False
            )
        except (OSError, ValueError, ImportError) as error:
            self._log.removeFilter(_not)
            reason = " ".join(str(error).split())
            raise SettingError(
                "Expected the address of a Dask scheduler for --cluster but received"
                f" {address!r} of type {type(address).__name__} ({reason})"
            ) from None
        try:
            self._check()
            self._client.subscribe_topic(self._topic, lambda event: hear(*event[1]))
        except BaseException:
            self.close()
            raise

    def _check(self) -> None:
        """Refuse workers that lack this package, or have another version of it."""
        try:
            self._client.wait_for_workers(1, timeout=_PATIENCE_SECONDS)
        except TimeoutError:
            raise SettingError(f"The cluster at {self._address} has no workers") from None
        name = f"{scrapy_imgpipe.__name__}:__version__"
        versions: Mapping[str, Any] = self._client.run(resolve_name, name, on_error="return")
        for worker, version in versions.items():
            if isinstance(version, Exception):
                raise SettingError(f"{worker} cannot import scrapy-imgpipe: {version}")
            if version != scrapy_imgpipe.__version__:
                raise SettingError(
                    f"{worker} has scrapy-imgpipe {version}, and not {scrapy_imgpipe.__version__}"
                )

    @property
    def places(self) -> int:
        """How many shards can be done at a time, as of late; 1 where nobody can tell."""
        now = time.monotonic()
        if now - self._asked > _PLACES_SECONDS:
            self._asked = now
            self._places = sum(self._client.nthreads().values())
        return max(self._places, 1)

    def begin(self, order: ShardOrder) -> None:
        """Have a shard done somewhere."""
        self._tries += 1
        task = self._client.submit(
            do_shard,
            order,
            self._topic,
            key=f"{self._topic}-{order.number}-{self._tries}",
            pure=False,
        )
        self._tasks[order.number] = task
        task.add_done_callback(lambda _: self._ended.put((order.number, task)))

    def wait(self, seconds: float) -> tuple[int, ShardEnd] | None:
        """Return a shard that has ended, and what came of it; None where none did in time.

        Raises:
            FetchFailed: the scheduler is gone.
        """
        try:
            number, task = self._ended.get(timeout=seconds)
        except Empty:
            self._check_scheduler()
            return None
        status = task.status
        if status not in {"finished", "error"}:  # nobody but us cancels
            raise self._lost()
        del self._tasks[number]
        try:
            if status == "error":
                error = task.exception()
                return number, ShardEnd(problem=f"{type(error).__name__}: {error}")
            return number, task.result()
        except (OSError, TimeoutError, import_module("distributed").client.FutureCancelledError):
            raise self._lost() from None
        finally:
            task.release()

    def _check_scheduler(self) -> None:
        if self._client.status not in {"running", "connecting"}:
            raise self._lost()

    def _lost(self) -> FetchFailed:
        return FetchFailed(
            f"The scheduler at {self._address} is gone; what is finished stays finished"
        )

    def close(self) -> None:
        """Give up what is under way; workers end the crawls of it."""
        for task in self._tasks.values():
            task.release()
        try:
            self._client.close()
        finally:
            self._log.removeFilter(_not)


def do_shard(order: ShardOrder, topic: str) -> ShardEnd:
    """Do a shard, as a task of a worker; it is given up when its task is.

    Args:
        order: what is to be done.
        topic: where the worker says how far it is.
    """
    worker = _distributed().get_worker()
    key = worker.get_current_task()
    told = time.monotonic()

    def is_wanted() -> bool:
        state = worker.state.tasks.get(key)
        running = worker.status.name in {"running", "paused", "closing_gracefully"}
        return running and state is not None and state.state == "executing"

    def tell(far: Far) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= _TOLD_SECONDS:
            told = now
            worker.log_event(topic, (order.number, far))

    threads = worker.state.nthreads
    return fetch_shard(order, Bench(str(worker.address), threads, is_wanted, tell))
