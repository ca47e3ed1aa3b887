"""Write an image once more in its own format, without metadata, losing as little as it can.

For files whose pieces cannot be told apart: formats that :mod:`.metadata` does not know, and
malformed ones that decode all the same. Animations become their first frame.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from PIL import Image
from PIL.ExifTags import Base

from scrapy_imgpipe.imaging.exif import RIGHTS, fields_of

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
    options = dict(_OPTIONS.get(form, {}))
    stays = RIGHTS | {Base.Orientation} if rights else {Base.Orientation}
    exif = fields_of(image.getexif(), stays.__contains__)
    if len(exif) and form in _WITH_EXIF:
        options["exif"] = exif.tobytes()
    if form == "ICO":  # else it would have square ones
        options["sizes"] = [image.size]
    profile, info = image.info.get("icc_profile"), image.info
    if form != "JPEG":  # a plain image: others bring their tags along
        image = image.copy()
    image.info = {key: info[key] for key in ("transparency", "background") if key in info}
    with io.BytesIO() as file:
        image.save(file, form, icc_profile=profile, **options)
        return file.getvalue()
