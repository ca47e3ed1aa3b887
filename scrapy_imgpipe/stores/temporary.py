"""Temporary files: whose they are, and which of them nobody will finish.

A name tells its owner: ``.imgpipe-<host>-<pid>-<start>-<counter>.tmp``. *host*
is the host's name and a mark of its boot and process namespace, for containers
and cloned machines often share a name; *start* tells a process from a later one
with the same pid.

A file is left over when its owner is dead. Where that cannot be known (another
host, a name that is none of ours, no ``/proc``), it is left over after a day,
which is far longer than any write takes. A file of a living owner is never one.
"""

# The caller has names and DirEntry objects; a Path would only be made to be dropped.
# ruff: noqa: PTH108, PTH115, PTH123

from __future__ import annotations

import os
import platform
import re
import sys
import time
import uuid
from contextlib import suppress
from functools import cache
from hashlib import sha256
from itertools import count
from typing import TYPE_CHECKING

from scrapy_imgpipe.paths import TEMPORARY_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Seconds after which a file of an owner that cannot be asked is left over.
FOREIGN_AGE_SECONDS = 24 * 60 * 60

_NAME = re.compile(rf"{re.escape(TEMPORARY_PREFIX)}([^-]+)-(\d+)-(\d+)-\d+\.tmp", re.ASCII)
_NOT_IN_HOST = re.compile(r"[^A-Za-z0-9._]")
_MAX_HOST_CHARACTERS = 64  # HOST_NAME_MAX of Linux

# One for the process, so that no two stores and no two threads share a name.
# next() is one C call, and a fork that copies the number changes the pid.
_counter = count()
_starts: dict[int, int] = {}


def new_name() -> str:
    """Return the name of a new temporary file of this process.

    Correct after a fork, and different on every call.
    """
    return f"{_owner(os.getpid())}{next(_counter)}.tmp"


def remove_left_over(entries: Iterable[os.DirEntry[str]], now: float) -> int:
    """Remove the left-over temporary files among *entries*; return how many.

    One that cannot be removed, or vanishes meanwhile, is passed over. Names
    carry the owner and a number that is not used twice, so what is removed is
    what was judged.

    Args:
        entries: of one directory or of several; everything else is passed over.
        now: Unix seconds.
    """
    removed = 0
    for entry in entries:
        if entry.name.startswith(TEMPORARY_PREFIX):
            with suppress(OSError):
                if entry.is_file(follow_symlinks=False) and is_left_over(entry, now):
                    os.unlink(entry.path)
                    removed += 1
    return removed


def is_left_over(entry: os.DirEntry[str], now: float) -> bool:
    """Return whether nobody will finish *entry*, which is of a temporary name.

    Args:
        entry: a file, or a folder.
        now: Unix seconds.
    """
    alive = None
    named = _NAME.fullmatch(entry.name)
    if named is not None and named[1] == _HOST:
        alive = _is_alive(int(named[2]), int(named[3]))
    if alive is None:
        return now - entry.stat(follow_symlinks=False).st_mtime > FOREIGN_AGE_SECONDS
    return not alive


def _is_alive(pid: int, start: int) -> bool | None:
    """Return whether that very process lives on this host; ``None`` when unknown."""
    own = os.getpid()
    if pid == own and sys.platform == "win32":
        return start == _start(own) or None
    if sys.platform == "win32":
        return None  # there, os.kill() ends the process that is asked after
    try:
        # First of all, for /proc may hide the processes of other users.
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    if pid == own:
        return start == _start(own)
    status = _linux_status(pid)
    if status is None:
        return None
    state, actual_start = status
    return state not in "ZX" and actual_start == start  # a zombie writes no more


@cache
def _owner(pid: int) -> str:
    return f"{TEMPORARY_PREFIX}{_HOST}-{pid}-{_start(pid)}-"


def _start(pid: int) -> int:
    """Return when this process started, in clock ticks since boot.

    Without ``/proc`` it is the time of the first call, in nanoseconds: another
    number for another process is all that is asked of it.
    """
    if pid not in _starts:
        status = _linux_status(pid)
        # setdefault, so that threads that get here at once agree on one number.
        _starts.setdefault(pid, status[1] if status is not None else time.time_ns())
    return _starts[pid]


def _linux_status(pid: int) -> tuple[str, int] | None:
    """Return state and start time of a process from proc(5), fields 3 and 22."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            line = file.read()
        # The name, field 2, may contain spaces and parentheses.
        fields = line[line.rindex(b")") + 1 :].split()
        return fields[0].decode(), int(fields[19])
    except (OSError, ValueError):
        return None


def _this_host() -> str:
    name = _NOT_IN_HOST.sub("_", platform.node())[:_MAX_HOST_CHARACTERS]
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as file:
            mark = file.read() + os.readlink(b"/proc/self/ns/pid")
    except OSError:
        mark = str(uuid.getnode()).encode()
    return f"{name}.{sha256(mark).hexdigest()[:8]}"


_HOST = _this_host()
