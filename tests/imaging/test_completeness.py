"""Whether a stored file is whole, without decoding what need not be decoded."""

from __future__ import annotations

import struct

import pytest

from scrapy_imgpipe.errors import ImageBroken, SourceRejected
from scrapy_imgpipe.imaging import Inspection, Plan, inspect, render
from scrapy_imgpipe.imaging.pages import has_all_pages
from tests.imaging.pictures import encoded, exif, noisy

KINDS = ["JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF"]


def stored(kind: str, **options: object) -> bytes:
    if kind == "MPO":
        options = {"save_all": True, "append_images": [noisy(seed=2)]}
    return encoded(noisy(), kind, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_whole_files(kind):
    assert inspect(stored(kind)) == Inspection(96, 64, "JPEG" if kind == "MPO" else kind)


def test_the_size_is_of_the_stored_pixels():
    assert inspect(stored("JPEG", exif=exif(6))) == Inspection(96, 64, "JPEG")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "MPO"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.98])
def test_cut_files(kind, share):
    data = stored(kind)
    with pytest.raises(ImageBroken) as caught:
        inspect(data[: int(len(data) * share)])
    assert caught.value.code == "broken"


@pytest.mark.parametrize("progressive", [False, True])
def test_every_cut_near_the_end_of_a_jpeg(progressive):
    data = stored("JPEG", progressive=progressive)
    for cut in range(1, 60):
        with pytest.raises(ImageBroken):
            inspect(data[:-cut])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_a_tail_of_nuls_where_data_was(kind):
    data = stored(kind)
    with pytest.raises(ImageBroken):
        inspect(data[: -len(data) // 2] + bytes(len(data) // 2))


def test_nuls_behind_a_webp_are_no_hole():
    assert inspect(stored("WEBP") + bytes(3000)).format == "WEBP"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_metadata_may_end_in_nuls(kind):
    data = stored(kind, exif=exif(1).tobytes() + bytes(3000))
    assert inspect(data).format == kind
    assert inspect(render(data, Plan(full="source"))[0].data).format == kind


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("rest", [0, 40, 1000, 4000])
def test_a_webp_whose_tail_was_lost_from_its_metadata_or_before(lossless, rest):
    data = stored("WEBP", exif=exif(1).tobytes() + b"x" * 2000, lossless=lossless)
    start = data.index(b"EXIF") - rest
    with pytest.raises(ImageBroken):
        inspect(data[:start] + bytes(len(data) - start))


@pytest.mark.parametrize("tail", [b"\0", bytes(3000), b"\r\n", b"<!-- cached -->" * 50])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
def test_more_than_the_image_is_no_harm(kind, tail):
    assert inspect(stored(kind) + tail).width == 96


@pytest.mark.parametrize("data", [b"", bytes(4000), b"404 Not Found"])
def test_no_image_at_all(data):
    with pytest.raises(SourceRejected) as caught:
        inspect(data)
    assert caught.value.code == "not-an-image"


def test_a_header_without_pixels():
    data = stored("JPEG")
    with pytest.raises(ImageBroken):
        inspect(data[: data.index(b"\xff\xda")] + b"\xff\xd9")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_the_end_is_believed_and_pixels_are_left_alone(kind):
    data = bytearray(stored(kind))
    data[len(data) // 2 : -100] = bytes(b ^ 0x55 for b in data[len(data) // 2 : -100])
    assert inspect(bytes(data)).format == kind


PAGES = {
    "plain": {},
    "lzw": {"compression": "tiff_lzw"},
    "big": {"big_tiff": True},
    "strips": {"strip_size": 2000},
}


@pytest.mark.parametrize("options", PAGES.values(), ids=PAGES)
def test_pages_of_a_tiff_that_were_cut_off(options):
    others = [noisy(seed=seed) for seed in range(2, 5)]
    data = encoded(noisy(), "TIFF", save_all=True, append_images=others, **options)
    source = Plan(full="source")
    assert render(data, source)[0].data is data
    assert inspect(data).format == "TIFF"
    for share in (0.3, 0.5, 0.76, 0.99):
        cut = data[: int(len(data) * share)]
        with pytest.raises(ImageBroken):
            render(cut, source)
        with pytest.raises(ImageBroken):
            inspect(cut)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_frames_that_were_cut_off(kind):
    others = [noisy(seed=seed) for seed in range(2, 5)]
    data = encoded(noisy(), kind, save_all=True, append_images=others)
    assert inspect(data).format == kind
    with pytest.raises(ImageBroken):
        inspect(data[: len(data) // 2])


def test_pictures_of_an_mpo_are_no_part_of_it():
    data = encoded(noisy(), "MPO", save_all=True, append_images=[noisy(seed=2), noisy(seed=3)])
    cut = data[: len(data) * 2 // 3]
    assert render(cut, Plan(full="source"))[0].data is cut


def directory(order: str, fields: list[tuple[int, int, int, int]], following: int = 0) -> bytes:
    body = b"".join(struct.pack(f"{order}HHII", *field) for field in fields)
    head = b"II*\0" if order == "<" else b"MM\0*"
    return (
        head
        + struct.pack(f"{order}IH", 8, len(fields))
        + body
        + struct.pack(f"{order}I", following)
    )


@pytest.mark.parametrize("order", "<>")
def test_where_the_pixels_of_a_page_are(order):
    few = [(273, 4, 1, 38), (279, 4, 1, 4)]
    assert has_all_pages(directory(order, few) + b"1234")
    assert not has_all_pages(directory(order, few) + b"123")
    untold = directory(order, [(273, 4, 1, 26)])  # how many bytes there are
    assert has_all_pages(untold + b"1")
    assert not has_all_pages(untold)
    assert not has_all_pages(directory(order, [(324, 4, 2, 99)]) + b"1234")
    assert has_all_pages(directory(order, [(324, 5, 1, 99)]))  # fractions: none of ours
    assert not has_all_pages(directory(order, [], following=4000))
    assert has_all_pages(directory(order, [], following=8))  # a circle
    assert not has_all_pages(b"II*\0")
    assert not has_all_pages(b"")


def test_a_hostile_tiff_takes_no_time():
    many = directory("<", [(273, 4, 2**31, 0)] * 9)
    assert has_all_pages(many)
    again = bytearray(
        directory("<", [(273, 4, 400_000, 8), (324, 4, 400_000, 8)]) + bytes(1_600_000)
    )
    assert has_all_pages(bytes(again)) in {True, False}
