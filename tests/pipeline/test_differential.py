"""Scrapy's own class and ours over the same fake site: the same, or a difference with its reason.

What both agree on is compared as a whole. Every difference has a test of its own
that states both sides, so that a change on either side is noticed.
"""

from __future__ import annotations

import io
import logging
import re
from dataclasses import dataclass

import pytest
from PIL import Image, ImageChops, ImageStat
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Request, Response
from scrapy.pipelines.images import ImagesPipeline as Scrapys

from scrapy_imgpipe import ImagesPipeline as Ours
from scrapy_imgpipe import compat
from tests.fakes import Crawl
from tests.pictures import encoded, jpeg, noise, opened

URL = "http://shop.example/photo.jpg"
THUMBS = {"IMAGES_THUMBS": {"small": (20, 20), "big": (60, 60), "larger": (500, 500)}}
FILE_LINE = re.compile(r"(File \([^)]*\): \w+ \w+)")


@dataclass
class Seen:
    """What one of the two classes did."""

    item: dict
    files: dict
    stats: dict
    lines: list  # level, the first words of the line

    @property
    def images(self):
        return self.item["images"]


def run(kind, folder, answers, urls, caplog, **settings):
    caplog.clear()
    caplog.set_level(logging.DEBUG, "scrapy")
    caplog.set_level(logging.DEBUG, "scrapy_imgpipe")
    with Crawl(folder, answers, kind, **settings) as crawl:
        item = crawl.process({"image_urls": list(urls)})
    stats = {key: value for key, value in crawl.stats.items() if key.startswith("file_")}
    lines = [
        (record.levelname, match[1])
        for record in caplog.records
        if (match := FILE_LINE.match(record.getMessage()))
    ]
    return Seen(item, crawl.files(), stats, lines)


def both(tmp_path, answers, caplog, urls=None, **settings):
    urls = list(answers) if urls is None else urls
    return (
        run(Scrapys, tmp_path / "scrapys", answers, urls, caplog, **settings),
        run(Ours, tmp_path / "ours", answers, urls, caplog, **settings),
    )


def scrapys_keys(image):
    return {key: image[key] for key in ("url", "path", "status")}


def distance(one, other):
    """Return the mean difference of two pictures in levels, 0-255."""
    difference = ImageChops.difference(opened(one).convert("RGB"), opened(other).convert("RGB"))
    return max(ImageStat.Stat(difference).mean)


GOOD = {
    "rgb jpeg": jpeg(),
    "best jpeg": jpeg(quality=98),
    "progressive jpeg": jpeg(progressive=True),
    "one pixel": jpeg((1, 1)),
    "tall jpeg": jpeg((3, 400)),
    "rgb png": encoded(noise(), "PNG"),
    "rgb webp": encoded(noise(), "WEBP", lossless=True),
    "rgb bmp": encoded(noise(), "BMP"),
    "rgb tiff": encoded(noise(), "TIFF"),
    "grey png": encoded(noise(mode="L"), "PNG"),
    "opaque gif": encoded(noise(mode="L"), "GIF"),
}
SETTINGS = {
    "plain": {},
    "thumbs": THUMBS,
    "minimum": {"IMAGES_MIN_WIDTH": 1, "IMAGES_MIN_HEIGHT": 1},
    "never fresh": {"IMAGES_EXPIRES": 0},
}


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("name", GOOD)
def test_a_good_image_has_the_same_item_paths_sizes_stats_and_lines(
    tmp_path, caplog, name, settings
):
    for run_number in (1, 2):  # the second finds it stored, or does not look
        scrapys, ours = both(tmp_path, {URL: GOOD[name]}, caplog, **SETTINGS[settings])
        assert [scrapys_keys(image) for image in ours.images] == [
            scrapys_keys(image) for image in scrapys.images
        ]
        fresh = run_number == 2 and settings != "never fresh"
        assert ours.images[0]["status"] == ("uptodate" if fresh else "downloaded")
        assert ours.files.keys() == scrapys.files.keys()
        for path, data in ours.files.items():
            assert opened(data).size == opened(scrapys.files[path]).size
            assert opened(data).format == opened(scrapys.files[path]).format == "JPEG"
        assert ours.stats == scrapys.stats
        assert ours.lines == scrapys.lines


@pytest.mark.parametrize("name", [name for name in GOOD if not name.endswith("jpeg")])
def test_what_both_encode_looks_the_same(tmp_path, caplog, name):
    scrapys, ours = both(tmp_path, {URL: GOOD[name]}, caplog, **THUMBS)
    for path, data in ours.files.items():
        assert distance(data, scrapys.files[path]) < 8, path


