"""What shows behind a picture is of the colour that was asked for, whatever its profile."""

from __future__ import annotations

import pytest
from PIL import Image

from scrapy_imgpipe.imaging import Plan, Variant, render, to_srgb
from scrapy_imgpipe.imaging.steps import Rotate, Trim
from tests.imaging.pictures import (
    RED,
    about,
    decoded,
    encoded,
    grey_profile,
    noisy,
    rgb_profile,
)

COLOUR = (200, 100, 50)
PROFILE = rgb_profile()
CLEAR = encoded(Image.new("RGBA", (99, 99)), "PNG", icc_profile=PROFILE)


def corner(picture):
    return decoded(picture.data).convert("RGB").getpixel((0, 0))


@pytest.mark.parametrize("others", [(), (Variant("w", 50, format="PNG"),)])
@pytest.mark.parametrize("full", ["jpeg", Variant("")])
def test_a_background_is_no_colour_of_the_sources_profile(others, full):
    plan = Plan((Variant("a", 50), *others), background=COLOUR, full=full)
    first, made, *_ = render(CLEAR, plan)
    assert about(corner(first), COLOUR, 2)
    assert about(corner(made), COLOUR, 2)
    own = Plan((Variant("a", 50, format="PNG", background=COLOUR), *others))
    assert corner(render(CLEAR, own)[1]) == COLOUR


def test_what_is_shown_is_converted_and_the_background_is_not():
    picture = Image.new("RGBA", (80, 80))
    picture.paste((255, 0, 0, 255), (40, 0, 80, 80))
    data = encoded(picture, "PNG", icc_profile=PROFILE)
    made = decoded(render(data, Plan((Variant("a", 80, format="PNG", background=COLOUR),)))[1].data)
    assert made.getpixel((5, 5)) == COLOUR
    assert about(made.getpixel((60, 5)), (0, 255, 0))  # as the profile says


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
@pytest.mark.parametrize("size", [{"width": 50}, {"width": 50, "height": 90, "fit": "contain"}])
def test_where_the_profile_stays_backgrounds_are_brought_to_it(form, size):
    lossless = {"lossless": True} if form == "WEBP" else {}
    look = {"format": form, "metadata": "profile", "options": lossless, **size}
    plan = Plan((Variant("a", background=COLOUR, **look),))
    made = decoded(render(CLEAR, plan)[1].data)
    assert made.info["icc_profile"] == PROFILE
    assert not about(made.getpixel((0, 0)), COLOUR)
    assert about(to_srgb(made, PROFILE).getpixel((0, 0)), COLOUR, 2)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_corners_of_a_turned_picture_are_of_their_colour(kind):
    data = encoded(Image.new("RGB", (200, 200)), kind, icc_profile=PROFILE)
    steps = (Rotate(45, COLOUR),)
    looks = (
        Variant("a", 99, format="PNG", steps=steps),
        Variant("b", 99, format="PNG", steps=steps, metadata="profile"),
    )
    _, plain, kept = render(data, Plan(looks))
    assert about(corner(plain), COLOUR, 2)
    made = decoded(kept.data)
    assert made.info["icc_profile"] == PROFILE
    assert about(to_srgb(made, PROFILE).getpixel((0, 0)), COLOUR, 2)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("early", [True, False])
def test_steps_get_srgb_and_else_the_profile_of_their_pixels(kind, early):
    seen = []

    def look(image):
        seen.append((image.getpixel((9, 9)), image.info.get("icc_profile")))
        return image

    look.before_resize = early
    data = encoded(Image.new("RGB", (100, 100), RED), kind, icc_profile=PROFILE)
    variants = tuple(Variant(kept, 50, steps=(look,), metadata=kept) for kept in ("none", "all"))
    render(data, Plan(variants))
    converted, stayed = sorted(seen, key=lambda each: each[1] is not None)
    assert about(converted[0], (0, 255, 0))
    assert converted[1] is None
    assert about(stayed[0], RED)
    assert stayed[1] == PROFILE


def test_an_opaque_rendition_is_the_same_beside_a_transparent_one():
    data = encoded(Image.new("RGBA", (200, 200), (10, 200, 30, 200)), "PNG")
    turned = Variant("a", 100, 100, steps=(Rotate(45, RED),))
    _, alone = render(data, Plan((turned,)))
    _, together, _ = render(data, Plan((turned, Variant("b", 50, format="PNG"))))
    assert about(corner(alone), RED)
    assert alone.data == together.data


def test_a_transparent_border_is_trimmed_with_whatever_is_under_it():
    picture = noisy((200, 200), "RGBA")
    picture.putalpha(0)
    picture.paste((0, 255, 0, 255), (50, 50, 150, 150))
    data = encoded(picture, "PNG")
    opaque, clear = (Variant(form, format=form, steps=(Trim(),)) for form in ("JPEG", "PNG"))
    for plan in (Plan((opaque,)), Plan((clear,)), Plan((opaque, clear))):
        assert {decoded(made.data).size for made in render(data, plan)[1:]} == {(100, 100)}


def test_a_profile_of_grey_does_not_stay_with_a_palette():
    data = encoded(noisy().quantize(8), "PNG", icc_profile=grey_profile())
    made = decoded(render(data, Plan((Variant("a", format="PNG", metadata="all"),)))[1].data)
    assert made.mode == "RGB"
    assert "icc_profile" not in made.info
