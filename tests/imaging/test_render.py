"""What is delivered: untouched where it may be, upright, in order, from one decode."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pytest
from PIL import Image, ImageOps, JpegImagePlugin

from scrapy_imgpipe.errors import SourceRejected
from scrapy_imgpipe.imaging import FULL, Plan, Variant, fit_inside, render
from tests.imaging.pictures import decoded, difference, encoded, exif, noisy

BIG, SMALL = Variant("big", 64, 64), Variant("small", 20, 20)
PLAN = Plan((SMALL, BIG))


def mpo() -> bytes:
    return encoded(noisy(), "MPO", save_all=True, append_images=[noisy(seed=2)])


@pytest.mark.parametrize("plan", [Plan(), PLAN])
@pytest.mark.parametrize(
    "options",
    [
        {"quality": 93},
        {"quality": 30, "progressive": True},
        {"subsampling": 0, "optimize": True},
        {"exif": exif(1), "comment": b"hello"},
        {"restart_marker_rows": 1},
    ],
)
def test_an_upright_jpeg_passes_through(options, plan):
    data = encoded(noisy(), **options)
    full = render(data, plan)[0]
    assert full.data is data
    assert (full.name, full.width, full.height, full.format) == (FULL, 96, 64, "JPEG")


def test_a_picture_of_several_pictures_passes_through():
    data = mpo()
    assert Image.open(BytesIO(data)).format == "MPO"
    full, thumb = render(data, Plan((SMALL,)))
    assert full.data is data
    assert difference(decoded(thumb.data), noisy().resize((20, 13), Image.Resampling.LANCZOS)) < 16


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "ICO"])
def test_other_formats_become_jpeg(kind):
    data = encoded(noisy(), kind)
    full, thumb = render(data, Plan((SMALL,)))
    source = decoded(data).convert("RGB")
    assert full.data == encoded(source, quality=75)
    assert full.format == thumb.format == "JPEG"
    assert (full.width, full.height) == source.size
    assert (
        decoded(thumb.data).size == (thumb.width, thumb.height) == fit_inside(source.size, (20, 20))
    )


def test_full_image_first_then_the_order_of_the_plan():
    plan = Plan((SMALL, BIG, Variant("again", 20, 20), Variant("wide", 4000, 30)))
    pictures = render(encoded(noisy()), plan)
    assert [picture.name for picture in pictures] == [FULL, "small", "big", "again", "wide"]
    assert [(p.width, p.height) for p in pictures[1:]] == [(20, 13), (64, 43), (20, 13), (45, 30)]
    assert pictures[1].data == pictures[3].data
    for picture in pictures:
        assert decoded(picture.data).size == (picture.width, picture.height)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_only_some_variants(kind):
    data = encoded(noisy(), kind)
    plan = Plan((SMALL, BIG), min_width=1000)  # was stored under another rule
    assert render(data, plan, only=[]) == []
    assert [picture.name for picture in render(data, plan, only={"big", "gone"})] == ["big"]
    assert [picture.name for picture in render(data, plan, only=("big", "small"))] == [
        "small",
        "big",
    ]


def test_variants_are_never_enlarged():
    _, thumb = render(encoded(noisy()), Plan((Variant("huge", 5000, 5000),)))
    assert (thumb.width, thumb.height) == (96, 64)


def test_a_flat_thumbnail_is_byte_for_byte_pillows():
    data = encoded(Image.new("RGB", (50, 50)), quality=75)
    _, thumb = render(data, Plan((SMALL,)))
    assert thumb.data == encoded(Image.new("RGB", (20, 20)), quality=75)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_every_orientation(kind, orientation):
    data = encoded(noisy(), kind, exif=exif(orientation))
    expected = ImageOps.exif_transpose(decoded(data)).convert("RGB")
    full, small, big = render(data, PLAN)
    assert (full.width, full.height) == expected.size
    assert difference(decoded(full.data), expected) < 9
    assert decoded(full.data).getexif().get(0x0112, 1) == 1
    for picture, box in ((small, (20, 20)), (big, (64, 64))):
        thumb = expected.copy()
        thumb.thumbnail(box, Image.Resampling.LANCZOS)
        assert difference(decoded(picture.data), thumb) < 16  # 60 and more when turned wrong
    alone = render(data, PLAN, only=["big"])[0]
    assert difference(decoded(alone.data), decoded(big.data)) < 3


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_a_turned_jpeg_keeps_its_tables(orientation, subsampling):
    data = encoded(noisy(), quality=93, subsampling=subsampling, exif=exif(orientation))
    source, full = decoded(data), decoded(render(data, Plan())[0].data)
    assert full.quantization == source.quantization
    assert JpegImagePlugin.get_sampling(full) == subsampling
    assert "exif" not in full.info


@pytest.mark.parametrize("plan", [Plan(), PLAN])
def test_a_grey_jpeg_keeps_its_table_in_three_colours(plan):
    data = encoded(noisy(mode="L"), quality=94)
    full = decoded(render(data, plan)[0].data)
    assert full.mode == "RGB"
    assert full.quantization[0] == decoded(data).quantization[0]
    assert difference(full, decoded(data)) < 1


@pytest.mark.parametrize(
    ("size", "minimum", "message"),
    [
        ((50, 50), (100, 100), "Image too small (50x50 < 100x100)"),
        ((96, 64), (96, 65), "Image too small (96x64 < 96x65)"),
        ((96, 64), (97, 1), "Image too small (96x64 < 97x1)"),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_too_small(kind, size, minimum, message):
    with pytest.raises(SourceRejected) as caught:
        render(encoded(noisy(size), kind), Plan((), *minimum))
    assert (str(caught.value), caught.value.code) == (message, "too-small")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_minimum_is_of_the_upright_image(kind):
    data = encoded(noisy(), kind, exif=exif(6))
    assert render(data, Plan(min_width=64, min_height=96))[0].width == 64
    with pytest.raises(SourceRejected, match=r"64x96 < 65x96"):
        render(data, Plan(min_width=65, min_height=96))


@pytest.mark.parametrize("size", [(5000, 4), (4, 5000), (1, 1), (1, 300), (300, 1), (7, 9)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_odd_shapes(kind, size):
    boxes = [(1, 1), (2, 300), (300, 2), (50, 50), (1000, 1000)]
    plan = Plan(tuple(Variant(str(box), *box) for box in boxes))
    data = encoded(noisy(size), kind)
    for orientation in (1, 6):
        turned = encoded(decoded(data), kind, exif=exif(orientation))
        upright = size if orientation == 1 else size[::-1]
        for picture, box in zip(render(turned, plan)[1:], boxes, strict=True):
            assert (picture.width, picture.height) == fit_inside(upright, box)
            assert decoded(picture.data).size == (picture.width, picture.height)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG", "AVIF"])
def test_of_several_frames_the_first(kind):
    data = encoded(noisy(), kind, save_all=True, append_images=[noisy(seed=2), noisy(seed=3)])
    full = render(data, Plan())[0]
    assert difference(decoded(full.data), noisy()) < 12
    assert difference(decoded(full.data), noisy(seed=2)) > 25


@pytest.mark.parametrize("size", [(403, 301), (1201, 799)])
def test_variants_are_as_good_as_from_a_full_decode(size):
    data = encoded(noisy(size), quality=92)
    full = decoded(data)
    boxes = [(300, 300), (141, 141), (64, 64), (37, 37)]
    pictures = render(data, Plan(tuple(Variant(str(box), *box) for box in boxes)))
    for picture, box in zip(pictures[1:], boxes, strict=True):
        best = full.resize(fit_inside(size, box), Image.Resampling.LANCZOS)
        best = decoded(encoded(best, quality=75))
        assert difference(decoded(picture.data), best) < 2.5


def test_no_edge_shifts_when_the_scale_does_not_divide():
    stripes = Image.new("RGB", (803, 601))
    for x in range(0, 803, 73):
        stripes.paste((255, 255, 255), (x, 0, x + 36, 601))
    data = encoded(stripes, quality=95)
    thumb = decoded(render(data, Plan((Variant("t", 100, 100),)))[1].data)
    best = stripes.resize((100, 75), Image.Resampling.LANCZOS)
    assert difference(thumb.crop((60, 0, 100, 75)), best.crop((60, 0, 100, 75))) < 5


def test_threads_do_not_disturb_each_other():
    sources = [
        encoded(noisy((300, 200), seed=seed), kind)
        for seed in (1, 2)
        for kind in ("JPEG", "PNG", "WEBP")
    ]
    expected = [render(data, PLAN) for data in sources]
    with ThreadPoolExecutor(8) as threads:
        for _ in range(5):
            assert list(threads.map(lambda data: render(data, PLAN), sources)) == expected


def test_nothing_stays_open_or_alive():
    data = encoded(noisy(), "PNG")
    render(data, PLAN)
    gc.collect()
    gc.disable()
    try:
        before = sum(isinstance(each, Image.Image) for each in gc.get_objects())
        pictures = render(data, PLAN)
        after = sum(isinstance(each, Image.Image) for each in gc.get_objects())
    finally:
        gc.enable()
    assert len(pictures) == 3
    assert after == before
