"""What a stored picture is like, told from its pixels: functions image -> mapping.

Nothing is stored or changed here. Errors of the bytes are ours, without a past; those
of a function that somebody else wrote come out as they are.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from numbers import Real
from typing import Any, Final

from PIL import Image
from PIL.Image import Resampling

from scrapy_imgpipe.imaging.colour import flatten
from scrapy_imgpipe.imaging.decode import ANY, open_image, upright
from scrapy_imgpipe.imaging.exif import exif, exif_of
from scrapy_imgpipe.imaging.failures import sealed
from scrapy_imgpipe.imaging.icc import to_srgb
from scrapy_imgpipe.imaging.interrupts import words_of
from scrapy_imgpipe.imaging.original import original_of
from scrapy_imgpipe.imaging.plan import DEFAULT_FORMATS
from scrapy_imgpipe.imaging.ready import READY, Measure

#: Shorter side in pixels, at least, of what a ready measure needs to see of a JPEG.
SMALL_SIDE = 256

#: Largest difference in one band, of 255, that still is one colour. A JPEG of one colour
#: has none; of one with a last bit of noise, up to 2 are left at quality 75 (2026-11).
UNIFORM_TOLERANCE = 2

# Columns and rows of the pixels that most pictures betray themselves by.
_FEW = (16, 16)

_ALPHA_MODES = ("LA", "La", "RGBA", "RGBa")
_MASKED_MODES = ("L", "RGB")  # where Pillow makes alpha of a transparent colour
_DEEP_RANGE = 65535 // 255  # levels of 16 bits for one of 8

_SHOWN_CHARACTERS = 100

# Of a number that can be written: int() and str() refuse more than 4300 digits
# (sys.set_int_max_str_digits), and json with them.
_MOST_BITS = 8192

#: Key of what went wrong with a measure, the last one of several.
ERROR: Final = "record_error"


def measure(
    data: bytes,
    measures: Sequence[Measure],
    formats: Collection[str] = DEFAULT_FORMATS,
    original: bytes | None = None,
) -> dict[str, Any]:
    """Return all that *measures* say of one stored picture, ready for JSON.

    The picture is decoded once; of several frames the first is taken. Each function
    gets a copy of its own, those of :data:`READY` excepted, which change nothing. A
    picture that was turned has lost its EXIF, or it would be turned again; so what
    :func:`~scrapy_imgpipe.imaging.exif.exif` says is read from *original*. So is what
    :func:`~scrapy_imgpipe.imaging.original.original` says, which is nothing without it.

    A JPEG is decoded at 1/2, 1/4 or 1/8 of its scale where only ready measures are
    asked for and its shorter side stays 256 pixels or more. The mean brightness of
    photos is then off by less than 0.5; of drawings in pure black or white by up to 8,
    for the noise of JPEG around lines is cut off at full scale only (33 photos at three
    qualities, and the drawings of ``tests/imaging/test_measures.py``, 2026-11). Of the
    perceptual hash, 2 bits of 64 were others at most, and the focus off by less than a
    tenth (120 photos enlarged to 2400 pixels, 2026-11).

    Args:
        data: a whole image file.
        measures: called in this order; a later one wins where two use one name.
        formats: what may be opened, in Pillow's spelling.
        original: the file that *data* was made from, where it is at hand.

    Returns:
        Plain dicts, lists, text, numbers, booleans and None. Scalars and arrays of
        NumPy and its like become numbers and lists, NaN and the infinities None, and
        numbers of more digits than Python writes their ``hex()``; keys, and values of any
        other type, become their ``str()``. What a function raised, be it ``SystemExit``,
        or that it gave no mapping, stands under :data:`ERROR`.

    Raises:
        SourceRejected: ``not-an-image``, ``format-not-allowed`` or ``too-many-pixels``.
        ImageBroken: the bytes do not decode to their end.
        KeyboardInterrupt: Ctrl-C, in the main thread.
    """
    if not measures:
        return {}
    found: dict[str, Any] = {}
    try:
        told = [_of_file(function, data, original, formats) for function in measures]
        image = _opened(data, formats, small=all(map(_is_ready, measures)))
    finally:
        del data, original  # an error keeps this frame, but no body
    try:
        for function, answer in zip(measures, told, strict=True):
            try:
                found.update(_asked(function, image) if answer is None else answer)
            except BaseException as error:  # noqa: BLE001 - it costs its answer, not the picture
                found[ERROR] = words_of(error)
    finally:
        image.close()  # nor the bitmap
    return found


def _of_file(
    function: Measure, data: bytes, original: bytes | None, formats: Collection[str]
) -> dict[str, Any] | None:
    """Return what the file says that *function* asks for; None where it asks the pixels."""
    if function is exif:
        return exif_of(original or data, formats)
    if function is READY["original"]:
        return original_of(original, formats) if original else {}
    return None


@sealed
def _opened(data: bytes, formats: Collection[str], *, small: bool) -> Image.Image:
    """Return the picture upright, in ``RGB`` and sRGB; two bitmaps at a time at most."""
    image = open_image(data, formats, ANY)
    if small:
        image.draft(None, (SMALL_SIDE, SMALL_SIDE))
    image = upright(image)
    image = flatten(image)
    return to_srgb(image, image.info.get("icc_profile"))


def _is_ready(function: Measure) -> bool:
    return any(function is ready for ready in READY.values())


def _asked(function: Measure, image: Image.Image) -> dict[str, Any]:
    """Return what *function* says of *image*, ready for JSON."""
    lent = image if _is_ready(function) else image.copy()
    try:
        answer: object = function(lent)
        if not isinstance(answer, Mapping):
            name = getattr(function, "__qualname__", type(function).__qualname__)
            msg = (
                f"Expected a mapping from the measure {name} but received {_shown(answer)} "
                f"of type {type(answer).__name__}"
            )
            raise TypeError(msg)
        return {_text(key): _plain(value) for key, value in answer.items()}
    finally:
        if lent is not image:
            lent.close()


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def _text(value: object) -> str:
    # of an enum that is text, its value: what json would write; never a class of its own
    return str.__str__(value if isinstance(value, str) else str(value))


def _plain(value: Any) -> Any:  # noqa: PLR0911 - one line for each kind
    """Return *value* as JSON can have it."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        number = int(value)
        return number if number.bit_length() <= _MOST_BITS else hex(number)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_text(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return _unwrapped(value)


def _unwrapped(value: Any) -> Any:
    """Return what an array or a scalar of NumPy holds, or the text of anything else."""
    for name in ("tolist", "item"):
        take = getattr(value, name, None)
        if callable(take):
            try:
                held = take()
            except (TypeError, ValueError):  # it means something else by that name
                continue
            if type(held) is not type(value):
                return _plain(held)
    return _plain(float(value)) if isinstance(value, Real) else _text(value)


@sealed
def is_uniform(image: Image.Image) -> bool:
    """Say whether all of *image* has one colour, as a placeholder has.

    Fully transparent is one colour, whatever lies beneath. Levels that differ by 2 of
    255 in a band, or by 514 of 65535, still count as one; ``I`` and ``F`` do not say
    what is white, so there all samples must be equal. Of several frames, only the
    current one is looked at.

    Most pictures are known by a few pixels; only of those that look uniform, all are
    read.

    Args:
        image: any Pillow mode; decoded now if it was not, and not modified.

    Raises:
        ImageBroken: the pixels do not decode to their end.
    """
    image.load()
    few = image.resize(_FEW, Resampling.NEAREST)
    return _has_one_colour(few) and _has_one_colour(image)


def _has_one_colour(image: Image.Image) -> bool:
    tolerance = UNIFORM_TOLERANCE
    if image.mode.startswith("I;16"):
        tolerance *= _DEEP_RANGE
    elif image.mode in ("I", "F"):
        tolerance = 0
    image = _with_plain_bands(image)
    extrema: Any = image.getextrema()
    bands = [extrema] if len(image.getbands()) == 1 else list(extrema)
    if image.mode in _ALPHA_MODES and bands[-1][1] <= tolerance:
        return True
    return all(highest - lowest <= tolerance for lowest, highest in bands)


def _with_plain_bands(image: Image.Image) -> Image.Image:
    """Return the same colours in a mode whose bands can be compared one by one."""
    if image.mode == "P":
        return _colours_in_use(image).convert("RGBA")
    masked = image.mode in _MASKED_MODES and image.info.get("transparency") is not None
    if masked or image.mode == "PA":
        return image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")  # white is 255 or 1, as it was set
    if image.mode in ("I;16L", "I;16B", "I;16N"):
        return image.convert("I")
    return image.convert("RGB") if image.mode in ("RGBX", "HSV") else image


def _colours_in_use(image: Image.Image) -> Image.Image:
    """Return one row with each colour of the palette that a ``P`` image uses."""
    used = bytes(index for index, count in enumerate(image.histogram()) if count)
    row = image.crop((0, 0, len(used), 1))
    row.frombytes(used)
    return row
