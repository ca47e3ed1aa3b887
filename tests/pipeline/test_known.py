"""What the index is for: fresh without reading, conditional refresh, failures that last."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import time
from contextlib import closing, contextmanager

import pytest
from scrapy.http import Response

from scrapy_imgpipe import ImagesPipeline
from scrapy_imgpipe.index import SqliteIndex
from scrapy_imgpipe.paths import image_path
from tests.fakes import Crawl
from tests.pictures import encoded, jpeg, noise

URL = "http://shop.example/a.jpg"
DAY = 24 * 60 * 60
THUMBS = {"small": (50, 50), "big": (90, 90)}


@pytest.fixture
def index(tmp_path):
    """A file for the index, and what asks it behind the pipeline's back."""
    with closing(SqliteIndex(tmp_path / "index.sqlite")) as index:
        yield index


def crawl_of(tmp_path, answers=None, pipeline=ImagesPipeline, **settings):
    settings = {"IMGPIPE_INDEX": str(tmp_path / "index.sqlite"), **settings}
    return Crawl(tmp_path / "store", answers, pipeline, **settings)


def once(tmp_path, answers=None, *urls, pipeline=ImagesPipeline, **settings):
    """Crawl *urls* and return the first result, its outcomes and what was asked for."""
    settings = {"IMGPIPE_KEEP_FAILED": True, **settings}
    with crawl_of(tmp_path, answers, pipeline, **settings) as crawl:
        (image, *_) = crawl.images(*(urls or (URL,)))
    return image, crawl.outcomes(), crawl.site.asked


def make_older(tmp_path, days):
    """Let all that the index knows have happened *days* ago."""
    with closing(sqlite3.connect(tmp_path / "index.sqlite")) as connection, connection:
        connection.execute(
            "UPDATE source SET stored_at = stored_at - :s, checked_at = checked_at - :s,"
            " failed_at = max(failed_at - :s, 0)",
            {"s": days * DAY},
        )


@contextmanager
def files_read(folder):
    """Collect the files below *folder* that are opened meanwhile."""
    read, on = [], [True]

    def hook(event, arguments):
        if on and event == "open" and isinstance(arguments[0], str):
            read.extend([arguments[0]] if arguments[0].startswith(str(folder)) else [])

    sys.addaudithook(hook)
    try:
        yield read
    finally:
        on.clear()


class Origin:
    """Answers as a server does that knows validators."""

    def __init__(self, body, etag='"1"', modified="Wed, 21 Oct 2015 07:28:00 GMT"):
        self.body, self.etag, self.modified = body, etag, modified
        self.conditions = []

    def __call__(self, request):
        asked = (request.headers.get("If-None-Match"), request.headers.get("If-Modified-Since"))
        self.conditions.append(tuple(value and value.decode() for value in asked))
        headers = {"ETag": self.etag, "Last-Modified": self.modified}
        headers = {name: value for name, value in headers.items() if value}
        if asked[0] == self.etag.encode() or (not self.etag and asked[1] == self.modified.encode()):
            return Response(request.url, status=304, headers=headers, request=request)
        return Response(request.url, body=self.body, headers=headers, request=request)


# --- fresh ---


def test_what_is_known_is_up_to_date_without_a_file_being_read(tmp_path):
    first, *_ = once(tmp_path, {URL: jpeg()}, IMAGES_THUMBS=THUMBS)
    with files_read(tmp_path / "store") as read:
        again, outcomes, asked = once(tmp_path, IMAGES_THUMBS=THUMBS)
    assert again == {**first, "status": "uptodate"}
    assert (outcomes, asked, read) == ({"up-to-date": 1}, [], [])


def test_without_an_index_files_are_read(tmp_path):
    settings = {"IMAGES_THUMBS": THUMBS, "IMGPIPE_INDEX": "off"}
    first, *_ = once(tmp_path, {URL: jpeg()}, **settings)
    with files_read(tmp_path / "store") as read:
        again, *_ = once(tmp_path, **settings)
    assert again == {**first, "status": "uptodate"}
    assert len(read) == 3
    assert not (tmp_path / "index.sqlite").exists()


def test_a_lost_index_costs_no_download_and_is_made_again(tmp_path, index):
    first, *_ = once(tmp_path, {URL: jpeg()}, IMAGES_THUMBS=THUMBS)
    for name in list(tmp_path.glob("index.sqlite*")):
        name.unlink()
    again, outcomes, asked = once(tmp_path, IMAGES_THUMBS=THUMBS)
    assert again == {**first, "status": "uptodate"}
    assert (outcomes, asked) == ({"up-to-date": 1}, [])
    (record,) = index.records()
    assert record.url == URL
    with files_read(tmp_path / "store") as read:
        once(tmp_path, IMAGES_THUMBS=THUMBS)
    assert read == []


