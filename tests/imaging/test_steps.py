"""Ready steps, and how names become steps."""

from __future__ import annotations

import copy
import pickle

import pytest
from PIL import Image

from scrapy_imgpipe.errors import HookFailed
from scrapy_imgpipe.imaging import STEPS, Plan, Variant, render, step_of
from scrapy_imgpipe.imaging.steps import (
    Crop,
    Flip,
    Grayscale,
    Rotate,
    Sharpen,
    Trim,
    Watermark,
    taken,
)
from scrapy_imgpipe.variants import name_of_step
from tests.imaging.pictures import RED, WHITE, about, decoded, encoded, noisy


def darker(image, by=2):
    return image.point(lambda value: value // by)


class Inverting:
    before_resize = True

    def __call__(self, image):
        return image.point(lambda value: 255 - value)


def test_names_functions_and_arguments_become_steps():
    assert step_of("grayscale") == Grayscale()
    assert step_of({"crop": {"left": 0.5}}) == Crop(left=0.5)
    assert step_of(darker) is darker
    assert step_of(f"{__name__}.darker") is darker
    assert isinstance(step_of(f"{__name__}.Inverting"), Inverting)
    configured = step_of({f"{__name__}.darker": {"by": 4}})
    assert configured(Image.new("RGB", (1, 1), (80, 40, 8))).getpixel((0, 0)) == (20, 10, 2)
    assert dict(configured.arguments) == {"by": 4}


@pytest.mark.parametrize(
    "wish",
    [
        "blur",
        "no.such.module",
        "json.no_such_thing",
        "json.__doc__",
        {"crop": {"middle": 1}},
        {"crop": 1},
        {"crop": {"left": 0.9, "right": 0.1}},
        {"watermark": {}},
        {"watermark": {"path": "/no/such/file.png"}},
        {"watermark": {"path": __file__}},
        {"flip": {"vertical": True, "horizontal": True}},
    ],
)
def test_what_is_no_step_is_refused(wish):
    with pytest.raises(ValueError):  # noqa: PT011 - any: the setting's sentence says the rest
        step_of(wish)


@pytest.mark.parametrize("name", sorted(STEPS.keys() - {"watermark"}))
def test_a_ready_step_is_known_in_every_process(name):
    step = step_of(name)
    assert pickle.loads(pickle.dumps(step)) == step
    assert hash(step) == hash(copy.deepcopy(step))
    assert name_of_step(step) == repr(step)
    assert " at 0x" not in repr(step)


def test_configured_functions_are_told_apart():
    one, other = (step_of({f"{__name__}.darker": {"by": by}}) for by in (2, 3))
    assert name_of_step(one) == f"{__name__}.darker(('by', 2),)"
    assert Variant("", steps=(one,)).digest != Variant("", steps=(other,)).digest
    listed = step_of({f"{__name__}.darker": {"by": [1, 2]}})
    assert hash(listed)


def test_crop_takes_shares():
    image = noisy((80, 40))
    assert Crop(0.25, 0.5, 0.75, 1.0)(image).tobytes() == image.crop((20, 20, 60, 40)).tobytes()
    assert Crop(0.999, 0.999, 1, 1)(Image.new("RGB", (2, 2))).size == (1, 1)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_trim_takes_borders_off(mode):
    image = Image.new(mode, (60, 40), (250, 250, 250))
    image.paste(noisy((20, 10)).convert(mode), (30, 5))
    image.putpixel((30, 5), RED)
    image.putpixel((49, 14), RED)
    assert Trim(20)(image).size == (20, 10)
    blank = Image.new(mode, (9, 9), WHITE)
    assert Trim()(blank).size == (9, 9)


def test_rotate_keeps_all_of_it():
    turned = Rotate(90)(Image.new("RGB", (30, 20), RED))
    assert turned.size == (20, 30)
    corner = Rotate(45, (0, 0, 255))(Image.new("RGB", (30, 30), RED))
    assert corner.getpixel((0, 0)) == (0, 0, 255)
    assert Rotate(45)(Image.new("RGBA", (30, 30), RED)).getpixel((0, 0))[3] == 0


def test_grayscale_flip_and_sharpen():
    image = noisy()
    assert Grayscale()(image).mode == "L"
    assert Grayscale()(image.convert("RGBA")).mode == "LA"
    assert Flip()(image).getpixel((0, 0)) == image.getpixel((image.width - 1, 0))
    assert Flip(vertical=True)(image).getpixel((0, 0)) == image.getpixel((0, image.height - 1))
    edge = Image.new("RGB", (40, 10), (100, 100, 100))
    edge.paste((150, 150, 150), (20, 0, 40, 10))
    lowest, highest = Sharpen(percent=200)(edge).getchannel("R").getextrema()
    assert lowest < 100
    assert highest > 150


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_watermark_goes_where_it_is_asked_for(mode, tmp_path):
    path = tmp_path / "mark.png"
    Image.new("RGBA", (40, 40), (255, 0, 0, 255)).save(path)
    image = Image.new(mode, (100, 50), (255, 255, 255))
    marked = Watermark(str(path), "top-right", share=0.2, margin=5)(image)
    assert about(marked.getpixel((90, 7))[:3], RED)  # 10 pixels wide: a fifth of the height
    assert about(marked.getpixel((97, 7))[:3], WHITE)
    assert about(marked.getpixel((80, 7))[:3], WHITE)
    faded = Watermark(str(path), "left", opacity=0.5)(Image.new(mode, (100, 50), (255, 255, 255)))
    assert about(faded.getpixel((3, 25))[:3], (255, 127, 127))


def test_steps_are_called_in_their_order():
    seen = []

    def one(image):
        seen.append(("one", image.mode))
        return image.convert("CMYK")

    def two(image):
        seen.append(("two", image.mode))
        return image

    taken(noisy(), [one, two], WHITE)
    assert seen == [("one", "RGB"), ("two", "RGB")]


def test_what_a_step_does_wrong_is_its_own():
    def broken(image):
        raise KeyError("x")

    for wrong, words in ((broken, "broken failed: KeyError: 'x'"), (str, "str failed: it gave '<")):
        plan = Plan((Variant("a", 9, steps=(wrong,)),))
        with pytest.raises(HookFailed, match=words) as caught:
            render(encoded(noisy()), plan)
        assert caught.value.__context__ is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_what_a_step_does_to_its_picture_no_other_rendition_sees(kind):
    def blacken(image):
        image.paste(0, (0, 0, *image.size))
        return image

    looks = (Variant("black", 80, steps=(blacken,)), Variant("same", 80), Variant("less", 30))
    made = render(encoded(noisy(), kind), Plan(looks))
    pictures = {each.name: decoded(each.data) for each in made}
    assert pictures["black"].convert("L").getextrema() == (0, 0)
    assert pictures["same"].convert("L").getextrema()[1] > 200
    assert pictures["less"].convert("L").getextrema()[1] > 200


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_early_steps_get_the_whole_picture_and_others_the_small_one(kind):
    sizes = {}

    def early(image):
        sizes["early"] = image.size
        image.paste(0, (0, 0, *image.size))  # it is lent: others do not see that
        return image

    def late(image):
        sizes["late"] = image.size
        return image

    early.before_resize = True
    steps = (late, early)
    plan = Plan((Variant("plain", 60), Variant("stepped", 30, steps=steps)))
    picture = noisy((640, 480))
    _, plain, stepped = render(encoded(picture, kind), plan)
    assert sizes == {"early": (640, 480), "late": (30, 23)}
    assert decoded(stepped.data).convert("L").getextrema() == (0, 0)
    assert decoded(plain.data).convert("L").getextrema()[1] > 200
