"""BMP and ICO (Microsoft Learn, "Bitmap Storage" and "Icons", 2021)."""

from __future__ import annotations

from struct import Struct

from scrapy_imgpipe.probe.facts import Facts, Reader

_FILE_BYTES = 14  # BITMAPFILEHEADER
# BITMAPCOREHEADER, and all the others: BITMAPINFOHEADER, its V2 to V5, OS/2's second.
_CORE = 12
_OTHERS = frozenset({40, 52, 56, 64, 108, 124})
_sides = Struct("<Iii").unpack
_core = Struct("<4xHHxxH").unpack
_pixels = Struct("<xxHI12xI").unpack
_SIDES_BYTES, _PIXELS_BYTES = 12, 24

_BIT_FIELDS = 3
_ALPHA_MASK_AT, _ALPHA_SINCE = 66, 56
_INDEXED = frozenset({1, 4, 8})
_COLOURS = {16: "RGB", 24: "RGB", 32: "RGB"}
_MOST_COLOURS = 256

_directory = Struct("<4xHBBxB").unpack
_entries = Struct("<BBxxHHII").iter_unpack
_ENTRIES_AT, _ENTRY_BYTES, _MOST_ENTRIES = 6, 16, 256


def bmp(facts: Facts) -> Reader:
    """Read the header; for the mode, the table of colours too."""
    sides = yield _FILE_BYTES, _SIDES_BYTES
    header, width, height = _sides(sides)
    colours = compression = 0
    if header == _CORE:
        width, height, bits = _core(sides[:12])
    elif header not in _OTHERS:
        return
    facts.format, facts.frames = "BMP", 1
    facts.size = abs(width), abs(height)
    if header != _CORE:
        bits, compression, colours = _pixels((yield _FILE_BYTES + _SIDES_BYTES, _PIXELS_BYTES))
    if bits not in _INDEXED:
        facts.mode = _COLOURS.get(bits, "")
        if compression == _BIT_FIELDS and header >= _ALPHA_SINCE and any((yield _ALPHA_MASK_AT, 4)):
            facts.mode = "RGBA"
        return
    colours = colours or 1 << bits
    facts.mode = "P"
    if colours <= _MOST_COLOURS:
        wide = 3 if header == _CORE else 4
        table = yield _FILE_BYTES + header, wide * colours
        facts.mode = _indexed(table, wide, colours)


def _indexed(table: bytes, wide: int, colours: int) -> str:
    """Return what Pillow makes of a table: one of even greys is as good as none."""
    levels = bytes((0, 255)) if colours == 2 else bytes(range(colours))  # noqa: PLR2004
    if any(table[channel::wide] != levels for channel in range(3)):
        return "P"
    return "1" if colours <= 2 else "L"  # noqa: PLR2004 - black and white


def ico(facts: Facts) -> Reader:
    """Take the largest of the images; the signature is weak, so the table must be sound."""
    head = yield 0, 10
    count, *_, reserved = _directory(head)
    if reserved or not 0 < count <= _MOST_ENTRIES:
        return
    table = yield _ENTRIES_AT, _ENTRY_BYTES * count
    end = _ENTRIES_AT + _ENTRY_BYTES * count
    sizes = []
    for width, height, _, _, length, start in _entries(table):
        if not length or start < end:
            return
        sizes.append((width or 256, height or 256))
    facts.format, facts.frames = "ICO", 1
    facts.size = max(sizes, key=lambda size: size[0] * size[1])
