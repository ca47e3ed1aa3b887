"""Tell whether a stored file is a whole image, as cheaply as its format allows.

No I/O: the bytes are an argument.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from scrapy_imgpipe.errors import ImageBroken
from scrapy_imgpipe.imaging.decode import ANY, open_image
from scrapy_imgpipe.imaging.failures import sealed
from scrapy_imgpipe.imaging.metadata import WALKED, end_of_image, riff
from scrapy_imgpipe.imaging.pages import has_all_pages
from scrapy_imgpipe.imaging.plan import DEFAULT_FORMATS, Inspection

if TYPE_CHECKING:
    from collections.abc import Collection

    from PIL import Image

# Start of frame: baseline, extended, progressive; and start of scan (ITU-T T.81, B.1.1.3).
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_SCAN = 0xDA

_ENDS = {
    "JPEG": b"\xff\xd9",
    "MPO": b"\xff\xd9",
    "PNG": b"\0\0\0\0IEND\xaeB`\x82",
    "GIF": b"\0;",  # the last block's terminator, then the trailer
}

# Chunks of a WEBP that have pixels (RFC 9649, 2.5 to 2.7).
_PIXELS = frozenset({b"VP8 ", b"VP8L", b"ALPH", b"ANMF"})

# A file system that lost the tail of a file in a crash leaves NULs, a sector of them at
# least. Compressed data never has so many, yet decoders make pixels of them: Pillow 13
# loads a JPEG, PNG or GIF whose second half is NULs without a word.
_HOLE = bytes(512)


def _ends_well(data: bytes, image: Image.Image) -> bool:
    """Say whether the last bytes prove the file whole; False is doubt, not a verdict.

    Raises:
        ImageBroken: the tail was lost, and NULs stand where it was.
    """
    if image.format == "WEBP":
        length = int.from_bytes(data[4:8], "little") + 8
        _no_hole_in_webp(data, length)
        return len(data) >= length
    end = _ENDS.get(image.format or "")
    if end is None or not getattr(image, "tile", None):
        return False  # another format, or a header without pixels
    if data.rstrip(b"\0").endswith(end):
        return True
    if end == _ENDS["JPEG"]:
        refuse_hole(data)
    else:
        _no_hole(data)
    return False


def _no_hole_in_webp(data: bytes, length: int) -> None:
    """Refuse a WEBP of *length* bytes that ends in a hole, or has one where pixels end.

    Its EXIF may end in NULs that belong there. A tail that was lost has chunks without a name.

    Raises:
        ImageBroken: the tail was lost.
    """
    try:
        for piece in riff.pieces(data[:length]):
            if piece.kind == bytes(4):
                break
            if piece.kind in _PIXELS:
                _no_hole(data[piece.body : piece.end])
        else:
            return
    except (ValueError, struct.error):
        pass
    _no_hole(data[:length])


def refuse_hole(data: bytes) -> None:
    """Refuse a JPEG whose tail is NULs without an end-of-image marker before them.

    Pillow makes grey pixels of them without a word; :func:`inspect` would find such
    a file damaged every time.

    Raises:
        ImageBroken: the tail was lost.
    """
    # No marker but restarts can stand inside a scan (ITU-T T.81, B.1.1.5).
    if data.endswith(_HOLE) and data.find(_ENDS["JPEG"], data.rfind(b"\xff\xda")) < 0:
        _no_hole(data)


def refuse_missing_frames(data: bytes, image: Image.Image) -> None:
    """Refuse an animation, or pages, that were cut off behind the first of them.

    An MPO is not looked at: what it has behind its first picture is previews or another
    angle, which servers cut off without telling its index.

    Args:
        data: a whole file.
        image: it, opened.

    Raises:
        ImageBroken: it was cut off.
    """
    if not getattr(image, "is_animated", False):
        return
    walked = image.format in WALKED and end_of_image(data) is None
    if walked or (image.format == "TIFF" and not has_all_pages(data)):
        msg = "Image cannot be decoded: it was cut off behind its first frame"
        raise ImageBroken(msg)


def _no_hole(data: bytes) -> None:
    if data.endswith(_HOLE):
        msg = "Image cannot be decoded: NULs where its end should be"
        raise ImageBroken(msg)


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a JPEG from its header, or None where that is in doubt.

    Walks the segments (ITU-T T.81, B.1.1.4) up to the first scan: cheaper than opening
    the image, for what is looked at again in every crawl.
    """
    size, place = None, 2
    while data[place : place + 1] == b"\xff":
        marker = data[place + 1]
        if marker in _FRAMES:
            size = (
                int.from_bytes(data[place + 7 : place + 9], "big"),
                int.from_bytes(data[place + 5 : place + 7], "big"),
            )
        if marker == _SCAN:
            return size if size is not None and min(size) > 0 else None
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if place + 9 > len(data):
            return None
    return None


@sealed
def inspect(
    data: bytes, formats: Collection[str] = DEFAULT_FORMATS, *, to_end: bool = False
) -> Inspection:
    """Check that *data* is an image and complete.

    JPEG, PNG, GIF and WEBP that end as their format says are believed, and only their
    header is parsed; anything else is decoded to its end, a JPEG at an eighth of its
    scale, of an animation or pages the first, while the others have to be there. Bytes that
    changed in the middle are not found. With *to_end*, everything is
    decoded.

    An ``MPO`` is a ``JPEG`` here, too.

    Raises:
        SourceRejected: ``not-an-image`` (an empty file, too), ``format-not-allowed``.
        ImageBroken: it stops before its end.
    """
    ends = data[:3] == b"\xff\xd8\xff" and data[-2:] == _ENDS["JPEG"]
    if ends and "JPEG" in formats and not to_end:
        size = _jpeg_size(data)
        if size is not None:
            return Inspection(*size, "JPEG")
    image = open_image(data, formats, ANY)
    try:
        kind = "JPEG" if image.format == "MPO" else image.format or ""
        found = Inspection(*image.size, kind)
        if not _ends_well(data, image) or to_end:
            image.draft(None, (1, 1))
            image.load()
            refuse_missing_frames(data, image)
    finally:
        image.close()
    return found
