"""The index before a store that only Scrapy's protocol reaches: S3, FTP, a user's own."""

from __future__ import annotations

import hashlib
import time
from typing import ClassVar

import pytest
from scrapy.http import Response

from scrapy_imgpipe import ImagesPipeline
from tests.fakes import Crawl
from tests.pictures import jpeg

URL = "http://shop.example/a.jpg"
THUMBS = {"small": (50, 50)}


class Bucket:
    """Keeps files as long as the test lasts, and counts the questions."""

    buckets: ClassVar[dict[str, dict[str, tuple[bytes, float]]]] = {}
    asked: ClassVar[list[str]] = []

    def __init__(self, uri):
        self.files = self.buckets.setdefault(uri, {})

    def persist_file(self, path, buf, info, meta=None, headers=None):
        self.files[path] = buf.getvalue(), time.time()

    def stat_file(self, path, info):
        self.asked.append(path)
        if path not in self.files:
            raise KeyError(path)
        data, modified = self.files[path]
        return {"last_modified": modified, "checksum": hashlib.md5(data).hexdigest()}


class IntoBucket(ImagesPipeline):
    STORE_SCHEMES: ClassVar = {**ImagesPipeline.STORE_SCHEMES, "bucket": Bucket}


@pytest.fixture
def bucket(tmp_path):
    Bucket.buckets.clear()
    Bucket.asked.clear()
    return f"bucket://{tmp_path.name}"


def once(bucket, answers=None, pipeline=IntoBucket, **settings):
    settings = {"IMAGES_STORE": bucket, "IMGPIPE_KEEP_FAILED": True, **settings}
    Bucket.asked.clear()
    with Crawl("unused", answers, pipeline, **settings) as crawl:
        (image,) = crawl.images(URL)
    return image, crawl.site.urls, list(Bucket.asked)


def test_a_known_source_costs_one_question_and_has_its_whole_result(bucket):
    first, *_ = once(bucket, {URL: jpeg()}, IMAGES_THUMBS=THUMBS)
    again, urls, asked = once(bucket, IMAGES_THUMBS=THUMBS)
    assert again == {**first, "status": "uptodate"}
    assert (urls, asked) == ([], [first["path"]])


def test_with_trust_it_costs_none(bucket):
    first, *_ = once(bucket, {URL: jpeg()}, IMAGES_THUMBS=THUMBS)
    again, urls, asked = once(bucket, IMAGES_THUMBS=THUMBS, IMGPIPE_TRUST_INDEX=True)
    assert again == {**first, "status": "uptodate"}
    assert (urls, asked) == ([], [])


@pytest.mark.parametrize("change", ["gone", "other bytes"])
def test_what_is_not_there_as_it_was_stored_is_downloaded(bucket, change):
    first, *_ = once(bucket, {URL: jpeg()})
    files = Bucket.buckets[bucket]
    if change == "gone":
        del files[first["path"]]
    else:
        files[first["path"]] = b"other", time.time()
    again, urls, _ = once(bucket, {URL: jpeg()})
    assert again["status"] == "downloaded"
    assert urls == [URL]


def test_another_size_means_another_download(bucket):
    once(bucket, {URL: jpeg()}, IMAGES_THUMBS=THUMBS)
    image, urls, _ = once(bucket, {URL: jpeg()}, IMAGES_THUMBS={"small": (40, 40)})
    assert urls == [URL]
    assert image["renditions"][0]["width"] == 40
    image, urls, _ = once(bucket, IMAGES_THUMBS={"small": (40, 40)})
    assert (image["status"], urls) == ("uptodate", [])


def test_an_expired_one_is_asked_whether_it_has_changed(bucket):
    def origin(request):
        if request.headers.get("If-None-Match") == b'"1"':
            return Response(request.url, status=304, request=request)
        return Response(request.url, body=body, headers={"ETag": '"1"'}, request=request)

    body = jpeg()
    first, *_ = once(bucket, {URL: origin})
    again, urls, _ = once(bucket, {URL: origin}, IMAGES_EXPIRES=0)
    assert again == {**first, "status": "revalidated"}
    assert urls == [URL]


def test_the_stores_own_time_counts_until_the_origin_was_asked(bucket):
    def origin(request):
        if request.headers.get("If-None-Match"):
            return Response(request.url, status=304, request=request)
        return Response(request.url, body=body, headers={"ETag": '"1"'}, request=request)

    body = jpeg()
    first, *_ = once(bucket, {URL: origin})
    Bucket.buckets[bucket][first["path"]] = body, time.time() - 91 * 24 * 60 * 60
    again, *_ = once(bucket, {URL: origin})
    assert again["status"] == "revalidated"
    again, urls, _ = once(bucket, {URL: origin})
    assert (again["status"], urls) == ("uptodate", [])


def test_names_that_need_the_response_are_found_again(bucket):
    class Named(IntoBucket):
        def file_path(self, request, response=None, info=None, *, item=None):
            return response.headers["X-Name"].decode()

    def origin(request):
        return Response(request.url, body=body, headers={"X-Name": "b.jpg"}, request=request)

    body = jpeg()
    first, *_ = once(bucket, {URL: origin}, Named)
    again, urls, asked = once(bucket, {URL: origin}, Named)
    assert again == {**first, "status": "uptodate"}
    assert (urls, asked) == ([], ["b.jpg"])


def test_without_an_index_it_is_judged_as_scrapy_does(bucket):
    once(bucket, {URL: jpeg()}, IMGPIPE_INDEX="off")
    image, urls, asked = once(bucket, IMGPIPE_INDEX="off")
    assert set(image) == {"url", "path", "checksum", "status"}
    assert (urls, len(asked)) == ([], 1)


def test_what_failed_for_good_is_not_asked_again(bucket):
    once(bucket, {URL: 404}, IMGPIPE_RETRY_FAILED_AFTER=1)
    image, urls, asked = once(bucket, {URL: jpeg()}, IMGPIPE_RETRY_FAILED_AFTER=1)
    assert (image["outcome"], urls, asked) == ("http-status", [], [])
