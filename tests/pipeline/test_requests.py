"""From items to requests: joins, priorities, unusable entries, containers."""

from __future__ import annotations

import logging

import pytest
from scrapy.http import Request
from twisted.python.failure import Failure

from scrapy_imgpipe import ImagesPipeline
from tests.fakes import Crawl
from tests.pictures import jpeg

A, B, C = "http://shop.example/a.jpg", "http://shop.example/b.jpg", "http://shop.example/c.jpg"


def test_one_download_serves_everybody_within_an_item_and_across_items(tmp_path):
    with Crawl(tmp_path, {A: jpeg()}) as crawl:
        first, second = crawl.process({"image_urls": [A, A]}, {"image_urls": [A]})
        third = crawl.process({"image_urls": [A]})
    assert crawl.site.urls == [A]
    assert first["images"][0] == first["images"][1] == second["images"][0] == third["images"][0]
    assert crawl.outcomes() == {"stored": 1, "joined": 3}


def test_askers_do_not_share_one_dict(tmp_path):
    with Crawl(tmp_path, {A: jpeg()}) as crawl:
        first, second = crawl.process({"image_urls": [A]}, {"image_urls": [A]})
    first["images"][0]["mine"] = True
    assert "mine" not in second["images"][0]


def test_a_failure_reaches_every_asker_and_is_logged_once(tmp_path, caplog):
    with Crawl(tmp_path, {A: 404}, IMGPIPE_KEEP_FAILED=True) as crawl:
        items = crawl.process(*({"image_urls": [A]} for _ in range(3)))
    assert [item["images"][0]["outcome"] for item in items] == ["http-status"] * 3
    assert caplog.text.count(A) == 1
    assert crawl.outcomes() == {"http-status": 1, "joined": 2}


def test_priority_comes_from_the_setting_unless_the_request_has_its_own(tmp_path):
    class Mine(ImagesPipeline):
        def get_media_requests(self, item, info):
            yield Request(A)
            yield Request(B, priority=7)

    with Crawl(tmp_path, pipeline=Mine, IMGPIPE_PRIORITY=3) as crawl:
        crawl.process({})
    assert {request.url: request.priority for request in crawl.site.asked} == {A: 3, B: 7}


@pytest.mark.parametrize(
    "entry",
    [
        None,
        "",
        "   ",
        "//cdn.example/x.jpg",
        "x.jpg",
        "/x.jpg",
        "http://",
        "http://shop.example:99999/x.jpg",
        "http://shop.example:port/x.jpg",
        "http://[::1/x.jpg",
        42,
        b"http://shop.example/x.jpg",
        ["no URL"],
        pytest.param(object(), id="an object"),
    ],
    ids=repr,
)
def test_an_unusable_entry_costs_that_entry_only(tmp_path, entry):
    with Crawl(tmp_path, {A: jpeg(), B: jpeg()}, IMGPIPE_KEEP_FAILED=True) as crawl:
        images = crawl.images(A, entry, B)
    assert [image["status"] for image in images] == ["downloaded", "failed", "downloaded"]
    assert images[1]["outcome"] == "bad-url"
    assert images[1]["reason"].startswith("Expected ")
    assert "\n" not in images[1]["reason"]
    assert sorted(crawl.site.urls) == [A, B]


def test_a_local_file_named_by_a_page_is_not_read(tmp_path):
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(jpeg())
    with Crawl(tmp_path / "store", IMGPIPE_KEEP_FAILED=True) as crawl:
        (image,) = crawl.images(secret.as_uri())
    assert image["outcome"] == "url-not-allowed"
    assert crawl.site.asked == []


def test_naming_the_file_scheme_brings_scrapys_behaviour_back(tmp_path):
    url = (tmp_path / "mine.jpg").as_uri()
    with Crawl(tmp_path, {url: jpeg()}, IMGPIPE_ALLOWED_SCHEMES=["http", "file"]) as crawl:
        (image,) = crawl.images(url)
    assert image["status"] == "downloaded"


@pytest.mark.parametrize("make", [tuple, iter, dict.fromkeys, lambda urls: (u for u in urls)])
def test_any_container_of_urls_is_as_good_as_a_list(tmp_path, make):
    urls = make([A, B])
    if isinstance(urls, dict):
        urls = urls.keys()
    with Crawl(tmp_path, {A: jpeg(), B: jpeg()}) as crawl:
        item = crawl.process({"image_urls": urls})
    assert [image["url"] for image in item["images"]] == [A, B]


def test_a_set_of_urls_is_as_good_as_a_list(tmp_path):
    with Crawl(tmp_path, {A: jpeg(), B: jpeg()}) as crawl:
        item = crawl.process({"image_urls": {A, B}})
    assert {image["url"] for image in item["images"]} == {A, B}


def test_a_generator_is_left_as_a_list_for_later_pipelines(tmp_path):
    with Crawl(tmp_path, {A: jpeg()}) as crawl:
        item = crawl.process({"image_urls": (url for url in [A])})
    assert item["image_urls"] == [A]


