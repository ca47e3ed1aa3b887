"""GIF: up to the first image (Graphics Interchange Format, version 89a; CompuServe, 1990)."""

from __future__ import annotations

from struct import Struct

from scrapy_imgpipe.probe.facts import Facts, Reader

_screen = Struct("<HHBxx").unpack  # section 18
_image = Struct("<HHHHB").unpack  # section 20
_SCREEN_AT, _SCREEN_BYTES, _IMAGE_BYTES = 6, 7, 9

_IMAGE, _EXTENSION, _APPLICATION = 0x2C, 0x21, 0xFF  # sections 20, 23 and 26
# Applications that say how often to repeat: who writes one has several images.
_REPEATS = frozenset({b"NETSCAPE2.0", b"ANIMEXTS1.0"})
_APPLICATION_BYTES = 11

# A table of these greys is as good as none: 0, 0, 0, 1, 1, 1, ...
_GREYS = bytes(level for level in range(256) for _ in range(3))


def gif(facts: Facts) -> Reader:
    """Read blocks until the first image, which decides the mode and may enlarge the size."""
    facts.format = "GIF"
    width, height, flags = _screen((yield _SCREEN_AT, _SCREEN_BYTES))
    facts.size = width, height
    at, coloured = _SCREEN_AT + _SCREEN_BYTES, False
    length = _table_bytes(flags)
    if length:
        coloured = not _GREYS.startswith((yield at, length))
        at += length
    while True:
        (block,) = yield at, 1
        if block == _EXTENSION:
            label, length = yield at + 1, 2
            at += 2
            if label == _APPLICATION and length == _APPLICATION_BYTES:
                facts.animated |= (yield at + 1, length) in _REPEATS
            while length:  # blocks of data, until an empty one
                at += 1 + length
                (length,) = yield at, 1
        elif block:
            break
        at += 1
    if block != _IMAGE:
        return
    left, top, wide, high, flags = _image((yield at + 1, _IMAGE_BYTES))
    facts.size = max(width, left + wide), max(height, top + high)
    length = _table_bytes(flags)
    if length:
        coloured = not _GREYS.startswith((yield at + 1 + _IMAGE_BYTES, length))
    facts.mode = "P" if coloured else "L"


def _table_bytes(flags: int) -> int:
    """Return how long the table of colours is (sections 18 and 20); 0 if there is none."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0
