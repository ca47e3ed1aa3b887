"""One photo on one thread: our renderer beside Scrapy's, plain Pillow, libvips and OpenCV.

Each makes JPEG thumbnails that fit inside 50 and 270 px, of the same photos, the engines in
turn for each photo; printed is the mean of the medians of each photo's rounds, CPU time.

- Scrapy: its ``get_images``, full image included, which it encodes anew.
- Pillow: decoded in full, ``thumbnail()`` with LANCZOS; no full image.
- libvips: ``thumbnail_buffer`` for each size, with its shrink on load; no full image.
- OpenCV: decoded at the smallest scale that is larger, then INTER_AREA; no full image.
- ours: ``render()``, the full image included, which passes through and is looked through.

Engines that are not installed are named. Then Pillow's JPEG codec beside simplejpeg, another
binding of libjpeg-turbo: decoding to the end at 1/8 in grey, decoding to twice 270 px in colour,
encoding 270 px. The last line is what a 100-megapixel baseline JPEG takes in memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from io import BytesIO
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import options
from machine import describe
from photos import Studio
from PIL import Image, ImageOps
from scrapy.pipelines.images import ImagesPipeline as ScrapysPipeline

from scrapy_imgpipe.imaging import Plan, Variant, render

if TYPE_CHECKING:
    from collections.abc import Callable

    from photos import PhotoSet

SIDES = (50, 270)
PLAN = Plan(tuple(Variant(str(side), side, side) for side in SIDES))
HUNDRED_MEGAPIXELS = (11_600, 8_700)

MEMORY = """
import sys
sys.path.insert(0, sys.argv[3])
from family import own_peak_rss_mib
from scrapy_imgpipe.imaging import Plan, Variant, render
plan = Plan((Variant("50", 50, 50), Variant("270", 270, 270)))
data = open(sys.argv[1], "rb").read()
render(open(sys.argv[2], "rb").read(), plan)  # loads what is loaded once
before = own_peak_rss_mib()
render(data, plan)
print(own_peak_rss_mib() - before)
"""


def scrapys() -> Callable[[bytes], object]:
    """Return Scrapy's conversion, called as its pipeline calls it."""
    pipeline: Any = object.__new__(ScrapysPipeline)
    settings = {
        "_Image": Image,
        "_ImageOps": ImageOps,
        "min_width": 0,
        "min_height": 0,
        "thumbs": {str(side): (side, side) for side in SIDES},
    }
    vars(pipeline).update(settings)
    pipeline.file_path = pipeline.thumb_path = lambda *_, **__: ""
    return lambda body: list(pipeline.get_images(SimpleNamespace(body=body), None, None))


def pillow(body: bytes) -> None:
    """Make thumbnails as most programs do."""
    image = Image.open(BytesIO(body)).convert("RGB")
    for side in SIDES:
        small = image.copy()
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        small.save(BytesIO(), "JPEG")


def libvips() -> Callable[[bytes], object]:
    """Return libvips' thumbnails, on one thread."""
    os.environ["VIPS_CONCURRENCY"] = "1"
    import pyvips  # noqa: PLC0415 - may be missing

    pyvips.cache_set_max(0)

    def make(body: bytes) -> None:
        for side in SIDES:
            small = pyvips.Image.thumbnail_buffer(body, side, height=side, size="down")
            small.jpegsave_buffer(Q=75, strip=True)

    return make


def opencv() -> Callable[[bytes], object]:
    """Return OpenCV's thumbnails, on one thread."""
    import cv2  # noqa: PLC0415 - may be missing
    import numpy as np  # noqa: PLC0415 - comes with it

    cv2.setNumThreads(1)
    scales = {8: "8", 4: "4", 2: "2"}

    def make(body: bytes) -> None:
        with Image.open(BytesIO(body)) as header:
            longest = max(header.size)
        flag = next(
            (f"IMREAD_REDUCED_COLOR_{name}" for by, name in scales.items() if longest / by > 540),
            "IMREAD_COLOR",
        )
        image = cv2.imdecode(np.frombuffer(body, np.uint8), getattr(cv2, flag))
        height, width = image.shape[:2]
        for side in SIDES:
            scale = side / max(width, height)
            size = max(round(width * scale), 1), max(round(height * scale), 1)
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 75])

    return make


def engines() -> dict[str, Callable[[bytes], object]]:
    """Return those that are installed; the others are named."""
    found = {"ours": partial(render, plan=PLAN), "Scrapy": scrapys(), "Pillow": pillow}
    for name, engine in (("libvips", libvips), ("OpenCV", opencv)):
        try:
            found[name] = engine()
        except ImportError as error:
            print(f"{name}: not installed ({error})")
    return found


