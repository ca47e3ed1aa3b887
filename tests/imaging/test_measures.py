"""What is said of a stored picture: its brightness, what users measure, one colour or not."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from array import array
from collections import OrderedDict, UserDict
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageStat

from scrapy_imgpipe.errors import ImageBroken, SourceRejected
from scrapy_imgpipe.imaging.measures import ERROR, is_uniform, measure
from scrapy_imgpipe.imaging.plan import DEFAULT_FORMATS
from scrapy_imgpipe.imaging.ready import READY, mean_brightness
from tests.imaging.pictures import RED, WHITE, decoded, encoded, exif, noisy, png, rgb_profile

BRIGHT = "mean_brightness"


def brightness(image):
    return mean_brightness(image)[BRIGHT]


def luma(red, green, blue):
    """Return the luma of ITU-R BT.601."""
    return 0.299 * red + 0.587 * green + 0.114 * blue


def drawing(size=(1600, 1200)):
    """Return coloured lines on pure black."""
    draw, image = random.Random(3), Image.new("RGB", size)
    pen = ImageDraw.Draw(image)
    for _ in range(3000):
        x, y = draw.randrange(size[0]), draw.randrange(size[1])
        end = (x + draw.randrange(-40, 40), y + draw.randrange(-40, 40))
        pen.line((x, y, *end), fill=tuple(draw.choices((0, 255), k=3)))
    return image


def frames_of(error):
    """Return what the frames hold that *error* keeps, this file's own left out."""
    found, place = [], error.__traceback__
    while place is not None:
        if place.tb_frame.f_code.co_filename != __file__:
            found += place.tb_frame.f_locals.values()
        place = place.tb_next
    return found


def images_in(objects):
    return [each for each in objects if isinstance(each, Image.Image)]


# Brightness


@pytest.mark.parametrize("colour", [(0, 0, 0), WHITE, RED, (10, 200, 30), (1, 2, 3)])
def test_brightness_of_one_colour_is_its_luma(colour):
    assert brightness(Image.new("RGB", (9, 7), colour)) == pytest.approx(luma(*colour), abs=0.51)


def test_brightness_is_the_mean_of_all_pixels():
    image = Image.new("L", (3, 1))
    image.putpixel((0, 0), 200)
    assert mean_brightness(image) == {BRIGHT: 66.67}
    picture = noisy()
    pixels = picture.convert("L").tobytes()
    assert brightness(picture) == round(sum(pixels) / len(pixels), 2)
    assert isinstance(brightness(picture), float)


def test_brightness_does_not_change_the_image():
    for mode in ("RGB", "RGBA", "P", "L"):
        image = noisy(mode=mode)
        before = image.copy()
        mean_brightness(image)
        assert image == before


def test_what_is_transparent_is_as_bright_as_white():
    image = Image.new("RGBA", (4, 1), (0, 0, 0, 0))
    assert brightness(image) == 255
    image.paste((0, 0, 0, 255), (0, 0, 1, 1))
    assert brightness(image) == 191.25


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_brightness_of_any_mode(mode):
    white = {"CMYK": 0, "I;16": 65535, "YCbCr": (255, 128, 128)}.get(mode, "white")
    assert brightness(Image.new(mode, (3, 3), white)) == 255


def test_the_profile_is_honoured():
    image = Image.new("RGB", (40, 30), RED)
    plain = encoded(image, "PNG")
    green = encoded(image, "PNG", icc_profile=rgb_profile("gbr"))
    assert measure(plain, [mean_brightness])[BRIGHT] == pytest.approx(luma(*RED), abs=1)
    assert measure(green, [mean_brightness])[BRIGHT] == pytest.approx(luma(0, 255, 0), abs=3)
    assert measure(green, [lambda one: {"red": one.getpixel((3, 3))[0]}])["red"] < 5
    assert brightness(Image.open(BytesIO(green))) == measure(green, [mean_brightness])[BRIGHT]


def test_the_end_is_asked_for():
    image = Image.open(BytesIO(encoded(noisy())[:-200]))
    with pytest.raises(ImageBroken) as caught:
        mean_brightness(image)
    assert not images_in(frames_of(caught.value))


# Scaled decoding


def off_by(image, **options):
    """Return by how much the brightness is off where nothing else is measured."""
    data = encoded(image, **options)
    alone = measure(data, [mean_brightness])[BRIGHT]
    whole = measure(data, [mean_brightness, lambda _: {}])[BRIGHT]
    assert whole == brightness(decoded(data))
    return abs(alone - whole)


