"""AV1: how large the pictures in a stream are (AV1 Bitstream and Decoding Process, 2019).

A decoder does not look at what the boxes around a stream say. A sequence header (5.5) has the
largest size of its frames, which they have unless their own headers say so; dav1d 1.5.3 takes
them at their word, beyond the largest, too (2026-11).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from scrapy_imgpipe.imaging.decoded.bits import Bits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrapy_imgpipe.imaging.decoded.effort import Effort

# 6.2.2: kinds of units. A redundant header is one to who has had no other.
_SEQUENCE, _FRAMES = 1, frozenset({3, 6, 7})
_KEY, _INTRA_ONLY, _SWITCH = 0, 2, 3  # 6.8.2: types of frames
_EITHER = 2  # 3: the frames tell themselves
_HIGH_LEVEL = 7  # 5.5.1: above it there are tiers
_REFERENCES, _ALL = 8, 0xFF  # 5.9.2: frames that are kept, and a bit for each
_HAS_EXTENSION, _HAS_LENGTH = 4, 2  # 5.3.2

# Enough of a header for all that is looked at: 32 operating points have 350 bytes.
_SEQUENCE_BYTES, _FRAME_BYTES, _MOST_LENGTH_BYTES = 512, 64, 8

Size = tuple[int, int]


class Sequence(NamedTuple):
    """What a sequence header says, as far as headers of frames are read by it.

    Attributes:
        size: the largest of its frames.
        bits: of a width and of a height, where a frame has its own.
        reduced: one still picture, whose header is short.
        timed: a decoder model is there, and times in headers of frames, which are not read.
        number_bits: of a frame's number; 0 for none.
        content: whether frames are of screens: no, yes, or they tell themselves.
        whole: whether motion is in whole pixels: as above.
        order_bits: of a frame's place in the order; 0 for none.
    """

    size: Size
    bits: tuple[int, int]
    reduced: bool
    timed: bool
    number_bits: int = 0
    content: int = _EITHER
    whole: int = _EITHER
    order_bits: int = 0

    @property
    def bound(self) -> Size:
        """The largest size that a frame can say."""
        return 1 << self.bits[0], 1 << self.bits[1]


class Stream:
    """A decoder that reads headers only; from one picture to the next it keeps its sequence."""

    def __init__(self, effort: Effort) -> None:
        self._effort = effort
        self._sequence: Sequence | None = None

    def picture(self, data: bytes, start: int, end: int) -> tuple[Size, int]:
        """Return the size of the largest frame from *start* to *end*, and how many there are.

        Looks as far as a decoder can read. A frame that is not shown counts, too.

        Raises:
            ImageBroken: too many pieces.
        """
        largest, frames = (0, 0), 0
        try:
            for kind, body, stop in _units(data, start, end, self._effort):
                if kind == _SEQUENCE:
                    self._sequence = _sequence(data[body : min(stop, body + _SEQUENCE_BYTES)])
                elif kind in _FRAMES and self._sequence is not None:
                    head = data[body : min(stop, body + _FRAME_BYTES)]
                    size = _frame_size(head, self._sequence)
                    frames += size is not None
                    largest = max(largest, size or largest, key=math.prod)
        except (ValueError, IndexError):
            pass
        return largest, frames


def _units(data: bytes, at: int, end: int, effort: Effort) -> Iterator[tuple[int, int, int]]:
    """Walk the units (5.3): kind, start and end of what each holds.

    Raises:
        IndexError: cut off.
        ValueError: a unit that reaches beyond the end.
    """
    while at < end:
        effort.spend()
        head = data[at]
        at += 2 if head & _HAS_EXTENSION else 1
        length = end - at
        if head & _HAS_LENGTH:
            length, at = _length(data, at)
        if at + length > end:
            raise ValueError("Expected a whole unit")
        yield head >> 3 & 15, at, at + length
        at += length


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of 7 bits a byte, lowest first (4.10.5), and where it ends."""
    number = 0
    for place in range(_MOST_LENGTH_BYTES):
        byte = data[at + place]
        number |= (byte & 127) << 7 * place
        if byte < 128:  # noqa: PLR2004 - the last
            return number, at + place + 1
    raise ValueError("Expected the end of a length")


def _sequence(data: bytes) -> Sequence:
    """Read a sequence header (5.5.1).

    Raises:
        ValueError: cut off.
    """
    bits = Bits(data)
    bits.take(4)  # profile, still picture
    reduced, timed = bool(bits.take(1)), False
    if reduced:
        bits.take(5)  # level
    else:
        timed = _operating_points(bits)
    wide, high = bits.take(4) + 1, bits.take(4) + 1
    size = bits.take(wide) + 1, bits.take(high) + 1
    if reduced:
        return Sequence(size, (wide, high), reduced, timed)
    number_bits = bits.take(4) + 2 + bits.take(3) + 1 if bits.take(1) else 0
    bits.take(7)  # tools of the decoder, up to dual filters
    ordered = bits.take(1)
    bits.take(2 * ordered)
    content = _EITHER if bits.take(1) else bits.take(1)
    whole = _EITHER
    if content:
        whole = _EITHER if bits.take(1) else bits.take(1)
    order_bits = bits.take(3) + 1 if ordered else 0
    return Sequence(size, (wide, high), reduced, timed, number_bits, content, whole, order_bits)


def _operating_points(bits: Bits) -> bool:
    """Read over times and operating points; return whether there is a decoder model."""
    timed, delay_bits = False, 0
    if bits.take(1):
        bits.take(64)
        if bits.take(1):
            bits.take_long()
        timed = bool(bits.take(1))
        if timed:
            delay_bits = bits.take(5) + 1
            bits.take(42)
    delayed = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > _HIGH_LEVEL:
            bits.take(1)
        if timed and bits.take(1):
            bits.take(2 * delay_bits + 1)
        if delayed and bits.take(1):
            bits.take(4)
    return timed


def _frame_size(data: bytes, sequence: Sequence) -> Size | None:
    """Return the size that the header of a frame says (5.9.2), or the largest it may have.

    None for one that shows a frame once more.

    Raises:
        ValueError: cut off.
    """
    if sequence.reduced:
        return sequence.size
    bits = Bits(data)
    if bits.take(1):
        return None
    if sequence.timed:  # where its size stands cannot be told
        return sequence.bound
    kind, shown = bits.take(2), bits.take(1)
    bits.take(1 - shown)
    resilient = kind == _SWITCH or (kind == _KEY and shown) or bits.take(1)
    bits.take(1)
    content = bits.take(1) if sequence.content == _EITHER else sequence.content
    bits.take(1 if content and sequence.whole == _EITHER else 0)
    bits.take(sequence.number_bits)
    if kind != _SWITCH and not bits.take(1):
        return sequence.size
    if kind not in {_KEY, _INTRA_ONLY}:  # of another frame, or its own, much further on
        return sequence.bound
    bits.take(sequence.order_bits)
    refreshed = _ALL if kind == _KEY and shown else bits.take(8)
    if refreshed != _ALL and resilient:
        bits.take(_REFERENCES * sequence.order_bits)
    return bits.take(sequence.bits[0]) + 1, bits.take(sequence.bits[1]) + 1
