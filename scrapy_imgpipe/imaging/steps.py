"""Steps that ship with the package, and how names become steps.

A step is a function image -> image. It gets an upright ``RGB`` image, ``RGBA`` where the
rendition keeps transparency, lent for the call: it may change it and give it back. One
with a true attribute ``before_resize`` gets it at full scale; the others as the rendition
is about to be encoded.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any, ClassVar, Final

from PIL import Image, ImageChops, ImageFilter
from PIL.Image import Resampling, Transpose

from scrapy_imgpipe.errors import HookFailed
from scrapy_imgpipe.imaging.colour import flatten
from scrapy_imgpipe.variants import GRAVITIES, Step, name_of_step

Colour = tuple[int, int, int]


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

    def __post_init__(self) -> None:
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

    Attributes:
        tolerance: largest difference in a band that still is that colour, 0-255.
    """

    tolerance: int = 10
    before_resize: ClassVar[bool] = True

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return what is left; all of it where nothing would be."""
        border = Image.new(image.mode, image.size, image.getpixel((0, 0)))
        difference = ImageChops.difference(image, border)
        bands = [band.point(self._over) for band in difference.split()]
        box = functools.reduce(ImageChops.lighter, bands).getbbox()
        return image if box is None else image.crop(box)

    def _over(self, value: int) -> int:
        return 255 if value > self.tolerance else 0


@dataclass(frozen=True, slots=True)
class Rotate:
    """Turn the picture; the canvas grows so that all of it stays.

    Attributes:
        degrees: counter-clockwise.
        background: what shows in the corners; red, green, blue, 0-255 each. Where the
            rendition keeps transparency, they are transparent.
    """

    degrees: float = 0.0
    background: Colour = (255, 255, 255)
    before_resize: ClassVar[bool] = True

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return the turned picture."""
        fill = (*self.background, 0) if image.mode == "RGBA" else tuple(self.background)
        return image.rotate(self.degrees, Resampling.BICUBIC, expand=True, fillcolor=fill)


@dataclass(frozen=True, slots=True)
class Grayscale:
    """Take the colours away: luma of ITU-R BT.601, as Pillow's ``L`` has it."""

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return the picture in ``L``, or ``LA`` where it has transparency."""
        return image.convert("LA" if image.mode == "RGBA" else "L")


@dataclass(frozen=True, slots=True)
class Flip:
    """Mirror the picture.

    Attributes:
        vertical: top to bottom; else left to right.
    """

    vertical: bool = False

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return the mirrored picture."""
        turn = Transpose.FLIP_TOP_BOTTOM if self.vertical else Transpose.FLIP_LEFT_RIGHT
        return image.transpose(turn)


@dataclass(frozen=True, slots=True)
class Sharpen:
    """Sharpen with an unsharp mask.

    Attributes:
        radius: of the blur, in pixels.
        percent: strength.
        threshold: smallest difference that is sharpened, 0-255.
    """

    radius: float = 1.0
    percent: int = 60
    threshold: int = 2

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return the sharpened picture."""
        return image.filter(ImageFilter.UnsharpMask(self.radius, self.percent, self.threshold))


@dataclass(frozen=True, slots=True)
class Watermark:
    """Put another picture over this one.

    Attributes:
        path: of an image file, best with transparency; read once.
        gravity: where it goes, one of :data:`~scrapy_imgpipe.variants.GRAVITIES`.
        share: of the width and height that it takes at most, 0.0-1.0; never enlarged.
        opacity: 0.0-1.0.
        margin: to the edge, in pixels.
    """

    path: str
    gravity: str = "bottom-right"
    share: float = 0.25
    opacity: float = 1.0
    margin: int = 0

    def __post_init__(self) -> None:
        if self.gravity not in GRAVITIES or not (0 < self.share <= 1 and 0 <= self.opacity <= 1):
            msg = "a gravity, and shares from 0 to 1"
            raise ValueError(msg)
        _read_mark(self.path)

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return the picture with the mark on it."""
        mark = _read_mark(self.path)
        width, height = (max(int(side * self.share), 1) for side in image.size)
        scale = min(width / mark.width, height / mark.height, 1.0)
        size = max(round(mark.width * scale), 1), max(round(mark.height * scale), 1)
        mark = mark.resize(size, Resampling.LANCZOS)
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


@functools.lru_cache(maxsize=16)
def _read_mark(path: str) -> Image.Image:
    with open(path, "rb") as file:  # noqa: PTH123 - the one file that is read here
        data = file.read()
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGBA")


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


def step_of(wish: Any) -> Step:
    """Return the step that *wish* asks for.

    Args:
        wish: a function; the name of a ready one or the import path of any; or a dict of
            one such name to the arguments of it: of a function, those after the image.

    Raises:
        ValueError: there is none of that name, or it does not take these arguments.
    """
    if isinstance(wish, Mapping):
        ((name, arguments),) = wish.items()
        if not isinstance(arguments, Mapping):
            raise ValueError  # noqa: TRY004 - as for wrong arguments
    elif isinstance(wish, str):
        name, arguments = wish, {}
    else:
        return wish  # type: ignore[no-any-return]  # a function, as the parser saw
    try:
        arguments = {key: _frozen(value) for key, value in arguments.items()}
        if name in STEPS:
            return STEPS[name](**arguments)
        function = _imported(name)
        if isinstance(function, type):
            function, arguments = function(**arguments), {}
    except (TypeError, OSError, ImportError, AttributeError) as error:
        raise ValueError(str(error)) from error
    if not callable(function):
        raise ValueError(function)  # noqa: TRY004 - as for a name of nothing
    return Configured(function, tuple(sorted(arguments.items()))) if arguments else function


def _frozen(value: Any) -> Any:
    """Return *value* with tuples for lists: plans are told apart by their hash."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _imported(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    if not module:
        raise ImportError(name)
    return getattr(import_module(module), attribute)


@dataclass(frozen=True, slots=True)
class Configured:
    """A function with arguments of its own.

    Attributes:
        function: called with the image first.
        arguments: by keyword, sorted pairs.
    """

    function: Callable[..., Image.Image]
    arguments: tuple[tuple[str, Any], ...]

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return what the function makes of *image*."""
        return self.function(image, **dict(self.arguments))

    def __repr__(self) -> str:
        """Say the same in every process, as digests need."""
        return f"{name_of_step(self.function)}{self.arguments!r}"


def is_before_resize(step: Step) -> bool:
    """Return whether *step* wants the picture at full scale."""
    return bool(getattr(step, "before_resize", False))


def taken(image: Image.Image, steps: Sequence[Step], background: Colour) -> Image.Image:
    """Return what *steps* make of *image*, in ``L``, ``LA``, ``RGB`` or ``RGBA``.

    Raises:
        HookFailed: one of them raised, or gave no image.
    """
    for step in steps:
        try:
            made = step(image)
            if not isinstance(made, Image.Image) or not all(made.size):
                trouble = f"it gave {made!r}"
            else:
                image, trouble = made, ""
        except Exception as error:  # noqa: BLE001 - a user's
            trouble = f"{type(error).__name__}: {error}"
        if trouble:
            raise HookFailed(f"The step {name_of_step(step)} failed: {trouble}")
        if image.mode not in {"L", "LA", "RGB", "RGBA"}:
            image = flatten(image, background)
    return image