@pytest.mark.parametrize("size", [(600, 530), (1600, 1200), (2055, 2049), (300, 4000)])
@pytest.mark.parametrize("quality", [40, 75, 95])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_brightness_of_a_photo_decoded_small_is_near(size, quality, mode):
    assert off_by(noisy(size, mode), quality=quality) < 0.5


@pytest.mark.parametrize(("quality", "most"), [(30, 8), (75, 3.5), (95, 1.5)])
def test_brightness_of_a_drawing_decoded_small_is_less_near(quality, most):
    assert 0.2 < off_by(drawing(), quality=quality) < most


def scales_decoded(monkeypatch, data, measures):
    """Return how many times smaller each decoder that was started makes its picture."""
    scales, make = [], Image._getdecoder

    def noting(mode, name, args, extra=()):
        scales.append((name, extra[0] if extra else 1))
        return make(mode, name, args, extra)

    with monkeypatch.context() as patch:
        patch.setattr(Image, "_getdecoder", noting)
        measure(data, measures)
    return scales


def test_the_picture_is_decoded_once_and_small_where_that_serves(monkeypatch):
    def custom(image):
        return {"size": image.size}

    photo, picture = encoded(noisy((1600, 1200))), encoded(noisy((1600, 1200)), "PNG")
    ready, both = [mean_brightness] * 2, [mean_brightness, custom, custom]
    assert scales_decoded(monkeypatch, photo, ready) == [("jpeg", 4)]
    assert scales_decoded(monkeypatch, photo, both) == [("jpeg", 1)]
    assert scales_decoded(monkeypatch, picture, ready) == [("zip", 1)]
    assert scales_decoded(monkeypatch, picture, both) == [("zip", 1)]


# Measuring


def test_the_ready_ones_have_names():
    assert READY[BRIGHT] is mean_brightness
    assert [measure.__name__ for measure in READY.values()] == list(READY)
    with pytest.raises(TypeError):
        READY["mine"] = mean_brightness


def test_no_measures_say_nothing_of_any_bytes():
    assert measure(b"no image at all", []) == {}


def test_all_answers_are_merged_in_order():
    data = encoded(noisy())
    found = measure(
        data,
        [
            lambda _: {"a": 1, "b": 1},
            mean_brightness,
            lambda _: UserDict(b=2, c=UserDict(d=2)),
            lambda _: {},
            lambda _: {BRIGHT: "mine"},
        ],
    )
    assert found == {"a": 1, "b": 2, BRIGHT: "mine", "c": {"d": 2}}
    assert list(found) == ["a", "b", BRIGHT, "c"]


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *(("JPEG", mode) for mode in ("RGB", "L", "CMYK")),
        *(("PNG", mode) for mode in ("RGB", "L", "1", "P", "RGBA", "LA", "I;16")),
        *(("TIFF", mode) for mode in ("RGB", "CMYK", "LAB", "F")),
        *(("GIF", "P"), ("WEBP", "RGBA"), ("BMP", "1")),
    ],
)
def test_a_measure_sees_the_whole_picture_in_rgb(kind, mode):
    data = encoded(noisy((700, 600), mode), kind)
    seen = measure(data, [lambda image: {"size": image.size, "mode": image.mode}])
    assert seen == {"size": [700, 600], "mode": "RGB"}


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_measure_sees_the_picture_upright(orientation):
    data = encoded(noisy((90, 60)), exif=exif(orientation))

    def brightest(image):
        grey = image.convert("L").resize((2, 2), Image.Resampling.BOX)
        pixels = list(grey.tobytes())
        return {"size": image.size, "corner": pixels.index(max(pixels))}

    # noisy() has its brightest corner at the top left; the tag says where it is shown
    corner = {1: 0, 3: 3, 6: 1, 8: 2}[orientation]
    size = [60, 90] if orientation in (6, 8) else [90, 60]
    assert measure(data, [brightest]) == {"size": size, "corner": corner}


def test_transparency_is_measured_over_white():
    data = encoded(Image.new("RGBA", (5, 5), (0, 0, 0, 0)), "PNG")
    assert measure(data, [lambda image: {"pixel": image.getpixel((2, 2))}]) == {
        "pixel": [255, 255, 255]
    }


