"""Lines and JSON out of files of any length, without all of them in memory.

What cannot be read is told as :class:`Damage` and passed over, where there is a next
line to go on with. Text is UTF-8; bytes that are none become U+FFFD.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Any, BinaryIO, Final, NamedTuple

#: Bytes that a line, a record or an item may have; ``data:`` URLs have many.
MOST_BYTES: Final = 64 << 20

#: Bytes of a JSON array that are read at a time; an item may be longer.
_CHUNK = 1 << 20

#: Bytes that tell text from anything else.
_HEAD = 4096

_BETWEEN = re.compile(r"[ \t\r\n,\[\]]*+")
_MARK = codecs.BOM_UTF8
_NO_OBJECT = "an item is no object"
_TOO_LONG = f"has more than {MOST_BYTES >> 20} MiB"

# NaN and the infinities are no JSON, but Python and Scrapy write them.
_DECODER = json.JSONDecoder(parse_constant=lambda _: None)


class Damage(NamedTuple):
    """Something that is no record.

    Attributes:
        problem: what is wrong with which line, in a few words.
        cut: it is a last line without its end, as a writer leaves it that was killed.
    """

    problem: str
    cut: bool = False


def lines_of(file: BinaryIO, most: int = MOST_BYTES) -> Iterator[bytes | None]:
    """Yield each line with its end, and None for one of more than *most* bytes.

    A byte order mark is passed over.
    """
    read = partial(file.readline, most + 1)
    line = read().removeprefix(_MARK)
    while line:
        if len(line) > most:
            while line and not line.endswith(b"\n"):
                line = read()
            yield None
        else:
            yield line
        line = read()


def begins_with_nul(file: BinaryIO) -> bool:
    """Return whether the first bytes show that *file*, which can peek, is no lines of UTF-8."""
    peek: Any = getattr(file, "peek", None)
    return peek is not None and b"\0" in peek(1)[:_HEAD]


def too_long(number: int) -> Damage:
    """Return what is said of line *number* where :func:`lines_of` gives None."""
    return Damage(f"line {number} {_TOO_LONG}")


def json_lines(lines: Iterator[bytes | None]) -> Iterator[dict[str, Any] | Damage]:
    """Yield the object of each line that is not blank."""
    decode = _DECODER.decode
    for number, line in enumerate(lines, 1):
        if line is None:
            yield too_long(number)
            continue
        try:
            record = decode(line.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            if line.strip():
                yield Damage(f"line {number} is no JSON", not line.endswith(b"\n"))
            continue
        yield record if isinstance(record, dict) else Damage(f"line {number}: {_NO_OBJECT}")


def json_array(file: BinaryIO, most: int = MOST_BYTES) -> Iterator[dict[str, Any] | Damage]:
    """Yield the objects of an array, or of several JSON texts one behind the other.

    Raises:
        ValueError: it is none, is cut off, or has an item of more than *most* characters;
            there is no way to find the next item then.
    """
    decode = codecs.getincrementaldecoder("utf-8-sig")("replace").decode
    text, place, number, size = "", 0, 0, _CHUNK
    while data := file.read(size):
        text, place = text[place:] + decode(data), 0
        while True:
            place = _end_of_space(text, place)
            try:
                item, place = _DECODER.raw_decode(text, place)
            except ValueError:
                break  # the rest of it is still to be read
            except RecursionError:
                raise ValueError("its items are too deep") from None
            number += 1
            yield item if isinstance(item, dict) else Damage(f"item {number}: {_NO_OBJECT}")
        if len(text) - place > most:
            break
        size = max(_CHUNK, len(text) - place)  # so that a long item is not tried too often
    if text[place:]:
        raise ValueError(f"it is no JSON array, or cut off, after {number} items")


def _end_of_space(text: str, place: int) -> int:
    match = _BETWEEN.match(text, place)
    return match.end() if match else place
