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
_entries = Struct("<BBBxxxHII").iter_unpack
_ENTRIES_AT, _ENTRY_BYTES, _MOST_ENTRIES = 6, 16, 256
_MOST_SIDE, _UNTOLD_DEPTH = 256, 256
_PNG, _INFO = b"\x89PNG\r\n\x1a\n", b"\x28\0\0\0"  # the only DIB header in use here
_png_sides = Struct(">16xII").unpack
_OWN_BYTES = 24


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
    """Take the picture that Pillow takes; the signature is weak, so the table must be sound.

    Its own header tells the size: an entry has no number beyond 256, and may lie.
    """
    head = yield 0, 10
    count, *_, reserved = _directory(head)
    if reserved or not 0 < count <= _MOST_ENTRIES:
        return
    table = yield _ENTRIES_AT, _ENTRY_BYTES * count
    end = _ENTRIES_AT + _ENTRY_BYTES * count
    found: list[tuple[int, int, int, tuple[int, int], int]] = []
    for width, height, colours, bits, length, start in _entries(table):
        if not length or start < end:
            return
        size = width or _MOST_SIDE, height or _MOST_SIDE
        # Without bits, colours tell the depth; with neither it is the deepest.
        depth = bits or (colours > 1 and (colours - 1).bit_length()) or _UNTOLD_DEPTH
        found.append((-size[0] * size[1], depth, len(found), size, start))
    *_, size, start = min(found)
    facts.format, facts.frames = "ICO", 1
    own = yield start, _OWN_BYTES
    if own.startswith(_PNG):
        size = _png_sides(own)
    elif own[:4] == _INFO:
        _, width, height = _sides(own[:_SIDES_BYTES])
        size = abs(width), abs(height) // 2  # the mask is above it
    facts.size = size