def test_of_several_frames_the_first_is_measured():
    frames = [Image.new("RGB", (8, 8), level) for level in ("white", "black")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert measure(data, [mean_brightness]) == {BRIGHT: 255.0}


def test_a_measure_may_change_its_picture():
    def blacken(image):
        image.paste((0, 0, 0), (0, 0, *image.size))
        image.info.clear()
        return {"black": brightness(image)}

    data = encoded(noisy())
    whole = brightness(decoded(data))
    found = measure(data, [blacken, lambda image: {"later": brightness(image)}, mean_brightness])
    assert found == {"black": 0.0, "later": whole, BRIGHT: whole}


def test_a_measure_may_close_its_picture():
    def closing(image):
        image.close()
        return {}

    assert measure(encoded(noisy()), [closing, mean_brightness]).keys() == {BRIGHT}


def test_a_function_that_fails_costs_its_answer_and_keeps_no_picture():
    seen = []

    def failing(image):
        seen.append(image)
        msg = "no faces"
        raise LookupError(msg)

    def keeping(image):
        seen.append(image)
        return {}

    found = measure(encoded(noisy()), [keeping, failing, lambda _: {"after": 1}])
    assert found == {ERROR: "LookupError: no faces", "after": 1}
    assert len(seen) == 2
    for picture in seen:
        with pytest.raises(ValueError, match="closed"):
            picture.getpixel((0, 0))


def in_a_thread(*measures):
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(measure, encoded(noisy()), measures).result()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SystemExit(5), "SystemExit: 5"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (asyncio.CancelledError(), "CancelledError"),
    ],
    ids=repr,
)
def test_what_would_end_an_event_loop_costs_its_answer_in_a_thread(error, words):
    def leaving(image):
        raise error

    assert in_a_thread(leaving, lambda _: {"after": 1}) == {ERROR: words, "after": 1}


def test_ctrl_c_ends_measuring_in_the_main_thread():
    def interrupted(image):
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        measure(SMALL, [interrupted])


@pytest.mark.parametrize(
    ("data", "error", "code"),
    [
        (b"<html>", SourceRejected, "not-an-image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", SourceRejected, "format-not-allowed"),
        (encoded(noisy((900, 700)))[:-500], ImageBroken, "broken"),
        (encoded(noisy(), "PNG")[:-500], ImageBroken, "broken"),
    ],
)
@pytest.mark.parametrize("measures", [[mean_brightness], [lambda _: {}]])
def test_broken_bytes_are_an_error_of_ours(data, error, code, measures):
    with pytest.raises(error) as caught:
        measure(data, measures)
    assert caught.value.code == code
    assert caught.value.__context__ is None
    assert not [each for each in frames_of(caught.value) if isinstance(each, bytes | Image.Image)]


def test_only_the_formats_named_are_opened():
    data = encoded(noisy(), "PNG")
    with pytest.raises(SourceRejected, match="PNG is not allowed"):
        measure(data, [mean_brightness], ("JPEG",))
    assert measure(data, [mean_brightness], DEFAULT_FORMATS) == measure(data, [mean_brightness])


def a_number(image):
    return 5


class Lengthy:
    def __call__(self, image):
        return "x" * 1000


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (a_number, "the measure a_number but received 5 of type int"),
        (
            Lengthy(),
            f"the measure Lengthy but received '{'x' * 99}... of type str",
        ),
        (lambda _: None, "but received None of type NoneType"),
        (lambda _: [("a", 1)], "but received [('a', 1)] of type list"),
    ],
)
def test_what_is_no_mapping_is_a_mistake_of_the_function(function, message):
    said = measure(encoded(noisy()), [function])[ERROR]
    assert said.startswith("TypeError: Expected a mapping from the measure ")
    assert said.endswith(message)


# Ready for JSON


class Scalar:
    """A number as array libraries have them: ``item()`` gives it out."""

    def __init__(self, held):
        self.held = held

    def item(self):
        return self.held

    def __str__(self):
        return f"Scalar of {self.held}"


class Shelf:
    """Has methods of these names that mean something else."""

    def tolist(self, order):
        raise AssertionError

    def item(self):
        msg = "which one?"
        raise ValueError(msg)

    def __str__(self):
        return "shelf"


class Itself:
    """What numbers without a Python type do: ``item()`` gives the same again."""

    def item(self):
        return self

    def __str__(self):
        return "itself"


