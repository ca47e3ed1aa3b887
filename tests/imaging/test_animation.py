"""Animations: still by default, moving where frames are asked for."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import Image

from scrapy_imgpipe.errors import ImageBroken
from scrapy_imgpipe.imaging import Plan, Variant, animation, outputs, render, rendering_bytes
from scrapy_imgpipe.probe import probe
from tests.hostile_files.making import gif_frame
from tests.imaging.pictures import decoded, difference, encoded, noisy

FORMATS = ["GIF", "WEBP", "PNG", "AVIF"]
DURATIONS = [40, 80, 120, 60]
FRAMES = [noisy((80, 60), "RGBA", seed=seed) for seed in range(4)]


def moving(kind, **options):
    """Return four frames as a file that repeats twice."""
    more = {"loop": 2} if kind != "AVIF" else {}
    settings = {"save_all": True, "append_images": FRAMES[1:], "duration": DURATIONS}
    return encoded(FRAMES[0], kind, **{**settings, **more, **options})


def frames_of(data):
    """Return all frames as a viewer shows them, and how long each is shown."""
    with Image.open(io.BytesIO(data)) as image:
        found = []
        for number in range(image.n_frames):
            image.seek(number)
            found.append((image.convert("RGB"), image.info.get("duration")))
    return found


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("form", FORMATS)
def test_it_goes_on_moving(kind, form):
    data = moving(kind)
    look = Variant("v", 40, 40, "cover", format=form, frames=10)
    full, made = render(data, Plan((look,)))
    assert (made.format, made.width, made.height) == (form, 40, 40)
    before, after = frames_of(data), frames_of(made.data)
    assert len(before) == len(after) == 4
    assert [round(duration) for _, duration in after] == DURATIONS
    for (one, _), (other, _) in zip(before, after, strict=True):
        expected = one.crop((10, 0, 70, 60)).resize((40, 40), Image.Resampling.LANCZOS)
        assert difference(other, expected) < 14
    assert getattr(decoded(full.data), "n_frames", 1) == 1
    if "AVIF" not in {kind, form}:
        assert decoded(made.data).info.get("loop") == 2


@pytest.mark.parametrize("form", ["WEBP", "PNG", "AVIF"])
def test_what_is_to_stay_of_the_metadata_does(form):
    rights = Image.Exif()
    rights[0x8298] = "(c) Ann"
    look = Variant("v", 40, format=form, frames=9, metadata="copyright")
    _, made = render(moving("WEBP", exif=rights), Plan((look,)))
    assert len(frames_of(made.data)) == 4
    assert dict(decoded(made.data).getexif()) == {0x8298: "(c) Ann"}


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
def test_it_is_upright(kind):
    turned = Image.Exif()
    turned[0x0112] = 6
    plan = Plan((Variant("still", 30, format="WEBP"), Variant("v", 30, format="WEBP", frames=9)))
    _, still, made = render(moving(kind, exif=turned), plan)
    assert (made.width, made.height) == (still.width, still.height) == (30, 40)
    assert difference(frames_of(made.data)[0][0], decoded(still.data)) < 4


def test_a_picture_for_those_who_show_no_animation_is_no_frame():
    data = moving("PNG", default_image=True, duration=DURATIONS[1:])
    _, made = render(data, Plan((Variant("v", 80, format="WEBP", frames=9),)))
    frames = frames_of(made.data)
    assert len(frames) == 3
    assert difference(frames[0][0], FRAMES[1].convert("RGB")) < 14


@pytest.mark.parametrize("form", ["GIF", "PNG"])
@pytest.mark.parametrize("colours", [2, 8])
def test_frames_with_a_palette_keep_colours_and_transparency(form, colours):
    frames = [Image.new("RGBA", (60, 40), (60 * number, 200, 9, 255)) for number in range(3)]
    for frame in frames:
        frame.paste((0, 0, 0, 0), (30, 0, 60, 40))
    data = encoded(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=50)
    look = Variant("v", 60, format=form, frames=9, options=(("colours", colours),))
    _, made = render(data, Plan((look,)))
    with Image.open(io.BytesIO(made.data)) as image:
        for number in range(3):
            image.seek(number)
            shown = image.convert("RGBA")
            assert shown.getpixel((5, 20)) == (60 * number, 200, 9, 255)
            assert shown.getpixel((50, 20))[3] == 0


def test_what_plays_once_goes_on_doing_so():
    once = encoded(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:], duration=50)
    looks = tuple(Variant(form, 40, format=form, frames=9) for form in ("PNG", "WEBP", "GIF"))
    _, *made = render(once, Plan(looks))
    assert [decoded(each.data).info.get("loop") for each in made] == [1, 1, None]
    _, *made = render(moving("AVIF"), Plan(looks))  # plays for ever
    assert [decoded(each.data).info.get("loop") for each in made] == [0, 0, 0]


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_one_cut_off_behind_its_first_frame_is_not_kept(kind):
    data = moving(kind)
    assert render(data, Plan(full="source"))[0].data is data
    with pytest.raises(ImageBroken):
        render(data[: len(data) * 6 // 10], Plan(full="source"))


def test_by_default_it_stands_still():
    for form in FORMATS:
        _, made = render(moving("GIF"), Plan((Variant("v", 40, format=form),)))
        assert getattr(decoded(made.data), "n_frames", 1) == 1


def test_only_so_many_frames(monkeypatch):
    _, made = render(moving("GIF"), Plan((Variant("v", 40, format="WEBP", frames=3),)))
    assert len(frames_of(made.data)) == 3
    monkeypatch.setattr(animation, "MOST_PIXELS", 80 * 60 * 2)
    _, made = render(moving("GIF"), Plan((Variant("v", 40, format="WEBP", frames=99),)))
    assert len(frames_of(made.data)) == 2


def gif_that_grows(*sides: int) -> bytes:
    """Return a GIF of 10 x 10 whose later frames are larger."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 10, 10, 0xF7, 0, 0) + bytes(range(256)) * 3
    return screen + b"".join(gif_frame(side, side) for side in (10, 10, *sides)) + b";"


