"""What goes over the pipes, and how: both ends.

A call is a head of two lengths, two pickles, and the bytes it is about, which are not
pickled: they would be copied twice. The first pickle is what has to be taken on
before, ``(function, value)`` or None; the second is ``(function, arguments)``. The
bytes, unless there are none, are the argument before these. An answer is a length and
one pickle: its kind, its value and the warnings that were shown. One call is under way
at a time, so what can be read belongs to its answer.

The standard library only: a worker process imports this before anything else.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from struct import Struct
from typing import Any, Protocol

#: The line that a worker process sends once it can take calls.
READY = b"imgpipe-worker-ready\n"

#: Lengths of both pickles together and of the bytes after them, :data:`NO_DATA` for none.
CALL = Struct("<qq")
NO_DATA = -1

#: Length of a pickled answer.
ANSWER = Struct("<Q")

#: Most bytes of the first read of an answer; nearly all fit in. What Linux gives a pipe.
READ = 1 << 16

#: Kinds of answers: the value, the error, or why the call could not be understood.
RETURNED, RAISED, REFUSED = range(3)

#: Most bytes of one writev(2): Linux writes no more at once, macOS refuses more.
_MOST_AT_ONCE = 1 << 30

_writev: Callable[[int, list[Any]], int] | None = getattr(os, "writev", None)


class Source(Protocol):
    """What :func:`read_exactly` reads from."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill as much of *buffer* as is there; 0 at the end."""


def packed(value: object) -> bytes:
    """Return *value* pickled.

    Raises:
        PicklingError: it cannot travel.
    """
    try:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # noqa: BLE001 - pickle raises what the classes raise
        why = f"{type(error).__name__}: {error}"
    raise pickle.PicklingError(why)


def write_all(pipe: int, *parts: bytes) -> None:
    """Write all of *parts* with as few system calls as it takes.

    Each of them lets go of the interpreter lock, which a busy event loop gives back late.

    Raises:
        OSError: when nobody reads any more.
    """
    views = [memoryview(part) for part in parts if part]
    while views:
        if _writev is not None and sum(map(len, views)) <= _MOST_AT_ONCE:
            written = _writev(pipe, list(views))
        else:
            written = os.write(pipe, views[0][:_MOST_AT_ONCE])
        while views and written >= len(views[0]):
            written -= len(views.pop(0))
        if written:
            views[0] = views[0][written:]


def read_answer(pipe: int) -> bytes | bytearray | None:
    """Return the next pickled answer, or None where the other end has gone."""
    data = os.read(pipe, READ)
    while 0 < len(data) < ANSWER.size:
        more = os.read(pipe, READ)
        if not more:
            return None
        data += more
    if not data:
        return None
    (length,) = ANSWER.unpack_from(data)
    if len(data) == ANSWER.size + length:
        return data[ANSWER.size :]
    answer = bytearray(length)
    begun = len(data) - ANSWER.size
    answer[:begun] = data[ANSWER.size :]
    del data
    with open(pipe, "rb", buffering=0, closefd=False) as source:
        return answer if read_exactly(source, memoryview(answer)[begun:]) else None


def read_exactly(source: Source, buffer: memoryview) -> bool:
    """Fill *buffer*; return whether there was enough to fill it with."""
    while buffer:
        count = source.readinto(buffer)
        if not count:
            return False
        buffer = buffer[count:]
    return True
