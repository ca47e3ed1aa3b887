"""PNG: the chunks before the pixels (PNG Specification, third edition; W3C, 2025)."""

from __future__ import annotations

from struct import Struct

from scrapy_imgpipe.probe.facts import Facts, Reader
from scrapy_imgpipe.probe.tiff import orientation

_SIGNATURE_BYTES = 8  # 5.2
_header = Struct(">I4sIIBBxxx").unpack  # 5.3 and 11.2.1
_HEADER_BYTES = 4 + 4 + 13
_chunk = Struct(">I4s").unpack
_CODING_BYTES = 4  # 11.3.2.6
_MOST_FRAMES = 0x8000_0000  # 11.3.6.1; more, or none, is no animation

# 11.2.1, table 8, and what Pillow makes of it: by colour type.
_COLOURS = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
# By bits and colour type: where Pillow has a mode of its own, or none for 16 bits.
_DEPTHS = {(1, 0): "1", (16, 0): "I;16", (16, 4): "RGBA"}


def png(facts: Facts) -> Reader:
    """Read chunks until the pixels; what is not of interest is skipped unseen."""
    facts.format = "PNG"
    length, kind, width, height, depth, colour = _header((yield _SIGNATURE_BYTES, _HEADER_BYTES))
    if kind != b"IHDR":
        return
    facts.size = width, height
    facts.mode = _DEPTHS.get((depth, colour)) or _COLOURS.get(colour, "")
    at = _SIGNATURE_BYTES + 12 + length
    frames, first_is_shown = 0, False
    while True:
        length, kind = _chunk((yield at, 8))
        body, at = at + 8, at + 12 + length
        if kind in {b"IDAT", b"IEND"}:
            break
        if kind == b"acTL" and length >= 4:  # noqa: PLR2004 - a number of four bytes
            frames = int.from_bytes((yield body, 4))
        elif kind == b"fcTL":
            first_is_shown = True
        elif kind == b"iCCP":
            facts.profile = True
        elif kind == b"cICP" and length == _CODING_BYTES:
            primaries, transfer, matrix, full_range = yield body, length
            facts.coding = (primaries, transfer) if (matrix, full_range) == (0, 1) else None
        elif kind == b"eXIf":
            facts.orientation = yield from orientation(body, body + length)
    if not 0 < frames <= _MOST_FRAMES:
        frames, first_is_shown = 1, True
    # 4.9: a first image without fcTL is no part of the animation; Pillow counts it.
    facts.frames = frames + (not first_is_shown)
    facts.animated = facts.frames > 1
