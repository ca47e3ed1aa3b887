"""TIFF 6.0, and the directory of tags that EXIF has from it."""

from __future__ import annotations

from collections.abc import Generator
from struct import Struct, unpack

from scrapy_imgpipe.probe.facts import Facts, Question, Reader

_MOST_TAGS = 200  # looked at in one directory; they are sorted, ours are among the first

# TIFF 6.0, section 2: the orders of bytes, and the field types that hold whole numbers.
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_NUMBERS = {  # SHORT and LONG
    order: {3: Struct(f"{order}Hxx").unpack, 4: Struct(f"{order}I").unpack} for order in "<>"
}
_HEADER_BYTES, _ENTRY_BYTES = 8, 12
_ENTRIES = {order: Struct(f"{order}HHI4s") for order in "<>"}

# TIFF 6.0, appendix A; the profile's from ICC.1:2022, annex B.
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_ORIENTATION, _SAMPLES, _EXTRA, _SAMPLE_FORMAT, _PROFILE = 274, 277, 338, 339, 34675
_UPRIGHT, _MOST_TURNED = 1, 8

# TIFF 6.0, section 8, and what Pillow makes of it.
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR, _LAB = 0, 1, 2, 3, 5, 6, 8
_JPEG = 7  # compression: the decoder turns YCbCr into RGB
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
    head = yield 0, _HEADER_BYTES
    order = _ORDERS[head[:4]]
    (at,) = unpack(f"{order}I", head[4:])
    count, found = yield from _directory(at, order, None)
    width, height = found.get(_WIDTH, 0), found.get(_HEIGHT, 0)
    if not width or not height:
        return
    facts.size = width, height
    facts.mode = _mode(found, order)
    facts.orientation = _turn(found)
    facts.profile = _PROFILE in found
    pages = 1
    while True:
        (at,) = unpack(f"{order}I", (yield at + 2 + _ENTRY_BYTES * count, 4))
        if not at:
            facts.frames = pages
            return
        facts.animated = True
        pages += 1
        (count,) = unpack(f"{order}H", (yield at, 2))


def tags(base: int, end: int) -> Generator[Question, bytes, dict[int, int]]:
    """Return the first directory of the TIFF structure from *base* to *end*.

    Tags that hold no whole number are there as 0; a broken structure has none.
    """
    if base + _HEADER_BYTES > end:
        return {}
    head = yield base, _HEADER_BYTES
    order = _ORDERS.get(head[:4])
    if order is None:
        return {}
    (at,) = unpack(f"{order}I", head[4:])
    if at < _HEADER_BYTES or base + at + 2 > end:
        return {}
    _, found = yield from _directory(base + at, order, end)
    return found


def orientation(base: int, end: int) -> Generator[Question, bytes, int]:
    """Return the orientation in the EXIF from *base* to *end*; 1 if there is none."""
    found = yield from tags(base, end)
    return _turn(found)


def _directory(
    at: int, order: str, end: int | None
) -> Generator[Question, bytes, tuple[int, dict[int, int]]]:
    """Return how many tags there are, and the number of each."""
    (count,) = unpack(f"{order}H", (yield at, 2))
    looked_at = min(count, _MOST_TAGS)
    if end is not None:
        looked_at = min(looked_at, (end - at - 2) // _ENTRY_BYTES)
    entries = yield at + 2, _ENTRY_BYTES * looked_at
    found: dict[int, int] = {}
    layouts = _NUMBERS[order]
    for tag, kind, _, value in _ENTRIES[order].iter_unpack(entries):
        layout = layouts.get(kind)
        found[tag] = layout(value)[0] if layout else 0
    return count, found


def _turn(found: dict[int, int]) -> int:
    turn = found.get(_ORIENTATION, _UPRIGHT)
    return turn if _UPRIGHT <= turn <= _MOST_TURNED else _UPRIGHT


def _mode(found: dict[int, int], order: str) -> str:
    """Return the mode; of what is rare, an empty one."""
    samples, extra = found.get(_SAMPLES, 1), found.get(_EXTRA)
    photometric = found.get(_PHOTOMETRIC, 0)
    if photometric == _RGB or (photometric == _YCBCR and found.get(_COMPRESSION) == _JPEG):
        return "RGB" if samples <= _COLOURS or extra == 0 else "RGBA"
    if photometric not in {_WHITE_IS_ZERO, _BLACK_IS_ZERO}:
        return _PLAIN.get(photometric, "")
    if samples != 1:
        return _GREY_AND_MORE.get(extra or 0, "")
    bits, kind = found.get(_BITS, 1), found.get(_SAMPLE_FORMAT, 1)
    mode = _GREYS.get((bits, kind), "")
    return "I;16B" if mode == "I;16" and order == ">" else mode
