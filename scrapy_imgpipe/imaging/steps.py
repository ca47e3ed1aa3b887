"""Steps that ship with the package, and how steps are called.

A step is a function image -> image. It gets an upright image in ``RGB``, ``RGBA`` where the
rendition keeps transparency, lent for the call: it may change it and give it back. One
with a true attribute ``before_resize`` gets it at full scale, and so do those that stand
before it; the others as the rendition is about to be encoded. One with a true attribute
``takes_grey`` gets ``L`` or ``LA`` behind a step that gave it.

Pixels are sRGB. Where the rendition keeps another ICC profile they are as that says, and it
stands in ``image.info["icc_profile"]``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Final

from PIL import Image, ImageFilter
from PIL.Image import Resampling, Transpose

from scrapy_imgpipe.errors import HookFailed
from scrapy_imgpipe.imaging.arguments import checked
from scrapy_imgpipe.imaging.colour import flatten
from scrapy_imgpipe.imaging.geometry import Size
from scrapy_imgpipe.imaging.icc import colour_in
from scrapy_imgpipe.imaging.interrupts import words_of
from scrapy_imgpipe.imaging.marks import Watermark
from scrapy_imgpipe.imaging.resize import REDUCING_GAP
from scrapy_imgpipe.parsers import BOOLEAN, COLOUR, Parser, number, whole_number
from scrapy_imgpipe.variants import Step, name_of_step

Colour = tuple[int, int, int]

#: Pixels of a turned picture that any may have; of one that has half as many or more, twice
#: its own. A square, turned by 45 degrees, has twice its own.
MOST_TURNED: Final = 16_000_000


@dataclass(frozen=True, slots=True)
class Crop:
    """Take a part of the picture.

    Attributes:
        left: share of the width, 0.0-1.0.
        top: share of the height, 0.0-1.0.
        right: share of the width, more than ``left``.
        bottom: share of the height, more than ``top``.
    """

    left: float = 0.0
    top: float = 0.0
    right: float = 1.0
    bottom: float = 1.0
    before_resize: ClassVar[bool] = True
    takes_grey: ClassVar[bool] = True
    arguments: ClassVar[Mapping[str, Parser]] = dict.fromkeys(
        ("left", "top", "right", "bottom"), number(0, 1)
    )

    def __post_init__(self) -> None:
        checked(self, self.arguments)
        if not (0 <= self.left < self.right <= 1 and 0 <= self.top < self.bottom <= 1):
            msg = "shares from 0 to 1, left before right and top before bottom"
            raise ValueError(msg)

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return the part, 1 pixel a side or more."""
        left = min(round(self.left * image.width), image.width - 1)
        top = min(round(self.top * image.height), image.height - 1)
        right = max(round(self.right * image.width), left + 1)
        bottom = max(round(self.bottom * image.height), top + 1)
        return image.crop((left, top, right, bottom))


@dataclass(frozen=True, slots=True)
class Trim:
    """Cut borders off that have the colour of the top left pixel.

    What is transparent is of one colour, whatever is under it.

    Attributes:
        tolerance: largest difference in a band that still is that colour, 0-255.
    """

    tolerance: int = 10
    before_resize: ClassVar[bool] = True
    arguments: ClassVar[Mapping[str, Parser]] = {"tolerance": whole_number(0, maximum=255)}

    def __post_init__(self) -> None:
        checked(self, self.arguments)

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return what is left; all of it where nothing would be."""
        shown = image.convert("RGBa") if image.mode == "RGBA" else image
        boxes = []
        for place in range(len(shown.getbands())):
            band = shown.getchannel(place)
            border = int(band.getpixel((0, 0)))  # type: ignore[arg-type]
            found = band.point(self._differs_from(border)).getbbox()
            if found is not None:
                boxes.append(found)
        if not boxes:
            return image
        lefts, tops, rights, bottoms = zip(*boxes, strict=True)
        return image.crop((min(lefts), min(tops), max(rights), max(bottoms)))

    def _differs_from(self, border: int) -> list[int]:
        return [255 * (abs(value - border) > self.tolerance) for value in range(256)]


@dataclass(frozen=True, slots=True)
class Rotate:
    """Turn the picture; the canvas grows so that all of it stays.

    A long strip would grow to thousands of times its pixels: it is made smaller before it
    is turned (:meth:`scale`).

    Attributes:
        degrees: counter-clockwise, from -360 to 360.
        background: what shows in the corners; red, green, blue, 0-255 each. Where the
            rendition keeps transparency, they are transparent.
    """

    degrees: float = 0.0
    background: Colour = (255, 255, 255)
    before_resize: ClassVar[bool] = True
    arguments: ClassVar[Mapping[str, Parser]] = {
        "degrees": number(-360, 360),
        "background": COLOUR,
    }

    def __post_init__(self) -> None:
        checked(self, self.arguments)

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return the turned picture."""
        colour = colour_in(self.background, image.info.get("icc_profile"))
        fill = (*colour, 0) if image.mode == "RGBA" else colour
        scale = self.scale(image.size)
        if scale < 1:
            width, height = (max(int(side * scale), 1) for side in image.size)
            image = image.resize((width, height), Resampling.LANCZOS, reducing_gap=REDUCING_GAP)
        return image.rotate(self.degrees, Resampling.BICUBIC, expand=True, fillcolor=fill)

    def scale(self, size: Size) -> float:
        """Return by what a picture of *size* is multiplied before it is turned, 1.0 at most.

        So that the canvas has no more than twice its pixels, or :data:`MOST_TURNED`.
        """
        canvas = math.prod(self._canvas(size))
        most = max(2 * math.prod(size), MOST_TURNED)
        return min(math.sqrt(most / canvas), 1.0)

    def size_of(self, size: Size) -> Size:
        """Return how large the canvas of a picture of *size* is, rounded up."""
        scale = self.scale(size)
        width, height = self._canvas(size)
        return math.ceil(width * scale) + 1, math.ceil(height * scale) + 1

    def _canvas(self, size: Size) -> tuple[float, float]:
        across = abs(math.cos(math.radians(self.degrees)))
        along = abs(math.sin(math.radians(self.degrees)))
        width, height = size
        return width * across + height * along, width * along + height * across


