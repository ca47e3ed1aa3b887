"""Limits of pixels, shapes and frames: told by the header, before a pixel is decoded."""

from __future__ import annotations

import io
import random
import warnings
import zlib

import pytest
from PIL import Image

from scrapy_imgpipe.errors import ImageBroken, SourceRejected
from scrapy_imgpipe.imaging import Plan, Variant, check_early, check_head, reads, render
from scrapy_imgpipe.imaging import decode as decoding
from scrapy_imgpipe.probe import Prober
from tests.hostile_files.making import PNG, chunk, header, rle_bitmap
from tests.pictures import encoded, noise

EMPTY_TEXT = b"\0\0\0\0tEXt" + zlib.crc32(b"tEXt").to_bytes(4, "big")
SMALL = Variant("small", 40, 40)


def refusal(data: bytes, plan: Plan) -> str:
    with pytest.raises(SourceRejected) as caught:
        render(data, plan)
    return caught.value.code


def animation(kind: str, frames: int) -> bytes:
    first, *others = (noise((20, 10)) for _ in range(frames))
    return encoded(first, kind, save_all=True, append_images=others)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "PPM"])
def test_pixels(kind):
    data = encoded(noise((40, 25)), kind, **({"progressive": True} if kind == "JPEG" else {}))
    assert render(data, Plan(max_pixels=1000))
    assert render(data, Plan(max_pixels=0))
    assert refusal(data, Plan(max_pixels=999)) == "too-many-pixels"


def test_a_baseline_jpeg_counts_with_what_is_decoded_of_it():
    picture = noise((800, 600))
    baseline, progressive = encoded(picture), encoded(picture, progressive=True)
    plan = Plan((SMALL,), max_pixels=800 * 600 // 64)
    assert [picture.width for picture in render(baseline, plan)] == [800, 40]
    assert refusal(progressive, plan) == "too-many-pixels"
    assert refusal(baseline, Plan((SMALL,), max_pixels=800 * 600 // 64 - 1)) == "too-many-pixels"
    assert refusal(baseline, Plan((Variant("large", 700),), max_pixels=9999)) == "too-many-pixels"
    grey = encoded(picture.convert("L"))
    assert refusal(grey, plan) == "too-many-pixels"


def test_pillows_own_limit_counts_where_somebody_has_lowered_it(monkeypatch):
    data = encoded(noise((40, 25)), "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 499)
    assert refusal(data, Plan()) == "too-many-pixels"
    assert refusal(data, Plan(max_pixels=0)) == "too-many-pixels"
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    assert render(data, Plan())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert render(data, Plan())


@pytest.mark.filterwarnings("error")
def test_more_pixels_than_pillow_allows():
    side = 13_400  # 179,560,000 pixels; Pillow refuses more than 178,956,970
    data = encoded(Image.new("1", (side, side)), "PNG")
    assert refusal(data, Plan()) == "too-many-pixels"
    assert decoding.open_image(data, ("PNG",), side * side).size == (side, side)
    with pytest.raises(SourceRejected):
        decoding.open_image(data)


def test_shapes():
    lying, standing = encoded(noise((60, 20)), "PNG"), encoded(noise((20, 60)), "PNG")
    for data in (lying, standing):
        assert render(data, Plan(max_aspect_ratio=3, min_side=20))
        assert refusal(data, Plan(max_aspect_ratio=2.99)) == "aspect-ratio"
        assert refusal(data, Plan(min_side=21)) == "too-small"


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF", "TIFF"])
def test_frames(kind):
    data = animation(kind, 5)
    assert render(data, Plan(max_frames=5))
    assert render(data, Plan(max_frames=0))
    assert refusal(data, Plan(max_frames=4)) == "too-many-pixels"
    assert render(encoded(noise((20, 10)), kind), Plan(max_frames=1))


def test_what_is_stored_is_mended_under_any_limit():
    data = encoded(noise((40, 25)))
    plan = Plan((SMALL,), max_pixels=1, min_side=100, max_aspect_ratio=1, max_frames=0)
    assert render(data, plan, only={"small"})


# --- while it comes in ---


def early(data: bytes, plan: Plan, **options) -> tuple[str, int]:
    """Return why *data* is refused while it comes in, byte by byte, and after how many."""
    prober = Prober()
    for count in range(len(data)):
        prober.feed(data[count : count + 1])
        try:
            check_early(prober, plan, **options)
        except SourceRejected as refused:
            return refused.code, count
    return "", len(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "BMP", "TIFF"])
def test_early_is_before_the_pixels_and_as_at_the_end(kind):
    data = encoded(noise((90, 60)), kind, **({"progressive": True} if kind == "JPEG" else {}))
    for plan in (
        Plan(max_pixels=5399),
        Plan(min_side=61),
        Plan(max_aspect_ratio=1.4),
        Plan(min_width=91, min_height=91),
        Plan(formats=("GIF",)),
    ):
        code, count = early(data, plan, whole=True)
        assert (code, count < 1000 or kind == "TIFF") == (refusal(data, plan), True)
    assert early(data, Plan(max_pixels=5400, min_width=60, max_aspect_ratio=1.5))[0] == ""


def test_early_is_never_sure_of_what_a_turn_may_mend():
    data = encoded(noise((90, 60)))
    assert early(data, Plan(min_height=90))[0] == ""
    assert early(data, Plan(min_height=91))[0] == "too-small"


def test_the_screen_of_a_gif_is_not_its_size():
    data = encoded(noise((90, 60)), "GIF")
    assert early(data, Plan(min_side=61)) == ("", len(data))


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"<!doctype html>", "not-an-image"),
        (b'{"a": 1}', "not-an-image"),
        (b"\0\0\0\x20ftypisom", "not-an-image"),
        (b"GIF89a", "format-not-allowed"),
        (b"\xff\xd8\xff", ""),
        (b"P6 1 1 255 ", "format-not-allowed"),
        (b"P6\n# Created by GIMP\n1 1 255 ", "not-an-image"),
    ],
)
def test_heads(head, code):
    found = ""
    try:
        check_head(head, ("JPEG", "PNG"))
    except SourceRejected as refused:
        found = refused.code
    assert found == code


