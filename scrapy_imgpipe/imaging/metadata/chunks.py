"""PNG and APNG: the chunks of a file, and which of them are metadata (PNG, 3rd edition)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from scrapy_imgpipe.imaging.metadata.exif import reduced
from scrapy_imgpipe.imaging.metadata.pieces import Keep, Piece, bounded

_SIGNATURE_BYTES = 8

# Ancillary chunks (section 5.4: a small first letter) that change how pixels look, when
# they are shown or how large they are printed (section 11.3). Not tEXt, zTXt, iTXt, tIME;
# nor what this edition does not name: caBX (C2PA), Apple's iDOT with its offsets.
_COLOURS = {b"tRNS", b"cHRM", b"gAMA", b"sBIT", b"sRGB", b"cICP", b"mDCV", b"cLLI"}
_DRAFTED = {b"mDCv", b"cLLi"}  # as drafts of this edition spelt two of them
_DISPLAY = {b"bKGD", b"hIST", b"pHYs", b"sPLT"}
_ANIMATION = {b"acTL", b"fcTL", b"fdAT"}
_KEPT = _COLOURS | _DRAFTED | _DISPLAY | _ANIMATION


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
        ValueError: malformed or truncated.
        struct.error: truncated.
    """
    view, kept, oriented = memoryview(data), bytearray(), False
    for kind, start, body, end in pieces(data):
        if kind == b"eXIf" and not oriented:
            kept += _chunk(kind, reduced(data[body : end - 4], rights=keep.rights))
            oriented = True
        elif _stays(kind, keep):
            kept += view[start:end]
    return bytes(kept)


def _stays(kind: bytes, keep: Keep) -> bool:
    critical = not kind[:1].islower()  # the signature, too
    return critical or kind in _KEPT or (kind == b"iCCP" and keep.profile)


def _chunk(kind: bytes, payload: bytes) -> bytes:
    """Return a chunk with its checksum (section 5.3), nothing for no payload."""
    if not payload:
        return b""
    checksum = zlib.crc32(payload, zlib.crc32(kind))
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", checksum)
