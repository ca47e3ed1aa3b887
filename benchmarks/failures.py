"""Measure the memory that failed images keep until the end of the crawl.

Truncated JPEGs of 12 megapixels, each a failure. After the last item, before anything
is closed and after a garbage collection: how much larger is the process than it was
at the end of the warm-up?
"""

from __future__ import annotations

import sys
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

import options
from image_server import PAGE, serving
from in_turn import DOWNLOAD_ONLY, OURS, STOCK, CrawlFailed, Rival, run_in_turn
from job import CrawlJob
from photos import Studio
from tables import as_factors, print_machine

if TYPE_CHECKING:
    from argparse import Namespace

    from in_turn import Runs


def expect_failures(runs: Runs, sources: int) -> None:
    """Make sure that every source was downloaded and none became an image.

    Raises:
        CrawlFailed: it was not so, and the memory says nothing.
    """
    for label in (STOCK.label, OURS.label):
        for run in runs[label]:
            if run.report.images or run.report.responses != sources:
                raise CrawlFailed(f"{label}: expected {sources} failures: {run.report}")


def print_memory(title: str, runs: Runs) -> None:
    """Print the kept and the peak memory of each rival, then the factor."""
    print(f"{title}\n{'':18}{'kept MiB':>12}{'peak MiB':>12}{'wall s':>10}   kept, by round")
    for label, own in runs.items():
        kept = [run.report.kept_rss_mib for run in own]
        peak = median(run.report.peak_rss_mib for run in own)
        wall = median(run.report.wall_s for run in own)
        by_round = " ".join(f"{mib:.0f}" for mib in kept)
        print(f"{label:18}{median(kept):12.0f}{peak:12.0f}{wall:10.2f}   {by_round}")
    pairs = zip(runs[STOCK.label], runs[OURS.label], strict=True)
    # Kept memory may well be nothing, within what the allocator rounds to: at least 1 MiB.
    factors = [a.report.kept_rss_mib / max(1.0, b.report.kept_rss_mib) for a, b in pairs]
    print(f"{STOCK.label} keeps {median(factors):.1f} times as much ({as_factors(factors)})")


def main(arguments: Namespace) -> None:
    """Run and print the one case."""
    studio = Studio(arguments.photos, arguments.cache)
    warm_up, photo = studio.small(1), studio.truncated_12mp()
    sources = 8 if arguments.quick else 40
    print_machine(arguments.rounds, arguments.ours)
    with serving(studio.folder) as server:

        def job_for(rival: Rival, store: str) -> CrawlJob:
            return CrawlJob(
                pipeline=rival.pipeline,
                page_url=server.base + PAGE,
                warm_up_url=warm_up.urls(server.base, 1)[0],
                urls=photo.urls(server.base, sources),
                store=store,
                settings={"IMGPIPE_RETRIES": 0},  # each fails once, as with Scrapy
                weigh=True,
            )

        rivals = (STOCK, replace(OURS, pipeline=arguments.ours), DOWNLOAD_ONLY)
        runs = run_in_turn(rivals, arguments.rounds, server, job_for)
    expect_failures(runs, sources)
    print_memory(f"{sources} failures ({photo.describe()})", runs)


if __name__ == "__main__":
    try:
        main(options.parse(__doc__ or ""))
    except CrawlFailed as failed:
        sys.exit(f"Nothing to compare: {failed}")
