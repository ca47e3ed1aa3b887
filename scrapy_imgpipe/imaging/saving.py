"""Write an image once more in its own format, without metadata, losing as little as it can.

For files whose pieces cannot be told apart: formats that :mod:`.metadata` does not know, and
malformed ones that decode all the same. Animations become their first frame.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from PIL import ExifTags, Image

if TYPE_CHECKING:
    from collections.abc import Mapping

# How each format loses least (JPEG, AVIF) or nothing.
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "JPEG": {"quality": "keep", "comment": b""},
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 90},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}

# EXIF fields that stay: which side is up, and who made it.
_TURN = frozenset({ExifTags.Base.Orientation})
_RIGHTS = frozenset({ExifTags.Base.Artist, ExifTags.Base.Copyright})


def saved_again(image: Image.Image, *, rights: bool) -> bytes:
    """Return *image* in its own format, with its colour profile and its orientation.

    Args:
        image: as opened.
        rights: keep the EXIF fields Copyright and Artist, too.
    """
    image.load()
    form = "JPEG" if image.format == "MPO" else str(image.format)
    options = dict(_OPTIONS.get(form, {}))
    exif, fields = Image.Exif(), _TURN | _RIGHTS if rights else _TURN
    for tag, value in image.getexif().items():
        if tag in fields:
            exif[tag] = value
    if len(exif) and form in {"JPEG", "PNG", "WEBP", "AVIF", "TIFF"}:
        options["exif"] = exif
    profile, info = image.info.get("icc_profile"), image.info
    if form != "JPEG":  # a plain image: others bring their tags along
        image = image.copy()
    image.info = {key: info[key] for key in ("transparency", "background") if key in info}
    with io.BytesIO() as file:
        image.save(file, form, icc_profile=profile, **options)
        return file.getvalue()
