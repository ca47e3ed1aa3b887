"""Renditions that go on moving: every frame resized alike.

Frames come from Pillow as a viewer shows them, each laid over those before it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from scrapy_imgpipe.imaging.decode import ANY, open_image, turn_of
from scrapy_imgpipe.imaging.encode import encode, in_mode_of, pixel_info
from scrapy_imgpipe.imaging.outputs import Making, finished, look_of, needs_whole
from scrapy_imgpipe.imaging.plan import Picture
from scrapy_imgpipe.imaging.resize import Base, Flat, Look

if TYPE_CHECKING:
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

#: How long a frame is shown that does not say so, in milliseconds: what browsers take.
DEFAULT_MILLISECONDS: Final = 100

# How often formats play that have no word for it: 0 is for ever.
_LOOPS = {"AVIF": 0}

# Each frame is written whole: it takes the place of the one before.
_REPLACING: dict[str, dict[str, Any]] = {
    "GIF": {"disposal": 2},
    "PNG": {"blend": 0, "disposal": 0, "default_image": False},
}


def moves(variant: Variant, form: str, source: str) -> bool:
    """Return whether *variant*, as *form*, may keep the movement of a source."""
    return variant.frames > 1 and form in MOVING and source in MOVING and not needs_whole(variant)


def animate(data: bytes, variant: Variant, form: str, origin: Origin, plan: Plan) -> Picture | None:
    """Return *variant* with up to ``variant.frames`` frames; None of a picture that stands still.

    Durations and the number of repeats stay. Memory grows with the frames of the result.

    Args:
        data: a whole image file.
        variant: without steps that want the picture at full scale.
        form: one of :data:`MOVING`.
        origin: of *data*.
        plan: what may be opened, and whose background counts.
    """
    frames: list[Image.Image] = []
    durations: list[int] = []
    look: Look | None = None
    # An APNG has one palette for all of its frames: Pillow takes the first one's.
    colours = dict(variant.options).get("colours") if form == "GIF" else None
    with open_image(data, plan.formats, ANY) as image:
        turn = turn_of(image)
        most = min(variant.frames, max(MOST_PIXELS // (image.width * image.height), 1))
        first = int(getattr(image, "default_image", False))  # one for who shows no APNG
        for number in range(first, first + most):
            try:
                image.seek(number)
            except EOFError:
                break
            frame = _base(image, turn)
            look = look_of(frame, variant, origin) if look is None else look
            small = frame.pixels.shrunk(frame.cut(*look)).picture
            making = Making(origin, plan, image.info.get("icc_profile"), look[0].canvas)
            shown = finished(small, variant, making)
            ready = in_mode_of(shown, form, colours)
            ready.info = pixel_info(ready)
            frames.append(ready)
            durations.append(round(image.info.get("duration") or DEFAULT_MILLISECONDS))
        loop = image.info.get("loop", _LOOPS.get(str(image.format)))
    if len(frames) < 2:  # noqa: PLR2004 - one stands still
        return None
    told: dict[str, Any] = {"save_all": True, "append_images": frames[1:], "duration": durations}
    if loop is not None or form != "GIF":  # a GIF that does not say plays once
        told["loop"] = 1 if loop is None else loop
    told |= _REPLACING.get(form, {})
    options = tuple(pair for pair in variant.options if pair[0] != "colours")
    kept = origin.kept(variant, form)
    data = encode(frames[0], replace(variant, options=options), form, **told, **kept)
    return Picture("", data, *frames[0].size, form)


def _base(image: Image.Image, turn: Transpose | None) -> Base:
    frame = image.convert("RGBA")
    frame = frame if turn is None else frame.transpose(turn)
    return Base(Flat(frame), frame.size)
