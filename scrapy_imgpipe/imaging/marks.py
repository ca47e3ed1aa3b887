"""The step that puts another picture over one.

Its file is the one file that imaging reads.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from PIL import Image
from PIL.Image import Resampling

from scrapy_imgpipe.errors import ImagePipeError
from scrapy_imgpipe.imaging.arguments import checked
from scrapy_imgpipe.imaging.colour import flatten, has_transparency, with_alpha
from scrapy_imgpipe.imaging.decode import ANY, open_image, upright
from scrapy_imgpipe.imaging.icc import from_srgb, to_srgb
from scrapy_imgpipe.parsers import Parser, number, one_of, whole_number
from scrapy_imgpipe.variants import GRAVITIES


@functools.lru_cache(maxsize=16)
def _read_mark(path: str) -> Image.Image:
    """Return the picture at *path* as a viewer shows it: upright, 8 bits, sRGB, ``RGBA``."""
    with open(path, "rb") as file:  # noqa: PTH123 - the one file that is read here
        data = file.read()
    Image.init()  # it is the user's own, so of any format
    with open_image(data, tuple(Image.OPEN), ANY) as image:
        straight = upright(image)
        shown = with_alpha(straight) if has_transparency(straight) else flatten(straight)
    return to_srgb(shown, shown.info.get("icc_profile")).convert("RGBA")


def _parse_path(value: Any) -> str:
    path = str(os.fspath(value))
    try:
        _read_mark(path)
    except (OSError, ImagePipeError) as error:
        raise ValueError from error
    return path


_PATH = Parser("path of an image file", _parse_path)


@dataclass(frozen=True, slots=True)
class Watermark:
    """Put another picture over this one.

    Attributes:
        path: of an image file, best with transparency; read once, as a viewer shows it:
            its orientation, its ICC profile and 16 bits count.
        gravity: where it goes, one of :data:`~scrapy_imgpipe.variants.GRAVITIES`.
        share: of the width and height that it takes at most, 0.001-1.0; never enlarged.
        opacity: 0.0-1.0.
        margin: to the edge, in pixels.
    """

    path: str
    gravity: str = "bottom-right"
    share: float = 0.25
    opacity: float = 1.0
    margin: int = 0
    arguments: ClassVar[Mapping[str, Parser]] = {
        "path": _PATH,
        "gravity": one_of(*GRAVITIES),
        "share": number(0.001, 1),
        "opacity": number(0, 1),
        "margin": whole_number(0, "pixels"),
    }

    def __post_init__(self) -> None:
        checked(self, self.arguments)

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return the picture with the mark on it."""
        mark = _read_mark(self.path)
        width, height = (max(int(side * self.share), 1) for side in image.size)
        scale = min(width / mark.width, height / mark.height, 1.0)
        size = max(round(mark.width * scale), 1), max(round(mark.height * scale), 1)
        mark = from_srgb(mark.resize(size, Resampling.LANCZOS), image.info.get("icc_profile"))
        faded = mark.getchannel("A").point(self._fade)
        x, y = GRAVITIES[self.gravity]
        left = round((image.width - mark.width - 2 * self.margin) * x) + self.margin
        top = round((image.height - mark.height - 2 * self.margin) * y) + self.margin
        if image.mode != "RGBA":
            image.paste(mark.convert("RGB"), (left, top), faded)
            return image
        mark.putalpha(faded)
        image.alpha_composite(mark, (max(left, 0), max(top, 0)))
        return image

    def _fade(self, value: int) -> float:
        return value * self.opacity
