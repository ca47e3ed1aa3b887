"""Pictures and arrays that somebody gives: every mode, every format, nothing lost in silence."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageCms, ImageStat

from scrapy_imgpipe.errors import HookFailed, SettingError
from scrapy_imgpipe.imaging import Variant, encode_image, flatten, pixels_of, to_srgb
from tests.imaging.pictures import decoded, encoded, noisy, rgb_profile

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF")
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "I", "F")
SIZE = (96, 64)


def made(image: Image.Image, form: str = "PNG", **look: object) -> Image.Image:
    return decoded(encode_image(image, Variant("given", format=form, **look)).data)


def off(a: Image.Image, b: Image.Image) -> float:
    """Return by how much two pictures differ, 0 to 255."""
    return max(ImageStat.Stat(ImageChops.difference(a.convert("RGB"), b.convert("RGB"))).mean)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_every_format_and_looks_the_same(mode, form):
    image = noisy(SIZE).convert(mode)
    before = image.tobytes(), dict(image.info)
    result = made(image, form, options={"quality": 95} if form in {"JPEG", "WEBP", "AVIF"} else ())
    assert (result.format, result.size) == (form, SIZE)
    assert off(result, flatten(image)) < (20 if form == "GIF" or "P" in mode else 6)
    assert (image.tobytes(), image.info) == before
    assert made(image, form, width=30, height=30).size == (30, 20)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_png_has_the_very_pixels(mode):
    image = noisy(SIZE).convert("L").convert(mode) if mode == "I;16" else noisy(SIZE).convert(mode)
    result = made(image)
    assert result.mode == mode
    assert result.convert("RGBA").tobytes() == image.convert("RGBA").tobytes()


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_greys_of_16_bits_stay_so_in_png_and_become_8_elsewhere(order):
    deep = np.arange(64 * 96, dtype=order).reshape(64, 96) * 10
    image = pixels_of(deep).image()
    assert np.array_equal(np.asarray(made(image)), deep)
    assert np.array_equal(np.asarray(made(image.convert("I"))), deep)
    small = np.asarray(made(image, "JPEG", options={"quality": 100}), dtype=int)
    assert np.abs(small - (deep >> 8)).max() <= 2
    assert made(image, options={"colours": 16}).mode == "P"


def test_colours_of_16_bits_keep_the_upper_8():
    deep = np.random.default_rng(1).integers(0, 65536, (64, 96, 3)).astype(">u2")
    assert np.array_equal(np.asarray(pixels_of(deep).image()), deep >> 8)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "AVIF", "GIF"])
def test_what_is_transparent_stays_so_where_the_format_can(form):
    image = noisy(SIZE, "RGBA")
    image.putalpha(Image.linear_gradient("L").resize(SIZE).point(lambda value: value // 128 * 255))
    alpha = made(image, form).convert("RGBA").getchannel("A")
    assert off(alpha, image.getchannel("A")) < 3


def test_elsewhere_the_background_shows():
    image = Image.new("RGBA", SIZE)
    data = encode_image(image, Variant("given"), (10, 200, 30)).data
    assert off(decoded(data), Image.new("RGB", SIZE, (10, 200, 30))) < 3
    result = made(image, "PNG", background=(10, 200, 30))
    assert (result.mode, result.getpixel((0, 0))) == ("RGB", (10, 200, 30))


@pytest.mark.parametrize("form", ["PNG", "GIF", "WEBP", "JPEG"])
def test_a_transparent_entry_of_a_palette_counts(form):
    image = noisy(SIZE).quantize(16)
    image.info["transparency"] = image.getpixel((40, 40))
    result = made(image, form)
    if form == "JPEG":
        assert off(result, flatten(image)) < 12
    else:
        clear = image.convert("RGBA").getchannel("A")
        assert off(result.convert("RGBA").getchannel("A"), clear) < 1


def test_it_is_upright_and_in_srgb_and_without_metadata():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    exif = Image.Exif()
    exif[0x0112], exif[0x8298] = 6, "somebody"
    turned = decoded(encoded(noisy(SIZE), exif=exif, icc_profile=profile.tobytes()))
    plain = made(turned, "JPEG")
    assert plain.size == SIZE[::-1]
    assert not {"icc_profile", "exif"} & plain.info.keys()
    kept = made(turned, "JPEG", metadata="all")
    assert kept.size == SIZE[::-1]
    assert dict(kept.getexif()) == {0x8298: "somebody"}


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colours_of_a_profile_become_srgb_unless_it_is_kept(mode):
    image = Image.new(mode, SIZE, (250, 10, 20))
    image.info["icc_profile"] = rgb_profile("gbr")  # what is called red shines green
    seen = made(image)
    red, green, blue = seen.convert("RGB").getpixel((0, 0))
    assert green > red + 50
    assert green > blue + 50
    assert "icc_profile" not in seen.info
    kept = made(image, metadata="profile")
    assert kept.convert("RGB").getpixel((0, 0)) == (250, 10, 20)
    assert kept.info["icc_profile"] == rgb_profile("gbr")


def test_the_background_is_srgb_whatever_the_profile():
    image = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    image.info["icc_profile"] = rgb_profile("gbr")
    for kept in ("none", "profile"):
        result = made(image, background=(200, 30, 40), metadata=kept)
        shown = to_srgb(result, result.info.get("icc_profile"))
        assert off(shown, Image.new("RGB", SIZE, (200, 30, 40))) < 4


def test_steps_are_called_and_what_fails_is_theirs():
    def fail(image: Image.Image) -> Image.Image:
        raise LookupError

    assert made(noisy(SIZE), "PNG", steps=(lambda image: image.rotate(180),)).tobytes() == (
        noisy(SIZE).rotate(180).tobytes()
    )
    with pytest.raises(HookFailed):
        made(noisy(SIZE), "PNG", steps=(fail,))


def test_what_is_larger_than_its_format_can_be_is_shrunk():
    assert made(Image.effect_noise((17_000, 4), 90), "WEBP").size == (16_383, 4)


# --- arrays without numpy ---


class Bare:
    """Says what it is by the protocol, and nothing else."""

    def __init__(self, **told: object) -> None:
        self.__array_interface__ = {"version": 3, **told}


def test_numpy_is_not_needed():
    rows = bytes(range(24))
    told = {"shape": (2, 4, 3), "typestr": "|u1"}
    assert pixels_of(Bare(**told, data=rows)).image().tobytes() == rows
    array = np.frombuffer(rows, np.uint8)
    pointer = Bare(**told, data=array.__array_interface__["data"])
    assert pixels_of(pointer).image().tobytes() == rows
    assert pixels_of(Bare(**told, data=b"." + rows, offset=1)).data == rows


@pytest.mark.parametrize(
    "told",
    [
        {"shape": (2, 4, 3), "typestr": "|u1", "data": bytes(23)},
        {"shape": (2, 4, 3), "typestr": "|u1", "data": bytes(48), "strides": (24, 6, 1)},
        {"shape": (2, 4), "typestr": "|O", "data": bytes(64)},
        {"shape": (2, 4), "typestr": "<f4", "data": bytes(64)},
        {"shape": (), "typestr": "|u1", "data": b"1"},
        {"shape": (-2, -4), "typestr": "|u1", "data": bytes(8)},
        {"shape": (2, 4), "typestr": "|u1", "data": (0, False)},
        {"shape": ("2", "4"), "typestr": "|u1", "data": bytes(8)},
        {"typestr": "|u1", "data": bytes(8)},
    ],
)
def test_what_is_no_picture_is_refused(told):
    with pytest.raises(SettingError, match=r"^Expected an array of bool, uint8 or uint16"):
        pixels_of(Bare(**told))


def test_views_of_arrays_are_what_they_show():
    array = np.random.default_rng(1).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    view = array[::-2, 10:50]
    assert np.array_equal(np.asarray(pixels_of(view).image()), view)
