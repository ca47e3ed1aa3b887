"""What runs in a worker process: take a call, do it, answer, until nobody asks any more.

The end of standard input is the end of the process, and the death of who started it
is the end of standard input. Standard output is the pipe for answers alone: what
libraries print goes to standard error.

Imports the standard library, our errors, what it is told to, and what calls and answers name.
"""

from __future__ import annotations

import gc
import io
import os
import pickle
import signal
import sys
import warnings
from contextlib import suppress
from importlib import import_module
from typing import Any

from scrapy_imgpipe.processes.answers import Warned, travelling, warned_of, written
from scrapy_imgpipe.processes.frames import (
    ANSWER,
    CALL,
    NO_DATA,
    RAISED,
    READY,
    REFUSED,
    RETURNED,
    read_exactly,
    write_all,
)
from scrapy_imgpipe.processes.outcomes import applied
from scrapy_imgpipe.processes.pipes import private_pipes

#: What is read ahead: more than any pickled call has.
_BUFFER = 1 << 16


def main(memory: str, *modules: str) -> None:
    """Serve calls until standard input ends; import *modules* before the first.

    *memory* is how many bytes of it there may be, in decimal digits; 0 for any number.
    """
    _limit_memory(int(memory))
    _ignore_terminal()
    warned: list[Warned] = []
    warnings.showwarning = lambda text, category, file_name, line, *_: warned.append(
        warned_of(text, category, file_name, line)
    )
    for module in modules:  # before the pipes are private: who started us reads the error
        import_module(module)
    warned.clear()  # of imports: the other process has imported the same
    asked, answers = private_pipes()
    calls: io.BufferedReader = io.BufferedReader(io.FileIO(asked), _BUFFER)
    _leave_to_no_fork(calls.fileno(), answers)
    gc.collect()
    gc.freeze()  # modules stay: no collection has to look at them again
    write_all(answers, READY)
    with calls, suppress(BrokenPipeError, EOFError):  # nobody is interested any more
        while True:
            answer = _answer_next(calls, warned)
            write_all(answers, ANSWER.pack(sum(map(len, answer))), *answer)
            del answer


def _limit_memory(most: int) -> None:
    """Let no more than *most* bytes be had, for good; where the system has such a limit.

    Linux counts private memory that can be written to (getrlimit(2), RLIMIT_DATA since
    4.7): 14 MiB of it at rest. RLIMIT_AS would count what is only mapped or reserved: 38
    MiB at rest, 392 and not 149 with pandas, and for each thread that a library starts 72
    MiB and not 8 (x86-64, glibc, 2026-11); so the limit would depend on the processors.
    """
    if not most or sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - not on Windows

    with suppress(AttributeError, OSError, ValueError):  # it has none, or does not say so
        kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
        _, hard = resource.getrlimit(kind)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (limit, limit))


def _ignore_terminal() -> None:
    """Let Ctrl-C, and output to a terminal of somebody else, be no end and no halt."""
    for name in ("SIGINT", "SIGTTOU"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def _leave_to_no_fork(*pipes: int) -> None:
    """Let a fork of this process, which a step may make, neither hold *pipes* nor use them."""

    def leave() -> None:
        nothing = os.open(os.devnull, os.O_RDWR)
        for pipe in pipes:
            os.dup2(nothing, pipe, inheritable=False)
        os.close(nothing)

    if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
        os.register_at_fork(after_in_child=leave)


def _answer_next(calls: io.BufferedReader, warned: list[Warned]) -> list[bytes]:
    """Wait for a call, do it, and return the answer, in pieces.

    Whatever goes wrong is an answer.

    Raises:
        EOFError: when there are no more calls.
    """
    lengths = memoryview(bytearray(CALL.size))
    if not read_exactly(calls, lengths):
        raise EOFError
    pickled, length = CALL.unpack(lengths)
    call = calls.read(pickled)
    try:
        data = None if length == NO_DATA else calls.read(length)
    except MemoryError as error:  # nothing has been read then
        _skip(calls, length)
        kind, value = RAISED, travelling(error)
    else:
        if len(call) < pickled or (data is not None and len(data) < length):
            raise EOFError
        kind, value = _do(call, data)
    try:
        return written(kind, value, warned)
    except BaseException as error:  # noqa: BLE001 - what it returned does not travel
        return written(RAISED, travelling(error), ())
    finally:
        warned.clear()


def _skip(calls: io.BufferedReader, length: int) -> None:
    while length > 0:
        piece = calls.read(min(length, _BUFFER))
        if not piece:
            raise EOFError
        length -= len(piece)


def _do(call: bytes, data: bytes | None) -> tuple[int, Any]:
    stream = io.BytesIO(call)
    try:
        before = pickle.load(stream)  # noqa: S301 - from who started us
        if before is not None:
            take_on, value = before
            take_on(value)
        function, args = pickle.load(stream)  # noqa: S301 - as above
    except MemoryError as error:
        return RAISED, travelling(error)
    except BaseException as error:  # noqa: BLE001 - it names what is not here
        return REFUSED, f"{type(error).__name__}: {error}"
    try:
        return RETURNED, applied(function, data, args)
    except BaseException as error:  # noqa: BLE001 - raised where it was asked for
        return RAISED, travelling(error)
