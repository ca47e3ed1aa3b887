"""Measure the longest stall of the event loop for two heavy photos.

A JPEG of 3000x2000 and a transparent PNG of 6 megapixels, four sources each, with
two thumbnails (50 and 270 px). What counts is how far the longest stall exceeds that
of the downloader alone, in the same round: joining and handing on a body of some
megabytes takes the loop a moment too.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import options
from image_server import PAGE, ServerAddress, serving
from in_turn import (
    DOWNLOAD_ONLY,
    OURS,
    STOCK,
    CrawlFailed,
    Rival,
    expect_images,
    run_in_turn,
)
from job import TWO_THUMBS, CrawlJob
from photos import PhotoSet, Studio
from tables import print_machine, print_runs, print_stalls

if TYPE_CHECKING:
    from argparse import Namespace

SOURCES = 4


def run_photo(
    photo: PhotoSet, warm_up: PhotoSet, rounds: int, ours: Rival, server: ServerAddress
) -> None:
    """Run and print the crawls of one photo."""

    def job_for(rival: Rival, store: str) -> CrawlJob:
        return CrawlJob(
            pipeline=rival.pipeline,
            page_url=server.base + PAGE,
            warm_up_url=warm_up.urls(server.base, 1)[0],
            urls=photo.urls(server.base, SOURCES),
            store=store,
            thumbs=TWO_THUMBS,
        )

    runs = run_in_turn((STOCK, ours, DOWNLOAD_ONLY), rounds, server, job_for)
    expect_images(runs, SOURCES)
    print_runs(f"{SOURCES} sources, thumbs 50 and 270 ({photo.describe()})", runs)
    print_stalls(runs)
    print(flush=True)


def main(arguments: Namespace) -> None:
    """Run and print both photos."""
    studio = Studio(arguments.photos, arguments.cache)
    warm_up, *photos = studio.small(1), studio.jpeg_6mp(), studio.png_6mp()
    print_machine(arguments.rounds, arguments.ours)
    with serving(studio.folder) as server:
        for photo in photos:
            ours = replace(OURS, pipeline=arguments.ours)
            run_photo(photo, warm_up, arguments.rounds, ours, server)


if __name__ == "__main__":
    try:
        main(options.parse(__doc__ or "", rounds=5))
    except CrawlFailed as failed:
        sys.exit(f"Nothing to compare: {failed}")
