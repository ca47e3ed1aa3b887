"""Renditions that go on moving: every frame resized alike.

Frames come from Pillow as a viewer shows them, each laid over those before it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any, Final

from scrapy_imgpipe.imaging.decode import ANY, open_image, turn_of
from scrapy_imgpipe.imaging.decoded import canvases, inside
from scrapy_imgpipe.imaging.encode import encode, in_mode_of, pixel_info
from scrapy_imgpipe.imaging.outputs import Making, finished, look_of, needs_whole
from scrapy_imgpipe.imaging.plan import Picture
from scrapy_imgpipe.imaging.resize import Base, Flat, Look
from scrapy_imgpipe.variants import output_format

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL import Image
    from PIL.Image import Transpose

    from scrapy_imgpipe.imaging.outputs import Origin
    from scrapy_imgpipe.imaging.plan import Plan
    from scrapy_imgpipe.variants import Variant

#: Formats that keep movement: WEBP, GIF, PNG (as APNG) and AVIF.
MOVING: Final = frozenset({"WEBP", "GIF", "PNG", "AVIF"})

#: Most pixels that are decoded of one animation, all frames together; frames behind that
#: are left out. 400 frames of 500 x 500 have as many.
MOST_PIXELS: Final = 100_000_000

#: How many times more pixels than the first canvas has one that a later frame has made larger.
MOST_TIMES_LARGER: Final = 2

#: How long a frame is shown that does not say so, in milliseconds: what browsers take.
DEFAULT_MILLISECONDS: Final = 100

# How often formats play that have no word for it: 0 is for ever.
_LOOPS = {"AVIF": 0}

# How long a frame can be shown, in milliseconds: 16 bits of centiseconds (GIF89a, 23), 24 bits
# (RFC 9649, 2.7.1.1), 16 bits, in Pillow before 12 of milliseconds (PNG, 11.3.6.2), and what a
# whole AVIF has.
_MOST_TOGETHER = 2**31 - 1
_MOST_MILLISECONDS = {
    "GIF": 655_350,
    "WEBP": 2**24 - 1,
    "PNG": 65_535,
    "AVIF": _MOST_TOGETHER,
}

# Firefox and Chromium show a frame of a GIF that asks for 10 milliseconds or fewer for 100.
_LEAST_IN_GIF = 20

# How often it can play: 16 bits (Netscape's extension of GIF, RFC 9649, 2.7.1.1).
_MOST_LOOPS = {"GIF": 65_535, "WEBP": 65_535}

# Formats whose writers make one of equal frames.
_MERGING = frozenset({"GIF", "PNG"})

# Each frame is written whole: it takes the place of the one before.
_REPLACING: dict[str, dict[str, Any]] = {
    "GIF": {"disposal": 2},
    "PNG": {"blend": 0, "disposal": 0, "default_image": False},
}


def moves(variant: Variant, source: str) -> bool:
    """Return whether *variant* may keep the movement of a source in the format *source*."""
    form = output_format(source, variant.format)
    return variant.frames > 1 and form in MOVING and source in MOVING and not needs_whole(variant)


def animate(variant: Variant, origin: Origin, plan: Plan) -> Picture | None:
    """Return *variant* with up to ``variant.frames`` frames; None of a picture that stands still.

    Durations and the number of repeats stay, as far as the format can say them. Memory grows
    with the frames of the result.

    Args:
        variant: one that :func:`moves`.
        origin: with the whole file.
        plan: what may be opened, and whose background counts.
    """
    form = output_format(origin.format, variant.format)
    with open_image(origin.data, plan.formats, ANY) as image:
        frames, durations = _frames(image, variant, origin, plan)
        loop = image.info.get("loop", _LOOPS.get(str(image.format)))
    if len(frames) < 2:  # noqa: PLR2004 - one stands still
        return None
    told: dict[str, Any] = {
        "save_all": True,
        "append_images": frames[1:],
        "duration": fitting(durations, frames, form),
    }
    if loop is not None or form != "GIF":  # a GIF that does not say plays once
        told["loop"] = 1 if loop is None else min(loop, _MOST_LOOPS.get(form, loop))
    told |= _REPLACING.get(form, {})
    options = tuple(pair for pair in variant.options if pair[0] != "colours")
    kept = origin.kept(variant, form)
    data = encode(frames[0], replace(variant, options=options), form, **told, **kept)
    return Picture(variant.name, data, *frames[0].size, form)


def _frames(
    image: Image.Image, variant: Variant, origin: Origin, plan: Plan
) -> tuple[list[Image.Image], list[float]]:
    """Return the frames of *variant*, and how many milliseconds each is shown."""
    frames: list[Image.Image] = []
    durations: list[float] = []
    look: Look | None = None
    form = output_format(origin.format, variant.format)
    # An APNG has one palette for all of its frames: Pillow takes the first one's.
    colours = dict(variant.options).get("colours") if form == "GIF" else None
    turn = turn_of(image)
    count = _countable(image, origin.data, variant.frames)
    first = int(getattr(image, "default_image", False))  # one for who shows no APNG
    if count < 2 or not _has_frame(image, first + 1):  # noqa: PLR2004 - one stands still
        return [], []
    for number in range(first, first + count):
        if not _has_frame(image, number):
            break
        frame = _base(image, turn)
        look = look_of(frame, variant, origin) if look is None else look
        small = frame.pixels.shrunk(frame.cut(*look)).picture
        making = Making(origin, plan, image.info.get("icc_profile"), look[0].canvas)
        shown = finished(small, variant, making)
        ready = in_mode_of(shown, form, colours)
        ready.info = pixel_info(ready)
        frames.append(ready)
        durations.append(image.info.get("duration") or DEFAULT_MILLISECONDS)
    return frames, durations


def _countable(image: Image.Image, data: bytes, most: int) -> int:
    """Return how many of the first *most* frames are small enough together.

    Nothing is decoded: Pillow enlarges the canvas of a GIF while it goes to a frame. One that
    makes more than twice of it is where an animation ends that was one up to there.
    """
    own, left, count = math.prod(image.size), MOST_PIXELS, 0
    each: Iterator[int] = repeat(max(own, inside(data).pixels))
    if image.format == "GIF":
        each = map(math.prod, canvases(data))
    for pixels in islice(each, most):
        left -= pixels
        if count and (left < 0 or pixels > MOST_TIMES_LARGER * own):
            break
        count += 1
    return count


def _has_frame(image: Image.Image, number: int) -> bool:
    """Go to the frame *number* of *image*, counted from 0; say whether there is one."""
    try:
        image.seek(number)
    except EOFError:
        return False
    return True


def fitting(durations: Sequence[float], frames: Sequence[Image.Image], form: str) -> list[int]:
    """Return *durations*, in milliseconds, as *form* can say them; 10 or more each.

    They are rounded, to whole centiseconds in GIF, and what that makes of one is made up by
    the next: the whole lasts as long as it did, but for frames of 11 to 19 milliseconds in
    GIF, which become 20. What is too long is cut.

    Args:
        durations: of *frames*, in milliseconds.
        frames: Pillow writes equal ones behind each other as one, in GIF and PNG.
        form: one of :data:`MOVING`.
    """
    unit = 10 if form == "GIF" else 1
    most = min(_MOST_MILLISECONDS[form], _MOST_TOGETHER // len(frames) // unit * unit)
    found: list[int] = []
    ahead = alike = 0.0
    for duration in durations:
        rounded = unit * math.floor((min(duration, most) - ahead) / unit + 0.5)
        least = _LEAST_IN_GIF if form == "GIF" and duration > unit else unit
        ahead = ahead + rounded - min(duration, most) if rounded >= least else 0
        found.append(max(rounded, least))
    if form not in _MERGING or sum(found) <= most:
        return [min(each, most) for each in found]
    for number, duration in enumerate(found):
        alike = alike if number and _same(frames[number - 1], frames[number]) else 0
        found[number] = int(min(duration, most - alike))
        alike += found[number]
    return found


def _same(one: Image.Image, other: Image.Image) -> bool:
    return one.convert("RGBA").tobytes() == other.convert("RGBA").tobytes()


def _base(image: Image.Image, turn: Transpose | None) -> Base:
    frame = image.convert("RGBA")
    frame = frame if turn is None else frame.transpose(turn)
    return Base(Flat(frame), frame.size)
