"""Run the rivals' crawls in turn, each in a fresh process, and keep what they report.

In turn (A B C, A B C, ...) because the machine's speed drifts by more than the
differences looked for: a ratio is taken within a round, then the median over rounds.
No crawl outlives this: each has a time limit, and its process group is killed when
it is reached or when the benchmark is interrupted.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from job import CrawlJob, CrawlReport
from machine import busy_s

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from image_server import ServerAddress, Transfers

LOG_CHARACTERS = 4000
ONE_CRAWL = Path(__file__).with_name("one_crawl.py")


@dataclass(frozen=True)
class Rival:
    """One of those compared."""

    label: str
    pipeline: str
    """Import path of the class."""


STOCK = Rival("Scrapy", "scrapy.pipelines.images.ImagesPipeline")
OURS = Rival("scrapy-imgpipe", "scrapy_imgpipe.ImagesPipeline")
DOWNLOAD_ONLY = Rival("downloader alone", "download_only.DownloadOnly")


@dataclass(frozen=True)
class Run:
    """One crawl of one rival, and what went on around it."""

    report: CrawlReport
    server_cpu_s: float
    """What the image server used meanwhile."""
    other_cores: float | None
    """How many cores processes that are not ours kept busy meanwhile, or None."""
    transfers: Transfers
    """What the image server saw meanwhile; nothing, where it does not count."""
    log: str
    """The end of what the crawl wrote to standard error."""


Runs = dict[str, list[Run]]
"""The runs of each rival's label, in the order of the rounds."""


class CrawlFailed(Exception):
    """A crawl ended badly, so that there is nothing to compare."""


def run_in_turn(
    rivals: Sequence[Rival],
    rounds: int,
    server: ServerAddress,
    job_for: Callable[[Rival, str], CrawlJob],
    *,
    populate: bool = False,
) -> Runs:
    """Run every rival once per round.

    Args:
        rivals: in the order of their turns.
        rounds: how often each runs.
        server: asked for its CPU time around each run.
        job_for: the job of a rival, given the folder to store in.
        populate: run each rival once before the first round, unmeasured, and let all
            its runs share that store; else each run has a fresh one. Stores are removed.

    Raises:
        CrawlFailed: see ``run_once``.
    """
    runs: Runs = {rival.label: [] for rival in rivals}
    with ExitStack() as stack:
        folders = {rival: stack.enter_context(_work_folder()) for rival in rivals if populate}
        for rival, folder in folders.items():
            run_once(job_for(rival, f"{folder}/images"), folder, server)
        for _ in range(rounds):
            for rival in rivals:
                with ExitStack() as one:
                    folder = folders.get(rival) or one.enter_context(_work_folder())
                    run = run_once(job_for(rival, f"{folder}/images"), folder, server)
                    runs[rival.label].append(run)
    return runs


def run_once(job: CrawlJob, folder: str, server: ServerAddress) -> Run:
    """Run *job* in a process of its own whose working directory is *folder*.

    Raises:
        CrawlFailed: it ended with an error or passed its time limit.
    """
    report_file = Path(folder, "report.json")
    report_file.unlink(missing_ok=True)
    server.transfers()  # forgets what was before
    server_before, busy_before, known_before = server.cpu_s(), busy_s(), _known_cpu_s()
    began = time.perf_counter()
    log = _run_process(job, folder, report_file)
    span = time.perf_counter() - began
    server_cpu_s = server.cpu_s() - server_before
    others: float | None = None
    busy_after = busy_s()
    if busy_before is not None and busy_after is not None:
        known = _known_cpu_s() - known_before + server_cpu_s
        others = max(0.0, busy_after - busy_before - known) / span
    report = CrawlReport.from_json(report_file.read_text())
    return Run(report, server_cpu_s, others, server.transfers(), log)


def _run_process(job: CrawlJob, folder: str, report_file: Path) -> str:
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            [sys.executable, str(ONE_CRAWL), str(report_file)],
            stdin=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=folder,
            env=environment(),
            start_new_session=True,
        ) as process,
    ):
        try:
            process.communicate(job.to_json(), timeout=job.time_limit_s)
        except subprocess.TimeoutExpired:
            raise CrawlFailed(f"{job.pipeline}: not done in {job.time_limit_s} s") from None
        finally:
            kill_group(process)
        log.seek(0)
        end_of_log = log.read()[-LOG_CHARACTERS:]
        if process.returncode or not report_file.exists():
            raise CrawlFailed(f"{job.pipeline}: exit {process.returncode}\n{end_of_log}")
        return end_of_log


def environment() -> dict[str, str]:
    """Return ours, the entries of PYTHONPATH made absolute: the crawl runs elsewhere."""
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    path = os.pathsep.join(str(Path(entry).resolve()) for entry in entries if entry)
    return {**os.environ, "PYTHONPATH": path}


def kill_group(process: subprocess.Popen[str]) -> None:
    """End the crawl, and the children it may have left behind."""
    if hasattr(os, "killpg"):
        with suppress(OSError):  # nothing is left: the rule
            os.killpg(process.pid, signal.SIGKILL)
    elif process.returncode is None:
        process.kill()


def _known_cpu_s() -> float:
    """Return the CPU seconds of this process and of the crawls that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _work_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="imgpipe-bench-")


def expect_images(runs: Runs, expected: int) -> None:
    """Make sure that every crawl brought *expected* images and logged no error.

    Raises:
        CrawlFailed: one did not; a crawl that loses images may not count as fast.
    """
    for label, own in runs.items():
        for run in own:
            if run.report.images != expected or run.report.errors:
                raise CrawlFailed(
                    f"{label}: expected {expected} images, no errors: {run.report}\n{run.log}"
                )