@pytest.mark.parametrize("container", [A, {"url": A}, 123, A.encode()], ids=repr)
def test_a_wrong_container_is_one_failed_source(tmp_path, container):
    with Crawl(tmp_path, {A: jpeg()}, IMGPIPE_KEEP_FAILED=True) as crawl:
        item = crawl.process({"image_urls": container})
    assert [image["outcome"] for image in item["images"]] == ["bad-url"]
    assert "Expected a list of URLs for image_urls but received" in item["images"][0]["reason"]
    assert crawl.site.asked == []


@pytest.mark.parametrize("item", [{}, {"image_urls": None}, {"image_urls": []}])
def test_no_urls_mean_no_images(tmp_path, item):
    with Crawl(tmp_path) as crawl:
        assert crawl.process(item)["images"] == []
    assert crawl.outcomes() == {}


def test_called_directly_a_wrong_container_raises_as_in_scrapy(tmp_path):
    with Crawl(tmp_path) as crawl:
        for container in (A, (A,), None):
            with pytest.raises(TypeError, match="image_urls must be a list of URLs"):
                crawl.pipeline.get_media_requests({"image_urls": container}, None)


def test_an_override_that_wraps_super_keeps_unusable_entries(tmp_path):
    class Mine(ImagesPipeline):
        def get_media_requests(self, item, info):
            for request in super().get_media_requests(item, info):
                request.meta["name"] = item["name"]
                yield request.replace(headers={"X-Mine": "1"})

    item = {"name": "n", "image_urls": [None, A, "//x/y.jpg"]}
    with Crawl(tmp_path, {A: jpeg()}, Mine, IMGPIPE_KEEP_FAILED=True) as crawl:
        images = crawl.process(item)["images"]
    assert [image["status"] for image in images] == ["failed", "downloaded", "failed"]
    assert images[2]["url"] == "//x/y.jpg"
    assert crawl.site.urls == [A]


def test_a_request_copied_from_an_unusable_one_by_its_url_is_never_sent(tmp_path):
    class Mine(ImagesPipeline):
        def get_media_requests(self, item, info):
            return [Request(request.url) for request in super().get_media_requests(item, info)]

    with Crawl(tmp_path, {}, Mine, IMGPIPE_KEEP_FAILED=True) as crawl:
        (image,) = crawl.images("//x/y.jpg")
    assert image["outcome"] == "bad-url"
    assert crawl.site.asked == []


def test_what_a_generator_yielded_before_it_raised_is_processed(tmp_path):
    class Mine(ImagesPipeline):
        def get_media_requests(self, item, info):
            yield Request(A)
            raise KeyError("sku")

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl, pytest.raises(KeyError, match="sku"):
        crawl.process({})
    assert crawl.outcomes() == {"stored": 1}
    assert len(crawl.files()) == 1


def test_something_that_is_no_request_costs_its_slot_only(tmp_path):
    class Mine(ImagesPipeline):
        def get_media_requests(self, item, info):
            return [Request(A), None, "http://x"]

        def item_completed(self, results, item, info):
            return results

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        results = crawl.process({})
    assert [ok for ok, _ in results] == [True, False, False]
    assert "Expected a Request from get_media_requests" in str(results[1][1].value)


def test_the_errback_of_a_request_is_asked_for_every_asker(tmp_path):
    def recover(failure: Failure):
        return {"url": "recovered", "code": failure.value.code}

    class Mine(ImagesPipeline):
        def get_media_requests(self, item, info):
            return [Request(A, errback=recover), Request(A, errback=recover)]

    with Crawl(tmp_path, {A: 500}, Mine) as crawl:
        images = crawl.process({})["images"]
    assert images == [{"url": "recovered", "code": "http-status"}] * 2


def test_allow_offsite_marks_requests_and_leaves_the_users_choice(tmp_path):
    class Mine(ImagesPipeline):
        def get_media_requests(self, item, info):
            return [Request(A), Request(B, meta={"allow_offsite": False})]

    with Crawl(tmp_path, pipeline=Mine, IMGPIPE_ALLOW_OFFSITE=True) as crawl:
        crawl.process({})
    marks = {request.url: request.meta["allow_offsite"] for request in crawl.site.asked}
    assert marks == {A: True, B: False}


def test_results_keep_the_order_of_the_urls_whatever_comes_first(tmp_path):
    import asyncio

    gate = asyncio.Event()

    async def last(request):
        await gate.wait()
        return jpeg()

    async def first(request):
        gate.set()
        return jpeg()

    with Crawl(tmp_path, {A: last, B: 404, C: first}) as crawl:
        images = crawl.images(A, B, C)
    assert [image["url"] for image in images] == [A, C]


def test_rejected_sources_are_said_at_debug_level(tmp_path, caplog):
    caplog.set_level(logging.DEBUG, "scrapy_imgpipe")
    with Crawl(tmp_path) as crawl:
        crawl.images("//x/y.jpg")
    records = [r for r in caplog.records if "//x/y.jpg" in r.getMessage()]
    assert [record.levelname for record in records] == ["DEBUG"]
