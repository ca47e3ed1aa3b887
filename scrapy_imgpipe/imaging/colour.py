"""Any mode of Pillow's to plain 8-bit RGB over an opaque background.

No operation used here holds other threads up for long, as ``Image.alpha_composite``
would (``benchmarks/locks.py`` prints how long).
"""

from __future__ import annotations

from typing import Any

from PIL import Image

from scrapy_imgpipe.imaging.failures import sealed
from scrapy_imgpipe.imaging.greys import deep_to_grey, is_deep
from scrapy_imgpipe.imaging.icc import to_srgb

_WHITE = (255, 255, 255)
_GREY_MODES = ("L", "LA", "La")
_ALPHA_MODES = ("RGBA", "RGBa", "LA", "La", "PA")


def _clean(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Leave nothing in ``info`` but the profile; a comment would go into every JPEG."""
    image.info = {} if profile is None else {"icc_profile": profile}
    return image


def _opaque(image: Image.Image) -> tuple[Image.Image, Any]:
    """Return *image* as ``RGB``, whatever is transparent taken as it is, and its profile.

    One for other channels than those of ``RGB`` is used here, and is None then.
    """
    profile, own = image.info.get("icc_profile"), image.mode == "CMYK"
    if image.mode == "F" or is_deep(image):
        image = deep_to_grey(image)
    elif image.mode in {"LA", "La"}:
        image = image.convert("LA").getchannel("L")
    if own or image.mode == "L":
        converted = to_srgb(image, profile)
        own = own or converted is not image
        image = converted
    return image if image.mode == "RGB" else image.convert("RGB"), None if own else profile


def _deep_mask(image: Image.Image, transparent: Any) -> Image.Image:
    """Return ``L``: 0 where the 16-bit sample is the transparent one, else 255."""
    table = [255] * 65536
    if isinstance(transparent, int) and 0 <= transparent < len(table):
        table[transparent] = 0
    return image.convert("I").point(table, "L")


def _with_alpha(image: Image.Image) -> Image.Image:
    """Return *image* with its transparency as an alpha band."""
    if image.mode == "La":
        image = image.convert("LA")
    return image if image.mode in ("RGBA", "RGBa") else image.convert("RGBA")


def has_transparency(image: Image.Image) -> bool:
    """Return whether *image* may have transparent pixels, by its mode and header."""
    if image.mode in _ALPHA_MODES:
        return True
    if image.mode == "P" and image.palette is not None and image.palette.mode.endswith("A"):
        return True
    transparent = image.info.get("transparency")
    return transparent is not None and (image.mode in ("1", "L", "P", "RGB") or is_deep(image))


def _apart(image: Image.Image) -> tuple[Image.Image, Image.Image, Any]:
    """Return colours, mask and profile of an *image* that has transparency.

    The colours are ``RGB``, or the mask itself where it has them: ``RGBA``.
    """
    if is_deep(image):
        mask = _deep_mask(image, image.info.get("transparency"))
    else:
        mask = _with_alpha(image)
    if is_deep(image) or image.mode in _GREY_MODES:
        colours, profile = _opaque(image)
        return colours, mask, profile
    return mask, mask, image.info.get("icc_profile")


@sealed
def flatten(image: Image.Image, background: tuple[int, int, int] = _WHITE) -> Image.Image:
    """Paint *image* over an opaque *background*, as 8-bit RGB.

    Alpha, ``tRNS`` and palette transparency are all honoured. Samples of 16 bits keep
    their upper 8. ``CMYK`` and grey go through their ICC profile when that is usable.

    Args:
        image: any Pillow mode; not modified.
        background: red, green, blue; 0-255 each.

    Returns:
        An ``RGB`` image of the same size, its ICC profile in ``info`` when that still
        describes it; or *image* itself when it is ``RGB`` without transparency.

    Raises:
        ImageBroken: the pixels do not decode to their end, or convert to nothing.
    """
    image.load()
    if has_transparency(image):
        flat = Image.new("RGB", image.size, background)
        colours, mask, profile = _apart(image)
        flat.paste(colours, mask=mask)
    elif image.mode == "RGB":
        return image
    else:
        flat, profile = _opaque(image)
    return _clean(flat, profile)


@sealed
def with_alpha(image: Image.Image) -> Image.Image:
    """Return *image* as ``RGBA``, its ICC profile in ``info`` when that still describes it.

    Args:
        image: any Pillow mode; not modified.

    Raises:
        ImageBroken: the pixels do not decode to their end, or convert to nothing.
    """
    image.load()
    colours, mask, profile = _apart(image)
    if colours is mask:
        made = image.copy() if image.mode == "RGBA" else mask.convert("RGBA")
    else:
        made = colours.convert("RGBA")
        made.putalpha(mask.getchannel("A") if mask.mode == "RGBA" else mask)
    return _clean(made, profile)
