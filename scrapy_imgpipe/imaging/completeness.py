"""Tell whether a stored file is a whole image, as cheaply as its format allows.

No I/O: the bytes are an argument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrapy_imgpipe.errors import ImageBroken
from scrapy_imgpipe.imaging.decode import open_image
from scrapy_imgpipe.imaging.failures import sealed
from scrapy_imgpipe.imaging.plan import DEFAULT_FORMATS, Inspection

if TYPE_CHECKING:
    from collections.abc import Collection

    from PIL import Image

_JPEG_END = b"\xff\xd9"
_ENDS = {
    "PNG": b"\0\0\0\0IEND\xaeB`\x82",
    "GIF": b"\0;",  # the last block's terminator, then the trailer
}

# Half a kilobyte is the smallest sector: a file system that lost the tail of a file
# in a crash leaves at least so many NULs, and Huffman codes made of NULs decode.
_HOLE = bytes(512)


def _jpeg_ends(data: bytes, image: Image.Image) -> bool:
    """Say whether *data* ends where a JPEG ends, NULs behind it aside.

    Raises:
        ImageBroken: the tail was lost, and NULs stand where it was.
    """
    if data.rstrip(b"\0").endswith(_JPEG_END):
        return True
    first_scan = image.fp.tell()  # type: ignore[attr-defined]
    if data.endswith(_HOLE) and data.rfind(_JPEG_END, first_scan) < 0:
        msg = "Image cannot be decoded: NULs where its end should be"
        raise ImageBroken(msg)
    return False


def _ends_well(data: bytes, image: Image.Image) -> bool:
    """Say whether the last bytes prove the file whole; False is doubt, not a verdict."""
    if image.format == "WEBP":
        whole = int.from_bytes(data[4:8], "little") + 8 <= len(data)
        return whole and not data.endswith(_HOLE)
    if not getattr(image, "tile", None):
        return False  # a header without pixels
    if image.format in ("JPEG", "MPO"):
        return _jpeg_ends(data, image)
    return data.endswith(_ENDS.get(image.format or "", ()))


@sealed
def inspect(data: bytes, formats: Collection[str] = DEFAULT_FORMATS) -> Inspection:
    """Check that *data* is an image and complete.

    JPEG, PNG, GIF and WEBP that end as their format says are believed, and only their
    header is parsed; anything else is decoded to its end, a JPEG at an eighth of its
    scale. Bytes that changed in the middle are not found.

    Raises:
        SourceRejected: ``not-an-image`` (an empty file, too), ``format-not-allowed``.
        ImageBroken: it stops before its end.
    """
    image = open_image(data, formats)
    try:
        found = Inspection(*image.size, image.format or "")
        if not _ends_well(data, image):
            image.draft(None, (1, 1))
            image.load()
    finally:
        image.close()
    return found
