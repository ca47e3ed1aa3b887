"""Colours that a file tells of without an ICC profile: the profile it might have had.

AVIF, HEIF and PNG may say by numbers which primaries and which curve theirs are (ITU-T
H.273), a PNG by measures, too (PNG, 3rd edition, 11.3.2). Made into a profile, they take
the way that all others take.

Not read: PQ and HLG (transfers 16 and 18), whose brightness would have to be mapped, PNGs
of narrow range, what only stands in the bitstream of an AVIF, and the tags of a TIFF.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

from scrapy_imgpipe.probe import probe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

# x and y of white, red, green and blue: the order of cHRM.
Chromaticities: TypeAlias = tuple[float, ...]
_Matrix: TypeAlias = list[list[float]]

# ITU-T H.273, table 2; all of them have the white of daylight.
_D65 = (0.3127, 0.3290)
_SRGB: Chromaticities = (*_D65, 0.640, 0.330, 0.300, 0.600, 0.150, 0.060)
_PRIMARIES: dict[int, Chromaticities] = {
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),  # BT.2020
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),  # Display P3
}
# Table 3: sRGB, one that is not told, and those of BT.709, BT.601 and BT.2020. These are
# curves of cameras; screens undo them by nearly that of sRGB (BT.1886), and so do viewers.
_LIKE_SRGB = frozenset({13, 2, 1, 6, 14, 15})

# What a PNG's gAMA is unless it means something: 1/2.2, give or take a twentieth. Beyond
# these bounds are not curves but mistakes, 2.2 above all.
_USUAL, _NEAR = 1 / 2.2, 0.05
_LEAST, _MOST = 0.2, 1.0
_WHITE = (0.2, 0.5)  # no light is white whose x or y is beyond
_SAME = 0.01  # by how much chromaticities may be off sRGB's

_GREYS = ("1", "L", "LA", "I", "I;16")
_FORMATS = frozenset({"PNG", "AVIF", "HEIF"})

# ICC.1:2022: white of the connection space (7.2.16), and Bradford's matrix (annex E).
_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
# 10.18, function 3: IEC 61966-2-1.
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_KNOWN = 32  # profiles that are kept


def signalled(data: bytes, image: Image.Image) -> bytes | None:
    """Return an ICC profile for the colours that *data*, opened as *image*, tells of.

    None where they are those of sRGB, or nothing is told that could be used.
    """
    if image.format not in _FORMATS:
        return None
    seen = probe(data)
    if seen is not None and seen.coding is not None:
        primaries, transfer = seen.coding
        known = primaries in _PRIMARIES and transfer in _LIKE_SRGB
        return _profile(_PRIMARIES[primaries]) if known and image.mode not in _GREYS else None
    if image.format == "PNG" and "srgb" not in image.info:
        return _measured(image)
    return None


def _measured(image: Image.Image) -> bytes | None:
    """Return the profile that gAMA and cHRM of a PNG describe; without gAMA there is none."""
    gamma, told = image.info.get("gamma", 0), tuple(image.info.get("chromaticity", _SRGB))
    if not _LEAST <= gamma <= _MOST or not all(_WHITE[0] < part < _WHITE[1] for part in told[:2]):
        return None
    grey, usual = image.mode in _GREYS, abs(gamma / _USUAL - 1) <= _NEAR
    if usual and (grey or all(abs(a - b) <= _SAME for a, b in zip(told, _SRGB, strict=True))):
        return None
    try:
        return _profile(() if grey else told, round(1 / gamma, 4))
    except (ZeroDivisionError, OverflowError, struct.error):  # no colours at all
        return None


@lru_cache(_KNOWN)
def _profile(told: Chromaticities, gamma: float | None = None) -> bytes:
    """Return a profile of three matrix columns and a curve, or of the curve alone.

    Args:
        told: of white and the primaries; none for a profile of grey.
        gamma: exponent of the curve; None for sRGB's.

    Raises:
        ZeroDivisionError, OverflowError or struct.error: they span no colours.
    """
    curve = _parametric(0, gamma) if gamma else _parametric(3, *_SRGB_CURVE)
    words = "Colours as the image tells of them".encode("utf-16-be")
    text = b"mluc" + struct.pack(">4xII4sII", 1, 12, b"enUS", len(words), 28) + words
    tags = {b"desc": text, b"cprt": text, b"wtpt": _xyz(_D50)}
    if told:
        white = _xyz_of(*told[:2])
        adapted = _adaptation(white)
        columns = zip(*_product(adapted, _scaled(told, white)), strict=True)
        tags |= {name + b"XYZ": _xyz(column) for name, column in zip(_NAMES, columns, strict=True)}
        tags |= {name + b"TRC": curve for name in _NAMES}
        tags[b"chad"] = b"sf32" + bytes(4) + b"".join(map(_fixed, chain(*adapted)))
    else:
        tags[b"kTRC"] = curve
    return _written(b"RGB " if told else b"GRAY", tags)


_NAMES = (b"r", b"g", b"b")


def _written(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Return a display profile, version 4.3 (ICC.1:2022, section 7)."""
    start = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += name + struct.pack(">II", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = struct.pack(">I4xI4s4s4s", start + len(body), 0x04300000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H4s28x", 2026, 1, 1, 0, 0, 0, b"acsp") + b"".join(map(_fixed, _D50))
    return head.ljust(128, b"\0") + table + body


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(_fixed, values))


def _parametric(function: int, *numbers: float) -> bytes:
    return b"para" + struct.pack(">4xH2x", function) + b"".join(map(_fixed, numbers))


def _xyz_of(x: float, y: float) -> list[float]:
    return [x / y, 1.0, (1 - x - y) / y]


def _scaled(told: Chromaticities, white: list[float]) -> _Matrix:
    """Return the primaries as columns, scaled so that together they are white."""
    pairs = zip(told[2::2], told[3::2], strict=True)
    primaries = _transposed([_xyz_of(x, y) for x, y in pairs])
    shares = _applied(_inverse(primaries), white)
    return [[value * share for value, share in zip(row, shares, strict=True)] for row in primaries]


def _adaptation(white: list[float]) -> _Matrix:
    """Return what brings colours seen under *white* to D50."""
    before, after = _applied(_BRADFORD, white), _applied(_BRADFORD, list(_D50))
    rows = zip(_BRADFORD, before, after, strict=True)
    cones = [[value * new / old for value in row] for row, old, new in rows]
    return _product(_inverse(_BRADFORD), cones)


def _applied(matrix: _Matrix, vector: list[float]) -> list[float]:
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def _transposed(matrix: _Matrix) -> _Matrix:
    return [list(column) for column in zip(*matrix, strict=True)]


def _product(one: _Matrix, other: _Matrix) -> _Matrix:
    return _transposed([_applied(one, column) for column in _transposed(other)])


def _inverse(matrix: _Matrix) -> _Matrix:
    """Return the inverse of a matrix of 3 x 3, by cross products of its rows."""
    one, two, three = matrix
    crosses = [_cross(two, three), _cross(three, one), _cross(one, two)]
    volume = sum(a * b for a, b in zip(one, crosses[0], strict=True))
    return _transposed([[value / volume for value in row] for row in crosses])


def _cross(one: list[float], other: list[float]) -> list[float]:
    (a, b, c), (d, e, f) = one, other
    return [b * f - c * e, c * d - a * f, a * e - b * d]
