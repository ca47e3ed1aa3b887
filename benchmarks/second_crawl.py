"""Crawl again what has been crawled: everything is up to date, nothing is downloaded.

``thumbnails``: 960 sources of 500 px with two thumbnails (50 and 270 px), filled by an
unmeasured first crawl of each class. ``many``: 100,000 sources of about 110 KiB without
thumbnails; their files are hard links to sixty photos, so all of it is in the page cache
and Scrapy reads as fast as memory gives. There, the unmeasured crawl finds the files, and
ours enters them into its index.
"""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import options
from image_server import PAGE, serving
from in_turn import OURS, STOCK, CrawlFailed, Rival, expect_images, run_in_turn
from job import TWO_THUMBS, CrawlJob
from photos import Studio
from tables import print_machine, print_runs

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable

    from image_server import ServerAddress
    from in_turn import Runs
    from photos import PhotoSet

CASES = ("thumbnails", "many")
MOST_LINKS = 30_000
"""Of one file; ext4 allows 65,000."""


def expect_no_download(runs: Runs) -> None:
    """Make sure that the measured crawls downloaded nothing.

    Raises:
        CrawlFailed: one did.
    """
    for label, own in runs.items():
        for run in own:
            if run.report.responses:
                raise CrawlFailed(f"{label}: {run.report.responses} downloads, expected none")


def fill(store: str, urls: Iterable[str], photos: PhotoSet) -> None:
    """Put a photo for each of *urls* into *store*, as Scrapy names them, unless that is done."""
    folder = Path(store, "full")
    if folder.exists():
        return
    folder.mkdir(parents=True)
    for place, url in enumerate(urls):
        name = f"{hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()}.jpg"
        copy, number = divmod(place, len(photos.files) * MOST_LINKS)
        source = folder.parent / f"photo-{copy}-{number % len(photos.files)}"
        if not source.exists():
            source.write_bytes(photos.files[number % len(photos.files)].read_bytes())
        os.link(source, folder / name)


def run_case(case: str, arguments: Namespace, studio: Studio, server: ServerAddress) -> None:
    """Run and print one of :data:`CASES`."""
    many = case == "many"
    if many:
        photos = studio.medium(20 if arguments.quick else 60)
        sources = 2_000 if arguments.quick else 100_000
    else:
        photos = studio.small(20 if arguments.quick else 60)
        sources = 60 if arguments.quick else 960
    *urls, warm_up = photos.urls(server.base, sources + 1)

    def job_for(rival: Rival, store: str) -> CrawlJob:
        if many:
            fill(store, [*urls, warm_up], photos)
        thumbs = {} if many else TWO_THUMBS
        page = server.base + PAGE
        return CrawlJob(rival.pipeline, page, warm_up, urls, store, thumbs, time_limit_s=900)

    rivals = (STOCK, replace(OURS, pipeline=arguments.ours))
    runs = run_in_turn(rivals, arguments.rounds, server, job_for, populate=True)
    expect_images(runs, sources)
    expect_no_download(runs)
    about = "no thumbs" if many else "thumbs 50 and 270"
    print_runs(f"second crawl, {sources} sources, {about} ({photos.describe()})", runs)


def main(arguments: Namespace) -> None:
    """Run and print the cases."""
    studio = Studio(arguments.photos, arguments.cache)
    print_machine(arguments.rounds, arguments.ours)
    with serving(studio.folder) as server:
        for case in arguments.cases:
            run_case(case, arguments, studio, server)


if __name__ == "__main__":
    try:
        main(options.parse(__doc__ or "", cases=CASES))
    except CrawlFailed as failed:
        sys.exit(f"Nothing to compare: {failed}")
