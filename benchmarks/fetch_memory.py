"""Watch the memory of ``scrapy imgpipe fetch`` over a list of a thousand and of a million lines.

One line in a hundred is a photo of 500 px on a local server, the others have no host and are
refused. Each fetch is the real command line program, which is interrupted after a minute: how
far it has come is printed. Memory is that of all its processes together (Linux).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from fetchers import RUN_REPORT, program, run
from image_server import serving
from in_turn import CrawlFailed
from machine import describe
from one_program import WEIGHTS
from options import default_cache
from photos import PHOTOS, PhotoSet, Studio

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FEW, MANY = 1_000, 1_000_000
HOSTS = 16
IMAGE_EVERY = 100
"""One line in so many is a photo."""
PARTS = 6
"""Of the time, for each of which the mean is printed."""
UNDER_WAY = 1_000
"""So many lines may have been read, and not be done with, when a fetch is interrupted."""


def lines(photos: PhotoSet, bases: Sequence[str], count: int) -> Iterator[str]:
    """Yield *count* lines of a list."""
    names = [file.name for file in photos.files]
    for n in range(count):
        if n % IMAGE_EVERY:
            yield f"https:///photos/{n:08}/large/photo-{n}.jpg\n"
        else:
            base, name = bases[n // IMAGE_EVERY % len(bases)], names[n % len(names)]
            yield f"{base}/{photos.name}/{name}?copy={n}\n"


def watch(urls: Path, folder: Path, count: int, seconds: int) -> None:
    """Fetch the list *urls* of *count* lines for at most *seconds*; print what it weighed.

    Raises:
        CrawlFailed: it ended with an error, or lost images.
    """
    report = folder / "report.jsonl"
    command = [program("scrapy"), "imgpipe", "fetch", str(urls), f"--store={folder}/images"]
    command += [f"--report={report}", "-s", f"IMGPIPE_INDEX={folder}/index.sqlite"]
    took, log = run(command, folder, 2 * seconds + 60, seconds)
    outcomes = outcomes_of(report)
    done, least = outcomes.total(), (outcomes.total() - UNDER_WAY) // IMAGE_EVERY
    if outcomes["stored"] < max(1, least) or (took.wall_s < seconds and done != count):
        raise CrawlFailed(f"expected {count} lines, images among them: {outcomes}\n{log}")
    mib = json.loads((folder / RUN_REPORT).with_suffix(WEIGHTS).read_text())
    print(f"{count:>10,} {done:>9,} {outcomes['stored']:>7,} {took.wall_s:>7.1f}", end=" ")
    print(f"{took.peak_rss_mib:>9.0f} {took.children:>10}  ", *parts(mib), flush=True)


def outcomes_of(report: Path) -> Counter[str]:
    """Return how many rows of *report* have which outcome."""
    with report.open(encoding="utf-8") as rows:
        return Counter(json.loads(row)["outcome"] for row in rows)


def parts(mib: Sequence[float]) -> list[str]:
    """Return the mean of each part of *mib*, of those with several measurements."""
    size = len(mib) // PARTS
    return [f"{mean(mib[n * size : (n + 1) * size]):.0f}" for n in range(PARTS) if size > 1]


def main() -> None:
    """Watch both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each list at most; 60")
    parser.add_argument("--quick", action="store_true", help="15 seconds")
    arguments, _ = parser.parse_known_args()
    seconds = 15 if arguments.quick else arguments.seconds
    if seconds < 1:
        parser.error(f"Expected at least 1 for --seconds but received {seconds}")
    studio = Studio(PHOTOS, default_cache())
    photos = studio.small(20)
    print(describe())
    print("     lines      done  images       s  peak MiB  processes   mean MiB, by sixths of it")
    with serving(studio.folder, hosts=HOSTS) as server:
        for count in (FEW, MANY):
            with tempfile.TemporaryDirectory(prefix="imgpipe-bench-") as folder:
                urls = Path(folder, "urls.txt")
                with urls.open("w", encoding="utf-8") as file:
                    file.writelines(lines(photos, server.bases, count))
                watch(urls, Path(folder), count, seconds)


if __name__ == "__main__":
    try:
        main()
    except CrawlFailed as failed:
        sys.exit(f"Nothing to compare: {failed}")
