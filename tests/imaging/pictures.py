"""Pictures that betray what was done to them: noisy, and no side like another.

All of them are made here, from seeded noise; nothing is read from files.
"""

from __future__ import annotations

import random
import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image, ImageChops, ImageStat

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def noisy(size: tuple[int, int] = (96, 64), mode: str = "RGB", seed: int = 1) -> Image.Image:
    """Return coarse and fine noise with one bright corner."""
    draw = random.Random(seed)
    width, height = size
    coarse = Image.frombytes("RGB", (6, 4), draw.randbytes(72)).resize(size)
    fine = Image.frombytes("L", size, draw.randbytes(width * height)).convert("RGB")
    image = Image.blend(coarse, fine, 0.12)
    image.paste((250, 240, 30), (0, 0, max(width // 4, 1), max(height // 4, 1)))
    return image.convert(mode)


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """Return *image* as bytes; JPEG not at Pillow's default quality."""
    if kind in {"JPEG", "MPO"} and "qtables" not in options:
        options.setdefault("quality", 88)
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decoded(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


def difference(one: Image.Image, other: Image.Image) -> float:
    """Return the mean absolute difference of two images of one size, 0-255."""
    assert one.size == other.size
    apart = ImageChops.difference(one.convert("RGB"), other.convert("RGB"))
    return sum(ImageStat.Stat(apart).mean) / 3


def about(pixel: Any, expected: tuple[int, int, int], within: int = 6) -> bool:
    return all(abs(a - b) <= within for a, b in zip(pixel, expected, strict=True))


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def png(
    size: tuple[int, int], depth: int, colour: int, rows: list[bytes], *chunks: tuple[bytes, bytes]
) -> bytes:
    """Return a PNG written by hand, for depths that Pillow does not write."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(*each) for each in ((b"IHDR", header), *chunks, (b"IDAT", pixels), (b"IEND", b""))
    )


def alpha_bmp(size: tuple[int, int] = (40, 24), profile: bytes = b"") -> bytes:
    """Return a BMP of version 5 with alpha, which Pillow reads but does not write."""
    image = noisy(size, "RGBA")
    image.putalpha(noisy(size, "L", seed=2))
    pixels = image.tobytes("raw", "BGRA")
    length, space = 138 + len(pixels), b"DEBM" if profile else b"BGRs"
    head = struct.pack("<IiiHHII16x", 124, *size, 1, 32, 3, len(pixels))
    head += struct.pack("<4I4s48x", 0xFF0000, 0xFF00, 0xFF, 0xFF000000, space)
    head += struct.pack("<4xIII", *((length - 14, len(profile)) if profile else (0, 0)), 0)
    file = struct.pack("<III", length + len(profile), 0, 138)
    return b"BM" + file + head + pixels + profile


def _profile(space: bytes, connection: bytes, device: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Return an ICC profile, version 2.4 (ICC.1:2001-04, section 6)."""
    start = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += name + struct.pack(">II", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    white = struct.pack(">3i", 63190, 65536, 54061)  # D50
    header = struct.pack(
        ">I4sI4s4s4s", start + len(body), b"\0" * 4, 0x02400000, device, space, connection
    )
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp"
    return header.ljust(68, b"\0") + white.ljust(60, b"\0") + table + body


def _xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


# sRGB's primaries, adapted to D50 (IEC 61966-2-1).
_PRIMARIES = {
    "r": (0.4361, 0.2225, 0.0139),
    "g": (0.3851, 0.7169, 0.0971),
    "b": (0.1431, 0.0606, 0.7141),
}


def rgb_profile(order: str = "gbr", gamma: float = 2.2) -> bytes:
    """Return a profile whose R, G and B shine in the colours that *order* names.

    With ``gbr`` a red pixel is to be shown green, a green one blue, a blue one red.
    """
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    tags = {
        f"{own}XYZ".encode(): _xyz(*_PRIMARIES[shown])
        for own, shown in zip("rgb", order, strict=True)
    }
    tags |= {f"{own}TRC".encode(): curve for own in "rgb"}
    return _profile(b"RGB ", b"XYZ ", b"mntr", tags | {b"wtpt": _xyz(0.9642, 1, 0.8249)})


def grey_profile(gamma: float = 1.0) -> bytes:
    """Return a small ICC profile of grey alone."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    tags = {b"wtpt": _xyz(0.9642, 1.0, 0.8249), b"kTRC": curve}
    return _profile(b"GRAY", b"XYZ ", b"mntr", tags)


def cmyk_profile() -> bytes:
    """Return a profile of a strange press: C prints red, M green, Y blue, K black.

    One ``A2B0`` of type lut8 with two grid points for each ink; two inks and more are
    black. The paper is yellowish, which only an absolute rendering would show.
    """
    # CIE Lab, in lut8's encoding
    inks = {8: (115, 183, 163), 4: (140, 83, 168), 2: (89, 138, 83), 0: (255, 128, 128)}
    cells = b"".join(bytes(inks.get(cell, (0, 128, 128))) for cell in range(16))
    ramp = bytes(range(256))
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    lut = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + matrix + ramp * 4 + cells + ramp * 3
    tags = {b"A2B0": lut, b"wtpt": _xyz(0.80, 0.85, 0.55)}
    return _profile(b"CMYK", b"Lab ", b"prtr", tags)
