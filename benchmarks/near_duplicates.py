"""Perceptual hashes: how far near-duplicates are from one another, and other photos.

Each photo is changed in the ways that shops change them, saved as a JPEG and hashed;
counted are the bits, of 64, that differ from the hash of the photo itself. The same is
counted between all photos, which are different ones. ``phash`` is ours; ``dhash`` is the
simpler one that many use (each bit: is a pixel of a 9x8 copy brighter than its left
neighbour), and is here only.

*Separated* is the mean of two shares, at the threshold where it is best: near-duplicates
that are within it, and different pairs that are not. Then comes what each of the ready record
functions costs for a photo of 500 px, decoded already; CPU time. Last, what it takes to
find the nearest of many random hashes in the index, where all are compared, and where the
index is asked; wall time.
"""

from __future__ import annotations

import random
import tempfile
import time
from contextlib import closing
from io import BytesIO
from itertools import combinations
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING

import options
from machine import describe
from photos import Studio, encode_jpeg
from PIL import Image, ImageDraw, ImageEnhance

from scrapy_imgpipe.imaging import READY, hamming
from scrapy_imgpipe.imaging.ready import phash
from scrapy_imgpipe.index import SqliteIndex
from scrapy_imgpipe.records import ImageRecord, Rendition

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BITS = 64
CROPPED = 0.02
"""Share of the picture that is cut off, at each side."""


def phash_of(image: Image.Image) -> str:
    """Return our hash."""
    return phash(image)["phash"]


def dhash_of(image: Image.Image) -> str:
    """Return the hash of brighter and darker neighbours."""
    levels = image.convert("L").resize((9, 8), Image.Resampling.LANCZOS).tobytes()
    bits = 0
    for row in range(8):
        for left in range(row * 9, row * 9 + 8):
            bits = bits << 1 | (levels[left + 1] > levels[left])
    return f"{bits:016x}"


def smaller(image: Image.Image) -> Image.Image:
    """Return *image* at half its size."""
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)


def cropped(image: Image.Image) -> Image.Image:
    """Return *image* without its edges."""
    x, y = round(image.width * CROPPED), round(image.height * CROPPED)
    return image.crop((x, y, image.width - x, image.height - y))


def brighter(image: Image.Image) -> Image.Image:
    """Return *image*, 10 % brighter."""
    return ImageEnhance.Brightness(image).enhance(1.1)


def marked(image: Image.Image) -> Image.Image:
    """Return *image* with white letters of a twelfth of its height near the lower edge."""
    image = image.copy()
    place, height = (image.width * 0.05, image.height * 0.85), image.height / 12
    ImageDraw.Draw(image).text(place, "example.com", fill="white", font_size=height)
    return image


CHANGES: dict[str, tuple[Callable[[Image.Image], Image.Image], int]] = {
    "half the size": (smaller, 88),
    "JPEG quality 40": (lambda image: image, 40),
    "2 % cut off at each side": (cropped, 88),
    "10 % brighter": (brighter, 88),
    "watermark": (marked, 88),
}
"""What is done, and the quality it is saved at."""

HASHES = {"phash": phash_of, "dhash": dhash_of}


def distances(
    files: Sequence[Path], hash_of: Callable[[Image.Image], str]
) -> tuple[dict[str, list[int]], list[int]]:
    """Return the distances of the near-duplicates by what was done, and of the others."""
    near: dict[str, list[int]] = {name: [] for name in CHANGES}
    hashes = []
    for file in files:
        with Image.open(file) as opened:
            image = opened.convert("RGB")
        hashes.append(hash_of(image))
        for name, (change, quality) in CHANGES.items():
            data = encode_jpeg(change(image), quality=quality)
            near[name].append(hamming(hashes[-1], hash_of(Image.open(BytesIO(data)))))
    return near, [hamming(one, other) for one, other in combinations(hashes, 2)]


def separated(near: Sequence[int], apart: Sequence[int]) -> tuple[float, int]:
    """Return the best share, and the most bits of a near-duplicate that give it."""
    return max(
        (mean((_within(near, most), 1 - _within(apart, most))), -most) for most in range(BITS)
    )


