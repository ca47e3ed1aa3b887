"""TIFF 6.0, and the directory of tags that EXIF has from it.

BigTIFF, with offsets of 64 bits, is libtiff's:
https://libtiff.gitlab.io/libtiff/specification/bigtiff.html
"""

from __future__ import annotations

from collections.abc import Generator
from struct import Struct
from typing import NamedTuple

from scrapy_imgpipe.probe.facts import Facts, Question, Reader

_MOST_TAGS = 200  # looked at in one directory; they are sorted, ours are among the first


class _Layout(NamedTuple):
    """How numbers are written, and how many bytes they have.

    Attributes:
        order: of bytes.
        first: of where the first directory stands: its place, and where it ends.
        offset: a place in the file.
        number: how many tags there are.
        entry: of a tag: number, type, how many values, and the values or their place.
    """

    order: str
    first: int
    offset: Struct
    number: Struct
    entry: Struct

    @property
    def head_bytes(self) -> int:
        return self.first + self.offset.size


def _layout(order: str, *, big: bool) -> _Layout:
    offset, count, entry = ("Q", "Q", "HHQ8s") if big else ("I", "H", "HHI4s")
    first = 8 if big else 4
    return _Layout(order, first, *(Struct(order + each) for each in (offset, count, entry)))


# TIFF 6.0, section 2: the orders of bytes, and the field types that hold whole numbers.
_LAYOUTS = {
    b"II*\0": _layout("<", big=False),
    b"MM\0*": _layout(">", big=False),
    b"II+\0": _layout("<", big=True),
    b"MM\0+": _layout(">", big=True),
}
_NUMBERS = {  # SHORT, LONG, and LONG8 of BigTIFF
    order: {3: Struct(f"{order}H"), 4: Struct(f"{order}I"), 16: Struct(f"{order}Q")}
    for order in "<>"
}
_HEADER_BYTES = 8

# TIFF 6.0, appendix A; the profile's from ICC.1:2022, annex B.
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_ORIENTATION, _SAMPLES, _EXTRA, _SAMPLE_FORMAT, _PROFILE = 274, 277, 338, 339, 34675
_UPRIGHT, _MOST_TURNED = 1, 8

# TIFF 6.0, section 8, and what Pillow makes of it.
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR, _LAB = 0, 1, 2, 3, 5, 6, 8
_RAW = 1  # compression; where there is one, libtiff decodes it, and YCbCr becomes RGB
_PLAIN = {_PALETTE: "P", _CMYK: "CMYK", _YCBCR: "YCbCr", _LAB: "LAB"}
_GREY_AND_MORE = {0: "L", 1: "La", 2: "LA"}  # by extra sample
_COLOURS = 3
_GREYS = {  # by bits and sample format: 1 unsigned, 2 signed, 3 floating
    (1, 1): "1",
    (2, 1): "L",
    (4, 1): "L",
    (8, 1): "L",
    (8, 2): "L",
    (12, 1): "I;16",
    (16, 1): "I;16",
    (16, 2): "I",
    (32, 1): "I",
    (32, 2): "I",
    (32, 3): "F",
}


def tiff(facts: Facts) -> Reader:
    """Read the first directory, then count the others as long as they stand behind it."""
    facts.format = "TIFF"
    layout = _LAYOUTS[(yield 0, 4)]
    (at,) = layout.offset.unpack((yield layout.first, layout.offset.size))
    count, found = yield from _directory(at, layout, None)
    width, height = found.get(_WIDTH, 0), found.get(_HEIGHT, 0)
    # A side may stand there twice, and then among the tags that are not looked at.
    if not width or not height or count > _MOST_TAGS:
        return
    facts.size = width, height
    facts.mode = _mode(found, layout.order)
    facts.orientation = _turn(found)
    facts.profile = _PROFILE in found
    pages = 1
    while True:
        behind = at + layout.number.size + layout.entry.size * count
        (at,) = layout.offset.unpack((yield behind, layout.offset.size))
        if not at:
            facts.frames = pages
            return
        facts.animated = True
        pages += 1
        (count,) = layout.number.unpack((yield at, layout.number.size))


def tags(base: int, end: int) -> Generator[Question, bytes, dict[int, int]]:
    """Return the first directory of the TIFF structure from *base* to *end*.

    Tags that hold no whole number, or hold it elsewhere, are there as 0; a broken structure
    has none.
    """
    if base + _HEADER_BYTES > end:
        return {}
    head = yield base, _HEADER_BYTES
    layout = _LAYOUTS.get(head[:4])
    if layout is None or layout.head_bytes != _HEADER_BYTES:  # EXIF is no BigTIFF
        return {}
    (at,) = layout.offset.unpack(head[layout.first :])
    if at < _HEADER_BYTES or base + at + layout.number.size > end:
        return {}
    _, found = yield from _directory(base + at, layout, end)
    return found


def orientation(base: int, end: int) -> Generator[Question, bytes, int]:
    """Return the orientation in the EXIF from *base* to *end*; 1 if there is none."""
    found = yield from tags(base, end)
    return _turn(found)


def _directory(
    at: int, layout: _Layout, end: int | None
) -> Generator[Question, bytes, tuple[int, dict[int, int]]]:
    """Return how many tags there are, and the number of each: the first, of several."""
    (count,) = layout.number.unpack((yield at, layout.number.size))
    looked_at = min(count, _MOST_TAGS)
    start = at + layout.number.size
    if end is not None:
        looked_at = min(looked_at, (end - start) // layout.entry.size)
    entries = yield start, layout.entry.size * looked_at
    found: dict[int, int] = {}
    numbers = _NUMBERS[layout.order]
    for tag, kind, many, value in layout.entry.iter_unpack(entries):
        number = numbers.get(kind)
        inline = number is not None and 0 < many * number.size <= len(value)
        told = number.unpack_from(value)[0] if number and inline else 0
        # Of two, Pillow takes the last, from 13 on the first: they had better be one.
        found[tag] = told if found.get(tag, told) == told else 0
    return count, found


def _turn(found: dict[int, int]) -> int:
    turn = found.get(_ORIENTATION, _UPRIGHT)
    return turn if _UPRIGHT <= turn <= _MOST_TURNED else _UPRIGHT


def _mode(found: dict[int, int], order: str) -> str:
    """Return the mode; of what is rare, an empty one."""
    samples, extra = found.get(_SAMPLES, 1), found.get(_EXTRA)
    photometric = found.get(_PHOTOMETRIC, 0)
    decoded = photometric == _YCBCR and found.get(_COMPRESSION, _RAW) != _RAW
    if photometric == _RGB or decoded:
        return "RGB" if samples <= _COLOURS or extra == 0 else "RGBA"
    if photometric not in {_WHITE_IS_ZERO, _BLACK_IS_ZERO}:
        return _PLAIN.get(photometric, "")
    if samples != 1:
        return _GREY_AND_MORE.get(extra or 0, "")
    bits, kind = found.get(_BITS, 1), found.get(_SAMPLE_FORMAT, 1)
    mode = _GREYS.get((bits, kind), "")
    return "I;16B" if mode == "I;16" and order == ">" else mode
