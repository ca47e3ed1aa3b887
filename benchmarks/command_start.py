"""What the command costs each start of Scrapy, for Scrapy imports all commands each time.

``scrapy version`` with and without the entry point, in turn; and how long importing
``scrapy_imgpipe.commands`` takes in a process that has imported what Scrapy itself does.
The machine's noise is larger than the difference of the former; the latter is the figure.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import scrapy_imgpipe

LIBRARY = Path(scrapy_imgpipe.__file__).parents[1]
ENTRY_POINT = "[scrapy.commands]\nimgpipe = scrapy_imgpipe.commands:Command\n"
IMPORT = """\
import time, scrapy.cmdline
began = time.perf_counter()
import scrapy_imgpipe.commands
print((time.perf_counter() - began) * 1000)
"""


def announce(folder: Path, entry_points: str) -> None:
    """Make *folder* announce *entry_points*, in place of an installed distribution's."""
    metadata = folder / "scrapy_imgpipe-0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: scrapy-imgpipe\nVersion: 0\n")
    (metadata / "entry_points.txt").write_text(entry_points)


def run(folder: Path, *arguments: str) -> tuple[float, str]:
    """Run Python with *arguments*; return the milliseconds it took and what it printed."""
    path = os.pathsep.join([str(folder), str(LIBRARY)])
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return (time.perf_counter() - began) * 1000, done.stdout


def main(rounds: int) -> None:
    """Run and print."""
    starts: dict[str, list[float]] = {"without": [], "with": []}
    imports: list[float] = []
    with tempfile.TemporaryDirectory() as work:
        for name, text in (("without", ""), ("with", ENTRY_POINT)):
            announce(Path(work, name), text)
        for number in range(rounds + 1):
            times = {name: run(Path(work, name), "-m", "scrapy", "version")[0] for name in starts}
            _, printed = run(Path(work, "with"), "-c", IMPORT)
            if number:  # the first one warms up
                imports.append(float(printed))
                for name, taken in times.items():
                    starts[name].append(taken)
    pairs = zip(starts["with"], starts["without"], strict=True)
    print(f"scrapy version, {rounds} paired runs, medians:")
    for name, taken in starts.items():
        print(f"  {name:7} the entry point  {median(taken):7.1f} ms")
    print(f"  difference of each pair  {median(a - b for a, b in pairs):+7.1f} ms")
    print(
        f"import of scrapy_imgpipe.commands  {median(imports):.2f} ms (at most {max(imports):.2f})"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="pairs of runs; 15")
    parser.add_argument("--quick", action="store_true", help="three pairs")
    arguments, _ = parser.parse_known_args()
    main(3 if arguments.quick else arguments.rounds)
