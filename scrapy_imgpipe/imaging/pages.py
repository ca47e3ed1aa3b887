"""Whether a TIFF has all of its pages: Pillow decodes the first, and asks for no other.

TIFF 6.0, section 2; BigTIFF as libtiff has it (https://libtiff.gitlab.io/libtiff/specification/bigtiff.html).
"""

from __future__ import annotations

import struct

# Beyond these a file counts as whole: it takes a second to look at so many.
_MOST_PAGES, _MOST_PARTS = 4096, 1_000_000

_ORDERS = {b"II": "<", b"MM": ">"}
_OFFSETS, _LENGTHS = {273, 324}, {279, 325}  # of strips, and of tiles
_CODES = {3: "H", 4: "I", 13: "I", 16: "Q"}  # SHORT, LONG, IFD, LONG8


def has_all_pages(data: bytes) -> bool:
    """Return whether all pages of a TIFF and their pixels lie inside *data*.

    Reads the directories, not the pixels. What is no TIFF has none.
    """
    try:
        return _Tiff(data).is_whole()
    except (struct.error, KeyError):  # a directory that reaches beyond the end
        return False


class _Tiff:
    """A TIFF to be walked from page to page."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._order = _ORDERS[data[:2]]
        self._left = _MOST_PARTS
        # Of a number of fields, of an offset, and of a field.
        wide = self._read("H", 2)[0] == 43  # noqa: PLR2004 - the version
        self._count, self._offset, self._field = ("Q", "Q", 20) if wide else ("H", "I", 12)
        self._first = 8 if wide else 4

    def _read(self, code: str, at: int, many: int = 1) -> tuple[int, ...]:
        return struct.unpack_from(f"{self._order}{many}{code}", self._data, at)

    def is_whole(self) -> bool:
        (at,) = self._read(self._offset, self._first)
        seen: set[int] = set()
        while at and at not in seen and len(seen) < _MOST_PAGES and self._left > 0:
            seen.add(at)
            (fields,) = self._read(self._count, at)
            start = at + struct.calcsize(self._order + self._count)
            if not self._has_pixels(start, fields):
                return False
            (at,) = self._read(self._offset, start + self._field * fields)
        return True

    def _has_pixels(self, start: int, fields: int) -> bool:
        """Return whether the strips or tiles of a directory lie inside the file."""
        self._left -= fields
        end = start + self._field * fields
        if end > len(self._data):
            return False
        offsets: tuple[int, ...] = ()
        lengths: tuple[int, ...] = ()
        for at in range(start, end, self._field) if self._left > 0 else ():
            tag, kind = self._read("H", at, 2)
            if tag in _OFFSETS:
                offsets = self._numbers(at, kind)
            elif tag in _LENGTHS:
                lengths = self._numbers(at, kind)
        if len(lengths) != len(offsets):  # old writers told none of what is not compressed
            lengths = (1,) * len(offsets)
        parts = zip(offsets, lengths, strict=True)
        return all(offset + length <= len(self._data) for offset, length in parts)

    def _numbers(self, at: int, kind: int) -> tuple[int, ...]:
        """Return the values of the field at *at*; of too many, none."""
        (many,) = self._read(self._offset, at + 4)
        code = _CODES.get(kind)
        self._left -= many
        if code is None or self._left <= 0:
            return ()
        value = at + 4 + struct.calcsize(self._order + self._offset)
        if many * struct.calcsize(self._order + code) > self._field - (value - at):
            (value,) = self._read(self._offset, value)
        return self._read(code, value, many)
