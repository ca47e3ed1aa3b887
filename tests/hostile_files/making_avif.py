"""The bricks of AVIF: streams of AV1 that are nothing but headers, and boxes around streams.

What is refused by its headers needs no pixels: behind the headers here there are none.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from tests.hostile_files.making import box

Size = tuple[int, int]

CLOCK = 5  # fields of times without a model of a decoder


def bits(*fields: tuple[int, int]) -> bytes:
    """Return numbers, each with how many bits it has, the highest first."""
    text = "".join(f"{value:0{count}b}" for value, count in fields if count)
    text += "1"  # trailing bits
    text += "0" * (-len(text) % 8)
    return bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))


def unit(kind: int, payload: bytes = b"", extension: bytes = b"") -> bytes:
    """Return an OBU with its length."""
    length, left = b"", len(payload)
    while left > 127:
        length, left = length + bytes([left & 127 | 128]), left >> 7
    return (
        bytes([kind << 3 | bool(extension) << 2 | 2]) + extension + length + bytes([left]) + payload
    )


def sides(size: Size, wide: int = 16) -> list[tuple[int, int]]:
    return [(wide - 1, 4), (wide - 1, 4), (size[0] - 1, wide), (size[1] - 1, wide)]


def still(size: Size) -> bytes:
    """Return the sequence header of a still picture, and a frame without pixels."""
    sequence = bits((0, 3), (1, 1), (1, 1), (8, 5), *sides(size), (0, 3))
    return unit(2) + unit(1, sequence) + unit(6, bytes(20))


def moving(size: Size, *frames: bytes, times: Sequence[tuple[int, int]] = ()) -> bytes:
    """Return the sequence header of a film, and *frames*.

    Args:
        size: the largest that a frame is to have.
        frames: what follows.
        times: ticks of a clock, and a model of a decoder that goes by it.
    """
    tools = [(0, 1), (0, 3), (0, 4), (1, 1), (0, 2), (1, 1), (1, 1), (6, 3)]
    points = [(0, 1), (0, 5), (0, 12), (8, 5), (0, 1), *[(0, 1)] * (len(times) > CLOCK)]
    start = [(0, 3), (0, 1), (0, 1), (int(bool(times)), 1), *times]
    sequence = bits(*start, *points, *sides(size), *tools)
    return unit(2) + unit(1, sequence) + b"".join(frames)


def frame(size: Size | None = None, *, kind: int = 0, shown: bool = True) -> bytes:
    """Return a frame without pixels, of a key or of another *kind*; *size* where it says one."""
    fields = [(0, 1), (kind, 2), (int(shown), 1)]
    fields += [] if shown else [(0, 1)]
    fields += [] if kind == 3 or (kind == 0 and shown) else [(1, 1)]
    fields += [(0, 1), (0, 1)]  # no update, no screen
    fields += [] if kind == 3 else [(int(size is not None), 1)]
    if size is not None:
        fields += [(0, 7)]
        fields += [] if kind == 0 and shown else [(1, 8), *[(0, 7)] * 8]
        fields += [(size[0] - 1, 16), (size[1] - 1, 16)]
    return unit(6, bits(*fields) + bytes(9))


def full(kind: bytes, *payloads: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags) + b"".join(payloads))


def ispe(size: Size) -> bytes:
    return full(b"ispe", struct.pack(">II", *size))


AV1C = box(b"av1C", b"\x81\x40\x00\x00")
ALPHA = full(b"auxC", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")
PIXI = full(b"pixi", b"\3\x08\x08\x08")


def avif(
    items: Sequence[tuple[bytes, bytes, Sequence[int]]],
    properties: Sequence[bytes],
    references: Sequence[tuple[bytes, int, Sequence[int]]] = (),
    *,
    brand: bytes = b"avif",
    behind: bytes = b"",
) -> bytes:
    """Return a file of *items*, of which the first is shown; numbered from 1, as properties.

    Args:
        items: kind, bytes and properties of each; equal bytes are there once.
        properties: that items may have.
        references: kind, from which, and to which.
        brand: of the file.
        behind: boxes behind the meta box.
    """
    bodies = list(dict.fromkeys(body for _, body, _ in items))
    infos = b"".join(
        full(b"infe", struct.pack(">HH", number, 0), kind, b"\0", version=2)
        for number, (kind, _, _) in enumerate(items, 1)
    )
    owned = b"".join(
        struct.pack(">HB", number, len(own)) + bytes(own)
        for number, (_, _, own) in enumerate(items, 1)
    )
    meta = [
        full(b"hdlr", bytes(4), b"pict", bytes(13)),
        full(b"pitm", b"\0\1"),
        full(b"iinf", struct.pack(">H", len(items)), infos),
        box(
            b"iprp",
            box(b"ipco", b"".join(properties))
            + full(b"ipma", struct.pack(">I", len(items)), owned),
        ),
    ]
    if references:
        told = b"".join(
            box(kind, struct.pack(f">HH{len(to)}H", start, len(to), *to))
            for kind, start, to in references
        )
        meta.append(full(b"iref", told))
    head = box(b"ftyp", brand + b"\0\0\0\0avifmif1miaf")

    def built(start: int) -> bytes:
        places = [start + sum(map(len, bodies[: bodies.index(body)])) for _, body, _ in items]
        told = b"".join(
            struct.pack(">HHHII", number, 0, 1, place, len(body))
            for number, (place, (_, body, _)) in enumerate(zip(places, items, strict=True), 1)
        )
        where = full(b"iloc", b"\x44\0", struct.pack(">H", len(items)), told)
        return head + full(b"meta", *meta, where) + behind

    return built(len(built(0)) + 8) + box(b"mdat", b"".join(bodies))


def grid(rows: int, columns: int, size: Size) -> bytes:
    return struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, *size)


def tiles(side: int, stream: bytes, tile: Size, size: Size, config: bytes = AV1C) -> bytes:
    """Return a grid of *side* x *side* tiles, all of one *stream*."""
    count = side * side
    items = [(b"grid", grid(side, side, size), [1, 3])] + [(b"av01", stream, [2, 3, 4])] * count
    to = range(2, count + 2)
    return avif(items, [ispe(size), ispe(tile), PIXI, config], [(b"dimg", 1, to)])


def one(stream: bytes, size: Size, *properties: bytes, config: bytes = AV1C) -> bytes:
    """Return a file of one picture."""
    own = [ispe(size), PIXI, config, *properties]
    return avif([(b"av01", stream, range(1, len(own) + 1))], own)


def film(size: Size, *samples: bytes, config: bytes = AV1C) -> bytes:
    """Return an animation, whose boxes say *size*; there is a still picture of it, too."""
    picture = (b"av01", samples[0], [1, 2, 3])
    count = len(samples)

    def moov(start: int) -> bytes:
        lengths = struct.pack(f">II{count}I", 0, count, *map(len, samples))
        entry = bytes(6) + b"\0\1" + bytes(16) + struct.pack(">HH", *size) + bytes(50)
        table = (
            full(b"stsd", struct.pack(">I", 1), box(b"av01", entry + config))
            + full(b"stts", struct.pack(">III", 1, count, 1))
            + full(b"stsc", struct.pack(">IIII", 1, 1, count, 1))
            + full(b"stsz", lengths)
            + full(b"stco", struct.pack(">II", 1, start))
        )
        sizes = struct.pack(">II", size[0] << 16, size[1] << 16)
        inside = box(b"minf", box(b"stbl", table))
        media = full(b"mdhd", struct.pack(">IIII", 0, 0, 1, count) + bytes(4))
        media += full(b"hdlr", bytes(4), b"pict", bytes(13)) + inside
        header = full(b"tkhd", struct.pack(">IIIII", 0, 0, 1, 0, count), bytes(52), sizes)
        return box(b"moov", full(b"mvhd", bytes(96)) + box(b"trak", header + box(b"mdia", media)))

    def built(start: int) -> bytes:
        own = [ispe(size), PIXI, config]
        return avif([picture], own, brand=b"avis", behind=moov(start))

    # The first sample is where the item is; the others are put behind it.
    return _lengthened(built(len(built(0)) - len(samples[0])), b"".join(samples[1:]))


def _lengthened(data: bytes, more: bytes) -> bytes:
    at = data.rindex(b"mdat") - 4
    (length,) = struct.unpack_from(">I", data, at)
    return data[:at] + struct.pack(">I", length + len(more)) + data[at + 4 :] + more
