"""Random damage of the kinds that parsers fall for; the same for the same random numbers."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

#: What lengths, counts, sizes and offsets go wrong with.
_NUMBERS = (0, 1, 2, 7, 8, 127, 128, 255, 256, 32767, 32768, 65500, 65535, 2**31 - 1, 2**32 - 1)
_LAYOUTS = ("B", ">H", "<H", ">I", "<I")
#: Words of the formats, to be put where they do not belong.
_WORDS = (
    b"\xff\xd8", b"\xff\xd9", b"\xff\xda", b"\xff\xc0", b"\xff\xc4", b"\xff\xe1\0\x10Exif\0\0",
    b"IHDR", b"IDAT", b"IEND", b"acTL", b"fcTL", b"iCCP", b"eXIf", b"!\xf9\4", b"!\xff\x0b", b",",
    b";", b"VP8X", b"VP8L", b"ANMF", b"ALPH", b"II*\0\x08\0\0\0", b"MM\0*", b"meta", b"iprp",
    b"ipco", b"iloc", b"moov", b"stsz", b"mdat",
)  # fmt: skip


def _flip(draw: Random, data: bytearray, _: Sequence[bytes]) -> None:
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)


def _number(draw: Random, data: bytearray, _: Sequence[bytes]) -> None:
    """Put a number where one may be: a length, a count, a size, an offset."""
    layout = draw.choice(_LAYOUTS)
    width = struct.calcsize(layout)
    at = draw.randrange(max(len(data) - width, 1))
    number = draw.choice(_NUMBERS)
    if draw.random() < 0.5 and at + width <= len(data):  # a little beside what is there
        number = struct.unpack_from(layout, data, at)[0] + draw.randint(-4, 4)
    data[at : at + width] = struct.pack(layout, number % (1 << 8 * width))


def _cut(draw: Random, data: bytearray, _: Sequence[bytes]) -> None:
    del data[draw.randrange(1, len(data) + 1) :]


def _lose(draw: Random, data: bytearray, _: Sequence[bytes]) -> None:
    at = draw.randrange(len(data))
    del data[at : at + draw.randint(1, 40)]


def _repeat(draw: Random, data: bytearray, _: Sequence[bytes]) -> None:
    at = draw.randrange(len(data))
    data[at:at] = data[at : at + draw.randint(1, 60)] * draw.randint(1, 20)


def _splice(draw: Random, data: bytearray, others: Sequence[bytes]) -> None:
    """Put a piece of another file into this one."""
    other = draw.choice(others)
    start, at = draw.randrange(len(other)), draw.randrange(len(data))
    piece = other[start : start + draw.randint(1, 400)]
    data[at : at + draw.choice([0, len(piece)])] = piece


def _word(draw: Random, data: bytearray, _: Sequence[bytes]) -> None:
    word, at = draw.choice(_WORDS), draw.randrange(len(data))
    data[at : at + draw.choice([0, len(word)])] = word


def _fill(draw: Random, data: bytearray, _: Sequence[bytes]) -> None:
    at = draw.randrange(len(data))
    count = draw.randint(1, 200)
    data[at : at + count] = bytes([draw.choice([0, 255])]) * count


_WAYS: tuple[Callable[[Random, bytearray, Sequence[bytes]], None], ...] = (
    _flip, _flip, _number, _number, _number, _cut, _lose, _repeat, _splice, _word, _fill,
)  # fmt: skip


def mutated(draw: Random, seeds: Sequence[bytes]) -> bytes:
    """Return one of *seeds*, damaged in one to six places, mostly near its beginning."""
    data = bytearray(draw.choice(seeds))
    head = bytearray(data[: draw.choice([64, 300, len(data)])])
    tail = data[len(head) :]
    for _ in range(min(draw.randint(1, 6), draw.randint(1, 6))):
        draw.choice(_WAYS)(draw, head, seeds)
        if not head:
            break
    return bytes(head + tail)
