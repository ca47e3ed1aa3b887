"""Pictures for tests: noisy and not at Pillow's default quality; flat ones hide re-encoding."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image


def noise(size: tuple[int, int] = (120, 80), mode: str = "RGB") -> Image.Image:
    """Return random pixels, different at each call."""
    bands = [Image.effect_noise(size, 90) for _ in range(Image.getmodebands(mode))]
    if mode in {"L", "LA", "RGB", "RGBA", "CMYK"}:
        return Image.merge(mode, bands)
    return noise(size).convert(mode)


def encoded(image: Image.Image, format: str = "JPEG", **options: Any) -> bytes:  # noqa: A002
    """Return *image* as a file of *format*; JPEG at quality 88 unless told otherwise."""
    if format == "JPEG":
        options = {"quality": 88, **options}
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def jpeg(size: tuple[int, int] = (120, 80), **options: Any) -> bytes:
    """Return a new noisy JPEG."""
    return encoded(noise(size), **options)


def opened(data: bytes) -> Image.Image:
    """Return *data* decoded."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image