@pytest.mark.parametrize("name", [name for name in GOOD if name.endswith("jpeg")])
def test_difference_a_jpeg_arrives_untouched(tmp_path, caplog, name):
    """``exif_transpose`` drops ``.format``, so Scrapy encodes every JPEG again since 2.14."""
    scrapys, ours = both(tmp_path, {URL: GOOD[name]}, caplog)
    ((path, data),) = ours.files.items()
    assert data == GOOD[name]
    assert scrapys.files[path] != GOOD[name]
    assert ours.images[0]["checksum"] != scrapys.images[0]["checksum"]


def test_difference_results_have_more_keys(tmp_path, caplog):
    """A superset: size, format and thumbnails are known anyway."""
    scrapys, ours = both(tmp_path, {URL: jpeg()}, caplog)
    assert list(scrapys.images[0]) == ["url", "path", "checksum", "status"]
    assert list(ours.images[0])[:4] == list(scrapys.images[0])
    assert ours.images[0].keys() - scrapys.images[0].keys() == {
        "width",
        "height",
        "format",
        "bytes",
        "renditions",
    }


def test_difference_transparent_pixels_become_white(tmp_path, caplog):
    """Scrapy means them to; with ``.format`` gone, its white background is not used."""
    image = Image.new("RGBA", (16, 16), (10, 20, 30, 0))
    scrapys, ours = both(tmp_path, {URL: encoded(image, "PNG")}, caplog)
    ((path, data),) = ours.files.items()
    assert min(opened(data).getpixel((8, 8))) > 250
    assert max(opened(scrapys.files[path]).getpixel((8, 8))) < 60
    assert (ours.stats, ours.lines) == (scrapys.stats, scrapys.lines)


def test_difference_sixteen_bit_samples_keep_their_brightness(tmp_path, caplog):
    """Scrapy's ``convert("RGB")`` cuts them at 255: everything turns white."""
    image = Image.new("I;16", (16, 16), 128 * 256)
    scrapys, ours = both(tmp_path, {URL: encoded(image, "PNG")}, caplog)
    ((path, data),) = ours.files.items()
    assert abs(opened(data).convert("L").getpixel((8, 8)) - 128) < 4
    assert opened(scrapys.files[path]).convert("L").getpixel((8, 8)) > 250


# --- what fails ---

# Scrapy 2.16 and 2.17 do not.
TELLS_FILTERED_APART = compat.MediaRequestFiltered is not compat.FileException

SAME_FAILURES = {
    "status": (404, [("WARNING", "File (code: 404): Error downloading")]),
    "server error": (500, [("WARNING", "File (code: 500): Error downloading")]),
    "empty": (b"", [("WARNING", "File (empty-content): Empty file")]),
    "no connection": (
        ConnectionError("reset"),
        [("WARNING", "File (unknown-error): Error downloading")],
    ),
}
if TELLS_FILTERED_APART:
    SAME_FAILURES["filtered"] = (
        IgnoreRequest("offsite"),
        [("DEBUG", "File (filtered): Not downloading")],
    )


@pytest.mark.parametrize("name", SAME_FAILURES)
def test_a_failed_download_has_the_same_item_stats_and_first_line(tmp_path, caplog, name):
    answer, lines = SAME_FAILURES[name]
    answers = {URL: answer, "http://shop.example/good.png": encoded(noise(), "PNG")}
    scrapys, ours = both(tmp_path, answers, caplog)
    good = ("DEBUG", "File (downloaded): Downloaded file")
    assert [scrapys_keys(i) for i in ours.images] == [scrapys_keys(i) for i in scrapys.images]
    assert ours.files.keys() == scrapys.files.keys()
    assert ours.stats == scrapys.stats
    assert sorted(ours.lines) == sorted([*lines, good])
    assert set(lines) <= set(scrapys.lines)


def test_difference_one_failed_download_is_one_line(tmp_path, caplog):
    """Scrapy says it twice, the second time without the reason: its own error fails again."""
    scrapys, ours = both(tmp_path, {URL: 404}, caplog)
    first = ("WARNING", "File (code: 404): Error downloading")
    assert scrapys.lines == [first, ("WARNING", "File (unknown-error): Error downloading")]
    assert ours.lines == [first]


