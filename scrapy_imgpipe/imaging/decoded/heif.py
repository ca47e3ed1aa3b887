"""AVIF and HEIF: how many pixels the streams of a file have that are decoded to show it.

What boxes say of the size does not count: decoders make what the streams say, and scale it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from scrapy_imgpipe.imaging.decoded import av1, hevc
from scrapy_imgpipe.imaging.decoded.boxes import Box, Extent, Items, boxes, items
from scrapy_imgpipe.imaging.decoded.tracks import tracks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scrapy_imgpipe.imaging.decoded.effort import Effort

#: Frames of one picture. One in layers has four at most (AVIF 1.1.0, 4.3), and the first of an
#: animation may have some behind it that are not shown; more take time like more pixels.
MOST_FRAMES = 8

#: How many times more pixels a stream may have than its item says. Streams of some encoders
#: are padded to whole blocks; who lies about more than that wants to be decoded unseen.
MOST_TIMES_LARGER = 2

_LAYER = b"lsel"  # one of several layers, which may be smaller than the stream
_BLOCK = 64  # pixels that streams of HEVC are padded to, at most
_DEEPEST = 3  # pictures made of pictures: a grid, and what may stand around it
_SIZE_BYTES = 12  # of ispe: version and flags, width, height


Extents = tuple[Extent, ...]


class _Stream(Protocol):
    def picture(self, data: bytes, start: int, end: int) -> tuple[av1.Size, int]: ...


class Inside(NamedTuple):
    """What decoding a file comes to.

    Attributes:
        pixels: how many are decoded for the first picture; 0 where that cannot be told.
        fault: in words, where it is much more than the file says; else empty.
    """

    pixels: int = 0
    fault: str = ""


def in_boxes(data: bytes, effort: Effort) -> Inside:
    """Return the most pixels that are decoded at once: of all tiles, or of one sample.

    Alpha counts for itself: a picture of 60 million pixels has not 120 with it. What is
    malformed is passed over, as it may be by a decoder; of two boxes either may be taken.

    Raises:
        ImageBroken: there are too many pieces, or two tables of samples.
    """
    most, fault = 0, ""
    for kind, body, end in boxes(data, 0, len(data), effort):
        if kind == b"meta":
            found = items(data, body, end, effort)
            if found.primary is not None:
                pictures = _Pictures(data, found, effort)
                most = max(most, pictures.most(found.primary))
                fault = fault or pictures.fault
        elif kind == b"moov":
            for samples in tracks(data, body, end, effort):
                most = max(most, _largest_sample(data, samples, effort))
    return Inside(most, fault)


def _largest_sample(data: bytes, samples: Iterable[Extent], effort: Effort) -> int:
    stream = av1.Stream(effort)
    return max((_pixels(stream.picture(data, *sample)) for sample in samples), default=0)


def _pixels(picture: tuple[av1.Size, int]) -> int:
    (width, height), frames = picture
    return width * height * -(-frames // MOST_FRAMES)


class _Pictures:
    """The items of one file, and what decoding them comes to; each is looked at once.

    Attributes:
        fault: as in :class:`Inside`.
    """

    def __init__(self, data: bytes, found: Items, effort: Effort) -> None:
        self.fault = ""
        self._data, self._items, self._effort = data, found, effort
        self._av1, self._hevc = av1.Stream(effort), hevc.Stream(effort)
        self._known: dict[int, int] = {}
        self._read: dict[tuple[Extents, Extents], tuple[av1.Size, int]] = {}

    def most(self, primary: int) -> int:
        """Return the pixels of the primary item, or of its alpha where these are more."""
        parts = set(self._items.references.get((b"dimg", primary), ()))
        own, apart = [0], 0
        for (kind, item), others in self._items.references.items():
            if kind == b"auxl" and primary in others:
                own.append(self._of(item))
            elif kind == b"auxl" and not parts.isdisjoint(others):
                apart += self._of(item)
        return max(self._of(primary), *own, apart)

    def _of(self, item: int, depth: int = 0) -> int:
        """Return the pixels of *item*, its own and those of what it is made of."""
        if item not in self._known:
            self._known[item] = 0  # should it be made of itself
            others = self._items.references.get((b"dimg", item), ())
            self._effort.spend(1 + len(others))
            parts = (self._of(other, depth + 1) for other in others) if depth < _DEEPEST else ()
            self._known[item] = self._alone(item) + sum(parts)
        return self._known[item]

    def _alone(self, item: int) -> int:
        extents = tuple(self._items.extents.get(item, ()))
        properties = self._items.of(item)
        if not extents:
            return 0
        sets = tuple((start, end) for kind, start, end in properties if kind == b"hvcC")
        if (extents, sets) not in self._read:
            self._read[extents, sets] = self._picture(extents, sets)
        picture = self._read[extents, sets]
        self._check(picture[0], properties)
        return _pixels(picture)

    def _picture(self, extents: Extents, sets: Extents) -> tuple[av1.Size, int]:
        stream: _Stream = self._hevc if sets else self._av1
        self._hevc.configure(self._data, sets)
        if len(extents) == 1:
            return stream.picture(self._data, *extents[0])
        whole = b"".join(self._data[start:end] for start, end in extents)
        self._effort.spend(len(whole) >> 10)
        return stream.picture(whole, 0, len(whole))

    def _check(self, size: av1.Size, properties: list[Box]) -> None:
        """Say what is wrong with a stream that is much larger than *properties* say."""
        kinds = {kind for kind, _, _ in properties}
        said = [
            (int.from_bytes(self._data[at + 4 : at + 8]), int.from_bytes(self._data[at + 8 : end]))
            for kind, at, end in properties
            if kind == b"ispe" and end - at == _SIZE_BYTES
        ]
        if not said or _LAYER in kinds:
            return
        width, height = max(said)
        if b"hvcC" in kinds:
            width, height = (-(-side // _BLOCK) * _BLOCK for side in (width, height))
        if size[0] * size[1] > MOST_TIMES_LARGER * width * height:
            self.fault = f"its stream has {size[0]}x{size[1]} pixels, not {width}x{height}"
