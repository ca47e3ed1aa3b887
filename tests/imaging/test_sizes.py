"""The arithmetic of ``Image.thumbnail``, without its pixels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from scrapy_imgpipe.errors import SourceRejected
from scrapy_imgpipe.imaging import Plan, Variant, check_size, fit_inside, render, shrink
from scrapy_imgpipe.imaging import outputs as variants
from scrapy_imgpipe.imaging.encode import MOST_SIDE
from tests.imaging.pictures import decoded, difference, encoded, noisy

SIDES = st.integers(1, 700)
LIMITS = st.one_of(st.integers(1, 900), st.floats(1, 900))


@given(st.tuples(SIDES, SIDES), st.tuples(LIMITS, LIMITS))
def test_sizes_are_those_of_thumbnail(size, box):
    image = Image.new("1", size)
    image.thumbnail(box, Image.Resampling.NEAREST)
    assert fit_inside(size, box) == image.size


@pytest.mark.parametrize(
    ("size", "box", "expected"),
    [
        ((1000, 500), (100, 100), (100, 50)),
        ((500, 1000), (100, 100), (50, 100)),
        ((50, 40), (100, 100), (50, 40)),
        ((5000, 4), (50, 50), (50, 1)),
        ((4, 5000), (50, 50), (1, 50)),
        ((1000, 333), (100.9, 99.9), (100, 33)),
        ((1000, 500), (0, 0), (1, 1)),  # where thumbnail() divides by zero
        ((1000, 500), (0.5, 100), (1, 1)),
    ],
)
def test_sizes_by_example(size, box, expected):
    assert fit_inside(size, box) == expected


def test_shrink_is_a_good_thumbnail():
    image = noisy((400, 300))
    small = shrink(image, (90, 90))
    best = image.resize((90, 68), Image.Resampling.LANCZOS)
    assert (small.size, image.size) == ((90, 68), (400, 300))
    assert difference(small, best) < 1.5


def test_shrink_never_enlarges_and_gives_a_copy():
    image = noisy()
    small = shrink(image, (5000, 5000))
    assert small is not image
    assert (small.size, small.tobytes()) == (image.size, image.tobytes())


@pytest.mark.parametrize("size", [(100, 100), (100, 5000), (101, 100)])
def test_large_enough(size):
    check_size(*size, 100, 100)


@pytest.mark.parametrize("size", [(99, 100), (100, 99), (1, 5000)])
def test_too_small(size):
    with pytest.raises(SourceRejected) as caught:
        check_size(*size, 100, 100)
    assert str(caught.value) == f"Image too small ({size[0]}x{size[1]} < 100x100)"
    assert caught.value.code == "too-small"


@pytest.mark.parametrize("full", ["jpeg", Variant("")])
@pytest.mark.parametrize("size", [(70_000, 3), (3, 70_000)])
def test_what_is_too_long_for_a_jpeg_is_shrunk(size, full):
    data = encoded(Image.new("RGB", size, (9, 9, 200)), "PNG")
    made, small = render(data, Plan((Variant("s", 1000, 1000),), full=full))
    assert decoded(made.data).size == (made.width, made.height)
    assert sorted((made.width, made.height)) == [3, 65_500]
    assert max(small.width, small.height) == 1000
    assert render(data, Plan(full="source"))[0].data is data


def test_what_is_too_long_for_an_avif_is_shrunk():
    data = encoded(Image.new("RGB", (40_000, 2), (9, 9, 200)), "PNG")
    look = Variant("a", format="AVIF", options={"effort": 0})
    made = render(data, Plan((look,)))[1]
    assert (made.width, made.height) == decoded(made.data).size == (MOST_SIDE["AVIF"], 2)


@pytest.mark.parametrize("fit", ["inside", "outside", "cover", "contain", "fill"])
@pytest.mark.parametrize("box", [(None, None), (300, None), (None, 200), (300, 300)])
def test_what_has_too_many_pixels_for_an_avif_is_shrunk(fit, box, monkeypatch):
    monkeypatch.setitem(variants.MOST_AREA, "AVIF", 90 * 90)
    data = encoded(noisy((310, 230)), "PNG")
    made = render(data, Plan((Variant("a", *box, fit, format="AVIF"),)))[1]
    assert 80 * 80 <= made.width * made.height <= 90 * 90
