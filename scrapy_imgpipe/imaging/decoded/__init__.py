"""How many pixels a decoder makes of a file, which is not always what its header says.

Bytes in, numbers out: no Pillow, nothing decoded. Of a whole file: what is looked at may
stand anywhere in it.
"""

from __future__ import annotations

import struct

from scrapy_imgpipe.imaging.decoded.effort import Effort
from scrapy_imgpipe.imaging.decoded.gif import canvases
from scrapy_imgpipe.imaging.decoded.heif import Inside, in_boxes
from scrapy_imgpipe.imaging.decoded.tiff import tiff_pixels

__all__ = ["Inside", "canvases", "inside"]

_MALFORMED = (ValueError, IndexError, struct.error)
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def inside(data: bytes) -> Inside:
    """Return what decoding *data* comes to, up to its first picture.

    Told of AVIF, HEIF and TIFF: the pictures in a file of boxes may be larger than the boxes
    say, and many; the tiles of a TIFF reach beyond its edges. Of other formats nothing is
    told, nor of files in which a decoder finds no picture either.

    Raises:
        ImageBroken: there are more pieces than can be looked at in a second.
    """
    effort = Effort()
    try:
        if data[4:8] == b"ftyp":
            return in_boxes(data, effort)
        if data.startswith(_TIFF):
            return Inside(tiff_pixels(data, effort))
    except _MALFORMED:
        pass
    return Inside()
