"""The command line the benchmarks have in common."""

from __future__ import annotations

import os
import tempfile
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, Namespace
from pathlib import Path

from in_turn import OURS
from photos import PHOTOS


def parse(description: str, *, rounds: int = 3) -> Namespace:
    """Return the options of a benchmark: ``rounds``, ``quick``, ``ours``, ``photos``, ``cache``."""
    parser = ArgumentParser(description=description, formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument(
        "--rounds", type=int, default=rounds, help="how often each rival runs; 5 for the record"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="few images, one round: shows that the benchmark works, its figures mean little",
    )
    parser.add_argument(
        "--ours", default=OURS.pipeline, help="import path of the class held against Scrapy's"
    )
    parser.add_argument("--photos", type=Path, default=PHOTOS, help="folder of the small originals")
    parser.add_argument(
        "--cache", type=Path, default=default_cache(), help="folder the photos are made in, once"
    )
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"Expected at least 1 for --rounds but received {options.rounds}")
    if options.quick:
        options.rounds = 1
    return options


def default_cache() -> Path:
    """Return tox's folder for work files when tox runs us, else one under the system's."""
    tox = os.environ.get("TOX_WORK_DIR")
    return Path(tox or tempfile.gettempdir(), "imgpipe-bench-photos")
