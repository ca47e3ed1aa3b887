"""What the item and ``item_completed`` get to know: keys, values, errors, kept slots."""

from __future__ import annotations

import hashlib
from io import BytesIO
from typing import ClassVar

import pytest
from PIL import Image
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Request, Response
from scrapy.pipelines.images import ImageException

from scrapy_imgpipe import (
    DownloadFailed,
    HookFailed,
    ImageBroken,
    ImagePipeError,
    ImagesPipeline,
    SourceRejected,
    StoreFailed,
)
from scrapy_imgpipe.compat import FileException
from tests.fakes import Crawl
from tests.pictures import encoded, jpeg, noise, opened

A, B = "http://shop.example/a.jpg", "http://shop.example/b.jpg"
KEYS = ["url", "path", "checksum", "status", "width", "height", "format", "bytes", "renditions"]
THUMBS = {"IMAGES_THUMBS": {"small": (20, 20), "big": (60, 60)}}


class Wrapping(ImagesPipeline):
    def get_images(self, response, request, info, *, item=None):
        yield from super().get_images(response, request, info, item=item)


class Converting(ImagesPipeline):
    def convert_image(self, image, size=None, *, response_body):
        return super().convert_image(image, size, response_body=response_body)


class FolderStore:
    """Only Scrapy's two methods, over a folder."""

    def __init__(self, uri):
        from pathlib import Path

        self.folder = Path(uri)

    def persist_file(self, path, buf, info, meta=None, headers=None):
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(buf.getvalue())

    def stat_file(self, path, info):
        return {}


class WithFolderStore(ImagesPipeline):
    STORE_SCHEMES: ClassVar = {**ImagesPipeline.STORE_SCHEMES, "": FolderStore, "file": FolderStore}


class WrappingWithFolderStore(WithFolderStore, Wrapping):
    pass


ways = pytest.mark.parametrize(
    "way", [ImagesPipeline, Wrapping, Converting, WithFolderStore, WrappingWithFolderStore]
)


class Results(ImagesPipeline):
    def item_completed(self, results, item, info):
        return results


def check(crawl, image, status):
    """Hold every value of *image* against what is in the store."""
    files = crawl.files()
    full = files[image["path"]]
    assert list(image) == KEYS
    assert image["url"] == A
    assert image["status"] == status
    assert image["checksum"] == hashlib.md5(full).hexdigest()
    assert image["bytes"] == len(full)
    assert (image["width"], image["height"]) == opened(full).size
    assert image["format"] == opened(full).format
    for rendition in image["renditions"]:
        data = files[rendition["path"]]
        assert rendition["bytes"] == len(data)
        assert (rendition["width"], rendition["height"]) == opened(data).size


@ways
@pytest.mark.parametrize(
    "data",
    [
        jpeg(),
        jpeg((7, 300), quality=95),
        encoded(noise(mode="RGBA"), "PNG"),
        encoded(noise(mode="P"), "GIF"),
        encoded(noise(mode="CMYK"), "JPEG"),
        encoded(noise(mode="L"), "WEBP"),
    ],
    ids=["jpeg", "tall jpeg", "png", "gif", "cmyk", "webp"],
)
def test_a_downloaded_image_is_described_as_it_is_stored(tmp_path, way, data):
    with Crawl(tmp_path, {A: data}, way, **THUMBS) as crawl:
        (image,) = crawl.images(A)
    check(crawl, image, "downloaded")
    assert [rendition["name"] for rendition in image["renditions"]] == ["small", "big"]
    assert len(crawl.files()) == 3


