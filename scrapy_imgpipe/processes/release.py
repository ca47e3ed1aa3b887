"""Lets go who is blocked at a pipe whose other end a stranger holds.

The death of a worker process is the end of its pipes, unless a program that it has started
still has them: one in a session of its own, which no signal to the group reaches. A second
look at each pipe before it is read would cost every call a turn at the interpreter lock; so
only who kills a process sees to it that nobody waits for its pipes.

Linux only, where an end that somebody else holds can be opened once more (proc(5),
``/proc/pid/fd``); elsewhere nothing happens.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress

#: Most bytes that are taken out of a pipe at once.
_PIECE = 1 << 20

#: How long to wait for a writer that has not come to write, in seconds. Not measured.
_PAUSE = 0.001


def release_reader(pipe: int) -> None:
    """Have who reads *pipe* receive something, unless there is something already."""
    with suppress(OSError):  # it is full, or this is another system
        end = os.open(f"/proc/self/fd/{pipe}", os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(end, b"\0")
        finally:
            os.close(end)


def release_writer(pipe: int, writes: Callable[[], bool]) -> None:
    """Take out of *pipe* what is written into it, as long as *writes* says that it is."""
    with suppress(OSError):
        end = os.open(f"/proc/self/fd/{pipe}", os.O_RDONLY | os.O_NONBLOCK)
        try:
            while writes():
                with suppress(BlockingIOError):
                    os.read(end, _PIECE)
                    continue
                time.sleep(_PAUSE)
        finally:
            os.close(end)
