"""Sizes and shrinking: what ``Image.thumbnail`` does, from an image decoded smaller.

Pixels only; nothing is encoded or decoded here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from PIL.Image import Resampling, Transpose

from scrapy_imgpipe.imaging.decode import QUARTER_TURNS
from scrapy_imgpipe.imaging.failures import sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from PIL import Image

#: How many times larger than its target an image stays before the last, good filter.
#: 2.0 is what ``Image.thumbnail`` takes; JPEG is scaled while decoding by the same.
REDUCING_GAP = 2.0

Size = tuple[int, int]
Box = tuple[float, float, float, float]


def _nearest(number: float, error: Callable[[int], float]) -> int:
    return max(min(math.floor(number), math.ceil(number), key=error), 1)


def fit_inside(size: Size, box: tuple[float, float]) -> Size:
    """Return the size that ``Image.thumbnail(box)`` gives an image of *size*.

    The aspect is kept as well as whole pixels allow. Never larger than *size*, never
    below 1 pixel a side.

    Args:
        size: width and height in pixels, 1 or more.
        box: width and height to fit inside; fractions are dropped, and where Pillow
            would divide by zero, 1 is taken.
    """
    width, height = size
    x, y = max(math.floor(box[0]), 1), max(math.floor(box[1]), 1)
    if x >= width and y >= height:
        return size
    aspect = width / height
    if x / y >= aspect:
        return _nearest(y * aspect, lambda n: abs(aspect - n / y)), y
    return x, _nearest(x / aspect, lambda n: abs(aspect - x / n) if n else 0)


@sealed
def shrink(image: Image.Image, box: tuple[float, float]) -> Image.Image:
    """Return a copy of *image* that fits inside *box*, in high quality.

    Args:
        image: ``RGB`` or ``L``; a palette would be resampled without smoothing.
        box: width and height; the result is ``fit_inside(image.size, box)``.
    """
    size = fit_inside(image.size, box)
    return image.resize(size, Resampling.LANCZOS, reducing_gap=REDUCING_GAP)


class Pixels(Protocol):
    """What variants are made from."""

    @property
    def picture(self) -> Image.Image:
        """One image of a mode that JPEG has."""

    def shrunk(self, size: Size) -> Pixels:
        """Return it shrunk to *size*."""


@dataclass(frozen=True, slots=True)
class Flat:
    """An image whose bands are all shrunk alike.

    Attributes:
        picture: ``RGB`` or ``YCbCr``.
        box: the part of it that is picture, None for all; scaled decoding rounds up,
            and the rest of the last row and column would shift the edges.
    """

    picture: Image.Image
    box: Box | None = None

    def shrunk(self, size: Size) -> Pixels:
        """Return it shrunk to *size*."""
        return Flat(self.picture.resize(size, Resampling.LANCZOS, self.box, REDUCING_GAP))


@dataclass(frozen=True, slots=True)
class Base:
    """The pixels that variants are made from.

    Attributes:
        pixels: maybe decoded at 1/2, 1/4 or 1/8 of their scale.
        size: of the image at full scale and upright; variants take theirs from it.
        turn: what makes *pixels* upright, if they are not.
        profile: ICC profile of *pixels* when they may not be sRGB.
    """

    pixels: Pixels
    size: Size
    turn: Transpose | None = None
    profile: bytes | None = None

    def turned(self, size: Size) -> Size:
        """Return an upright *size* as it is in :attr:`pixels`, or the other way round."""
        return (size[1], size[0]) if self.turn in QUARTER_TURNS else size


def _smallest_double(done: list[Pixels], size: Size) -> Pixels | None:
    """Return the smallest of *done* (largest first) that is twice *size* or more."""
    for larger in reversed(done):
        if larger.picture.width >= 2 * size[0] and larger.picture.height >= 2 * size[1]:
            return larger
    return None


def descend(base: Base, sizes: Iterable[Size]) -> Iterator[tuple[Size, Pixels]]:
    """Yield the pixels of each different size, the largest first.

    Each is made from the smallest larger one that is at least twice as large.

    Args:
        base: see there; not modified.
        sizes: upright, from :func:`fit_inside`.

    Yields:
        The upright size as it was asked for, and pixels that are not yet turned.
    """
    done: list[Pixels] = []
    for size in sorted(set(sizes), key=math.prod, reverse=True):
        target = base.turned(size)
        small = (_smallest_double(done, target) or base.pixels).shrunk(target)
        done.append(small)
        yield size, small
