"""Crawl with threads, with worker processes, and with each where it is better.

The three values of ``IMGPIPE_ISOLATION``, each with two thumbnails (50 and 270 px): photos
of 500 px, of 2400 px, and both mixed. Each crawl is a fresh process with a fresh store.
Before them, what the start of a worker process takes.
"""

from __future__ import annotations

import sys
import time
from statistics import median
from typing import TYPE_CHECKING

import options
from image_server import PAGE, ServerAddress, serving
from in_turn import CrawlFailed, Rival, expect_images, run_in_turn
from job import TWO_THUMBS, CrawlJob
from photos import PhotoSet, Studio
from tables import COLUMNS, as_factors, better_by, print_machine, print_rivals

from scrapy_imgpipe.processes.process import Terms, WorkerProcess

if TYPE_CHECKING:
    from argparse import Namespace

    from in_turn import Runs

ISOLATIONS = ("thread", "process", "auto")
CASES = ("500 px", "2400 px", "both, 10 to 1")
SMALL, LARGE = 960, 96
"""How many sources each case has of either kind."""
SHOWN = COLUMNS[:6]


def urls_for(case: str, small: PhotoSet, large: PhotoSet, base: str, *, quick: bool) -> list[str]:
    """Return the sources of *case*, the large ones spread over the small ones."""
    per = 10 if quick else 1
    many = small.urls(base, SMALL // per) if case != CASES[1] else []
    few = large.urls(base, LARGE // per) if case != CASES[0] else []
    step = max(len(many) // len(few), 1) if few else 1
    mixed = list(many)
    for number, url in enumerate(few):
        mixed.insert(number * (step + 1), url)
    return mixed


def run_case(case: str, urls: list[str], arguments: Namespace, server: ServerAddress) -> None:
    """Run and print one case."""

    def job_for(rival: Rival, store: str) -> CrawlJob:
        settings = {"IMGPIPE_ISOLATION": rival.label}
        page, (warm_up, *others) = server.base + PAGE, urls
        return CrawlJob(rival.pipeline, page, warm_up, others, store, TWO_THUMBS, settings)

    rivals = [Rival(label, arguments.ours) for label in ISOLATIONS]
    runs = run_in_turn(rivals, arguments.rounds, server, job_for)
    expect_images(runs, len(urls) - 1)
    print(f"{case}: {len(urls) - 1} sources")
    print_isolations(runs)
    print(flush=True)


def print_isolations(runs: Runs) -> None:
    """Print a line for each, then how the others compare with threads, round by round."""
    print_rivals(runs, SHOWN)
    threads = ISOLATIONS[0]
    for label in ISOLATIONS[1:]:
        faster, cheaper = (better_by(runs, each, label, than=threads) for each in COLUMNS[:2])
        pairs = zip(runs[label], runs[threads], strict=True)
        more = [own.report.peak_rss_mib - other.report.peak_rss_mib for own, other in pairs]
        print(f"{label}: {median(faster):.2f} times as fast as threads ({as_factors(faster)}),")
        print(f"  {1 / median(cheaper):.2f} times their CPU, {median(more):+.0f} MiB at the peak")


def print_start(times: int) -> None:
    """Print how long a worker process takes until it can take a call."""
    milliseconds = []
    for _ in range(times):
        began = time.perf_counter()
        process = WorkerProcess(Terms(("scrapy_imgpipe.tasks",)))
        process.wait_until_ready()
        milliseconds.append((time.perf_counter() - began) * 1000)
        process.end()
    print(f"start of a worker process: {median(milliseconds):.0f} ms, median of {times}\n")


def main(arguments: Namespace) -> None:
    """Run and print the cases asked for."""
    studio = Studio(arguments.photos, arguments.cache)
    small, large = studio.small(60), studio.large(4 if arguments.quick else 24)
    print_machine(arguments.rounds, arguments.ours)
    print_start(5 * arguments.rounds)
    with serving(studio.folder) as server:
        for case in arguments.cases:
            urls = urls_for(case, small, large, server.base, quick=arguments.quick)
            run_case(case, urls, arguments, server)


if __name__ == "__main__":
    try:
        main(options.parse(__doc__ or "", cases=CASES))
    except CrawlFailed as failed:
        sys.exit(f"Nothing to compare: {failed}")
