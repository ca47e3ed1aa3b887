"""WEBP: the RIFF chunks of a file, and which of them are metadata (RFC 9649, section 2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from scrapy_imgpipe.imaging.metadata.exif import reduced
from scrapy_imgpipe.imaging.metadata.pieces import Keep, Piece, bounded

_HEADER_BYTES = 12  # RIFF, the length of all that follows, WEBP

# The bits in the first byte of a VP8X chunk (section 2.7); its length is fixed.
_HAS_PROFILE, _HAS_EXIF, _HAS_XMP = 0x20, 0x08, 0x04
_EXTENDED_BYTES = 10
_FRAME_BYTES = 16  # of an ANMF chunk, before the chunks inside

_BITSTREAMS = frozenset({b"VP8 ", b"VP8L"})
_IN_FRAME = _BITSTREAMS | {b"ALPH"}
_SHOWN = _BITSTREAMS | {b"ANMF"}
_KEPT = _IN_FRAME | {b"VP8X", b"ANIM", b"ANMF"}


@bounded
def pieces(data: bytes) -> Iterator[Piece]:
    """Walk the chunks as far as the RIFF header reaches, which is a piece without a name.

    Raises:
        ValueError: malformed or truncated.
        struct.error: truncated.
    """
    riff, length = struct.unpack_from("<4sI", data)
    if riff != b"RIFF" or not _HEADER_BYTES < 8 + length <= len(data):
        raise ValueError("Expected a whole RIFF file")
    yield Piece(b"", 0, 8, _HEADER_BYTES)
    yield from _chunks(data, _HEADER_BYTES, min(8 + length + length % 2, len(data)))


@bounded
def _chunks(data: bytes, at: int, last: int) -> Iterator[Piece]:
    """Walk the chunks from *at* to *last*.

    The byte that pads an odd chunk is part of it; the very last may be missing.
    """
    while at < last:
        kind, length = struct.unpack_from("<4sI", data, at)
        body = at + 8
        if body + length > last:
            raise ValueError("Expected a WEBP chunk")
        end = min(body + length + length % 2, last)
        yield Piece(kind, at, body, end)
        at = end


def _payload(data: bytes, piece: Piece) -> bytes:
    """Return the payload of a chunk without the byte that pads it."""
    (length,) = struct.unpack_from("<I", data, piece.start + 4)
    return data[piece.body : piece.body + length]


def _chunk(kind: bytes, payload: bytes) -> bytes:
    return kind + struct.pack("<I", len(payload)) + payload + bytes(len(payload) % 2)


def stripped(data: bytes, keep: Keep) -> bytes:
    """Return *data* without metadata, its length and its flags mended.

    Of a simple file (section 2.5 and 2.6) only the bitstream stays. In an extended one,
    chunks that the flags deny are metadata, too: decoders do not look at them.

    Raises:
        ValueError: malformed or truncated.
        struct.error: truncated.
    """
    others = pieces(data)
    next(others)
    first = next(others)
    payload = _payload(data, first)
    if first.kind in _BITSTREAMS:
        kept = _chunk(first.kind, payload)
    elif first.kind == b"VP8X" and len(payload) == _EXTENDED_BYTES:
        kept = _extended(data, payload, others, keep)
    else:
        raise ValueError("Expected WEBP image data")
    return b"RIFF" + struct.pack("<I", len(kept) + 4) + b"WEBP" + kept


def _extended(data: bytes, payload: bytes, others: Iterator[Piece], keep: Keep) -> bytes:
    """Return the chunks to keep of a file with the VP8X *payload* and *others* behind it."""
    told = payload[0]
    flags, kept, shown = told & ~(_HAS_PROFILE | _HAS_EXIF | _HAS_XMP), bytearray(), False
    for piece in others:
        kind, content = piece.kind, b""
        shown = shown or kind in _SHOWN
        if kind == b"EXIF" and told & _HAS_EXIF and not flags & _HAS_EXIF:
            content = reduced(_payload(data, piece), rights=keep.rights)
            told ^= _HAS_EXIF  # the first one counts
            flags |= _HAS_EXIF if content else 0
        elif kind == b"ICCP" and told & _HAS_PROFILE and keep.profile:
            content = _payload(data, piece)
            flags |= _HAS_PROFILE
        elif kind == b"ANMF":
            content = _frame(data, piece)
        elif kind in _KEPT:
            content = _payload(data, piece)
        if content:
            kept += _chunk(kind, content)
    if not shown:
        raise ValueError("Expected WEBP image data")
    return _chunk(b"VP8X", bytes([flags]) + payload[1:]) + bytes(kept)


def _frame(data: bytes, piece: Piece) -> bytes:
    """Return the payload of a frame (section 2.7.1.1) without unknown chunks.

    Raises:
        ValueError: malformed, or nothing would be left to show.
    """
    inside = piece.body + _FRAME_BYTES
    (length,) = struct.unpack_from("<I", data, piece.start + 4)
    kept = bytearray(data[piece.body : inside])
    shown = False
    for each in _chunks(data, inside, piece.body + length):
        if each.kind in _IN_FRAME:
            kept += _chunk(each.kind, _payload(data, each))
            shown = shown or each.kind in _BITSTREAMS
    if not shown:
        raise ValueError("Expected image data in a WEBP frame")
    return bytes(kept)
