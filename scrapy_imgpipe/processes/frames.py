"""What goes over the pipes, and how: both ends.

A call is a head of two lengths, two pickles, and the bytes it is about, which are not
pickled: they would be copied twice. The first pickle is what has to be taken on
before, ``(function, value)`` or None; the second is ``(function, arguments)``. The
bytes, unless there are none, are the argument before these. An answer is a length and
one pickle, see :mod:`.answers`: its kind, its value and the warnings that were shown. One
call is under way at a time, so what can be read belongs to its answer; who sent it is not
trusted.

The standard library only: a worker process imports this before anything else.
"""

from __future__ import annotations

import io
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

#: Most bytes of an answer. The largest has the renditions of one image, encoded; those of a
#: gigapixel have a fraction of it.
MOST_ANSWER = 4 << 30

#: Most bytes of memory that are taken for a large answer before they have come.
_AHEAD = 16 << 20

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


class BadAnswer(Exception):
    """What came is no answer; the message says why."""


def read_answer(pipe: int, given_up: Callable[[], bool]) -> io.BytesIO | None:
    """Return the next pickled answer, or None where the other end has gone.

    It takes hardly more memory than has come. What has not come when *given_up* says so is not
    waited for: somebody else may hold the other end.

    Raises:
        BadAnswer: it has another length than it says, or more than :data:`MOST_ANSWER`.
        OSError: the pipe cannot be read.
    """
    data = os.read(pipe, READ)
    while 0 < len(data) < ANSWER.size:
        more = b"" if given_up() else os.read(pipe, READ)
        if not more:
            return None
        data += more
    if not data:
        return None
    (length,) = ANSWER.unpack_from(data)
    missing = ANSWER.size + length - len(data)
    if length > MOST_ANSWER or missing < 0:
        raise BadAnswer(f"{len(data) - ANSWER.size} bytes came where it says {length}")
    if not missing:
        return io.BytesIO(data[ANSWER.size :])
    return _read_rest(pipe, data[ANSWER.size :], length, given_up)


def _read_rest(
    pipe: int, begun: bytes, length: int, given_up: Callable[[], bool]
) -> io.BytesIO | None:
    """Return *begun* and what follows, *length* bytes in all, each copied once."""
    done, room = len(begun), min(length, _AHEAD)
    answer = io.BytesIO(bytes(room))
    answer.write(begun)
    with open(pipe, "rb", buffering=0, closefd=False) as source:
        while done < length:
            if done == room:
                room = min(length, done + _AHEAD)
                answer.seek(done)
                answer.write(bytes(room - done))
            with answer.getbuffer() as buffer, buffer[done:] as rest:
                count = 0 if given_up() else source.readinto(rest)
            if not count:
                return None
            done += count
    answer.seek(0)
    return answer


def read_exactly(source: Source, buffer: memoryview) -> bool:
    """Fill *buffer*; return whether there was enough to fill it with."""
    while buffer:
        count = source.readinto(buffer)
        if not count:
            return False
        buffer = buffer[count:]
    return True
