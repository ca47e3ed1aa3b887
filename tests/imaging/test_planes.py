"""Brightness and colours shrunk apart: where that is sure, and what nobody may see of it.

What is compared with comes from a full decode to RGB, shrunk by LANCZOS, encoded as ours.
"""

from __future__ import annotations

import struct
from io import BytesIO

import pytest
from PIL import Image, ImageChops, ImageCms, ImageDraw

from scrapy_imgpipe.errors import ImageBroken
from scrapy_imgpipe.imaging import Plan, Variant, fit_inside, open_image, render
from scrapy_imgpipe.imaging.planes import WORTHWHILE, has_planes
from tests.imaging.pictures import (
    BLUE,
    RED,
    about,
    decoded,
    difference,
    encoded,
    exif,
    noisy,
    rgb_profile,
)

JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
NOISE = noisy((320, 240))


def adobe(transform: int) -> bytes:
    return b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([transform])


def frame(samples: tuple[int, int, int], numbers: tuple[int, int, int] = (1, 2, 3)) -> bytes:
    """Return the end of a frame header, up to the tables' numbers."""
    return b"\3" + b"".join(
        bytes([number, sample, index > 0])
        for index, (number, sample) in enumerate(zip(numbers, samples, strict=True))
    )


def patched(data: bytes, *changes: tuple[bytes, bytes]) -> bytes:
    for old, new in changes:
        assert data.count(old) == 1, old
        data = data.replace(old, new)
    return data


def renumbered(data: bytes, numbers: tuple[int, int, int]) -> bytes:
    """Give the components of a JPEG with ``R``, ``G`` and ``B`` other *numbers*."""
    scan = b"\xff\xda\0\x0c\3" + b"".join(bytes([letter, 0]) for letter in b"RGB")
    renamed = b"\xff\xda\0\x0c\3" + b"".join(bytes([number, 0]) for number in numbers)
    head = b"\3" + b"".join(bytes([letter, 0x11, 0]) for letter in b"RGB")
    new_head = b"\3" + b"".join(bytes([number, 0x11, 0]) for number in numbers)
    return patched(data, (scan, renamed), (head, new_head))


def pillows(data: bytes, box: tuple[int, int]) -> Image.Image:
    full = decoded(data).convert("RGB")
    small = full.resize(fit_inside(full.size, box), Image.Resampling.LANCZOS)
    return decoded(encoded(small, quality=75))


def thumbs(data: bytes, *sides: int) -> list[Image.Image]:
    plan = Plan(tuple(Variant(str(side), side, side) for side in sides))
    full, *others = render(data, plan)
    assert full.data is data
    return [decoded(other.data) for other in others]


def is_planar(data: bytes) -> bool:
    return has_planes(open_image(data))


YCBCR = encoded(NOISE, subsampling=0)
RGB = encoded(NOISE, keep_rgb=True)
SURE = {
    "JFIF 4:4:4": YCBCR,
    "JFIF 4:2:2": encoded(NOISE, subsampling=1),
    "JFIF 4:2:0": encoded(NOISE, subsampling=2),
    "progressive": encoded(NOISE, progressive=True),
    "Adobe, YCbCr": patched(YCBCR, (JFIF, adobe(1))),
    "no marker": patched(YCBCR, (JFIF, b"")),
    "several pictures": encoded(NOISE, "MPO", save_all=True, append_images=[noisy(seed=2)]),
}
DOUBTFUL = {
    "RGB by marker and letters": RGB,
    "RGB by marker": renumbered(RGB, (1, 2, 3)),
    "RGB by letters": patched(RGB, (adobe(0), b"")),
    "JFIF, and RGB by marker": patched(YCBCR, (JFIF, JFIF + adobe(0))),
    "JFIF and letters": patched(RGB, (adobe(0), JFIF)),
    "unknown transform": patched(YCBCR, (JFIF, adobe(2))),
    "strange numbers": patched(renumbered(RGB, (7, 8, 9)), (adobe(0), b"")),
    "grey": encoded(NOISE.convert("L")),
    "CMYK": encoded(NOISE.convert("CMYK")),
}


@pytest.mark.parametrize("kind", SURE)
def test_planes_are_taken_where_they_are_surely_there(kind):
    assert is_planar(SURE[kind])


@pytest.mark.parametrize("kind", DOUBTFUL)
def test_planes_are_not_taken_where_that_is_in_doubt(kind):
    assert not is_planar(DOUBTFUL[kind])


def test_other_formats_have_no_planes():
    assert not is_planar(encoded(NOISE, "PNG"))
    assert not is_planar(encoded(NOISE, "TIFF", compression="jpeg"))


