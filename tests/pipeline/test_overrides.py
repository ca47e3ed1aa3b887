"""What subclasses of Scrapy's pipeline override goes on working: requests, names, results."""

from __future__ import annotations

import asyncio
import logging
from typing import ClassVar

import pytest
from itemadapter import ItemAdapter
from scrapy.exceptions import DropItem
from scrapy.http import Request, Response
from scrapy.http.request import NO_CALLBACK
from scrapy.pipelines.images import ImageException
from scrapy.utils.defer import deferred_from_coro, maybe_deferred_to_future
from twisted.python.failure import Failure

from scrapy_imgpipe import ImagesPipeline
from scrapy_imgpipe.compat import FileException
from tests.fakes import Crawl
from tests.pictures import jpeg
from tests.shapes import any_of_three, async_generator, async_list, either, plain

A, B = "http://shop.example/a.jpg", "http://shop.example/b.jpg"


# --- get_media_requests ---


@pytest.mark.parametrize("shape", [plain, async_generator, async_list])
def test_requests_carry_item_data_in_meta_to_every_later_hook(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def get_media_requests(self, item, info):
            for number, url in enumerate(ItemAdapter(item)["image_urls"]):
                yield Request(url, meta={"name": item["name"], "number": number})

        def file_path(self, request, response=None, info=None, *, item=None):
            return f"{request.meta['name']}/{request.meta['number']}.jpg"

    with Crawl(tmp_path, {A: jpeg(), B: jpeg()}, Mine) as crawl:
        item = crawl.process({"name": "boots", "image_urls": [A, B]})
    assert [image["path"] for image in item["images"]] == ["boots/0.jpg", "boots/1.jpg"]
    assert sorted(crawl.files()) == ["boots/0.jpg", "boots/1.jpg"]


@any_of_three
def test_a_single_request_is_one_source(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def get_media_requests(self, item, info):
            return Request(item["cover"])

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        item = crawl.process({"cover": A})
    assert [image["url"] for image in item["images"]] == [A]


@any_of_three
def test_none_instead_of_requests_means_no_images(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def get_media_requests(self, item, info):
            return None

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        item = crawl.process({"image_urls": [A]})
    assert item["images"] == []
    assert crawl.site.asked == []


@pytest.mark.parametrize("shape", [plain, async_generator])
def test_a_callback_and_headers_of_the_users_request_are_taken_as_in_scrapy(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def get_media_requests(self, item, info):
            yield Request(A, callback=self.item_completed, headers={"X-Mine": "1"})

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        crawl.process({})
    (request,) = crawl.site.asked
    assert request.callback is NO_CALLBACK
    assert request.headers["X-Mine"] == b"1"


@pytest.mark.parametrize("shape", [plain, async_generator])
def test_a_request_generator_that_drops_the_item_drops_it(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def get_media_requests(self, item, info):
            if "image_urls" not in item:
                raise DropItem("no images asked for")
            yield Request(A)

    with Crawl(tmp_path, {}, Mine) as crawl, pytest.raises(DropItem, match="no images asked for"):
        crawl.process({})


# --- file_path, thumb_path ---


@either
def test_file_path_names_the_image_after_the_item(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def file_path(self, request, response=None, info=None, *, item=None):
            return f"by-name/{item['name']}.jpg"

    data = jpeg()
    with Crawl(tmp_path, {A: data}, Mine) as crawl:
        item = crawl.process({"name": "boots", "image_urls": [A]})
    assert item["images"][0]["path"] == "by-name/boots.jpg"
    assert crawl.files() == {"by-name/boots.jpg": data}


@either
def test_a_named_image_is_found_again_by_its_name(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def file_path(self, request, response=None, info=None, *, item=None):
            return f"by-name/{item['name']}.jpg"

    for status, asked in (("downloaded", [A]), ("uptodate", [])):
        with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
            item = crawl.process({"name": "boots", "image_urls": [A]})
        assert item["images"][0]["status"] == status
        assert crawl.site.urls == asked


@either
def test_file_path_may_name_the_image_after_the_response(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def file_path(self, request, response=None, info=None, *, item=None):
            return f"{'known' if response is None else len(response.body)}.jpg"

    data = jpeg()
    with Crawl(tmp_path, {A: data}, Mine) as crawl:
        (image,) = crawl.images(A)
    assert image["path"] == f"{len(data)}.jpg"
    assert list(crawl.files()) == [f"{len(data)}.jpg"]


@either
def test_file_path_may_call_super(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def file_path(self, request, response=None, info=None, *, item=None):
            path = super().file_path(request, response=response, info=info, item=item)
            return f"sub/{path}"

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        (image,) = crawl.images(A)
    assert image["path"].startswith("sub/full/")
    assert list(crawl.files()) == [image["path"]]


@either
def test_hooks_written_without_item_are_called_without_it(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def file_path(self, request, response=None, info=None):
            return "own/full.jpg"

        @shape
        def thumb_path(self, request, thumb_id, response=None, info=None):
            return f"own/{thumb_id}.jpg"

    with Crawl(tmp_path, {A: jpeg()}, Mine, IMAGES_THUMBS={"small": (20, 20)}) as crawl:
        (image,) = crawl.images(A)
    assert image["path"] == "own/full.jpg"
    assert sorted(crawl.files()) == ["own/full.jpg", "own/small.jpg"]
    assert image["renditions"][0]["path"] == "own/small.jpg"


@either
def test_thumb_path_names_thumbnails_after_the_item(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def thumb_path(self, request, thumb_id, response=None, info=None, *, item=None):
            return f"{item['name']}-{thumb_id}.jpg"

    settings = {"IMAGES_THUMBS": {"small": (20, 20), "big": (60, 60)}}
    with Crawl(tmp_path, {A: jpeg()}, Mine, **settings) as crawl:
        item = crawl.process({"name": "boots", "image_urls": [A]})
    thumbs = {r["name"]: r["path"] for r in item["images"][0]["renditions"]}
    assert thumbs == {"small": "boots-small.jpg", "big": "boots-big.jpg"}
    assert set(thumbs.values()) < set(crawl.files())


@either
def test_a_path_hook_that_raises_costs_its_source_only(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def file_path(self, request, response=None, info=None, *, item=None):
            if request.url == A:
                raise KeyError("sku")
            return "b.jpg"

    with Crawl(tmp_path, {A: jpeg(), B: jpeg()}, Mine, IMGPIPE_KEEP_FAILED=True) as crawl:
        images = crawl.images(A, B)
    assert [image["status"] for image in images] == ["failed", "downloaded"]
    assert images[0]["outcome"] == "hook-failed"
    assert "sku" in images[0]["reason"]


# --- media_to_download ---


@any_of_three
def test_media_to_download_that_returns_none_downloads_always(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def media_to_download(self, request, info, *, item=None):
            return None

    for _ in range(2):
        with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
            (image,) = crawl.images(A)
        assert image["status"] == "downloaded"
        assert crawl.site.urls == [A]


@any_of_three
def test_what_media_to_download_returns_is_the_result(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def media_to_download(self, request, info, *, item=None):
            return {"url": request.url, "path": "mine.jpg", "checksum": None, "status": "uptodate"}

    with Crawl(tmp_path, {}, Mine) as crawl:
        (image,) = crawl.images(A)
    assert image == {"url": A, "path": "mine.jpg", "checksum": None, "status": "uptodate"}
    assert crawl.site.asked == []
    assert crawl.outcomes() == {"up-to-date": 1}


def test_the_deferred_of_super_media_to_download_takes_callbacks(tmp_path):
    class Mine(ImagesPipeline):
        def media_to_download(self, request, info, *, item=None):
            found = super().media_to_download(request, info, item=item)
            return found.addCallback(lambda result: result and {**result, "mine": True})

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        (first,) = crawl.images(A)
    with Crawl(tmp_path, {}, Mine) as crawl:
        (second,) = crawl.images(A)
    assert "mine" not in first
    assert second["mine"] is True
    assert second["status"] == "uptodate"


def test_an_async_media_to_download_awaits_that_of_super(tmp_path):
    class Mine(ImagesPipeline):
        async def media_to_download(self, request, info, *, item=None):
            if item.get("refresh"):
                return None
            return await maybe_deferred_to_future(
                super().media_to_download(request, info, item=item)
            )

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        crawl.images(A)
    for refresh, status in ((False, "uptodate"), (True, "downloaded")):
        with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
            item = crawl.process({"refresh": refresh, "image_urls": [A]})
        assert item["images"][0]["status"] == status


# --- media_downloaded ---


def test_an_async_media_downloaded_adds_keys(tmp_path):
    class Mine(ImagesPipeline):
        async def media_downloaded(self, response, request, info, *, item=None):
            result = await super().media_downloaded(response, request, info, item=item)
            result["name"] = item["name"]
            return result

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        item = crawl.process({"name": "boots", "image_urls": [A]})
    assert item["images"][0]["name"] == "boots"
    assert item["images"][0]["width"] == 120


def test_a_media_downloaded_that_returns_a_deferred_adds_keys(tmp_path):
    class Mine(ImagesPipeline):
        def media_downloaded(self, response, request, info, *, item=None):
            coro = super().media_downloaded(response, request, info, item=item)
            return deferred_from_coro(coro).addCallback(lambda result: {**result, "mine": 1})

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        (image,) = crawl.images(A)
    assert image["mine"] == 1
    assert image["status"] == "downloaded"


def test_a_plain_media_downloaded_may_return_the_coroutine_of_super(tmp_path):
    class Mine(ImagesPipeline):
        def media_downloaded(self, response, request, info, *, item=None):
            response = response.replace(body=response.body.removeprefix(b"junk"))
            return super().media_downloaded(response, request, info, item=item)

    data = jpeg()
    with Crawl(tmp_path, {A: b"junk" + data}, Mine) as crawl:
        (image,) = crawl.images(A)
    assert crawl.files() == {image["path"]: data}


@any_of_three
def test_media_downloaded_may_be_rewritten(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def media_downloaded(self, response, request, info, *, item=None):
            return {"url": request.url, "bytes": len(response.body)}

    with Crawl(tmp_path, {A: b"12345"}, Mine) as crawl:
        (image,) = crawl.images(A)
    assert image == {"url": A, "bytes": 5}


@any_of_three
def test_media_downloaded_may_refuse_with_a_file_exception(tmp_path, shape, caplog):
    class Mine(ImagesPipeline):
        @shape
        def media_downloaded(self, response, request, info, *, item=None):
            raise FileException("not today")

        def item_completed(self, results, item, info):
            return results

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        ((ok, failure),) = crawl.process({"image_urls": [A]})
    assert not ok
    assert type(failure.value) is FileException
    assert str(failure.value) == "not today"
    (record,) = [r for r in caplog.records if A in r.getMessage()]
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert "not today" in record.getMessage()


@any_of_three
def test_a_mistake_in_media_downloaded_costs_its_source_and_shows_a_traceback(
    tmp_path, shape, caplog
):
    class Mine(ImagesPipeline):
        @shape
        def media_downloaded(self, response, request, info, *, item=None):
            return item["no such key"]

        def item_completed(self, results, item, info):
            return results

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        ((ok, failure),) = crawl.process({"image_urls": [A]})
    assert not ok
    assert isinstance(failure.value, FileException)
    assert failure.value.code == "hook-failed"
    (record,) = [r for r in caplog.records if A in r.getMessage()]
    assert record.levelname == "ERROR"
    assert record.exc_info[0] is KeyError


class ResponseFileException(FileException):
    """As Scrapy's documentation has it, under "Accessing the response of a failed download"."""

    def __init__(self, response):
        super().__init__(f"download-error ({response.status})")
        self.response = response


class WithResponse(ImagesPipeline):
    async def media_downloaded(self, response, request, info, *, item=None):
        try:
            return await super().media_downloaded(response, request, info, item=item)
        except FileException:
            raise ResponseFileException(response)  # noqa: B904 - as documented

    def item_completed(self, results, item, info):
        item["responses"] = [
            value.value.response
            for ok, value in results
            if not ok and value.check(ResponseFileException)
        ]
        return super().item_completed(results, item, info)


def test_the_documented_recipe_for_the_failed_response_works(tmp_path):
    gone = Response(A, status=410, body=b"gone for good", request=Request(A))
    with Crawl(tmp_path, {A: gone}, WithResponse, IMGPIPE_KEEP_FAILED=True) as crawl:
        first, together = crawl.process({"image_urls": [A]}, {"image_urls": [A]})
        later = crawl.process({"image_urls": [A]})
    for item in (first, together, later):
        assert [response.status for response in item["responses"]] == [410]
        assert item["images"][0]["outcome"] == "http-status"
        assert item["images"][0]["reason"] == "download-error (410)"
    assert first["responses"][0].body == b"gone for good"
    assert later["responses"][0].body == b""
    assert later["responses"][0].url == A
    assert crawl.site.urls == [A]


def test_a_kept_failure_holds_neither_body_nor_request_nor_traceback(tmp_path):
    gone = Response(A, status=410, body=b"gone for good", request=Request(A))
    with Crawl(tmp_path, {A: gone}, WithResponse) as crawl:
        crawl.process({"image_urls": [A]})
    (kept,) = crawl.pipeline.spiderinfo.downloaded.values()
    assert kept.value.response.body == b""
    assert kept.value.response.request is None
    assert (kept.value.__traceback__, kept.value.__context__, kept.value.__cause__) == (None,) * 3


# --- media_failed ---


@either
def test_media_failed_that_returns_none_leaves_none_in_the_results(tmp_path, shape, caplog):
    class Mine(ImagesPipeline):
        @shape
        def media_failed(self, failure, request, info):
            return None

    with Crawl(tmp_path, {A: 404, B: jpeg()}, Mine) as crawl:
        images = crawl.images(A, B)
    assert images[0] is None
    assert images[1]["url"] == B
    assert A not in caplog.text


@either
def test_a_failure_that_media_failed_swallowed_is_not_counted_as_stored(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def media_failed(self, failure, request, info):
            return None

    with Crawl(tmp_path, {A: 404, B: ConnectionError("reset")}, Mine) as crawl:
        crawl.images(A, B)
    assert crawl.outcomes() == {"http-status": 1, "download-failed": 1}


@either
def test_media_failed_sees_what_was_raised_and_may_raise_its_own(tmp_path, shape):
    seen = []

    class NotThere(FileException):
        pass

    class Mine(ImagesPipeline):
        @shape
        def media_failed(self, failure, request, info):
            seen.append((request.url, failure.value))
            raise NotThere(request.url)

        def item_completed(self, results, item, info):
            return results

    reset = ConnectionError("reset")
    with Crawl(tmp_path, {A: reset, B: 404}, Mine) as crawl:
        results = crawl.process({"image_urls": [A, B]})
    assert [type(failure.value) for _, failure in results] == [NotThere, NotThere]
    assert dict(seen)[A] is reset
    assert dict(seen)[B].code == "http-status"


def test_media_failed_that_calls_super_raises_our_error(tmp_path):
    class Mine(ImagesPipeline):
        def media_failed(self, failure, request, info):
            request.meta["failed"] = True
            super().media_failed(failure, request, info)

        def item_completed(self, results, item, info):
            return results

    with Crawl(tmp_path, {A: ConnectionError("reset")}, Mine) as crawl:
        ((ok, failure),) = crawl.process({"image_urls": [A]})
    assert not ok
    assert isinstance(failure.value, FileException)
    assert failure.value.code == "download-failed"
    assert crawl.site.asked[0].meta["failed"] is True


def test_media_failed_that_returns_its_failure_is_told_that_this_is_deprecated(tmp_path):
    class Mine(ImagesPipeline):
        def media_failed(self, failure, request, info):
            return failure

        def item_completed(self, results, item, info):
            return results

    with Crawl(tmp_path, {A: 404}, Mine) as crawl, pytest.warns(match="returned a Failure"):
        ((ok, failure),) = crawl.process({"image_urls": [A]})
    assert not ok
    assert failure.value.code == "http-status"


# --- item_completed ---


@any_of_three
def test_item_completed_may_index_the_first_result(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def item_completed(self, results, item, info):
            item["cover"] = results[0][1]["path"]
            return item

    with Crawl(tmp_path, {A: jpeg(), B: jpeg()}, Mine) as crawl:
        item = crawl.process({"image_urls": [A, B]})
    assert item["cover"] in crawl.files()
    assert "images" not in item


@any_of_three
def test_item_completed_may_drop_the_item(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def item_completed(self, results, item, info):
            if not any(ok for ok, _ in results):
                raise DropItem("Item contains no images")
            return item

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        assert crawl.process({"image_urls": [A]}) == {"image_urls": [A]}
        with pytest.raises(DropItem, match="Item contains no images"):
            crawl.process({"image_urls": [B]})


def test_an_async_item_completed_may_call_super(tmp_path):
    class Mine(ImagesPipeline):
        async def item_completed(self, results, item, info):
            await asyncio.sleep(0)
            item = super().item_completed(results, item, info)
            item["count"] = len(item["images"])
            return item

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        assert crawl.process({"image_urls": [A, B]})["count"] == 1


@either
def test_item_completed_is_called_for_an_item_without_urls(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def item_completed(self, results, item, info):
            return {"results": results}

    with Crawl(tmp_path, {}, Mine) as crawl:
        assert crawl.process({}) == {"results": []}


def test_results_are_pairs_of_true_and_dict_or_false_and_failure(tmp_path):
    class Mine(ImagesPipeline):
        def item_completed(self, results, item, info):
            return results

    with Crawl(tmp_path, {A: jpeg(), B: b"<html>"}, Mine) as crawl:
        results = crawl.process({"image_urls": [A, B]})
    assert [(type(ok), type(value)) for ok, value in results] == [(bool, dict), (bool, Failure)]
    assert results[1][1].check(ImageException)


# --- inc_stats, class attributes ---


def test_inc_stats_may_be_overridden(tmp_path):
    class Mine(ImagesPipeline):
        def inc_stats(self, status):
            super().inc_stats(status)
            self.crawler.stats.inc_value(f"mine/{status}")

    for status in ("downloaded", "uptodate"):
        with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
            crawl.images(A)
        assert crawl.stats[f"mine/{status}"] == 1
        assert crawl.stats[f"file_status_count/{status}"] == 1


def test_class_attributes_are_defaults_that_settings_override(tmp_path):
    class Mine(ImagesPipeline):
        EXPIRES = 7
        MIN_WIDTH = 50
        MIN_HEIGHT = 60
        THUMBS: ClassVar = {"small": (20, 20)}
        DEFAULT_IMAGES_URLS_FIELD = "photos"
        IMAGES_RESULT_FIELD = "pictures"

    pipeline = Crawl(tmp_path, {}, Mine).pipeline
    assert (pipeline.expires, pipeline.min_width, pipeline.min_height) == (7, 50, 60)
    assert pipeline.thumbs == {"small": (20, 20)}
    assert (pipeline.images_urls_field, pipeline.images_result_field) == ("photos", "pictures")
    settings = {
        "IMAGES_EXPIRES": 1,
        "IMAGES_MIN_WIDTH": 2,
        "IMAGES_MIN_HEIGHT": 3,
        "IMAGES_THUMBS": {"big": (4, 5)},
        "IMAGES_URLS_FIELD": "u",
        "IMAGES_RESULT_FIELD": "r",
    }
    pipeline = Crawl(tmp_path, {}, Mine, **settings).pipeline
    assert (pipeline.expires, pipeline.min_width, pipeline.min_height) == (1, 2, 3)
    assert pipeline.thumbs == {"big": (4, 5)}
    assert (pipeline.images_urls_field, pipeline.images_result_field) == ("u", "r")


@pytest.mark.parametrize("size", [(20, 20), [20, 20]], ids=repr)
def test_thumbs_of_the_class_are_made(tmp_path, size):
    class Mine(ImagesPipeline):
        THUMBS: ClassVar = {"small": size}

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        (image,) = crawl.images(A)
    assert [r["name"] for r in image["renditions"]] == ["small"]


def test_what_is_changed_on_the_instance_at_the_start_counts(tmp_path):
    class Mine(ImagesPipeline):
        def open_spider(self, spider=None):
            super().open_spider()
            self.thumbs = {"tiny": (10, 10)}
            self.min_width = 100

    with Crawl(tmp_path, {A: jpeg((120, 80)), B: jpeg((90, 80))}, Mine) as crawl:
        images = crawl.images(A, B)
    assert [image["url"] for image in images] == [A]
    assert [r["name"] for r in images[0]["renditions"]] == ["tiny"]


def test_fields_of_the_class_are_read_and_written(tmp_path):
    class Mine(ImagesPipeline):
        IMAGES_URLS_FIELD = "photos"
        DEFAULT_IMAGES_RESULT_FIELD = "pictures"

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        item = crawl.process({"photos": [A]})
    assert [image["url"] for image in item["pictures"]] == [A]


def test_min_width_of_the_class_refuses_small_images_as_scrapy_words_it(tmp_path, caplog):
    class Mine(ImagesPipeline):
        MIN_WIDTH = 121

    caplog.set_level(logging.DEBUG, "scrapy_imgpipe")
    with Crawl(tmp_path, {A: jpeg((120, 80))}, Mine) as crawl:
        assert crawl.images(A) == []
    assert "Image too small (120x80 < 121x0)" in caplog.text
    assert crawl.files() == {}