@pytest.mark.parametrize(("sides", "frames"), [((10, 14), 4), ((14, 15, 10), 3), ((1000, 10), 2)])
def test_a_frame_that_makes_the_canvas_much_larger_ends_it(sides, frames, monkeypatch):
    made = []
    monkeypatch.setattr(
        animation, "_base", lambda *args, real=animation._base: made.append(args) or real(*args)
    )
    render(gif_that_grows(*sides), Plan((Variant("v", 5, format="WEBP", frames=9),)))
    assert len(made) == frames


def test_the_largest_canvas_counts_for_the_frames_behind_it(monkeypatch):
    monkeypatch.setattr(animation, "MOST_PIXELS", 100 + 100 + 196 + 196)
    made = []
    monkeypatch.setattr(
        animation, "_base", lambda *args, real=animation._base: made.append(args) or real(*args)
    )
    render(gif_that_grows(14, 10, 10), Plan((Variant("v", 5, format="WEBP", frames=9),)))
    assert len(made) == 4


def test_what_cannot_move_stands_still():
    _, made = render(moving("GIF"), Plan((Variant("v", 40, frames=9),)))
    assert made.format == "JPEG"
    still = encoded(noisy(), "PNG")
    plan = Plan((Variant("v", 40, format="WEBP", frames=9),))
    assert getattr(decoded(render(still, plan)[1].data), "n_frames", 1) == 1


