"""Images on their way through the workers: bounded, in order, and stopped at once if need be.

The caller's thread takes inputs, gives rows and calls functions of users; an event loop in a
thread of its own drives the workers. Inputs and rows are streams.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scrapy_imgpipe.errors import HookFailed, StoreFailed
from scrapy_imgpipe.freshness import Policy
from scrapy_imgpipe.local.inputs import is_same
from scrapy_imgpipe.local.making import Making
from scrapy_imgpipe.local.naming import Taken, default_path
from scrapy_imgpipe.local.places import PathFunction, Paths, missing_of, paths_of
from scrapy_imgpipe.local.rows import failed_row, made_row, untouched_row
from scrapy_imgpipe.loop_thread import LoopThread
from scrapy_imgpipe.options import usable_cpus
from scrapy_imgpipe.records import Outcome
from scrapy_imgpipe.stores import FileSystemStore
from scrapy_imgpipe.stores.access import CONNECTIONS
from scrapy_imgpipe.tasks.reading import ReadRules
from scrapy_imgpipe.tasks.rules import Rules
from scrapy_imgpipe.workers import Workers

if TYPE_CHECKING:
    from scrapy_imgpipe.imaging import Measure, Plan
    from scrapy_imgpipe.local.inputs import Input
    from scrapy_imgpipe.stores import Store
    from scrapy_imgpipe.tasks.outputs import Saved

#: Images under way for each thread and connection: so many are ahead of a slow one.
_AHEAD = 16

#: As in a crawl: what takes a worker process longer is given up.
_SECONDS = 60.0

#: How long somebody waits at a time: Python may see an interrupt only when a wait has ended.
_GLANCE_SECONDS = 1.0

_HALTED = "Another image ended the run"

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be made, and how.

    Attributes:
        plan: which renditions.
        store: where they go.
        path_func: what they are called.
        measures: record functions.
        skip_existing: whether what is in the store is left as it is.
        catch: errors that cost one image; others end it all.
        reading: what is looked at before an image is rendered.
        workers: threads, each with a worker process where that is faster; 1 or more.
        isolation: as for :class:`Workers`.
        seconds: as for :class:`Workers`.
        memory: as for :class:`Workers`.
        connections: requests to stores on other machines that may be under way at once.
    """

    plan: Plan
    store: Store
    path_func: PathFunction = default_path
    measures: tuple[Measure, ...] = ()
    skip_existing: bool = True
    catch: tuple[type[BaseException], ...] = (Exception,)
    reading: ReadRules = field(default_factory=ReadRules)
    workers: int = field(default_factory=usable_cpus)
    isolation: str = "auto"
    seconds: float = _SECONDS
    memory: int = 0
    connections: int = CONNECTIONS


def rows_of(inputs: Iterable[Input], job: Job) -> Generator[Row, None, None]:
    """Yield a row of the report for each of *inputs*, in their order, as they end.

    Where an error is raised that *job* does not catch, no image is begun any more, those
    under way are finished, rows are given of what has ended, and the error is raised. So it
    is when the caller closes this, or interrupts it, but for the rows.

    Raises:
        Exception: one that is not caught, of an image or of *inputs*.
    """
    with closing(_Run(job)) as run:
        yield from run.rows(inputs)


@dataclass(slots=True, eq=False)
class _Pending:
    """An image that is under way, or has ended."""

    one: Input
    paths: Paths | None = None
    future: Future[tuple[Saved, int] | None] | None = None
    row: Row | None = None
    error: Exception | None = None

    @property
    def is_over(self) -> bool:
        return self.future is None or self.future.done()


