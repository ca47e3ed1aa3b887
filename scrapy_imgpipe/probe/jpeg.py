"""JPEG: markers and segments up to the first scan (ITU-T T.81, annex B)."""

from __future__ import annotations

from struct import Struct

from scrapy_imgpipe.probe.facts import Facts, Reader
from scrapy_imgpipe.probe.tiff import orientation, tags

# ITU-T T.81, table B.1: frame headers, less DHT, JPG and DAC among them.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_PREFIX = 0xFF  # each marker begins with it
# No segment follows: stuffed, TEM, RSTn, SOI, and 0xFF itself, which fills.
_ALONE = frozenset({0x00, 0x01, *range(0xD0, 0xD9), 0xFF})
_LAST = frozenset({0xD9, 0xDA})  # end of the image, start of a scan
_APPLICATIONS = frozenset({0xE1, 0xE2})  # APP1, APP2

_NAME_BYTES = 12  # of the longest name, and no more than the shortest EXIF has
_EXIF = b"Exif\0\0"  # CIPA DC-008 (Exif 2.32), 4.7.2
_ICC = b"ICC_PROFILE\0"  # ICC.1:2022, annex B
_PICTURES = b"MPF\0"  # CIPA DC-007 (Multi-Picture Format): several pictures in one file
_NUMBER_OF_IMAGES = 0xB001  # CIPA DC-007, MP index

_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_MOST_COMPONENTS = 4

_header = Struct(">BBH").unpack
_sides = Struct(">xHHB").unpack_from
_FRAME_BYTES = 6  # of a frame header, less its components
_MOST_FRAME_BYTES = _FRAME_BYTES + 3 * _MOST_COMPONENTS


def jpeg(facts: Facts) -> Reader:
    """Read segments until the first scan; what is not of interest is skipped unseen."""
    facts.format = "JPEG"
    at, exif = 2, False
    while True:
        prefix, marker, length = _header((yield at, 4))
        if prefix != _PREFIX or marker in _ALONE:
            at += 1  # decoders too go on to the next marker
            continue
        if marker in _LAST:
            facts.frames = facts.frames or 1
            return
        body, at, length = at + 4, at + 2 + length, length - 2
        if length < 0:
            return
        if marker in _FRAMES and facts.size is None and length >= _FRAME_BYTES:
            _frame(facts, marker, (yield body, min(length, _MOST_FRAME_BYTES)))
        elif marker in _APPLICATIONS and length >= _NAME_BYTES:
            name = yield body, _NAME_BYTES
            if name.startswith(_EXIF) and not exif:
                exif = True  # the first one counts
                facts.orientation = yield from orientation(body + len(_EXIF), at)
            elif name.startswith(_PICTURES):
                found = yield from tags(body + len(_PICTURES), at)
                facts.frames = found.get(_NUMBER_OF_IMAGES, 1)
                facts.animated = facts.frames > 1
            elif name == _ICC:
                facts.profile = True


def _frame(facts: Facts, marker: int, header: bytes) -> None:
    height, width, components = _sides(header)
    counted = min(components, _MOST_COMPONENTS)
    if len(header) < _FRAME_BYTES + 3 * counted:
        return
    facts.size = width, height
    facts.components = components
    facts.mode = _MODES.get(components, "")
    if marker in _PROGRESSIVE:
        factors = header[_FRAME_BYTES + 1 : _FRAME_BYTES + 3 * counted : 3]
        areas = [(factor >> 4) * (factor & 15) for factor in factors]
        facts.coefficients = sum(areas) / max([*areas, 1])