def test_the_record_says_all_that_is_known(tmp_path, index):
    origin = Origin(jpeg((200, 100)))
    before = time.time() - 1
    image, *_ = once(tmp_path, {URL: origin}, IMAGES_THUMBS=THUMBS)
    (record,) = index.records()
    assert record.as_result(URL, "downloaded") == image
    assert (record.etag, record.last_modified) == (origin.etag, origin.modified)
    assert before <= record.stored_at == record.checked_at <= time.time()
    assert record.content == image["checksum"]
    assert (record.outcome, record.reason, record.tries, record.failed_at) == ("stored", "", 0, 0)
    assert record.http_status == 200
    stat = (tmp_path / "store" / image["path"]).stat()
    assert (record.full.bytes, record.full.modified) == (stat.st_size, round(stat.st_mtime, 4))
    assert [file.name for file in record.renditions] == ["small", "big"]
    assert all(len(file.checksum) == 32 and file.plan for file in record.renditions)


def test_an_item_goes_on_only_once_the_index_knows(tmp_path, index):
    with crawl_of(tmp_path, {URL: jpeg()}) as crawl:

        async def known_when_done():
            await crawl.pipeline.process_item({"image_urls": [URL]})
            return index.count()

        assert asyncio.run(known_when_done()) == 1


@pytest.mark.parametrize("content", [b"no database", b""])
def test_an_index_that_cannot_be_used_costs_one_line_and_no_image(tmp_path, caplog, content):
    place = tmp_path / "taken"
    if content:
        place.write_bytes(content)
        place = place / "index.sqlite"  # below a file
    else:
        place.mkdir()
    for status in ("downloaded", "uptodate"):
        caplog.clear()
        image, *_ = once(tmp_path, {URL: jpeg()}, IMGPIPE_INDEX=str(place))
        assert image["status"] == status
        (line,) = [r for r in caplog.records if r.levelname == "ERROR"]
        assert "Could not use the index" in line.getMessage()


def test_each_store_has_an_index_of_its_own(tmp_path):
    for name in ("one", "two"):
        with Crawl(tmp_path / name, {URL: jpeg()}) as crawl:
            assert crawl.images(URL)[0]["status"] == "downloaded"
    with Crawl(tmp_path / "one") as crawl:
        assert crawl.images(URL)[0]["status"] == "uptodate"


# --- expired ---


def test_an_expired_source_is_asked_whether_it_has_changed(tmp_path, index):
    origin = Origin(jpeg())
    first, *_ = once(tmp_path, {URL: origin}, IMAGES_THUMBS=THUMBS)
    make_older(tmp_path, 91)
    files = {f: f.stat().st_mtime_ns for f in (tmp_path / "store").rglob("*.jpg")}
    again, outcomes, _ = once(tmp_path, {URL: origin}, IMAGES_THUMBS=THUMBS)
    assert origin.conditions == [(None, None), (origin.etag, origin.modified)]
    assert again == {**first, "status": "revalidated"}
    assert outcomes == {"revalidated": 1}
    assert files == {f: f.stat().st_mtime_ns for f in (tmp_path / "store").rglob("*.jpg")}
    (record,) = index.records()
    assert record.checked_at > time.time() - 60
    assert record.stored_at < time.time() - 90 * DAY
    _, outcomes, asked = once(tmp_path, IMAGES_THUMBS=THUMBS)
    assert (outcomes, asked) == ({"up-to-date": 1}, [])


@pytest.mark.parametrize(("etag", "modified"), [('"1"', ""), ("", "Wed, 21 Oct 2015 07:28:00 GMT")])
def test_one_validator_is_enough(tmp_path, etag, modified):
    origin = Origin(jpeg(), etag, modified)
    once(tmp_path, {URL: origin})
    make_older(tmp_path, 91)
    image, *_ = once(tmp_path, {URL: origin})
    assert image["status"] == "revalidated"
    assert origin.conditions[1] == (etag or None, modified or None)


