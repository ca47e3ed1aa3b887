"""Write an image once more in its own format, without metadata, losing as little as it can.

For files whose pieces cannot be told apart: formats that :mod:`.metadata` does not strip, and
malformed ones that decode all the same. Animations become their first frame, icons their
largest picture.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

from PIL import Image
from PIL.ExifTags import Base

from scrapy_imgpipe.imaging.exif import RIGHTS, fields_of
from scrapy_imgpipe.imaging.greys import usual

if TYPE_CHECKING:
    from collections.abc import Mapping

# How each format loses least (JPEG, AVIF) or nothing.
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "JPEG": {"quality": "keep", "comment": b""},
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 90},
    "TIFF": {"compression": "tiff_adobe_deflate"},
    "JXL": {"lossless": True},
    "HEIF": {"quality": 95},
}

_ICON_BYTES = 6 + 16  # header and one entry

# Formats whose writers take EXIF.
_WITH_EXIF = frozenset({"JPEG", "PNG", "WEBP", "AVIF", "TIFF", "HEIF", "JXL"})


def saved_again(image: Image.Image, *, rights: bool) -> bytes:
    """Return *image* in its own format, with its colour profile and its orientation.

    Args:
        image: as opened.
        rights: keep the EXIF fields Copyright and Artist, too.
    """
    image.load()
    form = "JPEG" if image.format == "MPO" else str(image.format)
    image.format = form  # or Pillow keeps no tables
    options = dict(_OPTIONS.get(form, {}))
    stays = RIGHTS | {Base.Orientation} if rights else {Base.Orientation}
    exif = fields_of(image.getexif(), stays.__contains__)
    if len(exif) and form in _WITH_EXIF:
        options["exif"] = exif.tobytes()
    profile, info = image.info.get("icc_profile"), image.info
    if form != "JPEG":  # a plain image: others bring their tags along
        image = usual(image).copy()
    image.info = {key: info[key] for key in ("transparency", "background") if key in info}
    with io.BytesIO() as file:
        image.save(file, "PNG" if form == "ICO" else form, icc_profile=profile, **options)
        return _icon(file.getvalue(), image.size) if form == "ICO" else file.getvalue()


def _icon(png: bytes, size: tuple[int, int]) -> bytes:
    """Return an icon of one picture; Pillow writes none beyond 256 pixels.

    There a side is written as 0, and the header of the PNG tells it (Microsoft Learn,
    "Icons", 2021).
    """
    sides = bytes(side if side < 256 else 0 for side in size)  # noqa: PLR2004
    entry = sides + struct.pack("<xxHHII", 1, 32, len(png), _ICON_BYTES)
    return struct.pack("<HHH", 0, 1, 1) + entry + png
