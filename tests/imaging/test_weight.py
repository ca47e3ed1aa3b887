"""What rendering is expected to take: never less than what Pillow holds at once."""

from __future__ import annotations

import pytest

from scrapy_imgpipe.imaging import Plan, Variant, rendering_bytes
from scrapy_imgpipe.probe import Probe

PIXELS = 4000 * 3000
NONE, SMALL, LARGE = Plan(), Plan((Variant("s", 270, 270),)), Plan((Variant("l", 3000, 3000),))


def jpeg(components: int = 3, coefficients: float = 0.0, *, turned: bool = False) -> Probe:
    return Probe("JPEG", 4000, 3000, components, coefficients, turned)


@pytest.mark.parametrize(("plan", "scale"), [(NONE, 8), (SMALL, 4), (LARGE, 1)])
def test_a_photo_that_passes_through_is_decoded_small(plan, scale):
    assert rendering_bytes(b"", jpeg(), plan) == PIXELS // scale**2 * 4 * 2


def test_a_progressive_photo_keeps_three_bytes_for_each_pixel():
    baseline, progressive = (rendering_bytes(b"", jpeg(3, n), NONE) for n in (0, 1.5))
    assert progressive - baseline == PIXELS * 3


@pytest.mark.parametrize("seen", [jpeg(1), jpeg(4), jpeg(turned=True), Probe("PNG", 4000, 3000)])
def test_what_is_encoded_again_is_there_twice_at_full_size(seen):
    assert rendering_bytes(b"", seen, NONE) == PIXELS * 4 * 2


def test_users_methods_decode_at_full_size():
    assert rendering_bytes(b"", jpeg(), NONE, whole=True) == PIXELS * 4 * 2


def test_bytes_of_no_known_format_are_expected_to_grow():
    assert rendering_bytes(b"x" * 1000, None, NONE) == 16_000


def test_a_tiff_that_does_not_tell_its_size_may_have_any():
    assert rendering_bytes(b"II*\0", None, Plan(max_pixels=1000)) == 1000 * 4 * 2
    assert rendering_bytes(b"II*\0", None, Plan(max_pixels=0)) == 16 * 4


@pytest.mark.parametrize("size", [(0, 0), (1, 1), (65500, 1), (1, 65500)])
def test_odd_sizes_have_a_weight(size):
    assert rendering_bytes(b"", Probe("JPEG", *size, 3), LARGE) >= 0
