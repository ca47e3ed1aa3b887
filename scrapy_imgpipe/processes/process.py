"""One worker process, as a thread of the crawl sees it: start, ask, end.

Blocking. Not safe for several threads at once: :mod:`.pool` gives each its own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import warnings
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from scrapy_imgpipe.processes import answers
from scrapy_imgpipe.processes.frames import (
    CALL,
    NO_DATA,
    READ,
    READY,
    BadAnswer,
    read_answer,
    write_all,
)
from scrapy_imgpipe.processes.release import release_reader, release_writer

#: How long a start may take. Not measured.
START_SECONDS = 60.0

#: How long an idle worker process may take to end by itself, before it is killed.
END_SECONDS = 5.0

#: Linux's default limit for who is not root (pipe(7)); most small images fit in whole.
_PIPE_BYTES = 1 << 20

# All of it that is not in scrapy_imgpipe.processes.child, which needs the path first.
_BOOT = """\
import json, sys
try:
    sys.path[:] = json.loads(sys.argv[1])
    from scrapy_imgpipe.processes.child import main
    main(*sys.argv[2:])
except Exception as error:
    print(f"{type(error).__name__}: {error}")
    sys.exit(1)
"""

#: What a worker process gets of the environment: enough to find its libraries, its
#: language and its temporary directory. Keys and passwords stay here.
_VARIABLES = frozenset(
    {
        "PATH", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP",
        "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR",
        "LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH",
    }
)  # fmt: skip
_PREFIXES = ("LC_", "MALLOC_", "PILLOW_")  # how much memory they keep is no secret


class NotStarted(Exception):
    """No worker process can be had; the message says why."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What all worker processes of a crawl start with, and are held to.

    Attributes:
        modules: imported at the start.
        seconds: that one call may take, once there is a process for it; 0 for any time.
        memory: bytes of private memory that one may have, with Python's own; 0 for any
            number. Linux counts them; other systems count something like it, or nothing.
    """

    modules: tuple[str, ...] = ()
    seconds: float = 0
    memory: int = 0


class Died(Exception):
    """The worker process is no more.

    Attributes:
        under_work: whether it may have been the work that it died of.
        why: it was killed, in a few words; none where it died by itself.
    """

    def __init__(self, *, under_work: bool, why: str = "") -> None:
        super().__init__(under_work, why)
        self.under_work = under_work
        self.why = why


class WorkerProcess:
    """A Python process that calls functions by name.

    It takes calls once :meth:`wait_until_ready` has returned.

    Args:
        terms: of its time nobody takes care here, see :mod:`.watch`.

    Raises:
        NotStarted: where the system refuses it.
    """

    def __init__(self, terms: Terms) -> None:
        if not sys.executable or getattr(sys, "frozen", False):
            raise NotStarted("this program is no Python that could be started again")
        self.told: Any = None  # what it has taken on of this process
        self._lock = threading.Lock()  # of the pipes, which may be closed
        self._writes = self._killed = self._hung_up = False
        try:
            self._process = subprocess.Popen(**_start_arguments(terms))
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise NotStarted(f"{type(error).__name__}: {error}") from None
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        assert self._process.stdout is not None  # noqa: S101
        self._calls, self._answers = self._process.stdin.fileno(), self._process.stdout.fileno()
        for pipe in (self._calls, self._answers):
            _enlarge(pipe)

    @property
    def pid(self) -> int:
        """The process id; another process may have it after the end."""
        return self._process.pid

    def ask(self, call: bytes, data: bytes | None) -> tuple[int, Any]:
        """Have the pickled *call* done with *data*; return the kind of answer and its value.

        Warnings that were shown there are shown here. One whose answer is none is killed.

        Raises:
            Died: before, under or after the work, which begins when all has been written.
        """
        size = NO_DATA if data is None else len(data)
        self._writes = True
        try:
            if self._killed:
                raise BrokenPipeError
            write_all(self._calls, CALL.pack(len(call), size), call, data or b"")
        except OSError:
            raise Died(under_work=False) from None
        finally:
            self._writes = False
        kind, value, warned = self._answer()
        for warning in warned:
            warnings.warn_explicit(*warning)
        return kind, value

    def _answer(self) -> answers.Answer:
        why = ""
        try:
            answer = read_answer(self._answers, lambda: self._killed)
            if answer is not None:
                return answers.read(answer)
        except OSError:
            pass
        except (BadAnswer, MemoryError) as error:
            why = f"its answer was none: {error}"
            self.kill()
        raise Died(under_work=True, why=why)

    def hang_up(self) -> None:
        """Let it end by itself, as soon as it has nothing to do."""
        with self._lock:
            self._hung_up = True
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()

    def end(self) -> str:
        """End it, by force where it takes too long; return how it ended, in a few words."""
        self.hang_up()
        try:
            code = self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._process.wait()
        if code >= 0:
            return f"exit code {code}"
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"

    def kill(self) -> None:
        """End it by force, and with it who waits for it; on POSIX, what it has started too.

        Of that, what has a session of its own goes on; on Linux nobody waits for it.

        Safe from any thread, as long as :meth:`end` has not returned.
        """
        self._killed = True
        if os.name == "posix" and self._process.returncode is None:
            with suppress(OSError):  # it has ended
                os.killpg(self.pid, signal.SIGKILL)  # it leads a group of its own
        else:
            self._process.kill()
        with self._lock:
            if not self._hung_up:
                release_reader(self._answers)
                release_writer(self._calls, lambda: self._writes)

    def wait_until_ready(self) -> None:
        """Return when it takes calls.

        Raises:
            NotStarted: it ended, or took longer than :data:`START_SECONDS`.
        """
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self.kill()

        timer = threading.Timer(START_SECONDS, give_up)
        timer.daemon = True
        said = b""
        try:
            timer.start()
            while not said.endswith(READY):
                more = b"" if self._killed else os.read(self._answers, READ)
                if not more:
                    break
                said += more
        except (OSError, RuntimeError) as error:  # no thread for the timer
            said = str(error).encode()
        finally:
            timer.cancel()
        if not said.endswith(READY):
            ended = self.end()
            lines = said.decode(errors="replace").strip().splitlines()
            if late.is_set():
                raise NotStarted(f"it was not ready within {START_SECONDS:.0f} s")
            raise NotStarted(lines[-1] if lines else f"it ended at once ({ended})")


def _start_arguments(terms: Terms) -> dict[str, Any]:
    flags = ["-I", "-B"] if sys.dont_write_bytecode else ["-I"]
    path = [os.path.abspath(entry) for entry in sys.path if isinstance(entry, str)]  # noqa: PTH100 - a string, also for ""
    told = (str(terms.memory), *terms.modules)
    arguments: dict[str, Any] = {
        "args": [sys.executable, *flags, "-c", _BOOT, json.dumps(path), *told],
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "bufsize": 0,
        "close_fds": True,
        "env": {
            name: value
            for name, value in os.environ.items()
            if name.upper() in _VARIABLES or name.upper().startswith(_PREFIXES)
        },
    }
    # Ctrl-C goes to all of a group, and ends only who is to end the others.
    if sys.platform == "win32":
        flag = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        arguments["creationflags"] = flag
    else:
        arguments["process_group"] = 0
    return arguments


def _enlarge(pipe: int) -> None:
    """Let *pipe* hold a whole small image, so that nobody waits half-way; on Linux."""
    if sys.platform == "linux":
        import fcntl  # noqa: PLC0415 - not on Windows

        with suppress(OSError):  # the user's pipes hold as much as they may (pipe(7))
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
