"""Crawl again what has been crawled: everything is up to date, nothing is downloaded.

500 px photos with two thumbnails (50 and 270 px). Each class finds the store it has
filled itself, in an unmeasured crawl before the first round.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import options
from image_server import PAGE, serving
from in_turn import OURS, STOCK, CrawlFailed, Rival, expect_images, run_in_turn
from job import TWO_THUMBS, CrawlJob
from photos import Studio
from tables import print_machine, print_runs

if TYPE_CHECKING:
    from argparse import Namespace

    from in_turn import Runs


def expect_no_download(runs: Runs) -> None:
    """Make sure that the measured crawls downloaded nothing.

    Raises:
        CrawlFailed: one did.
    """
    for label, own in runs.items():
        for run in own:
            if run.report.responses:
                raise CrawlFailed(f"{label}: {run.report.responses} downloads, expected none")


def main(arguments: Namespace) -> None:
    """Run and print the one case."""
    studio = Studio(arguments.photos, arguments.cache)
    photos, sources = (studio.small(20), 60) if arguments.quick else (studio.small(60), 960)
    print_machine(arguments.rounds, arguments.ours)
    with serving(studio.folder) as server:

        def job_for(rival: Rival, store: str) -> CrawlJob:
            *urls, warm_up = photos.urls(server.base, sources + 1)
            return CrawlJob(rival.pipeline, server.base + PAGE, warm_up, urls, store, TWO_THUMBS)

        rivals = (STOCK, replace(OURS, pipeline=arguments.ours))
        runs = run_in_turn(rivals, arguments.rounds, server, job_for, populate=True)
    expect_images(runs, sources)
    expect_no_download(runs)
    print_runs(f"second crawl, {sources} sources, thumbs 50 and 270 ({photos.describe()})", runs)


if __name__ == "__main__":
    try:
        main(options.parse(__doc__ or ""))
    except CrawlFailed as failed:
        sys.exit(f"Nothing to compare: {failed}")
