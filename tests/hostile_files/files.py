"""Hostile files, each made by a function of its own, with how it is to end.

Nothing here is kept in the repository: ``FILES`` makes them when they are needed.

A file that ends as ``stored`` is one that viewers show: what is wrong with it has to cost
nothing, and what is hidden in it (``MARK``) has to go where metadata is stripped.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL import Image

from tests.hostile_files import making_avif as avif
from tests.hostile_files.making import (
    END,
    PNG,
    START,
    behind_directory,
    behind_start,
    bitmap,
    box,
    canvas,
    chunk,
    field,
    gif,
    gif_frame,
    header,
    icon,
    jpeg,
    of_size,
    picture,
    png,
    riff,
    rle_bitmap,
    scan_of,
    segment,
    tiff,
    written,
    zeros,
)

#: What polyglots carry, and what no stripped image may have.
MARK = b"<script>alert(document.domain)</script>"

#: Megabytes that rendering a file may take, beside the file itself, unless it says otherwise.
#: What decodes to a picture of the allowed size may take that picture.
MOST_MEGABYTES = 30


@dataclass(frozen=True)
class Hostile:
    """One hostile file.

    Attributes:
        make: returns its bytes.
        outcome: how it ends in a crawl with thumbnails.
        truncated: how it ends where what was cut off is kept.
        stripped: how it ends where it is kept as it came, without metadata.
        moving: how it ends where a rendition may move.
        megabytes: the most that rendering may take.
    """

    make: Callable[[], bytes]
    outcome: str
    truncated: str
    stripped: str
    moving: str
    megabytes: int


FILES: dict[str, Hostile] = {}


def ends(
    outcome: str,
    truncated: str = "",
    stripped: str = "",
    moving: str = "",
    megabytes: int = MOST_MEGABYTES,
) -> Any:
    """Add a function to FILES, under its name."""

    def added(make: Callable[[], bytes]) -> Callable[[], bytes]:
        name = make.__name__.replace("_", "-")
        others = (each or outcome for each in (truncated, stripped, moving))
        FILES[name] = Hostile(make, outcome, *others, megabytes)
        return make

    return added


def add(name: str, outcome: str, make: Callable[[], bytes], truncated: str = "") -> None:
    """Add what *make* returns to FILES."""
    FILES[name] = Hostile(make, outcome, truncated or outcome, outcome, outcome, MOST_MEGABYTES)


# --- bombs: few bytes, many pixels ---


@ends("too-many-pixels")
def png_of_13000() -> bytes:
    pixels = zeros(13_000 * (13_000 // 8 + 1))
    return PNG + header(13_000, 13_000, 1) + chunk(b"IDAT", pixels) + chunk(b"IEND")


@ends("too-many-pixels")
def png_of_60000() -> bytes:
    return PNG + header(60_000, 60_000, 8, 6) + chunk(b"IDAT", zeros(1 << 20)) + chunk(b"IEND")


@ends("too-many-pixels")
def png_of_2_to_the_31() -> bytes:
    return PNG + header(2**31 - 1, 2**31 - 1, 16, 6) + chunk(b"IDAT", zeros(99)) + chunk(b"IEND")


@ends("too-many-pixels")
def gif_of_a_huge_screen() -> bytes:
    return gif(size=(65_535, 65_535))


@ends("too-many-pixels")
def gif_of_a_huge_frame_on_a_small_screen() -> bytes:
    return gif(size=(1, 1), frame=(65_535, 65_535))


def _gif_of_large_frames(side: int, *blocks: bytes, count: int = 1) -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", 10, 10, 0xF7, 0, 0) + bytes(768)
    frames = gif_frame(10, 10) + b"".join(blocks) + gif_frame(side, side) * count
    return screen + b"!\xff\x0bNETSCAPE2.0\3\1\0\0\0" + frames + b";"


@ends("stored")
def gif_whose_second_frame_has_81_million_pixels() -> bytes:
    return _gif_of_large_frames(9_000)


@ends("stored")
def gif_whose_next_frames_have_169_million_pixels() -> bytes:
    return _gif_of_large_frames(13_000, count=3)


@ends("stored", stripped="broken")  # to others it is no GIF from there on
def gif_of_a_large_frame_behind_an_empty_extension() -> bytes:
    # To Pillow, the next block of that extension is what looks like a frame here.
    return _gif_of_large_frames(13_000, b"!\xf9\0\x0a,\0\0\0\0\1\0\1\0\0\0")


@ends("stored")
def gif_whose_second_frame_is_huge() -> bytes:
    large = b"," + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0) + b"\x02\x02\x44\x01\0"
    return gif()[:-1] + large + b";"


@ends("too-many-pixels")
def webp_of_a_huge_canvas() -> bytes:
    return riff(canvas(1 << 14, 1 << 14), (b"VP8L", written(picture(), "WEBP", lossless=True)[20:]))


@ends("too-many-pixels")
def webp_that_moves_on_a_huge_canvas() -> bytes:
    frame = bytes(12) + b"\1\0\0\0" + written(picture((1, 1)), "WEBP", lossless=True)[12:]
    return riff(canvas(10_000, 10_000, 0x02), (b"ANIM", bytes(6)), *[(b"ANMF", frame)] * 2)


@ends("too-many-pixels")
def webp_lossless_of_16384() -> bytes:
    sides = (16_383 | 16_383 << 14).to_bytes(4, "little")
    return riff((b"VP8L", b"\x2f" + sides + bytes(64)))


@ends("too-many-pixels")
def webp_lossy_of_16383() -> bytes:
    body = written(picture(), "WEBP")[20:]
    return riff((b"VP8 ", body[:6] + struct.pack("<HH", 16_383, 16_383) + body[10:]))


def _avif(size: tuple[int, int] | None = None) -> bytes:
    data = written(picture((64, 48)), "AVIF")
    if size is None:
        return data
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", *size) + data[at + 8 :]


@ends("too-many-pixels")
def avif_that_says_60000() -> bytes:
    return _avif((60_000, 60_000))


@ends("broken")  # whoever lies about its size wants more to be decoded than is looked at
def avif_that_says_less_than_it_is() -> bytes:
    return _avif((16, 16))


@ends("too-many-pixels")
def avif_whose_stream_has_256_times_its_pixels() -> bytes:
    return avif.one(avif.still((16_000, 16_000)), (1_000, 1_000))


@ends("too-many-pixels")
def avif_whose_frame_is_larger_than_its_sequence() -> bytes:
    return avif.one(avif.moving((64, 48), avif.frame((16_000, 16_000))), (64, 48))


@ends("too-many-pixels")
def avif_whose_second_sequence_is_large() -> bytes:
    hidden = avif.moving((64, 48), avif.frame(shown=False))
    return avif.one(hidden + avif.still((16_000, 16_000)), (64, 48))


@ends("too-many-pixels")
def avif_of_256_tiles_at_one_place() -> bytes:
    return avif.tiles(16, avif.still((1_000, 1_000)), (1_000, 1_000), (64, 64))


@ends("broken")
def avif_whose_tiles_say_less_than_they_are() -> bytes:
    return avif.tiles(2, avif.still((1_000, 1_000)), (64, 64), (128, 128))


@ends("too-many-pixels")
def avif_whose_alpha_is_larger() -> bytes:
    small, large = avif.still((64, 48)), avif.still((16_000, 16_000))
    items = [(b"av01", small, [1, 2, 3]), (b"av01", large, [1, 2, 3, 4])]
    properties = [avif.ispe((64, 48)), avif.PIXI, avif.AV1C, avif.ALPHA]
    return avif.avif(items, properties, [(b"auxl", 2, [1])])


@ends("too-many-pixels")
def avif_of_tiles_whose_alpha_is_larger() -> bytes:
    small, large = avif.still((64, 48)), avif.still((10_000, 9_000))
    items = [(b"grid", avif.grid(1, 2, (128, 48)), [5, 2])]
    items += [(b"av01", small, [1, 2, 3])] * 2 + [(b"av01", large, [1, 2, 3, 4])] * 2
    properties = [avif.ispe((64, 48)), avif.PIXI, avif.AV1C, avif.ALPHA, avif.ispe((128, 48))]
    references = [(b"dimg", 1, [2, 3]), (b"auxl", 4, [2]), (b"auxl", 5, [3])]
    return avif.avif(items, properties, references)


@ends("too-many-pixels")
def avif_of_a_large_sample() -> bytes:
    first, second = avif.moving((64, 48), avif.frame()), avif.frame((16_000, 16_000))
    return avif.film((64, 48), first, second)


@ends("too-many-pixels")
def avif_of_200_frames_that_are_not_shown() -> bytes:
    frames = [avif.frame(shown=False)] * 200
    return avif.one(avif.moving((9_000, 9_000), *frames), (9_000, 9_000))


@ends("broken")
def avif_of_a_million_units() -> bytes:
    return avif.one(avif.unit(2) * 1_100_000, (64, 48))


@ends("broken")
def avif_whose_grid_is_made_of_itself() -> bytes:
    items = [(b"grid", avif.grid(1, 2, (64, 48)), [1])] * 2
    return avif.avif(items, [avif.ispe((64, 48))], [(b"dimg", 1, [2, 1]), (b"dimg", 2, [1, 2])])


def _strip_of(width: int, height: int, *more: bytes, pixels: bytes = b"", rows: int = 0) -> bytes:
    """Return a grey TIFF of one strip."""
    fields = [
        field(256, 4, 1, width),
        field(257, 4, 1, height),
        field(258, 3, 1, 8),
        field(262, 3, 1, 1),
        field(278, 4, 1, rows or height),
        field(279, 4, 1, len(pixels)),
        *more,
    ]
    return tiff(*fields, field(273, 4, 1, behind_directory(len(fields) + 1)), pixels=pixels)


@ends("too-many-pixels")
def tiff_of_60000() -> bytes:
    return _strip_of(60_000, 60_000, pixels=bytes(999))


@ends("too-many-pixels")
def tiff_of_60000_deflated() -> bytes:
    return _strip_of(60_000, 60_000, field(259, 3, 1, 8), pixels=zeros(1 << 20))


@ends("too-many-pixels")
def bmp_of_60000() -> bytes:
    return bitmap(60_000, 60_000, pixels=bytes(999))


@ends("too-many-pixels")
def bmp_of_60000_upside_down() -> bytes:
    return bitmap(60_000, -60_000, pixels=bytes(999))


@ends("too-many-pixels")
def bmp_of_a_negative_width() -> bytes:
    return bitmap(-50, 50, pixels=bytes(50 * 50 * 3))


@ends("too-many-pixels")
def ppm_of_99999() -> bytes:
    return b"P6\n99999 99999\n255\n" + bytes(999)


@ends("too-many-pixels")
def icon_with_a_bomb() -> bytes:
    bomb = png_of_13000()
    return icon((len(bomb), 22), pictures=bomb)


@ends("too-many-pixels")
def icon_with_a_huge_bitmap() -> bytes:
    dib = bitmap(20_000, 40_000, 32)[14:]
    return icon((len(dib), 22), pictures=dib)


@ends("too-many-pixels")
def icon_larger_than_any() -> bytes:
    large = PNG + header(9_000, 9_000) + chunk(b"IDAT", zeros(81_009_000)) + chunk(b"IEND")
    return icon((len(large), 22), pictures=large)


@ends("too-many-pixels")
def jpeg_of_65500() -> bytes:
    return of_size(jpeg(), 65_500, 65_500)


@ends("too-many-pixels")
def jpeg_of_65500_cut_off() -> bytes:
    return of_size(jpeg(), 65_500, 65_500)[:700]


@ends("too-many-pixels")
def jpeg_of_65500_grey() -> bytes:
    return of_size(written(picture(mode="L"), "JPEG"), 65_500, 65_500)


@ends("too-many-pixels")
def jpeg_of_65500_progressive() -> bytes:
    return of_size(jpeg(progressive=True), 65_500, 65_500)


def _in_one_scan_each() -> bytes:
    """Return a baseline JPEG each of whose scans has one component, with no data."""
    head, _ = scan_of(jpeg())
    scans = b"".join(
        segment(0xDA, bytes([1, number, 0x00 if number == 1 else 0x11, 0, 63, 0])) + bytes(9)
        for number in (1, 2, 3)
    )
    return head + scans + END


@ends("too-many-pixels")
def jpeg_of_65500_in_one_scan_for_each_component() -> bytes:
    return of_size(_in_one_scan_each(), 65_500, 65_500)


def _scans(size: tuple[int, int], count: int) -> bytes:
    """Return a progressive grey JPEG whose last scans say nothing, *count* of them."""
    data = written(picture((64, 64), "L"), "JPEG", progressive=True)
    head, rest = scan_of(of_size(data, *size))
    # A table by which 15 NUL bits say that there is nothing in 16384 blocks.
    table = segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\xe0")
    blocks = size[0] * size[1] // 64
    empty = segment(0xDA, bytes([1, 1, 0, 1, 63, 0])) + bytes(blocks // 16_384 * 15 // 8 + 2)
    return head + rest[:-2] + table + empty * count + END


@ends("too-many-pixels")
def jpeg_of_5000_scans() -> bytes:
    return _scans((8_000, 8_000), 5_000)


@ends("stored")
def jpeg_of_500_scans_that_is_small() -> bytes:
    return _scans((64, 64), 500)


@ends("too-many-pixels")
def tiff_with_a_jpeg_of_65500() -> bytes:
    return _strip_of(60_000, 60_000, field(259, 3, 1, 7), pixels=of_size(jpeg(), 65_500, 65_500))


@ends("broken")
def tiff_with_a_larger_jpeg_inside() -> bytes:
    inside = of_size(written(picture(mode="L"), "JPEG"), 65_000, 65_000)
    return _strip_of(64, 64, field(259, 3, 1, 7), pixels=inside)


# --- polyglots ---


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("page.html"), MARK)
    return file.getvalue()


@ends("stored")
def jpeg_and_zip() -> bytes:
    return jpeg() + _zip()


@ends("stored")
def jpeg_with_a_pdf_in_a_comment() -> bytes:
    pdf = b"%PDF-1.4\n1 0 obj<</S/JavaScript/JS(" + MARK + b")>>endobj\ntrailer<</Root 1 0 R>>"
    return behind_start(jpeg(), segment(0xFE, pdf))


@ends("stored")
def jpeg_with_html_in_its_exif() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = MARK.decode()
    return jpeg(exif=exif.tobytes())


@ends("stored")
def jpeg_with_html_between_the_marks() -> bytes:
    head, rest = scan_of(jpeg())
    return head + segment(0xEF, MARK) + rest


@ends("stored")
def gif_and_script() -> bytes:
    # Width and height are "/*" and 1; the rest of the picture is a comment in JavaScript.
    data = gif(size=(0x2A2F, 1))
    return data + b"*/=1;" + MARK


@ends("stored")
def png_and_html() -> bytes:
    return png() + b"<!doctype html>" + MARK


@ends("stored")
def png_with_html_in_a_text() -> bytes:
    return png(chunk(b"tEXt", b"Comment\0" + MARK))


@ends("stored")
def webp_and_html() -> bytes:
    return written(picture(), "WEBP") + MARK


@ends("stored")
def webp_with_html_in_a_chunk() -> bytes:
    still = written(picture(), "WEBP", lossless=True)
    return riff(canvas(120, 80), (b"VP8L", still[20:]), (b"HTML", MARK))


@ends("stored")
def bmp_and_html() -> bytes:
    return written(picture(), "BMP") + MARK


@ends("not-an-image")
def html_and_jpeg() -> bytes:
    return b"<!doctype html>" + MARK + jpeg()


@ends("not-an-image")
def zip_and_jpeg() -> bytes:
    return _zip() + jpeg()


# --- cut off ---

_WHOLE: dict[str, Callable[[], bytes]] = {
    "jpeg": jpeg,
    "progressive": lambda: jpeg(progressive=True),
    "png": lambda: written(picture(), "PNG"),
    "gif": lambda: written(picture(mode="P"), "GIF"),
    "webp": lambda: written(picture(), "WEBP"),
    "avif": lambda: written(picture(), "AVIF"),
    "bmp": lambda: written(picture(), "BMP"),
    "tiff": lambda: written(picture(), "TIFF"),
    "icon": lambda: written(picture((48, 48), "RGBA"), "ICO", sizes=[(48, 48)]),
    "ppm": lambda: written(picture(), "PPM"),
}
_SHOWN = frozenset({"jpeg", "progressive", "png", "gif", "bmp", "tiff"})  # as far as they go
for _name, _make in _WHOLE.items():
    for _share in (25, 60, 95):

        def _cut(make: Callable[[], bytes] = _make, share: int = _share) -> bytes:
            data = make()
            return data[: len(data) * share // 100]

        add(f"{_name}-cut-at-{_share}", "broken", _cut, "stored" if _name in _SHOWN else "broken")
    add(f"{_name}-cut-behind-20", "broken", lambda make=_make: make()[:20])


# --- wrong sizes, wrong checksums ---


@ends("stored")
def png_that_says_more_rows() -> bytes:
    return PNG + header(40, 3_000) + png()[33:]


@ends("stored")
def png_that_says_fewer_rows() -> bytes:
    return PNG + header(40, 3) + png()[33:]


@ends("broken")
def png_without_a_size() -> bytes:
    return PNG + header(0, 0) + png()[33:]


@ends("too-many-pixels")
def png_with_a_negative_size() -> bytes:
    return PNG + header(2**32 - 40, 30) + png()[33:]


@ends("stored")
def jpeg_that_says_more_rows() -> bytes:
    return of_size(jpeg(), 120, 1_000)


@ends("stored")
def jpeg_that_says_fewer_rows() -> bytes:
    return of_size(jpeg(), 120, 16)


@ends("broken")
def jpeg_without_a_size() -> bytes:
    return of_size(jpeg(), 0, 0)


@ends("broken")
def gif_without_a_size() -> bytes:
    return gif(size=(0, 0), frame=(0, 0))


@ends("broken")
def webp_whose_canvas_is_another() -> bytes:
    still = written(picture(), "WEBP", lossless=True)
    return riff(canvas(60, 40), (b"VP8L", still[20:]))


@ends("broken")
def webp_that_says_4_gb() -> bytes:
    data = written(picture(), "WEBP")
    return data[:4] + b"\xff\xff\xff\xff" + data[8:]


@ends("broken")
def png_with_a_chunk_of_2_gb() -> bytes:
    return PNG + header(40, 30) + b"\x7f\xff\xff\xffIDAT" + bytes(99)


@ends("broken")
def png_with_a_wrong_checksum_of_its_header() -> bytes:
    data = png()
    return data[:29] + bytes(4) + data[33:]


@ends("broken", "stored")
def png_with_a_wrong_checksum_of_its_pixels() -> bytes:
    data = bytearray(png())
    data[data.index(b"IDAT") + 8] ^= 1
    return bytes(data)


@ends("broken")
def png_with_a_wrong_checksum_of_a_text() -> bytes:
    text = chunk(b"tEXt", b"Comment\0" + MARK)
    return png(text[:-4] + bytes(4))


@ends("broken", "stored")
def png_with_a_wrong_checksum_of_zlib() -> bytes:
    pixels = zlib.compress((b"\0" + bytes(range(40))) * 30)
    return png(pixels=pixels[:-4] + bytes(4))


# --- metadata: too much of it, and in circles ---

_EXIF = b"Exif\0\0"


@ends("stored", megabytes=90)
def jpeg_with_16_mb_of_exif() -> bytes:
    part = segment(0xE1, _EXIF + written(picture((200, 150)), "TIFF")[:60_000])
    return behind_start(jpeg(), part * 270)


@ends("stored")
def jpeg_with_1_mb_of_profile() -> bytes:
    parts = [
        segment(0xE2, b"ICC_PROFILE\0" + bytes([number, 20]) + b"mntrRGB " * 6_500)
        for number in range(1, 21)
    ]
    return behind_start(jpeg(), *parts)


@ends("stored")
def jpeg_whose_profile_has_no_end() -> bytes:
    part = segment(0xE2, b"ICC_PROFILE\0\xff\xff" + bytes(9))
    return behind_start(jpeg(), part * 255)


@ends("stored", megabytes=60)
def jpeg_with_5_mb_of_comments() -> bytes:
    return behind_start(jpeg(), segment(0xFE, b"/*" * 30_000) * 80)


@ends("stored")
def jpeg_with_a_photoshop_block_beyond_its_end() -> bytes:
    block = b"Photoshop 3.0\x008BIM\x04\x04\0\0\xff\xff\xff\xff"
    return behind_start(jpeg(), segment(0xED, block), segment(0xED, block[:-4] + bytes(999)))


@ends("stored")
def png_with_5000_texts() -> bytes:
    return png(*(chunk(b"tEXt", b"Comment %d\0" % number + b"x" * 99) for number in range(5_000)))


@ends("stored")
def webp_with_5_mb_of_xmp() -> bytes:
    still = written(picture(), "WEBP", lossless=True)
    packet = b"<x:xmpmeta>" + b"<a " * 1_700_000
    return riff(canvas(120, 80, 0x04), (b"VP8L", still[20:]), (b"XMP ", packet))


def _looped(tag: int) -> bytes:
    """Return EXIF whose field *tag*, and whose next directory, is the first directory again."""
    return tiff(field(0x0112, 3, 1, 6), field(tag, 4, 1, 8), following=8)


_LOOPS = {"exif": 0x8769, "gps": 0x8825, "interop": 0xA005, "subifd": 0x014A}
for _name, _tag in _LOOPS.items():
    add(
        f"jpeg-{_name}-in-a-loop",
        "stored",
        lambda tag=_tag: behind_start(jpeg(), segment(0xE1, _EXIF + _looped(tag))),
    )
    add(f"png-{_name}-in-a-loop", "stored", lambda tag=_tag: png(chunk(b"eXIf", _looped(tag))))


@ends("stored")
def webp_exif_in_a_loop() -> bytes:
    still = written(picture(), "WEBP", lossless=True)
    return riff(canvas(120, 80, 0x08), (b"VP8L", still[20:]), (b"EXIF", _looped(0x8769)))


@ends("stored")
def jpeg_exif_of_4_billion_values() -> bytes:
    fields = [
        field(tag, kind, 2**32 - 1, 8) for tag, kind in ((0x010F, 2), (0x0110, 5), (0x0112, 3))
    ]
    return behind_start(jpeg(), segment(0xE1, _EXIF + tiff(*fields)))


@ends("stored")
def jpeg_exif_of_5000_fields_that_share_60_kb() -> bytes:
    fields = [field(tag, 7, 60_000, 8) for tag in range(1, 5_000)]
    return behind_start(jpeg(), segment(0xE1, _EXIF + tiff(*fields)))


@ends("stored")
def jpeg_whose_pictures_are_outside() -> bytes:
    entries = struct.pack("<IIIHH", 0x030000, 99, 0, 0, 0) + struct.pack(
        "<IIIHH", 0, 2**32 - 1, 2**32 - 9, 0, 0
    )
    fields = [
        field(0xB000, 7, 4, b"0100"),
        field(0xB001, 4, 1, 2),
        field(0xB002, 7, 32, behind_directory(3)),
    ]
    return behind_start(jpeg(), segment(0xE2, b"MPF\0" + tiff(*fields, behind=entries)))


@ends("stored")
def jpeg_of_4_billion_pictures() -> bytes:
    fields = [
        field(0xB000, 7, 4, b"0100"),
        field(0xB001, 4, 1, 2**32 - 1),
        field(0xB002, 7, 2**32 - 16, 8),
    ]
    return behind_start(jpeg(), segment(0xE2, b"MPF\0" + tiff(*fields)))


# --- TIFF: everything is an offset ---


@ends("stored")
def tiff_whose_next_directory_is_itself() -> bytes:
    data = bytearray(_strip_of(40, 30, pixels=bytes(range(40)) * 30))
    count = int.from_bytes(data[8:10], "little")
    data[10 + 12 * count : 14 + 12 * count] = struct.pack("<I", 8)
    return bytes(data)


@ends("broken")
def tiff_of_4_billion_strips() -> bytes:
    fields = [
        field(256, 4, 1, 40),
        field(257, 4, 1, 30),
        field(258, 3, 1, 8),
        field(262, 3, 1, 1),
        field(273, 4, 2**32 - 1, 8),
        field(279, 4, 2**32 - 1, 8),
    ]
    return tiff(*fields, pixels=bytes(1_200))


@ends("stored")
def tiff_of_4_billion_bits() -> bytes:
    return _strip_of(40, 30, pixels=bytes(1_200)).replace(
        field(258, 3, 1, 8), field(258, 3, 2**32 - 1, 8)
    )


@ends("stored", megabytes=60)
def tiff_of_10000_strips_at_one_place() -> bytes:
    count, fields = 10_000, 7
    at = behind_directory(fields)
    pixels = at + 8 * count
    told = [
        field(256, 4, 1, 1_000),
        field(257, 4, 1, count),
        field(258, 3, 1, 8),
        field(262, 3, 1, 1),
        field(273, 4, count, at),
        field(278, 4, 1, 1),
        field(279, 4, count, at + 4 * count),
    ]
    places = struct.pack("<I", pixels) * count + struct.pack("<I", 1_000) * count
    return tiff(*told, behind=places, pixels=bytes(range(250)) * 4)


@ends("broken")
def tiff_of_60000_fields() -> bytes:
    return tiff(*(field(tag, 4, 1, tag) for tag in range(1_000, 61_000)))


@ends("broken")
def tiff_of_a_directory_beyond_its_end() -> bytes:
    return b"II*\0\xff\xff\xff\xff" + bytes(99)


def _in_tiles(width: int, height: int, tile: int, places: int = 1) -> bytes:
    """Return a grey TIFF, deflated, whose tiles are all at one place."""
    pixels = zeros(min(tile * tile, 1 << 20))
    at = behind_directory(9)
    told = [
        field(256, 4, 1, width),
        field(257, 4, 1, height),
        field(258, 3, 1, 8),
        field(259, 3, 1, 8),
        field(262, 3, 1, 1),
        field(322, 4, 1, tile),
        field(323, 4, 1, tile),
    ]
    if places == 1:
        told += [field(324, 4, 1, at), field(325, 4, 1, len(pixels))]
        return tiff(*told, pixels=pixels)
    told += [field(324, 4, places, at), field(325, 4, places, at + 4 * places)]
    start, length = struct.pack("<I", at + 8 * places), struct.pack("<I", len(pixels))
    return tiff(*told, behind=start * places + length * places, pixels=pixels)


@ends("too-many-pixels")
def tiff_of_16_x_16_in_one_tile_of_23000() -> bytes:
    return _in_tiles(16, 16, 23_008)


@ends("too-many-pixels")
def tiff_of_4300_tiles_at_one_place() -> bytes:
    return _in_tiles(4_300 * 23_008, 1, 23_008, 4_300)


@ends("stored")
def tiff_of_100_tiles_at_one_place() -> bytes:
    return _in_tiles(640, 640, 64, 100)


@ends("too-many-pixels")  # its tile alone has 4 billion billion
def tiff_of_a_huge_tile() -> bytes:
    fields = [
        field(256, 4, 1, 64),
        field(257, 4, 1, 64),
        field(258, 3, 1, 8),
        field(259, 3, 1, 8),
        field(262, 3, 1, 1),
        field(322, 4, 1, 2**31 - 16),
        field(323, 4, 1, 2**31 - 16),
        field(325, 4, 1, 99),
    ]
    return tiff(*fields, field(324, 4, 1, behind_directory(9)), pixels=zeros(1 << 16))


@ends("broken")
def tiff_of_65535_samples() -> bytes:
    return _strip_of(64, 64, field(277, 3, 1, 65_535), pixels=bytes(9_999))


@ends("broken")
def bigtiff_of_huge_counts() -> bytes:
    entry = struct.pack("<HHQQ", 273, 16, 2**63, 2**63)
    return b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**62) + entry * 9


# --- zip bombs in texts ---


@ends("broken")
def png_with_a_bomb_in_ztxt() -> bytes:
    return png(chunk(b"zTXt", b"Comment\0\0" + zeros(64_000_000)))


@ends("broken")
def png_with_a_bomb_in_its_profile() -> bytes:
    return png(chunk(b"iCCP", b"profile\0\0" + zeros(64_000_000)))


@ends("broken")
def png_with_a_bomb_in_itxt() -> bytes:
    return png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zeros(64_000_000)))


@ends("broken", megabytes=150)
def png_with_many_bombs_in_ztxt() -> bytes:
    bomb = chunk(b"zTXt", b"Comment\0\0" + zeros(1_000_000))
    return png(bomb * 100)


@ends("stored")
def png_with_a_bomb_of_pixels() -> bytes:
    return png(pixels=zeros(64_000_000))


# --- nothing, again and again ---


@ends("broken")
def jpeg_start_and_nuls() -> bytes:
    return b"\xff\xd8\xff" + bytes(20_000_000)


@ends("broken")
def jpeg_of_fill_bytes() -> bytes:
    return START + b"\xff" * 4_000_000


@ends("broken", "stored")
def jpeg_with_fill_bytes_before_its_end() -> bytes:
    return jpeg()[:-2] + b"\xff" * 4_000_000


@ends("broken")
def jpeg_of_empty_segments() -> bytes:
    return behind_start(jpeg(), b"\xff\xfe\0\2" * 300_000)


@ends("broken")
def jpeg_of_segments_of_length_0() -> bytes:
    return START + b"\xff\xfe\0\0" * 300_000


@ends("stored")
def jpeg_of_restarts() -> bytes:
    head, rest = scan_of(jpeg())
    return head + rest[:200] + b"\xff\xd0" * 500_000


@ends("broken")
def jpeg_of_starts() -> bytes:
    return START * 500_000


@ends("stored")
def jpeg_of_tables() -> bytes:
    head, rest = scan_of(jpeg())
    table = segment(0xDB, b"\0" + bytes(range(1, 65)))
    return START + table * 5_000 + head[2:] + rest


@ends("broken")
def png_of_empty_chunks() -> bytes:
    return png(chunk(b"abCd") * 300_000)


@ends("broken")
def png_of_empty_pixels() -> bytes:
    return PNG + header(40, 30) + chunk(b"IDAT") * 300_000 + chunk(b"IEND")


@ends("broken")
def png_of_empty_pixels_behind_a_few() -> bytes:
    pixels = chunk(b"IDAT", zlib.compress(bytes(41 * 30))[:9])
    return PNG + header(40, 30) + pixels + chunk(b"IDAT") * 300_000 + chunk(b"IEND")


@ends("broken")
def bmp_of_5_million_empty_rows() -> bytes:
    return rle_bitmap(9_999, 9_999, b"\0\0" * 5_000_000 + b"\0\1")


@ends("broken")
def ppm_of_9_million_samples_to_scale() -> bytes:
    return b"P5\n3000 3000\n254\n" + bytes(9_000_000)


@ends("broken")
def gif_of_empty_blocks() -> bytes:
    return gif(b"!\xfe\0" * 300_000)


@ends("broken")
def gif_of_nuls() -> bytes:
    return gif(bytes(2_000_000))


@ends("stored")
def webp_of_empty_chunks() -> bytes:
    still = written(picture(), "WEBP", lossless=True)
    empty = struct.pack("<4sI", b"none", 0) * 200_000
    body = b"WEBP" + canvas_chunk() + b"VP8L" + struct.pack("<I", len(still) - 20) + still[20:]
    return b"RIFF" + struct.pack("<I", len(body) + len(empty)) + body + empty


def canvas_chunk() -> bytes:
    return riff(canvas(120, 80))[12:]


@ends("not-an-image", megabytes=80)
def ppm_of_comments() -> bytes:
    return b"P6\n" + b"#\n" * 300_000 + b"9 9\n255\n" + bytes(243)


@ends("broken")
def ppm_in_letters() -> bytes:
    return b"P1\n6000 6000\n" + b"0 1 " * 2_000_000


@ends("broken")
def ppm_in_words() -> bytes:
    return b"P3\n2000 2000\n255\n" + b"0 9 " * 6_000_000


# --- animations ---


@ends("stored", stripped="broken")  # more pieces than are walked
def gif_of_100000_frames() -> bytes:
    return gif(frames=100_000)


@ends("stored", moving="broken")  # none of them is there
def png_of_4_billion_frames() -> bytes:
    return png(chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)))


@ends("broken")
def png_of_a_frame_beyond_its_picture() -> bytes:
    control = chunk(b"acTL", struct.pack(">II", 2, 0))
    place = struct.pack(">IIIIIHHBB", 0, 2**31 - 1, 2**31 - 1, 9, 9, 1, 1, 0, 0)
    return png(control, chunk(b"fcTL", place))


@ends("stored")
def webp_of_20000_frames() -> bytes:
    still = written(picture((1, 1)), "WEBP", lossless=True)[12:]
    frame = bytes(6) + bytes(6) + b"\1\0\0\0" + still
    packed = b"ANMF" + struct.pack("<I", len(frame)) + frame + bytes(len(frame) % 2)
    start = riff(canvas(8, 8, 0x02), (b"ANIM", bytes(6)))
    return (
        start[:4]
        + struct.pack("<I", len(start) - 8 + 20_000 * len(packed))
        + start[8:]
        + (packed * 20_000)
    )


# --- icons ---


@ends("broken")
def icon_beyond_its_end() -> bytes:
    return icon((2**31, 2**31), (99, 10**6))


@ends("not-an-image")
def icon_of_65535_entries() -> bytes:
    return icon(*[(99, 10**6)] * 65_535)


@ends("not-an-image")
def icon_of_257_entries_with_a_bomb() -> bytes:
    bomb = png_of_13000()
    return icon(*[(len(bomb), 6 + 16 * 257)] * 257, pictures=bomb)


@ends("too-many-pixels")
def icon_with_a_bomb_of_two_headers() -> bytes:
    bomb = png_of_13000().replace(PNG, PNG + header(16, 16, 1), 1)
    return icon((len(bomb), 22), pictures=bomb)


@ends("broken")
def icon_of_a_picture_of_5000_texts() -> bytes:
    texts = png(*[chunk(b"tEXt", b"Comment\0x")] * 5_000)
    return icon((len(texts), 22), pictures=texts)


@ends("not-an-image")
def icon_without_entries() -> bytes:
    return icon(count=0) + bytes(99)


@ends("broken")
def icon_of_its_own_table() -> bytes:
    return icon((22, 0))


# --- AVIF and HEIF: boxes within boxes ---

_BRAND = box(b"ftyp", b"avif\0\0\0\0avifmif1miaf")


@ends("broken")
def avif_of_boxes_of_length_0() -> bytes:
    return _BRAND + box(b"meta", bytes(4) + box(b"iprp", length=0) * 1_000)


@ends("broken")
def avif_of_a_box_of_2_to_the_63() -> bytes:
    return _BRAND + struct.pack(">I4sQ", 1, b"meta", 2**63 - 1) + bytes(999)


@ends("broken")
def avif_of_50000_nested_boxes() -> bytes:
    deep = b"".join(struct.pack(">I4s", 8 * left, b"iprp") for left in range(50_000, 0, -1))
    return _BRAND + box(b"meta", bytes(4) + deep)


@ends("broken")
def avif_of_300000_empty_boxes() -> bytes:
    return _BRAND + box(b"free") * 300_000


@ends("broken")
def avif_of_4_billion_items() -> bytes:
    places = box(b"iloc", b"\1\0\0\0\x44\0\xff\xff" + bytes(99))
    shared = box(b"ipma", bytes(4) + b"\xff\xff\xff\xff" + bytes(99))
    inside = places + box(b"iprp", box(b"ipco") + shared) + box(b"iinf", b"\1\0\0\0" + b"\xff" * 4)
    return _BRAND + box(b"meta", bytes(4) + inside)


@ends("format-not-allowed")
def heif() -> bytes:
    return box(b"ftyp", b"heic\0\0\0\0mif1heic") + box(b"meta", bytes(99), length=0)


# --- what starts programs, and what is no picture ---


@ends("format-not-allowed")
def postscript() -> bytes:
    return b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(id) run showpage\n"


@ends("format-not-allowed")
def postscript_in_a_dos_file() -> bytes:
    text = postscript()
    return b"\xc5\xd0\xd3\xc6" + struct.pack("<II", 30, len(text)) + bytes(18) + text


@ends("not-an-image")
def postscript_behind_a_line() -> bytes:
    return b"\n" + postscript()


@ends("format-not-allowed")
def windows_metafile() -> bytes:
    return b"\xd7\xcd\xc6\x9a\0\0" + bytes(99)


@ends("not-an-image")
def svg() -> bytes:
    return b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'>" + MARK + b"</svg>"


@ends("not-an-image")
def xml_of_a_billion_laughs() -> bytes:
    return b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>'


@ends("not-an-image")
def html() -> bytes:
    return b"<!doctype html><title>Log in</title>" + MARK


@ends("not-an-image")
def json() -> bytes:
    return b'{"image": "' + b"x" * 100_000 + b'"}'


@ends("not-an-image")
def xpm() -> bytes:
    return b'/* XPM */\nstatic char *x[] = {"99999 99999 2 1", "a c #fff"};'


@ends("not-an-image")
def targa() -> bytes:
    return b"\0\0\2" + bytes(9) + struct.pack("<HHBB", 65_535, 65_535, 32, 0) + bytes(99)


@ends("not-an-image")
def empty() -> bytes:
    return b""


@ends("not-an-image")
def one_byte() -> bytes:
    return b"\xff"


@ends("not-an-image")
def nuls() -> bytes:
    return bytes(1_000_000)
