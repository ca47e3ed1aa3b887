"""GIF: the blocks of a file, and which of them are metadata (GIF89a specification)."""

from __future__ import annotations

from collections.abc import Iterator

from scrapy_imgpipe.imaging.metadata.pieces import Keep, Piece, bounded

_SCREEN_BYTES = 13  # sections 17 and 18: the header and the logical screen descriptor
_IMAGE_BYTES = 10  # section 20: the image descriptor

# First bytes of blocks, and of extensions the label behind it (section 23 and following).
_EXTENSION, _IMAGE, _TRAILER = b"!", b",", b";"
_CONTROL, _APPLICATION = b"!\xf9", b"!\xff"
_KEPT = frozenset({b"", b"\0", _IMAGE, _TRAILER})
_CONTROL_BYTES = 4  # section 23

# How often an animation is repeated: two spellings of one extension. The length before
# the name is the length of all names (section 26).
_LOOPS = (b"\x0bNETSCAPE2.0", b"\x0bANIMEXTS1.0")
_LOOP, _LOOP_BYTES = b"\1", 3  # what its sub-block begins with, and how long that is
_PROFILE = b"\x0bICCRGBG1012"  # ICC.1:2004-10, annex B


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
    application extensions. Plain text (section 25) goes: no viewer shows it. Of the
    extensions that stay, so do the bytes that have a meaning.

    Raises:
        ValueError: malformed.
        IndexError: truncated.
    """
    view, kept = memoryview(data), bytearray()
    for kind, start, body, end in pieces(data):
        if kind in _KEPT:
            kept += view[start:end]
        elif kind == _CONTROL:
            length = min(data[body], _CONTROL_BYTES)
            kept += kind + bytes([length]) + view[body + 1 : body + 1 + length] + b"\0"
        elif kind == _APPLICATION and data.startswith(_LOOPS, body):
            kept += _loop(data, start, body)
        elif kind == _APPLICATION and keep.profile and data.startswith(_PROFILE, body):
            kept += view[start:end]
    return bytes(kept)


def _loop(data: bytes, start: int, body: int) -> bytes:
    """Return the extension at *start* with its number of repeats alone; empty without one."""
    at = name_end = body + 1 + data[body]
    while size := data[at]:
        if size >= _LOOP_BYTES and data.startswith(_LOOP, at + 1):
            number = data[at + 1 : at + 1 + _LOOP_BYTES]
            return data[start:name_end] + bytes([_LOOP_BYTES]) + number + b"\0"
        at += size + 1
    return b""
