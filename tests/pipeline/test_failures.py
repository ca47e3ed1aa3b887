"""How a failed source is judged, said and kept."""

from __future__ import annotations

import gc
import logging
import weakref

import pytest
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Response
from scrapy.pipelines.images import ImageException
from scrapy.pipelines.media import MediaPipeline

import scrapy_imgpipe
from scrapy_imgpipe import ImagesPipeline, compat
from scrapy_imgpipe.compat import FileException
from tests.fakes import Crawl
from tests.pictures import jpeg

URL = "http://shop.example/a.jpg"
_WHOLE = jpeg((400, 300))


def moved(url):
    return Response(url, status=302, headers={"Location": "/b.jpg"})


class Results(ImagesPipeline):
    """Hands the results out as they reach ``item_completed``."""

    def item_completed(self, results, item, info):
        return results


CASES = [
    (404, "http-status", "WARNING", FileException),
    (500, "http-status", "WARNING", FileException),
    (302, "http-status", "WARNING", FileException),
    (moved(URL), "redirect-refused", "WARNING", FileException),
    (b"", "download-failed", "WARNING", FileException),
    (OSError("connection\nlost"), "download-failed", "WARNING", FileException),
    (_WHOLE[:3000], "broken", "WARNING", ImageException),
    (b"<html><body>not found</body></html>", "not-an-image", "DEBUG", ImageException),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n", "format-not-allowed", "DEBUG", ImageException),
    (IgnoreRequest("Forbidden by robots.txt"), "filtered", "DEBUG", FileException),
]


@pytest.mark.parametrize(("answer", "code", "level", "kind"), CASES)
def test_each_failure_has_its_code_its_level_and_one_line(
    tmp_path, caplog, answer, code, level, kind
):
    caplog.set_level(logging.DEBUG)
    with Crawl(tmp_path, {URL: answer}, Results) as crawl:
        ((ok, failure),) = crawl.process({"image_urls": [URL]})
    assert not ok
    assert isinstance(failure.value, kind)
    assert isinstance(failure.value, scrapy_imgpipe.ImagePipeError)
    assert failure.value.code == code
    assert crawl.outcomes() == {code: 1}
    said = [
        r
        for r in caplog.records
        if URL in r.getMessage() and "File (downloaded)" not in r.getMessage()
    ]
    assert [(r.levelname, r.exc_info) for r in said] == [(level, None)]
    assert "\n" not in said[0].getMessage()
    assert crawl.files() == {}


def test_a_small_image_is_refused_in_scrapys_words(tmp_path):
    with Crawl(tmp_path, {URL: jpeg((50, 60))}, Results, IMAGES_MIN_WIDTH=100) as crawl:
        ((_, failure),) = crawl.process({"image_urls": [URL]})
    assert isinstance(failure.value, ImageException)
    assert failure.value.code == "too-small"
    assert str(failure.value) == "Image too small (50x60 < 100x0)"


def test_a_request_filtered_by_a_middleware_is_scrapys_filtered_error(tmp_path, caplog):
    with Crawl(tmp_path, {URL: IgnoreRequest("offsite")}, Results) as crawl:
        results = crawl.process({"image_urls": [URL]})
        caplog.clear()
        MediaPipeline.item_completed(crawl.pipeline, results, {}, crawl.pipeline.spiderinfo)
    # Scrapy knows it for one of its own kind, since 2.18
    known = compat.MediaRequestFiltered is not FileException
    assert len(caplog.records) == (0 if known else 1)


def test_the_hint_to_allow_redirects_is_given_once(tmp_path, caplog):
    urls = [f"http://shop.example/{n}.jpg" for n in range(3)]
    with Crawl(tmp_path, {url: moved(url) for url in urls}) as crawl:
        crawl.images(*urls)
    assert caplog.text.count("MEDIA_ALLOW_REDIRECTS") == 1
    assert crawl.outcomes() == {"redirect-refused": 3}


def test_other_statuses_may_be_images(tmp_path):
    response = Response(URL, status=203, body=_WHOLE)
    with Crawl(tmp_path, {URL: response}, IMGPIPE_STATUSES=[200, 203]) as crawl:
        (image,) = crawl.images(URL)
    assert image["bytes"] == len(_WHOLE)


