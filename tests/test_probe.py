"""What headers say: the same as Pillow says, from few bytes, and no error on any bytes."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from io import BytesIO
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from scrapy_imgpipe.probe import Probe, Prober, probe
from tests.imaging.pictures import png, rgb_profile
from tests.pictures import encoded, noise

SIZE = (61, 47)
PROFILE = rgb_profile()


def made(kind: str, mode: str = "RGB", **options: object) -> bytes:
    return encoded(noise(SIZE, mode), kind, **options)


def several(kind: str, mode: str = "RGB", frames: int = 3, **options: object) -> bytes:
    others = [noise(SIZE, mode) for _ in range(frames - 1)]
    return made(kind, mode, save_all=True, append_images=others, **options)


def exif(orientation: int, order: str = "<") -> Image.Exif:
    tags = Image.Exif()
    tags.endian = order
    tags[271] = "a maker"
    tags[274] = orientation
    return tags


def prober(*chunks: bytes) -> Prober:
    fed = Prober()
    for chunk in chunks:
        fed.feed(chunk)
    return fed


def fed_in_pieces(data: bytes, length: int) -> Prober:
    return prober(*(data[at : at + length] for at in range(0, len(data), length)))


def bytes_needed(data: bytes) -> int:
    """Return how many bytes it takes until the size is known."""
    fed = Prober()
    for count in range(1, len(data) + 1):
        fed.feed(data[count - 1 : count])
        if fed.size is not None:
            return count
    raise AssertionError


def boxed(kind: bytes, *bodies: bytes) -> bytes:
    body = b"".join(bodies)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def interlaced(data: bytes) -> bytes:
    header = data[12:28] + b"\1"
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


def grid(mode: str = "L") -> Image.Image:
    """Return what stays as it is in a palette: few colours, grey or not."""
    image = Image.new(mode, SIZE, 255 if mode in {"L", "1"} else (10, 200, 30))
    ImageDraw.Draw(image).line((0, 0, *SIZE), fill=0)
    return image


def bmp(bits: int, compression: int, *masks: int, header: int = 124) -> bytes:
    """Return the header of a BMP that Pillow reads, but does not write."""
    sides = struct.pack("<IiiHHIIiiII", header, 61, -47, 1, bits, compression, 0, 0, 0, 0, 0)
    body = (sides + struct.pack(f"<{len(masks)}I", *masks)).ljust(header, b"\0")
    pixels = bytes(61 * 47 * 4)
    return (
        b"BM" + struct.pack("<IHHI", 14 + header + len(pixels), 0, 0, 14 + header) + body + pixels
    )


def core_bmp() -> bytes:
    """Return a BMP of OS/2: sides of 16 bits, colours of three bytes."""
    table = bytes(level for level in range(256) for _ in range(3))
    start = 14 + 12 + len(table)
    header = struct.pack("<IHHHH", 12, 61, 47, 1, 8)
    return b"BM" + struct.pack("<IHHI", start, 0, 0, start) + header + table + bytes(64 * 47)


def plain_tiff(order: str, *, last: bool, tags: dict[int, int]) -> bytes:
    """Return a grey TIFF whose directory stands behind the pixels, or before them."""
    pixels = bytes(61 * 47)
    length = 2 + 12 * (len(tags) + 7) + 4
    pixels_at, directory_at = (8, 8 + len(pixels)) if last else (8 + length, 8)
    every = {256: 61, 257: 47, 258: 8, 259: 1, 262: 1, 273: pixels_at, 279: len(pixels), **tags}
    directory = struct.pack(f"{order}H", len(every))
    for tag, number in sorted(every.items()):
        directory += struct.pack(f"{order}HHII", tag, 4, 1, number)
    directory += bytes(4)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", directory_at)
    return head + (pixels + directory if last else directory + pixels)


FILES = {
    "jpeg": made("JPEG"),
    "jpeg-progressive": made("JPEG", progressive=True),
    "jpeg-grey": made("JPEG", "L"),
    "jpeg-cmyk": made("JPEG", "CMYK"),
    "jpeg-exif-profile": made("JPEG", exif=exif(6), icc_profile=PROFILE),
    "jpeg-large-profile": made("JPEG", icc_profile=PROFILE + bytes(150_000)),
    "jpeg-comment": made("JPEG", comment=b"\xff\xd9 no end"),
    "mpo": several("MPO"),
    **{f"png-{mode}": made("PNG", mode) for mode in ("1", "L", "LA", "RGB", "RGBA", "P", "I;16")},
    "png-exif-profile": made("PNG", exif=exif(8, ">"), icc_profile=PROFILE),
    "png-interlaced": interlaced(png((1, 1), 8, 2, [b"abc"])),
    "png-16-la": png((1, 1), 16, 4, [b"abcd"]),
    "png-2-grey": png((1, 1), 2, 0, [b"a"]),
    "png-16-rgb": png((1, 1), 16, 2, [b"abcdef"]),
    "apng": several("PNG"),
    "apng-default": several("PNG", default_image=True),
    "gif": made("GIF"),
    "gif-grey": encoded(noise(SIZE, "L"), "GIF"),
    "gif-colours": encoded(grid("RGB"), "GIF"),
    "gif-several": several("GIF", loop=0),
    "gif-comment": made("GIF", comment=b"x" * 700),
    **{f"bmp-{mode}": made("BMP", mode) for mode in ("1", "L", "P", "RGB", "RGBA")},
    "bmp-16": bmp(16, 3, 0xF800, 0x7E0, 0x1F),
    "bmp-alpha": bmp(32, 3, 0xFF0000, 0xFF00, 0xFF, 0xFF000000),
    "bmp-no-alpha": bmp(32, 3, 0xFF0000, 0xFF00, 0xFF, 0),
    "bmp-core": core_bmp(),
    **{
        f"tiff-{mode}": made("TIFF", mode)
        for mode in ("1", "L", "LA", "RGB", "RGBA", "CMYK", "P", "I;16", "I", "F", "YCbCr", "LAB")
    },
    "tiff-jpeg": made("TIFF", compression="jpeg"),
    "tiff-lzw": made("TIFF", compression="tiff_lzw"),
    "tiff-YCbCr-lzw": made("TIFF", "YCbCr", compression="tiff_lzw"),
    "tiff-large": several("TIFF", big_tiff=True),
    "tiff-large-turned": made("TIFF", big_tiff=True, tiffinfo={274: 6}, icc_profile=PROFILE),
    "tiff-big-endian": made("TIFF", exif=exif(1, ">")),
    "tiff-turned": made("TIFF", tiffinfo={274: 3}, icc_profile=PROFILE),
    "tiff-several": several("TIFF"),
    **{
        f"tiff-{order}-{last}": plain_tiff(order, last=last, tags={274: 6})
        for order in "<>"
        for last in (True, False)
    },
    "webp": made("WEBP"),
    "webp-lossless": made("WEBP", lossless=True),
    "webp-lossless-alpha": made("WEBP", "RGBA", lossless=True),
    "webp-alpha": made("WEBP", "RGBA"),
    "webp-exif-profile": made("WEBP", exif=exif(5), icc_profile=PROFILE),
    "webp-several": several("WEBP"),
    "avif": made("AVIF"),
    "avif-alpha": made("AVIF", "RGBA"),
    "avif-grey": made("AVIF", "L"),
    "avif-profile": made("AVIF", icc_profile=PROFILE),
    **{f"avif-turned-{turn}": made("AVIF", exif=exif(turn)) for turn in range(1, 9)},
    "avif-several": several("AVIF", "RGBA"),
    "ico": encoded(noise((100, 100), "RGBA"), "ICO", sizes=[(16, 16), (64, 64), (32, 32)]),
    "ico-256": encoded(noise((256, 256), "RGBA"), "ICO"),
}
RGB_BEFORE = {"avif-grey", "tiff-YCbCr"}  # to Pillow 11.3; later grey, and as it is
each_file = pytest.mark.parametrize("name", FILES)


@each_file
def test_it_is_what_pillow_says(name):
    seen = probe(FILES[name])
    assert seen is not None
    with Image.open(BytesIO(FILES[name])) as image:
        size, frames = image.size, getattr(image, "n_frames", 1)
        turn = image.getexif().get(274, 1)
        if seen.format == "TIFF" and turn > 4:
            size = size[::-1]  # Pillow turns at once
        assert seen.format == {"MPO": "JPEG"}.get(image.format, image.format)
        assert (seen.width, seen.height) == size
        assert seen.pixels == size[0] * size[1]
        if seen.format != "ICO" and (name not in RGB_BEFORE or image.mode != "RGB"):
            assert seen.mode == image.mode
        assert seen.frames in {frames, None}
        assert seen.animated == (frames > 1)
        assert seen.orientation == turn
        assert seen.profile == bool(image.info.get("icc_profile"))


def test_frames_are_told_but_for_gif_and_animated_webp():
    untold = {name for name, data in FILES.items() if probe(data).frames is None}
    assert untold == {name for name in FILES if name.startswith("gif")} | {"webp-several"}


@pytest.mark.parametrize(
    ("mode", "options", "components", "coefficients"),
    [
        ("RGB", {"subsampling": "4:2:0"}, 3, 0),
        ("RGB", {"subsampling": "4:2:0", "progressive": True}, 3, 1.5),
        ("RGB", {"subsampling": "4:2:2", "progressive": True}, 3, 2),
        ("RGB", {"subsampling": "4:4:4", "progressive": True}, 3, 3),
        ("L", {"progressive": True}, 1, 1),
        ("L", {}, 1, 0),
        ("CMYK", {"progressive": True}, 4, 4),
    ],
)
def test_a_jpeg_tells_its_components_and_what_a_decoder_keeps(
    mode, options, components, coefficients
):
    seen = probe(made("JPEG", mode, **options))
    assert seen == Probe("JPEG", *SIZE, components, coefficients, mode=mode, frames=1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_turn_is_told(kind, orientation, order):
    seen = probe(made(kind, exif=exif(orientation, order)))
    assert seen is not None
    assert seen.orientation == orientation
    assert seen.turned == (kind == "JPEG" and orientation != 1)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_is_none_is_upright(orientation):
    seen = probe(made("JPEG", exif=exif(orientation)))
    assert (seen.orientation, seen.turned) == (1, False)


def test_the_exif_of_a_webp_may_have_its_name_from_jpeg():
    data = FILES["webp-exif-profile"]
    start = data.index(b"EXIF")
    body = b"Exif\0\0" + data[start + 8 :]
    size = struct.pack("<I", len(data) + 6 - 8)
    named = data[:4] + size + data[8 : start + 4] + struct.pack("<I", len(body)) + body
    assert probe(named) == probe(data)


@pytest.mark.parametrize(
    "broken",
    [b"", b"II*\0", b"XX*\0\x08\0\0\0\0\0", b"II*\0\4\0\0\0\1\0", b"MM\0*\0\0\1\0\0\1"],
)
def test_broken_exif_spoils_nothing_else(broken):
    data = made("JPEG")
    body = b"Exif\0\0" + broken
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    assert probe(data[:2] + segment + data[2:]) == probe(data)


def test_the_colours_of_a_gif_may_be_the_first_images_own():
    data = FILES["gif-colours"]
    table = 3 << (data[10] & 7) + 1
    image = data.index(b"\x2c", 13 + table)
    flags = bytes((data[10] & 0x87,))
    own = data[:10] + b"\0" + data[11:13] + data[13 + table : image + 9] + flags
    own += data[13 : 13 + table] + data[image + 10 :]
    with Image.open(BytesIO(own)) as opened:
        assert opened.mode == "P"
    assert probe(own) == probe(data)
    assert probe(data).mode == "P"


def test_a_gif_without_an_image_tells_its_size():
    assert probe(FILES["gif"][:10] + b"\0\0\0;") == Probe("GIF", *SIZE)


def test_the_first_exif_of_a_jpeg_counts():
    first, second = (made("JPEG", exif=exif(turn)) for turn in (1, 6))
    segments = first[2 : first.index(b"\xff\xdb")]
    assert probe(second[:2] + segments + second[2:]).orientation == 1


def test_exif_and_profile_may_stand_behind_the_frame_header():
    late = made("JPEG", exif=exif(3), icc_profile=PROFILE)
    tables, scan = late.index(b"\xff\xdb"), late.index(b"\xff\xda")
    late = late[:2] + late[tables:scan] + late[2:tables] + late[scan:]
    fed = prober(late[: scan - tables + 2])
    assert (fed.size, fed.probe.profile, fed.done) == (SIZE, False, False)
    fed.feed(late[scan - tables + 2 :])
    assert (fed.probe.profile, fed.probe.orientation, fed.done) == (True, 3, True)


@pytest.mark.parametrize("frames", [0, 0x8000_0001])
def test_an_animation_of_impossible_length_is_none(frames):
    data = png((1, 1), 8, 2, [b"abc"], (b"acTL", struct.pack(">II", frames, 0)))
    assert (probe(data).frames, probe(data).animated) == (1, False)


def test_a_gif_that_does_not_repeat_looks_like_one_image():
    seen = probe(several("GIF"))
    assert (seen.frames, seen.animated) == (None, False)


def test_a_gif_whose_first_frame_oversteps_its_screen_grows():
    data = bytearray(FILES["gif"])
    data[6:10] = struct.pack("<HH", 50, 60)
    with Image.open(BytesIO(data)) as image:
        assert image.size == (61, 60)
    assert prober(data[:13]).size == (50, 60)
    assert prober(bytes(data)).size == (61, 60)


def icon(*entries: tuple[bytes, bytes]) -> bytes:
    """Return an icon of pictures, each with what its entry says first: sides, colours, bits."""
    at, head = 6 + 16 * len(entries), struct.pack("<HHH", 0, 1, len(entries))
    for told, body in entries:
        head += told[:3] + b"\0\1\0" + told[3:] + b"\0" + struct.pack("<II", len(body), at)
        at += len(body)
    return head + b"".join(body for _, body in entries)


lying = pytest.mark.filterwarnings("ignore:Image was not the expected size")


@lying
@pytest.mark.parametrize(
    "told", [b"\0\0\0\x20", b"\x10\x10\0\x20", b"\x40\x40\0\0"], ids=["none", "lie", "bits"]
)
def test_the_picture_in_an_icon_tells_its_size(told):
    large = encoded(noise((512, 300), "RGBA"), "PNG")
    small = encoded(noise((16, 16), "RGBA"), "PNG")
    others = [(b"\x10\x10\0\x20", small)] * 2
    data = icon(others[0], (told, large), *others)
    with Image.open(BytesIO(data)) as image:
        assert (probe(data).width, probe(data).height) == image.size
    dib = encoded(noise((300, 280)), "ICO", sizes=[(256, 239)], bitmap_format="bmp")
    assert (probe(dib).width, probe(dib).height) == (256, 239)


@lying
def test_of_pictures_of_one_size_the_shallow_one_counts():
    many = [encoded(noise((side, 9), "RGBA"), "PNG") for side in (1, 2, 3, 4)]
    for depths in ([b"\0\x20", b"\0\4"], [b"\0\0", b"\0\x20"], [b"\2\0", b"\0\2", b"\1\0"]):
        entries = [(b"\x10\x10" + depth, body) for depth, body in zip(depths, many, strict=False)]
        data = icon(*entries)
        with Image.open(BytesIO(data)) as image:
            assert probe(data).width == image.width


def odd_tiff(order: str, kind: int, many: int, value: bytes, more: int = 0) -> bytes:
    """Return a TIFF whose height is told by the field of *kind*, *many* and *value*."""
    data = plain_tiff(order, last=False, tags={})
    data = data.replace(
        struct.pack(f"{order}HHII", 257, 4, 1, 47),
        struct.pack(f"{order}HHI", 257, kind, many) + value,
    )
    return data.replace(struct.pack(f"{order}H", 7), struct.pack(f"{order}H", 7 + more), 1)


@pytest.mark.parametrize("order", "<>")
def test_a_number_of_a_tiff_that_stands_elsewhere_is_not_known(order):
    at, two = struct.pack(f"{order}I", 8), struct.pack(f"{order}HH", 47, 99)
    for kind, many, value in [(4, 255, at), (4, 0, at), (3, 3, at), (16, 1, at), (9, 1, at)]:
        assert probe(odd_tiff(order, kind, many, value)) is None
    assert probe(odd_tiff(order, 3, 2, two)).height == 47
    assert probe(odd_tiff(order, 4, 1, at)).height == 8
    assert probe(odd_tiff(order, 4, 1, at, 300)) is None  # one behind 200 others would count


def test_a_side_of_a_tiff_that_stands_there_twice_is_not_known():
    data = plain_tiff("<", last=False, tags={})
    again = data[:46] + struct.pack("<HHII", 257, 4, 1, 4700) + data[58:]
    assert probe(data).height == 47
    assert probe(again) is None
    assert probe(data[:46] + struct.pack("<HHII", 257, 4, 1, 47) + data[58:]).height == 47


def test_the_exif_of_a_jpeg_is_no_big_tiff():
    tags = b"Exif\0\0II+\0\x08\0\0\0\x10" + bytes(7) + struct.pack("<QHHQQ", 1, 274, 3, 1, 6)
    segment = b"\xff\xe1" + struct.pack(">H", len(tags) + 2) + tags
    assert probe(FILES["jpeg"][:2] + segment + FILES["jpeg"][2:]).orientation == 1


def test_deep_greys_of_a_heif():
    data = heif(associations=b"\x02\x06\x07")
    at = data.index(b"hvcC") + 4
    assert probe(data).mode == "L"
    assert probe(data[: at + 17] + b"\xfa" + data[at + 18 :]).mode == "I;16"
    assert probe(data[: at + 16] + b"\xfd\xfa" + data[at + 18 :]).mode == "RGB"


def test_numbers_of_colours_are_told():
    data = bytearray(FILES["avif"])
    at = data.index(b"nclx")
    data[at + 4 : at + 8] = struct.pack(">HH", 9, 16)
    assert probe(bytes(data)).coding == (9, 16)
    data[at - 8 : at - 4] = b"\0\0\0\x0f"  # too short
    assert probe(bytes(data)) is None or probe(bytes(data)).coding != (9, 16)
    for body, coding in [(b"\x0c\x0d\0\1", (12, 13)), (b"\x0c\x0d\1\1", None), (b"\1", None)]:
        assert probe(png((1, 1), 8, 2, [b"abc"], (b"cICP", body))).coding == coding


# JPEG XL: Pillow does not know it. Bits are written lowest first.


def jxl(*fields: tuple[int, int]) -> bytes:
    """Return a codestream that begins with *fields*: values and their numbers of bits."""
    bits = at = 0
    for value, count in fields:
        bits |= value << at
        at += count
    return b"\xff\x0a" + bits.to_bytes(32, "little")


SMALL, LARGE = (1, 1), (0, 1)
DEFAULT, NOT_DEFAULT, EXTRA = (1, 1), (0, 1), (1, 1)
NO, YES = (0, 1), (1, 1)
TURNED_STILL = (EXTRA, (5, 3), NO, NO, NO)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([SMALL, (4, 5), (0, 3), (9, 5), DEFAULT], Probe("JXL", 80, 40, frames=1)),
        ([SMALL, (4, 5), (5, 3), NOT_DEFAULT, NO], Probe("JXL", 71, 40, frames=1)),
        (
            [LARGE, (0, 2), (46, 9), (0, 3), (1, 2), (6000, 13), DEFAULT],
            Probe("JXL", 6001, 47, frames=1),
        ),
        (
            [LARGE, (3, 2), (2**30 - 1, 30), (0, 3), (2, 2), (9, 18), NOT_DEFAULT, *TURNED_STILL],
            Probe("JXL", 10, 2**30, frames=1, orientation=6),
        ),
        (
            [SMALL, (4, 5), (1, 3), NOT_DEFAULT, EXTRA, (0, 3), NO, NO, YES],
            Probe("JXL", 40, 40, animated=True),
        ),
        ([SMALL, (4, 5), (1, 3), NOT_DEFAULT, EXTRA, (0, 3), YES], Probe("JXL", 40, 40)),
    ],
)
def test_a_jpeg_xl_tells_its_size_naked_and_boxed(fields, expected):
    naked = jxl(*fields)
    start = bytes.fromhex("0000000c4a584c200d0a870a") + boxed(b"ftyp", b"jxl \0\0\0\0jxl ")
    assert probe(naked) == expected
    assert probe(start + boxed(b"jxlc", naked)) == expected
    assert probe(start + boxed(b"Exif", bytes(99)) + boxed(b"jxlp", bytes(4), naked)) == expected
    assert probe(start + boxed(b"Exif", bytes(99))) is None
    assert probe(start + bytes(99)) is None


# HEIF: Pillow does not know it either, but its boxes are AVIF's.


def heif(
    major: bytes = b"heic", *, associations: bytes = b"\x02\x01\x03", primary: int = 7
) -> bytes:
    """Return a photo of 4000 x 3000, turned, in tiles of 512 x 512 with a thumbnail."""
    properties = boxed(
        b"ipco",
        boxed(b"colr", b"prof", PROFILE),
        boxed(b"ispe", struct.pack(">4xII", 512, 512)),
        boxed(b"irot", b"\x03"),
        boxed(b"ispe", struct.pack(">4xII", 4000, 3000)),
        boxed(b"ispe", struct.pack(">4xII", 8000, 9000)),
        boxed(b"clap", struct.pack(">8I", 400, 1, 601, 2, 0, 1, 0, 1)),
        boxed(b"hvcC", bytes(23)),
    )
    associated = struct.pack(">4xIHBBHB", 2, 3, 1, 2, 7, len(associations)) + associations
    meta = boxed(
        b"meta",
        bytes(4),
        boxed(b"hdlr", bytes(24)),
        boxed(b"pitm", struct.pack(">4xH", primary)),
        boxed(b"iinf", bytes(2000)),
        boxed(b"iprp", properties, boxed(b"ipma", associated)),
    )
    return boxed(b"ftyp", major, bytes(4), b"mif1heic") + meta + boxed(b"mdat", bytes(99))


def test_a_heif_tells_what_its_primary_item_has():
    turned = Probe("HEIF", 4000, 3000, mode="RGB", orientation=6, profile=True)
    assert probe(heif(associations=b"\x84\x83\x01")) == turned
    assert probe(heif(b"mif1", associations=b"\x84\x83\x01")) == turned
    cut = Probe("HEIF", 400, 300, mode="L")
    assert probe(heif(associations=b"\x02\x06\x07")) == cut
    plain = probe(heif(associations=b"\x02"))
    assert plain == Probe("HEIF", 512, 512, mode="RGB")


@pytest.mark.parametrize(("primary", "associations"), [(8, b"\x02"), (7, b"\x01"), (7, b"\x7f")])
def test_a_heif_that_names_no_size_for_its_primary_item_has_the_largest(primary, associations):
    seen = probe(heif(primary=primary, associations=associations))
    assert (seen.width, seen.height) == (8000, 9000)


def test_a_sequence_without_items_has_the_size_of_its_track():
    header = boxed(b"tkhd", bytes(76), struct.pack(">II", 640 << 16, 480 << 16))
    samples = boxed(b"stbl", boxed(b"stts", bytes(8)), boxed(b"stsz", struct.pack(">4xII", 0, 12)))
    track = boxed(b"trak", header, boxed(b"mdia", boxed(b"minf", samples)))
    data = boxed(b"ftyp", b"avis", bytes(4), b"avis") + boxed(b"moov", boxed(b"mvhd"), track)
    assert probe(data) == Probe("AVIF", 640, 480, frames=12, animated=True)


def test_boxes_may_have_long_lengths():
    data = FILES["avif"]
    end = int.from_bytes(data[:4])
    free = struct.pack(">I4sQ", 1, b"free", 16 + 5) + bytes(5)
    assert probe(data[:end] + free + data[end:]) == probe(data)


def test_a_film_is_no_image():
    film = prober(boxed(b"ftyp", b"isom", bytes(4), b"isomavc1") + boxed(b"moov", bytes(99)))
    assert (film.format, film.size, film.probe, film.done) == (None, None, None, True)


# Of no use


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<!doctype html>",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"II*\0",
        b"II*\0\x08\0\0\0\0\0\0\0\0\0",
        b"GIF89a",
        b"BM",
        b"BM" + bytes(200),
        b"RIFF" + bytes(4) + b"WAVEfmt " + bytes(30),
        b"RIFF" + bytes(4) + b"WEBPVP8 " + bytes(30),
        b"RIFF" + bytes(4) + b"WEBPJUNK" + bytes(30),
        b"\0\0\1\0" + bytes(60),
        b"\0\0\1\0\1\0" + bytes(60),
        b"\xff\x0a" + b"\xff",
        b"\x89PNG\r\n\x1a\n" + bytes(60),
        b"\xff\xd8\xff\xe0\0\1" + bytes(60),
        b"\xff\xd8\xff\xc1\0\x0b\x08\0\1\0\1\3\1\x11\0" + bytes(60),
    ],
    ids=lambda data: repr(data[:20]),
)
def test_what_cannot_be_told_is_none(data):
    assert probe(data) is None
    assert prober(data).probe is None


def test_no_image_is_done_at_once():
    fed = prober(b"<!doctype html>")
    assert (fed.done, fed.format, fed.size) == (True, None, None)
    assert not prober(b"<!doct").done


def test_a_jpeg_that_ends_before_its_frame_is_none():
    data = made("JPEG")
    assert probe(data[: data.index(b"\xff\xc0")]) is None


def test_a_progressive_jpeg_may_have_no_components():
    data = b"\xff\xd8\xff\xc2\0\x08\x08\0\x09\0\x0a\0\xff\xd9\0\0"
    assert probe(data) == Probe("JPEG", 10, 9, frames=1)


def test_a_jpeg_of_endless_segments_is_given_up():
    data = b"\xff\xd8" + b"\xff\xe0\0\2" * 100_000 + made("JPEG")[2:]
    assert probe(data) is None
    assert prober(data).done


def test_what_stands_between_the_segments_of_a_jpeg_is_skipped():
    data = made("JPEG")
    at = data.index(b"\xff\xdb")
    assert probe(data[:at] + b"junk\xff\0\xff\xd0\xff\xff\xff" + data[at:]) == probe(data)


# Chunk by chunk


def needed_of(name: str) -> int:
    """Return how many bytes at most the size may take."""
    data = FILES[name]
    kind = name.partition("-")[0]
    if kind in {"jpeg", "mpo"}:
        frame = max(data.find(b"\xff\xc0\0"), data.find(b"\xff\xc2\0"))
        return frame + 2 + int.from_bytes(data[frame + 2 : frame + 4])
    if kind == "tiff":
        if data[2] == 43:  # BigTIFF
            return int.from_bytes(data[8:16], "little") + 8 + 20 * 25
        start = int.from_bytes(data[4:8], "little" if data[:2] == b"II" else "big")
        return start + 2 + 12 * 25
    if name == "avif-profile":
        return 512 + len(PROFILE)
    if kind == "ico":  # the largest stands last
        return int.from_bytes(data[6 + 16 * (data[4] - 1) :][12:16], "little") + 24
    limits = {
        "png": 33,
        "apng": 33,
        "gif": 13,
        "bmp": 26,
        "webp": 30,
        "avif": 512,
    }
    return limits[kind]


@each_file
def test_few_bytes_tell_the_size(name):
    assert bytes_needed(FILES[name]) <= needed_of(name)


@each_file
def test_the_size_stays_and_comes_before_the_rest(name):
    data = FILES[name]
    needed = bytes_needed(data)
    assert prober(data[: needed - 1]).size is None
    early = prober(data[:needed])
    assert early.probe == probe(data[:needed])
    late = prober(data)
    assert (early.format, early.size) == (late.format, late.size)


@each_file
def test_all_is_known_once_it_is_done(name):
    data = FILES[name]
    fed = Prober()
    for at in range(len(data)):
        fed.feed(data[at : at + 1])
        if fed.done:
            break
    assert fed.done
    assert fed.probe == probe(data)
    fed.feed(data)
    assert fed.probe == probe(data)


@given(
    st.sampled_from(sorted(FILES)), st.lists(st.integers(0, 3000), max_size=6), st.integers(1, 3000)
)
def test_any_chunks_tell_the_same(name, cuts, length):
    data = FILES[name][:length]
    places = [0, *sorted(cuts), len(data)]
    chunks = [data[one:other] for one, other in pairwise(places)]
    assert prober(*chunks).probe == probe(data)
    assert prober(FILES[name]).probe == probe(FILES[name])


@given(
    st.sampled_from(sorted(FILES)),
    st.integers(0, 400),
    st.binary(max_size=16),
    st.integers(0, 2000),
    st.integers(1, 300),
)
def test_no_bytes_make_it_raise(name, place, patch, length, piece):
    seed = FILES[name]
    spoilt = seed[:place] + patch + seed[place + len(patch) :]
    for data in (spoilt, spoilt[:length], patch + seed, seed[:8] + patch):
        seen = probe(data)
        assert seen is None or seen.width >= 0
        assert fed_in_pieces(data[:3000], piece).probe == probe(data[:3000])


@given(st.sampled_from(sorted(FILES)), st.integers(4, 40), st.binary(max_size=300))
def test_no_bytes_behind_a_signature_make_it_raise(name, kept, rest):
    data = FILES[name][:kept] + rest
    assert fed_in_pieces(data, 7).probe == probe(data)


def hostile(kind: str) -> tuple[bytes, bytes, bytes]:
    """Return how a file begins, what it repeats for ever, and what might end it."""
    segment = b"\xff\xe2\xff\xffICC_PROFILE\0".ljust(65537, b"x")
    return {
        "segments": (b"\xff\xd8", segment, FILES["jpeg"][2:]),
        "markers": (b"\xff\xd8", b"\xff" * 65536, FILES["jpeg"][2:]),
        "chunk": (FILES["png"][:33] + b"\x7f\xff\xff\xfftEXt", bytes(65536), b""),
        "gif": (FILES["gif"][:13], b"\x21\xfe\xff".ljust(65536, b"\xff"), b""),
        "tiff": (b"II*\0\xff\xff\xff\x03", bytes(65536), b""),
        "boxes": (
            FILES["avif"][:32] + b"\x7f\xff\xff\xffmeta" + bytes(4),
            boxed(b"ipma", bytes(8000)) + boxed(b"ipco", boxed(b"ispe", bytes(12)) * 2000),
            b"",
        ),
        "no image": (b"", b"<!doctype html>" * 4000, b""),
    }[kind]


FILES |= {"png": made("PNG")}


@pytest.mark.parametrize(
    "kind", ["segments", "markers", "chunk", "gif", "tiff", "boxes", "no image"]
)
def test_a_hostile_file_takes_no_memory(kind):
    begin, again, last = hostile(kind)
    fed = Prober()
    tracemalloc.start()
    try:
        fed.feed(begin)
        for _ in range((64 << 20) // len(again)):
            fed.feed(again)
        fed.feed(last)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20
    if kind == "segments":
        assert (fed.size, fed.probe.profile, fed.done) == (SIZE, True, True)


def test_one_large_chunk_is_not_copied():
    data = FILES["jpeg"] + bytes(8 << 20)
    fed = Prober()
    tracemalloc.start()
    try:
        fed.feed(data[:30])
        tracemalloc.reset_peak()
        fed.feed(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 16


def test_an_empty_chunk_tells_nothing_new():
    fed = prober(FILES["png"][:20], b"")
    assert (fed.format, fed.size, fed.done) == ("PNG", None, False)
    fed.feed(FILES["png"][20:])
    assert fed.size == SIZE
