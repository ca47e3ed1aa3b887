"""Whether a stored file is whole, without decoding what need not be decoded."""

from __future__ import annotations

import pytest

from scrapy_imgpipe.errors import ImageBroken, SourceRejected
from scrapy_imgpipe.imaging import Inspection, inspect
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
