"""Files as the system has them: read whole, written whole, made and linked."""

# A Path costs microseconds per put.
# ruff: noqa: PTH103, PTH105, PTH108, PTH116

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress

_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def read_whole(target: str) -> bytes:
    """Return the content of a file with as few system calls as it takes.

    Each of them lets go of the interpreter lock, which a busy event loop gives back
    late; open() makes twice as many.
    """
    file = os.open(target, _READ)
    try:
        size = os.fstat(file).st_size
        data = os.read(file, size + 1)
        if len(data) == size:
            return data
        with open(file, "rb", buffering=0, closefd=False) as rest:  # it grew, or is huge
            return data + rest.readall()
    finally:
        os.close(file)


def create(name: str, data: bytes) -> os.stat_result:
    """Make the file *name*, which must be new, and return its stat; all of it, or none."""
    file = os.open(name, _CREATE, 0o666)  # less the umask, as open() does
    try:
        try:
            write_whole(file, data)
            return os.fstat(file)
        finally:
            os.close(file)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def adopt(name: str, file: str) -> os.stat_result:
    """Make *name*, which must be new, a second name of *file*, or else a copy of it."""
    try:
        os.link(file, name)
    except OSError:  # another disk, or one without hard links
        try:
            shutil.copyfile(file, name)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise
    return os.stat(name)


def replace(name: str, target: str) -> None:
    """Give the file *name* the name *target*, where *name* may be a second name of it."""
    os.replace(name, target)
    with suppress(FileNotFoundError):  # two names of one file: rename(2) does nothing then
        os.unlink(name)


def make_directory(directory: str) -> None:
    """Make *directory* and those above it, where they are missing."""
    try:
        os.makedirs(directory, exist_ok=True)
    except FileExistsError:
        # It exists, but as a file; say it as the system says it one level deeper.
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None


def write_whole(file: int, data: bytes) -> None:
    """Write all of *data*, in as many steps as the system takes."""
    written = os.write(file, data)
    if written == len(data):
        return
    # A short write: the disk is nearly full, or more than 2 GiB (write(2)).
    rest = memoryview(data)[written:]
    while rest:
        rest = rest[os.write(file, rest) :]
