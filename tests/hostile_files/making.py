"""The bricks that hostile files are made of: chunks, segments, boxes, directories.

The same bytes at each call, for one version of Pillow and of its codecs.
"""

from __future__ import annotations

import io
import random
import struct
import zlib
from functools import cache
from typing import Any

from PIL import Image

PNG = b"\x89PNG\r\n\x1a\n"
START, END = b"\xff\xd8", b"\xff\xd9"


def picture(size: tuple[int, int] = (120, 80), mode: str = "RGB", seed: int = 7) -> Image.Image:
    """Return random pixels, the same for the same arguments."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    data = random.Random(seed).randbytes(size[0] * size[1] * channels)
    if mode == "P":
        return Image.frombytes("L", size, data).convert("P")
    return Image.frombytes(mode, size, data)


def written(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


# --- JPEG ---


def segment(marker: int, payload: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(payload) + 2) + payload


def jpeg(**options: Any) -> bytes:
    return written(picture(), "JPEG", **{"quality": 80, **options})


def behind_start(data: bytes, *segments: bytes) -> bytes:
    """Put *segments* behind the start of a JPEG."""
    return START + b"".join(segments) + data[2:]


def of_size(data: bytes, width: int, height: int) -> bytes:
    """Return the JPEG *data* with another size in its frame header."""
    at = next(
        data.find(bytes([0xFF, kind])) for kind in (0xC0, 0xC2) if bytes([0xFF, kind]) in data
    )
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def scan_of(data: bytes) -> tuple[bytes, bytes]:
    """Return the JPEG *data* up to its first scan, and the rest."""
    at = data.index(b"\xff\xda")
    return data[:at], data[at:]


# --- PNG ---


def chunk(kind: bytes, payload: bytes = b"") -> bytes:
    crc = zlib.crc32(kind + payload)
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", crc)


def header(width: int, height: int, bits: int = 8, colour: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))


def png(*chunks: bytes, size: tuple[int, int] = (40, 30), pixels: bytes | None = None) -> bytes:
    """Return a grey PNG with *chunks* before its pixels."""
    if pixels is None:
        row = b"\0" + bytes(range(size[0]))
        pixels = zlib.compress(row * size[1])
    return PNG + header(*size) + b"".join(chunks) + chunk(b"IDAT", pixels) + chunk(b"IEND")


@cache
def zeros(count: int) -> bytes:
    """Return *count* NULs, compressed as far as that goes."""
    packer = zlib.compressobj(9)
    whole, rest = divmod(count, 1 << 20)
    pieces = [packer.compress(bytes(1 << 20)) for _ in range(whole)]
    return b"".join([*pieces, packer.compress(bytes(rest)), packer.flush()])


# --- the others ---


def gif(
    *blocks: bytes, size: tuple[int, int] = (8, 8), frames: int = 1, frame: tuple[int, int] = (1, 1)
) -> bytes:
    """Return a GIF of *frames* frames, each of one or more pixels at the top left."""
    screen = b"GIF89a" + struct.pack("<HHBBB", *size, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    image = b"," + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x02\x44\x01\0"
    return screen + b"".join(blocks) + image * frames + b";"


def lzw_of_zeros(count: int) -> bytes:
    """Return *count* pixels of the first colour as a GIF has them, in as few codes as it takes."""
    codes, size, left = [(256, 9), (0, 9)], 9, count - 1
    following, length = 258, 2  # the next code is one pixel longer than the last
    while left > 0:
        if following == 4096:
            codes += [(256, 12), (0, 9)]
            size, following, length, left = 9, 258, 2, left - 1
            continue
        codes.append((following, size))
        left, length, following = left - length, length + 1, following + 1
        size = min(size + (following >= 1 << size), 12)
    codes.append((257, size))
    number = at = 0
    pieces = []
    for code, wide in codes:
        number |= code << at
        at += wide
        while at >= 8:
            pieces.append(number & 255)
            number, at = number >> 8, at - 8
    packed = bytes([*pieces, number])
    blocks = [packed[start : start + 255] for start in range(0, len(packed), 255)]
    return b"\x08" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def gif_frame(width: int, height: int) -> bytes:
    """Return a frame of the first colour."""
    place = struct.pack("<HHHHB", 0, 0, width, height, 0)
    return b"," + place + lzw_of_zeros(width * height)


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP"
    for kind, payload in chunks:
        body += kind + struct.pack("<I", len(payload)) + payload + bytes(len(payload) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def canvas(width: int, height: int, flags: int = 0) -> tuple[bytes, bytes]:
    """Return the header of an extended WEBP."""
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"VP8X", bytes([flags, 0, 0, 0]) + sides


def field(tag: int, kind: int, count: int, value: int | bytes) -> bytes:
    """Return one entry of a TIFF directory, little-endian."""
    told = value if isinstance(value, bytes) else struct.pack("<I", value)
    return struct.pack("<HHI", tag, kind, count) + told.ljust(4, b"\0")


def tiff(*fields: bytes, pixels: bytes = b"", following: int = 0, behind: bytes = b"") -> bytes:
    """Return a TIFF of one directory at 8; *behind* it come its values, then *pixels*."""
    directory = struct.pack("<H", len(fields)) + b"".join(sorted(fields, key=_tag_of))
    return b"II*\0\x08\0\0\0" + directory + struct.pack("<I", following) + behind + pixels


def _tag_of(field: bytes) -> int:
    return int.from_bytes(field[:2], "little")


def behind_directory(fields: int) -> int:
    """Return the offset of what comes behind a directory of so many *fields*."""
    return 8 + 2 + 12 * fields + 4


def box(kind: bytes, payload: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack(">I", len(payload) + 8 if length is None else length) + kind + payload


def rle_bitmap(width: int, height: int, runs: bytes) -> bytes:
    """Return a BMP in run lengths of 256 colours."""
    table = b"".join(bytes([level, 255 - level, level // 2, 0]) for level in range(256))
    start = 54 + len(table)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(runs), 2835, 2835, 256, 256)
    file = b"BM" + struct.pack("<IHHI", start + len(runs), 0, 0, start)
    return file + info + table + runs


def icon(*entries: tuple[int, int], pictures: bytes = b"", count: int | None = None) -> bytes:
    """Return an ICO of 16x16 entries, each (length, offset)."""
    told = len(entries) if count is None else count
    table = b"".join(
        struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, length, start) for length, start in entries
    )
    return struct.pack("<HHH", 0, 1, told) + table + pictures


def bitmap(width: int, height: int, bits: int = 24, pixels: bytes = b"", way: int = 0) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, way, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(pixels), 0, 0, 54) + info + pixels