class Kind(str, Enum):  # noqa: UP042 - its str() is another than a StrEnum's
    PHOTO = "photo"


class Level(IntEnum):
    HIGH = 3


class Whole(int):
    pass


class Word(str):
    __slots__ = ()


class Spoken:
    """Its text has a class of its own, as that of markupsafe."""

    def __str__(self):
        return Word("spoken")


class Part(float):
    pass


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (5, 5),
        (2**80, 2**80),
        (-(2**8192), hex(-(2**8192))),
        (-0.5, -0.5),
        ("text", "text"),
        (float("nan"), None),
        (float("inf"), None),
        (float("-inf"), None),
        (Whole(5), 5),
        (Part(0.5), 0.5),
        (Part("nan"), None),
        (Level.HIGH, 3),
        (Kind.PHOTO, "photo"),
        (Scalar(5), 5),
        (Scalar(0.25), 0.25),
        (Scalar(float("nan")), None),
        (Scalar(True), True),
        (Scalar("a"), "a"),
        (Scalar(1 + 2j), "(1+2j)"),
        (Scalar(Scalar(7)), "Scalar of Scalar of 7"),
        (Fraction(1, 4), 0.25),
        (Decimal("1.50"), "1.50"),
        (b"ab", "b'ab'"),
        (1 + 2j, "(1+2j)"),
        ({3}, "{3}"),
        (Shelf(), "shelf"),
        (Itself(), "itself"),
        (Word("word"), "word"),
        (Spoken(), "spoken"),
        (date(2026, 11, 30), "2026-11-30"),
        (array("d", [0.5, float("nan")]), [0.5, None]),
        (memoryview(b"ab"), [97, 98]),
        ([1, (2, Scalar(3)), [None]], [1, [2, 3], [None]]),
        ({"a": {"b": (Scalar(1),)}}, {"a": {"b": [1]}}),
        (OrderedDict(a=1), {"a": 1}),
        ({1: 1, None: 2, (3,): 3, Scalar(4): 4}, {"1": 1, "None": 2, "(3,)": 3, "Scalar of 4": 4}),
        ({Kind.PHOTO: 1, Level.HIGH: 2}, {"photo": 1, "3": 2}),
    ],
)
def test_every_value_becomes_one_of_json(value, expected):
    found = measure(SMALL, [lambda _: {"value": value, 7: value}])
    assert found == {"value": expected, "7": expected}
    assert type(found["value"]) is type(expected)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


SMALL = encoded(noisy((4, 3)), "PNG")

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.complex_numbers()
    | st.decimals(allow_nan=True)
    | st.floats().map(Scalar)
    | st.sampled_from([Level.HIGH, Kind.PHOTO]),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers() | st.none() | st.floats(), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text() | st.integers() | st.booleans(), ANYTHING))
def test_json_never_refuses_what_was_measured(answer):
    found = measure(SMALL, [lambda _: answer])
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert list(found) == list(dict.fromkeys(map(str, answer)))


# One colour

BANDS = {
    "L": 1,
    "LA": 2,
    "La": 2,
    "RGB": 3,
    "RGBA": 4,
    "RGBa": 4,
    "RGBX": 4,
    "CMYK": 4,
    "YCbCr": 3,
    "LAB": 3,
}
DEEP = ["I;16", "I;16L", "I;16B"]


