"""The measures that can be asked for by name: each says one thing of a picture.

Nothing is stored or changed here, and there is no chance in it: the same pixels give the
same answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from operator import mul
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from PIL import Image, ImageMath, ImageStat
from PIL.Image import Quantize, Resampling

from scrapy_imgpipe.imaging.blurhash import blurhash
from scrapy_imgpipe.imaging.colour import flatten
from scrapy_imgpipe.imaging.exif import exif
from scrapy_imgpipe.imaging.failures import sealed
from scrapy_imgpipe.imaging.geometry import fit_inside
from scrapy_imgpipe.imaging.icc import to_srgb
from scrapy_imgpipe.imaging.original import original
from scrapy_imgpipe.imaging.resize import REDUCING_GAP

#: Looks at one picture and says something of it, by name. It gets an upright ``RGB``
#: image in sRGB, lent for the call: it may change it, but not keep it.
Measure: TypeAlias = Callable[[Image.Image], Mapping[str, Any]]

#: Width and height, in pixels, of what is hashed; the usual size of pHash.
PHASH_SIDE: Final = 32
_WAVES = 8  # a row and a column; 8 times 8 bits

# DCT-II, as integers: every machine has the same, and flat pictures give zeros.
_COSINES = [
    [
        round(math.cos(math.pi * wave * (2 * pixel + 1) / (2 * PHASH_SIDE)) * 2**14)
        for pixel in range(PHASH_SIDE)
    ]
    for wave in range(_WAVES)
]

#: Longest side of the copy whose colours are counted, in pixels.
COLOUR_SIDE: Final = 64
_COLOURS = 8  # that they are sorted into

#: Longest side, in pixels, that sharpness is measured at. No more than ``SMALL_SIDE``
#: leaves of a JPEG that is decoded small.
FOCUS_SIDE: Final = 256
_LEAST_SIDE = 3  # one pixel with neighbours on all sides


@sealed
def mean_brightness(image: Image.Image) -> dict[str, float]:
    """Return the mean luma of *image* as ``mean_brightness``, 0.0-255.0.

    Luma of ITU-R BT.601, as Pillow's ``L`` has it, of what a viewer shows:
    transparency over white, an ICC profile honoured. Rounded to 2 decimals.

    Args:
        image: any Pillow mode; not modified.

    Raises:
        ImageBroken: the pixels do not decode to their end.
    """
    flat = flatten(image)
    luma = to_srgb(flat, flat.info.get("icc_profile")).convert("L")
    return {"mean_brightness": round(ImageStat.Stat(luma).mean[0], 2)}


@sealed
def phash(image: Image.Image) -> dict[str, str]:
    """Return a perceptual hash of *image* as ``phash``: 64 bits, 16 hexadecimal digits.

    Near-duplicates have few bits that differ (:func:`hamming`): see
    ``benchmarks/near_duplicates.py``. Turned and mirrored pictures are others.

    The luma of a copy of 32 by 32 pixels goes through a DCT; of its lowest 8 by 8
    waves, the constant one with them, each that is above their median is a 1. The
    first digit has the first four waves of the top row. One colour is
    ``8000000000000000``, black ``0000000000000000``. (Zauner,
    "Implementation and benchmarking of perceptual image hash functions", 2010, who
    leaves the first row and column out; so, or without the constant alone, 120 photos
    were separated less well, 2026-11.)

    Args:
        image: any Pillow mode; not modified.

    Raises:
        ImageBroken: the pixels do not decode to their end.
    """
    luma = _small(image, (PHASH_SIDE, PHASH_SIDE), Resampling.BICUBIC).convert("L").tobytes()
    rows = [luma[start : start + PHASH_SIDE] for start in range(0, len(luma), PHASH_SIDE)]
    columns = [[sum(map(mul, row, wave)) for row in rows] for wave in _COSINES]
    waves = [sum(map(mul, column, wave)) for wave in _COSINES for column in columns]
    low, high = sorted(waves)[len(waves) // 2 - 1 : len(waves) // 2 + 1]
    bits = 0
    for wave in waves:
        bits = bits << 1 | (2 * wave > low + high)
    return {"phash": f"{bits:0{len(waves) // 4}x}"}


def hamming(a: str, b: str) -> int:
    """Return how many bits of two hashes differ, 0-64 for those of :func:`phash`.

    Args:
        a: hexadecimal digits.
        b: as many.

    Raises:
        ValueError: they are no hexadecimal digits, or not as many.
    """
    if len(a) != len(b):
        msg = f"Expected two hashes of one length but received {a!r} and {b!r}"
        raise ValueError(msg)
    return (int(a, 16) ^ int(b, 16)).bit_count()


@sealed
def dominant_colour(image: Image.Image) -> dict[str, str]:
    """Return the colour that most of *image* has as ``dominant_colour``, ``#rrggbb``.

    A copy of at most 64 pixels a side is sorted into 8 colours by Pillow's fast octree;
    told is the mean of the one that has most pixels, the first of two. A white
    background counts as any other colour. (Of 120 photos, half as large and at quality
    40, the colour was off by 5 of 255 on average; by median cut it was 12, with k-means
    18 and fifteen times as slow, 2026-11.)

    Args:
        image: any Pillow mode; not modified.

    Raises:
        ImageBroken: the pixels do not decode to their end.
    """
    size = fit_inside(flatten(image).size, (COLOUR_SIDE, COLOUR_SIDE))
    small = _small(image, size, Resampling.BOX)
    few = small.quantize(_COLOURS, Quantize.FASTOCTREE)
    counts = few.histogram()
    largest = counts.index(max(counts))
    palette = few.getpalette() or []
    return {"dominant_colour": "#" + bytes(palette[3 * largest : 3 * largest + 3]).hex()}


@sealed
def focus(image: Image.Image) -> dict[str, float]:
    """Return how sharp *image* is as ``focus``, 0.0 and up; 0.0 is one colour.

    The variance of the Laplacian (4 neighbours) of the luma, 0-255, of a copy whose
    longer side is 256 pixels, so that pictures of all sizes compare: the same one in
    another size is within a fifth. Smaller ones are enlarged, and so count as blurred.
    It tells sharp pictures of a kind from blurred ones; a plain subject is no blurred
    one, but has a low number too. (Pech-Pacheco et al., "Diatom autofocusing in
    brightfield microscopy", 2000.) Rounded to 2 decimals.

    Args:
        image: any Pillow mode; not modified.

    Raises:
        ImageBroken: the pixels do not decode to their end.
    """
    flat = flatten(image)
    factor = FOCUS_SIDE / max(flat.size)
    width, height = (max(round(side * factor), _LEAST_SIDE) for side in flat.size)
    luma = _small(flat, (width, height), Resampling.BICUBIC).convert("L").convert("F")
    offsets = {"middle": (1, 1), "up": (1, 0), "down": (1, 2), "left": (0, 1), "right": (2, 1)}
    parts = {
        name: luma.crop((x, y, x + width - 2, y + height - 2)) for name, (x, y) in offsets.items()
    }
    edges = _calculated(
        lambda of: of["up"] + of["down"] + of["left"] + of["right"] - of["middle"] * 4, parts
    )
    squares = _calculated(lambda of: of["edges"] * of["edges"], {"edges": edges})
    return {"focus": round(max(_mean(squares) - _mean(edges) ** 2, 0.0), 2)}


def _calculated(
    expression: Callable[[dict[str, Any]], Any], images: dict[str, Image.Image]
) -> Image.Image:
    result: Image.Image = ImageMath.lambda_eval(expression, **images)
    return result


def _mean(image: Image.Image) -> float:
    """Return the mean of an ``F`` image; ``ImageStat`` sees but 256 levels of it."""
    mean = image.resize((1, 1), Resampling.BOX).getpixel((0, 0))
    assert isinstance(mean, float)  # noqa: S101 - that is what ``F`` holds
    return mean


def _small(image: Image.Image, size: tuple[int, int], filtered: Resampling) -> Image.Image:
    """Return a copy in ``RGB`` and sRGB, *size* pixels large, as a viewer would show it."""
    flat = flatten(image)
    small = flat.resize(size, filtered, reducing_gap=REDUCING_GAP)
    return to_srgb(small, flat.info.get("icc_profile"))


#: The measures that can be asked for by name.
READY: Final[Mapping[str, Measure]] = MappingProxyType(
    {
        "mean_brightness": mean_brightness,
        "phash": phash,
        "dominant_colour": dominant_colour,
        "blurhash": blurhash,
        "focus": focus,
        "exif": exif,
        "original": original,
    }
)
