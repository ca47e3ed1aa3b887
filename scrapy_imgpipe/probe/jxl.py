"""JPEG XL: the codestream's first bits (ISO/IEC 18181-1), naked or boxed (18181-2)."""

from __future__ import annotations

from struct import Struct

from scrapy_imgpipe.probe.facts import Facts, Reader

_START = b"\xff\x0a"
_BITS_BYTES = 10  # SizeHeader at its longest, and ImageMetadata up to the animation

_WIDTHS = (9, 13, 18, 30)  # bits of a side, less one: 18181-1, annex D
_RATIOS = ((0, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))

_box = Struct(">I4s").unpack
_CODESTREAMS = {b"jxlc": 0, b"jxlp": 4}  # what stands before it


class _Bits:
    """Bits of little-endian bytes, the lowest first."""

    def __init__(self, data: bytes) -> None:
        self._left = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        taken = self._left & ((1 << count) - 1)
        self._left >>= count
        return taken


def naked_jxl(facts: Facts) -> Reader:
    """Read a codestream that is the whole file."""
    facts.format = "JXL"
    yield from _codestream(facts, 0)


def boxed_jxl(facts: Facts) -> Reader:
    """Skip boxes up to the codestream."""
    facts.format = "JXL"
    at = 0
    while True:
        length, kind = _box((yield at, 8))
        if kind in _CODESTREAMS:
            yield from _codestream(facts, at + 8 + _CODESTREAMS[kind])
            return
        if length < 8:  # noqa: PLR2004 - to the end of the file, or longer than 4 GiB
            return
        at += length


def _codestream(facts: Facts, at: int) -> Reader:
    data = yield at, len(_START) + _BITS_BYTES
    if not data.startswith(_START):
        return
    bits = _Bits(data[len(_START) :])
    facts.size = _sides(bits)
    plain = bits.take(1) or not bits.take(1)  # all as by default; no extra fields
    if plain:
        facts.frames = 1
        return
    facts.orientation = bits.take(3) + 1
    if not bits.take(1) and not bits.take(1):  # no intrinsic size, no preview
        facts.animated = bool(bits.take(1))
        facts.frames = None if facts.animated else 1


def _sides(bits: _Bits) -> tuple[int, int]:
    small = bits.take(1)
    height = _side(bits, small)
    ratio = bits.take(3)
    if not ratio:
        return _side(bits, small), height
    over, under = _RATIOS[ratio]
    return height * over // under, height


def _side(bits: _Bits, small: int) -> int:
    if small:
        return (bits.take(5) + 1) * 8
    return bits.take(_WIDTHS[bits.take(2)]) + 1