def test_a_turned_photo_is_described_upright_in_every_way(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = jpeg((120, 80), exif=exif)
    for way in (ImagesPipeline, Wrapping, Converting, WithFolderStore):
        with Crawl(tmp_path / way.__name__, {A: data}, way) as crawl:
            (image,) = crawl.images(A)
        check(crawl, image, "downloaded")
        assert (image["width"], image["height"]) == (80, 120)


@pytest.mark.parametrize("way", [ImagesPipeline, Converting])
def test_an_uptodate_image_is_described_like_a_downloaded_one(tmp_path, way):
    with Crawl(tmp_path, {A: jpeg()}, way, **THUMBS) as crawl:
        (first,) = crawl.images(A)
    with Crawl(tmp_path, {}, way, **THUMBS) as crawl:
        (second,) = crawl.images(A)
    check(crawl, second, "uptodate")
    assert second == {**first, "status": "uptodate"}


def test_an_uptodate_image_of_an_overridden_get_images_has_all_keys(tmp_path):
    with Crawl(tmp_path, {A: jpeg()}, Wrapping) as crawl:
        crawl.images(A)
    with Crawl(tmp_path, {}, Wrapping) as crawl:
        (second,) = crawl.images(A)
    check(crawl, second, "uptodate")


@ways
def test_a_cached_response_is_a_cached_image(tmp_path, way):
    cached = Response(A, body=jpeg(), flags=["cached"])
    with Crawl(tmp_path, {A: cached}, way) as crawl:
        (image,) = crawl.images(A)
    check(crawl, image, "cached")
    assert crawl.outcomes() == {"cached": 1}
    assert crawl.stats["file_status_count/cached"] == 1


@ways
def test_the_url_is_what_was_asked_for_whatever_answered(tmp_path, way):
    moved = Response("http://cdn.example/other.jpg", body=jpeg())
    with Crawl(tmp_path, {A: moved}, way) as crawl:
        (image,) = crawl.images(A)
    check(crawl, image, "downloaded")


@ways
def test_results_are_made_of_what_every_exporter_takes(tmp_path, way):
    import json

    with Crawl(tmp_path, {A: jpeg()}, way, **THUMBS) as crawl:
        (image,) = crawl.images(A)
    assert json.loads(json.dumps(image)) == image


@ways
def test_askers_of_one_image_share_nothing_that_can_be_changed(tmp_path, way):
    with Crawl(tmp_path, {A: jpeg()}, way, **THUMBS) as crawl:
        first, second = crawl.images(A, A)
        first["renditions"][0]["mine"] = True
        first["renditions"].pop()
        (third,) = crawl.images(A)
    assert second == third
    assert len(third["renditions"]) == 2
    assert "mine" not in third["renditions"][0]


# --- errors ---

FAILURES = {
    "http-status": (404, DownloadFailed, FileException),
    "redirect-refused": (
        Response(A, status=302, headers={"Location": B}),
        DownloadFailed,
        FileException,
    ),
    "download-failed": (ConnectionError("reset"), DownloadFailed, FileException),
    "filtered": (IgnoreRequest("offsite"), SourceRejected, FileException),
    "not-an-image": (b"<html>hello</html>", SourceRejected, ImageException),
    "format-not-allowed": (b"%!PS-Adobe-3.0\n", SourceRejected, FileException),
    "too-small": (jpeg((9, 9)), SourceRejected, ImageException),
    "broken": (jpeg()[:-400], ImageBroken, ImageException),
}


@ways
@pytest.mark.parametrize("code", FAILURES)
def test_an_error_is_scrapys_and_ours(tmp_path, way, code):
    answer, ours, scrapys = FAILURES[code]
    if code == "format-not-allowed":
        answer = b"\xc5\xd0\xd3\xc6" + bytes(100)

    class Mine(way):
        item_completed = Results.item_completed

    with Crawl(tmp_path, {A: answer}, Mine, IMAGES_MIN_WIDTH=10) as crawl:
        ((ok, failure),) = crawl.process({"image_urls": [A]})
    assert not ok
    assert isinstance(failure.value, ours)
    assert isinstance(failure.value, ImagePipeError)
    assert isinstance(failure.value, scrapys)
    assert isinstance(failure.value, FileException)
    assert failure.value.code == code
    assert failure.check(FileException) is FileException
    assert str(failure.value) == failure.value.reason != ""
    assert "\n" not in str(failure.value)
    assert crawl.outcomes() == {code: 1}
    assert crawl.files() == {}


def test_an_empty_body_is_a_failed_download(tmp_path):
    with Crawl(tmp_path, {A: b""}, Results) as crawl:
        ((_, failure),) = crawl.process({"image_urls": [A]})
    assert isinstance(failure.value, DownloadFailed)
    assert str(failure.value).startswith("empty-content")


def test_a_path_that_is_refused_is_a_store_failure(tmp_path):
    class Mine(Results):
        def file_path(self, request, response=None, info=None, *, item=None):
            return "../../out.jpg"

    with Crawl(tmp_path / "store", {A: jpeg()}, Mine) as crawl:
        ((_, failure),) = crawl.process({"image_urls": [A]})
    assert isinstance(failure.value, StoreFailed)
    assert isinstance(failure.value, FileException)
    assert failure.value.code == "bad-path"


def test_a_folder_that_cannot_be_made_is_a_store_failure(tmp_path):
    with Crawl(tmp_path, {A: jpeg()}, Results) as crawl:
        (tmp_path / "full").write_bytes(b"a file")
        ((_, failure),) = crawl.process({"image_urls": [A]})
    assert isinstance(failure.value, StoreFailed)
    assert isinstance(failure.value, FileException)
    assert failure.value.code == "store-failed"


@pytest.mark.parametrize("hook", ["file_path", "image_downloaded", "get_images", "convert_image"])
def test_a_mistake_in_a_hook_is_scrapys_and_ours(tmp_path, hook):
    def mistake(self, *args, **kwargs):
        raise KeyError("sku")

    kind = type("Mine", (Results,), {hook: mistake})
    with Crawl(tmp_path, {A: jpeg()}, kind) as crawl:
        ((_, failure),) = crawl.process({"image_urls": [A]})
    assert isinstance(failure.value, FileException)
    assert isinstance(failure.value, HookFailed)
    assert failure.value.code == "hook-failed"


def test_a_failure_is_told_by_scrapys_classes_alone(tmp_path):
    """A handler that only knows Scrapy's classes tells images from downloads."""
    with Crawl(tmp_path, {A: b"<html>", B: 404}, Results) as crawl:
        results = crawl.process({"image_urls": [A, B]})
    assert [failure.check(ImageException) for _, failure in results] == [ImageException, None]


# --- kept slots ---

SLOT = ["url", "path", "checksum", "status", "outcome", "reason"]


@ways
@pytest.mark.parametrize("code", FAILURES)
def test_a_kept_slot_says_which_url_failed_and_why(tmp_path, way, code):
    answer, *_ = FAILURES[code]
    if code == "format-not-allowed":
        answer = b"\xc5\xd0\xd3\xc6" + bytes(100)
    settings = {"IMGPIPE_KEEP_FAILED": True, "IMAGES_MIN_WIDTH": 10}
    with Crawl(tmp_path, {A: answer, B: jpeg()}, way, **settings) as crawl:
        failed, good = crawl.images(A, B)
    assert list(failed) == SLOT
    assert (failed["url"], failed["status"], failed["outcome"]) == (A, "failed", code)
    assert (failed["path"], failed["checksum"]) == (None, None)
    assert failed["reason"]
    assert good["url"] == B


def test_without_kept_slots_failures_are_left_out(tmp_path):
    with Crawl(tmp_path, {A: 404, B: jpeg()}) as crawl:
        assert [image["url"] for image in crawl.images(A, B, A)] == [B]


@pytest.mark.parametrize("raised", [FileException, ImageException])
def test_a_users_error_without_words_leaves_a_reason_all_the_same(tmp_path, raised):
    class Mine(ImagesPipeline):
        async def media_downloaded(self, response, request, info, *, item=None):
            raise raised

    with Crawl(tmp_path, {A: jpeg()}, Mine, IMGPIPE_KEEP_FAILED=True) as crawl:
        (image,) = crawl.images(A)
    assert image["outcome"] == "filtered"
    assert image["reason"] == raised.__name__


def test_a_users_error_of_several_lines_leaves_one_line(tmp_path):
    class Mine(ImagesPipeline):
        async def media_downloaded(self, response, request, info, *, item=None):
            raise FileException("first\nsecond")

    with Crawl(tmp_path, {A: jpeg()}, Mine, IMGPIPE_KEEP_FAILED=True) as crawl:
        (image,) = crawl.images(A)
    assert image["reason"] == "first second"


def test_an_errback_that_raises_leaves_a_slot_too(tmp_path):
    def errback(failure):
        raise KeyError("sku")

    class Mine(ImagesPipeline):
        def get_media_requests(self, item, info):
            return [Request(A, errback=errback)]

    with Crawl(tmp_path, {A: 404}, Mine, IMGPIPE_KEEP_FAILED=True) as crawl:
        (image,) = crawl.process({})["images"]
    assert (image["url"], image["status"]) == (A, "failed")
    assert "sku" in image["reason"]


def test_a_joined_failure_leaves_the_same_slot(tmp_path):
    with Crawl(tmp_path, {A: 404}, IMGPIPE_KEEP_FAILED=True) as crawl:
        first, second = crawl.images(A, A)
        (third,) = crawl.images(A)
    assert first == second == third
    assert first["outcome"] == "http-status"


def test_the_checksum_is_that_of_the_stored_image_not_of_the_body(tmp_path):
    body = encoded(noise(), "PNG")
    with Crawl(tmp_path, {A: body}) as crawl:
        (image,) = crawl.images(A)
    stored = crawl.files()[image["path"]]
    assert image["checksum"] == hashlib.md5(stored).hexdigest() != hashlib.md5(body).hexdigest()
    assert Image.open(BytesIO(stored)).format == "JPEG"
