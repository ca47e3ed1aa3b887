"""Ready steps, and how names become steps."""

from __future__ import annotations

import asyncio
import copy
import pickle
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from scrapy_imgpipe.errors import HookFailed, SettingError
from scrapy_imgpipe.imaging import STEPS, Plan, Variant, render, rendering_bytes, step_of, to_srgb
from scrapy_imgpipe.imaging.steps import (
    MOST_TURNED,
    Crop,
    Flip,
    Grayscale,
    Rotate,
    Sharpen,
    Trim,
    Watermark,
    taken,
)
from scrapy_imgpipe.parsers import Parser, parse
from scrapy_imgpipe.probe import probe
from scrapy_imgpipe.variants import name_of_step
from tests.imaging.pictures import (
    BLUE,
    RED,
    WHITE,
    about,
    decoded,
    encoded,
    exif,
    noisy,
    rgb_profile,
)


def darker(image, by=2):
    return image.point(lambda value: value // by)


def early(image, by=2):
    return darker(image, by)


early.before_resize = True


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
    assert not configured.before_resize
    assert step_of({f"{__name__}.early": {"by": 4}}).before_resize


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


@pytest.mark.parametrize(
    ("wish", "expected", "value"),
    [
        ({"rotate": {"degrees": "x"}}, "number from -360 to 360 for S['rotate']['degrees']", "x"),
        ({"rotate": {"background": "red"}}, "or '#rrggbb' for S['rotate']['background']", "red"),
        ({"trim": {"tolerance": "x"}}, "number from 0 to 255 for S['trim']['tolerance']", "x"),
        ({"sharpen": {"percent": "a"}}, "from 0 to 10000 for S['sharpen']['percent']", "a"),
        ({"crop": {"left": True}}, "number from 0 to 1 for S['crop']['left']", True),
        ({"flip": {"vertical": "up"}}, "True or False for S['flip']['vertical']", "up"),
        ({"flip": {"way": 1}}, "arguments out of vertical for S['flip']", "way"),
        ({"grayscale": {"way": 1}}, "arguments out of none for S['grayscale']", "way"),
        ({"watermark": {"path": "/no"}}, "path of an image file for S['watermark']['path']", "/no"),
        ({"watermark": {"margin": "x"}}, "number of pixels, 0 or more, for S['watermark']", "x"),
    ],
)
def test_of_wrong_arguments_the_sentence_names_the_part(wish, expected, value):
    with pytest.raises(SettingError) as caught:
        parse(Parser("steps", step_of), "S", wish)
    assert expected in str(caught.value)
    assert str(caught.value).endswith(f" but received {value!r} of type {type(value).__name__}")


def test_arguments_may_be_text():
    assert step_of({"rotate": {"degrees": "10", "background": "#ff0000"}}) == Rotate(10.0, RED)
    assert step_of({"trim": {"tolerance": "7"}}) == Trim(7)
    assert step_of({"crop": {"left": "0.5"}}) == Crop(0.5)
    assert step_of({"flip": {"vertical": "true"}}) == Flip(vertical=True)
    assert Rotate(5, [255, 0, 0]) == Rotate("5", "#FF0000")


@pytest.mark.parametrize("wrong", [lambda: Rotate("x"), lambda: Trim(300), lambda: Sharpen(-1)])
def test_steps_check_what_they_are_told(wrong):
    with pytest.raises(ValueError, match=r"^Expected .*number from"):
        wrong()


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


def test_trim_does_not_see_what_is_under_transparency():
    image = noisy((60, 40), "RGBA")
    image.putalpha(0)
    image.paste((0, 255, 0, 255), (20, 10, 50, 30))
    assert Trim()(image).size == (30, 20)


@pytest.mark.parametrize("size", [(20_000, 10), (10, 20_000), (1, 60_000), (4000, 3000)])
@pytest.mark.parametrize("degrees", [-350, -45, 0, 3, 45, 90, 180, 300])
def test_a_turned_picture_has_twice_its_pixels_or_a_limit(size, degrees):
    turning = Rotate(degrees)
    turned = turning(Image.new("L", size).convert("RGB"))
    most = max(2 * size[0] * size[1], MOST_TURNED)
    assert turned.width * turned.height <= most * 1.01
    expected = turning.size_of(size)
    assert expected[0] * expected[1] <= most * 1.01
    assert turned.width * turned.height <= expected[0] * expected[1]
    if degrees % 90 == 0:
        assert sorted(turned.size) == sorted(size)


def test_a_turned_strip_counts_with_its_canvas():
    data = encoded(Image.new("RGB", (20_000, 10)), "PNG")
    still, turned = (
        rendering_bytes(data, probe(data), Plan((Variant("a", 100, steps=steps),)))
        for steps in ((), (Rotate(45),))
    )
    assert turned - still > 2 * 4 * MOST_TURNED
    (made,) = render(data, Plan((Variant("a", 100, steps=(Rotate(45),)),)))[1:]
    assert (made.width, made.height) == (100, 100)


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


@pytest.fixture
def mark(tmp_path):
    def written(image, kind="PNG", **options):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.{kind.lower()}"
        path.write_bytes(encoded(image, kind, **options))
        return str(path)

    return written


def marked(path, **options):
    picture = Image.new("RGB", (100, 100), WHITE)
    return Watermark(path, "top-left", 0.4, **options)(picture)


def test_a_watermark_is_shown_as_a_viewer_shows_it(mark):
    deep = Image.new("I;16", (40, 40), 30_000)
    assert marked(mark(deep, "TIFF")).getpixel((9, 9)) == (117, 117, 117)
    halves = Image.new("RGB", (40, 40), RED)
    halves.paste(BLUE, (0, 20, 40, 40))
    turned = marked(mark(halves, "JPEG", exif=exif(3)))  # upside down
    assert about(turned.getpixel((5, 5)), BLUE)
    strange = marked(mark(Image.new("RGB", (40, 40), RED), icc_profile=rgb_profile()))
    assert about(strange.getpixel((9, 9)), (0, 255, 0))


def test_a_watermark_is_of_its_colours_where_a_profile_stays(mark):
    path = mark(Image.new("RGBA", (40, 40), (200, 100, 50, 255)))
    data = encoded(Image.new("RGB", (80, 80)), "PNG", icc_profile=rgb_profile())
    steps = (Watermark(path, "top-left", 0.4),)
    plan = Plan((Variant("a", format="PNG", metadata="profile", steps=steps),))
    made = decoded(render(data, plan)[1].data)
    assert made.info["icc_profile"] == rgb_profile()
    assert not about(made.getpixel((9, 9)), (200, 100, 50))
    assert about(to_srgb(made, rgb_profile()).getpixel((9, 9)), (200, 100, 50))


def test_steps_that_stand_before_one_at_full_scale_are_called_before_it():
    halves = Image.new("RGB", (80, 40), RED)
    halves.paste(BLUE, (40, 0, 80, 40))
    for steps, colour in (
        ((Flip(), Crop(left=0.5)), RED),
        ((Crop(left=0.5), Flip()), BLUE),
        ((Flip(), Crop(left=0.5), Flip()), RED),
    ):
        plan = Plan((Variant("a", 20, format="PNG", steps=steps),))
        assert decoded(render(encoded(halves, "PNG"), plan)[1].data).getpixel((5, 5)) == colour


@pytest.mark.parametrize(("mode", "seen"), [("RGB", "RGB"), ("RGBA", "RGBA")])
def test_a_step_of_ones_own_gets_colours_behind_grayscale(mode, seen):
    modes = []

    def own(image):
        modes.append(image.mode)
        return image

    data = encoded(noisy((60, 40), mode), "PNG")
    steps = (Grayscale(), own, Grayscale(), Flip(), Rotate(5), Sharpen())
    render(data, Plan((Variant("a", 30, format="PNG", steps=steps),)))
    assert modes == [seen]
    grey = Variant("a", 30, format="PNG", steps=(Grayscale(), Flip(), Sharpen(), Crop(0.5)))
    made = decoded(render(data, Plan((grey,)))[1].data)
    assert made.mode == {"RGB": "L", "RGBA": "LA"}[mode]


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


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SystemExit(5), "SystemExit: 5"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (asyncio.CancelledError(), "CancelledError"),
    ],
    ids=repr,
)
def test_what_would_end_an_event_loop_is_a_mistake_of_a_step_in_a_thread(error, words):
    def leaving(image):
        raise error

    plan = Plan((Variant("a", 9, steps=(leaving,)),))
    with ThreadPoolExecutor(1) as thread:
        failed = thread.submit(render, encoded(noisy()), plan).exception()
    assert isinstance(failed, HookFailed)
    assert str(failed).endswith(f"leaving failed: {words}")
    assert failed.__context__ is None


