"""Find the part of a picture that has most to tell, for renditions that are cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL.Image import Resampling

if TYPE_CHECKING:
    from PIL import Image

#: Longer side of the small copy that is looked at, in pixels.
_LONG_SIDE = 128

#: Places that are compared along each side.
_PLACES = 17


def busiest(image: Image.Image, part: tuple[float, float]) -> tuple[float, float]:
    """Return the centre, as shares of the sides, of the part with the highest entropy.

    Shannon entropy of the grey levels. Where several parts are alike, the
    one nearest to the middle is taken.

    Args:
        image: a :func:`small_copy`, upright.
        part: its size as shares of width and height, 0.0-1.0.
    """
    small = image.convert("L")
    width, height = (max(round(s * n), 1) for s, n in zip(part, small.size, strict=True))
    best, where = -1.0, (0.5, 0.5)
    for left in _places(small.width - width):
        for top in _places(small.height - height):
            told = round(small.crop((left, top, left + width, top + height)).entropy(), 3)
            if told > best:
                best = told
                where = (left + width / 2) / small.width, (top + height / 2) / small.height
    return where


def small_copy(image: Image.Image) -> Image.Image:
    """Return *image* with a longer side of 128 pixels at most."""
    scale = min(_LONG_SIDE / max(image.size), 1)
    width, height = (max(round(side * scale), 1) for side in image.size)
    return image.resize((width, height), Resampling.BOX)


def _places(room: int) -> list[int]:
    """Return starts from 0 to *room*, the middle first."""
    if room <= 0:
        return [0]
    places = {round(room * index / (_PLACES - 1)) for index in range(_PLACES)}
    return sorted(places, key=lambda place: (abs(place - room / 2), place))
