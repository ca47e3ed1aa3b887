"""Make a whole file of one that was cut off, with the pixels that are there.

Pillow's switch for this, ``ImageFile.LOAD_TRUNCATED_IMAGES``, is one for the whole process;
here it is one image at a time.
"""

from __future__ import annotations

from contextlib import suppress

from scrapy_imgpipe.imaging.decode import open_image
from scrapy_imgpipe.imaging.metadata import segments
from scrapy_imgpipe.imaging.saving import saved_again

# Formats whose decoders write rows into the picture as they come.
_BY_ROWS = frozenset({"PNG", "GIF", "BMP", "TIFF"})

_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"


def repaired(data: bytes, formats: tuple[str, ...]) -> bytes | None:
    """Return a whole file of the same format; None where there are no pixels to show.

    What is missing is grey in a JPEG, blurred where a progressive one had come some way,
    and black or transparent in PNG, GIF, BMP and TIFF. Other formats show nothing before
    their end.

    Args:
        data: a file that does not decode to its end.
        formats: what may be opened.

    Raises:
        SourceRejected: as :func:`~scrapy_imgpipe.imaging.decode.open_image`.
        ImageBroken: not even the header can be read.
    """
    if data.startswith(_JPEG_START):  # libjpeg shows what it has at an end marker
        data = data.rstrip(b"\0")
        return data[: segments.shown(data)] + _JPEG_END
    with open_image(data, formats) as image:
        if image.format not in _BY_ROWS:
            return None
        with suppress(Exception):  # what it says is known
            image.load()
        image.tile = []  # type: ignore[attr-defined]  # there is no more to load
        if getattr(image, "_im", None) is None or image.getbbox() is None:
            return None
        return saved_again(image, rights=True)
