"""What is in the store already: up to date, expired, damaged, incomplete."""

from __future__ import annotations

import hashlib
import io
import os
import time

import pytest
from scrapy.http import Response

from scrapy_imgpipe import ImagesPipeline
from tests.fakes import Crawl
from tests.pictures import encoded, jpeg, noise, opened

URL = "http://www.example.com/image.jpg"
NAME = "3afec3b4765f8f0a07b78f98c07b83f013567a0a.jpg"
THUMBS = {"small": (50, 50), "big": (270, 270)}
DAY = 24 * 60 * 60


def crawl_once(store, data, **settings):
    with Crawl(store, {URL: data}, **settings) as crawl:
        images = crawl.images(URL)
    return crawl, images


def test_paths_are_scrapys(tmp_path):
    crawl, _ = crawl_once(tmp_path, jpeg(), IMAGES_THUMBS=THUMBS)
    assert set(crawl.files()) == {f"full/{NAME}", f"thumbs/small/{NAME}", f"thumbs/big/{NAME}"}


def test_what_is_up_to_date_is_not_downloaded_and_told_in_full(tmp_path):
    data = jpeg((600, 400))
    _, first = crawl_once(tmp_path, data, IMAGES_THUMBS=THUMBS)
    crawl, second = crawl_once(tmp_path, 500, IMAGES_THUMBS=THUMBS)
    assert crawl.site.asked == []
    assert second == [{**first[0], "status": "uptodate"}]
    assert first[0]["checksum"] == hashlib.md5(data).hexdigest()
    assert (first[0]["width"], first[0]["height"]) == (600, 400)
    assert (first[0]["format"], first[0]["bytes"]) == ("JPEG", len(data))
    assert [(r["name"], r["width"], r["height"]) for r in first[0]["renditions"]] == [
        ("small", 50, 33),
        ("big", 270, 180),
    ]
    assert crawl.outcomes() == {"up-to-date": 1}
    assert crawl.stats["file_status_count/uptodate"] == 1


@pytest.mark.parametrize(("age", "status"), [(89, "uptodate"), (91, "downloaded")])
def test_an_image_expires_after_so_many_days(tmp_path, age, status):
    crawl_once(tmp_path, jpeg())
    then = time.time() - age * DAY
    os.utime(tmp_path / "full" / NAME, (then, then))
    _, images = crawl_once(tmp_path, jpeg())
    assert images[0]["status"] == status


def test_expires_zero_always_downloads(tmp_path):
    crawl_once(tmp_path, jpeg())
    _, images = crawl_once(tmp_path, jpeg(), IMAGES_EXPIRES=0)
    assert images[0]["status"] == "downloaded"


