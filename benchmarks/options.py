"""The command line the benchmarks have in common."""

from __future__ import annotations

import os
import re
import tempfile
from argparse import (
    ArgumentDefaultsHelpFormatter,
    ArgumentParser,
    ArgumentTypeError,
    Namespace,
)
from pathlib import Path
from typing import TYPE_CHECKING

from in_turn import OURS
from photos import PHOTOS

if TYPE_CHECKING:
    from collections.abc import Sequence


def parse(description: str, *, rounds: int = 3, cases: Sequence[str] = ()) -> Namespace:
    """Return the options of a benchmark: ``rounds``, ``quick``, ``ours``, ``photos``, ``cache``.

    Where there are *cases*, ``cases`` as well: the names of those to run.
    """
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
    if cases:
        parser.add_argument(
            "--cases",
            type=lambda wanted: chosen(cases, wanted),
            default=list(cases),
            help="run only these: words of their names, with commas between them",
        )
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"Expected at least 1 for --rounds but received {options.rounds}")
    if options.quick:
        options.rounds = 1
    return options


def chosen(cases: Sequence[str], wanted: str) -> list[str]:
    """Return those of *cases* that have one of the words *wanted*, in whole: 500 is not 5000.

    Raises:
        ArgumentTypeError: none has.
    """
    words = [re.escape(word.strip()) for word in wanted.split(",") if word.strip()]
    found = [case for case in cases if any(re.search(rf"\b{word}\b", case) for word in words)]
    if not found:
        raise ArgumentTypeError(f"Expected words of one of {list(cases)} but received {wanted!r}")
    return found


def default_cache() -> Path:
    """Return tox's folder for work files when tox runs us, else one under the system's."""
    tox = os.environ.get("TOX_WORK_DIR")
    return Path(tox or tempfile.gettempdir(), "imgpipe-bench-photos")
