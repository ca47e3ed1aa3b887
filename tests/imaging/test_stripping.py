"""Full images that pass through without their metadata, and what follows an image."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from dataclasses import replace

import pytest
from PIL import Image

from scrapy_imgpipe.imaging import Plan, render, trailing_bytes
from tests.imaging.pictures import alpha_bmp, decoded, encoded, noisy

SECRET = "at home, 52.5 N"
STRIP = Plan(full="source", strip="all")


def tagged(orientation=1):
    tags = Image.Exif()
    tags.update({0x0112: orientation, 0x013B: "Ann", 0x8298: "(c) Ann", 0x010E: SECRET})
    return tags


def archive():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        zipped.writestr("payload.txt", SECRET)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("strip", ["all", "copyright"])
def test_what_is_kept_loses_its_metadata_and_no_pixel(kind, orientation, strip):
    data = encoded(noisy(), kind, exif=tagged(orientation))
    assert SECRET.encode() in data
    (full,) = render(data, replace(STRIP, strip=strip))
    assert full.data is not data
    assert SECRET.encode() not in full.data
    before, after = decoded(data), decoded(full.data)
    tags = after.getexif()
    # a decoded TIFF is upright already, and so it is written
    assert tags.get(0x0112, 1) == (1 if kind == "TIFF" else orientation)
    assert (tags.get(0x013B), tags.get(0x8298)) == (
        ("Ann", "(c) Ann") if strip == "copyright" else (None, None)
    )
    if kind == "AVIF":  # encoded anew: there is no other way
        assert after.size == before.size
    else:
        assert after.tobytes() == before.tobytes()
    assert render(full.data, replace(STRIP, strip=strip))[0].data is not None


def test_a_jpeg_that_passes_through_is_stripped_too():
    data = encoded(noisy(), exif=tagged())
    plain = encoded(noisy())
    (full,) = render(data, Plan(strip="all"))
    assert SECRET.encode() not in full.data
    assert decoded(full.data).tobytes() == decoded(data).tobytes()
    assert render(plain, Plan(strip="all"))[0].data is plain
    assert render(data, Plan())[0].data is data


def test_one_that_cannot_be_followed_is_encoded_anew():
    data = encoded(noisy(), exif=tagged())
    at = data.index(b"\xff\xdb")  # junk between two segments: decoders skip it
    broken = data[:at] + b"\0\0\0" + data[at:]
    assert SECRET.encode() in broken
    (full,) = render(broken, Plan(strip="all"))
    assert SECRET.encode() not in full.data
    assert decoded(full.data).size == (96, 64)


TOLD = ["JPEG", "PNG", "GIF", "WEBP", "BMP", "PPM", "ICO", "AVIF"]


@pytest.mark.parametrize("kind", TOLD)
@pytest.mark.parametrize("full", ["jpeg", "source"])
def test_what_follows_an_image_is_told_and_cut(kind, full):
    data, extra = encoded(noisy(), kind, exif=tagged()), archive()
    assert trailing_bytes(data) == 0
    assert trailing_bytes(data + extra) == len(extra)
    plan = Plan(full=full)
    assert render(data, plan)[0].trailing == 0
    (told,) = render(data + extra, plan)
    assert told.trailing == len(extra)
    (cut,) = render(data + extra, replace(plan, strip="all"))
    assert cut.trailing == len(extra)
    assert not zipfile.is_zipfile(io.BytesIO(cut.data))
    assert trailing_bytes(cut.data) == 0


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}])
def test_the_quick_look_at_a_jpeg_is_certain(options):
    data = encoded(noisy(), exif=tagged(), **options)
    assert trailing_bytes(data) == 0
    # another JPEG behind it, which has an end marker of its own
    assert trailing_bytes(data + encoded(noisy((9, 9)))) > 300
    assert trailing_bytes(data + b"\xff\xd9") == 2
    thumbnail = encoded(noisy((30, 20)))
    segment = b"\xff\xe5" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    assert trailing_bytes(data[:2] + segment + data[2:]) == 0


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8\xff", b"\xff\xd8\xff\xda\0\0", b"GIF89a", b"x" * 99]
)
def test_of_what_is_no_image_nothing_is_told(data):
    assert trailing_bytes(data) == 0


@pytest.mark.filterwarnings("ignore:Image was not the expected size")
@pytest.mark.parametrize("damage", [b"", b"ABcD"])
def test_an_icon_may_be_larger_than_its_table_can_say(damage):
    png = encoded(noisy((512, 300), "RGBA"), "PNG")
    if damage:  # a chunk that nobody knows, so that it has to be written anew
        extra = struct.pack(">I4s", 6, damage) + b"secret" + bytes(4)
        png = png[:33] + extra[:-4] + struct.pack(">I", zlib.crc32(damage + b"secret")) + png[33:]
    data = struct.pack("<HHH8xHHII", 0, 1, 1, 1, 32, len(png), 22)
    data = data[:6] + bytes(4) + data[14:] + png
    made = render(data + b"zip", STRIP)[0]
    assert (made.width, made.height) == (512, 300)
    assert decoded(made.data).tobytes() == decoded(png).tobytes()
    assert b"secret" not in made.data


def test_an_mpo_that_cannot_be_followed_is_encoded_anew():
    data = encoded(noisy(), "MPO", save_all=True, append_images=[noisy()], exif=tagged())
    at = data.index(b"\xff\xdb")
    broken = data[:at] + b"\0\0" + data[at:]
    assert decoded(broken).format == "MPO"
    (full,) = render(broken, Plan(strip="all"))
    assert decoded(full.data).format == "JPEG"
    assert SECRET.encode() not in full.data


def test_a_webp_frame_that_cannot_be_followed():
    frames = [Image.effect_noise((60, 40), sigma).convert("RGB") for sigma in (50, 90)]
    data = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    at = data.rindex(b"VP8 ")
    broken = data[:at] + b"VPx " + data[at + 4 :]
    (full,) = render(broken, STRIP)
    assert decoded(full.data).tobytes() == decoded(broken).tobytes()


def test_a_bmp_keeps_its_alpha():
    data = alpha_bmp()
    (full,) = render(data + archive(), STRIP)
    assert full.data == data
    assert decoded(data).mode == "RGBA"


def test_an_icon_keeps_its_size():
    data = encoded(noisy((256, 171), "RGBA"), "ICO", sizes=[(256, 171), (16, 16)])
    made = render(data, Plan(full="source", strip="all"))[0]
    assert decoded(made.data).size == (made.width, made.height) == (256, 171)


def test_an_orientation_that_stood_in_xmp_only_stays():
    xmp = b"<x xmlns:tiff='http://ns.adobe.com/tiff/1.0/' tiff:Orientation=\"6\"/>"
    made = render(encoded(noisy((80, 40)), xmp=xmp), Plan(full="source", strip="all"))[0]
    shown = decoded(made.data)
    assert (made.width, made.height) == (40, 80)
    assert shown.size == (80, 40)
    assert shown.getexif()[0x0112] == 6
    assert "xmp" not in shown.info
