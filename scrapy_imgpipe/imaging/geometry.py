"""How large a rendition comes out, and which part of the picture it shows.

Numbers only: no pixels. All sizes are upright, in pixels, 1 or more a side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PIL.Image import Transpose

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrapy_imgpipe.variants import Variant

Size = tuple[int, int]
Box = tuple[float, float, float, float]

#: The turns that exchange width and height.
QUARTER_TURNS = frozenset(
    {Transpose.TRANSPOSE, Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90}
)

# Which of columns and rows run the other way before the turn.
_MIRRORED = {
    None: (False, False),
    Transpose.FLIP_LEFT_RIGHT: (True, False),
    Transpose.FLIP_TOP_BOTTOM: (False, True),
    Transpose.ROTATE_180: (True, True),
    Transpose.TRANSPOSE: (False, False),
    Transpose.ROTATE_270: (False, True),
    Transpose.ROTATE_90: (True, False),
    Transpose.TRANSVERSE: (True, True),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the pixels of a rendition come from, and where they go.

    Attributes:
        size: to which the part is scaled.
        part: of the picture at full scale: left, top, right, bottom; None for all of it.
        canvas: size of the rendition where that is larger than the part; None where not.
    """

    size: Size
    part: Box | None = None
    canvas: Size | None = None

    def frame(self, source: Size) -> tuple[float, float]:
        """Return the size that all of a picture of size *source* would have at this scale."""
        if self.part is None:
            return self.size
        left, top, right, bottom = self.part
        return (
            self.size[0] * source[0] / (right - left),
            self.size[1] * source[1] / (bottom - top),
        )


#: Most pixels that enlarging makes: a strip of 4 x 5000 pixels, brought to a width of
#: 400, would have 200 million. Twice what a 50-megapixel camera makes (not measured).
MOST_ENLARGED = 100_000_000


def _nearest(number: float, error: Callable[[int], float]) -> int:
    return max(min(math.floor(number), math.ceil(number), key=error), 1)


def fit_inside(size: Size, box: tuple[float, float], *, enlarge: bool = False) -> Size:
    """Return the size that ``Image.thumbnail(box)`` gives an image of *size*.

    The aspect is kept as well as whole pixels allow. Never below 1 pixel a side.

    Args:
        size: width and height in pixels, 1 or more.
        box: width and height to fit inside; fractions are dropped, and where Pillow
            would divide by zero, 1 is taken.
        enlarge: whether it may become larger than *size*, which ``thumbnail`` never does.
    """
    width, height = size
    x, y = (side if side == math.inf else max(math.floor(side), 1) for side in box)
    if x >= width and y >= height and not enlarge:
        return size
    aspect = width / height
    if y == math.inf or (x != math.inf and x / y < aspect):
        x = int(x)
        return x, _nearest(x / aspect, lambda n: abs(aspect - x / n) if n else 0)
    y = int(y)
    return _nearest(y * aspect, lambda n: abs(aspect - n / y)), y


def _fit_outside(size: Size, box: tuple[int, int], *, enlarge: bool) -> Size:
    """Return the smallest size of the same aspect that covers *box*."""
    width, height = size
    scale = max(box[0] / width, box[1] / height)
    if scale >= 1 and not enlarge:
        return size
    return max(round(width * scale), box[0], 1), max(round(height * scale), box[1], 1)


def layout(size: Size, variant: Variant) -> Layout:
    """Return how *variant* shows a picture of *size*; ``entropy`` counts as the middle.

    Enlarging stops at :data:`MOST_ENLARGED` pixels.

    Args:
        size: of the picture at full scale.
        variant: what is wanted.
    """
    found = _layout(size, variant)
    if variant.enlarge and math.prod(found.size) > max(MOST_ENLARGED, math.prod(size)):
        return _layout(size, replace(variant, enlarge=False))
    return found


def size_of(size: Size, variant: Variant) -> Size | None:
    """Return the size in which *variant* shows a picture of *size*; None where steps decide."""
    if variant.steps:
        return None
    place = layout(size, variant)
    return place.canvas or place.size


def _layout(size: Size, variant: Variant) -> Layout:
    if variant.width is None and variant.height is None:
        return Layout(size)
    if variant.width is None or variant.height is None or variant.fit == "inside":
        box = (variant.width or math.inf, variant.height or math.inf)
        return Layout(fit_inside(size, box, enlarge=variant.enlarge))
    whole = max(math.floor(variant.width), 1), max(math.floor(variant.height), 1)
    if variant.fit == "outside":
        return Layout(_fit_outside(size, whole, enlarge=variant.enlarge))
    if variant.fit == "contain":
        inside = fit_inside(size, whole, enlarge=variant.enlarge)
        return Layout(inside, canvas=None if inside == whole else whole)
    if variant.fit == "fill":
        least = min(whole[0], size[0]), min(whole[1], size[1])
        return Layout(whole if variant.enlarge else least)
    return _cover(size, whole, variant)


def _cover(size: Size, box: Size, variant: Variant) -> Layout:
    width, height = size
    scale = max(box[0] / width, box[1] / height)
    if scale > 1 and not variant.enlarge:  # the box shrinks to what there is
        box = max(round(box[0] / scale), 1), max(round(box[1] / scale), 1)
        scale = max(box[0] / width, box[1] / height)
    taken = min(box[0] / scale, width), min(box[1] / scale, height)
    x, y = (0.5, 0.5) if isinstance(variant.gravity, str) else variant.gravity
    left = _kept_inside(x * width - taken[0] / 2, width - taken[0])
    top = _kept_inside(y * height - taken[1] / 2, height - taken[1])
    part = (left, top, left + taken[0], top + taken[1])
    return Layout(box, None if part == (0, 0, *size) else part)


def _kept_inside(start: float, most: float) -> float:
    return min(max(start, 0.0), max(most, 0.0))


def before_turn(box: Box, size: Size, turn: Transpose | None) -> Box:
    """Return where *box*, of an upright picture, lies before the picture was turned.

    Args:
        box: left, top, right, bottom.
        size: of the upright picture.
        turn: what made it upright.
    """
    left, top, right, bottom = box
    width, height = size
    if turn in QUARTER_TURNS:
        left, top, right, bottom = top, left, bottom, right
        width, height = height, width
    columns, rows = _MIRRORED[turn]
    if columns:
        left, right = width - right, width - left
    if rows:
        top, bottom = height - bottom, height - top
    return left, top, right, bottom