def test_ctrl_c_ends_rendering_in_the_main_thread():
    def interrupted(image):
        signal.raise_signal(signal.SIGINT)
        return image

    def leaving(image):
        raise SystemExit

    def raising(image):
        raise KeyboardInterrupt

    picture = encoded(noisy())
    with pytest.raises(KeyboardInterrupt):
        render(picture, Plan((Variant("a", 9, steps=(interrupted,)),)))
    with pytest.raises(HookFailed):
        render(picture, Plan((Variant("a", 9, steps=(leaving,)),)))
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a worker process
    try:
        with pytest.raises(HookFailed):
            render(picture, Plan((Variant("a", 9, steps=(raising,)),)))
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_error_that_cannot_be_told_is_a_mistake_of_the_step_too():
    class Shy(Exception):
        def __str__(self):
            raise ValueError

    def failing(image):
        raise Shy

    with pytest.raises(HookFailed, match=r"failed: Shy: it has no text$"):
        render(encoded(noisy()), Plan((Variant("a", 9, steps=(failing,)),)))


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
    steps = (early, late)
    plan = Plan((Variant("plain", 60), Variant("stepped", 30, steps=steps)))
    picture = noisy((640, 480))
    _, plain, stepped = render(encoded(picture, kind), plan)
    assert sizes == {"early": (640, 480), "late": (30, 23)}
    assert decoded(stepped.data).convert("L").getextrema() == (0, 0)
    assert decoded(plain.data).convert("L").getextrema()[1] > 200
