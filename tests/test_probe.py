"""What headers say of size: the same as Pillow says, and no error on any bytes."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from scrapy_imgpipe.probe import Probe, probe
from tests.pictures import encoded, noise

SIZE = (61, 47)


def made(kind: str, mode: str = "RGB", **options: object) -> bytes:
    return encoded(noise(SIZE, mode), kind, **options)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("GIF", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}),
        ("AVIF", {}),
        ("JPEG", {}),
    ],
)
def test_format_and_size_are_what_pillow_says(kind, options):
    data = made(kind, **options)
    seen = probe(data)
    with Image.open(BytesIO(data)) as image:
        assert seen is not None
        assert (seen.format, seen.width, seen.height) == (image.format, *image.size)
    assert seen.pixels == 61 * 47


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
    assert seen == Probe("JPEG", *SIZE, components, coefficients)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["II", "MM"])
def test_a_jpeg_tells_whether_it_is_turned(orientation, order):
    exif = Image.Exif()
    exif.endian = "<" if order == "II" else ">"
    exif[271] = "a maker"
    exif[274] = orientation
    seen = probe(made("JPEG", exif=exif))
    assert seen is not None
    assert seen.turned == (orientation != 1)


@pytest.mark.parametrize(
    "data",
    [b"", b"<!doctype html>", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"GIF89a", b"BM"],
    ids=repr,
)
def test_what_cannot_be_told_is_none(data):
    assert probe(data) is None


def test_a_jpeg_that_ends_before_its_frame_is_none():
    data = made("JPEG")
    assert probe(data[: data.index(b"\xff\xc0")]) is None


def test_a_jpeg_of_endless_segments_is_given_up():
    assert probe(b"\xff\xd8" + b"\xff\xe0\0\2" * 100_000 + made("JPEG")[2:]) is None


SEEDS = [made(kind) for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF")]


@given(st.sampled_from(SEEDS), st.integers(0, 400), st.binary(max_size=16), st.integers(0, 2000))
def test_no_bytes_make_it_raise(seed, place, patch, length):
    spoilt = seed[:place] + patch + seed[place + len(patch) :]
    for data in (spoilt, spoilt[:length], patch + seed):
        seen = probe(data)
        assert seen is None or seen.width >= 0
