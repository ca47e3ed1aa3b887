"""One rendition, described: how large, which part of the picture, in which format.

Pure: no Pillow and no pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from scrapy_imgpipe.parsers import BOOLEAN, COLOUR, Parser, number, one_of, parse, whole_number
from scrapy_imgpipe.records import digest

#: Number of the way renditions are made; another one has them made again.
ENGINE: Final = 5

#: What is decoded. ``EPS`` is missing because Pillow starts Ghostscript for it,
#: ``JPEG2000`` because Pillow 13 holds the interpreter lock while decoding it, for
#: seconds (``benchmarks/locks.py``), ``TGA`` and others because they have no signature,
#: so that any bytes would be an image.
FORMATS: Final = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "AVIF", "BMP", "TIFF", "ICO", "PPM")

#: Format of a rendition that is to have the one of its source.
SOURCE: Final = "source"

#: How a picture is brought to the size of its box.
FITS: Final = ("inside", "outside", "cover", "contain", "fill")

#: Filters to resize with, in the words of Pillow.
KERNELS: Final = ("lanczos", "bicubic", "hamming", "bilinear", "box", "nearest")

#: Metadata that says who made a picture.
COPYRIGHT: Final = "copyright"

#: What stays of the metadata: nothing, colour profile, who made it, or all of it.
METADATA: Final = ("none", "profile", COPYRIGHT, "all")

#: Part that counts where a picture is cut: 0.0 is left or top, 1.0 right or bottom.
GRAVITIES: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        "centre": (0.5, 0.5),
        "center": (0.5, 0.5),
        "top": (0.5, 0.0),
        "bottom": (0.5, 1.0),
        "left": (0.0, 0.5),
        "right": (1.0, 0.5),
        "top-left": (0.0, 0.0),
        "top-right": (1.0, 0.0),
        "bottom-left": (0.0, 1.0),
        "bottom-right": (1.0, 1.0),
    }
)

#: Gravity that goes where the picture has most to tell.
ENTROPY: Final = "entropy"

#: Pixels of a source that are decoded unless a plan says otherwise: more than any camera
#: takes that is sold to many, and 400 MB at 4 bytes each.
MOST_DECODED: Final = 100_000_000

#: Longest side that can be asked for, in pixels: JPEG has 16 bits for it (ITU-T T.81, B.2.2).
MOST_PIXELS: Final = 65_535

Step: TypeAlias = Callable[[Any], Any]
Gravity: TypeAlias = tuple[float, float] | str

_QUALITY = whole_number(1, maximum=100)
_SAMPLING = one_of("4:4:4", "4:2:2", "4:2:0")
_COLOURS = whole_number(2, maximum=256)

#: Largest ``effort`` of each format that has one; the least is 0.
MOST_EFFORT: Final[Mapping[str, int]] = MappingProxyType({"PNG": 9, "WEBP": 6, "AVIF": 10})


@dataclass(frozen=True, slots=True)
class Format:
    """A format that renditions can have.

    Attributes:
        extension: of its files, with the dot.
        media_type: of its bytes (https://www.iana.org/assignments/media-types).
        transparent: whether it has an alpha channel.
        options: what can be said of it, beside what goes for all.
    """

    extension: str
    media_type: str
    transparent: bool
    options: Mapping[str, Parser]


#: All of them, by the names that Pillow has for them.
OUTPUTS: Final[Mapping[str, Format]] = MappingProxyType(
    {
        "JPEG": Format(
            ".jpg",
            "image/jpeg",
            transparent=False,
            options={
                "quality": _QUALITY,
                "progressive": BOOLEAN,
                "optimise": BOOLEAN,
                "subsampling": _SAMPLING,
            },
        ),
        "PNG": Format(
            ".png",
            "image/png",
            transparent=True,
            options={
                "optimise": BOOLEAN,
                "effort": whole_number(0, maximum=MOST_EFFORT["PNG"]),
                "colours": _COLOURS,
            },
        ),
        "WEBP": Format(
            ".webp",
            "image/webp",
            transparent=True,
            options={
                "quality": _QUALITY,
                "lossless": BOOLEAN,
                "effort": whole_number(0, maximum=MOST_EFFORT["WEBP"]),
                "alpha_quality": _QUALITY,
            },
        ),
        "AVIF": Format(
            ".avif",
            "image/avif",
            transparent=True,
            options={
                "quality": _QUALITY,
                "effort": whole_number(0, maximum=MOST_EFFORT["AVIF"]),
                "subsampling": _SAMPLING,
            },
        ),
        "GIF": Format(".gif", "image/gif", transparent=True, options={"colours": _COLOURS}),
    }
)


def output_format(source: str, wanted: str) -> str:
    """Return the format to write: *wanted*, or the nearest one to that of the *source*."""
    if wanted != SOURCE:
        return wanted
    if source == "MPO":  # a JPEG with more pictures behind the first
        return "JPEG"
    return source if source in OUTPUTS else "PNG"


def options_of(form: str) -> Mapping[str, Parser]:
    """Return the options of format *form*; those of all where the source decides."""
    return _ALL_OPTIONS if form == SOURCE else OUTPUTS[form].options


_ALL_OPTIONS: Final[Mapping[str, Parser]] = MappingProxyType(
    {
        **{key: each for form in OUTPUTS.values() for key, each in form.options.items()},
        # each format stops at its own
        "effort": whole_number(0, maximum=max(MOST_EFFORT.values())),
    }
)


def _parse_side(value: Any) -> float:
    """Accept a side of any length: where a format ends, it is made shorter."""
    side: float = _SIDE.parse(value)
    if side == math.inf:
        raise ValueError
    return side


def _parse_gravity(value: Any) -> Gravity:
    if isinstance(value, str):
        word: str = _PLACE.parse(value)
        return GRAVITIES.get(word, word)
    x, y = (_SHARE.parse(part) for part in value)
    return float(x), float(y)


def _parse_format(value: Any) -> str:
    if isinstance(value, str) and value.upper() == "JPG":
        return "JPEG"
    word: str = _FORMAT.parse(value)
    return word


def _parse_steps(value: Any) -> tuple[Any, ...]:
    """Accept names, functions, and dicts of one name to its arguments; found later."""
    steps = (value,) if isinstance(value, (str, Mapping)) or callable(value) else value
    if not isinstance(steps, (list, tuple)):
        raise TypeError
    for step in steps:
        named = isinstance(step, str) or (isinstance(step, Mapping) and len(step) == 1)
        if callable(step) or (step and named):
            continue
        raise ValueError
    return tuple(steps)


def _parse_options(value: Any) -> tuple[tuple[str, Any], ...]:
    """Accept a dict or pairs; options of other formats are none of the encoder's business."""
    options = dict(value)
    known = {ALSO.get(key, key): part for key, part in options.items()}
    if not known.keys() <= _ALL_OPTIONS.keys():
        raise ValueError
    return tuple(sorted((key, _ALL_OPTIONS[key].parse(part)) for key, part in known.items()))


_SIDE: Final = number(1, math.inf)
_SHARE: Final = number(0, 1)
_PLACE: Final = one_of(*GRAVITIES, ENTROPY)
_FORMAT: Final = one_of(*OUTPUTS, SOURCE)

#: Other words for some keys and options.
ALSO: Final[Mapping[str, str]] = MappingProxyType(
    {"optimize": "optimise", "method": "effort", "colors": "colours"}
)

#: What every rendition says, but for sizes and the options of its format.
LOOKS: Final[Mapping[str, Parser]] = MappingProxyType(
    {
        "fit": one_of(*FITS),
        "gravity": Parser(
            "'centre', an edge, a corner ('top-left'), 'entropy' or two shares from 0 to 1",
            _parse_gravity,
        ),
        "enlarge": BOOLEAN,
        "kernel": one_of(*KERNELS),
        "format": Parser(f"{', '.join(map(repr, OUTPUTS))} or {SOURCE!r}", _parse_format),
        "background": COLOUR,
        "steps": Parser("list of functions, their names, or {name: arguments}", _parse_steps),
        "metadata": one_of(*METADATA),
        "frames": whole_number(1, "frames"),
    }
)

_FIELDS: Final[Mapping[str, Parser]] = MappingProxyType(
    {
        **LOOKS,
        "width": Parser("number of pixels, 1 or more,", _parse_side),
        "height": Parser("number of pixels, 1 or more,", _parse_side),
        "options": Parser(f"dict of options out of {', '.join(_ALL_OPTIONS)}", _parse_options),
        "target_bytes": whole_number(0, "bytes"),
    }
)

# Fields that may be None.
_OPEN: Final = frozenset({"width", "height", "background"})


@dataclass(frozen=True, slots=True)
class Variant:
    """One rendition that is to be made.

    Values are brought to one spelling: a list of steps to a tuple, a dict of options to
    sorted pairs, ``webp`` to ``WEBP``, ``top`` to its shares.

    Attributes:
        name: its key in the settings.
        width: of its box, in pixels, 1 or more; None for any.
        height: of its box, in pixels, 1 or more; None for any.
        fit: ``inside`` the box; ``outside``, so that it covers it; ``cover``, and what is
            outside is cut off; ``contain``, and the rest of the box is background; ``fill``,
            whatever becomes of the aspect. Where a side of the box is missing, the last
            three are ``inside``.
        gravity: what stays when it is cut: shares of width and height, or ``entropy``.
        enlarge: whether a smaller picture is made larger. Else the box shrinks with it,
            only ``contain`` keeps its size.
        kernel: filter to resize with, one of :data:`KERNELS`.
        format: in Pillow's spelling, or ``source`` for that of the source.
        options: of the encoder, sorted pairs; see :data:`OUTPUTS`.
        target_bytes: the quality goes down until no more are needed; 0 for any number.
        background: behind transparent parts, red, green and blue of sRGB, 0-255 each; None
            keeps them transparent where the format can, and is the plan's background
            elsewhere.
        steps: functions image -> image, called in this order: those up to the last one that
            wants the picture at full scale before it is resized, the others behind.
        metadata: what stays of it, one of :data:`METADATA`.
        frames: of an animation that are kept at most, where source and format can; 1 is
            a still picture, the first.

    Raises:
        SettingError: (a ``ValueError``) a field has a value that cannot be used.
    """

    name: str
    width: float | None = None
    height: float | None = None
    fit: str = "inside"
    gravity: Gravity = (0.5, 0.5)
    enlarge: bool = False
    kernel: str = "lanczos"
    format: str = "JPEG"
    options: tuple[tuple[str, Any], ...] = ()
    target_bytes: int = 0
    background: tuple[int, int, int] | None = None
    steps: tuple[Step, ...] = ()
    metadata: str = "none"
    frames: int = 1

    def __post_init__(self) -> None:
        for name, parser in _FIELDS.items():
            value = getattr(self, name)
            if value is None and name in _OPEN:
                continue
            parsed = parse(parser, f"{name!r} of Variant {self.name!r}", value)
            if parsed is not value:
                object.__setattr__(self, name, parsed)

    @property
    def digest(self) -> str:
        """What tells a rendition of this variant from one of another look or engine."""
        values = [getattr(self, field.name) for field in fields(self) if field.name != "name"]
        values[_STEPS] = tuple(map(name_of_step, self.steps))
        return digest(ENGINE, *values)

    @property
    def needs_pixels_only(self) -> bool:
        """Whether it comes out the same of a JPEG of its source in best quality."""
        return self.format == "JPEG" and self.background is None and self.metadata == "none"

    @property
    def extension(self) -> str:
        """The extension of its files; that of JPEG where the source decides."""
        return OUTPUTS[output_format("JPEG", self.format)].extension


_STEPS: Final = [field.name for field in fields(Variant) if field.name != "name"].index("steps")


def name_of_step(step: Step) -> str:
    """Return what tells *step* from another, in every process."""
    name = getattr(step, "__qualname__", None)
    return repr(step) if name is None else f"{step.__module__}.{name}"