def test_a_changed_image_replaces_all_renditions(tmp_path, index):
    once(tmp_path, {URL: Origin(jpeg((300, 200)))}, IMAGES_THUMBS=THUMBS)
    make_older(tmp_path, 91)
    changed = Origin(jpeg((100, 160)), '"2"')
    image, outcomes, _ = once(tmp_path, {URL: changed}, IMAGES_THUMBS=THUMBS)
    assert outcomes == {"stored": 1}
    assert (image["status"], image["width"], image["height"]) == ("downloaded", 100, 160)
    sizes = [(r["width"], r["height"]) for r in image["renditions"]]
    assert sizes == [(31, 50), (56, 90)]
    for path in [image["path"], *(r["path"] for r in image["renditions"])]:
        assert (tmp_path / "store" / path).exists()
    (record,) = index.records()
    assert (record.etag, record.content) == ('"2"', image["checksum"])


def test_without_validators_it_is_downloaded_again(tmp_path):
    origin = Origin(jpeg(), "", "")
    once(tmp_path, {URL: origin})
    make_older(tmp_path, 91)
    image, *_ = once(tmp_path, {URL: origin})
    assert image["status"] == "downloaded"
    assert origin.conditions == [(None, None)] * 2


def test_a_file_that_is_not_what_was_stored_is_not_renewed(tmp_path):
    origin = Origin(jpeg())
    first, *_ = once(tmp_path, {URL: origin})
    make_older(tmp_path, 91)
    place = tmp_path / "store" / first["path"]
    place.write_bytes(place.read_bytes()[:1000])
    os.utime(place, (1, 1))
    image, *_ = once(tmp_path, {URL: origin})
    assert origin.conditions == [(None, None)] * 2
    assert image["status"] == "downloaded"
    assert place.read_bytes() == origin.body


def test_a_size_that_was_added_is_made_after_a_renewal_without_a_download(tmp_path):
    origin = Origin(jpeg())
    once(tmp_path, {URL: origin})
    make_older(tmp_path, 91)
    image, *_ = once(tmp_path, {URL: origin}, IMAGES_THUMBS=THUMBS)
    assert image["status"] == "revalidated"
    assert [r["name"] for r in image["renditions"]] == ["small", "big"]
    assert len(origin.conditions) == 2


def test_conditions_of_the_user_are_left_alone_and_a_304_to_them_is_a_failure(tmp_path):
    class Mine(ImagesPipeline):
        def get_media_requests(self, item, info):
            for request in super().get_media_requests(item, info):
                yield request.replace(headers={"If-None-Match": '"1"'})

    origin = Origin(jpeg())
    once(tmp_path, {URL: Origin(origin.body, '"0"')})
    make_older(tmp_path, 91)
    image, *_ = once(tmp_path, {URL: origin}, pipeline=Mine)
    assert origin.conditions == [('"1"', None)]
    assert (image["outcome"], image["reason"]) == ("http-status", "download-error: HTTP status 304")


def test_a_redirect_that_leads_elsewhere_now_is_no_renewal(tmp_path):
    there = ["http://cdn.example/1.jpg"]
    bodies = {"http://cdn.example/1.jpg": jpeg(), "http://cdn.example/2.jpg": jpeg()}

    def redirected(request):
        if request.headers.get("If-None-Match"):
            return Response(there[0], status=304, request=request)
        return Response(there[0], body=bodies[there[0]], headers={"ETag": '"1"'}, request=request)

    once(tmp_path, {URL: Origin(jpeg())})  # it has answered by itself before
    make_older(tmp_path, 91)
    image, *_ = once(tmp_path, {URL: redirected})
    assert image["status"] == "downloaded"
    there[0] = "http://cdn.example/2.jpg"
    make_older(tmp_path, 91)
    image, *_ = once(tmp_path, {URL: redirected})
    assert image["status"] == "downloaded"
    assert (tmp_path / "store" / image["path"]).read_bytes() == bodies[there[0]]


def test_a_file_that_goes_while_its_origin_is_asked_is_downloaded(tmp_path):
    origin = Origin(jpeg())
    first, *_ = once(tmp_path, {URL: origin})
    make_older(tmp_path, 91)

    def vanishes(request):
        (tmp_path / "store" / first["path"]).unlink(missing_ok=True)
        return origin(request)

    image, *_ = once(tmp_path, {URL: vanishes})
    assert image["status"] == "downloaded"
    assert origin.conditions[1:] == [(origin.etag, origin.modified), (None, None)]


def test_the_http_cache_of_scrapy_is_not_given_answers_without_a_body(tmp_path):
    origin = Origin(jpeg())
    once(tmp_path, {URL: origin})
    make_older(tmp_path, 91)
    once(tmp_path, {URL: origin}, HTTPCACHE_ENABLED=True)
    assert origin.conditions == [(None, None)] * 2