def spotted(image, pixel):
    """Return a copy with one *pixel* in a place that a look here and there misses."""
    copy = image.copy()
    copy.putpixel((copy.width // 2 + 3, copy.height // 3), pixel)
    return copy


@pytest.mark.parametrize("mode", BANDS)
def test_one_colour_in_bytes(mode):
    flat = Image.new(mode, (200, 150), (100,) * BANDS[mode] if BANDS[mode] > 1 else 100)
    assert is_uniform(flat)
    for band in range(BANDS[mode]):
        padding = (mode, band) == ("RGBX", 3)
        for off, expected in ((2, True), (-2, True), (3, False), (-3, False)):
            pixel = [100] * BANDS[mode]
            pixel[band] += off
            image = spotted(flat, tuple(pixel) if len(pixel) > 1 else pixel[0])
            assert is_uniform(image) is (expected or padding), (band, off)


@pytest.mark.parametrize("mode", DEEP)
def test_one_colour_in_two_bytes(mode):
    flat = Image.new(mode, (200, 150), 30_000)
    for value, expected in ((30_000, True), (30_514, True), (29_486, True), (30_515, False)):
        assert is_uniform(spotted(flat, value)) is expected


@pytest.mark.parametrize(("mode", "near"), [("I", 70_001), ("F", 70_000.5)])
def test_one_colour_where_white_is_unknown(mode, near):
    flat = Image.new(mode, (200, 150), 70_000)
    assert is_uniform(flat)
    assert not is_uniform(spotted(flat, near))
    assert not is_uniform(Image.linear_gradient("L").convert(mode))


def test_one_colour_in_bits():
    flat = Image.new("1", (200, 150), 1)
    assert is_uniform(flat)
    assert is_uniform(Image.new("1", (200, 150), 0))
    for white in (1, 255):
        assert is_uniform(spotted(flat, white))
    assert not is_uniform(spotted(flat, 0))


def test_the_hue_of_grey_says_nothing():
    flat = Image.new("HSV", (200, 150), (10, 0, 90))
    assert is_uniform(spotted(flat, (200, 0, 90)))
    assert not is_uniform(spotted(flat, (10, 200, 90)))


@pytest.mark.parametrize("mode", ["P", "PA"])
def test_one_colour_of_a_palette(mode):
    flat = Image.new(mode, (200, 150), 1 if mode == "P" else (1, 255))
    flat.putpalette([0, 0, 0, 90, 90, 90, 91, 92, 90, 93, 90, 90])
    assert is_uniform(flat)
    for index, expected in ((0, False), (2, True), (3, False)):
        assert is_uniform(spotted(flat, index if mode == "P" else (index, 255))) is expected


def test_a_palette_is_judged_by_what_is_used_of_it():
    image = Image.new("P", (3, 1))
    image.putpalette([value for level in range(256) for value in (level, 0, 0)])
    image.putdata([254, 253, 255])
    assert is_uniform(image)
    every = Image.new("P", (16, 16))
    every.putpalette([7, 7, 7] * 256)
    every.putdata(range(256))
    before = every.copy()
    assert is_uniform(every)
    assert every == before


@pytest.mark.parametrize("transparency", [b"\xff\0\0\xff", bytes(256), 1])
def test_transparent_colours_of_a_palette(transparency):
    """Entries 1 and 2 are two colours; both, or one of them, are not to be seen."""
    image = Image.new("P", (20, 20), 1)
    image.putpalette([0, 0, 0, 90, 0, 0, 0, 90, 0])
    image.info["transparency"] = transparency
    assert is_uniform(image)
    assert is_uniform(spotted(image, 2)) is (transparency != 1)
    assert is_uniform(spotted(image, 0)) is (transparency == bytes(256))


@pytest.mark.parametrize("mode", ["RGBA", "RGBa", "LA", "La", "PA"])
def test_what_lies_beneath_full_transparency_does_not_count(mode):
    colours = noisy(mode="L")
    bands = [*[colours] * (3 if mode.startswith("RGB") else 1), Image.new("L", colours.size)]
    image = Image.merge(mode, bands)
    if mode == "PA":
        image.putpalette([value for level in range(256) for value in (level, 9, 9)])
    assert is_uniform(image)
    image.putalpha(128) if mode == "RGBA" else image.putpixel((9, 9), (200,) * len(bands))
    assert not is_uniform(image)


def test_next_to_full_transparency_is_full_transparency():
    image = noisy(mode="RGBA")
    image.putalpha(2)
    assert is_uniform(image)
    image.putalpha(3)
    assert not is_uniform(image)


def test_a_shape_of_one_colour_is_not_uniform():
    image = Image.new("RGBA", (90, 60), (9, 9, 9, 0))
    image.paste((9, 9, 9, 255), (20, 20, 40, 40))
    assert not is_uniform(image)


@pytest.mark.parametrize("mode", ["L", "RGB", "1"])
def test_a_transparent_colour_is_another_colour(mode):
    image = Image.new(mode, (40, 30), "white")
    image.putpixel((7, 7), 254 if mode == "L" else (255, 255, 254) if mode == "RGB" else 0)
    image.info["transparency"] = (255, 255, 255) if mode == "RGB" else 255
    assert not is_uniform(image)
    assert is_uniform(image.crop((8, 8, 30, 30)))


@pytest.mark.parametrize("mode", ["I", "F", *DEEP, "LA", "La", "RGBA", "CMYK"])
def test_a_transparent_colour_elsewhere_is_no_obstacle(mode):
    image = Image.new(mode, (40, 30))
    image.info["transparency"] = 0
    assert is_uniform(image)
    bands = len(image.getbands())
    assert not is_uniform(spotted(image, (200,) * bands if bands > 1 else 2000))


def test_a_transparent_depth_is_no_obstacle():
    data = png((2, 1), 16, 0, [b"\x12\x34\x12\x34"], (b"tRNS", b"\x12\x34"))
    assert is_uniform(decoded(data))
    data = png((2, 1), 16, 0, [b"\x12\x34\x92\x34"], (b"tRNS", b"\x12\x34"))
    assert not is_uniform(decoded(data))


@pytest.mark.parametrize("colour", ["white", "black", "red", "#123456", "#7f7f7f", "#fedcba"])
@pytest.mark.parametrize("size", [(1, 1), (33, 17), (640, 480)])
def test_a_flat_jpeg_is_uniform_and_one_with_a_line_is_not(colour, size):
    flat = Image.new("RGB", size, colour)
    assert is_uniform(Image.open(BytesIO(encoded(flat, quality=75, subsampling="4:2:0"))))
    if size == (1, 1):
        return
    lined = flat.copy()
    ImageDraw.Draw(lined).line((0, 8, size[0], 8), fill="#8090a0")
    assert not is_uniform(Image.open(BytesIO(encoded(lined, quality=75, subsampling="4:2:0"))))


@pytest.mark.parametrize(("quality", "left"), [(50, 0), (75, 2), (90, 4)])
def test_a_jpeg_with_a_last_bit_of_noise(quality, left):
    draw, size = random.Random(2), (320, 240)
    grain = [bytes(level + draw.randrange(2) for _ in range(320 * 240)) for level in (90, 140, 200)]
    image = Image.merge("RGB", [Image.frombytes("L", size, band) for band in grain])
    again = decoded(encoded(image, quality=quality, subsampling="4:2:0"))
    assert max(high - low for low, high in again.getextrema()) == left
    assert is_uniform(again) is (left <= 2)
    assert is_uniform(image)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "I", "F", "LA", "YCbCr"])
