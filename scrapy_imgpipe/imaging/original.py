"""What a picture was before it became the stored one: size and format of the download.

Nothing is decoded.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from PIL import Image

from scrapy_imgpipe.imaging.decode import ANY, open_image
from scrapy_imgpipe.imaging.plan import DEFAULT_FORMATS


def original(image: Image.Image) -> dict[str, Any]:
    """Return size and format of *image* as it came.

    ``original_width`` and ``original_height`` are pixels as the file has them, before its
    orientation is applied; ``original_format`` is in Pillow's spelling, and missing where
    *image* does not know.

    Args:
        image: as opened.
    """
    found: dict[str, Any] = {"original_width": image.width, "original_height": image.height}
    if image.format:
        found["original_format"] = image.format
    return found


def original_of(data: bytes, formats: Collection[str] = DEFAULT_FORMATS) -> dict[str, Any]:
    """Return :func:`original` of a file.

    Bytes that are no picture, or one of a format that is not allowed, say nothing.
    """
    try:
        image = open_image(data, formats, ANY)
    except Exception:  # noqa: BLE001 - what the picture is worth is not asked here
        return {}
    with image:
        return original(image)
