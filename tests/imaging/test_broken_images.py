"""Hostile and half bytes: one of our errors, a short reason, and nothing kept alive."""

from __future__ import annotations

import gc
import sys
import weakref
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from scrapy_imgpipe.errors import ImageBroken, ImagePipeError, SourceRejected
from scrapy_imgpipe.imaging import Plan, Variant, encode_jpeg, flatten, inspect, open_image, render
from scrapy_imgpipe.imaging.failures import sealed
from tests.imaging.pictures import encoded, noisy

PLANS = [Plan(), Plan((Variant("thumb", 20, 20), Variant("large", 90, 90)))]
SOURCES = {
    "baseline": encoded(noisy()),
    "progressive": encoded(noisy(), progressive=True),
    "png": encoded(noisy(), "PNG"),
    "webp": encoded(noisy(), "WEBP"),
    "gif": encoded(noisy(), "GIF"),
    "tiff": encoded(noisy(), "TIFF"),
    "avif": encoded(noisy(), "AVIF"),
    "bmp": encoded(noisy(), "BMP"),
}


def failure(call, *arguments, **keywords):
    try:
        call(*arguments, **keywords)
    except ImagePipeError as error:
        return error
    pytest.fail("did not raise")


@pytest.mark.parametrize("plan", PLANS, ids=["full", "thumbs"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.95, 0.99])
@pytest.mark.parametrize("source", SOURCES)
def test_a_cut_file_is_refused(source, share, plan):
    data = SOURCES[source]
    error = failure(render, data[: int(len(data) * share)], plan)
    assert isinstance(error, ImageBroken)
    assert error.code == "broken"


@pytest.mark.parametrize("source", ["baseline", "progressive"])
@pytest.mark.parametrize("plan", PLANS, ids=["full", "thumbs"])
def test_the_last_bytes_of_a_jpeg_count_as_in_a_full_decode(source, plan):
    data = SOURCES[source]
    for changed in [data[:-cut] for cut in range(1, 40)] + [data + b"\0" * 9, data + b"junk"]:
        image = open_image(changed)
        try:
            image.load()
            whole = True
        except OSError:
            whole = False
        try:
            assert render(changed, plan)[0].data is changed
        except ImageBroken:
            assert not whole
        else:
            assert whole


@pytest.mark.parametrize("source", ["baseline", "png"])
def test_a_cut_original_gives_no_thumbnails(source):
    data = SOURCES[source]
    error = failure(render, data[:-300], PLANS[1], only=["thumb"])
    assert isinstance(error, ImageBroken)


def test_a_reason_is_one_short_sentence():
    for data in (b"", b"\xff\xd8\xff", SOURCES["png"][:-100], SOURCES["tiff"][:60]):
        reason = str(failure(render, data, Plan()))
        assert reason
        assert len(reason) < 250
        assert "\n" not in reason
        assert " at 0x" not in reason
        assert not reason.endswith(".")


@given(st.binary(max_size=400))
def test_any_bytes(data):
    assert isinstance(failure(render, data, Plan()), ImagePipeError)


@pytest.mark.filterwarnings("default")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(sorted(SOURCES)),
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=6)), max_size=4),
)
def test_any_damage(source, damages):
    data = bytearray(SOURCES[source])
    for where, patch in damages:
        at = int(where * (len(data) - len(patch)))
        data[at : at + len(patch)] = patch
    for call in (render, lambda data, plan: inspect(data, plan.formats)):
        with suppress(ImageBroken, SourceRejected):
            call(bytes(data), PLANS[1])


def pictures_alive() -> int:
    return sum(isinstance(each, Image.Image) for each in gc.get_objects())


CALLS = {
    "cut": lambda data: render(data[:-300] + data[:0], PLANS[1]),
    "small": lambda data: render(data, Plan(min_width=4000)),
    "inspect": lambda data: inspect(data[:-300]),
    "flatten": lambda data: flatten(open_image(data[:-300])),
    "encode": lambda data: encode_jpeg(open_image(data).convert("RGBA")),
}


@pytest.mark.parametrize("source", ["baseline", "png", "gif"])
@pytest.mark.parametrize("call", CALLS)
def test_an_error_that_is_kept_keeps_no_picture(call, source):
    gc.collect()
    gc.disable()
    try:
        before = pictures_alive()
        errors = [failure(CALLS[call], SOURCES[source]) for _ in range(3)]
        after = pictures_alive()
    finally:
        gc.enable()
    assert len(errors) == 3
    assert after == before


@pytest.mark.parametrize("source", ["baseline", "png"])
def test_an_error_that_is_kept_keeps_no_body(source):
    body = SOURCES[source][:-300]
    before = sys.getrefcount(body)
    errors = []
    try:
        render(body, PLANS[1])
    except ImagePipeError as error:
        errors.append(error)
    assert errors[0].__context__ is None
    assert errors[0].__cause__ is None
    traceback = errors[0].__traceback__.tb_next  # our own frame holds the body, and may
    while traceback is not None:
        assert not [v for v in traceback.tb_frame.f_locals.values() if v is body]
        traceback = traceback.tb_next
    assert sys.getrefcount(body) == before


def test_an_error_dies_with_its_last_holder():
    gc.collect()
    gc.disable()
    try:
        seen = weakref.ref(failure(render, b"junk", Plan()))
        assert seen() is None
    finally:
        gc.enable()


def test_an_error_of_ours_loses_its_past():
    @sealed
    def fails():
        try:
            raise ValueError
        except ValueError:
            raise ImageBroken("whatever")  # noqa: B904 - with a past, on purpose

    assert failure(fails).__context__ is None


def test_an_interrupt_goes_through(monkeypatch):
    def interrupted(*arguments, **keywords):
        raise KeyboardInterrupt

    render(SOURCES["png"], Plan())
    monkeypatch.setitem(Image.OPEN, "PNG", (interrupted, None))
    with pytest.raises(KeyboardInterrupt):
        render(SOURCES["png"], Plan())


def test_memory_that_is_not_there_is_a_broken_image(monkeypatch):
    def exhausted(*arguments, **keywords):
        raise MemoryError

    monkeypatch.setattr(Image.Image, "resize", exhausted)
    error = failure(render, SOURCES["png"], PLANS[1])
    assert (error.code, str(error)) == ("crashed", "There was not enough memory for it")


def test_pillows_switch_for_truncated_files_is_left_alone():
    from PIL import ImageFile

    failure(render, SOURCES["png"][:-300], Plan())
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
