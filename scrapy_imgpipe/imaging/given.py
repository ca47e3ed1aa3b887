"""Pictures that somebody gives as pixels, and not as a file: encoded, and nothing else.

What is asked for beyond that (a box, steps) is made as of a file.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from scrapy_imgpipe.imaging.colour import flatten, has_transparency, with_alpha
from scrapy_imgpipe.imaging.decode import upright
from scrapy_imgpipe.imaging.encode import MOST_AREA, MOST_SIDE, encode
from scrapy_imgpipe.imaging.failures import sealed
from scrapy_imgpipe.imaging.greys import deep_to_grey, is_deep
from scrapy_imgpipe.imaging.icc import colour_in, to_srgb
from scrapy_imgpipe.imaging.outputs import Origin, keeps_alpha, make_variants
from scrapy_imgpipe.imaging.plan import Picture, Plan
from scrapy_imgpipe.imaging.resize import Base, Flat
from scrapy_imgpipe.variants import Variant, output_format

if TYPE_CHECKING:
    from PIL import Image

# Modes that stay in each format, where nothing is transparent.
_STAY: Final = {
    "JPEG": {"L", "RGB", "YCbCr"},
    "PNG": {"1", "L", "P", "RGB", "I;16"},
    "WEBP": {"RGB"},
    "AVIF": {"RGB"},
    "GIF": {"1", "L", "P", "RGB"},
}

_MOST_OF_16_BITS = 65_535


@sealed
def encode_image(
    image: Image.Image, variant: Variant, background: tuple[int, int, int] = (255, 255, 255)
) -> Picture:
    """Return *image* as a file of the format of *variant*.

    It is what a viewer shows: upright, and in sRGB, unless *variant* keeps the profile. Greys
    stay grey and a palette a palette where the format has such, greys of 16 bits stay so in
    PNG; other modes become red, green and blue. What is larger than its format can be is
    shrunk.

    Args:
        image: any Pillow mode; not modified. Of an animation, the frame at hand.
        variant: how it is to be; a box and steps count as well.
        background: behind transparent pixels where the format has none, or *variant* another.

    Raises:
        ImageBroken: it does not decode, or Pillow could not encode it.
        HookFailed: a step failed.
    """
    form = output_format(str(image.format), variant.format)
    variant = replace(variant, format=form)
    origin = Origin.of(image, (variant,), b"")
    straight = upright(image)
    if _is_shaped(variant) or not _has_room(straight.size, form):
        return _shaped(straight, variant, origin, background)
    ready = _ready(straight, variant, origin, background)
    data = encode(ready, variant, form, **origin.kept(variant, form))
    return Picture("", data, *ready.size, form)


def _is_shaped(variant: Variant) -> bool:
    """Return whether *variant* asks for more than to be encoded."""
    return variant.width is not None or variant.height is not None or bool(variant.steps)


def _has_room(size: tuple[int, int], form: str) -> bool:
    width, height = size
    return max(size) <= MOST_SIDE[form] and width * height <= MOST_AREA.get(form, width * height)


def _shaped(
    image: Image.Image, variant: Variant, origin: Origin, background: tuple[int, int, int]
) -> Picture:
    flat = with_alpha(image) if has_transparency(image) else flatten(image)
    base = Base(Flat(flat), flat.size, profile=flat.info.get("icc_profile"))
    plan = Plan((variant,), background=background)
    (made,) = make_variants(base, (variant,), origin, plan, (0,))
    return made


def _ready(
    image: Image.Image, variant: Variant, origin: Origin, background: tuple[int, int, int]
) -> Image.Image:
    """Return *image* in a mode that its format has, and in the colours that it is to have."""
    form = variant.format
    image = _deep(image, variant)
    if _stays(image, variant):
        return image
    clear = has_transparency(image)
    ready = with_alpha(image) if clear else flatten(image)
    profile = ready.info.get("icc_profile")
    if not origin.keeps_profile(variant):
        ready, profile = to_srgb(ready, profile), None
    if clear and not keeps_alpha(variant, form):
        ready = flatten(ready, colour_in(variant.background or background, profile))
    return ready


def _stays(image: Image.Image, variant: Variant) -> bool:
    """Return whether *image* is encoded as it is."""
    form, few = variant.format, "colours" in dict(variant.options)
    if image.info.get("icc_profile") or (few and image.mode == "P"):
        return False
    if not has_transparency(image):
        return image.mode in _STAY[form]
    if not keeps_alpha(variant, form):
        return False
    return image.mode in {"LA", "RGBA"} or (form in {"PNG", "GIF"} and _has_plain_key(image))


def _has_plain_key(image: Image.Image) -> bool:
    """Return whether a colour, or entries of a palette, are transparent, as in PNG and GIF."""
    with_bands = image.palette is not None and image.palette.mode.endswith("A")
    return image.mode in {"1", "L", "P", "RGB"} and not with_bands


def _deep(image: Image.Image, variant: Variant) -> Image.Image:
    """Return greys of more than 8 bits, or of fractions, and those of one, as they are written."""
    if image.mode == "1" and variant.format != "PNG" and not has_transparency(image):
        return image.convert("L")
    if image.mode == "F":
        return deep_to_grey(image)
    if not is_deep(image) or has_transparency(image):
        return image
    if variant.format == "PNG" and "colours" not in dict(variant.options):
        if image.mode == "I;16":
            return image
        whole = image.convert("I")
        least, most = whole.getextrema()
        if image.mode != "I" or (least >= 0 and 255 < most <= _MOST_OF_16_BITS):  # type: ignore[operator] # noqa: PLR2004
            return whole.convert("I;16")
    return deep_to_grey(image)
