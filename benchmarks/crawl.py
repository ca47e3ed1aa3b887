"""Crawl the same photos with Scrapy's ImagesPipeline, with ours, and with none.

Four cases: photos of 500 px and of 2400 px, each without thumbnails and with two
(50 and 270 px). Each crawl is a fresh process with a fresh store; a local server in
another process has the photos in memory.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

import options
from codec import codec_ms
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
from tables import print_floor, print_machine, print_runs

if TYPE_CHECKING:
    from argparse import Namespace


@dataclass(frozen=True)
class Case:
    """One table."""

    photos: PhotoSet
    sources: int
    """How many URLs; each photo is served under several."""
    thumbs: dict[str, tuple[int, int]]

    def title(self) -> str:
        """Return the table's heading."""
        sizes = " and ".join(str(size[0]) for size in self.thumbs.values())
        return (
            f"{self.photos.name} px, {f'thumbs {sizes}' if sizes else 'no thumbs'}: "
            f"{self.sources} sources ({self.photos.describe()})"
        )


def cases(studio: Studio, *, quick: bool) -> list[Case]:
    """Return the cases, their photos made."""
    small = (studio.small(20), 60) if quick else (studio.small(60), 960)
    large = (studio.large(4), 8) if quick else (studio.large(24), 96)
    return [Case(*photos, thumbs) for photos in (small, large) for thumbs in ({}, TWO_THUMBS)]


def run_case(case: Case, rounds: int, ours: Rival, server: ServerAddress) -> None:
    """Run and print one case."""

    def job_for(rival: Rival, store: str) -> CrawlJob:
        *urls, warm_up = case.photos.urls(server.base, case.sources + 1)
        return CrawlJob(rival.pipeline, server.base + PAGE, warm_up, urls, store, case.thumbs)

    runs = run_in_turn((STOCK, ours, DOWNLOAD_ONLY), rounds, server, job_for)
    expect_images(runs, case.sources)
    sizes = list(case.thumbs.values())
    codec = median(codec_ms(case.photos.files, sizes) for _ in range(rounds))
    print_runs(case.title(), runs)
    print_floor(runs, codec)
    print(flush=True)


def main(arguments: Namespace) -> None:
    """Run and print all cases."""
    studio = Studio(arguments.photos, arguments.cache)
    all_cases = cases(studio, quick=arguments.quick)
    print_machine(arguments.rounds, arguments.ours)
    with serving(studio.folder) as server:
        for case in all_cases:
            run_case(case, arguments.rounds, replace(OURS, pipeline=arguments.ours), server)


if __name__ == "__main__":
    try:
        main(options.parse(__doc__ or ""))
    except CrawlFailed as failed:
        sys.exit(f"Nothing to compare: {failed}")
