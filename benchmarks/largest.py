"""What a picture of 100 megapixels takes in a worker process: seconds, and peak memory.

Each is rendered in a fresh process. It is where the defaults of ``IMGPIPE_MEMORY_LIMIT``
and ``IMGPIPE_TIMEOUT_SECONDS`` come from. The picture is smooth noise.
"""

from __future__ import annotations

import argparse
import io
import time
import warnings
from contextlib import closing
from typing import TYPE_CHECKING, Any

from family import children_peak_rss_mib
from PIL import Image

from scrapy_imgpipe.imaging import Plan, Variant, render
from scrapy_imgpipe.imaging.steps import Rotate
from scrapy_imgpipe.processes.pool import Processes
from scrapy_imgpipe.processes.process import Terms
from scrapy_imgpipe.surroundings import surroundings

if TYPE_CHECKING:
    from collections.abc import Iterator

SIDE, QUICK_SIDE = 10_000, 1_000
THUMBS = (Variant("small", 50, 50), Variant("big", 270, 270))
PLANS = {
    "thumbnails": Plan(THUMBS),
    "turned by a step": Plan((Variant("turned", 500, 500, steps=(Rotate(10),)),)),
    "full image in WEBP": Plan(THUMBS, full=Variant("", format="WEBP")),
}


def files(side: int) -> Iterator[tuple[str, bytes]]:
    """Yield a name and the bytes of each picture."""
    grey = Image.effect_noise((side // 20, side // 20), 60).resize((side, side))
    colour = Image.merge("RGB", (grey, grey.transpose(Image.Transpose.ROTATE_90), grey))
    yield "JPEG", encoded(colour, "JPEG", quality=85)
    yield "progressive JPEG", encoded(colour, "JPEG", quality=85, progressive=True)
    yield "AVIF", encoded(colour, "AVIF", quality=60, speed=10)
    colour.putalpha(grey)
    yield "transparent PNG", encoded(colour, "PNG", compress_level=1)
    yield "transparent WEBP", encoded(colour, "WEBP", lossless=True, method=0)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return *image* as a file of *kind*."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def main() -> None:
    """Print a line for each picture and plan."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="pictures of one megapixel")
    side = QUICK_SIDE if parser.parse_args().quick else SIDE
    Image.MAX_IMAGE_PIXELS = None
    warnings.simplefilter("ignore")
    for name, data in files(side):
        for plan_name, plan in PLANS.items():
            terms = Terms(("scrapy_imgpipe.tasks",))
            with closing(Processes(1, terms, surroundings)) as processes:
                processes.call(len, b"")  # it has started
                began = time.perf_counter()
                processes.call(render, data, plan)
                seconds = time.perf_counter() - began
                print(
                    f"{name:17} {plan_name:19} {seconds:6.1f} s {children_peak_rss_mib():6.0f} MiB",
                    flush=True,
                )


if __name__ == "__main__":
    main()
