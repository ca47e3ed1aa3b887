"""GIF: how large the canvas is with each frame (GIF89a; CompuServe, 1990).

Browsers cut off what is outside the screen; Pillow makes the canvas larger, while it goes to
a frame and before it can be asked. So this reads as Pillow does, where that is odd, too.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_SCREEN_BYTES, _IMAGE_BYTES = 13, 10  # sections 17 and 18, section 20
_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_COMMENT, _APPLICATION = 0xFE, 0xFF
_LOOP = b"\x0bNETSCAPE2.0"

_size = struct.Struct("<HH").unpack_from
_image = struct.Struct("<xHHHHB").unpack_from


def canvases(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield width and height of the canvas with each frame, up to where *data* is cut off.

    Looks no further than is asked for.
    """
    width, height = _size(data, 6)
    at, first = _SCREEN_BYTES + _colour_bytes(data[10]), True
    try:
        while data[at] != _TRAILER:
            if data[at] == _EXTENSION:
                at = _behind_extension(data, at + 1, first=first)
            elif data[at] == _IMAGE:
                left, top, wide, high, flags = _image(data, at)
                width, height = max(width, left + wide), max(height, top + high)
                yield width, height
                at, first = (
                    _behind_blocks(data, at + _IMAGE_BYTES + _colour_bytes(flags) + 1),
                    False,
                )
            else:
                at += 1
    except (IndexError, struct.error):
        return


def _colour_bytes(flags: int) -> int:
    """Return how long the colour table is that *flags* tell of (sections 18 and 20)."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _behind_extension(data: bytes, at: int, *, first: bool) -> int:
    """Go behind an extension whose label is at *at*.

    Of all but a comment Pillow takes a block, and then all up to an empty one, even if the one
    it took was empty.
    """
    label, at = data[at], at + 1
    if label != _COMMENT:
        loops = first and label == _APPLICATION and data.startswith(_LOOP, at)
        at += 1 + data[at]
        at += 1 + data[at] if loops else 0
    return _behind_blocks(data, at)


def _behind_blocks(data: bytes, at: int) -> int:
    while size := data[at]:
        at += size + 1
    return at + 1
