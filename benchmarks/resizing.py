"""Thumbnails on one thread: what they cost as plain Pillow makes them, and as ours are made.

Plain is what Scrapy does: decode at full scale, convert to RGB, ``thumbnail()`` with
LANCZOS. Ours is ``render()``, which looks the file through as well. The two take turns,
photo by photo; printed is the mean of the medians of each photo's rounds, CPU time.

How little ours differ is said by SSIM (Wang et al., 2004), which is 1 for the same
picture. It is taken of the example photos, which have no grain laid over them, against
thumbnails by LANCZOS from a full decode; means of 8 by 8 pixels at two offsets stand
for the paper's round window, and the mean of red, green and blue for the picture.
"""

from __future__ import annotations

import time
from io import BytesIO
from statistics import mean, median
from typing import TYPE_CHECKING

import options
from machine import describe
from photos import Studio
from PIL import Image, ImageMath

from scrapy_imgpipe.imaging import Plan, Variant, fit_inside, render

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from photos import PhotoSet

SIDES = (50, 270)
PLAN = Plan(tuple(Variant(str(side), side, side) for side in SIDES))
WINDOW = 8
STEADY = (0.01 * 255) ** 2, (0.03 * 255) ** 2
"""The paper's C1 and C2, which keep dark and flat parts from counting too much."""


def plain(body: bytes) -> list[bytes]:
    """Return *body*'s thumbnails as Scrapy makes them."""
    image = Image.open(BytesIO(body)).convert("RGB")
    encoded = []
    for side in SIDES:
        small = image.copy()
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        encoded.append(_jpeg(small))
    return encoded


def ours(body: bytes) -> list[bytes]:
    """Return *body*'s thumbnails as ours are made."""
    return [picture.data for picture in render(body, PLAN)[1:]]


def in_turn(bodies: Sequence[bytes], rounds: int) -> tuple[float, float]:
    """Return the CPU milliseconds for one photo, plain and ours."""
    ways: tuple[Callable[[bytes], object], ...] = (plain, ours)
    spent: dict[tuple[int, int], list[float]] = {}
    for make in ways:
        make(bodies[0])  # loads Pillow's plug-ins
    for _ in range(rounds):
        for photo, body in enumerate(bodies):
            for way, make in enumerate(ways):
                before = time.thread_time()
                make(body)
                spent.setdefault((way, photo), []).append((time.thread_time() - before) * 1000)
    of_plain, of_ours = (
        mean(median(spent[way, photo]) for photo in range(len(bodies))) for way in (0, 1)
    )
    return of_plain, of_ours


def likeness(body: bytes) -> list[float]:
    """Return the SSIM of ours and the best thumbnails of *body*, one for each side."""
    full = Image.open(BytesIO(body)).convert("RGB")
    found = []
    for side, data in zip(SIDES, ours(body), strict=True):
        best = full.resize(fit_inside(full.size, (side, side)), Image.Resampling.LANCZOS)
        found.append(ssim(Image.open(BytesIO(data)), Image.open(BytesIO(_jpeg(best)))))
    return found


def ssim(one: Image.Image, other: Image.Image) -> float:
    """Return the mean structural similarity of two ``RGB`` images of one size."""
    offsets = (0, WINDOW // 2)
    return mean(
        _similarity(a, b, offset)
        for a, b in zip(one.split(), other.split(), strict=True)
        for offset in offsets
    )


def _similarity(one: Image.Image, other: Image.Image, offset: int) -> float:
    """Return it for two ``L`` images, from windows beginning at *offset*."""
    box = (offset, offset, *one.size)
    a, b = (image.crop(box).convert("F") for image in (one, other))
    means = {
        "a": _windows(a),
        "b": _windows(b),
        "aa": _windows(_product(a, a)),
        "bb": _windows(_product(b, b)),
        "ab": _windows(_product(a, b)),
    }
    values: list[float] = [
        (2 * a * b + STEADY[0])
        * (2 * (ab - a * b) + STEADY[1])
        / ((a * a + b * b + STEADY[0]) * (aa - a * a + bb - b * b + STEADY[1]))
        for a, b, aa, bb, ab in zip(*means.values(), strict=True)
    ]
    return mean(values)


def _product(one: Image.Image, other: Image.Image) -> Image.Image:
    product: Image.Image = ImageMath.lambda_eval(
        lambda names: names["a"] * names["b"], a=one, b=other
    )
    return product


def _windows(image: Image.Image) -> Sequence[float]:
    """Return the means of *image*'s windows."""
    return memoryview(image.reduce(WINDOW).tobytes()).cast("f")


def _jpeg(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()


def print_cost(photos: PhotoSet, rounds: int) -> None:
    """Measure and print one set."""
    bodies = [file.read_bytes() for file in photos.files]
    of_plain, of_ours = in_turn(bodies, rounds)
    print(f"{photos.name} px ({photos.describe()})")
    print(
        f"  plain {of_plain:6.2f} ms   ours {of_ours:6.2f} ms   "
        f"{1 - of_ours / of_plain:.0%} less CPU"
    )


def print_likeness(files: Sequence[Path]) -> None:
    """Compare and print the originals."""
    found = [likeness(file.read_bytes()) for file in files]
    print(f"SSIM of ours and of LANCZOS from a full decode, {len(files)} example photos")
    for side, values in zip(SIDES, zip(*found, strict=True), strict=True):
        print(f"  {side:3} px: mean {mean(values):.3f}, least {min(values):.3f}")


def main() -> None:
    """Measure and print everything."""
    arguments = options.parse(__doc__ or "", rounds=9)
    studio = Studio(arguments.photos, arguments.cache)
    small, large = (5, 2) if arguments.quick else (60, 24)
    sizes = " and ".join(str(side) for side in SIDES)
    print(f"{describe()}\nthumbnails of {sizes} px, {arguments.rounds} rounds")
    for photos in (studio.small(small), studio.large(large)):
        print_cost(photos, arguments.rounds)
    print_likeness(studio.originals[: small if arguments.quick else None])


if __name__ == "__main__":
    main()
