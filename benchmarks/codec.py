"""Measure C: what the codec itself costs for one image, at its best.

Pillow alone, in this process, one thread: no Scrapy, no network, no files. The best
way known here to do the necessary work: every byte decoded once, at the smallest DCT
scale that is at least twice the largest thumbnail (Pillow's own margin); thumbnails
from one another, largest first; the full image not encoded at all, for the original
bytes are the full image.
"""

from __future__ import annotations

import time
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


def codec_ms(files: Iterable[Path], thumbs: Sequence[tuple[int, int]]) -> float:
    """Return the mean CPU milliseconds for decoding one file and making its thumbnails."""
    bodies = [file.read_bytes() for file in files]
    one_image(bodies[0], thumbs)  # loads Pillow's plug-ins
    before = time.thread_time()
    for body in bodies:
        one_image(body, thumbs)
    return (time.thread_time() - before) / len(bodies) * 1000


def one_image(body: bytes, thumbs: Sequence[tuple[int, int]]) -> list[bytes]:
    """Return *body*'s thumbnails, encoded as JPEG at Pillow's default quality."""
    sizes = sorted(thumbs, reverse=True)
    image: Image.Image = Image.open(BytesIO(body))
    if not sizes:
        # 1 px asks for a scale of 1/8, the decoder's cheapest way to the end.
        image.draft("RGB", (1, 1))
        image.load()
    encoded = []
    for size in sizes:
        image.thumbnail(size, Image.Resampling.LANCZOS)
        out = BytesIO()
        image.save(out, "JPEG")
        encoded.append(out.getvalue())
    return encoded
