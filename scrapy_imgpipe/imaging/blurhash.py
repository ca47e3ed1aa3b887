"""BlurHash: a picture in 28 characters, for a blurred stand-in until it is there.

Pure Python over a small copy; nothing is stored or changed. The format is that of
https://github.com/woltapp/blurhash/blob/master/Algorithm.md; where that leaves the
encoder a choice, the choice of its reference encoders is taken, so that one copy gives
one string everywhere.
"""

from __future__ import annotations

import math
from functools import lru_cache
from operator import mul
from typing import Final

from PIL import Image
from PIL.Image import Resampling

from scrapy_imgpipe.imaging.colour import flatten
from scrapy_imgpipe.imaging.failures import sealed
from scrapy_imgpipe.imaging.icc import to_srgb
from scrapy_imgpipe.imaging.resize import REDUCING_GAP

#: Components across and down. The format has 1 to 9 each; its authors advise 4 and 3.
COMPONENTS: Final = (4, 3)

#: Width and height of the copy, in pixels: the size that the authors of the format advise.
#: It knows no aspect, so the copy has none either.
BLURHASH_SIDE: Final = 32

# "Base 83" of the format.
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"


def _to_linear(level: int) -> float:
    """Return the linear light of an sRGB *level*, 0.0-1.0 (IEC 61966-2-1)."""
    value = level / 255
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4  # noqa: PLR2004


def _to_level(light: float) -> int:
    """Return the sRGB level of linear *light*, 0-255 (IEC 61966-2-1)."""
    light = min(max(light, 0.0), 1.0)
    value = light * 12.92 if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055  # noqa: PLR2004
    return int(value * 255 + 0.5)


_LINEAR = [_to_linear(level) for level in range(256)]


@sealed
def blurhash(image: Image.Image) -> dict[str, str]:
    """Return the BlurHash of *image* as ``blurhash``: 4 by 3 components, 28 characters.

    Taken of a copy of 32 by 32 pixels, of what a viewer shows: transparency over white,
    an ICC profile honoured. It is the string that other encoders give that copy
    (``blurhash`` 1.1.5 of PyPI, 120 pictures, 2026-11), not the one they give the image.

    Args:
        image: any Pillow mode; not modified.

    Raises:
        ImageBroken: the pixels do not decode to their end.
    """
    flat = flatten(image)
    size = (BLURHASH_SIDE, BLURHASH_SIDE)
    small = flat.resize(size, Resampling.BOX, reducing_gap=REDUCING_GAP)
    small = to_srgb(small, flat.info.get("icc_profile"))
    return {"blurhash": _written(_components(small))}


def _components(image: Image.Image) -> list[tuple[float, ...]]:
    """Return red, green and blue of each component, linear, the mean colour first."""
    across, down = (_waves(*each) for each in zip(COMPONENTS, image.size, strict=True))
    width, height = image.size
    bands = []
    for band in image.split():
        light = [_LINEAR[level] for level in band.tobytes()]
        rows = [light[start : start + width] for start in range(0, len(light), width)]
        columns = [[sum(map(mul, row, wave)) for row in rows] for wave in across]
        bands.append([sum(map(mul, column, wave)) for wave in down for column in columns])
    scale = 1 / (width * height)
    # 2 for every wave: the decoder's sum of all components gives the picture again
    scales = [scale] + [2 * scale] * (len(bands[0]) - 1)
    colours = zip(*bands, strict=True)
    return [
        tuple(value * each for value in colour)
        for colour, each in zip(colours, scales, strict=True)
    ]


@lru_cache(maxsize=len(COMPONENTS))
def _waves(count: int, pixels: int) -> tuple[tuple[float, ...], ...]:
    """Return *count* cosines over *pixels*, from none to *count* - 1 half waves.

    Sampled at the left of each pixel, not at its middle, as the reference encoders do:
    one colour so has weak waves, a sixteenth of its light.
    """
    return tuple(
        tuple(math.cos(math.pi * wave * pixel / pixels) for pixel in range(pixels))
        for wave in range(count)
    )


def _written(components: list[tuple[float, ...]]) -> str:
    """Return the string: how many, the largest of the others, the mean, the others."""
    (red, green, blue), *others = components
    largest = max(abs(value) for colour in others for value in colour)
    step = max(0, min(82, math.floor(largest * 166 - 0.5)))
    text = _base83(COMPONENTS[0] - 1 + (COMPONENTS[1] - 1) * 9, 1) + _base83(step, 1)
    text += _base83(_to_level(red) << 16 | _to_level(green) << 8 | _to_level(blue), 4)
    unit = (step + 1) / 166
    for colour in others:
        red, green, blue = (_nineteenth(value / unit) for value in colour)
        text += _base83((red * 19 + green) * 19 + blue, 2)
    return text


def _nineteenth(value: float) -> int:
    """Return *value*, -1.0 to 1.0, as 0-18: by its root, for small ones are seen best."""
    root = math.copysign(math.sqrt(abs(value)), value)
    return max(0, min(18, math.floor(root * 9 + 9.5)))


def _base83(value: int, digits: int) -> str:
    """Return *value* in *digits* digits, the highest first."""
    return "".join(_DIGITS[value // 83**place % 83] for place in reversed(range(digits)))