def print_cost(photos: PhotoSet, rivals: dict[str, Callable[[bytes], object]], rounds: int) -> None:
    """Measure and print one set."""
    spent: dict[tuple[str, Path], list[float]] = {}
    bodies = {file: file.read_bytes() for file in photos.files}
    for make in rivals.values():
        make(next(iter(bodies.values())))  # loads what is loaded once
    for _ in range(rounds):
        for file, body in bodies.items():
            for name, make in rivals.items():
                before = time.process_time()  # libvips has threads, even on one
                make(body)
                took = (time.process_time() - before) * 1000
                spent.setdefault((name, file), []).append(took)
    print(f"{photos.name} px ({photos.describe()}), CPU ms an image:")
    each = {name: mean(median(spent[name, file]) for file in bodies) for name in rivals}
    for name, took in each.items():
        print(f"  {name:8} {took:8.2f}   ours takes {each['ours'] / took:6.2f} of it", end="")
        print(f", {took / each['ours']:.1f} times as fast" if name != "ours" else "")


def pillow_codec(body: bytes, side: int, mode: str) -> Image.Image:
    """Return *body* decoded no smaller than *side*, if it is larger."""
    image = Image.open(BytesIO(body))
    image.draft(mode, (side, side))
    image.load()
    return image


def print_codecs(photos: PhotoSet, rounds: int) -> None:
    """Measure and print Pillow's codec and simplejpeg's, which has no planes of YCbCr."""
    try:
        import numpy as np  # noqa: PLC0415 - comes with it
        import simplejpeg  # noqa: PLC0415 - may be missing
    except ImportError as error:
        print(f"simplejpeg: not installed ({error})")
        return
    bodies = [file.read_bytes() for file in photos.files]
    small = pillow_codec(bodies[0], 540, "RGB").resize((270, 203))
    pixels = np.asarray(small)

    def scaled(body: bytes, side: int, space: str) -> object:
        least = {"min_width": side, "min_height": side}
        return simplejpeg.decode_jpeg(body, space, fastdct=True, fastupsample=True, **least)

    calls: dict[str, tuple[Callable[[bytes], object], Callable[[bytes], object]]] = {
        "to the end": (
            partial(pillow_codec, side=1, mode="L"),
            partial(scaled, side=1, space="GRAY"),
        ),
        "540 px": (
            partial(pillow_codec, side=540, mode="RGB"),
            partial(scaled, side=540, space="RGB"),
        ),
        "encoding": (
            lambda _: small.save(BytesIO(), "JPEG"),
            lambda _: simplejpeg.encode_jpeg(pixels, 75, "RGB", "420"),
        ),
    }
    for name, both in calls.items():
        spent: list[list[float]] = [[], []]
        for body in bodies * rounds:
            for took, call in zip(spent, both, strict=True):
                before = time.thread_time()
                call(body)
                took.append((time.thread_time() - before) * 1000)
        of_pillow, of_simplejpeg = map(mean, spent)
        print(f"  {name:12} Pillow {of_pillow:6.2f}   simplejpeg {of_simplejpeg:6.2f}")


def print_memory(small: Path, size: tuple[int, int]) -> None:
    """Print what one photo of *size* takes more than a small one did."""
    with TemporaryDirectory(prefix="imgpipe-bench-") as folder:
        large = Path(folder) / "large.jpg"
        with Image.open(small) as photo:
            photo.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(large, quality=85)
        here = str(Path(__file__).parent)
        command = [sys.executable, "-c", MEMORY, str(large), str(small), here]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        megapixels = size[0] * size[1] / 1e6
        print(
            f"a baseline JPEG of {megapixels:.0f} megapixels, {large.stat().st_size / 1e6:.0f} MB:"
            f" {float(done.stdout):.0f} MiB more RSS"
        )


def main() -> None:
    """Measure and print everything."""
    arguments = options.parse(__doc__ or "", rounds=7)
    studio = Studio(arguments.photos, arguments.cache)
    small, large = (5, 2) if arguments.quick else (60, 24)
    print(f"{describe()}\nthumbnails that fit inside 50 and 270 px, {arguments.rounds} rounds")
    rivals = engines()
    for photos in (studio.small(small), studio.large(large, baseline=True), studio.large(large)):
        print_cost(photos, rivals, arguments.rounds)
    for photos in (studio.small(small), studio.large(large, baseline=True)):
        print(f"codecs, {photos.name} px, CPU ms an image:")
        print_codecs(photos, arguments.rounds)
    size = (2000, 1500) if arguments.quick else HUNDRED_MEGAPIXELS
    print_memory(studio.small(small).files[0], size)


if __name__ == "__main__":
    main()
