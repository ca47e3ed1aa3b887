"""AVIF and HEIF: the outermost boxes of a file (ISO/IEC 14496-12, section 4.2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from scrapy_imgpipe.imaging.metadata.pieces import Keep, Piece, bounded

# Boxes that may be outermost: 14496-12, table 1. Others, such as the film of a motion
# photo (mpvd), are no part of the picture.
_KNOWN = frozenset(
    {b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"pdin", b"idat", b"udta", b"uuid"}
    | {b"moof", b"mfra", b"styp", b"sidx", b"ssix", b"prft", b"meco"}
)
_HEADER_BYTES, _LONG_HEADER_BYTES = 8, 16


@bounded
def pieces(data: bytes) -> Iterator[Piece]:
    """Walk the boxes up to the first that is none of an image.

    Raises:
        ValueError: malformed or truncated: a box that reaches beyond the end.
        struct.error: truncated.
    """
    at = 0
    while at + _HEADER_BYTES <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind not in _KNOWN:
            break
        body = at + _HEADER_BYTES
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, body)
            body = at + _LONG_HEADER_BYTES
        end = at + length if length else len(data)
        if end < body or end > len(data):
            raise ValueError("Expected a whole box")
        yield Piece(kind, at, body, end)
        at = end


def stripped(_data: bytes, _keep: Keep) -> bytes:
    """Say that it cannot be done: metadata and pixels are told apart by a table of offsets.

    Raises:
        ValueError: always.
    """
    raise ValueError("Expected a format whose pieces can be left out")
