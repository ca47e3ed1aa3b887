"""AVIF and HEIF: boxes within boxes.

ISO/IEC 14496-12 (boxes, tracks), ISO/IEC 23008-12 (items and their properties), AV1
Image File Format 1.1.0 (brands). Boxes fill the one around them, so that opening one is
but reading on behind its header.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from struct import Struct

from scrapy_imgpipe.probe.facts import Facts, Question, Reader

_AVIF = frozenset({b"avif", b"avis"})
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_ANY = frozenset({b"mif1", b"mif2", b"msf1"})  # the other brands say which codec
_SEQUENCES = frozenset({b"avis", b"hevc", b"hevx", b"hevm", b"hevs", b"msf1"})
_MOST_BRANDS_BYTES = 1024

_box = Struct(">I4s").unpack
_long = Struct(">Q").unpack
_item = Struct(">B3xHH").unpack
_size = Struct(">4xII").unpack_from
_aperture = Struct(">IIII").unpack_from

_NOWHERE = 1 << 80  # no file is that long: whoever asks for it is not answered
_TRACK = frozenset({b"trak", b"mdia", b"minf", b"stbl"})  # opened on the way to the samples
_LEAST = {  # bytes of the properties of interest
    b"ispe": 12,
    b"clap": 32,
    b"irot": 1,
    b"imir": 1,
    b"colr": 4,
    b"auxC": 4,
    b"av1C": 4,
    b"hvcC": 18,
}
_KEPT_BYTES = 64  # of each
# 23008-12, 9.3.1: no two ipma of one version and flags; the tiles of a large photo are
# hundreds of items, with some ten bytes each.
_MOST_ASSOCIATIONS, _MOST_ASSOCIATIONS_BYTES = 4, 1 << 14
_PROFILES = (b"prof", b"rICC")
_NUMBERED, _NUMBERED_BYTES = b"nclx", 8  # primaries and transfer (14496-12, 12.1.5)
# Auxiliary images of this kind are alpha: AVIF and HEIF; HEVC only.
_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")

# EXIF's orientation by irot's angle (times 90 degrees, against the clock) and what imir
# does after it: nothing, swap top and bottom, swap left and right.
_TURNS = ((1, 4, 2), (8, 5, 7), (3, 2, 4), (6, 7, 5))


@dataclass(slots=True)
class _Items:
    """What a meta box says of its items, as far as it was read."""

    primary: int | None = None
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    associations: list[bytes] = field(default_factory=list)

    def of_primary(self) -> list[tuple[bytes, bytes]]:
        """Return the properties of the primary item; none as long as they are not known."""
        if self.primary is None:
            return []
        there = len(self.properties)
        for body in self.associations:
            indexes = _associated(body, self.primary)
            if indexes:
                return [self.properties[at - 1] for at in indexes if 0 < at <= there]
        return []


def heif(facts: Facts) -> Reader:
    """Read the brands, the properties of the primary item, and the tracks of a sequence."""
    length, _ = _box((yield 0, 8))
    if not 16 <= length <= _MOST_BRANDS_BYTES:  # noqa: PLR2004 - the least with a brand
        return
    brands = yield 8, length - 8
    facts.format = _format(brands)
    if facts.format is None:
        return
    sequence = brands[:4] in _SEQUENCES
    at = length
    while facts.frames is None:
        kind, body, end = yield from _next(at)
        if kind == b"meta":
            yield from _meta(facts, body + 4, end)
            if not sequence:
                # A HEIF may have any number of images side by side.
                facts.frames = 1 if facts.format == "AVIF" else None
                return
        elif kind == b"moov" and sequence:
            yield from _tracks(facts, body, end)
        elif kind == b"mdat" or end == _NOWHERE:
            return
        at = end


def _meta(facts: Facts, at: int, meta: int) -> Reader:
    """Read what the boxes from *at* to *meta* say of the primary item."""
    items = _Items()
    while at < meta:
        kind, body, end = yield from _next(at)
        at = body if kind == b"iprp" else end
        if kind == b"ipco" and not items.properties:
            yield from _properties(items, body, end)
        elif kind == b"pitm" and end - body >= 6:  # noqa: PLR2004 - version, flags, number
            version, high, low = _item((yield body, min(end - body, 8)).ljust(8, b"\0"))
            items.primary = high << 16 | low if version else high
        elif kind == b"ipma" and len(items.associations) < _MOST_ASSOCIATIONS:
            if 8 <= end - body <= _MOST_ASSOCIATIONS_BYTES:  # noqa: PLR2004 - flags, count
                items.associations.append((yield body, end - body))
            if _settle(facts, items, items.of_primary()):
                return
    if not _settle(facts, items, items.of_primary()):
        _settle(facts, items, [each for each in items.properties if each[0] == b"ispe"])


def _properties(items: _Items, at: int, container: int) -> Reader:
    while at < container:
        kind, body, end = yield from _next(at)
        kept = (yield body, min(end - body, _KEPT_BYTES)) if kind in _LEAST else b""
        sound = kind in _LEAST and len(kept) >= _LEAST[kind]
        items.properties.append((kind, kept) if sound else (b"", b""))
        at = end


def _tracks(facts: Facts, at: int, movie: int) -> Reader:
    """Read size and number of samples of the first track, which is the picture's."""
    while at < movie and facts.frames is None:
        kind, body, end = yield from _next(at)
        if kind == b"tkhd" and facts.size is None and end - body >= 8:  # noqa: PLR2004
            sides = yield end - 8, 8
            facts.size = int.from_bytes(sides[:2]), int.from_bytes(sides[4:6])  # 16.16
        elif kind == b"stsz" and end - body >= 12:  # noqa: PLR2004 - flags, size, count
            facts.frames = int.from_bytes((yield body + 8, 4))
            facts.animated = facts.frames > 1
        at = body if kind in _TRACK else end


