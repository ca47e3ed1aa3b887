"""Shrinking, as ``Image.thumbnail`` does it, from an image decoded smaller.

Pixels only; nothing is encoded or decoded here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from PIL.Image import Resampling

from scrapy_imgpipe.imaging.failures import sealed
from scrapy_imgpipe.imaging.geometry import (
    QUARTER_TURNS,
    Box,
    Layout,
    Size,
    before_turn,
    fit_inside,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from PIL import Image
    from PIL.Image import Transpose

#: How many times larger than its target an image stays before the last, good filter.
#: 2.0 is what ``Image.thumbnail`` takes; JPEG is scaled while decoding by the same.
REDUCING_GAP = 2.0

KERNELS = {kernel.name.lower(): kernel for kernel in Resampling}


@sealed
def shrink(image: Image.Image, box: tuple[float, float]) -> Image.Image:
    """Return a copy of *image* that fits inside *box*, in high quality.

    Args:
        image: ``RGB`` or ``L``; a palette would be resampled without smoothing.
        box: width and height; the result is ``fit_inside(image.size, box)``.
    """
    size = fit_inside(image.size, box)
    return image.resize(size, Resampling.LANCZOS, reducing_gap=REDUCING_GAP)


class Cut(NamedTuple):
    """Which part of a picture is brought to which size, and how.

    Attributes:
        size: of the result, before any turn.
        share: left, top, right, bottom as shares of the sides, before any turn; None for
            all of it.
        kernel: Pillow's filter.
    """

    size: Size
    share: Box | None = None
    kernel: Resampling = Resampling.LANCZOS


class Pixels(Protocol):
    """What variants are made from."""

    @property
    def picture(self) -> Image.Image:
        """One image of a mode that JPEG has, or ``RGBA``."""

    def shrunk(self, cut: Cut) -> Pixels:
        """Return a part of it in another size."""


@dataclass(frozen=True, slots=True)
class Flat:
    """An image whose bands are all shrunk alike.

    Attributes:
        picture: ``RGB``, ``RGBA`` or ``YCbCr``.
        box: the part of it that is picture, None for all; scaled decoding rounds up,
            and the rest of the last row and column would shift the edges.
    """

    picture: Image.Image
    box: Box | None = None

    def shrunk(self, cut: Cut) -> Pixels:
        """Return a part of it in another size."""
        box = part_of(self.picture, self.box, cut.share)
        return Flat(self.picture.resize(cut.size, cut.kernel, box, REDUCING_GAP))


def part_of(picture: Image.Image, box: Box | None, share: Box | None) -> Box | None:
    """Return where *share* lies in what *box* says is picture; None for all of it."""
    if share is None:
        return box
    left, top, right, bottom = box or (0, 0, *picture.size)
    width, height = right - left, bottom - top
    return (
        left + share[0] * width,
        top + share[1] * height,
        min(left + share[2] * width, picture.width),
        min(top + share[3] * height, picture.height),
    )


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

    def cut(self, layout: Layout, kernel: Resampling) -> Cut:
        """Return what *layout* asks of :attr:`pixels`, before the turn."""
        share = None
        if layout.part is not None:
            left, top, right, bottom = before_turn(layout.part, self.size, self.turn)
            width, height = self._turned(self.size)
            share = (left / width, top / height, right / width, bottom / height)
        return Cut(self._turned(layout.size), share, kernel)

    def _turned(self, size: Size) -> Size:
        return (size[1], size[0]) if self.turn in QUARTER_TURNS else size


def _smallest_double(done: list[Pixels], frame: tuple[float, float]) -> Pixels | None:
    """Return the smallest of *done* (largest first) that is twice *frame* or more."""
    for larger in reversed(done):
        if larger.picture.width >= 2 * frame[0] and larger.picture.height >= 2 * frame[1]:
            return larger
    return None


#: What one rendition is made of, and the filter to do so with.
Look = tuple[Layout, Resampling]


def descend(base: Base, looks: Iterable[Look]) -> Iterator[tuple[Look, Pixels]]:
    """Yield the pixels of each different one of *looks*, the largest first.

    Each is made from the smallest larger one that is at least twice as large.

    Args:
        base: see there; not modified.
        looks: upright.

    Yields:
        What was asked for, and pixels that are not yet turned.
    """
    done: list[Pixels] = []
    for look in sorted(set(looks), key=lambda look: _order(look, base.size)):
        chosen, kernel = look
        cut = base.cut(chosen, kernel)
        frame = chosen.frame(base.size)
        if base.turn in QUARTER_TURNS:
            frame = frame[::-1]
        small = (_smallest_double(done, frame) or base.pixels).shrunk(cut)
        if chosen.part is None and kernel is Resampling.LANCZOS:
            done.append(small)
        yield look, small


def _order(look: Look, source: Size) -> tuple[float, ...]:
    """Sort by how large all of the picture would be, the largest first; then by anything."""
    chosen, kernel = look
    rest = (*(chosen.part or ()), *(chosen.canvas or ()), kernel.value)
    return (-math.prod(chosen.frame(source)), chosen.part is not None, *chosen.size, *rest)
