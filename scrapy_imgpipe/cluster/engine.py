"""Dask, as a list sees it: tasks go out, and come back as they end.

The one file that knows ``distributed``, which is imported when it is needed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from pkgutil import resolve_name
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias
from uuid import uuid4

import scrapy_imgpipe
from scrapy_imgpipe.cluster.shard import (
    GRACE_SECONDS,
    Bench,
    Far,
    ShardEnd,
    ShardOrder,
    fetch_shard,
)
from scrapy_imgpipe.errors import FetchFailed, SettingError

_INSTALL = "pip install scrapy-imgpipe[cluster]"

#: How long the scheduler, and then its first worker, is waited for, in seconds.
_PATIENCE_SECONDS = 10

#: Between two words of a worker about how far a shard is, in seconds.
_TOLD_SECONDS = 1.0

#: How often one who waits looks whether that is still wanted, in seconds.
_LOOK_SECONDS = 0.1

#: For how long the number of places is believed, in seconds.
_PLACES_SECONDS = 5.0

#: Shards that have ended: number, and what came of each, or why nothing did.
_Ended: TypeAlias = "SimpleQueue[tuple[int, Any]]"


def _distributed() -> Any:
    try:
        return import_module("distributed")
    except ImportError as error:
        raise SettingError(f"distributed is needed for --cluster: {_INSTALL}") from error


def _gone() -> tuple[type[Exception], ...]:
    """Return what is raised where the scheduler is gone."""
    return OSError, TimeoutError, _distributed().client.FutureCancelledError


def _not(_: logging.LogRecord) -> bool:
    return False


class Engine:
    """A scheduler and its workers.

    Args:
        address: of the scheduler.

    Attributes:
        hear: called with a shard's number and how far it is, in a thread.

    Raises:
        SettingError: there is none, it has no workers, or they cannot do what they should.
    """

    def __init__(self, address: str) -> None:
        distributed = _distributed()
        self.hear: Callable[[int, Far], object] = lambda *_: None
        self._address = address
        self._topic = f"imgpipe-{uuid4().hex}"
        self._tasks: dict[int, Any] = {}
        self._tries = 0
        self._ended: _Ended = SimpleQueue()
        # what goes wrong is told in one sentence, and not as a traceback
        self._log = logging.getLogger("distributed.client")
        self._log.addFilter(_not)
        self._workers: Mapping[str, int] = {}  # and their threads, as of late
        self._asked = float("-inf")
        self._unfit: set[str] = set()
        self._bound: dict[int, tuple[ShardOrder, frozenset[str]]] = {}  # to some workers
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
            self._client.subscribe_topic(self._topic, lambda event: self.hear(*event[1]))
        except BaseException:
            self.close()
            raise

    def _check(self) -> None:
        """Refuse workers that lack this package, or have another version of it."""
        try:
            self._client.wait_for_workers(1, timeout=_PATIENCE_SECONDS)
        except TimeoutError:
            raise SettingError(f"The cluster at {self._address} has no workers") from None
        try:
            versions = self._versions(_PATIENCE_SECONDS)
        except TimeoutError:
            raise SettingError(f"{self._silent()} does not answer") from None
        for worker, version in versions.items():
            if isinstance(version, (ImportError, AttributeError, ValueError)):
                raise SettingError(f"{worker} cannot import scrapy-imgpipe: {version}")
            if isinstance(version, Exception):
                raise SettingError(f"{worker} does not answer: {version}")
            if version != scrapy_imgpipe.__version__:
                raise SettingError(
                    f"{worker} has scrapy-imgpipe {version}, and not {scrapy_imgpipe.__version__}"
                )

    def _versions(self, seconds: float, workers: list[str] | None = None) -> Mapping[str, Any]:
        """Return which version of this package each worker has, or why it has none."""
        name = f"{scrapy_imgpipe.__name__}:__version__"
        told = {"workers": workers, "on_error": "return", "callback_timeout": seconds}
        versions: Mapping[str, Any] = self._client.run(resolve_name, name, **told)
        return versions

    def _silent(self) -> str:
        """Return the name of a worker that does not answer, or that of them all."""
        for worker in self._client.scheduler_info(n_workers=-1)["workers"]:
            try:
                self._versions(1, [worker])
            except TimeoutError:
                return str(worker)
        return f"The cluster at {self._address}"

    @property
    def places(self) -> int:
        """How many shards can be done at a time, as of late.

        Raises:
            FetchFailed: the scheduler is gone.
        """
        return sum(self._fit().values())

    def _fit(self) -> Mapping[str, int]:
        now = time.monotonic()
        if now - self._asked > _PLACES_SECONDS:
            self._asked = now
            try:
                self._workers = self._client.nthreads()
            except _gone():
                raise self._lost() from None
        return {name: n for name, n in self._workers.items() if name not in self._unfit}

    def _set_free(self) -> None:
        """Begin anew what is bound to workers that are all gone."""
        for order, workers in list(self._bound.values()):
            if workers.isdisjoint(self._workers):
                self._tasks[order.number].release()
                self.begin(order)

    def leave_out(self, worker: str) -> None:
        """Begin no more shards on *worker*, as long as there is another one."""
        self._unfit.add(worker)

    def begin(self, order: ShardOrder, but: Collection[str] = ()) -> None:
        """Have a shard done somewhere, if possible not on a worker out of *but*."""
        self._tries += 1
        # others could not even steal it
        workers = [name for name in self._fit() if name not in but] if but or self._unfit else []
        self._bound.pop(order.number, None)
        if workers:
            self._bound[order.number] = order, frozenset(workers)
        task = self._client.submit(
            do_shard,
            order,
            self._topic,
            key=f"{self._topic}-{order.number}-{self._tries}",
            pure=False,
            workers=workers or None,
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
            self._set_free()
            return None
        if number not in self._tasks or self._tasks[number] is not task:
            return None  # it was begun anew
        status: str = task.status
        if status not in {"finished", "error", "lost"}:  # nobody but us cancels
            raise self._lost()
        del self._tasks[number]
        self._bound.pop(number, None)
        try:
            if status == "lost":
                return number, ShardEnd(problem="Its worker died before it had sent its report")
            if status == "error":
                error = task.exception()
                return number, ShardEnd(problem=f"{type(error).__name__}: {error}")
            return number, task.result()
        except _gone():
            raise self._lost() from None
        except Exception as error:  # noqa: BLE001 - its worker died when it had ended
            return number, ShardEnd(problem=f"{type(error).__name__}: {error}")
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
    distributed = _distributed()
    worker = distributed.get_worker()
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

    def note(*, is_begun: bool) -> bool:
        """Note on the scheduler, which outlives workers, whether it is begun; return what was."""
        about, asked = {"keys": [topic, str(order.number)]}, worker.scheduler
        before = distributed.utils.sync(worker.loop, asked.get_metadata, **about, default=False)
        distributed.utils.sync(worker.loop, asked.set_metadata, **about, value=is_begun)
        return bool(before)

    if note(is_begun=True):
        # who had it has died: its crawl, which asks the same hosts, ends meanwhile
        _wait(GRACE_SECONDS, is_wanted)
    threads, folder = worker.state.nthreads, worker.local_directory
    end = fetch_shard(order, Bench(str(worker.address), threads, is_wanted, tell, folder))
    if is_wanted():
        note(is_begun=False)
    return end


def _wait(seconds: float, is_wanted: Callable[[], bool]) -> None:
    """Wait, unless nobody wants what is waited for any more."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and is_wanted():
        threading.Event().wait(_LOOK_SECONDS)