DOWNLOADED = ("DEBUG", "File (downloaded): Downloaded file")
SCRAPYS_SECOND = ("WARNING", "File (unknown-error): Error downloading")
BAD_IMAGES = {
    # A refusal by a setting is no trouble: DEBUG. Scrapy warns, with a traceback.
    "too small": (
        jpeg((20, 20)),
        ("WARNING", "File (error): Error processing"),
        ("DEBUG", "File (error): Error processing"),
    ),
    # Bad bytes are the site's fault, not a mistake in the program: no ERROR, no traceback.
    "truncated jpeg": (
        jpeg()[:-500],
        ("ERROR", "File (unknown-error): Error processing"),
        ("WARNING", "File (error): Error processing"),
    ),
    "truncated png": (
        encoded(noise(), "PNG")[:-500],
        ("ERROR", "File (unknown-error): Error processing"),
        ("WARNING", "File (error): Error processing"),
    ),
    # A page instead of an image is refused like a wrong URL.
    "html": (
        b"<!doctype html><title>Not found</title>",
        ("ERROR", "File (unknown-error): Error processing"),
        ("DEBUG", "File (error): Error processing"),
    ),
}


@pytest.mark.parametrize("settings", [{}, THUMBS], ids=["plain", "thumbs"])
@pytest.mark.parametrize("name", BAD_IMAGES)
def test_a_bad_image_has_the_same_item_files_and_stats(tmp_path, caplog, name, settings):
    data, _, _ = BAD_IMAGES[name]
    answers = {URL: data, "http://shop.example/good.png": encoded(noise(), "PNG")}
    scrapys, ours = both(tmp_path, answers, caplog, IMAGES_MIN_WIDTH=30, **settings)
    assert [scrapys_keys(i) for i in ours.images] == [scrapys_keys(i) for i in scrapys.images]
    assert len(ours.images) == 1
    assert ours.files.keys() == scrapys.files.keys()
    assert ours.stats == scrapys.stats == {"file_count": 2, "file_status_count/downloaded": 2}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_difference_a_bad_image_is_one_line_of_a_lower_level(tmp_path, caplog, name):
    """See the reasons at each case; Scrapy says all of them twice."""
    data, scrapys_line, our_line = BAD_IMAGES[name]
    scrapys, ours = both(tmp_path, {URL: data}, caplog, IMAGES_MIN_WIDTH=30)
    assert scrapys.lines[:2] == [DOWNLOADED, scrapys_line]
    assert ours.lines == [DOWNLOADED, our_line]


@pytest.mark.parametrize("cut", [100, 3000])
def test_a_photo_cut_short_is_broken_for_both(tmp_path, caplog, cut):
    scrapys, ours = both(tmp_path, {URL: jpeg((200, 200))[:-cut]}, caplog)
    assert scrapys.images == ours.images == []
    assert scrapys.files == ours.files == {}


# --- what is stored already ---


def test_a_store_filled_by_scrapy_goes_on_being_used(tmp_path, caplog):
    answers = {URL: jpeg()}
    first = run(Scrapys, tmp_path, answers, [URL], caplog, **THUMBS)
    again = run(Ours, tmp_path, {}, [URL], caplog, **THUMBS)
    assert scrapys_keys(again.images[0]) == {**scrapys_keys(first.images[0]), "status": "uptodate"}
    assert again.images[0]["checksum"] == first.images[0]["checksum"]
    assert again.files == first.files


def test_a_store_filled_by_ours_goes_on_being_used_by_scrapy(tmp_path, caplog):
    answers = {URL: jpeg()}
    first = run(Ours, tmp_path, answers, [URL], caplog, **THUMBS)
    again = run(Scrapys, tmp_path, {}, [URL], caplog, **THUMBS)
    assert again.images == [
        {
            **scrapys_keys(first.images[0]),
            "checksum": first.images[0]["checksum"],
            "status": "uptodate",
        }
    ]
    assert again.files == first.files


@pytest.mark.parametrize("damage", [b"", b"not an image", jpeg()[:-500]], ids=len)
def test_difference_a_damaged_file_is_downloaded_again(tmp_path, caplog, damage):
    """Scrapy looks at the date only: it stays damaged for 90 days."""
    answers = {URL: jpeg()}
    for kind, status in ((Scrapys, "uptodate"), (Ours, "downloaded")):
        folder = tmp_path / kind.__module__
        (path,) = run(kind, folder, answers, [URL], caplog).files
        (folder / path).write_bytes(damage)
        again = run(kind, folder, answers, [URL], caplog)
        assert again.images[0]["status"] == status


def test_difference_thumbnails_added_later_are_made(tmp_path, caplog):
    """Scrapy makes none until the full image expires."""
    for kind, files in ((Scrapys, 1), (Ours, 4)):
        folder = tmp_path / kind.__module__
        run(kind, folder, {URL: jpeg()}, [URL], caplog)
        again = run(kind, folder, {}, [URL], caplog, **THUMBS)
        assert again.images[0]["status"] == "uptodate"
        assert len(again.files) == files


