"""BMP and PPM: a header and rows of pixels, so that arithmetic tells where they end.

Neither has metadata to speak of: a BMP its profile, a PPM comments in its header. What is
to be cut stands behind the pixels. Sources: Microsoft Learn, "Bitmap Storage", 2021; the
manual pages pbm(5), pgm(5) and ppm(5) of Netpbm.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from struct import Struct

from scrapy_imgpipe.imaging.metadata.pieces import Keep, Piece

_FILE_BYTES = 14  # BITMAPFILEHEADER: BM, length of the file, reserved, start of the pixels
_head = Struct("<2xI4xII").unpack_from
_CORE, _V5 = 12, 124  # BITMAPCOREHEADER, BITMAPV5HEADER
_OTHERS = frozenset({40, 52, 56, 64, 108, _V5})
_core = Struct("<HHxxH").unpack_from
_info = Struct("<iixxHII8xI").unpack_from
_PLAIN, _RUNS = frozenset({0, 3}), frozenset({1, 2})  # BI_RGB, BI_BITFIELDS; BI_RLE8, _RLE4
_END_OF_RUNS = b"\0\1"
_MOST_INDEXED = 8  # bits

# BITMAPV5HEADER: what kind of colour space, where a profile stands from the header on, and
# how long it is. A linked one is but the name of a file.
_SPACE_AT, _PROFILE_AT = _FILE_BYTES + 56, _FILE_BYTES + 112
_EMBEDDED, _SRGB = b"DEBM", b"BGRs"
_profile = Struct("<II").unpack_from

# Of the raw kinds, how many numbers the header has and how many samples a pixel; comments
# go from a # to the end of the line.
_TWO_BYTES = 256  # a largest value from which on samples have two
_KINDS = {b"P4": (2, 0), b"P5": (3, 1), b"P6": (3, 3)}
_MOST_BETWEEN = 4096  # bytes of comments and blanks before a number, and the number
_NUMBER = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])++(\d{1,9})(?![^\s#])")


def bmp_pieces(data: bytes) -> Iterator[Piece]:
    """Return the one piece of a BMP: up to the end of its pixels, or of its profile.

    Raises:
        ValueError: malformed or truncated, or a compressed one that does not end as its
            header says.
        struct.error: truncated.
    """
    yield _bmp(data, profile=True)


def bmp_stripped(data: bytes, keep: Keep) -> bytes:
    """Return *data* up to the end of its pixels, with its length mended.

    Raises:
        ValueError: as :func:`bmp_pieces`.
        struct.error: truncated.
    """
    end = _bmp(data, profile=keep.profile).end
    space = data[_SPACE_AT : _SPACE_AT + 4]
    if _has_profile(data) and not keep.profile:
        space = _SRGB
    length = end.to_bytes(4, "little")
    kept = data[:2] + length + data[6:end]
    return kept[:_SPACE_AT] + space + kept[_SPACE_AT + 4 :] if _has_profile(data) else kept


def _has_profile(data: bytes) -> bool:
    header = int.from_bytes(data[_FILE_BYTES : _FILE_BYTES + 4], "little")
    return header == _V5 and data[_SPACE_AT : _SPACE_AT + 4] == _EMBEDDED


def _bmp(data: bytes, *, profile: bool) -> Piece:
    file_length, start, header = _head(data)
    wide, packed, pixels_length, colours = 4, 0, 0, 0
    if header == _CORE:
        wide = 3
        width, height, bits = _core(data, _FILE_BYTES + 4)
    elif header in _OTHERS:
        width, height, bits, packed, pixels_length, colours = _info(data, _FILE_BYTES + 4)
    else:
        raise ValueError("Expected a BMP header")
    if start == _FILE_BYTES + header and bits <= _MOST_INDEXED:
        start += wide * (colours or 1 << bits)  # some writers forget the table of colours
    if start < _FILE_BYTES + header or width <= 0:
        raise ValueError("Expected pixels of a BMP")
    if packed in _RUNS:
        end = start + pixels_length if pixels_length else file_length
        if not data[start:end].rstrip(b"\0").endswith(_END_OF_RUNS):
            raise ValueError("Expected the end of a compressed BMP")
    elif packed in _PLAIN:
        end = start + (width * bits + 31) // 32 * 4 * abs(height)
    else:
        raise ValueError("Expected a BMP of pixels")
    if profile and _has_profile(data):
        at, length = _profile(data, _PROFILE_AT)
        end = max(end, _FILE_BYTES + at + length)
    if end > len(data):
        raise ValueError("Expected more of a BMP")
    return Piece(b"", 0, start, end)


def ppm_pieces(data: bytes) -> Iterator[Piece]:
    """Return the one piece of a raw PBM, PGM or PPM (P4 to P6): header and pixels.

    Several in one file, as Netpbm has it, are one and something behind it, as to Pillow.

    Raises:
        ValueError: malformed or truncated, or of another kind.
    """
    _, body, end = _ppm(data)
    yield Piece(b"", 0, body, end)


def ppm_stripped(data: bytes, _keep: Keep) -> bytes:
    """Return *data* up to the end of its pixels, without comments.

    Raises:
        ValueError: as :func:`ppm_pieces`.
    """
    numbers, body, end = _ppm(data)
    head = data[:body]
    if b"#" in head:
        head = b"\n".join([data[:2], *(b"%d" % number for number in numbers), b""])
    return head + data[body:end]


def _ppm(data: bytes) -> tuple[list[int], int, int]:
    """Return the numbers in the header, where the pixels begin, and where they end."""
    count, samples = _KINDS.get(data[:2], (0, 0))
    numbers: list[int] = []
    at = 2
    for _ in range(count):
        found = _NUMBER.match(data, at, at + _MOST_BETWEEN)
        if found is None:
            raise ValueError("Expected a number in the header of a PPM")
        numbers.append(int(found[1]))
        at = found.end()
    if not count or not data[at : at + 1].isspace():  # a comment may stand here, or pixels
        raise ValueError("Expected the header of a raw PPM")
    width, height, *most = numbers
    row = width * samples * (1 if most[0] < _TWO_BYTES else 2) if most else -(-width // 8)
    end = at + 1 + row * height
    if end > len(data):
        raise ValueError("Expected more of a PPM")
    return numbers, at + 1, end
