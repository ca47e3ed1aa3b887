"""Measure C: what the codec itself costs for one image, at its best.

Pillow alone, in this process, one thread: no Scrapy, no network, no files, and nothing
of ours. The best way known here to do the necessary work: every byte decoded once, at
the smallest DCT scale that is at least twice the largest thumbnail (Pillow's own
margin), without colours where there are no thumbnails; of the largest thumbnail only
the colours that JPEG keeps, half the width and height of them; smaller thumbnails from
it; the full image not encoded at all, for the original bytes are the full image.
"""

from __future__ import annotations

import time
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from PIL.JpegImagePlugin import JpegImageFile

Resampling = Image.Resampling

MARGIN = 2
"""How many times larger than its target an image stays before the last, good filter."""

HALVED = 96
"""Long side in pixels from which it pays to halve colours before encoding."""


def codec_ms(files: Iterable[Path], thumbs: Sequence[tuple[int, int]]) -> float:
    """Return the mean CPU milliseconds for decoding one file and making its thumbnails."""
    bodies = [file.read_bytes() for file in files]
    one_image(bodies[0], thumbs)  # loads Pillow's plug-ins
    before = time.thread_time()
    for body in bodies:
        one_image(body, thumbs)
    return (time.thread_time() - before) / len(bodies) * 1000


def one_image(body: bytes, thumbs: Sequence[tuple[int, int]]) -> list[bytes]:
    """Return *body*'s thumbnails, encoded as JPEG at Pillow's default quality.

    Args:
        body: a JPEG in grey, CMYK or YCbCr, which is what encoders make of RGB.
        thumbs: boxes they must fit inside.
    """
    image: JpegImageFile = Image.open(BytesIO(body), formats=("JPEG",))  # type: ignore[assignment]
    if not thumbs:
        # 1 px asks for a scale of 1/8, the decoder's cheapest way to the end.
        image.draft("L", (1, 1))
        image.load()
    encoded, small = [], None
    for box in sorted(thumbs, reverse=True):
        if small is None:
            small = largest(image, box)
        small.thumbnail(box, Resampling.LANCZOS)
        out = BytesIO()
        small.save(out, "JPEG")
        encoded.append(out.getvalue())
    return encoded


def largest(image: JpegImageFile, box: tuple[int, int]) -> Image.Image:
    """Return *image*, not decoded yet, as it fits inside *box*."""
    full = image.size
    factor = min(box[0] / full[0], box[1] / full[1], 1)
    size = (max(round(full[0] * factor), 1), max(round(full[1] * factor), 1))
    mode = "YCbCr" if max(size) >= HALVED else None
    drafted = image.draft(mode, (MARGIN * size[0], MARGIN * size[1]))
    picture: tuple[float, float, float, float] = drafted[1] if drafted else (0, 0, *full)
    if image.mode != "YCbCr":
        return image.resize(size, Resampling.LANCZOS, picture, MARGIN)
    luma = image.convert("L").resize(size, Resampling.LANCZOS, picture, MARGIN)
    colours: Image.Image = image
    if image.size == full and [layer[1:3] for layer in image.layer] == [(2, 2), (1, 1), (1, 1)]:
        # The decoder made four of each. The first of them lies a quarter off their midst.
        columns, rows = (full[0] + 1) // 2, (full[1] + 1) // 2
        firsts = (0, 0, 2 * columns - 1, 2 * rows - 1)
        colours = image.resize((columns, rows), Resampling.NEAREST, firsts)
        right, bottom = min(full[0] / 2 + 0.25, columns), min(full[1] / 2 + 0.25, rows)
        picture = (0.25, 0.25, right, bottom)
    # An odd side is not halved, or its colours would be stretched.
    halves = (size[0] // (2 - size[0] % 2), size[1] // (2 - size[1] % 2))
    colours = colours.resize(halves, Resampling.HAMMING, picture, MARGIN)
    colours = colours.resize(size, Resampling.NEAREST)
    return Image.merge("YCbCr", (luma, colours.getchannel("Cb"), colours.getchannel("Cr")))
