"""The measures that have names: what they say, against slower ways to say it."""

from __future__ import annotations

import json
import math
import random
from io import BytesIO
from statistics import pvariance

import pytest
from PIL import Image, ImageEnhance, ImageFilter
from PIL.ExifTags import GPS, IFD, Base
from PIL.TiffImagePlugin import IFDRational

from scrapy_imgpipe.errors import ImageBroken
from scrapy_imgpipe.imaging.blurhash import blurhash
from scrapy_imgpipe.imaging.exif import exif, exif_of
from scrapy_imgpipe.imaging.measures import ERROR, measure
from scrapy_imgpipe.imaging.original import original, original_of
from scrapy_imgpipe.imaging.ready import READY, dominant_colour, focus, hamming, phash
from scrapy_imgpipe.lists.lines import MEASURED
from tests.imaging.pictures import RED, decoded, encoded, noisy, rgb_profile
from tests.imaging.pictures import exif as oriented

#: All that Pillow has, but for the byte orders of one depth.
MODES = ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"]
MODES += ["LAB", "I", "F", "I;16", "I;16B"]

#: What each of them says of a picture that has nothing but pixels.
NAMES = {name: [name] for name in READY} | {
    "exif": [],
    "original": ["original_width", "original_height"],
}
PIXELS = [READY[name] for name in READY if NAMES[name] == [name]]
ALL = list(READY.values())


def hashed(image):
    return phash(image)["phash"]


def noise(size, mode="RGB", seed=1):
    count = size[0] * size[1] * len(Image.new(mode, (1, 1)).getbands())
    return Image.frombytes(mode, size, random.Random(seed).randbytes(count))


# All of them


def blank(mode, size):
    return Image.new(mode, size) if mode != "PA" else Image.new("LA", size).convert("PA")


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_and_the_smallest_pictures(mode):
    for size in ((1, 1), (1, 300), (300, 1), (2, 2), (40, 30)):
        image = blank(mode, size)
        image.paste(blank(mode, (size[0], 1)))
        before = image.copy()
        for name, function in READY.items():
            answer = function(image)
            assert list(answer) == NAMES[name], size
            assert json.loads(json.dumps(answer, allow_nan=False)) == answer
            assert function(image) == answer
        assert image == before


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_white_is_white_in_any_mode(mode):
    white = {"CMYK": 0, "I;16": 65535, "YCbCr": (255, 128, 128)}.get(mode, "white")
    image = Image.new(mode, (50, 40), white)
    assert dominant_colour(image) == {"dominant_colour": "#ffffff"}
    assert hashed(image) == "8000000000000000"
    assert focus(image) == {"focus": 0.0}
    assert blurhash(image)["blurhash"][2:6] == "TSUA"


def test_what_is_transparent_is_white_and_the_profile_is_honoured():
    for function in PIXELS:
        clear = Image.new("RGBA", (40, 30), (9, 9, 9, 0))
        assert function(clear) == function(Image.new("RGB", (40, 30), "white"))
    image = Image.new("RGB", (40, 30), RED)
    image.info["icc_profile"] = rgb_profile("gbr")
    green = bytes.fromhex(dominant_colour(image)["dominant_colour"][1:])
    assert green[0] < 10
    assert green[1] > 245


def test_pixels_that_do_not_decode_are_an_error_of_ours():
    data = encoded(noisy((300, 200)))[:-2000]
    for function in PIXELS:
        with pytest.raises(ImageBroken):
            function(Image.open(BytesIO(data)))


def test_all_at_once():
    data = encoded(noisy((700, 600)), exif=oriented(3))
    found = measure(data, ALL, original=data)
    sides = [f"original_{side}" for side in ("width", "height", "format")]
    assert list(found) == [*(name for name in READY if name != "original"), *sides]
    assert found["exif"] == {"Orientation": 3}
    assert set(found) == MEASURED


# Perceptual hash


