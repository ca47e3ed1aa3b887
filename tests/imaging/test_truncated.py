"""Images that were cut off: refused, or as far as they go."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PIL import Image, ImageFile

from scrapy_imgpipe.errors import ImageBroken
from scrapy_imgpipe.imaging import Plan, Variant, render
from tests.imaging.pictures import decoded, difference, encoded, noisy

SIZE = (320, 240)
KEEP = Plan((Variant("small", 80),), truncated=True)
KINDS = {
    "baseline": ("JPEG", {}),
    "progressive": ("JPEG", {"progressive": True}),
    "png": ("PNG", {}),
    "gif": ("GIF", {"interlace": 0}),
    "bmp": ("BMP", {}),
    "tiff": ("TIFF", {}),
}


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def cut(request):
    kind, options = request.param
    picture = noisy(SIZE)
    data = encoded(picture, kind, **options)
    return kind, data[: len(data) * 6 // 10], decoded(data).convert("RGB")


def test_by_default_it_is_refused(cut):
    with pytest.raises(ImageBroken):
        render(cut[1], replace(KEEP, truncated=False))
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


@pytest.mark.parametrize("full_kind", ["jpeg", "source"])
def test_what_is_there_is_rendered(cut, full_kind):
    kind, data, whole = cut
    full, small = render(data, replace(KEEP, full=full_kind))
    assert full.truncated
    assert full.format == (kind if full_kind == "source" else "JPEG")
    assert (full.width, full.height) == SIZE
    shown = decoded(full.data).convert("RGB")
    top = (0, 0, SIZE[0], SIZE[1] // 3) if kind != "BMP" else (0, SIZE[1] * 2 // 3, *SIZE)
    assert difference(shown.crop(top), whole.crop(top)) < 20
    assert difference(shown, whole) > 1
    assert (small.width, small.height) == (80, 60)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
    again, _ = render(full.data, replace(KEEP, full=full_kind, truncated=False))
    assert not again.truncated


def test_a_whole_image_is_no_other_for_it():
    data = encoded(noisy(SIZE))
    full, _ = render(data, KEEP)
    assert full.data is data
    assert not full.truncated


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF"])
def test_of_nothing_nothing_is_made(kind):
    data = encoded(noisy(SIZE), kind)
    for length in (12, 30, 60):
        with pytest.raises(ImageBroken):
            render(data[:length], KEEP)


@pytest.mark.parametrize("kind", ["WEBP", "AVIF"])
def test_formats_that_show_nothing_before_their_end(kind):
    data = encoded(noisy(SIZE), kind)
    with pytest.raises(ImageBroken):
        render(data[: len(data) // 2], KEEP)


def test_a_lost_tail_of_nuls_counts_as_cut():
    data = encoded(noisy(SIZE))
    data = data[: len(data) // 2] + bytes(len(data) // 2)
    full, _ = render(data, KEEP)
    assert full.truncated
    assert Image.open(__import__("io").BytesIO(full.data)).size == SIZE


def test_a_progressive_jpeg_that_was_cut_between_two_scans():
    data = encoded(noisy(SIZE), progressive=True)
    first = data.index(b"\xff\xda")
    heads = [
        at for at in range(first + 99, len(data)) if data[at : at + 2] in {b"\xff\xc4", b"\xff\xda"}
    ]
    assert len(heads) > 9
    for at in heads:
        length = int.from_bytes(data[at + 2 : at + 4])
        for end in {
            at + 1,
            at + 2,
            at + 3,
            at + 4,
            at + 9,
            at + length,
            at + 1 + length,
            at + 2 + length,
        }:
            full, _ = render(data[:end], KEEP)
            assert full.truncated
    scan = data[: heads[0]]
    assert render(data[: heads[0] + 5], KEEP)[0].data == scan + b"\xff\xd9"
