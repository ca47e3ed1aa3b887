"""Whatever the bytes: renditions as described, or one of our errors."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from scrapy_imgpipe.errors import ImagePipeError
from scrapy_imgpipe.imaging import Plan, Variant, render, size_of
from scrapy_imgpipe.variants import FITS, KERNELS, METADATA, OUTPUTS, SOURCE
from tests.imaging.pictures import decoded, encoded, exif, noisy

SIZE = (33, 22)
GOOD = [
    encoded(noisy(SIZE)),
    encoded(noisy(SIZE), progressive=True, exif=exif(6)),
    encoded(noisy(SIZE, "CMYK")),
    encoded(noisy(SIZE, "RGBA"), "PNG"),
    encoded(noisy(SIZE, "P"), "PNG", transparency=3),
    encoded(noisy(SIZE, "P"), "GIF"),
    encoded(
        noisy(SIZE, "P"), "GIF", save_all=True, append_images=[noisy(SIZE, "P", n) for n in (2, 3)]
    ),
    encoded(noisy(SIZE, "RGBA"), "WEBP"),
    encoded(noisy(SIZE), "BMP"),
    encoded(noisy(SIZE, "L"), "TIFF"),
]
SIDES = st.none() | st.integers(1, 60)
VARIANTS = st.builds(
    Variant,
    st.sampled_from(["a", "b"]),
    SIDES,
    SIDES,
    st.sampled_from(FITS),
    st.just("entropy") | st.tuples(st.floats(0, 1), st.floats(0, 1)),
    st.booleans(),
    st.sampled_from(KERNELS),
    st.sampled_from([SOURCE, "JPEG", "PNG", "WEBP", "GIF"]),  # AVIF takes its time
    metadata=st.sampled_from(METADATA),
    background=st.none() | st.just((9, 99, 199)),
    target_bytes=st.sampled_from([0, 700]),
    frames=st.sampled_from([1, 3]),
)
PLANS = st.builds(
    Plan,
    st.lists(VARIANTS, max_size=2, unique_by=lambda variant: variant.name).map(tuple),
    full=st.sampled_from(["jpeg", SOURCE]) | VARIANTS,
    strip=st.sampled_from(["", "all", "copyright"]),
    truncated=st.booleans(),
)


@st.composite
def damaged(draw):
    """Return a good file, cut or with some bytes changed; sometimes a good one."""
    data = bytearray(draw(st.sampled_from(GOOD)))
    for place in draw(st.lists(st.integers(0, len(data) - 1), max_size=4)):
        data[place] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.just(len(data)) | st.integers(0, len(data)))])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=150)
@given(damaged() | st.binary(max_size=200), PLANS)
def test_renditions_or_an_error_of_ours(data, plan):
    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = 40_000  # a damaged header may say anything
    try:
        pictures = render(data, plan)
    except ImagePipeError:
        return
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    for picture in pictures[0 if isinstance(plan.full, Variant) else 1 :]:
        image = decoded(picture.data)
        assert (image.size, image.format) == ((picture.width, picture.height), picture.format)


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(GOOD), PLANS)
def test_good_bytes_give_all_of_it(data, plan):
    full, *others = render(data, plan)
    assert [made.name for made in others] == [variant.name for variant in plan.variants]
    size = decoded(data).size
    if decoded(data).getexif().get(0x0112) == 6:
        size = size[::-1]
    if isinstance(plan.full, str):
        assert (full.width, full.height) == size
    for made, variant in zip(others, plan.variants, strict=True):
        assert (made.width, made.height) == size_of(size, variant)
        assert made.format in OUTPUTS


@pytest.mark.parametrize("form", OUTPUTS)
@pytest.mark.parametrize("size", [(5000, 4), (4, 5000), (1, 1), (1, 300)])
def test_odd_shapes_never_fail(form, size):
    looks = [Variant(f"{fit}", 40, 30, fit, format=form) for fit in FITS]
    looks += [Variant("wide", 100, enlarge=True, format=form), Variant("all", format=form)]
    for made in render(encoded(noisy(size), "PNG"), Plan(tuple(looks))):
        assert decoded(made.data).size == (made.width, made.height)
