"""``scrapy imgpipe fetch`` as a process, and those that it starts."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.crawl.crawls import POLL_SECONDS, TIMEOUT_SECONDS
from tests.crawl.site import HELD_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Longest that the end of a process is waited for: less than an answer is held back.
MOST_SECONDS = HELD_SECONDS / 2


class Command:
    """A fetch that has been started in *folder*, with store and report there.

    Attributes:
        process: it.
        report: where its report is.
    """

    def __init__(
        self,
        folder: Path,
        environ: dict[str, str],
        *arguments: object,
        terminal: int | None = None,
    ) -> None:
        self.report = folder / "report.jsonl"
        self._log = folder / "log.txt"
        library = os.pathsep.join((environ["PYTHONPATH"], os.getcwd()))  # noqa: PTH109
        told = ("--store", "store", "--report", self.report.name)
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "scrapy", "imgpipe", "fetch", *map(str, arguments), *told],
                env={**environ, "PYTHONPATH": library},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT if terminal is None else terminal,
            )

    def wait_for_line(self, text: str) -> None:
        """Return as soon as *text* was printed, or it is over."""
        while text not in self._log.read_text():
            try:
                self.process.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                continue
            return

    def wait_for_rows(self, count: int) -> None:
        """Return as soon as the report has *count* rows, or it is over."""
        while not self.report.exists() or self.report.read_bytes().count(b"\n") < count:
            try:
                self.process.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                continue
            return

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def end(self) -> tuple[int, str]:
        """Wait for its end; return its exit status and all that it printed."""
        try:
            code = self.process.wait(TIMEOUT_SECONDS)
        finally:
            if self.process.returncode is None:
                self.process.kill()
                self.process.wait()
        return code, self._log.read_text()

    def descendants(self) -> list[int]:
        """Return the processes that it has started, its crawls first; Linux only."""
        parents: dict[int, list[int]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
        found = [self.process.pid]
        for pid in found:
            found += sorted(parents.get(pid, []))
        return found[1:]


def are_gone(pids: Iterable[int]) -> bool:
    """Wait until none of *pids* lives; return whether that is so."""
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if not select.select([descriptor], [], [], MOST_SECONDS)[0]:
                return False
        finally:
            os.close(descriptor)
    return True