def slow_dct(pixels):
    """Return the lowest 8 by 8 waves of a square of pixels, as the formula says it."""
    side = len(pixels)

    def wave(number, place):
        return math.cos(math.pi * number * (2 * place + 1) / (2 * side))

    def strength(down, across):
        return sum(
            pixels[y][x] * wave(down, y) * wave(across, x) for y in range(side) for x in range(side)
        )

    return [strength(down, across) for down in range(8) for across in range(8)]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_hash_is_the_waves_above_their_median(seed):
    image = noise((32, 32), "L", seed)
    data = image.tobytes()
    waves = slow_dct([data[start : start + 32] for start in range(0, 1024, 32)])
    median = sum(sorted(waves)[31:33]) / 2
    bits = "".join("01"[wave > median] for wave in waves)
    assert hashed(image) == f"{int(bits, 2):016x}"


def test_the_hash_of_pictures_with_little_in_them():
    assert hashed(Image.new("RGB", (90, 60), "black")) == "0" * 16
    for level in (1, 77, 254):
        assert hashed(Image.new("L", (90, 60), level)) == "8" + "0" * 15
    # brighter towards the right: of the first row the constant, and no wave down
    assert hashed(Image.linear_gradient("L").rotate(-90))[2:] == "0" * 14


@pytest.mark.parametrize("seed", range(5))
def test_near_duplicates_have_near_hashes_and_others_have_not(seed):
    image = noisy((480, 320), seed=seed)
    own = hashed(image)
    near = [
        image.resize((240, 160)),
        image.resize((960, 640)),
        decoded(encoded(image, quality=30)),
        ImageEnhance.Brightness(image).enhance(0.9),
        image.filter(ImageFilter.GaussianBlur(2)),
    ]
    assert max(hamming(own, hashed(each)) for each in near) <= 6
    for other in (noisy((480, 320), seed=seed + 100), image.rotate(90), image.rotate(180)):
        assert hamming(own, hashed(other)) >= 14


def test_hamming_counts_bits():
    assert hamming("00", "00") == 0
    assert hamming("00", "Ff") == 8
    assert hamming("8000000000000000", "0000000000000001") == 2
    for pair in (("00", "000"), ("zz", "00")):
        with pytest.raises(ValueError, match=r"two hashes of one length|invalid literal"):
            hamming(*pair)


# Dominant colour


@pytest.mark.parametrize("colour", ["#000000", "#123456", "#ff0001", "#fedcba", "#ffffff"])
@pytest.mark.parametrize("size", [(1, 1), (64, 64), (701, 33)])
def test_the_one_colour_is_dominant(colour, size):
    assert dominant_colour(Image.new("RGB", size, colour)) == {"dominant_colour": colour}


def test_the_colour_of_most_is_dominant():
    image = Image.new("RGB", (400, 300), (20, 40, 200))
    image.paste((200, 30, 30), (0, 0, 150, 300))
    assert dominant_colour(image) == {"dominant_colour": "#1428c8"}
    grain = noise((400, 300), seed=3)
    found = bytes.fromhex(dominant_colour(Image.blend(image, grain, 0.1))["dominant_colour"][1:])
    assert all(abs(a - b) < 16 for a, b in zip(found, (30, 49, 192), strict=True))


# BlurHash


