"""Say what the figures were measured on, and who else was using it.

How busy the machine is comes from Linux's ``/proc/stat``; elsewhere it is not known.
"""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def busy_s() -> float | None:
    """Return the CPU seconds all processes of the machine have used, or None."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = (
        int(ticks) for ticks in stat.read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def describe() -> str:
    """Return two lines: versions, and the machine with its load of the last minute."""
    packages = ", ".join(
        f"{name} {_version(name)}" for name in ("Scrapy", "Twisted", "Pillow", "scrapy-imgpipe")
    )
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "not known"
    return (
        f"{platform.python_implementation()} {platform.python_version()}, {packages}\n"
        f"{platform.system()} {platform.machine()}, {cores()} cores, load before: {load}"
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed, found on the path)"
