"""Run one program from its start to its exit and report what it and its children took.

``python one_program.py REPORT SECONDS PROGRAM ARGUMENT...``: writes a ``job.CrawlReport``
to the file REPORT, with what can be told from outside: no images, no stalls. After
SECONDS the program is interrupted, as by Ctrl-C; 0 for never. Memory is the largest sum
of the resident sizes of all its processes at one moment, looked at five times a second
(Linux); pages that they share count in each. All these sums, in MiB, go as JSON to a file
beside REPORT.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Thread, Timer

from family import children_alive, children_cpu_s, children_rss_mib
from job import CrawlReport

INTERVAL_S = 0.2
WEIGHTS = ".weights"
"""Suffix of the second file, in place of that of REPORT."""


class Scales(Thread):
    """Weighs all processes below this one now and then, until told to stop."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.mib: list[float] = []
        self.processes = 0
        self._over = Event()

    def run(self) -> None:
        """Weigh."""
        while not self._over.wait(INTERVAL_S):
            self.mib.append(children_rss_mib())
            self.processes = max(self.processes, children_alive())

    def stop(self) -> None:
        """Stop, and wait until that is so."""
        self._over.set()
        self.join()


def run(command: list[str], limit_s: float) -> tuple[CrawlReport, list[float], int]:
    """Return what *command* took, how heavy it was when, and its exit status.

    Args:
        command: the program and its arguments.
        limit_s: after so many seconds it is interrupted; 0 for never.
    """
    scales, began = Scales(), time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    scales.start()
    timer = Timer(limit_s, process.send_signal, (signal.SIGINT,))
    if limit_s:
        timer.start()
    status = process.wait()
    wall_s = time.perf_counter() - began
    timer.cancel()
    scales.stop()
    report = CrawlReport(
        wall_s=wall_s,
        cpu_s=children_cpu_s(),
        images=0,
        responses=0,
        errors=0,
        peak_rss_mib=max(scales.mib, default=0.0),
        kept_rss_mib=0.0,
        children=scales.processes,
        children_peak_rss_mib=0.0,
        longest_stall_ms=0.0,
        p99_stall_ms=0.0,
    )
    return report, scales.mib, status


def main() -> None:
    """Run what the command line says."""
    file, limit_s, *command = sys.argv[1:]
    # A shell has what it starts in the background ignore it, and that is inherited.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    report, weights, status = run(command, float(limit_s))
    Path(file).write_text(report.to_json())
    Path(file).with_suffix(WEIGHTS).write_text(json.dumps(weights))
    sys.exit(status)


if __name__ == "__main__":
    main()
