"""Take metadata out of image files without touching a pixel.

Bytes in, bytes out: no Pillow, no I/O, nothing decoded. JPEG, PNG, GIF and WEBP are
walked piece by piece, and pieces are left out; what carries the pixels is copied as it
is. The formats are in ``segments`` (JPEG), ``chunks`` (PNG), ``riff`` (WEBP),
``blocks`` (GIF), ``icons`` (ICO), ``bitmaps`` (BMP, PPM) and ``boxes`` (AVIF, HEIF),
each with two functions: one walks the pieces up to the end of the image, one returns
what is kept of them. Both raise ``ValueError``, ``IndexError`` or ``struct.error`` on a
malformed file or one of too many pieces; here that becomes "left as it is".

Time and memory are linear in the length of the file, whatever its bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from scrapy_imgpipe.imaging.metadata import (
    bitmaps,
    blocks,
    boxes,
    chunks,
    icons,
    riff,
    segments,
)
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
    _Format(0, b"\0\0\1\0", icons.pieces, icons.stripped),
    _Format(0, b"BM", bitmaps.bmp_pieces, bitmaps.bmp_stripped),
    _Format(0, (b"P4", b"P5", b"P6"), bitmaps.ppm_pieces, bitmaps.ppm_stripped),
    _Format(4, b"ftyp", boxes.pieces, boxes.stripped),
)


#: Formats of animations, or of several pictures, that can be walked to their end; in
#: Pillow's spelling. A JPEG is not among them: what an MPO has behind its first picture
#: is previews, or another angle, and no part of the image.
WALKED = frozenset({"PNG", "GIF", "WEBP", "AVIF", "HEIF"})


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
    pieces) comes back as it is, **with its metadata**: :func:`stripped` is None for it.
    So does every format but JPEG, PNG (APNG), GIF, WEBP, ICO, BMP and PPM (P4 to P6).
    Never raises, whatever the bytes. Stripping twice is stripping once.

    What is hidden on purpose inside pixel data stays, for nothing is decoded: bytes behind
    the last code of a GIF's image or behind the zlib stream of a PNG, an alpha plane of a
    WEBP that no flag tells of, colours that no pixel has, gaps before the pixels of a BMP,
    whatever else is within the pictures of an icon that are no PNG.

    Args:
        data: a whole image file.
        copyright: keep the EXIF tags Copyright and Artist, too, where they are shorter
            than 28 KiB.
        profile: keep the ICC profile, byte for byte. Without it the colours of most
            files change: only for pixels that are sRGB.

    Returns:
        A new file, or *data* itself where there is nothing to remove.
    """
    bare = stripped(data, copyright=copyright, profile=profile)
    return data if bare is None else bare


def stripped(
    data: bytes,
    *,
    copyright: bool = False,  # noqa: A002 - as above
    profile: bool = True,
) -> bytes | None:
    """Return what :func:`strip` does, but None where metadata cannot be told from pixels."""
    kind = _format(data)
    if kind is not None:
        with suppress(*_MALFORMED):
            bare = kind.stripped(data, Keep(rights=copyright, profile=profile))
            return data if bare == data else bare
    return None


def end_of_image(data: bytes) -> int | None:
    """Return where the image ends in *data*, None where that cannot be told.

    What follows is trailing data (a polyglot's), or further pictures: an MPO ends behind
    its first. The pieces are walked, not decoded, so the pixels may still be damaged.
    None for a malformed or truncated file, for PPM in plain text, and for TIFF and
    JPEG XL: a TIFF has its pieces anywhere, and each may lead to others. Never raises.

    An AVIF or HEIF ends before the first box that is none of an image; what is in a box of
    a known kind is part of it, whether anything refers to it or not.

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
_FRAMES = frozenset({b",", b"ANMF", b"fcTL"})
_MOVING = frozenset({blocks.pieces, riff.pieces, chunks.pieces})


def count_frames(data: bytes) -> int:
    """Return how many frames of an animation *data* has, up to where it can be followed.

    0 for a still picture, and for all but GIF, PNG and WEBP. Nothing is decoded.
    """
    kind, frames = _format(data), 0
    if kind is not None and kind.pieces in _MOVING:
        with suppress(*_MALFORMED):
            for piece in kind.pieces(data):
                frames += piece.kind in _FRAMES
    return frames


def trailing_bytes(data: bytes) -> int:
    """Return how many bytes follow the image in *data*.

    0 also where :func:`end_of_image` cannot tell: of a TIFF and a JPEG XL above all.
    """
    if data.startswith(b"\xff\xd8\xff") and segments.ends_at_once(data):
        return 0
    end = end_of_image(data)
    return 0 if end is None else len(data) - end
