"""How a failed source is judged, said and kept."""

from __future__ import annotations

import asyncio
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


def test_a_users_error_derived_from_ours_keeps_its_class_and_code(tmp_path):
    class Blurry(scrapy_imgpipe.SourceRejected):
        codes = ("blurry",)

    class Mine(Results):
        def get_images(self, response, request, info, *, item=None):
            raise Blurry("too soft")

    with Crawl(tmp_path, {URL: _WHOLE}, Mine) as crawl:
        ((_, failure),) = crawl.process({"image_urls": [URL]})
    assert isinstance(failure.value, Blurry)
    assert isinstance(failure.value, FileException)
    assert (failure.value.code, str(failure.value)) == ("blurry", "too soft")
    assert crawl.outcomes() == {"blurry": 1}


def test_an_error_that_cannot_be_copied_is_still_delivered_to_everybody(tmp_path):
    class Odd(FileException):
        def __new__(cls, response):
            return super().__new__(cls)

        def __init__(self, response):
            self.response = response

    class Mine(Results):
        def media_downloaded(self, response, request, info, *, item=None):
            raise Odd(response)

    with Crawl(tmp_path, {URL: _WHOLE}, Mine) as crawl:
        results = crawl.process({"image_urls": [URL, URL]}, {"image_urls": [URL]})
    assert [ok for result in results for ok, _ in result] == [False] * 3


def test_a_hook_that_ends_in_cancelled_error_costs_its_source_only(tmp_path):
    class Mine(ImagesPipeline):
        async def media_downloaded(self, response, request, info, *, item=None):
            if request.url == URL:
                raise asyncio.CancelledError
            return await super().media_downloaded(response, request, info, item=item)

    other = "http://shop.example/b.jpg"
    with Crawl(tmp_path, {URL: _WHOLE, other: _WHOLE}, Mine, IMGPIPE_KEEP_FAILED=True) as crawl:
        images = crawl.images(URL, other)
    assert [image.get("outcome", "stored") for image in images] == ["interrupted", "stored"]
    assert crawl.outcomes() == {"interrupted": 1, "stored": 1}


def test_an_item_that_is_given_up_leaves_its_url_to_the_next(tmp_path):
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def answer(request):
        asked.set()
        await go_on.wait()
        return _WHOLE

    async def crawl_twice(crawl):
        first = asyncio.ensure_future(crawl.pipeline.process_item({"image_urls": [URL]}))
        await asked.wait()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        go_on.set()
        return await crawl.pipeline.process_item({"image_urls": [URL]})

    with Crawl(tmp_path, {URL: answer}) as crawl:
        item = asyncio.run(crawl_twice(crawl))
    assert item["images"][0]["status"] == "downloaded"
    assert crawl.outcomes() == {"interrupted": 1, "stored": 1}
