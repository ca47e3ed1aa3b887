"""Thumbnails of a folder: ``process_images`` beside plain Pillow in a process for each core.

Both make the same of each photo: the full image, which is copied as it is once it has been
decoded to its end, and JPEG thumbnails that fit inside 50 and 270 px, at quality 75.

- Pillow: ``ProcessPoolExecutor``, as many processes as usable cores, 8 files at a time;
  ``thumbnail()`` with LANCZOS, which has the decoder shrink what it can, the smaller one made
  of the larger one; files are written in place.
- ours: ``process_images`` with its default settings; files appear whole, and there is a table
  of what became of each.

In turn in each round, each with a fresh store, starts of processes and of the pool included;
factors are medians of the rounds' own. Then the same call again, which finds all of it there.
"""

from __future__ import annotations

import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import options
from machine import cores, describe
from photos import Studio
from PIL import Image

from scrapy_imgpipe import Plan, Variant, process_images

if TYPE_CHECKING:
    from collections.abc import Callable

    from photos import PhotoSet

SIDES = (270, 50)
PLAN = Plan(tuple(Variant(str(side), side, side) for side in SIDES))
SMALL, LARGE = 960, 192
"""How many photos each case has."""


class Taken(NamedTuple):
    """What one run took."""

    wall_s: float
    cpu_s: float


def by_pillow(store: str, path: str) -> None:
    """Make the thumbnails of one photo."""
    name = f"{Path(path).stem}.jpg"
    with open(path, "rb") as file:  # noqa: PTH123 - as fast as it gets
        data = file.read()
    with Image.open(path) as image:
        for side in SIDES:
            image.thumbnail((side, side), Image.Resampling.LANCZOS)
            image.save(Path(store, "thumbs", str(side), name), "JPEG", quality=75)
    Path(store, "full", name).write_bytes(data)


def run_pillow(folder: Path, store: Path) -> None:
    """Do it with Pillow alone."""
    for part in ("full", *(f"thumbs/{side}" for side in SIDES)):
        (store / part).mkdir(parents=True)
    paths = [entry.path for entry in os.scandir(folder)]
    with ProcessPoolExecutor(cores()) as pool:
        for _ in pool.map(partial(by_pillow, str(store)), paths, chunksize=8):
            pass


def run_ours(folder: Path, store: Path) -> None:
    """Do it with ours."""
    table = process_images(folder, PLAN, store)
    if not table["outcome"].isin(["stored", "up-to-date"]).all():
        raise SystemExit(f"Some failed: {table['outcome'].value_counts().to_dict()}")


def taken_by(run: Callable[[Path, Path], None], folder: Path, store: Path) -> Taken:
    """Return what *run* takes, its processes included."""
    before, began = os.times(), time.perf_counter()
    run(folder, store)
    wall, after = time.perf_counter() - began, os.times()
    return Taken(wall, sum(after[:4]) - sum(before[:4]))


def run_case(photos: PhotoSet, count: int, rounds: int) -> None:
    """Run and print one case."""
    pillow, ours, again = [], [], []
    with tempfile.TemporaryDirectory(prefix="imgpipe-bulk-") as work:
        folder = Path(work, "photos")
        folder.mkdir()
        for number in range(count):
            source = photos.files[number % len(photos.files)]
            (folder / f"{number}.jpg").symlink_to(source)
        for number in range(rounds):
            stores = [Path(work, f"{kind}-{number}") for kind in ("pillow", "ours")]
            pillow.append(taken_by(run_pillow, folder, stores[0]))
            ours.append(taken_by(run_ours, folder, stores[1]))
            again.append(taken_by(run_ours, folder, stores[1]))
    print(f"{count} photos: {photos.describe()}")
    for label, runs in (("Pillow", pillow), ("ours", ours), ("ours again", again)):
        wall, cpu = (median(values) for values in zip(*runs, strict=True))
        print(
            f"{label:11} {wall:6.2f} s  {count / wall:7.0f} images/s  "
            f"{cpu / count * 1000:6.2f} ms CPU an image"
        )
    for what, place in (("as fast", 0), ("its CPU", 1)):
        factors = [
            one[place] / max(own[place], 1e-9) for one, own in zip(pillow, ours, strict=True)
        ]
        if place:
            factors = [1 / factor for factor in factors]
        each = " ".join(f"{factor:.2f}" for factor in factors)
        print(f"{median(factors):.2f} times {what} as Pillow's ({each})")
    print(flush=True)


def main() -> None:
    """Run the benchmark."""
    arguments = options.parse(__doc__ or "")
    print(describe())
    studio, per = Studio(arguments.photos, arguments.cache), 10 if arguments.quick else 1
    run_ours_once(studio.small(1))
    run_case(studio.small(32), SMALL // per, arguments.rounds)
    run_case(studio.large(24), LARGE // per, arguments.rounds)


def run_ours_once(photos: PhotoSet) -> None:
    """Import what is imported once."""
    with tempfile.TemporaryDirectory(prefix="imgpipe-bulk-") as store:
        process_images(list(photos.files), PLAN, store)


if __name__ == "__main__":
    main()