def _within(found: Sequence[int], most: int) -> float:
    return sum(bits <= most for bits in found) / len(found)


def print_distances(files: Sequence[Path]) -> None:
    """Compare and print both hashes."""
    found = {name: distances(files, hash_of) for name, hash_of in HASHES.items()}
    print(f"bits of {BITS} that differ: mean, most" + "".join(f"{name:>14}" for name in found))
    for change in CHANGES:
        cells = (near[change] for near, _ in found.values())
        print(f"  {change:28}" + "".join(f"{mean(bits):>10.2f}{max(bits):4}" for bits in cells))
    print("between photos: mean, least")
    cells = (apart for _, apart in found.values())
    print(" " * 30 + "".join(f"{mean(bits):>10.2f}{min(bits):4}" for bits in cells))
    for name, (near, apart) in found.items():
        all_near = [bits for each in near.values() for bits in each]
        share, most = separated(all_near, apart)
        missed = sum(bits > -most for bits in all_near)
        wrong = sum(bits <= -most for bits in apart)
        print(
            f"{name}: {share:.2%} separated at {-most} bits: {missed} of {len(all_near)} "
            f"near-duplicates missed, {wrong} of {len(apart)} pairs wrongly taken for one"
        )


def print_costs(file: Path, rounds: int) -> None:
    """Measure and print what each ready record function takes."""
    with Image.open(file) as opened:
        opened.load()
        for name, function in READY.items():
            function(opened)
            spent = []
            for _ in range(rounds):
                before = time.thread_time()
                function(opened)
                spent.append((time.thread_time() - before) * 1000)
            print(f"  {name:16}{median(spent):6.2f} ms")


def record_of(number: int, bits: str) -> ImageRecord:
    """Return what the index knows of a source whose picture has the hash *bits*."""
    path = f"full/{number}.jpg"
    full = Rendition("", path, 500, 400, 50_000, 1.0, f"{number:032x}")
    url = f"http://example.com/{number}.jpg"
    return ImageRecord(f"{number:040x}", path, url, full, "JPEG", measured={"phash": bits})


def print_search(known: int, rounds: int) -> None:
    """Measure and print how long one search takes among *known* hashes."""
    chance = random.Random(1)
    hashes = [f"{chance.getrandbits(BITS):016x}" for _ in range(known)]
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(SqliteIndex(Path(folder, "index.sqlite"))) as index,
    ):
        for start in range(0, known, 1000):
            numbered = enumerate(hashes[start : start + 1000], start)
            index.put([record_of(number, bits) for number, bits in numbered])
        before = time.perf_counter()
        min(hamming(hashes[0], other) for other in hashes)
        print(f"  all compared    {(time.perf_counter() - before) * 1000:8.2f} ms")
        for most in (3, 7, 11):
            spent = []
            for _ in range(rounds):
                bits = int(chance.choice(hashes), 16)
                for place in chance.sample(range(BITS), chance.randint(0, most)):
                    bits ^= 1 << place
                before = time.perf_counter()
                assert index.near(f"{bits:016x}", most, ()) is not None
                spent.append((time.perf_counter() - before) * 1000)
            print(f"  within {most:2} bits  {median(spent):8.2f} ms")


def main() -> None:
    """Measure and print everything."""
    arguments = options.parse(__doc__ or "", rounds=25)
    studio = Studio(arguments.photos, arguments.cache)
    files = studio.originals[: 10 if arguments.quick else None]
    print(f"{describe()}\n{len(files)} photos and {len(CHANGES)} near-duplicates of each")
    print_distances(files)
    photo = studio.small(1)
    print(f"record functions, {photo.about}, {arguments.rounds} rounds")
    print_costs(photo.files[0], arguments.rounds)
    known = 20_000 if arguments.quick else 1_000_000
    print(f"the nearest of {known} hashes in the index, {arguments.rounds} rounds")
    print_search(known, arguments.rounds)


if __name__ == "__main__":
    main()
