"""Formats whose decoders come with other packages."""

from __future__ import annotations

import os
import sys

import pytest
from PIL import Image

from scrapy_imgpipe.errors import ImageBroken, SourceRejected
from scrapy_imgpipe.imaging import (
    DEFAULT_FORMATS,
    Plan,
    Variant,
    format_of,
    render,
    unknown_formats,
)
from scrapy_imgpipe.processes.pool import Processes
from scrapy_imgpipe.surroundings import surroundings
from tests.calls import where_it_is_rendered
from tests.imaging.pictures import decoded, difference, encoded, exif, noisy

FORMATS = (*DEFAULT_FORMATS, "HEIF", "JXL")
PLAN = Plan((Variant("small", 40),), formats=FORMATS)


@pytest.fixture(params=["HEIF", "JXL"])
def kind(request):
    assert unknown_formats([request.param]) == []
    return request.param


def test_it_is_rendered_as_any_other(kind):
    picture = noisy((128, 96))
    data = encoded(picture, kind, quality=95)
    assert format_of(data) == kind
    full, small = render(data, PLAN)
    assert (full.format, full.width, full.height) == ("JPEG", 128, 96)
    assert (small.width, small.height) == (40, 30)
    assert difference(decoded(full.data), picture) < 8


def test_it_is_kept_as_it_came(kind):
    data = encoded(noisy((128, 96)), kind)
    full, small = render(data, Plan(PLAN.variants, formats=FORMATS, full="source"))
    assert full.data is data
    assert (full.format, small.format) == (kind, "JPEG")


def test_pictures_of_a_heif_that_were_cut_off():
    pictures = [noisy((128, 96), seed=seed) for seed in range(4)]
    data = encoded(pictures[0], "HEIF", save_all=True, append_images=pictures[1:])
    plan = Plan(formats=FORMATS, full="source")
    assert render(data, plan)[0].data is data
    with pytest.raises(ImageBroken):
        render(data[: len(data) // 2], plan)


def test_what_follows_a_heif_is_told():
    plan = Plan(formats=FORMATS)
    assert render(encoded(noisy(), "HEIF") + b"PK\3\4 zip", plan)[0].trailing == 8


def test_by_default_it_is_refused(kind):
    with pytest.raises(SourceRejected, match=f"Image format {kind} is not allowed"):
        render(encoded(noisy((128, 96)), kind), Plan())


def test_it_is_upright(kind):
    data = encoded(noisy((128, 96)), kind, exif=exif(6).tobytes())
    full, _ = render(data, PLAN)
    assert (full.width, full.height) == (96, 128)


def test_it_is_rendered_in_a_worker_process_too(kind):
    assert unknown_formats([kind]) == []  # it is loaded here
    processes = Processes(1, surroundings=surroundings)
    try:
        number, (full, _) = processes.call(where_it_is_rendered, encoded(noisy(), kind), PLAN)
    finally:
        processes.close()
    assert number != os.getpid()
    assert (full.format, full.width) == ("JPEG", 96)


def test_heic_is_another_word_for_it():
    data = encoded(noisy((128, 96)), "HEIF")
    assert render(data, Plan(formats=("HEIC",)))[0].width == 128
    assert unknown_formats(["HEIC"]) == []


def test_without_its_package_it_is_unknown(monkeypatch):
    monkeypatch.delitem(Image.OPEN, "JXL", raising=False)
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    assert unknown_formats(["JXL"]) == ["JXL"]


def test_stripping_keeps_pixels_and_rights(kind):
    rights = Image.Exif()
    rights.update({0x8298: "(c) Ann", 0x010F: "Camera"})
    picture = Image.new("RGB", (64, 48), (200, 60, 30))
    data = encoded(picture, kind, exif=rights.tobytes(), quality=95)
    made = render(data, Plan(formats=FORMATS, full="source", strip="copyright"))[0]
    assert dict(decoded(made.data).getexif()) == {0x8298: "(c) Ann"}
    assert difference(decoded(made.data).convert("RGB"), decoded(data).convert("RGB")) < 2
