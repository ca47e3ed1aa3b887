"""Reduce EXIF to what a viewer needs: which side is up.

EXIF is a small TIFF file: a header of eight bytes, then a directory (IFD0) of twelve
bytes for each field (TIFF 6.0, section 2; CIPA DC-008-2023). All else, GPS
and the thumbnail among it, hangs on IFD0 and goes with it.
"""

from __future__ import annotations

import re
import struct
from typing import Literal

# Tags: CIPA DC-008-2023.
_ORIENTATION, _ARTIST, _COPYRIGHT = 0x0112, 0x013B, 0x8298
_RIGHTS = frozenset({_ARTIST, _COPYRIGHT})
_TURNED = range(2, 9)  # 1 is upright, 0 and 9 upwards are reserved

# Field types: TIFF 6.0, section 2, and UTF-8 of CIPA DC-008-2023.
_ASCII, _SHORT, _LONG, _UTF8 = 2, 3, 4, 129

# Two of them fit into one JPEG segment; photographers' names and licences have some 100.
_MOST_TEXT = 28 * 1024

#: Stands before the TIFF header in a JPEG. Does not belong into PNG and WEBP but is
#: found there, too. Readers ignore the sixth byte, which is a fill byte.
PREFIX = re.compile(rb"Exif\0[\0\xff]")

_HEADER = b"MM\0*\0\0\0\x08"  # big-endian, IFD0 follows
_FIELD = struct.Struct(">HHI4s")


def reduced(exif: bytes, *, rights: bool) -> bytes:
    """Return *exif* with its orientation only; empty where there is no turn to keep.

    What begins with :data:`PREFIX` goes on doing so: some readers ask for it, others do
    not understand it. Hostile offsets and counts lose their field. Reducing twice is
    reducing once.

    Args:
        exif: the payload of an EXIF segment or chunk, of any bytes.
        rights: keep Copyright and Artist, too.
    """
    prefix = PREFIX.match(exif)
    tiff = exif[prefix.end() :] if prefix else exif
    fields = _fields(tiff, _RIGHTS if rights else frozenset())
    if not fields:
        return b""
    return (prefix[0] if prefix else b"") + _written(fields)


def _fields(tiff: bytes, texts: frozenset[int]) -> dict[int, tuple[int, bytes]]:
    """Return type and value of the fields to keep, values in big-endian order.

    Of a field that stands there twice, the last counts, as it did for Pillow before 13.
    """
    order: Literal["little", "big"] = "little" if tiff.startswith(b"II*\0") else "big"
    if not tiff.startswith((b"II*\0", b"MM\0*")):
        return {}
    start = int.from_bytes(tiff[4:8], order)
    count = int.from_bytes(tiff[start : start + 2], order)
    table = tiff[start + 2 : start + 2 + count * _FIELD.size]
    whole = len(table) // _FIELD.size * _FIELD.size
    found = {}
    for entry in struct.iter_unpack(f"{'<' if order == 'little' else '>'}HHI4s", table[:whole]):
        tag, kind, length, value = entry
        if tag == _ORIENTATION:
            found[tag] = _SHORT, _turn(kind, length, value, order)
        elif tag in texts and kind in {_ASCII, _UTF8} and length <= _MOST_TEXT:
            at = int.from_bytes(value, order)
            text = value[:length] if length <= len(value) else tiff[at : at + length]
            found[tag] = kind, text if len(text) == length else b""
    return {tag: field for tag, field in sorted(found.items()) if field[1]}


def _turn(kind: int, length: int, value: bytes, order: Literal["little", "big"]) -> bytes:
    """Return an orientation as two bytes, none where it is upright or nonsense."""
    if length != 1 or kind not in {_SHORT, _LONG}:
        return b""
    turn = int.from_bytes(value[:2] if kind == _SHORT else value, order)
    return struct.pack(">H", turn) if turn in _TURNED else b""


def _written(fields: dict[int, tuple[int, bytes]]) -> bytes:
    """Return a TIFF file of one directory; the tags have to be in rising order."""
    at = len(_HEADER) + 2 + len(fields) * _FIELD.size + 4
    table, texts = b"", b""
    for tag, (kind, value) in fields.items():
        count = 1 if kind == _SHORT else len(value)
        inline = value
        if len(value) > 4:  # noqa: PLR2004 - the bytes of a field's own
            inline = struct.pack(">I", at + len(texts))
            texts += value + bytes(len(value) % 2)
        table += _FIELD.pack(tag, kind, count, inline)  # fills up with NULs
    return _HEADER + struct.pack(">H", len(fields)) + table + bytes(4) + texts
