"""Arrays of numbers as pictures, by the protocol that numpy made; numpy itself is not needed.

See "The array interface protocol" (https://numpy.org/doc/stable/reference/arrays.interface.html).
"""

from __future__ import annotations

import ctypes
import math
import operator
from typing import Any, Final, NamedTuple

from PIL import Image

from scrapy_imgpipe.errors import SettingError

_WANTED: Final = (
    "Expected an array of bool, uint8 or uint16 of height x width, with 1 to 4 channels of"
    " uint8 or uint16 behind, for image but received"
)

# Modes by the number of channels, where each has 8 bits.
_MODES: Final = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}

# Sizes and kinds of numbers, without the order of their bytes.
_BOOL, _BYTE, _WORD = "b1", "u1", "u2"

_WITH_CHANNELS = 3  # dimensions


class Pixels(NamedTuple):
    """The numbers of an array, copied.

    Attributes:
        mode: of the picture, in Pillow's words.
        raw: how the numbers lie in *data*, in Pillow's words.
        size: width and height, in pixels.
        data: row by row, without gaps.
    """

    mode: str
    raw: str
    size: tuple[int, int]
    data: bytes

    def image(self) -> Image.Image:
        """Return the picture; it may be read, not changed."""
        return Image.frombuffer(self.mode, self.size, self.data, "raw", self.raw, 0, 1)


def is_array(thing: object) -> bool:
    """Return whether *thing* says that it is an array."""
    return hasattr(thing, "__array_interface__")


def check_array(array: Any) -> tuple[int, int, int]:
    """Return height, width and channels of *array*, which no number is read for.

    Raises:
        SettingError: it is no picture: of floats, of no pixels, or of another shape.
    """
    told = array.__array_interface__
    try:
        shape, kind = tuple(map(operator.index, told["shape"])), str(told["typestr"])[1:]
    except (LookupError, TypeError):
        known = f"{_WANTED} an object of type {type(array).__name__} that says nothing of the kind"
        raise SettingError(known) from None
    plain = len(shape) == _WITH_CHANNELS - 1
    height, width, channels = (*shape, 1) if plain else (*shape, 0, 0, 0)[:3]
    good = plain or (len(shape) == _WITH_CHANNELS and channels in _MODES and kind != _BOOL)
    if kind.startswith("f"):
        hint = "; where they are from 0 to 1, give (255 * array).round().astype('uint8')"
    else:
        hint = ""
    if kind not in {_BOOL, _BYTE, _WORD} or not good or min(shape) < 1:
        sides = " x ".join(map(str, shape))
        raise SettingError(f"{_WANTED} one of {_name_of(kind)} of {sides}{hint}")
    return height, width, channels


def _name_of(kind: str) -> str:
    word = {"f": "float", "i": "int", "u": "uint", "c": "complex"}.get(kind[0])
    known = {_BOOL: "bool", "O": "objects"}.get(kind, kind)
    return f"{word}{8 * int(kind[1:])}" if word and kind[1:].isdecimal() else known


def pixels_of(array: Any) -> Pixels:
    """Return the numbers of *array* as they are at this moment.

    Greys of 16 bits stay so; of colours of 16 bits the upper 8 are taken.

    Raises:
        SettingError: as for :func:`check_array`.
    """
    height, width, channels = check_array(array)
    kind = array.__array_interface__["typestr"]
    data, size = _bytes_of(array), (width, height)
    if kind[1:] == _BOOL:
        return Pixels("1", "1;8", size, data)
    if kind[1:] == _BYTE:
        return Pixels(_MODES[channels], _MODES[channels], size, data)
    if channels == 1:
        return Pixels("I;16", "I;16" if kind[0] == "<" else "I;16B", size, data)
    upper = data[1::2] if kind[0] == "<" else data[::2]
    return Pixels(_MODES[channels], _MODES[channels], size, upper)


def _bytes_of(array: Any) -> bytes:
    """Return a copy of all numbers, in the order of the rows."""
    if hasattr(array, "tobytes"):
        return bytes(array.tobytes())
    told = array.__array_interface__
    length = math.prod(told["shape"]) * int(told["typestr"][2:])
    data = told.get("data")
    if told.get("strides") is None and isinstance(data, tuple) and data[0]:
        return ctypes.string_at(data[0], length)
    start = told.get("offset", 0)
    try:
        numbers = memoryview(array if data is None or isinstance(data, tuple) else data).tobytes()
    except TypeError:
        numbers = b""
    if told.get("strides") is not None or len(numbers) < start + length:
        raise SettingError(f"{_WANTED} one whose numbers do not lie in a row: give a copy of it")
    return numbers[start : start + length]
