"""What a program gives to be stored: bytes, pictures and arrays, on their way to a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from PIL import Image

from scrapy_imgpipe.errors import SettingError
from scrapy_imgpipe.imaging import (
    Variant,
    check_array,
    encode_image,
    inspect,
    is_array,
    media_type_of,
    pixels_of,
    usual,
)
from scrapy_imgpipe.imaging.arrays import Pixels
from scrapy_imgpipe.imaging.failures import sealed
from scrapy_imgpipe.parsers import Parser, parse
from scrapy_imgpipe.stores import Facts, File
from scrapy_imgpipe.variants import ALSO, OUTPUTS, SOURCE, options_of

#: Format of each extension that pictures can be encoded for.
EXTENSIONS: Final[Mapping[str, str]] = {
    **{form.extension: name for name, form in OUTPUTS.items()},
    ".jpeg": "JPEG",
}


@dataclass(frozen=True, slots=True)
class Given:
    """An image as it was given, and what is to become of it.

    Attributes:
        thing: bytes, a picture whose pixels are there, an array, or its numbers.
        variant: how pictures are encoded.
        background: behind what is transparent.
        formats: that bytes may have; none where nobody looks.
    """

    thing: Any
    variant: Variant
    background: tuple[int, int, int]
    formats: tuple[str, ...]

    @classmethod
    def of(
        cls,
        thing: object,
        path: str,
        variant: Variant,
        background: tuple[int, int, int],
        formats: tuple[str, ...],
    ) -> Given:
        """Return what :func:`copied` takes; the picture is decoded, if it was not.

        Raises:
            SettingError: it is nothing that can be stored, or not under this name.
            ImageBroken: its pixels do not decode.
        """
        if not isinstance(thing, (bytes, bytearray, memoryview)):
            variant = replace(variant, format=parse(_NAME, "name", path))
            if isinstance(thing, Image.Image):
                thing = _decoded(thing)
            elif is_array(thing):
                check_array(thing)
            else:
                raise SettingError(
                    "Expected bytes, a Pillow image or an array for image"
                    f" but received an object of type {type(thing).__name__}"
                )
        return cls(thing, variant, background, formats)


def settled(variant: Variant | None, options: Mapping[str, Any]) -> Variant:
    """Return *variant* with *options* of the encoder over its own.

    Raises:
        SettingError: one of them is none, or has a value that cannot be used.
    """
    variant = Variant("saved") if variant is None else parse(_VARIANT, "variant", variant)
    parsed: dict[str, Any] = {}
    for key, value in options.items():
        own = ALSO.get(key, key)
        if own not in _OPTIONS:
            raise SettingError(f"Expected options out of {', '.join(_OPTIONS)} but received {key}")
        parsed[own] = parse(_OPTIONS[own], key, value)
    return replace(variant, options=tuple({**dict(variant.options), **parsed}.items()))


def copied(given: Given) -> Given:
    """Return *given* as it is at this moment, whatever becomes of it."""
    thing = given.thing
    if isinstance(thing, Image.Image):
        copy = thing.copy()
        copy.format = thing.format  # greys of 32 bits are told by it
        return replace(given, thing=copy)
    if isinstance(thing, (bytes, bytearray, memoryview)):
        return replace(given, thing=bytes(thing))
    return replace(given, thing=pixels_of(thing))


def file_of_given(given: Given, path: str) -> File:
    """Return the file that *given*, a copied one, becomes.

    Raises:
        SourceRejected: bytes are no image of the formats that are looked for.
        ImageBroken: they are no whole one, or Pillow could not encode it.
    """
    thing = given.thing
    if isinstance(thing, bytes):
        if not given.formats:
            return File(path, thing)
        seen = inspect(thing, given.formats)
        return File(path, thing, Facts(media_type_of(seen.format), seen.width, seen.height))
    image = thing.image() if isinstance(thing, Pixels) else thing
    made = encode_image(image, given.variant, given.background)
    return File(path, made.data, Facts(media_type_of(made.format), made.width, made.height))


@sealed
def _decoded(image: Image.Image) -> Image.Image:
    image.load()
    return usual(image)


def _parse_name(path: str) -> str:
    form = EXTENSIONS.get(os.path.splitext(path)[1].lower())  # noqa: PTH122 - of a key
    if form is None:
        raise ValueError
    return form


def _parse_variant(value: Any) -> Variant:
    if not isinstance(value, Variant):
        raise TypeError
    return value


_OPTIONS: Final = options_of(SOURCE)
_VARIANT = Parser("a Variant", _parse_variant)
_NAME = Parser(f"a name that ends in {', '.join(EXTENSIONS)}", _parse_name)
