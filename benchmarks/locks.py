"""How long each image operation holds the interpreter lock, and so stalls the event loop.

A second thread asks for the lock every half millisecond while the operation runs on a
noisy image of 6 megapixels. Printed is the longest it had to wait: the smallest of the
rounds, since only other work on the machine can make it longer.

What takes long here stalls a crawl however many threads there are. It is why encoding
goes through a file in memory, why transparency is pasted and not composited, and why
JPEG2000 is not decoded unless a project asks for it.
"""

from __future__ import annotations

import argparse
import io
import threading
import time
from typing import TYPE_CHECKING

from PIL import Image, features

from scrapy_imgpipe.imaging import Plan, Variant, encode_jpeg, flatten, render

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = (3000, 2000)
TICK_SECONDS = 0.0005
PLAN = Plan((Variant("small", 50, 50), Variant("big", 270, 270)))
DECODERS = {"JPEG": "jpg", "PNG": "zlib", "WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000"}


def noisy(mode: str) -> Image.Image:
    """Return 6 megapixels of noise."""
    bands = [Image.effect_noise(SIZE, 60) for _ in range(Image.getmodebands(mode))]
    return Image.merge(mode, bands)


def encoded(image: Image.Image, kind: str, **options: int) -> bytes:
    """Return *image* as a file of *kind*."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def longest_wait(operation: Callable[[], object]) -> float:
    """Return the longest wait of a thread that asks for the lock, in milliseconds."""
    worst, ended = 0.0, threading.Event()

    def ask() -> None:
        nonlocal worst
        while not ended.is_set():
            before = time.perf_counter()
            time.sleep(TICK_SECONDS)
            worst = max(worst, time.perf_counter() - before - TICK_SECONDS)

    asking = threading.Thread(target=ask)
    asking.start()
    operation()
    ended.set()
    asking.join()
    return worst * 1000


def operations() -> dict[str, Callable[[], object]]:
    """Return what is measured, by the name that is printed."""
    rgb, rgba = noisy("RGB"), noisy("RGBA")
    files = {
        kind: encoded(rgba if kind == "PNG" else rgb, kind)
        for kind, feature in DECODERS.items()
        if features.check(feature)
    }
    white = Image.new("RGBA", SIZE, "white")
    found: dict[str, Callable[[], object]] = {
        f"decode {kind}": lambda data=data: Image.open(io.BytesIO(data)).load()  # type: ignore[misc]
        for kind, data in files.items()
    }
    found |= {
        "encode JPEG into a BytesIO": lambda: rgb.save(io.BytesIO(), "JPEG"),
        "encode JPEG as we do": lambda: encode_jpeg(rgb),
        "alpha_composite": lambda: Image.alpha_composite(white, rgba),
        "flatten as we do": lambda: flatten(rgba),
        "resize to 270 px, LANCZOS": lambda: rgb.resize((270, 180), Image.Resampling.LANCZOS),
    }
    found |= {
        f"render {kind}, 50 and 270 px": lambda data=data: render(data, PLAN)  # type: ignore[misc]
        for kind, data in files.items()
        if kind != "JPEG2000"
    }
    return found


def main() -> None:
    """Measure and print everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run; 3")
    parser.add_argument("--quick", action="store_true", help="one round")
    arguments, _ = parser.parse_known_args()
    rounds = 1 if arguments.quick else arguments.rounds
    print(f"longest wait for the interpreter lock, {SIZE[0]}x{SIZE[1]}, best of {rounds}")
    for name, operation in operations().items():
        wait = min(longest_wait(operation) for _ in range(rounds))
        print(f"  {name:34} {wait:8.1f} ms")


if __name__ == "__main__":
    main()