def slow_blurhash(image):
    """Return the BlurHash of an image as it is, component by component."""
    width, height = image.size
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"

    def light(level):
        part = level / 255
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4

    def component(i, j, band):
        total = sum(
            light(image.getpixel((x, y))[band])
            * math.cos(math.pi * i * x / width)
            * math.cos(math.pi * j * y / height)
            for y in range(height)
            for x in range(width)
        )
        return total * (1 if i == j == 0 else 2) / (width * height)

    def number(value, length):
        return (number(value // 83, length - 1) if length > 1 else "") + digits[value % 83]

    all_of_them = [[component(i, j, band) for band in range(3)] for j in range(3) for i in range(4)]
    mean, waves = all_of_them[0], all_of_them[1:]
    levels = [min(range(256), key=lambda level: abs(light(level) - each)) for each in mean]
    most = max(abs(each) for wave in waves for each in wave)
    steps = min(max(int(most * 166 - 0.5), 0), 82)
    text = number(3 + 2 * 9, 1) + number(steps, 1) + number(int.from_bytes(bytes(levels)), 4)
    for wave in waves:
        value = 0
        for each in wave:
            share = each / ((steps + 1) / 166)
            root = math.sqrt(abs(share)) * (1 if share > 0 else -1)
            value = value * 19 + min(max(math.floor(root * 9 + 9.5), 0), 18)
        text += number(value, 2)
    return text


@pytest.mark.parametrize("image", [noisy((32, 32)), noise((32, 32))], ids=["coarse", "fine"])
def test_the_blurhash_is_that_of_the_formula(image):
    assert blurhash(image) == {"blurhash": slow_blurhash(image)}


@pytest.mark.parametrize(
    ("colour", "expected"),
    # told by the encoder of https://pypi.org/project/blurhash/1.1.5/
    [
        ("white", "L9TSUA~qfQ~q~qoffQoffQfQfQfQ"),
        ("black", "L00000fQfQfQfQfQfQfQfQfQfQfQ"),
        ("red", "L9TI:j|cfQ|c|co1fQo1fQfQfQfQ"),
        ("#123456", "L027F4pMfQpMpMflfQflfQfQfQfQ"),
    ],
)
def test_the_blurhash_is_that_of_other_encoders(colour, expected):
    for size in ((32, 32), (1, 1), (500, 20)):
        assert blurhash(Image.new("RGB", size, colour)) == {"blurhash": expected}


# Focus


def test_focus_is_the_variance_of_the_laplacian():
    image = noise((256, 40), "L")
    values = [
        image.getpixel((x - 1, y))
        + image.getpixel((x + 1, y))
        + image.getpixel((x, y - 1))
        + image.getpixel((x, y + 1))
        - 4 * image.getpixel((x, y))
        for x in range(1, 255)
        for y in range(1, 39)
    ]
    assert focus(image)["focus"] == pytest.approx(pvariance(values), rel=1e-5)


def test_the_more_blurred_the_less_focus():
    image = noisy((640, 480))
    found = [
        focus(image.filter(ImageFilter.GaussianBlur(radius)))["focus"] for radius in (0, 2, 4, 8)
    ]
    assert found == sorted(found, reverse=True)
    assert found[0] > 2 * found[1] > 4 * found[2]


def test_focus_compares_between_sizes():
    image = noisy((512, 384))
    small = focus(image)["focus"]
    for factor in (1.5, 2, 3):
        size = (round(512 * factor), round(384 * factor))
        large = image.resize(size, Image.Resampling.BICUBIC)
        assert focus(large)["focus"] == pytest.approx(small, rel=0.2)
    assert focus(image.rotate(90, expand=True))["focus"] == pytest.approx(small, rel=0.01)


# EXIF


def tags_of(top=None, inner=None, place=None):
    tags = Image.Exif()
    tags.update(top or {})
    for directory, values in ((IFD.Exif, inner), (IFD.GPSInfo, place)):
        tags.get_ifd(directory).update(values or {})
    return tags


def photo():
    """Return the tags of one; saving a picture changes them."""
    return tags_of(
        {
            Base.Make: "Canon",
            Base.Model: "EOS 5D\0",
            Base.Orientation: 6,
            Base.Artist: "Ann",
        },
        {
            Base.DateTimeOriginal: "2024:05:06 07:08:09",
            Base.ExposureTime: IFDRational(1, 125),
            Base.FNumber: IFDRational(28, 10),
            Base.ISOSpeedRatings: 400,
            Base.FocalLength: IFDRational(50),
        },
        {
            GPS.GPSLatitudeRef: "S",
            GPS.GPSLatitude: (IFDRational(33), IFDRational(51), IFDRational(2455, 100)),
            GPS.GPSLongitudeRef: "E",
            GPS.GPSLongitude: (IFDRational(151), IFDRational(12), IFDRational(0)),
        },
    )


TOLD = {
    "Make": "Canon",
    "Model": "EOS 5D",
    "DateTimeOriginal": "2024:05:06 07:08:09",
    "Artist": "Ann",
    "ExposureTime": 0.008,
    "FNumber": 2.8,
    "FocalLength": 50.0,
    "ISO": 400,
    "Orientation": 6,
    "GPSLatitude": -33.8568194,
    "GPSLongitude": 151.2,
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_exif_of_a_photo(kind):
    data = encoded(noisy(), kind, exif=photo())
    found = exif_of(data)["exif"]
    assert found == TOLD | {"Orientation": found["Orientation"]}
    assert found["Orientation"] == 6 or kind == "AVIF"  # where the format has one of its own
    assert exif(Image.open(BytesIO(data))) == {"exif": found}


def test_exif_of_a_tiff_is_among_its_own_tags():
    data = encoded(noisy(), "TIFF", exif=tags_of({Base.Make: "Canon", Base.Orientation: 8}))
    assert exif_of(data) == {"exif": {"Make": "Canon", "Orientation": 8}}


def test_exif_is_that_of_the_original():
    """An upright picture must not be turned again: what was turned has lost its EXIF."""
    original = encoded(noisy((90, 60)), exif=photo())
    stored = encoded(noisy((60, 90)))
    assert measure(stored, [exif]) == {}
    assert measure(stored, [exif], original=original) == {"exif": TOLD}
    assert measure(original, [exif, lambda image: {"left": len(image.getexif())}]) == {
        "exif": TOLD,
        "left": 0,
    }
    assert measure(stored, [exif], original=b"<html>") == {}
    assert measure(stored, [exif], ["JPEG"], encoded(noisy(), "PNG", exif=photo())) == {}


def test_a_later_answer_wins_over_exif():
    data = encoded(noisy(), exif=photo())
    assert measure(data, [exif, lambda _: {"exif": 1}]) == {"exif": 1}
    assert measure(data, [lambda _: {"exif": 1}, exif]) == {"exif": TOLD}


def test_a_picture_without_exif_says_nothing_and_is_not_decoded(monkeypatch):
    data = [encoded(noisy(), kind) for kind in ("JPEG", "PNG", "WEBP", "GIF")]
    with monkeypatch.context() as patch:
        patch.setattr(Image, "_getdecoder", None)
        assert [exif_of(each) for each in data] == [{}] * 4
    assert exif(Image.new("RGB", (1, 1))) == {}
    assert exif_of(b"") == exif_of(data[1][:60]) == {}


def fields(**values):
    """Return what is told of *values*, written as a file has them."""
    tags = tags_of(values.get("top"), values.get("inner"), values.get("place"))
    image = Image.new("RGB", (1, 1))
    image.info["exif"] = tags.tobytes()
    return exif(image).get("exif", {})


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("plain", "plain"),
        ("two\0parts\0\0", "two parts"),
        (b"bytes\0", "bytes"),
        ("Zoë".encode(), "Zoë"),
        ("Zoë".encode("latin-1"), "Zoë"),
        ("a\x1b[31m\r\nb\x7f", "a [31m b"),
        ("x" * 5000, "x" * 200),
        ("\0\0", None),
        ("   ", None),
    ],
)
def test_texts_are_one_short_line(written, told):
    assert fields(top={Base.Copyright: written}).get("Copyright") == told


@pytest.mark.parametrize(
    ("tag", "written"),
    [
        (Base.FNumber, IFDRational(0, 0)),
        (Base.FNumber, IFDRational(5, 0)),
        (Base.FNumber, IFDRational(0, 1)),
        (Base.FNumber, "2.8"),
        (Base.ExposureTime, b"\1\2"),
        (Base.ISOSpeedRatings, 0),
        (Base.ISOSpeedRatings, "high"),
        (Base.DateTimeOriginal, 2024),
    ],
)
def test_values_of_another_kind_are_left_out(tag, written):
    assert fields(inner={tag: written}) == {}


def test_the_first_of_several_numbers_counts():
    assert fields(inner={Base.ISOSpeedRatings: (200, 400)}) == {"ISO": 200}


@pytest.mark.parametrize("turn", [0, 9, 65535])
def test_an_orientation_that_is_none_is_left_out(turn):
    assert fields(top={Base.Orientation: turn}) == {}


def place_at(side, *parts):
    return {GPS.GPSLatitudeRef: side, GPS.GPSLatitude: tuple(IFDRational(*part) for part in parts)}


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (place_at("N", (52, 1), (30, 1), (0, 1)), 52.5),
        (place_at("s", (52, 1), (301, 10)), -52.5016667),
        (place_at("N", (0, 1), (0, 1), (0, 1)), 0.0),
        (place_at("N", (90, 1), (0, 1), (0, 1)), 90.0),
        (place_at("N", (90, 1), (0, 1), (1, 1)), None),
        (place_at("E", (52, 1), (30, 1), (0, 1)), None),
        (place_at("", (52, 1), (30, 1), (0, 1)), None),
        (place_at("N", (52, 1), (30, 0), (0, 1)), None),
        ({GPS.GPSLatitude: (IFDRational(52),) * 3}, None),
    ],
)
def test_places_are_degrees_or_nothing(place, told):
    assert fields(place=place).get("GPSLatitude") == told


