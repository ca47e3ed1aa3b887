"""What Pillow decodes while it opens it, or in Python: refused before it can cost anything.

Nothing is decoded here.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

from scrapy_imgpipe.errors import ImageBroken, SourceRejected

if TYPE_CHECKING:
    from PIL import Image

#: Most pixels of a picture in an icon. Its table can say 256 x 256 and no more, and few are
#: larger; Pillow decodes the first one while it opens the file, whatever its size.
MOST_ICON_PIXELS = 1 << 22

#: How an icon begins; and of how many pictures it is none that anybody has drawn. One of
#: Windows has a dozen.
ICON, _MOST_PICTURES = b"\0\0\1\0", 256
_PNG, _PIXELS = b"\x89PNG\r\n\x1a\n", b"IDAT"
_MOST_CHUNKS = 1000  # before the pixels

# Most bytes of a PPM in letters. Pillow reads it number by number, in Python: a second for
# 3 MB (2026-11), in which the event loop stands still.
_MOST_PLAIN_BYTES = 1 << 20

# Most samples that Pillow decodes in Python, by its names of decoders: PPM that is not scaled
# to 255, and run lengths of BMP; some five seconds (2026-11).
_MOST_SAMPLES = {"ppm": 5_000_000, "bmp_rle": 32_000_000}


def check_icon(data: bytes) -> None:
    """Refuse an icon with a picture that is none, by its size, and one of too many pictures.

    Raises:
        SourceRejected: ``too-many-pixels``.
        ImageBroken: too many pictures.
    """
    count = int.from_bytes(data[4:6], "little")
    if count > _MOST_PICTURES:
        raise ImageBroken(f"Image cannot be decoded: an icon of {count} pictures")
    table = data[6 : 6 + 16 * count]
    for (start,) in struct.iter_unpack("<12xI", table[: len(table) // 16 * 16]):
        width, height = _size_inside(data, start)
        if width * height > MOST_ICON_PIXELS:
            msg = f"Image has too many pixels ({width}x{height} in an icon)"
            raise SourceRejected(msg, "too-many-pixels")


def _size_inside(data: bytes, start: int) -> tuple[int, int]:
    """Return the size of the picture at *start*; (0, 0) where there is none."""
    head = data[start : start + 24].ljust(24, b"\0")
    if head.startswith(_PNG):
        return _largest_header(data, start + len(_PNG))
    if head.startswith(b"\x0c\0\0\0"):  # BITMAPCOREHEADER
        width, height = struct.unpack_from("<4xHH", head)
        return width, height
    if head[1:4] == bytes(3):  # the others
        width, height = struct.unpack_from("<4xii", head)
        return abs(width), abs(height)
    return 0, 0


def _largest_header(data: bytes, at: int) -> tuple[int, int]:
    """Return the largest size in the chunks from *at* to the pixels.

    There is one header, and first; to Pillow, any number of them, and the last one counts.
    """
    size = 0, 0
    for _ in range(_MOST_CHUNKS):
        if at + 16 > len(data) or data.startswith(_PIXELS, at + 4):
            return size
        length, kind, width, height = struct.unpack_from(">I4sII", data, at)
        if kind == b"IHDR":
            size = max(size, (width, height), key=math.prod)
        at += 12 + length
    raise ImageBroken("Image cannot be decoded: a picture in an icon is in too many pieces")


def check_slow(image: Image.Image, data: bytes) -> None:
    """Refuse a large PPM or BMP that Pillow decodes in Python, pixel by pixel.

    Raises:
        ImageBroken: too slow to decode.
    """
    names = [tile[0] for tile in image.tile[:1]]  # type: ignore[attr-defined]
    if image.format == "PPM" and "ppm_plain" in names and len(data) > _MOST_PLAIN_BYTES:
        raise ImageBroken("Image cannot be decoded: it is in letters, and too long")
    samples = math.prod(image.size) * len(image.getbands())
    if any(samples > _MOST_SAMPLES.get(name, samples) for name in names):
        raise ImageBroken("Image cannot be decoded: it takes too long, with so many pixels")
