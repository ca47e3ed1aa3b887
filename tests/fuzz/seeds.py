"""What fuzzing starts from: small pictures of every format and kind, and hostile files."""

from __future__ import annotations

from functools import cache

from PIL import Image

from tests.hostile_files import files
from tests.hostile_files.making import picture, png, written

SIZE = (33, 22)
#: Larger seeds would spend the time on copies.
MOST_BYTES = 20_000


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x8298], exif[0x010F] = 6, "somebody", "maker"
    exif.get_ifd(0x8825)[1] = "N"
    return exif.tobytes()


def _xmp() -> bytes:
    return (
        b'<x:xmpmeta><rdf:RDF xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/"><rdf:Description '
        b'plus:DataMining="http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED"/></rdf:RDF></x:xmpmeta>'
    )


@cache
def made() -> tuple[bytes, ...]:
    """Return good files, several of each format."""
    rgb, grey, clear = picture(SIZE), picture(SIZE, "L"), picture(SIZE, "RGBA")
    flat = picture(SIZE, "P")
    frames = {"save_all": True, "append_images": [picture(SIZE, "RGBA", seed) for seed in (8, 9)]}
    told = {"exif": _exif(), "xmp": _xmp(), "icc_profile": b"x" * 200}
    return (
        written(rgb, "JPEG", quality=88, **told),
        written(rgb, "JPEG", progressive=True, restart_marker_rows=1),
        written(grey, "JPEG"),
        written(picture(SIZE, "CMYK"), "JPEG"),
        written(rgb, "MPO", save_all=True, append_images=[rgb]),
        written(clear, "PNG", exif=_exif()),
        written(flat, "PNG", transparency=3),
        written(clear, "PNG", **frames),
        png(),
        written(flat, "GIF", comment=b"x"),
        written(clear, "GIF", **frames),
        written(rgb, "WEBP", **told),
        written(clear, "WEBP", lossless=True),
        written(clear, "WEBP", **frames),
        written(clear, "AVIF", **told),
        written(clear, "AVIF", **frames),
        written(rgb, "BMP"),
        written(flat, "BMP"),
        written(rgb, "TIFF", compression="tiff_lzw"),
        written(grey, "TIFF", compression="jpeg"),
        written(rgb, "TIFF", save_all=True, append_images=[grey]),
        written(clear, "ICO", sizes=[(16, 16), (32, 32)]),
        written(clear, "ICO", sizes=[(16, 16)], bitmap_format="bmp"),
        written(rgb, "PPM"),
        b"P3\n3 2\n255\n" + b"1 2 3 " * 6,
    )


@cache
def hostile() -> tuple[bytes, ...]:
    """Return those hostile files that are small."""
    found = (file.make() for file in files.FILES.values())
    return tuple(data for data in found if 0 < len(data) <= MOST_BYTES)