@pytest.mark.parametrize(
    "hook", ["file_path", "thumb_path", "media_downloaded", "image_downloaded"]
)
def test_a_mistake_in_a_hook_is_shown_with_its_traceback_once(tmp_path, caplog, hook):
    def mistake(self, *args, **kwargs):
        return 1 / 0

    kind = type("Mine", (Results,), {hook: mistake})
    with Crawl(tmp_path, {URL: _WHOLE}, kind, IMAGES_THUMBS={"s": (9, 9)}) as crawl:
        ((ok, failure),) = crawl.process({"image_urls": [URL]})
    assert not ok
    assert crawl.outcomes() == {"hook-failed": 1}
    errors = [r for r in caplog.records if r.levelname == "ERROR"]
    assert len(errors) == 1
    assert errors[0].exc_info[0] is ZeroDivisionError
    assert "ZeroDivisionError" in str(failure.value) or failure.check(ZeroDivisionError)
    assert failure.value.__traceback__ is None


def test_a_failed_store_is_one_error_line(tmp_path, caplog):
    with Crawl(tmp_path, {URL: _WHOLE}, Results) as crawl:
        (tmp_path / "full").write_text("in the way")
        ((_, failure),) = crawl.process({"image_urls": [URL]})
    assert failure.value.code == "store-failed"
    assert [r.levelname for r in caplog.records if URL in r.getMessage()] == ["ERROR"]


@pytest.mark.parametrize(
    "path",
    ["../a.jpg", "/etc/a.jpg", "a\0.jpg", "", "a/", "a/../../b.jpg", "\ud800.jpg", "x" * 300, None],
    ids=repr,
)
def test_a_path_that_would_leave_the_store_is_refused(tmp_path, path):
    class Mine(Results):
        def file_path(self, request, response=None, info=None, *, item=None):
            return path

    with Crawl(tmp_path / "store", {URL: _WHOLE}, Mine) as crawl:
        ((_, failure),) = crawl.process({"image_urls": [URL]})
    assert failure.value.code == "bad-path"
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_bad_thumb_path_stores_nothing(tmp_path):
    class Mine(Results):
        def thumb_path(self, request, thumb_id, response=None, info=None, *, item=None):
            return "../t.jpg"

    with Crawl(tmp_path / "s", {URL: _WHOLE}, Mine, IMAGES_THUMBS={"s": (9, 9)}) as crawl:
        ((_, failure),) = crawl.process({"image_urls": [URL]})
    assert failure.value.code == "bad-path"
    assert crawl.files() == {}


def test_kept_failures_hold_no_traceback_no_chain_and_no_response(tmp_path):
    responses = []

    def answer(request):
        response = Response(request.url, body=_WHOLE[:3000])
        responses.append(weakref.ref(response))
        return response

    with Crawl(tmp_path, {URL: answer}, Results) as crawl:
        results = crawl.process({"image_urls": [URL]})
        gc.collect()
        (kept,) = crawl.pipeline.spiderinfo.downloaded.values()
        for failure in (kept, results[0][1]):
            assert failure.value.__traceback__ is None
            assert failure.value.__context__ is None
            assert failure.value.__cause__ is None
            assert not failure.frames
        assert responses[0]() is None


def test_scrapys_recipe_for_the_failed_response_works_and_keeps_no_body(tmp_path):
    class ResponseFileException(FileException):
        def __init__(self, response):
            super().__init__(f"download-error ({response.status})")
            self.response = response

    class Mine(Results):
        async def media_downloaded(self, response, request, info, *, item=None):
            try:
                return await super().media_downloaded(response, request, info, item=item)
            except FileException:
                raise ResponseFileException(response) from None

    response = Response(URL, status=418, body=b"teapot" * 1000)
    with Crawl(tmp_path, {URL: response}, Mine) as crawl:
        ((_, first),) = crawl.process({"image_urls": [URL]})
        ((_, second),) = crawl.process({"image_urls": [URL]})
    assert first.check(ResponseFileException)
    assert first.value.response is response
    assert second.check(ResponseFileException)
    assert second.value.response.status == 418
    assert second.value.response.body == b""
    assert crawl.outcomes() == {"http-status": 1, "joined": 1}


def test_the_summary_line_counts_everything(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    other = "http://shop.example/b.jpg"
    with Crawl(tmp_path, {URL: _WHOLE}) as crawl:
        crawl.images(URL, other, None)
    (line,) = [r.getMessage() for r in caplog.records if r.getMessage().startswith("Images: ")]
    assert line.startswith("Images: 1 stored, 0 up to date, 2 failed (bad-url 1, http-status 1); ")
    assert "images/s" in line
    assert line.endswith("MB out")


def test_a_crawl_without_images_has_no_summary(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    with Crawl(tmp_path) as crawl:
        crawl.process({})
    assert "Images:" not in caplog.text