def test_a_refresh_that_fails_keeps_what_is_stored(tmp_path, index):
    origin = Origin(jpeg())
    first, *_ = once(tmp_path, {URL: origin})
    make_older(tmp_path, 91)
    failed, *_ = once(tmp_path, {URL: 503})
    assert failed["outcome"] == "http-status"
    (record,) = index.records()
    assert record.full.path == first["path"]
    assert (record.outcome, record.http_status, record.tries) == ("http-status", 503, 1)
    image, *_ = once(tmp_path, {URL: origin})
    assert image["status"] == "revalidated"
    (record,) = index.records()
    assert (record.outcome, record.tries, record.failed_at) == ("revalidated", 0, 0)


# --- failures ---

LASTING = {
    "gone": (410, {}, "http-status"),
    "not found": (404, {}, "http-status"),
    "a page": (b"<html>nothing here</html>", {}, "not-an-image"),
    "small": (jpeg((20, 20)), {"IMAGES_MIN_WIDTH": 21}, "too-small"),
    "a format": (
        encoded(noise(), "PNG"), {"IMGPIPE_FORMATS": ["JPEG"]}, "format-not-allowed"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "settings", "outcome"), LASTING.values(), ids=list(LASTING))
def test_what_failed_for_good_is_not_asked_again_for_a_while(tmp_path, answer, settings, outcome):
    settings = {**settings, "IMGPIPE_RETRY_FAILED_AFTER": 7}
    first, *_ = once(tmp_path, {URL: answer}, **settings)
    again, outcomes, asked = once(tmp_path, {URL: jpeg()}, **settings)
    assert asked == []
    assert outcomes == {outcome: 1}
    assert again["outcome"] == first["outcome"] == outcome
    assert again["reason"].startswith(f"{first['reason']} (not asked again since ")
    third, _, asked = once(tmp_path, {URL: jpeg()}, **settings)
    assert (third["reason"], asked) == (again["reason"], [])
    make_older(tmp_path, 8)
    _, _, asked = once(tmp_path, {URL: answer}, **settings)
    assert len(asked) == 1


@pytest.mark.parametrize(("answer", "settings", "outcome"), LASTING.values(), ids=list(LASTING))
def test_by_default_every_failure_is_asked_again(tmp_path, answer, settings, outcome):
    for _ in range(2):
        image, _, asked = once(tmp_path, {URL: answer}, **settings)
        assert image["outcome"] == outcome
        assert len(asked) == 1


@pytest.mark.parametrize("answer", [503, 403, TimeoutError("slow"), jpeg()[:2000]])
def test_what_may_be_better_tomorrow_is_asked_again(tmp_path, answer):
    for _ in range(2):
        _, _, asked = once(tmp_path, {URL: answer}, IMGPIPE_RETRY_FAILED_AFTER=7)
        assert len(asked) == 1


def test_a_refusal_is_judged_again_when_the_limits_change(tmp_path):
    settings = {"IMGPIPE_RETRY_FAILED_AFTER": 7}
    image, *_ = once(tmp_path, {URL: jpeg((40, 40))}, IMAGES_MIN_WIDTH=50, **settings)
    assert image["outcome"] == "too-small"
    image, *_ = once(tmp_path, {URL: jpeg((40, 40))}, IMAGES_MIN_WIDTH=30, **settings)
    assert image["status"] == "downloaded"


def test_tries_are_counted_until_it_works(tmp_path, index):
    for tries in (1, 2, 3):
        once(tmp_path, {URL: 503})
        (record,) = index.records()
        assert (record.tries, record.full) == (tries, None)
    once(tmp_path, {URL: jpeg()})
    (record,) = index.records()
    assert (record.tries, record.failed_at, record.reason) == (0, 0, "")


# --- plans ---


def test_another_size_under_the_same_name_is_made_without_a_download(tmp_path):
    once(tmp_path, {URL: jpeg((300, 200))}, IMAGES_THUMBS={"small": (50, 50)})
    image, _, asked = once(tmp_path, IMAGES_THUMBS={"small": (60, 60)})
    assert [(r["width"], r["height"]) for r in image["renditions"]] == [(60, 40)]
    assert asked == []


def test_another_background_has_transparent_images_fetched_again_and_no_others(tmp_path):
    answers = {URL: jpeg(), "http://shop.example/b.png": encoded(noise(mode="RGBA"), "PNG")}
    once(tmp_path, answers, *answers)
    _, outcomes, asked = once(tmp_path, answers, *answers, IMGPIPE_BACKGROUND="#ff0000")
    assert [request.url for request in asked] == ["http://shop.example/b.png"]
    assert outcomes == {"up-to-date": 1, "stored": 1}
    _, outcomes, _ = once(tmp_path, answers, *answers, IMGPIPE_BACKGROUND="#ff0000")
    assert outcomes == {"up-to-date": 2}


