"""What the header of an image file says of its size, without decoding anything.

Looks at a few hundred bytes, wherever they are; never raises, whatever the bytes. What
it says is good for planning only: a decoder may still find that the header lied.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

# ITU-T T.81, table B.1: frame headers, less DHT, JPG and DAC among them.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_START_OF_SCAN = 0xDA
_APP1 = 0xE1
_MOST_SEGMENTS = 1000  # of a JPEG header; a photo has a dozen
_ORIENTATION = 274  # the EXIF tag
_SHORT, _LONG = 3, 4  # TIFF field types
_MOST_TAGS = 200  # looked at in one TIFF directory


@dataclass(frozen=True, slots=True)
class Probe:
    """What a header says.

    Attributes:
        format: in Pillow's spelling.
        width: in pixels, as stored, before any turn.
        height: in pixels, as stored, before any turn.
        components: of a JPEG: 1 grey, 3 colour, 4 CMYK; else 0.
        coefficients: of a progressive JPEG, how many a decoder keeps for each pixel:
            1.5 for 4:2:0, 3 for 4:4:4; else 0.
        turned: whether the EXIF of a JPEG asks for a turn.
    """

    format: str
    width: int
    height: int
    components: int = 0
    coefficients: float = 0.0
    turned: bool = False

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height


def probe(data: bytes) -> Probe | None:
    """Return what the header of *data* says, or None where that cannot be told.

    Knows JPEG, PNG, GIF, BMP, WEBP, AVIF and TIFF.
    """
    with suppress(struct.error, IndexError):
        for start, signature, read in _READERS:
            if data.startswith(signature, start):
                return read(data)
    return None


def _jpeg(data: bytes) -> Probe | None:
    position, turned = 2, False
    for _ in range(_MOST_SEGMENTS):
        if data[position] != 0xFF:  # noqa: PLR2004 - each marker begins with it
            return None
        marker = data[position + 1]
        if marker == 0xFF:  # noqa: PLR2004 - a fill byte
            position += 1
            continue
        if marker == _START_OF_SCAN:
            return None
        (length,) = struct.unpack_from(">H", data, position + 2)
        if marker in _FRAMES:
            return _frame(data, position, marker, turned=turned)
        if marker == _APP1 and data[position + 4 : position + 10] == b"Exif\0\0":
            turned = _orientation(data[position + 10 : position + 2 + length]) not in {0, 1}
        position += 2 + length
    return None


def _frame(data: bytes, position: int, marker: int, *, turned: bool) -> Probe:
    height, width, components = struct.unpack_from(">HHB", data, position + 5)
    factors: list[int] = [data[position + 11 + 3 * index] for index in range(min(components, 4))]
    areas: list[int] = [(factor >> 4) * (factor & 15) for factor in factors]
    shares = sum(areas) / max(areas) if any(areas) else 0.0
    coefficients = shares if marker in _PROGRESSIVE else 0.0
    return Probe("JPEG", width, height, components, coefficients, turned)


def _orientation(exif: bytes) -> int:
    with suppress(struct.error, IndexError):
        return _tags(exif, {_ORIENTATION}).get(_ORIENTATION, 1)
    return 1


def _tags(data: bytes, wanted: set[int]) -> dict[int, int]:
    """Return the numbers behind the *wanted* tags of the first directory of a TIFF file."""
    order = "<" if data.startswith(b"II") else ">"
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    found = {}
    for index in range(min(count, _MOST_TAGS)):
        place = start + 2 + 12 * index
        tag, kind = struct.unpack_from(f"{order}HH", data, place)
        if tag in wanted and kind in {_SHORT, _LONG}:
            code = "H" if kind == _SHORT else "I"
            (found[tag],) = struct.unpack_from(f"{order}{code}", data, place + 8)
    return found


def _tiff(data: bytes) -> Probe | None:
    found = _tags(data, {256, 257})
    return Probe("TIFF", found[256], found[257]) if len(found) == 2 else None  # noqa: PLR2004


def _webp(data: bytes) -> Probe | None:
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        return None
    return Probe("WEBP", width, height)


def _avif(data: bytes) -> Probe | None:
    """Return the largest picture that is named; the boxes stand before the pixels."""
    head, largest, at = data[:4096], None, 0
    while (at := head.find(b"ispe", at + 1)) > 0:
        width, height = struct.unpack_from(">II", head, at + 8)
        if largest is None or width * height > largest.pixels:
            largest = Probe("AVIF", width, height)
    return largest


def _png(data: bytes) -> Probe:
    return Probe("PNG", *struct.unpack_from(">II", data, 16))


def _gif(data: bytes) -> Probe:
    return Probe("GIF", *struct.unpack_from("<HH", data, 6))


def _bmp(data: bytes) -> Probe:
    width, height = struct.unpack_from("<ii", data, 18)
    return Probe("BMP", abs(width), abs(height))


#: Where the signature of a format stands, the signature, and what reads on.
_READERS: tuple[tuple[int, bytes | tuple[bytes, ...], Callable[[bytes], Probe | None]], ...] = (
    (0, b"\xff\xd8\xff", _jpeg),
    (0, b"\x89PNG\r\n\x1a\n", _png),
    (0, (b"GIF87a", b"GIF89a"), _gif),
    (8, b"WEBP", _webp),
    (4, (b"ftypavif", b"ftypavis"), _avif),
    (0, (b"II*\0", b"MM\0*"), _tiff),
    (0, b"BM", _bmp),
)
