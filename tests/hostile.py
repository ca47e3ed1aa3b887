"""Steps and record functions that do their worst to one picture, and nothing to others.

Worker processes find them by their names, as they do a user's.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from PIL import Image

#: How wide the picture is that they mean, in pixels.
WIDTH = 37

_AGES = 100_000.0
_kept: list[bytearray] = []


def _spares(image: Image.Image) -> bool:
    return image.width != WIDTH


def hang(image: Image.Image, mark: str = "") -> Image.Image:
    """Never come back; leave a line in the file *mark* first, if any."""
    if _spares(image):
        return image
    if mark:
        with Path(mark).open("a") as file:
            file.write("been here\n")
    time.sleep(_AGES)
    return image


def leave(image: Image.Image) -> Image.Image:
    if not _spares(image):
        os._exit(3)
    return image


def crash(image: Image.Image) -> Image.Image:
    """As a decoder does that follows a bad pointer."""
    if not _spares(image):
        ctypes.string_at(0)
    return image


def eat(image: Image.Image) -> Image.Image:
    """Take memory until there is no more."""
    pieces = []
    while not _spares(image):
        pieces.append(bytearray(16 << 20))
    return image


def pid(image: Image.Image) -> dict[str, Any]:
    return {"pid": os.getpid()}


def hanging(image: Image.Image) -> dict[str, Any]:
    return {"width": hang(image).width}


def crashing(image: Image.Image) -> dict[str, Any]:
    return {"width": crash(image).width}


def eating(image: Image.Image) -> dict[str, Any]:
    return {"width": eat(image).width}


# --- called without a picture ---


def hoard(data: bytes, size: int) -> int:
    """Keep *size* bytes of memory for good; return the pid."""
    _kept.append(bytearray(size))
    return os.getpid()


def limits(data: bytes) -> tuple[int, int]:
    """Return both limits of memory, in bytes; -1 for none."""
    import resource  # not on Windows

    return resource.getrlimit(resource.RLIMIT_DATA)


_CHILD = """
import socket, sys, time
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.sendall(b"here")
time.sleep(100_000)
"""


def hang_in_a_child(port: int) -> None:
    """Start a program that tells who listens on *port*, and wait for it, for ever."""
    subprocess.run([sys.executable, "-c", _CHILD, str(port)], check=True)
