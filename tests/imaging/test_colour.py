"""Modes, transparency, depths and profiles: what a viewer sees is what is stored."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import pytest
from PIL import Image, ImageCms

from scrapy_imgpipe.imaging import Plan, Variant, flatten, open_image, render, to_srgb
from tests.imaging.pictures import (
    BLACK,
    BLUE,
    GREEN,
    RED,
    WHITE,
    about,
    cmyk_profile,
    decoded,
    difference,
    encoded,
    exif,
    grey_profile,
    noisy,
    png,
    rgb_profile,
)

ALL_MODES = [
    "1",
    "L",
    "P",
    "RGB",
    "RGBA",
    "CMYK",
    "YCbCr",
    "LAB",
    "HSV",
    "I",
    "F",
    "LA",
    "PA",
    "RGBX",
    "RGBa",
    "La",
]
DEEP_MODES = ["I;16", "I;16L", "I;16B"]
if Image.new("I;16N", (1, 1), 999).convert("I").getpixel((0, 0)) == 999:
    DEEP_MODES.append("I;16N")  # Pillow 11 cannot convert it; no file opens as it
HALF = Plan(background=(10, 20, 200))
THUMB = Variant("thumb", 24, 24)


def half_transparent(mode: str) -> Image.Image:
    """Left half red (grey where there is no colour) and opaque, right half transparent."""
    image = Image.new("RGBA", (32, 16), (255, 0, 0, 255))
    image.paste((0, 255, 0, 0), (16, 0, 32, 16))
    if mode == "PA":
        merged = Image.merge("PA", (paletted(None), image.getchannel("A")))
        merged.putpalette([*GREEN, *RED])
        return merged
    return image.convert("LA").convert(mode) if mode in {"LA", "La"} else image.convert(mode)


def sides(image: Image.Image) -> tuple[object, object]:
    return image.getpixel((4, 8)), image.getpixel((27, 8))


@pytest.mark.parametrize("mode", ALL_MODES + DEEP_MODES)
def test_every_mode_becomes_rgb(mode):
    flat = flatten(Image.new(mode, (9, 7)))
    assert (flat.mode, flat.size) == ("RGB", (9, 7))


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "LAB", "RGBA", "RGBX", "RGBa"])
def test_other_colour_modes_keep_their_colours(mode):
    image = noisy()
    straight = image.convert("RGBA") if mode == "RGBa" else image
    other = straight.convert(mode)
    assert difference(flatten(other), image) < 2.5


def test_plain_rgb_comes_back_as_it_is():
    image = noisy()
    assert flatten(image) is image


@pytest.mark.parametrize("mode", ["RGBA", "RGBa", "LA", "La", "PA"])
def test_alpha_of_every_mode_shows_the_background(mode):
    left, right = sides(flatten(half_transparent(mode), (10, 20, 200)))
    assert right == (10, 20, 200)
    assert left == ((76, 76, 76) if mode in {"LA", "La"} else RED)


def test_half_transparency_is_mixed():
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 128))
    assert about(flatten(image, BLUE).getpixel((1, 1)), (128, 0, 127), within=1)


def test_flatten_leaves_its_argument_alone():
    image = half_transparent("RGBA")
    before = image.tobytes()
    flatten(image)
    assert (image.mode, image.tobytes()) == ("RGBA", before)


def paletted(alphas: bytes | int | None) -> Image.Image:
    image = Image.new("P", (32, 16), 1)
    image.putpalette([*GREEN, *RED])
    image.paste(0, (16, 0, 32, 16))
    if alphas is not None:
        image.info["transparency"] = alphas
    return image


@pytest.mark.parametrize("alphas", [0, b"\x00\xff"])
@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_transparent_palette_entries(kind, alphas):
    if kind == "GIF" and isinstance(alphas, bytes):
        alphas = 0
    data = encoded(paletted(None), kind, transparency=alphas)
    left, right = sides(decoded(render(data, HALF)[0].data))
    assert about(left, RED)
    assert about(right, HALF.background)


def test_half_transparent_palette_entry():
    data = encoded(paletted(None), "PNG", transparency=b"\x80\xff")
    _, right = sides(decoded(render(data, Plan())[0].data))
    assert about(right, (127, 255, 127))


def test_palette_with_alpha_of_its_own():
    image = Image.new("P", (32, 16), 1)
    image.putpalette([*GREEN, 0, *RED, 255], "RGBA")
    image.paste(0, (16, 0, 32, 16))
    assert sides(flatten(image, BLUE)) == (RED, BLUE)


GREYS = {  # depth -> rows of 32 pixels: left half darkest but one, right half lightest
    1: b"\x00\x00\xff\xff",
    2: b"\x55" * 4 + b"\xff" * 4,
    4: b"\x11" * 8 + b"\xff" * 8,
    8: b"\x01" * 16 + b"\xff" * 16,
    16: b"\x01\x00" * 16 + b"\xff\xff" * 16,
}


@pytest.mark.parametrize("depth", GREYS)
def test_transparent_grey_of_every_depth(depth):
    light = struct.pack(">H", 2**depth - 1)
    data = png((32, 16), depth, 0, [GREYS[depth]] * 16, (b"tRNS", light))
    left, right = sides(decoded(render(data, HALF)[0].data))
    assert about(right, HALF.background)
    assert about(left, (85, 85, 85) if depth == 2 else (17, 17, 17) if depth == 4 else BLACK)


@pytest.mark.parametrize("depth", GREYS)
def test_a_transparent_colour_that_no_pixel_has(depth):
    absent = struct.pack(">H", 2) if depth > 1 else b"\x00\x00"
    row = GREYS[depth] if depth > 1 else b"\xff" * 4
    data = png((32, 16), depth, 0, [row] * 16, (b"tRNS", absent))
    assert about(sides(decoded(render(data, HALF)[0].data))[1], WHITE)


@pytest.mark.parametrize("depth", [8, 16])
def test_transparent_colour_of_every_depth(depth):
    pixel = (lambda *rgb: bytes(rgb)) if depth == 8 else (lambda *rgb: struct.pack(">3H", *rgb))
    red, key = (RED, (0, 200, 0)) if depth == 8 else ((65535, 0, 0), (0, 51300, 0))
    row = pixel(*red) * 16 + pixel(*key) * 16
    data = png((32, 16), depth, 2, [row] * 16, (b"tRNS", struct.pack(">3H", *key)))
    left, right = sides(decoded(render(data, HALF)[0].data))
    assert about(left, RED)
    assert about(right, HALF.background)


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGBA"), ("PNG", "LA"), ("TIFF", "RGBA"),
                                            ("TIFF", "PA"), ("WEBP", "RGBA"), ("AVIF", "RGBA"),
                                            ("ICO", "RGBA")])  # fmt: skip
def test_transparent_files_are_white_in_full_image_and_thumbnail(kind, mode):
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(half_transparent(mode), kind, **options)
    for picture in render(data, Plan((THUMB,))):
        image = decoded(picture.data)
        width, height = image.size
        assert about(image.getpixel((width - 2, height // 2)), WHITE)
        assert not about(image.getpixel((1, height // 2)), WHITE, within=60)


@pytest.mark.parametrize("mode", DEEP_MODES)
def test_sixteen_bits_keep_the_upper_eight(mode):
    order = {"I;16B": ">H", "I;16N": "=H"}.get(mode, "<H")
    for sample, kept in ((0x7FFF, 127), (0x0080, 0), (0xFFFF, 255)):
        image = Image.frombytes(mode, (4, 4), struct.pack(order, sample) * 16)
        assert flatten(image).getpixel((1, 1)) == (kept, kept, kept)


@pytest.mark.parametrize(
    ("mode", "values", "expected"),
    [
        ("I", (0, 200), (0, 200)),
        ("I", (0x1234, 0xFFFF), (0x12, 255)),
        ("I", (0, 256), (0, 1)),
        ("I", (-5, 90), (0, 90)),
        ("I", (1_000_000, 2_000_000), (127, 255)),
        ("F", (0.0, 0.5), (0, 127)),
        ("F", (0.5, 1.0), (127, 255)),
        ("F", (3.0, 250.0), (3, 250)),
        ("F", (0x1200, 65535.0), (0x12, 255)),
        ("F", (0.0, 0.0), (0, 0)),
        ("F", (-3.0, -1.0), (0, 0)),
    ],
)
def test_samples_that_do_not_say_what_is_white(mode, values, expected):
    image = Image.new(mode, (2, 1))
    for x, value in enumerate(values):
        image.putpixel((x, 0), value)
    flat = flatten(image)
    assert [flat.getpixel((x, 0))[0] for x in (0, 1)] == list(expected)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_files_are_not_white(kind):
    row = b"".join(struct.pack("<H", x * 2000) for x in range(32))
    image = Image.frombytes("I;16", (32, 32), row * 32)
    flat = flatten(open_image(encoded(image, kind)))
    assert [flat.getpixel((x, 9))[0] for x in (0, 8, 16, 31)] == [
        x * 2000 >> 8 for x in (0, 8, 16, 31)
    ]


def grey_tiff(bits: int, photometric: int, pixels: bytes) -> bytes:
    """Return a TIFF of 4 x 1 pixels, which Pillow reads but does not write."""
    told = {256: 4, 257: 1, 258: bits, 259: 1, 262: photometric, 273: 110, 277: 1, 279: len(pixels)}
    fields = b"".join(struct.pack("<HHII", tag, 4, 1, told[tag]) for tag in sorted(told))
    return b"II*\0\x08\0\0\0\x08\0" + fields + bytes(4) + pixels


@pytest.mark.parametrize(
    ("bits", "photometric", "pixels", "greys"),
    [
        (12, 1, b"\xff\xf8\x00\x40\x00\x00", [255, 128, 64, 0]),
        (16, 0, struct.pack("<4H", 0, 32767, 49151, 65535), [255, 128, 64, 0]),
        (16, 1, struct.pack("<4H", 65535, 32768, 16384, 0), [255, 128, 64, 0]),
        (32, 1, struct.pack("<4I", 2**32 - 1, 2**31, 2**30, 0), [255, 127, 63, 0]),
    ],
)
def test_greys_of_a_tiff(bits, photometric, pixels, greys):
    data = grey_tiff(bits, photometric, pixels)
    flat = flatten(open_image(data))
    assert [flat.getpixel((x, 0))[0] for x in range(4)] == greys
    # written anew, it looks the same
    (bare,) = render(data, Plan(full="source", strip="all"))
    again = flatten(open_image(bare.data))
    assert again.tobytes() == flat.tobytes()


def test_a_float_image_that_is_not_a_number_still_renders():
    assert flatten(Image.new("F", (3, 3), float("nan"))).size == (3, 3)
    assert flatten(Image.new("F", (3, 3), float("inf"))).size == (3, 3)


def test_wide_gamut_is_brought_to_srgb_when_encoded_anew():
    data = encoded(Image.new("RGB", (40, 30), RED), "PNG", icc_profile=rgb_profile())
    full, thumb = (decoded(picture.data) for picture in render(data, Plan((THUMB,))))
    for image in (full, thumb):
        assert about(image.getpixel((5, 5)), GREEN)
        assert "icc_profile" not in image.info


def test_wide_gamut_jpeg_passes_and_its_thumbnail_is_srgb():
    data = encoded(Image.new("RGB", (40, 30), RED), icc_profile=rgb_profile())
    full, thumb = render(data, Plan((THUMB,)))
    assert full.data is data
    assert about(decoded(thumb.data).getpixel((5, 5)), GREEN)
    [alone] = render(data, Plan((THUMB,)), only=["thumb"])
    assert alone.data == thumb.data


def test_thumbnail_of_a_deep_pyramid_is_converted_once():
    data = encoded(Image.new("RGB", (400, 300), RED), icc_profile=rgb_profile())
    plan = Plan((Variant("a", 200, 200), Variant("b", 50, 50), Variant("c", 20, 20)))
    for picture in render(data, plan)[1:]:
        assert about(decoded(picture.data).getpixel((5, 5)), GREEN)


def test_srgb_costs_no_conversion():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = noisy()
    assert to_srgb(image, srgb) is image
    converted = to_srgb(image, rgb_profile("rgb"))  # gamma 2.2 differs in the shadows
    assert 0 < difference(converted, image) < 6
    assert converted.info == {}


@pytest.mark.parametrize("profile", [None, b"", b"junk", rgb_profile()[:200], cmyk_profile(), 5])
def test_useless_profiles_count_as_missing(profile):
    image = noisy()
    assert to_srgb(image, profile) is image


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_grey_goes_through_its_profile(kind, alpha):
    if alpha and kind == "JPEG":
        return
    image = Image.new("LA", (32, 32), (60, 255)) if alpha else Image.new("L", (32, 32), 60)
    data = encoded(image, kind, icc_profile=grey_profile(1.0))
    looks = Variant("thumb", 20, 20), Variant("png", 20, 20, format="PNG")
    for made in render(data, Plan(looks)):  # linear light to the curve of IEC 61966-2-1
        shown = decoded(made.data)
        assert about(shown.convert("RGB").getpixel((9, 9)), (133, 133, 133), within=1)
        assert "icc_profile" not in shown.info


def test_dark_samples_of_a_deep_ppm_stay_dark():
    data = b"P5 64 48 65535\n" + (200).to_bytes(2, "big") * 64 * 48
    assert decoded(render(data, Plan())[0].data).getpixel((9, 9)) == (0, 0, 0)


def test_cmyk_goes_through_its_profile():
    seen_as = {  # the profile's Lab values by the formulas of CIE 15 and IEC 61966-2-1
        (255, 0, 0, 0): (192, 55, 52),
        (0, 255, 0, 0): (49, 150, 55),
        (0, 0, 255, 0): (54, 79, 155),
        (0, 0, 0, 0): WHITE,
        (0, 0, 0, 255): BLACK,
    }
    for ink, seen in seen_as.items():
        data = encoded(Image.new("CMYK", (32, 32), ink), quality=95, icc_profile=cmyk_profile())
        full, thumb = render(data, Plan((THUMB,)))
        assert about(decoded(full.data).getpixel((9, 9)), seen, within=4), ink
        assert about(decoded(thumb.data).getpixel((9, 9)), seen, within=4), ink
        [alone] = render(data, Plan((THUMB,)), only=["thumb"])
        assert about(decoded(alone.data).getpixel((9, 9)), seen, within=4), ink


@pytest.mark.parametrize("profile", [None, b"junk", rgb_profile()])
def test_cmyk_without_a_usable_profile_is_pillows(profile):
    image = noisy((64, 48), "CMYK")
    options = {} if profile is None else {"icc_profile": profile}
    data = encoded(image, quality=95, **options)
    full = render(data, Plan())[0]
    assert full.data == encoded(decoded(data).convert("RGB"), quality=75)
    assert difference(decoded(full.data), image.convert("RGB")) < 10


def test_transparent_wide_gamut_keeps_a_white_background():
    image = half_transparent("RGBA")
    data = encoded(image, "PNG", icc_profile=rgb_profile())
    left, right = sides(decoded(render(data, Plan())[0].data))
    assert about(left, GREEN)
    assert about(right, WHITE)


def test_comments_do_not_travel():
    data = encoded(noisy(mode="L").convert("P"), "GIF", comment=b"x" * 70_000)
    picture = render(data, Plan())[0]
    assert "comment" not in Image.open(BytesIO(picture.data)).info


def test_comments_of_a_turned_jpeg_do_not_travel():
    data = encoded(noisy(), comment=b"secret", exif=exif(3))
    for picture in render(data, Plan((THUMB,))):
        assert "comment" not in Image.open(BytesIO(picture.data)).info


PLAIN = Image.new("RGB", (16, 16), (200, 100, 50))
IN_P3, IN_2020, LINEAR = (215, 93, 31), (241, 76, 29), (229, 168, 122)
SHOWN = Plan((Variant("shown", format="PNG"), Variant("kept", format="PNG", metadata="profile")))
P3 = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
SRGB = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


def coded_avif(primaries: int, transfer: int) -> bytes:
    data = bytearray(encoded(PLAIN, "AVIF", quality=100, subsampling="4:4:4"))
    at = data.index(b"nclx")
    data[at + 4 : at + 8] = struct.pack(">HH", primaries, transfer)
    return bytes(data)


def told_png(image: Image.Image = PLAIN, **chunks: bytes | tuple[int, ...]) -> bytes:
    data = encoded(image, "PNG")
    extra = b""
    for name, values in chunks.items():
        body = name.encode() + (
            values if isinstance(values, bytes) else struct.pack(f">{len(values)}I", *values)
        )
        extra += struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:33] + extra + data[33:]


@pytest.mark.parametrize(
    ("data", "colour"),
    [
        (coded_avif(12, 13), IN_P3),
        (coded_avif(9, 1), IN_2020),
        (coded_avif(1, 13), (200, 100, 50)),
        (coded_avif(9, 16), (200, 100, 50)),
        (told_png(cICP=b"\x0c\x0d\0\1"), IN_P3),
        (told_png(cICP=b"\x0c\x0d\0\0"), (200, 100, 50)),
        (told_png(cICP=b"\x0c\x0d\0\1", sRGB=b"\0"), IN_P3),
        (told_png(gAMA=(100000,)), LINEAR),
        (told_png(gAMA=(45455,), cHRM=P3), IN_P3),
        (told_png(gAMA=(100000,), sRGB=b"\0"), (200, 100, 50)),
        (told_png(Image.new("L", (16, 16), 100), gAMA=(100000,)), (168, 168, 168)),
        (told_png(Image.new("LA", (16, 16), (100, 255)), gAMA=(100000,)), (168, 168, 168)),
        (told_png(PLAIN.quantize(4), gAMA=(100000,)), LINEAR),
    ],
)
def test_colours_that_are_told_of_without_a_profile(data, colour):
    full, shown, kept = render(data, SHOWN)
    assert about(decoded(full.data).getpixel((3, 3)), colour, 8)
    assert about(decoded(shown.data).convert("RGB").getpixel((3, 3)), colour, 8)
    image = decoded(kept.data)
    profile = image.info.get("icc_profile")
    assert about(to_srgb(image.convert("RGB"), profile).getpixel((3, 3)), colour, 8)
    (passed,) = render(data, Plan(full="source"))
    assert passed.data is data


@pytest.mark.parametrize(
    "chunks",
    [
        {"gAMA": (45455,), "cHRM": SRGB},
        {"gAMA": (46000,)},
        {"cHRM": P3},
        {"gAMA": (220000,)},
        {"gAMA": (0,)},
        {"gAMA": (100000,), "cHRM": (0,) * 8},
        {"gAMA": (100000,), "cHRM": (30000,) * 8},
        {"gAMA": (100000,), "cHRM": (2**32 - 1, 1) * 4},
        {"gAMA": (100000,), "cHRM": (31270, 1, *SRGB[2:])},
        {"cICP": b"\0\0\0\1"},
    ],
)
def test_colours_that_are_usual_or_none(chunks):
    assert render(told_png(**chunks), SHOWN)[1].data == render(encoded(PLAIN, "PNG"), SHOWN)[1].data


def test_an_embedded_profile_wins():
    data = encoded(PLAIN, "PNG", icc_profile=rgb_profile())
    chunk = told_png(cICP=b"\x0c\x0d\0\1")[33:49]
    assert open_image(data[:33] + chunk + data[33:]).info["icc_profile"] == rgb_profile()


def test_written_anew_it_says_its_colours_by_a_profile():
    (bare,) = render(coded_avif(12, 13), Plan(full="source", strip="all"))
    image = decoded(bare.data)
    assert about(to_srgb(image, image.info["icc_profile"]).getpixel((3, 3)), IN_P3)