class _Run:
    """One run of a job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._taken = Taken.of_files()
        self._workers = Workers(
            job.workers, job.isolation, job.seconds, job.memory, job.connections
        )
        most = job.workers + job.connections
        near = job.store if isinstance(job.store, FileSystemStore) else None  # others stay here
        rules = Rules(job.plan, Policy(0), near, measures=job.measures)
        self._making = Making(rules, job.reading, job.store, self._workers, most)
        self._most = _AHEAD * (job.workers if self._making.is_near else most)
        # Not the condition's ``with``: written in Python, an interrupt may leave it locked.
        self._lock = threading.RLock()
        self._news = threading.Condition(self._lock)
        self._fatal: BaseException | None = None
        self._futures: set[Future[Any]] = set()
        self._loop = LoopThread("imgpipe-local")

    def rows(self, inputs: Iterable[Input]) -> Iterator[Row]:
        """Yield the rows of *inputs*."""
        under_way: deque[_Pending] = deque()
        source = iter(inputs)
        while self._fatal is None and (one := self._next(source)) is not None:
            under_way.append(self._begun(one))
            while under_way and (under_way[0].is_over or len(under_way) >= self._most):
                if not self._waited_for(under_way[0]):
                    break
                yield self._row(under_way.popleft())
        while under_way and self._waited_for(under_way[0]):
            yield self._row(under_way.popleft())
        if self._fatal is not None:
            self._workers.halted = _HALTED
            wait(self._open())
            for pending in under_way:
                if not _is_interrupted(pending):
                    yield self._row(pending)
            raise self._fatal

    def close(self) -> None:
        """End the workers, which finish what they have begun."""
        self._workers.halted = _HALTED
        self._loop.begin(self._workers.close()).result()
        wait(self._open())
        self._loop.close()
        self._taken.__exit__()

    def _open(self) -> set[Future[Any]]:
        with self._lock:
            return set(self._futures)

    def _next(self, inputs: Iterator[Input]) -> Input | None:
        """Return the next of *inputs*; None at their end, and where they fail."""
        try:
            return next(inputs, None)
        except Exception as error:  # noqa: BLE001 - raised when what has begun has ended
            self._fail(error)
        return None

    def _begun(self, one: Input) -> _Pending:
        """Begin with *one*; what only the caller's thread may do is done here."""
        pending = _Pending(one)
        try:
            self._begin(pending)
        except Exception as error:  # noqa: BLE001 - a user's function may raise anything
            pending.error = error
            if not isinstance(error, self._job.catch):
                self._fail(error)
        return pending

    def _begin(self, pending: _Pending) -> None:
        job, one = self._job, pending.one
        if one.error is not None:
            raise one.error
        paths = pending.paths = paths_of(one, job.plan, job.path_func, job.store)
        if self._is_repeated(one, paths):
            pending.row = untouched_row(one, paths, Outcome.JOINED)
            return
        looks = job.skip_existing and not self._making.is_near
        missing = tuple(paths.thumbs) if paths.is_full else None
        if job.skip_existing and not looks:
            missing = missing_of(paths, job.store)
        if missing == () and not looks:
            pending.row = untouched_row(one, paths)
            return
        made = self._making.made(one, paths, missing, looks=looks)
        pending.future = self._loop.begin(made)
        with self._lock:
            self._futures.add(pending.future)
        pending.future.add_done_callback(self._note)

    def _is_repeated(self, one: Input, paths: Paths) -> bool:
        """Return whether *one* was met before.

        Raises:
            StoreFailed: ``bad-path``, where its renditions would replace those of another.
        """
        mine = one.whereabouts
        owners = {path: self._taken.take(path, mine) for path in paths.all}
        others = {path: by for path, by in owners.items() if by}
        for path, by in others.items():
            if by != mine and not is_same(by, mine):
                raise StoreFailed(
                    f"{path!r} is made of {by!r}, too: tell them apart with path_func", "bad-path"
                )
        return bool(others)

    def _note(self, future: Future[Any]) -> None:
        """Take note that one has ended; on the loop."""
        with self._lock:
            self._futures.discard(future)
            error = future.exception() if not future.cancelled() else None
            if error is not None and not isinstance(error, self._job.catch):
                self._fatal = self._fatal or error
            self._news.notify_all()

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._fatal = self._fatal or error

    def _waited_for(self, pending: _Pending) -> bool:
        """Return whether *pending* has ended; False where all is to end first."""
        with self._lock:
            while not pending.is_over and self._fatal is None:
                self._news.wait(_GLANCE_SECONDS)
        return self._fatal is None

    def _row(self, pending: _Pending) -> Row:
        one, paths, error = pending.one, pending.paths, pending.error
        if pending.row is not None:
            return pending.row
        if error is None and pending.future is not None:
            raised = pending.future.exception()
            error = raised if isinstance(raised, Exception) else None
            made = None if raised is not None else pending.future.result()
            if error is None and paths is not None:
                return made_row(one, paths, *made) if made else untouched_row(one, paths)
        assert error is not None  # noqa: S101 - it has ended in one way or another
        return failed_row(one, error)


def _is_interrupted(pending: _Pending) -> bool:
    """Return whether *pending* was given up before it had begun."""
    if pending.future is None:
        return False
    error = pending.future.exception()
    return isinstance(error, HookFailed) and error.code == "interrupted"
