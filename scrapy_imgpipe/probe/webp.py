"""WebP: RIFF chunks (RFC 9649)."""

from __future__ import annotations

from struct import Struct

from scrapy_imgpipe.probe.facts import Facts, Reader
from scrapy_imgpipe.probe.tiff import orientation

_FIRST = 20  # where the body of the first chunk stands, whichever it is
_container = Struct("<4xI4s4sI").unpack  # section 2.3
_chunk = Struct("<4sI").unpack
_lossless = Struct("<xI").unpack  # section 3.4
_lossy = Struct("<3x3sHH").unpack  # RFC 6386, 9.1
_LOSSY_START = b"\x9d\x01\x2a"
_SIDE = 0x3FFF  # bits of a side, both lossy and lossless

# Section 2.7.1.1
_ANIMATION, _EXIF, _ALPHA, _PROFILE = 0x02, 0x08, 0x10, 0x20
_EXTENDED_BYTES = 10


def webp(facts: Facts) -> Reader:
    """Read the first chunk; then go for EXIF, which stands behind the pixels, if told of."""
    size, name, kind, length = _container((yield 0, _FIRST))
    if name != b"WEBP":
        return
    facts.format = "WEBP"
    if kind == b"VP8X":
        yield from _extended(facts, _FIRST + length + length % 2, 8 + size)
    elif kind == b"VP8L":
        (bits,) = _lossless((yield _FIRST, 5))
        facts.size = (bits & _SIDE) + 1, (bits >> 14 & _SIDE) + 1
        facts.mode = "RGBA" if bits >> 28 & 1 else "RGB"
        facts.frames = 1
    elif kind == b"VP8 ":
        start, width, height = _lossy((yield _FIRST, 10))
        if start == _LOSSY_START:
            facts.size = width & _SIDE, height & _SIDE
            facts.mode, facts.frames = "RGB", 1


def _extended(facts: Facts, at: int, end: int) -> Reader:
    body = yield _FIRST, _EXTENDED_BYTES
    flags = body[0]
    facts.size = int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:], "little") + 1
    facts.mode = "RGBA" if flags & _ALPHA else "RGB"
    facts.profile = bool(flags & _PROFILE)
    facts.animated = bool(flags & _ANIMATION)
    facts.frames = None if facts.animated else 1
    if not flags & _EXIF:
        return
    while at + 8 <= end:
        kind, length = _chunk((yield at, 8))
        if kind == b"EXIF":
            at += 8
            if length >= 6 and (yield at, 6) == b"Exif\0\0":  # noqa: PLR2004 - its length
                facts.orientation = yield from orientation(at + 6, at + length)
            else:
                facts.orientation = yield from orientation(at, at + length)
            return
        at += 8 + length + length % 2
