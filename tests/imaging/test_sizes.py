"""The arithmetic of ``Image.thumbnail``, without its pixels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from scrapy_imgpipe.errors import SourceRejected
from scrapy_imgpipe.imaging import check_size, fit_inside, shrink
from tests.imaging.pictures import difference, noisy

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