def test_a_failed_refresh_leaves_the_old_copy(tmp_path):
    crawl, _ = crawl_once(tmp_path, jpeg(), IMAGES_THUMBS=THUMBS)
    before = crawl.files()
    data = jpeg()
    for answer in (500, data[: len(data) // 2], b"<html>", OSError("reset")):
        crawl, images = crawl_once(tmp_path, answer, IMAGES_THUMBS=THUMBS, IMAGES_EXPIRES=0)
        assert images == []
        assert crawl.files() == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[:-40],
        lambda data: data[: len(data) // 2] + b"\0" * (len(data) - len(data) // 2),
        lambda data: b"<html>not found</html>",
        lambda data: b"\0" * len(data),
    ],
    ids=["empty", "half", "tail", "zeros behind", "html", "zeros"],
)
def test_a_damaged_file_is_not_up_to_date(tmp_path, damage):
    data = jpeg((300, 200))
    crawl_once(tmp_path, data)
    stored = tmp_path / "full" / NAME
    stored.write_bytes(damage(data))
    _, images = crawl_once(tmp_path, data)
    assert images[0]["status"] == "downloaded"
    assert stored.read_bytes() == data


def test_a_progressive_file_cut_between_two_scans_is_not_up_to_date(tmp_path):
    data = jpeg((300, 200), progressive=True)
    cut = data.rindex(b"\xff\xda")
    crawl_once(tmp_path, data)
    (tmp_path / "full" / NAME).write_bytes(data[:cut])
    _, images = crawl_once(tmp_path, data)
    assert images[0]["status"] == "downloaded"


def test_thumbnails_added_later_are_made_without_network(tmp_path):
    crawl_once(tmp_path, jpeg((600, 400)))
    crawl, images = crawl_once(tmp_path, 500, IMAGES_THUMBS=THUMBS)
    assert crawl.site.asked == []
    assert images[0]["status"] == "uptodate"
    assert [r["name"] for r in images[0]["renditions"]] == ["small", "big"]
    assert opened((tmp_path / "thumbs" / "big" / NAME).read_bytes()).size == (270, 180)
    assert crawl.stats["imgpipe/renditions/restored"] == 2


@pytest.mark.parametrize("content", [None, b"", b"\xff\xd8\xff\xe0 cut off", b"<html>"])
def test_a_missing_or_damaged_thumbnail_is_made_again_and_the_good_one_is_left(tmp_path, content):
    first, _ = crawl_once(tmp_path, jpeg((600, 400)), IMAGES_THUMBS=THUMBS)
    files = first.files()
    small = tmp_path / "thumbs" / "small" / NAME
    big = tmp_path / "thumbs" / "big" / NAME
    os.utime(big, (1, 1))
    small.unlink() if content is None else small.write_bytes(content)
    crawl, _ = crawl_once(tmp_path, 500, IMAGES_THUMBS=THUMBS)
    assert crawl.site.asked == []
    assert crawl.files() == files
    assert big.stat().st_mtime == 1
    assert crawl.stats["imgpipe/renditions/restored"] == 1


def test_missing_thumbnails_are_made_by_the_users_convert_image(tmp_path):
    class Grey(ImagesPipeline):
        async def convert_image(self, image, size=None, *, response_body):
            image, buffer = super().convert_image(image, size, response_body=response_body)
            if size:
                buffer = io.BytesIO(encoded(image.convert("L"), "PNG"))
            return image, buffer

    def crawl(answer):
        with Crawl(tmp_path, {URL: answer}, Grey, IMAGES_THUMBS=THUMBS) as crawl:
            return crawl, crawl.images(URL)

    first, _ = crawl(jpeg((600, 400)))
    small = tmp_path / "thumbs" / "small" / NAME
    small.unlink()
    second, images = crawl(500)
    assert second.site.asked == []
    assert images[0]["status"] == "uptodate"
    assert opened(small.read_bytes()).format == "PNG"
    assert second.files() == first.files() | {f"thumbs/small/{NAME}": small.read_bytes()}
    assert second.stats["imgpipe/renditions/restored"] == 1


def test_a_store_written_by_scrapy_is_taken_over(tmp_path):
    from scrapy.pipelines.images import ImagesPipeline as Scrapys

    with Crawl(tmp_path, {URL: jpeg()}, Scrapys, IMAGES_THUMBS=THUMBS) as crawl:
        theirs = crawl.images(URL)
    crawl, ours = crawl_once(tmp_path, 500, IMAGES_THUMBS=THUMBS)
    assert crawl.site.asked == []
    assert {k: ours[0][k] for k in ("url", "path", "checksum")} == {
        k: theirs[0][k] for k in ("url", "path", "checksum")
    }


def test_raw_files_of_an_overridden_hook_count_as_they_are(tmp_path):
    class Raw(ImagesPipeline):
        async def image_downloaded(self, response, request, info, *, item=None):
            from io import BytesIO

            path = self.file_path(request, response=response, info=info, item=item)
            self.store.persist_file(path, BytesIO(response.body), info)
            return "raw"

    for _ in range(2):
        with Crawl(tmp_path, {URL: b"anything at all"}, Raw) as crawl:
            images = crawl.images(URL)
    assert images[0]["status"] == "uptodate"
    assert crawl.site.asked == []


def test_an_original_that_no_longer_renders_is_downloaded_again(tmp_path):
    png = encoded(noise((300, 200)), "PNG")
    crawl_once(tmp_path, png)
    stored = tmp_path / "full" / NAME
    data = bytearray(jpeg((300, 200)))
    del data[400:-2]  # begins and ends as a JPEG should
    stored.write_bytes(bytes(data))
    _, images = crawl_once(tmp_path, png, IMAGES_THUMBS=THUMBS)
    assert images[0]["status"] == "downloaded"


def test_a_thumbnail_of_another_size_under_the_same_name_is_made_again(tmp_path):
    crawl_once(tmp_path, jpeg((600, 400)), IMAGES_THUMBS={"s": (50, 50)})
    crawl, images = crawl_once(tmp_path, 500, IMAGES_THUMBS={"s": (90, 90)})
    assert crawl.site.asked == []
    assert [(r["width"], r["height"]) for r in images[0]["renditions"]] == [(90, 60)]
    again, _ = crawl_once(tmp_path, 500, IMAGES_THUMBS={"s": (90, 90)})
    assert "imgpipe/renditions/restored" not in again.stats


def test_thumbnails_of_an_overridden_convert_image_are_left_whatever_they_are(tmp_path):
    class Strange(ImagesPipeline):
        def convert_image(self, image, size=None, *, response_body):
            image, buffer = super().convert_image(image, size, response_body=response_body)
            return image, io.BytesIO(encoded(image, "JPEG2000")) if size else buffer

    for answer in (jpeg(), 500):
        with Crawl(tmp_path, {URL: answer}, Strange, IMAGES_THUMBS=THUMBS) as crawl:
            images = crawl.images(URL)
    assert images[0]["status"] == "uptodate"
    assert crawl.site.asked == []
    assert opened((tmp_path / "thumbs" / "small" / NAME).read_bytes()).format == "JPEG2000"


def test_a_thumb_path_that_needs_the_response_is_asked_with_one(tmp_path):
    class Named(ImagesPipeline):
        def thumb_path(self, request, thumb_id, response=None, info=None, *, item=None):
            kind = response.headers["Content-Type"].decode().split("/")[1]
            return f"thumbs/{thumb_id}/{NAME}.{kind}"

    response = Response(URL, headers={"Content-Type": "image/jpeg"}, body=jpeg())
    for answer in (response, 500):
        with Crawl(tmp_path, {URL: answer}, Named, IMAGES_THUMBS=THUMBS) as crawl:
            images = crawl.images(URL)
    assert images[0]["status"] == "uptodate"
    assert crawl.outcomes() == {"up-to-date": 1}
    assert (tmp_path / "thumbs" / "small" / f"{NAME}.jpeg").exists()


def test_a_thumbnail_that_cannot_be_written_does_not_take_the_image_away(tmp_path, caplog):
    crawl_once(tmp_path, jpeg())
    (tmp_path / "thumbs").write_text("in the way")
    crawl, images = crawl_once(tmp_path, 500, IMAGES_THUMBS=THUMBS)
    assert crawl.site.asked == []
    assert images[0]["status"] == "uptodate"
    assert images[0]["renditions"] == []
    assert [r.levelname for r in caplog.records if "thumbnails" in r.getMessage()] == ["ERROR"]


@pytest.mark.parametrize(
    "tail", [b"", b"trailing", b"trailing" + bytes(700), bytes(700), bytes(3)], ids=repr
)
def test_what_was_accepted_is_up_to_date_the_next_time(tmp_path, tail):
    data = jpeg() + tail
    crawl_once(tmp_path, data)
    crawl, images = crawl_once(tmp_path, 500)
    assert crawl.site.asked == []
    assert images[0]["bytes"] == len(data)


def test_a_jpeg_whose_second_half_is_nuls_is_broken(tmp_path):
    data = jpeg((300, 200))
    crawl, images = crawl_once(tmp_path, data[: len(data) // 2] + bytes(len(data) // 2))
    assert images == []
    assert crawl.outcomes() == {"broken": 1}