@pytest.mark.parametrize("kind", (SURE | DOUBTFUL).keys() - {"grey", "CMYK"})
def test_the_colours_are_those_that_a_full_decode_shows(kind):
    data = (SURE | DOUBTFUL)[kind]
    big, middle, small = thumbs(data, 200, 99, 40)
    for thumb, side in ((big, 200), (middle, 99), (small, 40)):
        assert difference(thumb, pillows(data, (side, side))) < 2.5


@pytest.mark.parametrize(
    ("size", "written", "sample", "changed"),
    [
        # Of 4:2:0 and 4:1:1, a unit is four blocks of brightness: 2 by 2, or 4 in a row.
        ((256, 256), 0x22, 0x41, (512, 128)),
        # Of 4:2:2 and 4:4:0, it is two: side by side, or one above the other.
        ((384, 256), 0x21, 0x12, (192, 512)),
    ],
)
def test_rare_samplings(size, written, sample, changed):
    data = patched(
        encoded(noisy(size), subsampling=1 if written == 0x21 else 2),
        (frame((written, 0x11, 0x11)), frame((sample, 0x11, 0x11))),
        (struct.pack(">HH", *size[::-1]) + b"\3", struct.pack(">HH", *changed[::-1]) + b"\3"),
    )
    assert is_planar(data)
    for side in (100, 201, 400):
        assert difference(thumbs(data, side)[0], pillows(data, (side, side))) < 3


@pytest.mark.parametrize("plan", [Plan(), Plan((Variant("thumb", 100, 100),))])
def test_what_no_browser_decodes_is_refused_with_and_without_thumbnails(plan):
    by_fractions = patched(
        YCBCR, (frame((0x11, 0x11, 0x11)), frame((0x31, 0x21, 0x21)))
    )  # colours to be stretched by 3/2
    with pytest.raises(OSError, match="broken data stream"):
        decoded(by_fractions)
    with pytest.raises(ImageBroken):
        render(by_fractions, plan)
    assert not is_planar(by_fractions)


