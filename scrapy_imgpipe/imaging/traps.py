"""What Pillow decodes while it opens it, or in Python: refused before it can cost anything.

Nothing is decoded here.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from scrapy_imgpipe.errors import ImageBroken, SourceRejected

if TYPE_CHECKING:
    from PIL import Image

#: Most pixels of a picture in an icon. Its table can say 256 x 256 and no more, and few are
#: larger; Pillow decodes the first one while it opens the file, whatever its size.
MOST_ICON_PIXELS = 1 << 22

# Most bytes of a PPM in letters. Pillow reads it number by number, in Python: a second for
# 3 MB (2026-11), in which the event loop stands still.
_MOST_PLAIN_BYTES = 1 << 20


def check_icon(data: bytes) -> None:
    """Refuse an icon with a picture that is none, by its size.

    Raises:
        SourceRejected: ``too-many-pixels``.
    """
    table = data[6 : 6 + 16 * int.from_bytes(data[4:6], "little")]
    for (start,) in struct.iter_unpack("<12xI", table[: len(table) // 16 * 16]):
        head = data[start : start + 24].ljust(24, b"\0")
        if head.startswith(b"\x89PNG"):
            size = struct.unpack(">16xII", head)
        elif head.startswith(b"\x0c\0\0\0"):  # BITMAPCOREHEADER
            size = struct.unpack_from("<4xHH", head)
        elif head[1:4] == bytes(3):  # the others
            size = tuple(map(abs, struct.unpack_from("<4xii", head)))
        else:
            continue
        if size[0] * size[1] > MOST_ICON_PIXELS:
            msg = f"Image has too many pixels ({size[0]}x{size[1]} in an icon)"
            raise SourceRejected(msg, "too-many-pixels")


def check_letters(image: Image.Image, data: bytes) -> None:
    """Refuse a large PPM in letters.

    Raises:
        ImageBroken: too slow to decode.
    """
    plain = image.format == "PPM" and any(tile[0] == "ppm_plain" for tile in image.tile)  # type: ignore[attr-defined]
    if plain and len(data) > _MOST_PLAIN_BYTES:
        raise ImageBroken("Image cannot be decoded: it is in letters, and too long")
