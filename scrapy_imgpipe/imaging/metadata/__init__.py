"""Take metadata out of image files without touching a pixel.

Bytes in, bytes out: no Pillow, no I/O, nothing decoded. JPEG, PNG, GIF and WEBP are
walked piece by piece, and pieces are left out; what carries the pixels is copied as it
is. The formats are in ``segments`` (JPEG), ``chunks`` (PNG), ``riff`` (WEBP) and
``blocks`` (GIF), each with two functions: one walks the pieces up to the end of the
image, one returns what is kept of them. Both raise ``ValueError``, ``IndexError`` or
``struct.error`` on a malformed file or one of too many pieces; here that becomes "left
as it is".

Time and memory are linear in the length of the file, whatever its bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from scrapy_imgpipe.imaging.metadata import blocks, chunks, riff, segments
from scrapy_imgpipe.imaging.metadata.pieces import Keep, Piece

_MALFORMED = (ValueError, IndexError, struct.error)


class _Format(NamedTuple):
    start: int
    signature: bytes | tuple[bytes, ...]
    pieces: Callable[[bytes], Iterator[Piece]]
    stripped: Callable[[bytes, Keep], bytes]


_FORMATS = (
    _Format(0, b"\xff\xd8\xff", segments.pieces, segments.stripped),
    _Format(0, b"\x89PNG\r\n\x1a\n", chunks.pieces, chunks.stripped),
    _Format(0, (b"GIF87a", b"GIF89a"), blocks.pieces, blocks.stripped),
    _Format(8, b"WEBP", riff.pieces, riff.stripped),
)


#: Formats that can be walked, in Pillow's spelling.
WALKED = frozenset({"JPEG", "PNG", "GIF", "WEBP"})


def _format(data: bytes) -> _Format | None:
    for kind in _FORMATS:
        if data.startswith(kind.signature, kind.start):
            return kind
    return None


def strip(
    data: bytes,
    *,
    copyright: bool = False,  # noqa: A002 - what the EXIF tag is called
    profile: bool = True,
) -> bytes:
    """Return *data* without metadata, its pixels untouched (no re-encoding).

    Out go EXIF with GPS and thumbnails, XMP, IPTC, comments, texts, times, content
    credentials, unknown pieces, and all that follows the end of the image: zip archives,
    further pictures of an MPO, the gain map of an Ultra HDR photo, a motion photo's film.

    An EXIF orientation of 2-8 stays, in an EXIF block of its own, so that viewers turn the
    picture as before. One that only stands in XMP, or in a PNG text, is lost: few viewers
    heed it, but Pillow does. Density, animation and colour chunks stay.

    A file that cannot be followed to its end (malformed, truncated, more than 100 000
    pieces) comes back as it is, **with its metadata**: :func:`end_of_image` is None for
    it. So does every format but JPEG, PNG (APNG), GIF and WEBP. Never raises, whatever
    the bytes. Stripping twice is stripping once.

    Args:
        data: a whole image file.
        copyright: keep the EXIF tags Copyright and Artist, too, where they are shorter
            than 28 KiB.
        profile: keep the ICC profile, byte for byte. Without it the colours of most
            files change: only for pixels that are sRGB.

    Returns:
        A new file, or *data* itself where there is nothing to remove.
    """
    kind = _format(data)
    if kind is not None:
        with suppress(*_MALFORMED):
            stripped = kind.stripped(data, Keep(rights=copyright, profile=profile))
            return data if stripped == data else stripped
    return data


def end_of_image(data: bytes) -> int | None:
    """Return where the image ends in *data*, None where that cannot be told.

    What follows is trailing data (a polyglot's), or further pictures: an MPO ends behind
    its first. The pieces are walked, not decoded, so the pixels may still be damaged.
    None for a malformed or truncated file and for all but JPEG, PNG, GIF and WEBP. Never
    raises.

    Returns:
        An offset in bytes, ``len(data)`` where nothing follows.
    """
    kind = _format(data)
    if kind is not None:
        with suppress(*_MALFORMED):
            end = 0
            for piece in kind.pieces(data):
                end = piece.end
            return end
    return None


#: The pieces that stand for a frame each; a JPEG has one picture.
_FRAMES = {b",", b"ANMF", b"fcTL"}


def count_frames(data: bytes) -> int:
    """Return how many frames of an animation *data* has, up to where it can be followed.

    0 for a still picture, and for all but GIF, PNG and WEBP. Nothing is decoded.
    """
    kind, frames = _format(data), 0
    if kind is not None:
        with suppress(*_MALFORMED):
            for piece in kind.pieces(data):
                frames += piece.kind in _FRAMES
    return frames


def trailing_bytes(data: bytes) -> int:
    """Return how many bytes follow the image in *data*; 0 also where that cannot be told."""
    if data.startswith(b"\xff\xd8\xff") and segments.ends_at_once(data):
        return 0
    end = end_of_image(data)
    return 0 if end is None else len(data) - end