def test_frames_have_steps_canvas_and_palette():
    look = Variant("v", 50, 50, "contain", format="GIF", frames=9, background=(255, 0, 0))
    grey = Variant("g", 40, format="GIF", frames=9, options=(("colours", 8),))
    _, boxed, few = render(moving("WEBP"), Plan((look, grey)))
    for image, _ in frames_of(boxed.data):
        assert image.size == (50, 50)
        red, green, _ = image.getpixel((25, 1))
        assert red > 230
        assert green < 40
    for image, _ in frames_of(few.data):
        assert len(image.getcolors(99)) <= 8


def test_a_full_image_may_move_and_others_are_made_of_the_stored_one():
    plan = Plan(
        (Variant("v", 20, format="GIF", frames=9),), full=Variant("", 60, frames=9, format="WEBP")
    )
    full, small = render(moving("GIF"), plan)
    assert (len(frames_of(full.data)), len(frames_of(small.data))) == (4, 4)
    kept = Plan(plan.variants, full="source")
    data = moving("GIF")
    first = render(data, kept)
    assert first[0].data is data
    assert render(data, kept, only={"v"})[0].data == first[1].data


def test_frames_count_in_the_memory_that_it_takes():
    data = moving("GIF")
    plans = [Plan((Variant("v", 40, format="GIF", frames=frames),)) for frames in (1, 100)]
    still, moved = (rendering_bytes(data, probe(data), plan) for plan in plans)
    assert moved - still == 40 * 30 * 4 * 100


#: Numbers that other formats have no room for: what is written, and what is read again.
LONG = [
    ("WEBP", 700_000, "GIF", 655_350),
    ("AVIF", 20_000_000, "WEBP", 2**24 - 1),
    ("WEBP", 700_000, "PNG", 65_535),
]


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize(("kind", "duration", "form", "shown"), LONG)
def test_what_is_shown_longer_than_a_format_can_say_is_cut(kind, duration, form, shown, alike):
    data = moving(kind, duration=duration)
    if alike:  # such frames become one, which is no longer than others
        last = [FRAMES[0], FRAMES[1], FRAMES[1], FRAMES[2]]
        data = encoded(last[0], kind, save_all=True, append_images=last[1:], duration=duration)
    _, made = render(data, Plan((Variant("v", 40, format=form, frames=9),)))
    assert {duration for _, duration in frames_of(made.data)} == {shown}


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_it_plays_as_often_as_a_format_can_say(form):
    _, made = render(moving("PNG", loop=100_000), Plan((Variant("v", 40, format=form, frames=9),)))
    most = 100_000 if form == "PNG" else 65_535
    assert decoded(made.data).info["loop"] == most


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([33, 33, 33, 33], [30, 40, 30, 30]),
        ([16, 16, 16, 16], [20, 20, 20, 20]),
        ([45, 45, 45, 45], [50, 40, 50, 40]),
        ([4, 4, 4, 48], [10, 10, 10, 50]),
        ([40, 80, 120, 60], [40, 80, 120, 60]),
    ],
)
def test_the_whole_lasts_as_long_in_centiseconds(before, after):
    _, made = render(
        moving("WEBP", duration=before), Plan((Variant("v", 40, format="GIF", frames=9),))
    )
    assert [duration for _, duration in frames_of(made.data)] == after


def test_of_what_moves_no_still_picture_is_made(monkeypatch):
    def refuse(*args, **more):
        raise AssertionError("a still picture")

    monkeypatch.setattr(outputs, "encode", refuse)
    look = Variant("v", 40, format="WEBP", frames=9)
    assert render(moving("GIF"), Plan((look,)))[1].name == "v"
    assert render(moving("GIF"), Plan((), full=look))[0].width == 40


def test_renditions_of_one_name_may_move_or_not():
    looks = (Variant("v", 40, format="WEBP", frames=9), Variant("v", 20), Variant("w", 30))
    made = render(moving("GIF"), Plan(looks))[1:]
    assert [(each.name, each.format, each.width) for each in made] == [
        ("v", "WEBP", 40),
        ("v", "JPEG", 20),
        ("w", "JPEG", 30),
    ]