@pytest.mark.filterwarnings("ignore:Corrupt EXIF|Metadata Warning|Truncated|Possibly:UserWarning")
def test_hostile_exif_is_never_an_error():
    draw, written = random.Random(7), photo().tobytes()
    for number in range(1500):
        hostile = bytearray(written)
        for _ in range(draw.randrange(1, 12)):
            hostile[draw.randrange(6, len(hostile))] = draw.choice((0, 1, 255, draw.randrange(256)))
        if number % 3 == 0:
            del hostile[draw.randrange(len(hostile)) :]
        image = Image.new("RGB", (1, 1))
        image.info["exif"] = bytes(hostile)
        found = exif(image)
        assert list(found) in ([], ["exif"])
        assert json.loads(json.dumps(found, allow_nan=False)) == found
        assert all(
            len(value) <= 200 for value in found.get("exif", {}).values() if str(value) is value
        )


def test_directories_that_contain_themselves_end():
    tags = b"Exif\0\0II*\0\x08\0\0\0\x02\0"
    for pointer in (IFD.Exif, IFD.GPSInfo):
        tags += pointer.to_bytes(2, "little") + b"\x04\0\1\0\0\0\x08\0\0\0"
    image = Image.new("RGB", (1, 1))
    image.info["exif"] = tags + bytes(4)
    assert exif(image) == {}


def test_an_answer_that_fails_is_not_one_of_exif():
    data = encoded(noisy(), exif=b"Exif\0\0nothing of the kind")
    assert ERROR not in measure(data, ALL)


# What was downloaded


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
def test_the_original_is_told_without_decoding(kind, monkeypatch):
    data = encoded(noisy((48, 32)), kind)
    told = {"original_width": 48, "original_height": 32, "original_format": kind}
    with monkeypatch.context() as patch:
        if kind != "AVIF":  # which Pillow decodes when it opens it
            patch.setattr(Image, "_getdecoder", None)
        assert original_of(data) == told
    assert original(Image.open(BytesIO(data))) == told


def test_the_original_is_the_download_and_not_what_was_made_of_it():
    download = encoded(noisy((90, 60)), "WEBP", exif=oriented(6))
    stored = encoded(noisy((30, 45)))
    told = {"original_width": 90, "original_height": 60, "original_format": "WEBP"}
    assert measure(stored, [original], original=download) == told
    assert measure(stored, [original]) == {}
    assert measure(stored, [original], original=b"<html>") == {}
    assert measure(stored, [original], ["JPEG"], download) == {}
