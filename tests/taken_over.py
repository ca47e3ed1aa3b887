"""What code of strangers does that runs in a worker process, and mistakes that look like it.

Worker processes find these functions by their names.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image

from tests.hostile import WIDTH

_AGES = 100_000.0


def raising(image: Image.Image, kind: str = "") -> Image.Image:
    """Raise what ends an event loop, on the picture that is meant."""
    if image.width == WIDTH:
        raise {"exit": SystemExit(5), "interrupt": KeyboardInterrupt()}[kind]
    return image


def leaving(image: Image.Image) -> dict[str, Any]:
    return {"width": raising(image, "exit").width}


def interrupting(image: Image.Image) -> dict[str, Any]:
    return {"width": raising(image, "interrupt").width}


class Running:
    """Runs a command where it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


def running(mark: str) -> bytes:
    """Return an answer that touches the file *mark* where it is read."""
    answer = pickle.dumps((0, Running(f"touch '{mark}'"), []))
    return struct.pack("<Q", len(answer)) + answer


def write_to_all(data: bytes) -> None:
    """Write *data* to whatever is open, and hang; the parent reads an answer there."""
    for descriptor in range(3, 30):
        with suppress(OSError):
            os.write(descriptor, data)
    time.sleep(_AGES)


def answering(image: Image.Image, mark: str = "") -> Image.Image:
    """Answer in our place, with code that touches the file *mark*."""
    if image.width == WIDTH:
        write_to_all(running(mark))
    return image


def hold(data: bytes, folder: str) -> int:
    """Have a fork of ours hold our pipes for ages, out of our group; return its pid.

    Python does not see this fork. Its pid is the name of a file in *folder* as well.
    """
    child = ctypes.CDLL(None).fork()
    if not child:
        os.setsid()
        while True:
            signal.pause()
    Path(folder, str(child)).touch()
    return int(child)


def hold_and_hang(data: bytes, folder: str) -> None:
    hold(data, folder)
    time.sleep(_AGES)


def fork_and_die(data: bytes, folder: str) -> None:
    """Die while a fork, which Python does see, goes on for ages out of our group."""
    child = os.fork()
    if not child:
        os.setsid()
        while True:
            signal.pause()
    Path(folder, str(child)).touch()
    os._exit(3)


def answer_of_a_fork(data: bytes) -> bytes:
    """Return from a fork, too: both would answer."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    return b"parent" if child else b"child"


class Word(str):
    __slots__ = ()


class Count(int):
    pass


class Strange(RuntimeWarning):
    pass


def of_its_own_classes(data: bytes) -> Any:
    return [Word("a"), Count(5), {Word("b"): (Count(6), b"c")}]


def of_no_class_that_travels(data: bytes) -> Any:
    return Image.new("L", (1, 1))


def fail_with_a_thing(data: bytes) -> None:
    raise KeyError(Running("true"))


def warn_strangely(data: bytes) -> None:
    import warnings

    warnings.warn(Word("odd"), Strange, stacklevel=1)
