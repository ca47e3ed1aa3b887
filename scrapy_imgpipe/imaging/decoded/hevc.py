"""HEVC: how large the pictures in a stream are (ITU-T H.265, 2021).

Their size stands in a sequence parameter set (7.3.2.2), which is in the configuration of an
item (ISO/IEC 14496-15, 8.3.2), and may come again with the picture.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scrapy_imgpipe.imaging.decoded.bits import Bits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scrapy_imgpipe.imaging.decoded.effort import Effort

_SEQUENCE = 33  # 7.4.2.2: kinds of units
_SETS_AT, _LENGTH_BYTES_AT = 22, 21  # 14496-15, 8.3.3.1.2
_SET_BYTES = 256  # enough of a set: profile, tier and levels of 7 layers have 100
_COLOURS = 3  # 7.3.2.2: a picture in four colours, which may be apart from each other

Size = tuple[int, int]


class Stream:
    """A decoder that reads headers only; from one picture to the next it keeps its sets."""

    def __init__(self, effort: Effort) -> None:
        self._effort = effort
        self._size: Size = (0, 0)
        self._length_bytes = 4

    def configure(self, data: bytes, places: Iterable[tuple[int, int]]) -> None:
        """Read the configurations of an item, which stand at *places*."""
        self._size = (0, 0)
        for start, end in places:
            try:
                self._length_bytes = (data[start + _LENGTH_BYTES_AT] & 3) + 1
                for kind, unit in _sets(data, start + _SETS_AT, end, self._effort):
                    self._see(kind, unit)
            except (ValueError, IndexError):
                continue

    def picture(self, data: bytes, start: int, end: int) -> tuple[Size, int]:
        """Return the size of the largest picture from *start* to *end*; it counts as one.

        Raises:
            ImageBroken: too many pieces.
        """
        at = start
        while at + self._length_bytes <= end:
            self._effort.spend()
            length = int.from_bytes(data[at : at + self._length_bytes])
            at += self._length_bytes
            if at + length > end or not length:
                break
            self._see(data[at] >> 1 & 63, data[at : at + min(length, _SET_BYTES)])
            at += length
        return self._size, 1

    def _see(self, kind: int, unit: bytes) -> None:
        if kind == _SEQUENCE:
            try:
                self._size = max(self._size, _size(unit), key=math.prod)
            except ValueError:
                return


def _sets(data: bytes, at: int, end: int, effort: Effort) -> Iterator[tuple[int, bytes]]:
    """Walk the parameter sets of a configuration (14496-15, 8.3.3.1.2)."""
    for _ in range(data[at]):
        kind, count = data[at + 1] & 63, int.from_bytes(data[at + 2 : at + 4])
        at += 3
        for _ in range(count):
            effort.spend()
            length = int.from_bytes(data[at + 1 : at + 3])
            at += 2
            if at + length > end:
                raise ValueError("Expected a whole parameter set")
            yield kind, data[at + 1 : at + 1 + min(length, _SET_BYTES)]
            at += length


def _size(unit: bytes) -> Size:
    """Read a sequence parameter set up to its size, before anything is cut off its edges.

    Raises:
        ValueError: cut off.
    """
    # 7.4.2: a byte 3 that keeps NULs apart is none of the content.
    bits = Bits(unit.replace(b"\0\0\3", b"\0\0"))
    bits.take(16 + 4)  # head of the unit, number of another set
    layers = bits.take(3)
    bits.take(1)
    _skip_levels(bits, layers)
    bits.take_long()
    if bits.take_long() == _COLOURS:
        bits.take(1)
    return bits.take_long(), bits.take_long()


def _skip_levels(bits: Bits, layers: int) -> None:
    """Read over profile, tier and levels (7.3.3), also those of *layers* below the highest."""
    bits.take(88 + 8)
    there = [(bits.take(1), bits.take(1)) for _ in range(layers)]
    if layers:
        bits.take(2 * (8 - layers))
    for profile, level in there:
        bits.take(88 * profile + 8 * level)