def test_a_cached_response_is_the_same(tmp_path, caplog):
    cached = Response(URL, body=encoded(noise(), "PNG"), flags=["cached"])
    scrapys, ours = both(tmp_path, {URL: cached}, caplog)
    assert [scrapys_keys(i) for i in ours.images] == [scrapys_keys(i) for i in scrapys.images]
    assert (ours.stats, ours.lines) == (scrapys.stats, scrapys.lines)
    assert ours.images[0]["status"] == "cached"


def test_the_same_url_twice_is_the_same(tmp_path, caplog):
    answers = {URL: encoded(noise(), "PNG")}
    scrapys, ours = both(tmp_path, answers, caplog, urls=[URL, URL])
    assert [scrapys_keys(i) for i in ours.images] == [scrapys_keys(i) for i in scrapys.images]
    assert len(ours.images) == 2
    assert (ours.stats, ours.lines) == (scrapys.stats, scrapys.lines)


# --- what pages and projects get wrong ---


def test_difference_one_unusable_url_costs_that_url_only(tmp_path, caplog):
    """Scrapy's ``Request`` raises inside the hook: the whole item is lost."""
    good = encoded(noise(), "PNG")
    with pytest.raises(ValueError, match="Missing scheme"):
        run(Scrapys, tmp_path / "scrapys", {URL: good}, ["x.jpg", URL], caplog)
    ours = run(Ours, tmp_path / "ours", {URL: good}, ["x.jpg", URL], caplog)
    assert [image["url"] for image in ours.images] == [URL]


def test_difference_a_path_that_climbs_out_is_refused(tmp_path, caplog):
    """Scrapy writes it: a name from a page reaches any folder."""

    def climb(self, request, response=None, info=None, *, item=None):
        return "../out.jpg"

    for base, escaped in ((Scrapys, True), (Ours, False)):
        kind = type("Climbing", (base,), {"file_path": climb})
        folder = tmp_path / base.__module__
        run(kind, folder / "store", {URL: jpeg()}, [URL], caplog)
        assert (folder / "out.jpg").exists() is escaped


def test_difference_falsy_settings_of_a_class_count(tmp_path):
    """Scrapy takes 0, {} and False for not set."""
    settings = {"IMAGES_MIN_WIDTH": 100, "MINE_IMAGES_MIN_WIDTH": 0}
    widths = {
        base: Crawl(tmp_path, {}, type("Mine", (base,), {}), **settings).pipeline.min_width
        for base in (Scrapys, Ours)
    }
    assert widths == {Scrapys: 100, Ours: 0}


def test_difference_a_failure_says_why(tmp_path, caplog):
    """Scrapy's is a bare ``FileException`` without a word."""
    values = {}
    for base in (Scrapys, Ours):
        kind = type("Mine", (base,), {"item_completed": lambda s, results, item, info: results})
        with Crawl(tmp_path, {URL: 404}, kind) as crawl:
            ((_, failure),) = crawl.process({"image_urls": [URL]})
        values[base] = failure.value
    assert str(values[Scrapys]) == ""
    assert str(values[Ours]) == "download-error: HTTP status 404"
    assert isinstance(values[Ours], type(values[Scrapys]))


def test_difference_a_filtered_image_is_told_apart_by_its_code(tmp_path, caplog):
    """Scrapy has a private class for it; ours is one of these too."""
    values = {}
    for base in (Scrapys, Ours):
        kind = type("Mine", (base,), {"item_completed": lambda s, results, item, info: results})
        with Crawl(tmp_path, {URL: IgnoreRequest("offsite")}, kind) as crawl:
            ((_, failure),) = crawl.process({"image_urls": [URL]})
        values[base] = failure.value
    assert isinstance(values[Ours], type(values[Scrapys]))
    assert values[Ours].code == "filtered"
    assert str(values[Ours]) == "offsite"
    assert str(values[Scrapys]) == ("offsite" if TELLS_FILTERED_APART else "")


def test_the_request_reaches_the_downloader_the_same(tmp_path):
    seen = {}
    for base in (Scrapys, Ours):
        with Crawl(tmp_path / base.__module__, {URL: jpeg()}, base) as crawl:
            crawl.process({"image_urls": [URL]})
        (request,) = crawl.site.asked
        request.meta.pop("imgpipe_ticket", None)  # how our admission knows it again after a retry
        seen[base] = {name: getattr(request, name) for name in Request.attributes}
    assert seen[Ours] == seen[Scrapys]


def test_a_body_that_is_decoded_to_its_end_is_no_reason_to_change_it(tmp_path, caplog):
    """A comment, EXIF without a turn and a profile all stay, for they are the file's."""
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "a photo"
    noise().save(buffer, "JPEG", quality=91, exif=exif, comment=b"by me")
    _, ours = both(tmp_path, {URL: buffer.getvalue()}, caplog)
    assert list(ours.files.values()) == [buffer.getvalue()]