def lossless(width: int = 128, height: int = 128) -> bytes:
    """Return a grey lossless JPEG in YCbCr (T.81, H): each sample is the one before."""

    def segment(marker: int, body: bytes) -> bytes:
        return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body

    head = struct.pack(">BHH", 8, height, width) + frame((0x11, 0x11, 0x11))
    table = b"\0" + bytes([1] + [0] * 15) + b"\0"  # one code, of one bit: no difference
    scan = b"\3\1\0\2\0\3\0\1\0\0"
    start = b"\xff\xd8" + JFIF + segment(0xC3, head) + segment(0xC4, table) + segment(0xDA, scan)
    return start + bytes(width * height * 3 // 8) + b"\xff\xd9"


@pytest.mark.parametrize("plan", [Plan(), Plan((Variant("thumb", 100, 100),))])
def test_a_lossless_jpeg_is_refused_as_in_a_full_decode(plan):
    with pytest.raises(OSError, match="broken data stream"):
        decoded(lossless())
    with pytest.raises(ImageBroken):
        render(lossless(), plan)


@pytest.mark.parametrize(
    "size", [(1, 400), (400, 1), (2, 333), (333, 3), (97, 131), (201, 98), (640, 481), (643, 482)]
)
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_odd_sizes(size, subsampling):
    data = encoded(noisy(size), subsampling=subsampling)
    sides = (1000, 320, 201, 131, WORTHWHILE, 97, 33, 1)
    for thumb, side in zip(thumbs(data, *sides), sides, strict=True):
        best = pillows(data, (side, side))
        assert thumb.size == best.size
        assert difference(thumb, best) < (4 if side > 1 else 8)


def stripes(size: tuple[int, int], step: int) -> Image.Image:
    """Return red and blue stripes, which differ little in brightness and much in colour."""
    image = Image.new("RGB", size, (200, 60, 60))
    for place in range(0, size[0], step):
        image.paste((60, 100, 200), (place, 0, place + step // 2, size[1]))
    return image


@pytest.mark.parametrize("size", [(803, 603), (806, 605), (799, 599), (1607, 1205)])
@pytest.mark.parametrize("side", [199, 200, 201, 202, 301])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_colours_do_not_shift(size, side, subsampling):
    data = encoded(stripes(size, 73), quality=95, subsampling=subsampling)
    for turn in (None, Image.Transpose.TRANSPOSE):
        if turn is not None:
            data = encoded(stripes(size, 73).transpose(turn), quality=95, subsampling=subsampling)
        thumb, best = thumbs(data, side)[0], pillows(data, (side, side))
        width, height = thumb.size
        for part in ((0, 0, 40, 40), (width - 40, height - 40, width, height)):
            assert difference(thumb.crop(part), best.crop(part)) < 5


def text() -> Image.Image:
    """Return red letters on blue, in several sizes."""
    image = Image.new("RGB", (600, 450), BLUE)
    draw = ImageDraw.Draw(image)
    for line in range(14):
        words = "Quick foxes jump over lazy dogs. " * 3
        draw.text((line, line * (line + 18)), words, fill=RED, font_size=9 + 2 * line)
    return image


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("side", [100, 199, 270, 400, 401, 560, 599, 600])
def test_colours_bleed_no_more_than_jpeg_lets_them(subsampling, side):
    data = encoded(text(), quality=95, subsampling=subsampling)
    full = decoded(data)
    raw = full.resize(fit_inside(full.size, (side, side)), Image.Resampling.LANCZOS)
    ours, jpegs = thumbs(data, side)[0], pillows(data, (side, side))
    assert difference(ours, raw) < 1.05 * difference(jpegs, raw)


def chroma(image: Image.Image) -> Image.Image:
    return Image.merge("RGB", [image.convert("YCbCr").getchannel(band) for band in (1, 2, 2)])


@pytest.mark.parametrize("side", [96, 150, 270])
def test_saturated_colours_stay(side):
    image = noisy((540, 405)).point(lambda value: 255 if value > 128 else 0)
    data = encoded(image, quality=95, subsampling=0)
    assert difference(chroma(thumbs(data, side)[0]), chroma(pillows(data, (side, side)))) < 4


@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_variant_as_large_as_the_image_is_only_encoded_once_more(subsampling):
    data = encoded(noisy((303, 202)), quality=95, subsampling=subsampling)
    image = Image.open(BytesIO(data))
    image.draft("YCbCr", image.size)
    thumb = render(data, Plan((Variant("thumb", 999, 999),)))[1]
    assert thumb.data == encoded(image, quality=75, comment=b"")


def test_a_profile_is_followed():
    colours = {RED: (0, 255, 0), BLUE: RED, (0, 255, 0): BLUE}
    for colour, shown in colours.items():
        data = encoded(Image.new("RGB", (300, 200), colour), icc_profile=rgb_profile("gbr"))
        for thumb in thumbs(data, 200, 64):
            assert about(thumb.getpixel((30, 20)), shown, within=8)
            assert "icc_profile" not in thumb.info


def test_a_profile_of_srgb_changes_nothing():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plan = Plan((Variant("thumb", 150, 150),))
    plain = render(encoded(NOISE), plan)[1]
    assert render(encoded(NOISE, icc_profile=srgb), plan)[1] == plain


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("profile", [None, rgb_profile("gbr")])
def test_variants_made_later_are_those_made_at_first(orientation, profile):
    names = ("300", "150", "120", "95", "40")
    plan = Plan(tuple(Variant(name, int(name), int(name)) for name in names))
    options = {} if profile is None else {"icc_profile": profile}
    data = encoded(noisy((700, 525)), exif=exif(orientation), **options)
    together = render(data, plan, only=names)
    assert [render(data, plan, only=[name]) for name in names] == [[each] for each in together]
    if orientation == 1:
        assert render(data, plan)[1:] == together
    first = decoded(render(data, plan)[1].data)
    assert difference(decoded(together[0].data), first) < 3


@pytest.mark.parametrize("share", [0.3, 0.9, 0.99])
@pytest.mark.parametrize("side", [None, 40, 200])
@pytest.mark.parametrize("kind", SURE)
def test_a_cut_file_is_refused(kind, side, share):
    plan = Plan() if side is None else Plan((Variant("thumb", side, side),))
    data = SURE[kind] if kind != "several pictures" else SURE[kind][: len(encoded(NOISE))]
    with pytest.raises(ImageBroken, match="truncated"):
        render(data[: int(len(data) * share)], plan)


def test_few_colours_are_decided_by_the_size_of_the_variant():
    data = encoded(text(), quality=95, subsampling=0)
    small, large = thumbs(data, WORTHWHILE - 1, WORTHWHILE)
    assert difference(small, pillows(data, (WORTHWHILE - 1,) * 2)) < difference(
        large, pillows(data, (WORTHWHILE,) * 2)
    )


def test_nothing_is_written_but_baseline_ycbcr():
    data = render(encoded(NOISE), Plan((Variant("thumb", 200, 200),)))[1].data
    image = Image.open(BytesIO(data))
    assert (image.mode, image.info["jfif"]) == ("RGB", 257)
    assert [layer[:3] for layer in image.layer] == [(1, 2, 2), (2, 1, 1), (3, 1, 1)]
    assert not ImageChops.difference(image, decoded(data)).getbbox()
