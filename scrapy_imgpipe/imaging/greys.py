"""Greys of more than 8 bits: what is black, what is white, and what is in between."""

from __future__ import annotations

from typing import Any

from PIL import Image, ImageMath

# Tags of TIFF 6.0, section 8, and the only photometric interpretation that Pillow leaves
# to others where samples have 16 bits.
_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
_WHITE_IS_ZERO, _UNSIGNED = 0, 1
_TWELVE = (12,)


def is_deep(image: Image.Image) -> bool:
    """Return whether *image* has whole numbers of more than 8 bits."""
    return image.mode == "I" or image.mode.startswith("I;16")


def _top_bits(operands: dict[str, Any]) -> Any:
    return operands["image"] >> 8 & 0xFFFFFF


def usual(image: Image.Image) -> Image.Image:
    """Return the deep greys of a TIFF as other formats have them; *image* of all else.

    Pillow brings 12 bits as they are, in a mode for 16; leaves 16 bits negative where the
    file says that 0 is white; and takes 32 bits without a sign for such with one, of which
    the upper 24 stay here. Floating point that is negative stays so: what is its white, it
    does not say.

    Args:
        image: decoded, and the object that was opened; not modified.
    """
    tags: Any = getattr(image, "tag_v2", None)
    if tags is None or not is_deep(image):
        return image
    if image.mode == "I" and tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))[0] == _UNSIGNED:
        darkest: Any = image.getextrema()[0]
        return ImageMath.lambda_eval(_top_bits, image=image) if darkest < 0 else image
    if image.mode == "I;16" and tags.get(_BITS) == _TWELVE:
        return image.point(lambda value: value * (65535 / 4095))
    if image.mode == "I;16" and tags.get(_PHOTOMETRIC, _WHITE_IS_ZERO) == _WHITE_IS_ZERO:
        return image.point(lambda value: value * -1 + 65535)
    return image


def _scaled(image: Image.Image, factor: float) -> Image.Image:
    """Multiply the samples of ``I``, ``I;16`` or ``F`` and cut them to 0-255, as ``L``."""
    scaled = image.point(lambda value: value * factor) if factor != 1 else image
    return scaled.convert("L")


def deep_to_grey(image: Image.Image) -> Image.Image:
    """Bring samples deeper than 8 bits to ``L`` by the range they use.

    ``I;16*`` always spans 65536 values, and so does PPM, whose kinds Pillow brings to that
    range. ``I`` and ``F`` of other formats do not say what is white, so
    their largest sample decides: 1, 255, 65535, or itself.

    Args:
        image: ``I``, ``I;16*`` or ``F``; not modified.
    """
    form, image = image.format, usual(image)
    if image.mode == "I;16":
        return _scaled(image, 1 / 256)
    if image.mode.startswith("I;16") or (image.mode, form) == ("I", "PPM"):
        return _scaled(image.convert("I"), 1 / 256)
    highest = float(image.getextrema()[1])  # type: ignore[arg-type]
    if image.mode == "F" and 0 < highest <= 1:
        return _scaled(image, 255)
    if highest <= 255:  # noqa: PLR2004
        return _scaled(image, 1)
    if highest <= 65535:  # noqa: PLR2004
        return _scaled(image, 1 / 256)
    return _scaled(image, 255 / highest)