def test_a_format_without_signature_may_begin_like_anything():
    check_head(b"\0\0\2\0", ("JPEG", "TGA"))
    with pytest.raises(SourceRejected, match="HTML"):
        check_head(b"<html>", ("JPEG", "TGA"))


# --- pieces ---


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff" + bytes(20 << 20),
        b"\xff\xd8" + b"\xff\xfe\0\2" * (1 << 20),
        b"\xff\xd8" + b"\xff" * (4 << 20),
        encoded(noise((10, 10)), "PNG")[:33] + EMPTY_TEXT * (1 << 20),
        b"GIF89a\x10\0\x10\0\0\0\0" + b"!\xfe\1a\0" * (1 << 20),
    ],
    ids=["nuls", "segments", "fill", "chunks", "blocks"],
)
def test_a_header_in_too_many_pieces_is_given_up(data):
    with pytest.raises(ImageBroken, match="too many pieces"):
        render(data, Plan())


def test_as_many_pieces_as_a_file_of_its_length_may_have():
    picture = io.BytesIO()
    noise((300, 200)).save(picture, "TIFF", tiffinfo={278: 1})  # a strip for each row
    assert render(picture.getvalue(), Plan())


def rle(size: tuple[int, int]) -> bytes:
    """Return a BMP whose runs have a pixel or two."""
    draw, runs = random.Random(3), bytearray()
    for _ in range(size[1]):
        for _ in range(0, size[0], 3):
            runs += bytes([1, draw.randrange(256), 2, draw.randrange(256)])
        runs += b"\0\0"
    return rle_bitmap(*size, bytes(runs) + b"\0\1")


def in_chunks(size: tuple[int, int], length: int) -> bytes:
    """Return a PNG whose pixels are in chunks of so many bytes."""
    pixels = random.Random(3).randbytes(size[0] * size[1])
    rows = [b"\0" + pixels[at : at + size[0]] for at in range(0, len(pixels), size[0])]
    packed = zlib.compress(b"".join(rows), 1)
    parts = [chunk(b"IDAT", packed[at : at + length]) for at in range(0, len(packed), length)]
    return PNG + header(*size) + b"".join(parts) + chunk(b"IEND")


def pgm(most: int) -> bytes:
    return b"P5\n480 320\n%d\n" % most + random.Random(3).randbytes(480 * 320 * (1 + (most > 255)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: rle((400, 300)),
        lambda: in_chunks((1200, 1000), 32),
        lambda: pgm(254),
        lambda: pgm(1023),
        lambda: pgm(255),
    ],
    ids=["run lengths", "small chunks", "scaled", "10 bits", "8 bits"],
)
def test_what_is_decoded_in_many_pieces_is_no_harm(make):
    with warnings.catch_warnings(action="ignore"):
        assert render(make(), Plan())


def test_frames_of_a_gif_are_gone_through_more_than_once(monkeypatch):
    monkeypatch.setattr(reads, "_READS", 500)
    frames = [noise((200, 150), "P") for _ in range(20)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    plan = Plan((Variant("v", 40, format="WEBP", frames=60),))
    with Image.open(io.BytesIO(render(data, plan)[1].data)) as image:
        assert image.n_frames == 20


@pytest.mark.parametrize(
    "data",
    [
        in_chunks((40, 30), 1 << 20)[:-12] + EMPTY_TEXT * (1 << 18),
        rle_bitmap(6000, 6000, b"\0\0" * 6000 + b"\0\1"),
        b"P6\n1500 1500\n254\n" + bytes(1500 * 1500 * 3),
    ],
    ids=["chunks", "rows", "samples"],
)
def test_what_takes_too_long_to_decode_is_given_up(data):
    with pytest.raises(ImageBroken, match=r"too many pieces|takes too long"):
        render(data, Plan())


def test_run_lengths_without_end_are_given_up(monkeypatch):
    monkeypatch.setitem(reads._WHILE_DECODING, "bmp_rle", (1, 1000))
    with pytest.raises(ImageBroken, match="too many pieces"):
        render(rle_bitmap(500, 500, b"\xff\0" * 100_000), Plan())


@pytest.mark.parametrize("head", [b"P6\n# a\n1 1\n255\n", b"Pf\n1 1\n1\n", b"II\0*", b"PyRGBA\n"])
def test_what_a_decoder_may_open_is_not_refused_early(head):
    check_head(head, ("JPEG", "PPM", "TIFF"))


def test_other_words_for_a_format_count_early():
    data = encoded(noise((90, 60)), "AVIF").replace(b"ftypavif", b"ftypheic", 1)
    assert early(data, Plan(formats=("JPEG", "HEIC")))[0] == ""


def test_blanks_and_comments_without_end_take_no_time():
    for data in (b"P6" + b" " * 20_000_000, b"P6" + b"#\n" * 10_000_000):
        with pytest.raises((SourceRejected, ImageBroken)):
            render(data, Plan(max_frames=1000))
