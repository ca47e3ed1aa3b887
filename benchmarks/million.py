"""Watch the memory of a long crawl: does it grow with every source that was seen?

A million sources, of which one in a hundred is an image and the others are a 404, in
items of ten, 64 items at once; each source is asked for once. No network: an engine
that answers at once (``fake_crawl.py``). Scrapy's class gets a fifth of the sources,
for it is slow enough with those. Each rival runs in a process of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from in_turn import OURS, STOCK, CrawlFailed, Rival, environment, kill_group
from job import IMAGE_EVERY, MARKS, Mark
from machine import describe

FAKE_CRAWL = Path(__file__).with_name("fake_crawl.py")
SOURCES = 1_000_000
QUICK_SOURCES = 20_000
SCRAPYS_SHARE = 5
TIME_LIMIT_S = 3600
"""For one rival; then its process is killed."""


def watch(rival: Rival, sources: int) -> list[Mark]:
    """Run *rival* over *sources* sources, printing each mark as it comes.

    Raises:
        CrawlFailed: it ended with an error, or lost images.
    """
    print(f"{rival.label}, {sources:,} sources")
    print(f"{'sources':>12}{'RSS MiB':>10}{'children':>10}{'sources/s':>11}", flush=True)
    command = [sys.executable, str(FAKE_CRAWL), rival.pipeline, str(sources)]
    with (
        tempfile.TemporaryDirectory(prefix="imgpipe-bench-") as folder,
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=folder,
            env={**environment(), "TMPDIR": folder},  # its store goes when it is killed, too
            start_new_session=True,
        ) as process,
    ):
        marks = _read_marks(process)
        log.seek(0)
        said = log.read()[-4000:]
    if process.returncode or len(marks) < MARKS or marks[-1].images != -(-sources // IMAGE_EVERY):
        raise CrawlFailed(f"{rival.label}: exit {process.returncode}, {marks[-1:]}\n{said}")
    return marks


def _read_marks(process: subprocess.Popen[str]) -> list[Mark]:
    """Print and return the marks until *process* has ended; it does not outlive this."""
    limit = threading.Timer(TIME_LIMIT_S, kill_group, (process,))
    limit.start()
    marks: list[Mark] = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            mark = Mark.from_json(line)
            print_mark(mark, marks[-1] if marks else None)
            marks.append(mark)
        process.wait()
    finally:
        limit.cancel()
        kill_group(process)
    return marks


def print_mark(mark: Mark, before: Mark | None) -> None:
    """Print one line; the rate is that since the mark *before*."""
    sources = mark.sources - (before.sources if before else 0)
    rate = sources / (mark.wall_s - (before.wall_s if before else 0.0))
    print(
        f"{mark.sources:12,}{mark.rss_mib:10.1f}{mark.children_rss_mib:10.1f}{rate:11.0f}",
        flush=True,
    )


def growth(marks: list[Mark]) -> float:
    """Return by how many KiB memory grew with each 1,000 sources in the second half.

    In the first one, children start and caches of a fixed size fill.
    """
    first, last = marks[MARKS // 2 - 1], marks[-1]
    return (last.rss_mib - first.rss_mib) * 1024 / (last.sources - first.sources) * 1000


def print_growth(rival: Rival, marks: list[Mark]) -> None:
    """Print what *marks* come to."""
    last, kib = marks[-1], growth(marks)
    print(
        f"{rival.label}: {kib:+.1f} KiB per 1,000 sources in the second half, "
        f"{kib * 1000 / 1024:+.0f} MiB per million; {last.sources / last.wall_s:.0f} sources/s\n",
        flush=True,
    )


def main() -> None:
    """Watch both rivals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=int, default=SOURCES, help="how many; 1,000,000")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SOURCES:,} sources")
    parser.add_argument("--ours", default=OURS.pipeline, help="import path of the class")
    arguments, _ = parser.parse_known_args()
    sources = QUICK_SOURCES if arguments.quick else arguments.sources
    least = SCRAPYS_SHARE * MARKS
    if sources < least:
        parser.error(f"Expected at least {least} for --sources but received {sources}")
    print(describe())
    print("RSS after a garbage collection, children included; children: their part of it.\n")
    for rival, its_sources in (
        (Rival(OURS.label, arguments.ours), sources),
        (STOCK, sources // SCRAPYS_SHARE),
    ):
        print_growth(rival, watch(rival, its_sources))


if __name__ == "__main__":
    try:
        main()
    except CrawlFailed as failed:
        sys.exit(f"Nothing to compare: {failed}")