@dataclass(frozen=True, slots=True)
class Grayscale:
    """Take the colours away: luma of ITU-R BT.601, as Pillow's ``L`` has it."""

    takes_grey: ClassVar[bool] = True
    arguments: ClassVar[Mapping[str, Parser]] = {}

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return the picture in ``L``, or ``LA`` where it has transparency."""
        return image.convert("LA" if image.mode in {"RGBA", "LA"} else "L")


@dataclass(frozen=True, slots=True)
class Flip:
    """Mirror the picture.

    Attributes:
        vertical: top to bottom; else left to right.
    """

    vertical: bool = False
    takes_grey: ClassVar[bool] = True
    arguments: ClassVar[Mapping[str, Parser]] = {"vertical": BOOLEAN}

    def __post_init__(self) -> None:
        checked(self, self.arguments)

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return the mirrored picture."""
        turn = Transpose.FLIP_TOP_BOTTOM if self.vertical else Transpose.FLIP_LEFT_RIGHT
        return image.transpose(turn)


@dataclass(frozen=True, slots=True)
class Sharpen:
    """Sharpen with an unsharp mask.

    Attributes:
        radius: of the blur, in pixels, 0.0-1000.0.
        percent: strength, 0-10000.
        threshold: smallest difference that is sharpened, 0-255.
    """

    radius: float = 1.0
    percent: int = 60
    threshold: int = 2
    takes_grey: ClassVar[bool] = True
    arguments: ClassVar[Mapping[str, Parser]] = {
        "radius": number(0, 1000),
        "percent": whole_number(0, maximum=10_000),
        "threshold": whole_number(0, maximum=255),
    }

    def __post_init__(self) -> None:
        checked(self, self.arguments)

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return the sharpened picture."""
        return image.filter(ImageFilter.UnsharpMask(self.radius, self.percent, self.threshold))


#: The steps that can be asked for by name.
STEPS: Final[Mapping[str, Callable[..., Step]]] = MappingProxyType(
    {
        "crop": Crop,
        "trim": Trim,
        "rotate": Rotate,
        "grayscale": Grayscale,
        "flip": Flip,
        "sharpen": Sharpen,
        "watermark": Watermark,
    }
)


def is_before_resize(step: Step) -> bool:
    """Return whether *step* wants the picture at full scale."""
    return bool(getattr(step, "before_resize", False))


def taken(
    image: Image.Image,
    steps: Sequence[Step],
    background: Colour,
    profile: bytes | None = None,
) -> Image.Image:
    """Return what *steps* make of *image*, in ``L``, ``LA``, ``RGB`` or ``RGBA``.

    Args:
        image: lent to them.
        steps: called in this order.
        background: behind what is transparent in modes of other kinds.
        profile: ICC profile of the pixels; None for sRGB.

    Raises:
        HookFailed: one of them raised, be it ``SystemExit``, or gave no image.
        MemoryError: one of them did.
        KeyboardInterrupt: Ctrl-C, in the main thread.
    """
    for step in steps:
        image = _lent(image, profile, grey=bool(getattr(step, "takes_grey", False)))
        try:
            made = step(image)
            if not isinstance(made, Image.Image) or not all(made.size):
                trouble = f"it gave {made!r}"
            else:
                image, trouble = made, ""
        except MemoryError:  # the picture may be too large for any
            raise
        except BaseException as error:  # noqa: BLE001 - a user's
            trouble = words_of(error)
        if trouble:
            raise HookFailed(f"The step {name_of_step(step)} failed: {trouble}")
        if image.mode not in {"L", "LA", "RGB", "RGBA"}:
            image = flatten(image, background)
    return _lent(image, profile, grey=True)


def _lent(image: Image.Image, profile: bytes | None, *, grey: bool) -> Image.Image:
    """Return *image* with *profile*, and in colour unless it may be grey."""
    if image.mode in {"L", "LA"} and not grey:
        image = image.convert("RGBA" if image.mode == "LA" else "RGB")
    image.info.pop("icc_profile", None)
    if profile is not None:
        image.info["icc_profile"] = profile
    return image
