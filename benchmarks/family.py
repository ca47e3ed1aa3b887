"""Measure this process and those it started: CPU and memory.

The standard library only. What other processes use comes from Linux's ``/proc``:
elsewhere memory is 0.0, and children count their CPU once they have ended.
"""

from __future__ import annotations

import os
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PROC = Path("/proc")

_PARENT = 1
_CPU_TICKS = slice(11, 15)
"""Of a process and of its own children that have ended, user and system each."""


def children_cpu_s() -> float:
    """Return the CPU seconds of this process's children: ended ones, and those that live.

    One that ended counts once it was waited for, as the kernel does it.
    """
    times = os.times()
    ended = times.children_user + times.children_system
    ticks = sum(sum(map(int, stat[_CPU_TICKS])) for _, stat in _descendants())
    return ended + (ticks / os.sysconf("SC_CLK_TCK") if ticks else 0.0)


def rss_mib() -> float:
    """Return the resident size of this process and of all below it.

    Pages that several of them share are counted in each.
    """
    return _status_mib("self", "VmRSS") + children_rss_mib()


def children_rss_mib() -> float:
    """Return the sum of the resident sizes of the children that live now."""
    return sum((_status_mib(pid, "VmRSS") for pid, _ in _descendants()), 0.0)


def own_peak_rss_mib() -> float:
    """Return the largest resident size this process ever had.

    Not ``ru_maxrss``: Linux hands that on from the parent through ``exec``, so a large
    parent would show as a large child.
    """
    return _status_mib("self", "VmHWM")


def children_peak_rss_mib() -> float:
    """Return the sum of the largest resident sizes of the children that live now."""
    return sum((_status_mib(pid, "VmHWM") for pid, _ in _descendants()), 0.0)


def children_alive() -> int:
    """Return how many processes below this one there are."""
    return sum(1 for _ in _descendants())


def _descendants() -> Iterator[tuple[str, list[str]]]:
    """Yield the process id and the ``stat`` fields, from the state on, of all below this one."""
    below: dict[str, list[tuple[str, list[str]]]] = defaultdict(list)
    for file in PROC.glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            # The name before is in brackets, and may hold anything.
            stat = file.read_text(errors="replace").rpartition(")")[2].split()
            below[stat[_PARENT]].append((file.parent.name, stat))
    found = below[str(os.getpid())]
    while found:
        child = found.pop()
        found.extend(below[child[0]])
        yield child


def _status_mib(pid: str, name: str) -> float:
    try:
        status = (PROC / pid / "status").read_text()
    except OSError:  # not Linux, or the process has just ended
        return 0.0
    for line in status.splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    return 0.0
