"""GIF: the blocks of a file, and which of them are metadata (GIF89a specification)."""

from __future__ import annotations

from collections.abc import Iterator

from scrapy_imgpipe.imaging.metadata.pieces import Keep, Piece, bounded

_SCREEN_BYTES = 13  # sections 17 and 18: the header and the logical screen descriptor
_IMAGE_BYTES = 10  # section 20: the image descriptor

# First bytes of blocks, and of extensions the label behind it (section 23 and following).
_EXTENSION, _IMAGE, _TRAILER = b"!", b",", b";"
_PLAIN_TEXT, _CONTROL, _APPLICATION = b"!\x01", b"!\xf9", b"!\xff"
_KEPT = frozenset({b"", b"\0", _IMAGE, _TRAILER, _PLAIN_TEXT, _CONTROL})

# How often an animation is repeated: two spellings of one extension. The length before
# the name is the length of all names (section 26).
_LOOPS = (b"\x0bNETSCAPE2.0", b"\x0bANIMEXTS1.0")
_PROFILE = (b"\x0bICCRGBG1012",)  # ICC.1:2004-10, annex B


@bounded
def pieces(data: bytes) -> Iterator[Piece]:
    """Walk the blocks up to the trailer; screen and colours are a piece without a name.

    A NUL between blocks, as some writers leave it, is a piece.

    Raises:
        ValueError: malformed.
        IndexError: truncated.
    """
    at = _SCREEN_BYTES + _colour_bytes(data[10])
    yield Piece(b"", 0, at, at)
    kind = b""
    while kind != _TRAILER:
        kind, body = bytes([data[at]]), at + 1
        end = body
        if kind == _EXTENSION:
            kind, body = bytes([data[at], data[at + 1]]), at + 2
            end = _behind_sub_blocks(data, body)
        elif kind == _IMAGE:
            body = at + _IMAGE_BYTES + _colour_bytes(data[at + _IMAGE_BYTES - 1])
            end = _behind_sub_blocks(data, body + 1)  # a byte says how codes begin
        elif kind not in {_TRAILER, b"\0"}:
            raise ValueError("Expected a GIF block")
        yield Piece(kind, at, body, end)
        at = end


def _colour_bytes(flags: int) -> int:
    """Return how long the colour table is that *flags* tell of (sections 18 and 20)."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _behind_sub_blocks(data: bytes, at: int) -> int:
    """Walk sub-blocks up to the empty one that ends them (sections 15 and 16)."""
    while size := data[at]:
        at += size + 1
    return at + 1


def stripped(data: bytes, keep: Keep) -> bytes:
    """Return *data* up to its trailer, without comments and foreign extensions.

    A GIF has no orientation. Its ICC profile, which few viewers heed, is one of the
    application extensions.

    Raises:
        ValueError: malformed.
        IndexError: truncated.
    """
    wanted = _LOOPS + _PROFILE if keep.profile else _LOOPS
    view, kept = memoryview(data), bytearray()
    for kind, start, body, end in pieces(data):
        if kind in _KEPT or (kind == _APPLICATION and data.startswith(wanted, body)):
            kept += view[start:end]
    return bytes(kept)
