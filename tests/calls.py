"""What tests have done in worker processes, which find these functions by their names."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image, ImageFile

from scrapy_imgpipe.imaging import Picture, Plan, render

#: Ends a process at once; Windows knows one way only.
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


class Sealed(Exception):
    """Cannot be rebuilt from its arguments."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def where_it_is_rendered(data: bytes, plan: Plan) -> tuple[int, list[Picture]]:
    return os.getpid(), render(data, plan)


def same(data: bytes) -> bytes:
    return data


def pid(data: bytes) -> int:
    return os.getpid()


def pid_after_a_while_in(data: bytes) -> int:
    """Return the pid, at once but in the process whose pid is *data*."""
    if os.getpid() == int(data):
        time.sleep(0.05)
    return os.getpid()


def die(data: bytes) -> None:
    os.kill(os.getpid(), KILL)


def die_the_first_time(data: bytes) -> str:
    """Leave a mark in the file *data* and die, or find it there."""
    try:
        Path(os.fsdecode(data)).touch(exist_ok=False)
    except FileExistsError:
        return "alive"
    os.kill(os.getpid(), KILL)
    return "not reached"


def report_to(data: bytes, port: int) -> bytes:
    """Tell who listens on *port* our pid, and return what comes back; block until then."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(os.getpid().to_bytes(8, "big"))
        return connection.recv(100)


def surroundings(data: bytes) -> dict[str, Any]:
    """Return what the process has of the world."""
    fds = Path("/proc/self/fd")  # Linux
    return {
        "environment": dict(os.environ),
        "modules": sorted(sys.modules),
        "main": vars(sys.modules["__main__"]).get("__file__"),
        "group": os.getpgrp() if hasattr(os, "getpgrp") else None,
        "ignores": signal.getsignal(signal.SIGINT) == signal.SIG_IGN,
        "files": [os.path.realpath(fd) for fd in fds.iterdir()] if fds.exists() else [],
    }


def descriptors(data: bytes) -> dict[int, str]:
    """Return what each open file descriptor leads to; on Linux."""
    found = {}
    for opened in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the directory itself, which has been read
            found[int(opened.name)] = str(opened.readlink())
    return found


def fail(data: bytes, error: BaseException | type[BaseException]) -> None:
    try:
        raise ValueError("what it came from")
    except ValueError:
        raise error from None


def fail_sealed(data: bytes) -> None:
    raise Sealed(1, 2)


def unpicklable(data: bytes) -> Any:
    return lambda: data


def chatter(data: bytes) -> str:
    """Print to every standard output there is, and read standard input."""
    print("stray")  # noqa: T201 - what is tested
    sys.__stdout__.flush()
    os.write(1, b"stray\n")
    return sys.stdin.read()


def warn(data: bytes) -> None:
    warnings.warn(data.decode(), Image.DecompressionBombWarning, stacklevel=1)


def pillow(data: bytes) -> tuple[Any, Any]:
    return Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES


def identity(data: bytes, thing: object) -> int:
    return id(thing)


def hang(data: bytes) -> None:
    time.sleep(100_000)
