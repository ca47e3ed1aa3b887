"""Crawl the same photos with Scrapy's ImagesPipeline, with ours, and with none.

Photos of 500 px and of 2400 px, each without thumbnails and with two (50 and 270 px),
and photos of 5000 px with two; one in five is a progressive JPEG, which costs several times
as much as a baseline one, so that the large ones are crawled all baseline as well. Each
crawl is a fresh process with a fresh store; a local server in another process has the
photos in memory.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import partial
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
    from collections.abc import Callable


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
    few: tuple[int, int] | None
    """The two numbers above for ``--quick``, which leaves out those without."""
    thumbs: dict[str, tuple[int, int]]
    kind: str = ""

    def name(self) -> str:
        """Return the heading, which ``--cases`` looks at."""
        sizes = " and ".join(str(size[0]) for size in self.thumbs.values())
        return f"{self.side} px{self.kind}, {f'thumbs {sizes}' if sizes else 'no thumbs'}"


LARGE_BASELINE = partial(Studio.large, baseline=True)
HUGE_BASELINE = partial(Studio.huge, baseline=True)

CASES = (
    Case(500, Studio.small, 60, 960, (20, 60), {}),
    Case(500, Studio.small, 60, 960, (20, 60), TWO_THUMBS),
    Case(2400, Studio.large, 24, 192, (4, 8), {}),
    Case(2400, Studio.large, 24, 192, (4, 8), TWO_THUMBS),
    Case(2400, LARGE_BASELINE, 24, 192, None, TWO_THUMBS, " baseline"),
    Case(5000, Studio.huge, 12, 72, (1, 4), TWO_THUMBS),
    Case(5000, HUGE_BASELINE, 12, 72, None, TWO_THUMBS, " baseline"),
)


def run_case(case: Case, photos: PhotoSet, rounds: int, ours: Rival, server: ServerAddress) -> None:
    """Run and print one case."""

    def job_for(rival: Rival, store: str) -> CrawlJob:
        *urls, warm_up = photos.urls(server.base, case.sources + 1)
        return CrawlJob(rival.pipeline, server.base + PAGE, warm_up, urls, store, case.thumbs)

    runs = run_in_turn((STOCK, ours, DOWNLOAD_ONLY), rounds, server, job_for)
    expect_images(runs, case.sources)
    sizes = list(case.thumbs.values())
    codec = median(codec_ms(photos.files, sizes) for _ in range(rounds))
    print_runs(f"{case.name()}: {case.sources} sources ({photos.describe()})", runs)
    print_floor(runs, codec)
    print(flush=True)


def main(arguments: Namespace) -> None:
    """Run and print the cases asked for."""
    studio = Studio(arguments.photos, arguments.cache)
    cases = [case for case in CASES if case.name() in arguments.cases]
    if arguments.quick:
        cases = [
            replace(case, distinct=case.few[0], sources=case.few[1]) for case in cases if case.few
        ]
    photos = [case.make(studio, case.distinct) for case in cases]
    print_machine(arguments.rounds, arguments.ours)
    ours = replace(OURS, pipeline=arguments.ours)
    with serving(studio.folder) as server:
        for case, its_photos in zip(cases, photos, strict=True):
            run_case(case, its_photos, arguments.rounds, ours, server)


if __name__ == "__main__":
    try:
        main(options.parse(__doc__ or "", cases=[case.name() for case in CASES]))
    except CrawlFailed as failed:
        sys.exit(f"Nothing to compare: {failed}")
