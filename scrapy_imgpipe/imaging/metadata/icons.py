"""ICO: a table of pictures, each a PNG or a DIB (Microsoft Learn, "Icons", 2021)."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from scrapy_imgpipe.imaging.metadata import chunks
from scrapy_imgpipe.imaging.metadata.pieces import Keep, Piece

_HEAD_BYTES = 6
_entry = Struct("<8sII")  # sides and colours, length, offset
_PNG = b"\x89PNG\r\n\x1a\n"


def pieces(data: bytes) -> Iterator[Piece]:
    """Return the one piece of an icon: up to the end of the picture that stands last.

    Raises:
        ValueError: malformed or truncated.
        struct.error: truncated.
    """
    table = _entries(data)
    end = max(start + length for _, length, start in table)
    yield Piece(b"", 0, _HEAD_BYTES + _entry.size * len(table), end)


def stripped(data: bytes, keep: Keep) -> bytes:
    """Return *data* with all of its pictures one behind the other, without metadata.

    A DIB has none, and stays as it is.

    Raises:
        ValueError: malformed or truncated, or pictures that overlap.
        struct.error: truncated.
    """
    table = _entries(data)
    if sum(length for length, _ in {each[1:] for each in table}) > len(data):
        raise ValueError("Expected pictures apart from each other")
    head, bodies = bytearray(data[:_HEAD_BYTES]), bytearray()
    first = _HEAD_BYTES + _entry.size * len(table)
    written: dict[tuple[int, int], tuple[int, int]] = {}
    for looks, length, start in table:
        if (length, start) not in written:
            body = data[start : start + length]
            if body.startswith(_PNG):
                body = chunks.stripped(body, keep)
            written[length, start] = len(body), first + len(bodies)
            bodies += body
        head += _entry.pack(looks, *written[length, start])
    return bytes(head + bodies)


def _entries(data: bytes) -> list[tuple[bytes, int, int]]:
    count = int.from_bytes(data[4:_HEAD_BYTES], "little")
    end = _HEAD_BYTES + _entry.size * count
    table = list(_entry.iter_unpack(data[_HEAD_BYTES:end]))
    if not count or any(start < end or start + length > len(data) for _, length, start in table):
        raise ValueError("Expected the pictures of an icon")
    return table
