"""Which bytes are opened, what the refusal says, and which way is up."""

from __future__ import annotations

import pytest
from PIL import Image, ImageFile, ImageOps

from scrapy_imgpipe.errors import ImageBroken, SourceRejected
from scrapy_imgpipe.imaging import DEFAULT_FORMATS, Plan, inspect, open_image, render, upright
from tests.imaging.pictures import decoded, difference, encoded, exif, noisy

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
ENTRANCES = [
    open_image,
    inspect,
    lambda data, formats: render(data, Plan(formats=formats)),
]


def refused(call, *arguments):
    with pytest.raises((SourceRejected, ImageBroken)) as caught:
        call(*arguments)
    return caught.value.code


def test_nothing_that_starts_a_program_is_on_the_list():
    assert not {"EPS", "PDF", "WMF", "FPX", "MIC"} & set(DEFAULT_FORMATS)
    assert Plan().formats == DEFAULT_FORMATS


@pytest.mark.parametrize("call", ENTRANCES)
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not-an-image"),
        (b"<html><body>Not found</body></html>", "not-an-image"),
        (b"BMW is no bitmap, and P5 no pixmap", "not-an-image"),
        (b"\0" * 5000, "not-an-image"),
        (EPS, "format-not-allowed"),
        (b"\xc5\xd0\xd3\xc6" + bytes(60), "format-not-allowed"),
        (b"8BPS\0\1" + bytes(60), "format-not-allowed"),
        (b"\0\0\0\x18ftypheic" + bytes(60), "format-not-allowed"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60), "format-not-allowed"),
        (b"\xff\xd8\xff\xe0 and no more", "broken"),
        (b"\x89PNG\r\n\x1a\n and no more", "broken"),
        (b"GIF89a", "broken"),
    ],
)
def test_codes_of_what_cannot_be_opened(call, data, code):
    assert refused(call, data, DEFAULT_FORMATS) == code


@pytest.mark.parametrize("call", ENTRANCES)
@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "BMP", "TIFF", "ICO", "PPM", "AVIF"])
def test_formats_not_on_the_list_are_not_tried(call, kind):
    data = encoded(noisy(), kind)
    assert refused(call, data, ("JPEG",)) == "format-not-allowed"
    call(data, (kind,))


@pytest.mark.parametrize("formats", [("JPEG",), ("MPO",), ("mpo", "png"), ("NO-SUCH", "JPEG")])
def test_names_of_formats(formats):
    many = encoded(noisy(), "MPO", save_all=True, append_images=[noisy(seed=2)])
    for data, kind in ((encoded(noisy()), "JPEG"), (many, "MPO")):
        assert open_image(data, formats).format == kind


def test_too_many_pixels(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    for kind in ("JPEG", "PNG"):
        assert refused(render, encoded(noisy(), kind), Plan()) == "too-many-pixels"


def test_pixels_are_not_decoded_when_opened():
    data = encoded(noisy(), "PNG")
    assert open_image(data[: len(data) // 2]).size == (96, 64)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_upright_is_pillows(kind, orientation):
    image = open_image(encoded(noisy(), kind, exif=exif(orientation)))
    turned = upright(image)
    assert difference(turned, ImageOps.exif_transpose(image)) == 0
    assert (turned is image) == (orientation == 1)
    assert turned.format == (kind if orientation == 1 else None)
    assert upright(turned) is turned


def test_orientation_in_xmp_only():
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'
    data = encoded(noisy(), xmp=packet)
    turned = upright(open_image(data))
    assert turned.size == (64, 96)
    assert upright(turned) is turned


@pytest.mark.parametrize(
    "tags",
    [
        b"Exif\0\0garbage",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff",
        b"Exif\0\0",
        exif(9).tobytes(),
        exif(0).tobytes(),
    ],
)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_malformed_exif_counts_as_upright(tags):
    data = encoded(noisy(), exif=tags)
    image = open_image(data)
    assert upright(image) is image
    assert render(data, Plan())[0].data is data


def test_upright_decodes_to_the_end():
    data = encoded(noisy())
    with pytest.raises(ImageBroken):
        upright(open_image(data[:-200]))


def test_a_turned_image_brings_no_second_orientation():
    full = render(encoded(noisy(), exif=exif(6)), Plan())[0]
    assert decoded(full.data).getexif() == {}
    assert render(full.data, Plan())[0].data is full.data


def test_a_picture_of_many_strips_is_not_read_anew_for_each():
    """Where all strips begin at one place, each of them reads a whole piece from there."""
    data = encoded(noisy((40, 300)), "TIFF", tiffinfo={278: 1})  # rows per strip
    with open_image(data) as image:
        assert len(image.tile) == 300
        assert image.decodermaxblock == ImageFile.MAXBLOCK


@pytest.mark.parametrize("kind", ["JPEG", "BMP", "PPM"])
def test_the_decoder_gets_the_file_in_one_piece(kind, monkeypatch):
    data = encoded(noisy((1200, 900)), kind)
    assert len(data) > 2 * ImageFile.MAXBLOCK
    pieces = []

    class Counting:
        def __init__(self, decoder):
            self._decoder = decoder

        def __getattr__(self, name):
            return getattr(self._decoder, name)

        def decode(self, piece):
            pieces.append(len(piece))
            return self._decoder.decode(piece)

    make = Image._getdecoder
    monkeypatch.setattr(Image, "_getdecoder", lambda *args: Counting(make(*args)))
    open_image(data).load()
    assert len(pieces) == 1
