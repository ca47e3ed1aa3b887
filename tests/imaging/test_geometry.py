"""Boxes, parts and turns, without pixels where none are needed."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL.Image import Transpose

from scrapy_imgpipe.imaging import Layout, Variant, layout, size_of
from scrapy_imgpipe.imaging.geometry import MOST_ENLARGED, before_turn
from scrapy_imgpipe.variants import FITS, GRAVITIES
from tests.imaging.pictures import noisy

SIDES = st.integers(1, 5000)
BOXES = st.none() | st.integers(1, 900) | st.floats(1, 900)
SHARES = st.floats(0, 1)
VARIANTS = st.builds(
    Variant,
    st.just(""),
    BOXES,
    BOXES,
    st.sampled_from(FITS),
    st.tuples(SHARES, SHARES) | st.just("entropy"),
    st.booleans(),
)


@given(st.tuples(SIDES, SIDES), VARIANTS)
def test_every_size_gives_a_picture_within_its_source(size, variant):
    place = layout(size, variant)
    assert all(isinstance(side, int) and side >= 1 for side in (*place.size, *(place.canvas or ())))
    left, top, right, bottom = place.part or (0, 0, *size)
    assert 0 <= left < right <= size[0] + 1e-6
    assert 0 <= top < bottom <= size[1] + 1e-6
    assert size_of(size, variant) == (place.canvas or place.size)
    if not variant.enlarge:
        assert place.size[0] <= math.ceil(right - left)
        assert place.size[1] <= math.ceil(bottom - top)


@given(st.tuples(SIDES, SIDES), VARIANTS)
def test_the_box_is_kept(size, variant):
    if variant.width is None or variant.height is None:
        return
    box = int(variant.width), int(variant.height)
    place = layout(size, variant)
    if variant.fit == "contain":
        assert (place.canvas or place.size) == box
    elif variant.fit != "outside":
        assert place.size[0] <= box[0]
        assert place.size[1] <= box[1]
    elif place.size != size:
        assert place.size[0] >= box[0]
        assert place.size[1] >= box[1]
    if variant.fit in {"cover", "fill"} and variant.enlarge:
        assert place.size == box


@given(st.tuples(SIDES, SIDES), VARIANTS)
def test_the_aspect_is_kept_within_a_pixel(size, variant):
    if variant.fit == "fill" and None not in {variant.width, variant.height}:
        return
    place = layout(size, variant)
    left, top, right, bottom = place.part or (0, 0, *size)
    scale = place.size[0] / (right - left), place.size[1] / (bottom - top)
    wide = (right - left) * scale[1], place.size[0]
    high = (bottom - top) * scale[0], place.size[1]
    assert any(abs(ideal - real) <= 1 for ideal, real in (wide, high))


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        (Variant("", 100), Layout((100, 50))),
        (Variant("", None, 100), Layout((200, 100))),
        (Variant("", 100, 100, "outside"), Layout((200, 100))),
        (Variant("", 100, 100, "contain"), Layout((100, 50), canvas=(100, 100))),
        (Variant("", 100, 50, "contain"), Layout((100, 50))),
        (Variant("", 100, 100, "fill"), Layout((100, 100))),
        (Variant("", 100, 50, "cover"), Layout((100, 50))),
        (Variant("", 100, 100, "cover"), Layout((100, 100), (125.0, 0.0, 375.0, 250.0))),
        (Variant("", 100, 100, "cover", (0, 0)), Layout((100, 100), (0.0, 0.0, 250.0, 250.0))),
        (Variant("", 100, 100, "cover", (1, 1)), Layout((100, 100), (250.0, 0.0, 500.0, 250.0))),
        (Variant("", 100, 100, "cover", (0.3, 0)), Layout((100, 100), (25.0, 0.0, 275.0, 250.0))),
        (Variant("", 900, 900, "cover"), Layout((250, 250), (125.0, 0.0, 375.0, 250.0))),
        (Variant("", 900, 900), Layout((500, 250))),
        (Variant("", 900, 900, enlarge=True), Layout((900, 450))),
        (Variant("", 900, 900, "contain"), Layout((500, 250), canvas=(900, 900))),
        (Variant("", 900, 100, "fill"), Layout((500, 100))),
        (Variant(""), Layout((500, 250))),
    ],
)
def test_fits_by_example(variant, expected):
    assert layout((500, 250), variant) == expected


@pytest.mark.parametrize("fit", FITS)
def test_a_strip_is_not_enlarged_to_gigabytes(fit):
    variant = Variant("", 60_000, None if fit == "inside" else 60_000, fit, enlarge=True)
    place = layout((4, 5000), variant)
    assert math.prod(place.size) <= MOST_ENLARGED


def test_steps_may_make_any_size():
    assert size_of((9, 9), Variant("", 5, steps=(round,))) is None


@pytest.mark.parametrize("turn", [None, *Transpose])
def test_a_part_is_found_before_the_turn(turn):
    stored = noisy((13, 8))
    upright = stored if turn is None else stored.transpose(turn)
    for box in ((0, 0, 2, 3), (1, 2, 6, 4), (3, 0, upright.width, upright.height)):
        part = stored.crop(tuple(map(int, before_turn(box, upright.size, turn))))
        turned = part if turn is None else part.transpose(turn)
        assert turned.tobytes() == upright.crop(box).tobytes()


def test_every_gravity_is_a_pair_of_shares():
    assert all(0 <= share <= 1 for place in GRAVITIES.values() for share in place)
