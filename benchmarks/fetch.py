"""Fetch the same lists with ``scrapy imgpipe fetch`` and with img2dataset.

Each is the real command line program, timed from its start to its exit, and makes the same
images, 270 px at the shorter side, out of photos of 500 and of 2400 px, as files and in
shards; and of a list of one, which is what starting takes. Servers are 64 hosts of one
local process, which get as unequal shares of the list as hosts do in real ones. How many
processes and threads serve img2dataset best is tried first. Linux.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import product
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import options
from fetchers import FILES, SHARDS, Made, Order, Ours, Theirs, run
from image_server import ServerAddress, serving
from in_turn import OURS, CrawlFailed, Run
from machine import busy_s, describe
from photos import PhotoSet, Studio
from tables import COLUMNS, as_factor, as_factors, better_by, print_rivals

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from in_turn import Runs

HOSTS = 64
LIMIT_S = 300
"""For one run; then all its processes are killed."""
PROCESSES, THREADS = (1, 2), (16, 32, 64)
"""What is tried for img2dataset."""
SPEED = "images/s"
SHOWN = [
    replace(column, head="processes") if column.head == "children" else column
    for column in COLUMNS
    if "stall" not in column.head
]
FACTORS = [(column.head.strip(), column) for column in SHOWN if column.compared]


@dataclass(frozen=True)
class Case:
    """One table."""

    side: int
    """Long side of the photos, in pixels."""
    make: Callable[[Studio, int], PhotoSet]
    distinct: int
    """How many photos; each is served under several URLs."""
    sources: int
    """How many URLs."""
    few: int
    """The same for ``--quick``."""
    output: str

    def name(self) -> str:
        """Return the heading, which ``--cases`` looks at."""
        return "start" if self.sources == 1 else f"{self.side} px, {self.output}"


CASES = (
    Case(500, Studio.small, 60, 8000, 400, FILES),
    Case(500, Studio.small, 60, 8000, 400, SHARDS),
    Case(2400, Studio.large, 24, 800, 60, FILES),
    Case(2400, Studio.large, 24, 800, 60, SHARDS),
    Case(500, Studio.small, 60, 1, 1, FILES),
)


def list_of(photos: PhotoSet, bases: Sequence[str], sources: int) -> str:
    """Return a list of distinct URLs, of which the n-th host has the n-th part of the first."""
    dice = random.Random(sources)
    hosts = dice.choices(bases, [1 / (n + 1) for n in range(len(bases))], k=sources)
    names = [url.removeprefix(bases[0]) for url in photos.urls(bases[0], sources)]
    return "".join(f"{host}{name}\n" for host, name in zip(hosts, names, strict=True))


class Bench:
    """Runs programs over the list of one case.

    Args:
        case: says what.
        urls: the list.
        server: asked for its CPU time around each run.
    """

    def __init__(self, case: Case, urls: Path, server: ServerAddress) -> None:
        self.case = case
        self.urls = urls
        self.server = server
        self.made: Made | None = None

    def run(self, rival: Ours | Theirs) -> Run:
        """Run *rival* once, into a folder that goes with it.

        Raises:
            CrawlFailed: it failed, or what it made is not what the others made.
        """
        with tempfile.TemporaryDirectory(prefix="imgpipe-bench-") as folder:
            order = Order(self.urls, Path(folder), self.case.output, self.case.sources)
            busy, known, server_s = busy_s(), _known_cpu_s(), self.server.cpu_s()
            began = time.perf_counter()
            report, log = run(rival.command(order), order.folder, LIMIT_S)
            span = time.perf_counter() - began
            server_s = self.server.cpu_s() - server_s
            now, others = busy_s(), None
            if busy is not None and now is not None:
                others = max(0.0, now - busy - (_known_cpu_s() - known) - server_s) / span
            made = self._checked(rival, Made.of(order), log)
        report = replace(report, images=made.sizes.total())
        return Run(report, server_s, others, self.server.transfers(), log)

    def _checked(self, rival: Ours | Theirs, made: Made, log: str) -> Made:
        """Return *made* if it is all, and of the sizes that the others have."""
        self.made = self.made or made
        if made.sizes.total() != self.case.sources or made.sizes != self.made.sizes:
            raise CrawlFailed(
                f"{rival.label}: expected {self.case.sources} images, "
                f"{self.made.sizes.most_common(5)} ... but received {made.sizes.total()}, "
                f"{made.sizes.most_common(5)} ...\n{log}"
            )
        return made


def best_of_theirs(bench: Bench) -> Theirs:
    """Return the number of processes and threads that serve img2dataset best; print all."""
    tried = [Theirs(*numbers) for numbers in product(PROCESSES, THREADS)]
    took = {rival: bench.run(rival).report.wall_s for rival in tried}
    best = min(tried, key=took.__getitem__)
    for rival in tried:
        mark = "  <- taken" if rival is best else ""
        print(f"  img2dataset {rival.describe():40} {took[rival]:7.2f} s{mark}", flush=True)
    return best


def run_case(bench: Bench, theirs: Theirs, ours: Sequence[Ours], rounds: int) -> None:
    """Run all in turn, and print the table."""
    runs: Runs = {rival.label: [] for rival in (theirs, *ours)}
    for _ in range(rounds):
        for rival in (theirs, *ours):
            runs[rival.label].append(bench.run(rival))
    print_rivals(runs, SHOWN)
    for rival in ours:
        factors = {
            what: better_by(runs, column, rival.label, theirs.label) for what, column in FACTORS
        }
        told = ", ".join(f"{what} {as_factor(median(each))}" for what, each in factors.items())
        print(f"{rival.label} better by: {told}; images/s by round: {as_factors(factors[SPEED])}")
    print(flush=True)


def rivals_of(case: Case, pipeline: str) -> list[Ours]:
    """Return what of ours takes part in *case*."""
    ours = [Ours("ours", pipeline=pipeline), Ours("ours, 2 processes", 2, pipeline=pipeline)]
    if case.output == FILES and case.sources > 1:
        ours.append(Ours("ours, lanczos", kernel="lanczos", pipeline=pipeline))
    return ours


def main(arguments: Namespace) -> None:
    """Run and print the cases asked for."""
    studio = Studio(arguments.photos, arguments.cache)
    cases = [case for case in CASES if case.name() in arguments.cases]
    if arguments.quick:
        cases = [replace(case, sources=case.few) for case in cases]
    photos = [case.make(studio, case.distinct) for case in cases]
    print_start(arguments.rounds)
    best: dict[int, Theirs] = {}
    with (
        serving(studio.folder, hosts=HOSTS) as server,
        tempfile.TemporaryDirectory(prefix="imgpipe-bench-") as folder,
    ):
        for case, its_photos in zip(cases, photos, strict=True):
            urls = Path(folder, "urls.txt")
            urls.write_text(list_of(its_photos, server.bases, case.sources))
            bench = Bench(case, urls, server)
            print(f"{case.name()}: {case.sources} sources ({its_photos.describe()})", flush=True)
            theirs = Theirs(1, min(THREADS))
            if case.sources > 1:
                theirs = best[case.side] = best.get(case.side) or best_of_theirs(bench)
            pipeline = "" if arguments.ours == OURS.pipeline else arguments.ours
            run_case(bench, theirs, rivals_of(case, pipeline), arguments.rounds)


def print_start(rounds: int) -> None:
    """Print what is compared, on what, and how to read the tables."""
    names = ("img2dataset", "opencv-python-headless", "albumentations", "pyarrow")
    print(describe())
    print(", ".join(f"{name} {version(name)}" for name in names))
    print(
        "ours: `scrapy imgpipe fetch` with --processes=1, the default, and kernel box, which\n"
        "averages as OpenCV's INTER_AREA does; lanczos is our default. Medians of "
        f"{rounds} round(s), all\nin turn in each; whole processes, their start and their children"
        " included. others' cores:\nkept busy by processes that are none of these.\n"
    )


def _known_cpu_s() -> float:
    """Return the CPU seconds of this process and of those that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    try:
        main(options.parse(__doc__ or "", cases=[case.name() for case in CASES]))
    except CrawlFailed as failed:
        sys.exit(f"Nothing to compare: {failed}")
