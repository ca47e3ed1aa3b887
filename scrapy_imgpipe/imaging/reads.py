"""How often a file is read while it is opened and decoded.

Pillow looks for a marker byte by byte, and takes a chunk or a segment at a time: 300 MB of
NULs behind the start of a JPEG keep it, and the interpreter lock, for half a minute.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from scrapy_imgpipe.errors import ImageBroken

if TYPE_CHECKING:
    from PIL import ImageFile

# How often a file is read from start to end: of some hundred bytes at a time, and some more.
# A photo takes fewer than a hundred reads.
_READS = 100_000
_BYTES_PER_READ = 256

# By Pillow's name of the decoder, how many bytes a read has at least that is more while
# decoding, and how many more there may be in any file: what takes some four seconds (2026-11).
# GIF: two reads for a block of 255 bytes, and each frame is gone through twice. PNG: three for
# a chunk, of which 12 bytes are no data; there are some with chunks of 32. Of run lengths, and
# of samples that are to be scaled, each byte is one: both are decoded in Python.
_WHILE_DECODING = {
    "gif": (32, 4_000_000),
    "zip": (12, 2_500_000),
    "bmp_rle": (1, 8_000_000),
    "ppm": (1, 8_000_000),
}


class Reads(io.BytesIO):
    """A file in memory that is read in so many pieces, and no more."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._length = len(data)
        self._left = _READS + len(data) // _BYTES_PER_READ

    def is_opened_as(self, image: ImageFile.ImageFile) -> None:
        """Allow as many more as it takes to decode *image*, a whole one of its format."""
        for tile in image.tile[:1]:
            length, most = _WHILE_DECODING.get(tile[0], (1, 0))
            self._left += min(self._length // length, most)

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next *size* bytes.

        Raises:
            ImageBroken: it has been read too often.
        """
        self._left -= 1
        if self._left < 0:
            raise ImageBroken("Image cannot be decoded: it is in too many pieces")
        return super().read(size)
