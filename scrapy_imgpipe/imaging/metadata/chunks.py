"""PNG and APNG: the chunks of a file, and which of them are metadata (PNG, 3rd edition)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from scrapy_imgpipe.imaging.metadata.exif import reduced
from scrapy_imgpipe.imaging.metadata.pieces import Keep, Piece, bounded

_SIGNATURE_BYTES = 8

# Chunks without which there is no picture (section 11.2).
_CRITICAL = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}

# Ancillary chunks (section 5.4: a small first letter) that change how pixels look, when
# they are shown or how large they are printed (section 11.3), and how long each is at most.
# Not tEXt, zTXt, iTXt, tIME, nor sPLT and hIST, which help to show many colours with few;
# nor what this edition does not name: caBX (C2PA), Apple's iDOT with its offsets.
_COLOURS = {b"cHRM": 32, b"gAMA": 4, b"sBIT": 4, b"sRGB": 1, b"cICP": 4, b"mDCV": 24, b"cLLI": 8}
_DRAFTED = {b"mDCv": 24, b"cLLi": 8}  # as drafts of this edition spelt two of them
_DISPLAY = {b"bKGD": 6, b"pHYs": 9}
_ANIMATION = {b"acTL": 8, b"fcTL": 26}
_LENGTHS = _COLOURS | _DRAFTED | _DISPLAY | _ANIMATION
_FRAME_DATA = b"fdAT"

# Decoders differ in what they make of these when they are too long: sections 11.2.1, 11.2.2
# and, by colour type, 11.3.1.1.
_HEADER_BYTES, _MOST_PALETTE_BYTES = 13, 768
_COLOUR_TYPE_AT = 25
_TRANSPARENT_BYTES = {0: 2, 2: 6, 3: 256}


@bounded
def pieces(data: bytes) -> Iterator[Piece]:
    """Walk the chunks up to IEND; the signature is a piece without a name.

    Checksums are not looked at.

    Raises:
        ValueError: malformed or truncated.
        struct.error: truncated.
    """
    at = _SIGNATURE_BYTES
    yield Piece(b"", 0, at, at)
    kind = b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        body, end = at + 8, at + 12 + length
        if end > len(data) or not kind.isalpha() or (kind == b"IEND" and length):
            raise ValueError("Expected a PNG chunk")
        yield Piece(kind, at, body, end)
        at = end


def stripped(data: bytes, keep: Keep) -> bytes:
    """Return *data* up to its IEND chunk, without metadata.

    The first eXIf says the orientation, wherever it stands; there may be no other.

    Raises:
        ValueError: malformed or truncated, or a critical chunk that is not known: without
            it, it would be another picture (section 14.2).
        struct.error: truncated.
    """
    view, kept, oriented = memoryview(data), bytearray(), False
    for kind, start, body, end in pieces(data):
        if kind == b"eXIf" and not oriented:
            kept += _chunk(kind, reduced(data[body : end - 4], rights=keep.rights))
            oriented = True
        elif _stays(kind, end - body - 4, data, keep):
            kept += view[start:end]
    return bytes(kept)


def _stays(kind: bytes, length: int, data: bytes, keep: Keep) -> bool:
    """Return whether a chunk of *kind* with *length* bytes is kept.

    Raises:
        ValueError: it may not be left out, but cannot be as it is.
    """
    most = {b"IHDR": _HEADER_BYTES, b"PLTE": _MOST_PALETTE_BYTES}.get(kind, length)
    if kind == b"tRNS":
        most = _TRANSPARENT_BYTES.get(data[_COLOUR_TYPE_AT], 0)
    if length > most or (kind[:1].isupper() and kind not in _CRITICAL):
        raise ValueError("Expected a PNG chunk as it is known")
    if kind in _LENGTHS:
        return length <= _LENGTHS[kind]
    known = kind in _CRITICAL or kind in {b"", b"tRNS", _FRAME_DATA}
    return known or (kind == b"iCCP" and keep.profile)


def _chunk(kind: bytes, payload: bytes) -> bytes:
    """Return a chunk with its checksum (section 5.3), nothing for no payload."""
    if not payload:
        return b""
    checksum = zlib.crc32(payload, zlib.crc32(kind))
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", checksum)
