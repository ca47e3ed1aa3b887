"""AVIF and HEIF: boxes, and the items of which a picture is made.

ISO/IEC 14496-12, ISO/IEC 23008-12.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scrapy_imgpipe.imaging.decoded.effort import Effort

#: Kind, start of what is inside, and end of a box.
Box = tuple[bytes, int, int]
#: Start and end of a piece of the file.
Extent = tuple[int, int]

_HEADER_BYTES, _LONG_HEADER_BYTES = 8, 16
_IN_FILE, _IN_BOX = 0, 1  # 14496-12, 8.11.3: where extents are counted from
_VERSIONS_WITH_METHODS = frozenset({1, 2})


def boxes(data: bytes, at: int, end: int, effort: Effort) -> Iterator[Box]:
    """Walk the boxes from *at* to *end*; one that reaches beyond it ends there."""
    while at + _HEADER_BYTES <= end:
        effort.spend()
        length, kind = struct.unpack_from(">I4s", data, at)
        body = at + _HEADER_BYTES
        if length == 1:
            length = int.from_bytes(data[body : body + 8])
            body = at + _LONG_HEADER_BYTES
        stop = min(at + length, end) if length else end
        if stop < body:
            return
        yield kind, body, stop
        at = stop


@dataclass(slots=True)
class Items:
    """What a meta box says of its items, by their numbers.

    Attributes:
        primary: the one to be shown; None where that is not said.
        extents: where the bytes of each are.
        properties: all that there are: kind, start and end.
        associated: which of them an item has: places in *properties*, from 1.
        references: by kind and item, those it refers to.
    """

    primary: int | None = None
    extents: dict[int, list[Extent]] = field(default_factory=dict)
    properties: list[Box] = field(default_factory=list)
    associated: dict[int, list[int]] = field(default_factory=dict)
    references: dict[tuple[bytes, int], list[int]] = field(default_factory=dict)

    def of(self, item: int) -> list[Box]:
        """Return the properties of an item."""
        there = len(self.properties)
        places = self.associated.get(item, [])
        return [self.properties[at - 1] for at in places if 0 < at <= there]


class Numbers:
    """Whole numbers, one behind the other."""

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self._data = data
        self.at: int = at
        self.end: int = end

    def take(self, length: int) -> int:
        """Return the next number, of *length* bytes; 0 for none.

        Raises:
            ValueError: there are not so many.
        """
        self.at += length
        if self.at > self.end:
            raise ValueError("Expected more of a box")
        return int.from_bytes(self._data[self.at - length : self.at])


def items(data: bytes, at: int, end: int, effort: Effort) -> Items:
    """Read the boxes inside a meta box, each as far as it is there.

    Raises:
        ImageBroken: too many items.
    """
    found, places, origin = Items(), [], (len(data), len(data))
    for kind, body, stop in boxes(data, at + 4, end, effort):
        numbers = Numbers(data, body, stop)
        with suppress(ValueError):
            if kind == b"pitm":
                found.primary = numbers.take(_wide(numbers, since=1))
            elif kind == b"iref":
                _read_references(found, data, body, stop, effort)
            elif kind == b"iprp":
                _read_properties(found, data, body, stop, effort)
            elif kind == b"iloc":
                places.append(numbers)
            elif kind == b"idat":
                origin = body, stop
    for numbers in places:
        with suppress(ValueError):
            _read_places(found, numbers, origin, len(data), effort)
    return found


def _wide(numbers: Numbers, since: int) -> int:
    """Read version and flags; return how long the number of an item is."""
    return 4 if numbers.take(4) >> 24 >= since else 2


def _read_places(
    found: Items, numbers: Numbers, inside: Extent, length: int, effort: Effort
) -> None:
    """Read where items are (14496-12, 8.11.3): in the file, or *inside* a box."""
    version = numbers.take(4) >> 24
    sizes = numbers.take(2)
    offset, size, base, index = (sizes >> at & 15 for at in (12, 8, 4, 0))
    methods = version in _VERSIONS_WITH_METHODS
    wide = 4 if version >= 2 else 2  # noqa: PLR2004 - a version
    for _ in range(numbers.take(wide)):
        effort.spend()
        item = numbers.take(wide)
        method = numbers.take(2) & 15 if methods else _IN_FILE
        numbers.take(2)
        start, last = inside if method == _IN_BOX else (0, length)
        start += numbers.take(base)
        extents = found.extents.setdefault(item, [])
        for _ in range(numbers.take(2)):
            effort.spend()
            numbers.take(index if methods else 0)
            at = start + numbers.take(offset)
            stop = numbers.take(size)
            extents.append((min(at, last), min(at + stop, last) if stop else last))


def _read_references(found: Items, data: bytes, at: int, end: int, effort: Effort) -> None:
    """Read what refers to what (14496-12, 8.11.12)."""
    wide = _wide(Numbers(data, at, end), since=1)
    for kind, body, stop in boxes(data, at + 4, end, effort):
        numbers = Numbers(data, body, stop)
        item = numbers.take(wide)
        others = found.references.setdefault((kind, item), [])
        for _ in range(numbers.take(2)):
            effort.spend()
            others.append(numbers.take(wide))


def _read_properties(found: Items, data: bytes, at: int, end: int, effort: Effort) -> None:
    """Read properties, and which items have them (23008-12, 9.3)."""
    for kind, body, stop in boxes(data, at, end, effort):
        if kind == b"ipco":
            found.properties.extend(boxes(data, body, stop, effort))
        elif kind == b"ipma":
            numbers = Numbers(data, body, stop)
            told = numbers.take(4)
            wide, mask = (2, 0x7FFF) if told & 1 else (1, 0x7F)
            for _ in range(numbers.take(4)):
                effort.spend()
                item = numbers.take(4 if told >> 24 else 2)
                count = numbers.take(1)
                effort.spend(count)
                places = found.associated.setdefault(item, [])
                places.extend(numbers.take(wide) & mask for _ in range(count))
