"""What it saves to stop downloads that cannot become an image.

A mixed set over a line of its own kind: each connection has 1 MiB a second, and 30 ms pass
before an answer. Six in ten sources are photos of 2400 px; the others are pages and films
in place of images, animations where no GIF is wanted, and strips that are too long for
their width. Printed are bytes that the server sent, and wall time: Scrapy's pipeline, ours
that downloads everything to its end, and ours.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import options
from image_server import PAGE, serving
from in_turn import OURS, STOCK, CrawlFailed, Rival, Run, run_in_turn
from job import CrawlJob
from photos import Studio
from PIL import Image
from tables import COLUMNS, as_factors, better_by, print_machine, print_rivals

if TYPE_CHECKING:
    from argparse import Namespace

TO_THE_END = Rival("ours, to the end", "to_the_end.ImagesPipeline")
RATE_KIB, LATENCY_MS = 1024, 30
SOURCES = 200
LIMITS = {
    "IMGPIPE_FORMATS": ["JPEG", "PNG", "WEBP"],
    "IMGPIPE_MAX_ASPECT_RATIO": 10,
}


def add_others(folder: Path) -> list[str]:
    """Make what is no good, once; return the paths of it."""
    place = folder / "others"
    place.mkdir(exist_ok=True)
    page = b"<!doctype html><title>Please sign in</title>" + b"<p>and again</p>" * 20_000
    film = (
        b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41"
        + Image.effect_noise((1500, 1000), 90).tobytes()
    )
    (place / "page.html").write_bytes(page)
    (place / "film.mp4").write_bytes(film)
    frames = [Image.effect_noise((500, 400), 60 + i) for i in range(6)]
    if not (place / "moving.gif").exists():
        frames[0].save(place / "moving.gif", save_all=True, append_images=frames[1:])
        Image.effect_noise((400, 6000), 90).convert("RGB").save(place / "strip.png")
    return [f"/others/{file.name}" for file in sorted(place.iterdir())]


def main(arguments: Namespace) -> None:
    """Run and print the crawls."""
    studio = Studio(arguments.photos, arguments.cache)
    photos = studio.large(4 if arguments.quick else 24)
    others = add_others(studio.folder)
    count = SOURCES // 20 if arguments.quick else SOURCES
    print_machine(arguments.rounds, arguments.ours)
    sent: dict[str, list[int]] = {}
    with serving(studio.folder, latency_ms=LATENCY_MS, rate_kib=RATE_KIB) as server:
        good = photos.urls(server.base, count * 6 // 10)
        bad = [f"{server.base}{others[i % len(others)]}?copy={i}" for i in range(count * 4 // 10)]
        urls = sorted(good + bad, key=hash_of)

        def job_for(rival: Rival, store: str) -> CrawlJob:
            page, warm_up = server.base + PAGE, photos.urls(server.base, 1)[0] + "&warm"
            return CrawlJob(rival.pipeline, page, warm_up, urls, store, {}, LIMITS)

        rivals = (STOCK, TO_THE_END, Rival(OURS.label, arguments.ours))
        runs: dict[str, list[Run]] = {rival.label: [] for rival in rivals}
        for _ in range(arguments.rounds):
            for rival in rivals:
                server.sent()
                (run,) = run_in_turn((rival,), 1, server, job_for)[rival.label]
                runs[rival.label].append(run)
                sent.setdefault(rival.label, []).append(server.sent())
                expect(run, rival, len(good))
    print(f"{len(good)} photos ({photos.describe()}), {len(bad)} others;")
    print(f"each connection {RATE_KIB} KiB/s, {LATENCY_MS} ms before an answer")
    print_rivals(runs, COLUMNS[:4])
    for label, counts in sent.items():
        print(f"{label:18}  {median(counts) / 1e6:.1f} MB sent")
    for other in (STOCK, TO_THE_END):
        factors = better_by(runs, COLUMNS[0], OURS.label, than=other.label)
        saved = 1 - median(sent[OURS.label]) / median(sent[other.label])
        print(
            f"{OURS.label} beside {other.label}: {median(factors):.2f} times as fast"
            f" ({as_factors(factors)}), {saved:.0%} fewer bytes"
        )


def hash_of(url: str) -> int:
    """Return a number that mixes the sources, the same in each run."""
    return hash(tuple(url.encode()))


def expect(run: Run, rival: Rival, good: int) -> None:
    """Make sure that ours stores the photos and nothing else.

    Raises:
        CrawlFailed: it does not.
    """
    if rival is not STOCK and (run.report.images != good or run.report.errors):
        raise CrawlFailed(f"{rival.label}: expected {good} images: {run.report}\n{run.log}")


if __name__ == "__main__":
    try:
        main(options.parse(__doc__ or ""))
    except CrawlFailed as failed:
        sys.exit(f"Nothing to compare: {failed}")