def test_users_own_conversion_is_asked_again_when_a_size_changes(tmp_path):
    class Mine(ImagesPipeline):
        def convert_image(self, image, size=None, *, response_body):
            half = size and (size[0] // 2, size[1] // 2)
            return super().convert_image(image, half, response_body=response_body)

    once(tmp_path, {URL: jpeg((300, 200))}, pipeline=Mine, IMAGES_THUMBS={"small": (100, 100)})
    image, _, asked = once(tmp_path, pipeline=Mine, IMAGES_THUMBS={"small": (60, 60)})
    assert [(r["width"], r["height"]) for r in image["renditions"]] == [(30, 20)]
    assert asked == []


# --- names ---


class NamedByServer(ImagesPipeline):
    """The path comes from a header of the response."""

    def file_path(self, request, response=None, info=None, *, item=None):
        return "named/" + response.headers["X-Name"].decode() + ".jpg"


class NamedLater(ImagesPipeline):
    """There is one name without a response, and another with it."""

    def file_path(self, request, response=None, info=None, *, item=None):
        return "default.jpg" if response is None else "named/b.jpg"

    def thumb_path(self, request, thumb_id, response=None, info=None, *, item=None):
        return f"named/{thumb_id}-{response.headers['X-Name'].decode()}.jpg"


@pytest.mark.parametrize("pipeline", [NamedByServer, NamedLater])
def test_names_that_need_the_response_are_found_again(tmp_path, pipeline):
    body = jpeg()

    def named(request):
        return Response(request.url, body=body, headers={"X-Name": "b"}, request=request)

    settings = {"pipeline": pipeline, "IMAGES_THUMBS": {"small": (50, 50)}}
    first, *_ = once(tmp_path, {URL: named}, **settings)
    assert first["path"] == "named/b.jpg"
    again, _, asked = once(tmp_path, {URL: named}, **settings)
    assert asked == []
    assert again == {**first, "status": "uptodate"}
    (tmp_path / "store" / "named/b.jpg").unlink()
    again, _, asked = once(tmp_path, {URL: named}, **settings)
    assert again == first
    assert len(asked) == 1


def test_a_mistake_in_file_path_shows_after_the_download(tmp_path):
    class Wrong(ImagesPipeline):
        def file_path(self, request, response=None, info=None, *, item=None):
            return item["no such field"]

    image, *_ = once(tmp_path, {URL: jpeg()}, pipeline=Wrong)
    assert image["outcome"] == "hook-failed"


def test_one_url_under_two_names_has_two_records(tmp_path, index):
    class ByItem(ImagesPipeline):
        def file_path(self, request, response=None, info=None, *, item=None):
            return f"{item['sku']}/a.jpg"

    for round_ in range(2):
        for sku in ("x", "y"):
            with crawl_of(tmp_path, {URL: jpeg()}, ByItem) as crawl:
                item = crawl.process({"image_urls": [URL], "sku": sku})
            assert item["images"][0]["path"] == f"{sku}/a.jpg"
            assert item["images"][0]["status"] == ("uptodate" if round_ else "downloaded")
    assert index.count() == 2
    assert index.refers_to(["x/a.jpg", "y/a.jpg", image_path(URL)]) == {"x/a.jpg", "y/a.jpg"}


def test_a_clock_that_goes_back_makes_nothing_stale_and_nothing_refused_for_ever(
    tmp_path, monkeypatch
):
    now = time.time()
    known = {"IMGPIPE_INDEX": str(tmp_path / "i"), "IMGPIPE_RETRY_FAILED_AFTER": 7}
    asked = []
    for days in (0, 3650, 0, -3650, 5):
        monkeypatch.setattr(time, "time", lambda days=days: now + days * 86_400)
        with Crawl(tmp_path / "store", {URL: jpeg()}, **known) as crawl:
            crawl.images(URL, "http://shop.example/b.jpg")
            asked.append([url.rpartition("/")[2] for url in crawl.site.urls])
    # ten years on all is stale; back from there, what is stored is fresh, what failed is asked for
    assert asked == [["a.jpg", "b.jpg"], ["a.jpg", "b.jpg"], ["b.jpg"], ["b.jpg"], ["b.jpg"]]
