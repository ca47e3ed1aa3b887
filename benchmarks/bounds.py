"""Measure the memory that a burst of images takes: far more sources than can be under way.

Three bursts, each in one item: photos of 5 MB on one host, the same on sixty hosts,
and very many small ones. Scrapy's own limits (16 requests, 8 per host); the server lets
each image wait for 20 ms, so that requests overlap as they do with real servers.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

import options
from image_server import PAGE, serving
from in_turn import OURS, STOCK, CrawlFailed, Rival, expect_images, run_in_turn
from job import CrawlJob
from photos import PhotoSet, Studio
from tables import as_factors, over_runs, print_machine

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from image_server import ServerAddress
    from in_turn import Run, Runs

LATENCY_MS = 20.0
HOSTS = 60
SCRAPYS_LIMITS = {"CONCURRENT_REQUESTS": 16, "CONCURRENT_REQUESTS_PER_DOMAIN": 8}


@dataclass(frozen=True)
class Burst:
    """One table."""

    name: str
    make: Callable[[Studio, int], PhotoSet]
    distinct: int
    """How many photos; each is served under several URLs."""
    sources: int
    """How many URLs, all in one item."""
    few: int
    """The same for ``--quick``."""
    hosts: int
    aim_mib: int
    """What ours should stay under."""


BURSTS = (
    Burst("heavy on one host", Studio.heavy, 8, 400, 24, 1, 350),
    Burst("heavy on sixty hosts", Studio.heavy, 8, 400, 24, HOSTS, 350),
    Burst("tiny on one host", Studio.tiny, 60, 3000, 300, 1, 150),
)


def spread(photos: PhotoSet, sources: int, bases: list[str]) -> list[str]:
    """Return *sources* URLs of *photos*, going round the *bases*."""
    paths = photos.urls("", sources)
    return [bases[i % len(bases)] + path for i, path in enumerate(paths)]


def run_burst(burst: Burst, photos: PhotoSet, arguments: Namespace, server: ServerAddress) -> None:
    """Run and print one burst."""

    def job_for(rival: Rival, store: str) -> CrawlJob:
        warm_up, *urls = spread(photos, burst.sources + 1, server.bases[: burst.hosts])
        return CrawlJob(
            pipeline=rival.pipeline,
            page_url=server.base + PAGE,
            warm_up_url=warm_up,
            urls=urls,
            store=store,
            settings=SCRAPYS_LIMITS,
            urls_per_item=len(urls),
        )

    rivals = (STOCK, replace(OURS, pipeline=arguments.ours))
    runs = run_in_turn(rivals, arguments.rounds, server, job_for)
    expect_images(runs, burst.sources)
    title = f"{burst.name}: one item, {burst.sources} sources ({photos.describe()})"
    print_burst(title, runs, burst.aim_mib)
    print(flush=True)


COLUMNS: tuple[tuple[str, Callable[[Run], float], int], ...] = (
    ("peak MiB", lambda run: run.report.peak_rss_mib, 0),
    ("children's", lambda run: run.report.children_peak_rss_mib, 0),
    ("in all", lambda run: run.transfers.in_all, 0),
    ("per host", lambda run: run.transfers.per_host, 0),
    ("wall s", lambda run: run.report.wall_s, 2),
    ("images/s", lambda run: run.report.images / run.report.wall_s, 0),
)
"""Head, figure and decimal places."""


def print_burst(title: str, runs: Runs, aim_mib: int) -> None:
    """Print peak memory and overlap of each rival, then the factor."""
    print(title + "\n" + " " * 18 + "".join(f"{head:>12}" for head, _, _ in COLUMNS))
    for label, own in runs.items():
        cells = (f"{over_runs(own, figure):12.{places}f}" for _, figure, places in COLUMNS)
        print(f"{label:18}" + "".join(cells))
    pairs = zip(runs[STOCK.label], runs[OURS.label], strict=True)
    factors = [a.report.peak_rss_mib / b.report.peak_rss_mib for a, b in pairs]
    print(f"{STOCK.label} takes {median(factors):.1f} times as much ({as_factors(factors)})")
    peak = over_runs(runs[OURS.label], COLUMNS[0][1])
    print(f"{OURS.label} should stay under {aim_mib} MiB: {'yes' if peak < aim_mib else 'NO'}")


def main(arguments: Namespace) -> None:
    """Run and print the bursts asked for."""
    studio = Studio(arguments.photos, arguments.cache)
    bursts = [burst for burst in BURSTS if burst.name in arguments.cases]
    if arguments.quick:
        bursts = [replace(burst, sources=burst.few) for burst in bursts]
    photos = [burst.make(studio, burst.distinct) for burst in bursts]
    print_machine(arguments.rounds, arguments.ours)
    print("children's: child processes' part of the peak.")
    print("in all, per host: the most images under way at once that the server saw.\n")
    with serving(studio.folder, hosts=HOSTS, latency_ms=LATENCY_MS) as server:
        for burst, its_photos in zip(bursts, photos, strict=True):
            run_burst(burst, its_photos, arguments, server)


if __name__ == "__main__":
    try:
        main(options.parse(__doc__ or "", rounds=1, cases=[burst.name for burst in BURSTS]))
    except CrawlFailed as failed:
        sys.exit(f"Nothing to compare: {failed}")
