"""Worker processes for the threads of one crawl.

A process is started when there is a call and none is idle, and replaced when it has
died. Where none can be had, and while one starts, its work is done by the thread that
asks.
"""

from __future__ import annotations

import logging
import pickle
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from scrapy_imgpipe.errors import ImageBroken
from scrapy_imgpipe.processes.frames import RAISED, REFUSED, RETURNED, packed
from scrapy_imgpipe.processes.outcomes import applied
from scrapy_imgpipe.processes.process import Died, NotStarted, Terms, WorkerProcess
from scrapy_imgpipe.processes.watch import Watch

_logger = logging.getLogger(__name__)

_T = TypeVar("_T")

#: ``(function, value)``: called there before the work, where the value has changed.
Surroundings = tuple[Callable[[Any], None], Any]

#: After so many processes have died of it, a call is not tried again.
MOST_DEATHS = 2

#: So many processes may be found dead, each killed while it was idle, before a call is done
#: here.
MOST_FOUND_DEAD = 8

#: After so many starts in a row that failed, or one if none ever succeeded, none is tried.
MOST_FAILED_STARTS = 3


class Processes:
    """Idle worker processes, and the way to a new one.

    Safe for threads. A process inherits no file descriptor, no environment variable
    that could be a secret, no signal of the terminal.

    Args:
        most: how many there may be at once, from now on; who finds all of them busy does its
            work here.
        terms: what each process starts with, and is held to.
        surroundings: asked before each call what processes have to be told of this
            one; may raise ``PicklingError``, which keeps the work here.
        level: at which it is logged, once, that a call could not travel.
        waits: whether a call waits for a process to start, and is not done here meanwhile.
    """

    def __init__(
        self,
        most: int,
        terms: Terms = Terms(),  # noqa: B008 - frozen
        surroundings: Callable[[], Surroundings] | None = None,
        level: int = logging.INFO,
        *,
        waits: bool = True,
    ) -> None:
        self.most = most
        self._waits = waits
        self._terms = terms
        self._watch = Watch(terms.seconds)
        self._surroundings = surroundings
        self._level = level
        self._lock = threading.Lock()
        self._idle: list[WorkerProcess] = []  # the last one used is the first to be used again
        self._busy = 0  # those that start are
        self._starters: list[threading.Thread] = []
        self._opening: set[WorkerProcess] = set()  # not ready yet
        self._failed_starts = MOST_FAILED_STARTS - 1  # in a row
        self._usable = True
        self._told: set[str] = set()

    @property
    def usable(self) -> bool:
        """Whether work may still go to processes; False once none could be started."""
        return self._usable

    @property
    def starting(self) -> bool:
        """Whether a process starts just now, while nobody waits for it."""
        return any(starter.is_alive() for starter in self._starters)

    def call(self, function: Callable[..., _T], data: bytes | None, /, *args: Any) -> _T:
        """Return ``function(data, *args)`` as a worker process found it.

        Large bytes had better be *data*, which is not copied as much. Where it is
        None, the first argument is the first of *args*.

        Function and arguments travel by pickle, so the caller does not see what is
        changed in them. Where no process can be had, or they cannot travel, the work
        is done here.

        Raises:
            ImageBroken: code ``crashed``, when two processes died of it or had not enough
                memory for it; ``timed-out``, when it took one too long.
        """
        answer = self._answer(function, data, args)
        if answer is None:
            here: _T = applied(function, data, args)
            return here
        kind, value = answer
        if kind == RAISED:
            try:
                raise value
            finally:
                del value, answer  # or error, traceback and this frame would be a circle
        result: _T = value
        return result

    def why_not_found(self, thing: object) -> str:
        """Return why a process would not find *thing* by its name.

        Empty where it would, and where no process can be had.
        """
        try:
            answer = self._ask(None, packed((callable, (thing,))), None)
        except (pickle.PicklingError, ImageBroken) as error:
            return str(error)
        return "" if answer is None or answer[0] == RETURNED else str(answer[1])

    def close(self) -> None:
        """End and reap all processes; one under way ends when it has answered."""
        with self._lock:
            self._usable = False
            idle, self._idle = self._idle, []
            starters, self._starters = self._starters, []
            for process in self._opening:
                process.kill()
        for process in idle:
            process.hang_up()
        for process in idle:
            process.end()
        for starter in starters:
            if starter is not threading.current_thread():
                starter.join()
        self._watch.close()

    def _answer(
        self, function: Callable[..., Any], data: bytes | None, args: tuple[Any, ...]
    ) -> tuple[int, Any] | None:
        """Return kind and value of an answer, or None where the work is to be done here."""
        try:
            around = self._surroundings() if self._surroundings is not None else None
            call = packed((function, args))
        except pickle.PicklingError as error:
            why = str(error)
        else:
            answer = self._ask(around, call, data)
            if answer is None or answer[0] != REFUSED:
                return answer
            why = answer[1]
        self._tell_once(self._level, "Threads do what worker processes are for: %s", why)
        return None

    def _ask(
        self, around: Surroundings | None, call: bytes, data: bytes | None
    ) -> tuple[int, Any] | None:
        """Ask one process, and another where the first one dies of it.

        One that had not enough memory is ended as well, and may have been full of earlier
        work. Of one that was too slow, another would not be faster.
        """
        deaths: list[str] = []
        found_dead = 0
        while len(deaths) < MOST_DEATHS and found_dead < MOST_FOUND_DEAD:
            process = self._take(fresh=bool(deaths))
            if process is None:
                if deaths and self._usable:
                    continue  # a start that failed; after some of them none is tried
                break
            answer = self._asked(process, _before(process, around) + call, data, around)
            if not isinstance(answer, str):
                return answer
            if answer:
                deaths.append(answer)
            else:
                found_dead += 1
        if deaths:
            often = "twice" if len(deaths) == MOST_DEATHS else "once"
            raise ImageBroken(f"A worker process died of it {often} ({deaths[-1]})", "crashed")
        return None

    def _asked(
        self,
        process: WorkerProcess,
        call: bytes,
        data: bytes | None,
        around: Surroundings | None,
    ) -> tuple[int, Any] | str:
        """Ask *process*, which is idle then, or ended.

        Returns:
            The answer; without one that counts, how it ended, in a few words, and in none
            where it had ended before.

        Raises:
            ImageBroken: code ``timed-out``.
        """
        answer, late, full, ended, why, under_work = None, False, False, "", "", True
        self._watch.begin(process)
        try:
            answer = process.ask(call, data)
        except Died as died:
            under_work, why = died.under_work, died.why
        finally:
            late = self._watch.end(process)
            full = answer is not None and self._was_full(answer)
            if answer is None or late or full:  # who knows what it is doing
                ended = self._end(process)
            else:
                process.told = None if answer[0] == REFUSED or around is None else around[1]
                self._give_back(process)
        if full:
            return f"more than the {self._terms.memory >> 20} MiB of IMGPIPE_MEMORY_LIMIT"
        if answer is not None:
            return answer
        if late:
            limit = f"{self._terms.seconds:g} s of IMGPIPE_TIMEOUT_SECONDS"
            raise ImageBroken(f"It took a worker process more than the {limit}", "timed-out")
        return (why or ended) if under_work else ""

    def _was_full(self, answer: tuple[int, Any]) -> bool:
        """Return whether the limit of memory is what made *answer*."""
        kind, value = answer
        crashed = isinstance(value, ImageBroken) and value.code == "crashed"
        lacked = kind == RAISED and (crashed or isinstance(value, MemoryError))
        return lacked and self._terms.memory > 0

    def _take(self, *, fresh: bool) -> WorkerProcess | None:
        """Return a process to be given back or ended; a fresh one in any case, if asked to."""
        with self._lock:
            if not self._usable:
                return None
            if not fresh and not self._idle and self._busy >= self.most:
                return None
            self._busy += 1
            if self._idle and not fresh:
                return self._idle.pop()
            if not fresh and not self._waits:
                self._start_beside()
                return None
        return self._start()

    def _start_beside(self) -> None:
        """Have a process start, and be idle then; under the lock."""

        def start() -> None:
            process = self._start()
            if process is not None:
                self._give_back(process)

        starter = threading.Thread(target=start, name="imgpipe-start", daemon=True)
        try:
            starter.start()
        except RuntimeError:  # no thread to be had; the next who asks tries again
            self._busy -= 1
        else:
            self._starters.append(starter)

    def _start(self) -> WorkerProcess | None:
        """Return a new process that takes calls; None where it cannot be had."""
        process: WorkerProcess | None = None
        try:
            self._watch.start()
            process = WorkerProcess(self._terms)
            with self._lock:
                self._opening.add(process)
                if not self._usable:  # closed meanwhile
                    process.kill()
            process.wait_until_ready()
        except NotStarted as error:
            why: NotStarted | None = error.with_traceback(None)
        else:
            why = None
        with self._lock:
            if process is not None:
                self._opening.discard(process)
            if why is None:
                self._failed_starts = 0
                return process
            self._busy -= 1
            self._failed_starts += 1
            given_up = self._usable and self._failed_starts >= MOST_FAILED_STARTS
        if given_up:
            self.close()
            self._tell_once(
                logging.WARNING, "No worker process can be started, threads do its work: %s", why
            )
        return None

    def _give_back(self, process: WorkerProcess) -> None:
        with self._lock:
            if self._usable:
                self._idle.append(process)
                self._busy -= 1
                return
        self._end(process)

    def _end(self, process: WorkerProcess) -> str:
        ended = process.end()
        self._leave()
        return ended

    def _leave(self) -> None:
        with self._lock:
            self._busy -= 1

    def _tell_once(self, level: int, words: str, why: object) -> None:
        with self._lock:
            if words in self._told:
                return
            self._told.add(words)
        _logger.log(level, words, why)


_NOTHING = packed(None)


def _before(process: WorkerProcess, around: Surroundings | None) -> bytes:
    """Return, pickled, what *process* has to take on before the call."""
    return _NOTHING if around is None or around[1] == process.told else packed(around)
