"""Make the pictures of the site from the photos: one function per kind of file.

No network, no clock, and no chance: noise is seeded with the picture's name, so
the same photos, code and Pillow give the same bytes. The photos are 300 to
800 px; whatever is larger here is upscaled, with noise added because upscaled
photos alone are flatter, and cheaper to code, than camera pictures.
"""

from __future__ import annotations

import random
from io import BytesIO
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageChops, ImageDraw, ImageFilter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

JPEG_QUALITY = 88
"""Not Pillow's default of 75: a pipeline that re-encodes cannot hide behind equal numbers."""

NOISE_SHIFT = 4
"""Bits taken off each random byte: 4 leaves noise of -8 to +7 levels."""

EXIF_ORIENTATION = 0x0112
ROTATE_TO_THE_RIGHT = 6
"""What a phone held upright writes: turn by 90 degrees clockwise to show (EXIF 2.32, 4.6.4)."""


def scaled(photo: Path, long_side: int, seed: str) -> Image.Image:
    """Open *photo* as RGB with its long side *long_side* pixels, and grain on it."""
    with Image.open(photo) as opened:
        image = opened.convert("RGB")
    factor = long_side / max(image.size)
    size = (round(image.width * factor), round(image.height * factor))
    return with_grain(image.resize(size, Image.Resampling.BICUBIC), seed)


def with_grain(image: Image.Image, seed: str) -> Image.Image:
    """Add the same grey noise to all bands of *image*."""
    grain = noise(image.size, seed).point([value >> NOISE_SHIFT for value in range(256)])
    middle = 1 << (7 - NOISE_SHIFT)
    bands = [ImageChops.add(band, grain, offset=-middle) for band in image.split()]
    return Image.merge(image.mode, bands)


def noise(size: tuple[int, int], seed: str) -> Image.Image:
    """Make a grey image of evenly spread random bytes; equal *seed*, equal noise."""
    data = random.Random(seed).randbytes(size[0] * size[1])
    return Image.frombytes("L", size, data)


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    """Return *image* as the bytes of a file."""
    buffer = BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def as_it_is(photo: Path, long_side: int, seed: str) -> bytes:  # noqa: ARG001
    """Return the bytes of the photo's own file."""
    return photo.read_bytes()


def baseline(photo: Path, long_side: int, seed: str) -> bytes:
    """Make a baseline JPEG."""
    return encoded(scaled(photo, long_side, seed), "JPEG", quality=JPEG_QUALITY)


def progressive(photo: Path, long_side: int, seed: str) -> bytes:
    """Make a progressive JPEG."""
    image = scaled(photo, long_side, seed)
    return encoded(image, "JPEG", quality=JPEG_QUALITY, progressive=True)


def detail(photo: Path, long_side: int, seed: str) -> bytes:
    """Make a baseline JPEG of the middle of the photo, half as wide and high."""
    image = scaled(photo, 2 * long_side, seed)
    width, height = image.size
    middle = image.crop((width // 4, height // 4, width * 3 // 4, height * 3 // 4))
    return encoded(middle, "JPEG", quality=JPEG_QUALITY)


def grey(photo: Path, long_side: int, seed: str) -> bytes:
    """Make a JPEG with one channel."""
    image = scaled(photo, long_side, seed).convert("L")
    return encoded(image, "JPEG", quality=JPEG_QUALITY)


def cmyk(photo: Path, long_side: int, seed: str) -> bytes:
    """Make a CMYK JPEG, without an ICC profile."""
    image = scaled(photo, long_side, seed).convert("CMYK")
    return encoded(image, "JPEG", quality=JPEG_QUALITY)


def turned(photo: Path, long_side: int, seed: str) -> bytes:
    """Make a JPEG that lies on its side and says so in EXIF."""
    image = scaled(photo, long_side, seed).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = ROTATE_TO_THE_RIGHT
    return encoded(image, "JPEG", quality=JPEG_QUALITY, exif=exif)


def cut_out(photo: Path, long_side: int, seed: str) -> bytes:
    """Make an RGBA PNG: opaque in a soft-edged ellipse, transparent around it."""
    image = scaled(photo, long_side, seed)
    edge = long_side // 40
    mask = Image.new("L", image.size, 0)
    box = (2 * edge, 2 * edge, image.width - 2 * edge, image.height - 2 * edge)
    ImageDraw.Draw(mask).ellipse(box, fill=255)
    image.putalpha(mask.filter(ImageFilter.BoxBlur(edge)))
    return encoded(image, "PNG", compress_level=1)


def palette(photo: Path, long_side: int, seed: str) -> bytes:
    """Make a PNG of 64 colours."""
    return encoded(scaled(photo, long_side, seed).quantize(64), "PNG")


def grey16(photo: Path, long_side: int, seed: str) -> bytes:
    """Make a grey PNG of 16 bits per pixel, black at 0 and white at 65 535."""
    # I;16 keeps the low byte first. Noise there makes the pixels truly need their 16 bits.
    level = scaled(photo, long_side, seed).convert("L")
    pixels = Image.merge("LA", (noise(level.size, f"{seed}, low bytes"), level)).tobytes()
    return encoded(Image.frombytes("I;16", level.size, pixels), "PNG", compress_level=1)


def webp(photo: Path, long_side: int, seed: str) -> bytes:
    """Make a lossy WEBP."""
    return encoded(scaled(photo, long_side, seed), "WEBP", quality=82, method=1)


def avif(photo: Path, long_side: int, seed: str) -> bytes:
    """Make a lossy AVIF; needs a Pillow that was built with libavif."""
    # One thread: with more, libaom need not give the same bytes again.
    options: dict[str, Any] = {"quality": 70, "speed": 9, "max_threads": 1}
    return encoded(scaled(photo, long_side, seed), "AVIF", **options)


def gif(photo: Path, long_side: int, seed: str) -> bytes:
    """Make a GIF of one frame and 128 colours."""
    return encoded(scaled(photo, long_side, seed).quantize(128), "GIF")


def truncated(photo: Path, long_side: int, seed: str) -> bytes:
    """Make a JPEG of which only the first two thirds arrived."""
    whole = baseline(photo, long_side, seed)
    return whole[: len(whole) * 2 // 3]


def web_page(photo: Path, long_side: int, seed: str) -> bytes:  # noqa: ARG001
    """Make what a shop sends when a session has ended: a page under an image's name."""
    return b"<!DOCTYPE html><html lang=en><title>Sorry</title><p>Please log in again.</p></html>\n"


RECIPES: dict[str, Callable[[Path, int, str], bytes]] = {
    recipe.__name__: recipe
    for recipe in (
        as_it_is,
        baseline,
        progressive,
        detail,
        grey,
        cmyk,
        turned,
        cut_out,
        palette,
        grey16,
        webp,
        avif,
        gif,
        truncated,
        web_page,
    )
}
