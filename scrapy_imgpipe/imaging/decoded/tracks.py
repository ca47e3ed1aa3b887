"""Tracks of AVIF: where the samples of an animation are (ISO/IEC 14496-12, 8.7)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from scrapy_imgpipe.errors import ImageBroken
from scrapy_imgpipe.imaging.decoded.boxes import Box, Extent, Numbers, boxes

if TYPE_CHECKING:
    from scrapy_imgpipe.imaging.decoded.effort import Effort

_AV1 = b"av01"

# On the way to the samples, from the outside; and what tells of them.
_OUTER = (b"mdia", b"minf", b"stbl")
_TABLES = {b"stsd": 0, b"stsc": 1, b"stsz": 2, b"stco": 3, b"co64": 3}


def tracks(data: bytes, at: int, end: int, effort: Effort) -> Iterator[Iterator[Extent]]:
    """Yield, for each track of AV1 in a moov box, where its samples are.

    Raises:
        ImageBroken: too many boxes, or two tables for one thing: decoders differ in which of
            them they take.
    """
    for kind, body, stop in boxes(data, at, end, effort):
        if kind == b"trak":
            found = list(_opened(data, body, stop, effort, _OUTER))
            if len({_TABLES[name] for name, _, _ in found}) < len(found):
                raise ImageBroken("Image cannot be decoded: it has two tables of samples")
            tables = {name: (start, last) for name, start, last in found}
            start, last = tables.get(b"stsd", (0, 0))
            if data.find(_AV1, start, last) >= 0:
                yield _samples(data, tables, effort)


def _opened(
    data: bytes, at: int, end: int, effort: Effort, outer: tuple[bytes, ...]
) -> Iterator[Box]:
    for kind, body, stop in boxes(data, at, end, effort):
        if outer and kind == outer[0]:
            yield from _opened(data, body, stop, effort, outer[1:])
        elif not outer and kind in _TABLES:
            yield kind, body, stop


def _samples(data: bytes, tables: dict[bytes, Extent], effort: Effort) -> Iterator[Extent]:
    """Walk samples: so many a chunk (stsc), so long (stsz), from where it is (stco, co64).

    14496-12, 8.7.3 to 8.7.5. Ends with the first table that is cut off.
    """
    wide = 8 if b"co64" in tables else 4
    try:
        places = Numbers(data, *tables[b"co64" if wide == 8 else b"stco"])  # noqa: PLR2004
        lengths, runs = Numbers(data, *tables[b"stsz"]), Numbers(data, *tables[b"stsc"])
        lengths.take(4)
        same, left = lengths.take(4), lengths.take(4)
        places.take(4), runs.take(4)
        chunks, counts = places.take(4), runs.take(4)
        if not counts:
            return
        runs.take(4)
        counts, many, _ = counts - 1, runs.take(4), runs.take(4)
        following = runs.take(4) if counts else chunks + 1
        for number in range(1, chunks + 1):
            if number == following:
                many = runs.take(4)
                runs.take(4)
                counts -= 1
                following = runs.take(4) if counts else chunks + 1
            at = places.take(wide)
            for _ in range(min(many, left)):
                effort.spend()
                length = same or lengths.take(4)
                yield min(at, len(data)), min(at + length, len(data))
                at += length
                left -= 1
    except (ValueError, KeyError):
        return