def _next(at: int) -> Generator[Question, bytes, tuple[bytes, int, int]]:
    """Return kind, start of the body, and end of the box."""
    length, kind = _box((yield at, 8))
    body = at + 8
    if length == 1:
        (length,) = _long((yield body, 8))
        body += 8
    # A length of 0 is one to the end of the file; shorter than the header is nonsense.
    return kind, body, at + length if at + length >= body else _NOWHERE


def _format(brands: bytes) -> str | None:
    """Return which it is by the major brand; where that leaves it open, by the others."""
    major = brands[:4]
    names = {brands[at : at + 4] for at in range(8, len(brands), 4)} if major in _ANY else {major}
    if names & _AVIF:
        return "AVIF"
    return "HEIF" if names & _HEIC else None


def _settle(facts: Facts, items: _Items, chosen: list[tuple[bytes, bytes]]) -> bool:
    """Write down what *chosen* properties say; False, and nothing, if there is no size."""
    sizes: list[tuple[int, int]] = [_size(body) for kind, body in chosen if kind == b"ispe"]
    if not sizes:
        return False
    facts.size = max(sizes, key=lambda size: size[0] * size[1])
    named = dict(chosen)
    if facts.format == "HEIF" and b"clap" in named:  # Pillow does not cut an AVIF
        facts.size = _cut(facts.size, named[b"clap"])
    facts.mode = _grey_mode(named) or "RGB"
    if any(kind == b"auxC" and body[4:].startswith(_ALPHA) for kind, body in items.properties):
        facts.mode = "RGBA"
    facts.profile = any(kind == b"colr" and body.startswith(_PROFILES) for kind, body in chosen)
    for kind, body in chosen:
        if kind == b"colr" and body.startswith(_NUMBERED) and len(body) >= _NUMBERED_BYTES:
            facts.coding = int.from_bytes(body[4:6]), int.from_bytes(body[6:8])
    mirror = 1 + (named[b"imir"][0] & 1) if b"imir" in named else 0
    facts.orientation = _TURNS[named.get(b"irot", b"\0")[0] & 3][mirror]
    return True


def _cut(size: tuple[int, int], body: bytes) -> tuple[int, int]:
    """Return the sides of the clean aperture: two fractions (14496-12)."""
    over, under, high_over, high_under = _aperture(body)
    width, height = over // max(under, 1), high_over // max(high_under, 1)
    return min(width, size[0]) or size[0], min(height, size[1]) or size[1]


def _grey_mode(named: dict[bytes, bytes]) -> str:
    """Return the mode if the codec's configuration says that there is no colour, else none.

    AV1 Codec ISO Media File Format Binding, av1C; ISO/IEC 14496-15, hvcC, which tells of
    more than 8 bits, too.
    """
    if b"av1C" in named:
        return "L" if named[b"av1C"][2] & 0x10 else ""
    if b"hvcC" not in named or named[b"hvcC"][16] & 3:
        return ""
    return "I;16" if named[b"hvcC"][17] & 7 else "L"


def _associated(body: bytes, wanted: int) -> list[int]:
    """Return the indexes, from 1, of the *wanted* item's properties (23008-12, 9.3.2)."""
    number = 4 if body[0] else 2
    wide, mask = (2, 0x7FFF) if body[3] & 1 else (1, 0x7F)
    at = 8
    for _ in range(int.from_bytes(body[4:8])):
        start = at + number + 1
        if start > len(body):
            break
        end = start + wide * body[start - 1]
        if int.from_bytes(body[at : start - 1]) == wanted:
            places = range(start, end, wide)
            return [int.from_bytes(body[place : place + wide]) & mask for place in places]
        at = end
    return []
