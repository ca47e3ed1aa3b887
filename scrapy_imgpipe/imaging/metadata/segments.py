"""JPEG: the segments of a file, and which of them are metadata (ITU-T T.81, annex B).

Decoders look for the next marker and fill up what is missing, so that damage shows late.
This is stricter: where anything but a marker follows a segment, the file is malformed. It
has to be: behind a segment that is left out, a decoder would read such bytes as pixels.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from scrapy_imgpipe.imaging.metadata.exif import PREFIX, reduced
from scrapy_imgpipe.imaging.metadata.pieces import Keep, Piece, bounded

# ITU-T T.81, table B.1.
_START, _END, _SCAN, _COMMENT = b"\xd8", b"\xd9", b"\xda", b"\xfe"
_APPS = frozenset(range(0xE0, 0xF0))
_APP0, _APP1, _APP2, _APP14 = b"\xe0", b"\xe1", b"\xe2", b"\xee"

# Markers that a length follows. JPG and JPGn, of other codecs, are not among them.
_WITH_LENGTH = frozenset({*range(0xC0, 0xD0), *range(0xDA, 0xE0), *_APPS, 0xFE}) - {0xC8}

# B.1.1.2: fill bytes may stand before a marker.
_MARKER = re.compile(rb"\xff+([\x01-\xfe])")

# B.1.1.5: in entropy-coded data a NUL is stuffed behind each 0xFF, and restarts (RST0-7)
# are part of it.
_BEHIND_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")

# ICC.1:2022, annex B.4: behind the name, the number of this segment and of all. In the
# profile itself (7.2), where its signature stands.
_PROFILE, _PROFILE_HEAD = b"ICC_PROFILE\0", len(b"ICC_PROFILE\0") + 2
_SIGNATURE_AT, _SIGNATURE = 36, b"acsp"

_JFIF_BYTES = 14  # ITU-T T.871, section 10.1: two zeros at the end, and no thumbnail
_ADOBE_BYTES = 12  # Adobe Technical Note 5116; tells YCCK from CMYK


@bounded
def pieces(data: bytes) -> Iterator[Piece]:
    """Walk the segments; a scan is one piece with its entropy-coded data.

    Raises:
        ValueError: malformed or truncated.
        struct.error: truncated.
    """
    at = len(b"\xff" + _START)
    yield Piece(_START, 0, at, at)
    while True:
        found = _MARKER.match(data, at)
        if found is None:
            raise ValueError("Expected a JPEG marker")
        kind, body = found[1], found.end()
        if kind == _END:
            yield Piece(kind, at, body, body)
            return
        if kind[0] not in _WITH_LENGTH:
            raise ValueError("Expected a JPEG segment")
        (length,) = struct.unpack_from(">H", data, body)
        end = body + length
        if length < 2 or end > len(data):  # noqa: PLR2004 - the length counts itself
            raise ValueError("Expected a longer JPEG segment")
        if kind == _SCAN:
            end = _behind_scan(data, end)
        yield Piece(kind, at, body + 2, end)
        at = end


def ends_at_once(data: bytes) -> bool:
    """Return whether nothing can follow the image, told without a walk through its scans.

    True is certain: from the header of the first scan on, there is one end-of-image marker
    and it stands at the end. False is doubt.
    """
    at = len(b"\xff" + _START)
    while (found := _MARKER.match(data, at)) is not None and found[1][0] in _WITH_LENGTH:
        at = found.end() + int.from_bytes(data[found.end() : found.end() + 2])
        if at <= found.end():
            return False
        if found[1] == _SCAN:
            return data.find(b"\xff" + _END, at) == len(data) - 2
    return False


def shown(data: bytes) -> int:
    """Return how much of a truncated JPEG can be decoded once an end marker stands behind it.

    An end marker inside a segment that was cut off would be taken for a part of it.

    Returns:
        Where that segment begins; ``len(data)`` where the data stops inside a scan, or is
        malformed otherwise.
    """
    end = 0
    with suppress(ValueError, struct.error):
        for piece in pieces(data):
            end = piece.end
    found = _MARKER.match(data, end)
    if found is None or found[1][0] not in _WITH_LENGTH:
        return len(data)
    length = int.from_bytes(data[found.end() : found.end() + 2])
    return end if found.end() + max(length, 2) > len(data) else len(data)


def _behind_scan(data: bytes, at: int) -> int:
    found = _BEHIND_SCAN.search(data, at)
    if found is None:
        raise ValueError("Expected a marker behind a JPEG scan")
    return found.start()


def stripped(data: bytes, keep: Keep) -> bytes:
    """Return *data* up to its end-of-image marker, without metadata.

    The first EXIF before the first scan says the orientation; decoders see no other.
    Segments that stay as they are keep their fill bytes.

    Raises:
        ValueError: malformed or truncated.
        struct.error: truncated.
    """
    view, kept, settled = memoryview(data), bytearray(), False
    if keep.profile and not _has_profile(data):
        keep = replace(keep, profile=False)
    for kind, start, body, end in pieces(data):
        settled = settled or kind == _SCAN
        if kind[0] not in _APPS and kind != _COMMENT:
            kept += view[start:end]
            continue
        payload = data[body:end]
        if kind == _APP1 and PREFIX.match(payload):
            reserved = b"" if settled else reduced(payload, rights=keep.rights)
            settled = True
        else:
            reserved = _needed(kind, payload, keep)
        if reserved == payload and payload:
            kept += view[start:end]
        elif reserved:
            kept += b"\xff" + kind + struct.pack(">H", len(reserved) + 2) + reserved
    return bytes(kept)


def _has_profile(data: bytes) -> bool:
    """Return whether the segments that say so are one profile, with none missing or besides.

    Decoders put it together by these numbers, or have none.
    """
    parts = [
        data[body:end]
        for kind, _, body, end in pieces(data)
        if kind == _APP2 and data.startswith(_PROFILE, body)
    ]
    heads = sorted(part[len(_PROFILE) : _PROFILE_HEAD] for part in parts)
    numbered = heads == [bytes([number, len(heads)]) for number in range(1, len(heads) + 1)]
    first = min(parts, default=b"")[_PROFILE_HEAD:]
    return numbered and first.startswith(_SIGNATURE, _SIGNATURE_AT)


def _needed(kind: bytes, payload: bytes, keep: Keep) -> bytes:
    """Return what decoders need of an application segment or a comment; empty for nothing."""
    if kind == _APP0 and payload.startswith(b"JFIF\0"):
        if len(payload) < _JFIF_BYTES:
            return payload  # not JFIF to a decoder, and it stays that way
        return payload[: _JFIF_BYTES - 2] + bytes(2)
    if kind == _APP2 and payload.startswith(_PROFILE):
        return payload if keep.profile else b""
    if kind == _APP14 and payload.startswith(b"Adobe"):
        return payload[:_ADOBE_BYTES]
    return b""
