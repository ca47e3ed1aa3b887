"""TIFF: how many pixels its tiles have (TIFF 6.0, section 15), beyond the edges, too.

libtiff decodes tile by tile, each whole, whatever part of it is shown. Strips (section 3) end
with the picture, however many rows they say to have.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from scrapy_imgpipe.imaging.decoded.effort import Effort

_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 322, 323

# Section 2, and 64 bits of BigTIFF: the types of numbers that libtiff takes for a side.
_NUMBERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 16: "Q", 17: "q"}


class _Layout(NamedTuple):
    """How a directory is written; the places of BigTIFF have 64 bits."""

    order: str
    first: int
    offset: struct.Struct
    number: struct.Struct
    entry: struct.Struct


def _layout(data: bytes) -> _Layout:
    order = "<" if data.startswith(b"II") else ">"
    big = b"+" in data[2:4]
    codes = ("Q", "Q", "HHQ8s") if big else ("I", "H", "HHI4s")
    return _Layout(order, 8 if big else 4, *(struct.Struct(order + code) for code in codes))


def tiff_pixels(data: bytes, effort: Effort) -> int:
    """Return how many pixels the tiles of the first directory have; 0 without tiles.

    Of a side that is told twice, the larger counts.

    Raises:
        struct.error: cut off.
        ImageBroken: too many tags.
    """
    layout = _layout(data)
    (at,) = layout.offset.unpack_from(data, layout.first)
    (count,) = layout.number.unpack_from(data, at)
    start, size = at + layout.number.size, layout.entry.size
    count = min(count, (len(data) - start) // size)
    effort.spend(count)
    told = dict.fromkeys((_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT), 0)
    for tag, kind, _, value in layout.entry.iter_unpack(data[start : start + size * count]):
        if tag in told and kind in _NUMBERS:
            number = struct.unpack_from(layout.order + _NUMBERS[kind], value)[0]
            told[tag] = max(told[tag], number)
    width, height, wide, high = told.values()
    if not wide or not high:
        return 0
    return -(-width // wide) * wide * -(-height // high) * high
