"""What the camera wrote into a picture: some fields of its EXIF, ready for JSON.

EXIF is free-form and comes from strangers. So nothing here raises: a field that is not
what the standard (CIPA DC-008, EXIF 2.32) says is left out, and so are values that stand
for "unknown".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from numbers import Real
from typing import Any, Final

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from scrapy_imgpipe.imaging.decode import ANY, open_image
from scrapy_imgpipe.imaging.plan import DEFAULT_FORMATS

#: Most characters of a text that are kept.
MAX_TEXT: Final = 200

#: Tags of the fields that say who made a picture.
RIGHTS: Final = frozenset({Base.Artist, Base.Copyright})

_DIRECTORIES = frozenset({IFD.Exif, IFD.GPSInfo, IFD.Interop})

_TEXTS = {
    "Make": Base.Make,
    "Model": Base.Model,
    "DateTimeOriginal": Base.DateTimeOriginal,
    "Copyright": Base.Copyright,
    "Artist": Base.Artist,
}
_NUMBERS = {
    "ExposureTime": Base.ExposureTime,
    "FNumber": Base.FNumber,
    "FocalLength": Base.FocalLength,
}
# Name: the tag, the tag of the side, the sides in order of sign, the most degrees.
_PLACES = {
    "GPSLatitude": (GPS.GPSLatitude, GPS.GPSLatitudeRef, "NS", 90),
    "GPSLongitude": (GPS.GPSLongitude, GPS.GPSLongitudeRef, "EW", 180),
}
_DEGREE_DECIMALS = 7  # a centimetre on the ground


def fields_of(exif: Image.Exif, stays: Callable[[int], bool]) -> Image.Exif:
    """Return a copy of *exif* with those tags only of which *stays* says so.

    Directories of their own (EXIF, GPS, interoperability) come along whole.
    """
    kept = Image.Exif()
    for tag, value in exif.items():
        if stays(tag):
            kept[tag] = dict(exif.get_ifd(tag)) if tag in _DIRECTORIES else value
    if IFD.Interop in kept.get(IFD.Exif, ()):
        kept[IFD.Exif][IFD.Interop] = dict(exif.get_ifd(IFD.Interop))
    return kept


def exif(image: Image.Image) -> dict[str, dict[str, Any]]:
    """Return fields of *image*'s EXIF as ``exif``; an empty dict where it has none.

    Texts are ``Make``, ``Model``, ``DateTimeOriginal`` (``YYYY:MM:DD HH:MM:SS``, no
    zone), ``Copyright`` and ``Artist``, of 200 characters at most, without control
    characters. Numbers are ``ExposureTime`` in seconds, ``FNumber``, ``ISO``,
    ``FocalLength`` in millimetres, and ``Orientation``, 1-8, as the file has it.
    ``GPSLatitude`` and ``GPSLongitude`` are degrees, south and west negative: where
    somebody was.

    Args:
        image: as opened. What was turned or converted may have lost its EXIF. A PNG
            may be decoded, for it may carry its EXIF behind the pixels.
    """
    try:
        tags = image.getexif()
    except Exception:  # noqa: BLE001 - as above: free-form, and from strangers
        return {}
    found: dict[str, Any] = {}
    places = (tags, _directory(tags, IFD.Exif))
    for name, tag in _TEXTS.items():
        found[name] = _text(_value(places, tag))
    for name, tag in _NUMBERS.items():
        found[name] = _number(_value(places, tag))
    speed = _number(_value(places, Base.ISOSpeedRatings))
    found["ISO"] = int(speed) if speed else None
    turn = _value(places, Base.Orientation)
    found["Orientation"] = turn if isinstance(turn, int) and 1 <= turn <= 8 else None  # noqa: PLR2004
    position = (_directory(tags, IFD.GPSInfo),)
    for name, (degrees, side, signs, most) in _PLACES.items():
        found[name] = _degrees(_value(position, degrees), _value(position, side), signs, most)
    told = {name: value for name, value in found.items() if value not in (None, "")}
    return {"exif": told} if told else {}


def exif_of(data: bytes, formats: Collection[str] = DEFAULT_FORMATS) -> dict[str, dict[str, Any]]:
    """Return :func:`exif` of a file; its pixels are not decoded, but a PNG's with EXIF.

    Bytes that are no picture, or one of a format that is not allowed, have none.
    """
    try:
        image = open_image(data, formats, ANY)
    except Exception:  # noqa: BLE001 - what the picture is worth is not asked here
        return {}
    with image:
        if image.format == "PNG" and not _may_have_exif(image, data):
            return {}
        return exif(image)


def _may_have_exif(png: Image.Image, data: bytes) -> bool:
    # the chunk of PNG's third edition, and what ImageMagick writes
    return b"eXIf" in data or "Raw profile type exif" in png.info


def _directory(tags: Image.Exif, which: int) -> Mapping[int, Any]:
    try:
        return tags.get_ifd(which)
    except Exception:  # noqa: BLE001 - an offset may lead anywhere
        return {}


def _value(places: tuple[Mapping[int, Any], ...], tag: int) -> Any:
    """Return the value of *tag*, the first that one of *places* has."""
    for place in places:
        try:
            value = place.get(tag)
        except Exception:  # noqa: BLE001, S112 - values are decoded when they are asked for
            continue
        if value is not None:
            return value
    return None


def _text(value: object) -> str:
    """Return *value* in one line, or nothing.

    The standard has ASCII, cameras and editors write UTF-8 or Latin-1; Pillow reads
    Latin-1.
    """
    if isinstance(value, str):
        with suppress(UnicodeEncodeError):
            value = value.encode("latin-1")
    text = _decoded(value) if isinstance(value, bytes) else value
    if not isinstance(text, str):
        return ""
    shown = "".join(char if char.isprintable() else " " for char in text[: 4 * MAX_TEXT])
    return " ".join(shown.split())[:MAX_TEXT]


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _number(value: object) -> float | None:
    """Return *value*, the first of several, where it is more than 0; 0 is unknown."""
    if isinstance(value, tuple | list) and value:
        value = value[0]
    number = _real(value)
    return number if number is not None and number > 0 else None


def _real(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        number = float(value)  # n/0 is NaN
    except (OverflowError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) else None


def _degrees(value: object, side: object, signs: str, most: int) -> float | None:
    """Return degrees, minutes and seconds as one number; without its side it says nothing."""
    letter = _text(side)[:1].upper()
    if not isinstance(value, tuple | list) or not value or not letter or letter not in signs:
        return None
    parts = [_real(part) for part in value[:3]]
    known = [part for part in parts if part is not None and part >= 0]
    if len(known) < len(parts):
        return None
    degrees: float = sum(part / 60**place for place, part in enumerate(known))
    if degrees > most:
        return None
    return round(-degrees if letter == signs[1] else degrees, _DEGREE_DECIMALS)