def test_a_photo_is_not_uniform(mode):
    assert not is_uniform(noisy(mode=mode))


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (16, 16), (3, 5)])
def test_one_colour_in_any_size(size):
    image = Image.new("RGB", size, RED)
    assert is_uniform(image)
    image.putpixel((size[0] - 1, size[1] - 1), WHITE)
    assert is_uniform(image) is (size == (1, 1))


@settings(deadline=None)
@given(st.integers(0, 79), st.integers(0, 59), st.booleans())
def test_a_single_pixel_is_found_anywhere(x, y, tall):
    image = Image.new("L", (60, 80) if tall else (80, 60), 255)
    image.putpixel((y, x) if tall else (x, y), 252)
    assert not is_uniform(image)


def test_only_the_current_frame_is_looked_at():
    frames = [Image.new("RGB", (40, 30), "white"), noisy((40, 30)), Image.new("RGB", (40, 30))]
    file = BytesIO(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    found = []
    with Image.open(file) as image:
        for number in range(3):
            image.seek(number)
            found.append(is_uniform(image))
            assert image.tell() == number
    assert found == [True, False, True]


def test_the_image_is_not_changed():
    for mode in ("P", "RGBA", "L", "I;16"):
        image = Image.new(mode, (30, 20))
        image.info["comment"] = "mine"
        before = image.copy()
        is_uniform(image)
        assert image == before
        assert image.info == {"comment": "mine"}


def test_a_truncated_image_is_broken_not_uniform():
    data = encoded(Image.new("RGB", (900, 700), RED), "PNG", compress_level=0)
    with pytest.raises(ImageBroken):
        is_uniform(Image.open(BytesIO(data[:-5000])))


def test_a_photo_is_known_by_a_few_pixels(monkeypatch):
    """Reading all samples of all bands is for those pictures that may be placeholders."""
    read, extrema = [], Image.Image.getextrema
    monkeypatch.setattr(
        Image.Image, "getextrema", lambda image: read.append(image.size) or extrema(image)
    )
    is_uniform(noisy((500, 400)))
    assert [size[0] * size[1] for size in read] == [256]


def test_the_mean_is_pillows():
    image = noisy((77, 55))
    assert brightness(image) == round(ImageStat.Stat(image.convert("L")).mean[0], 2)
