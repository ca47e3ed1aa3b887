"""Renditions in any format, and full images that stay as they came."""

from __future__ import annotations

import io
from contextlib import closing
from dataclasses import dataclass

import pytest
from PIL import Image

from scrapy_imgpipe import ImagesPipeline
from scrapy_imgpipe.index import SqliteIndex
from scrapy_imgpipe.report import read_rows
from scrapy_imgpipe.variants import OUTPUTS
from tests.fakes import Crawl
from tests.pictures import encoded, jpeg, noise

URL = "http://shop.example/a.jpg"
JPEG, PNG = jpeg((240, 160)), encoded(noise((240, 160), "RGBA"), "PNG")
CARD = {"width": 100, "height": 100, "fit": "cover", "format": "WEBP", "quality": 70}


def opened(data):
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image


def crawled(folder, data, pipeline=ImagesPipeline, **settings):
    """Crawl once; return the result, what was asked for, and all files."""
    settings = {"IMGPIPE_INDEX": str(folder / "index.sqlite"), **settings}
    answers = {} if data is None else {URL: data}
    with Crawl(folder / "store", answers, pipeline, **settings) as crawl:
        (image,) = crawl.images(URL)
    return image, crawl.site.urls, crawl.files()


@pytest.mark.parametrize("form", OUTPUTS)
def test_each_format_has_its_extension_and_says_so(tmp_path, form):
    renditions = {"card": {**CARD, "format": form}}
    renditions["card"].pop("quality")
    image, _, files = crawled(tmp_path, JPEG, IMGPIPE_RENDITIONS=renditions)
    (card,) = image["renditions"]
    assert card["path"].endswith(OUTPUTS[form].extension)
    assert (card["format"], card["width"], card["height"]) == (form, 100, 100)
    made = opened(files[card["path"]])
    assert (made.format, made.size) == (form, (100, 100))
    assert files[image["path"]] == JPEG


@dataclass
class Darker:
    """A step that has no hash, as no dataclass that may be changed has."""

    by: int = 2

    def __call__(self, image):
        return image.point(lambda value: value // self.by)


@pytest.mark.parametrize("early", [True, False])
def test_a_step_need_have_no_hash(tmp_path, early):
    step = Darker()
    step.before_resize = early
    with pytest.raises(TypeError):
        hash(step)
    looks = {"one": {**CARD, "steps": [step]}, "two": {**CARD, "steps": [Darker(4)]}}
    image, _, files = crawled(tmp_path, JPEG, IMGPIPE_RENDITIONS={**looks, "same": looks["one"]})
    one, two, same = (files[each["path"]] for each in image["renditions"])
    assert one == same != two
    assert image["status"] == "downloaded"


def test_thumbs_come_first_and_multiples_behind(tmp_path):
    settings = {
        "IMAGES_THUMBS": {"small": (50, 50)},
        "IMGPIPE_RENDITIONS": {"wide": {"width": 60, "multiples": [1.5, 2]}},
    }
    image, _, files = crawled(tmp_path, JPEG, **settings)
    made = [(each["name"], each["width"], each["height"]) for each in image["renditions"]]
    assert made == [
        ("small", 50, 33),
        ("wide", 60, 40),
        ("wide@1.5x", 90, 60),
        ("wide@2x", 120, 80),
    ]
    assert {each["path"] for each in image["renditions"]} < set(files)


@pytest.mark.parametrize("setting", [{"IMGPIPE_FULL": "source"}, {"IMAGES_PRESERVE_FORMAT": True}])
@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM", "JPEG"])
def test_what_came_is_kept_with_its_true_extension(tmp_path, setting, form):
    data = encoded(noise((90, 60)), form)
    extension = {"JPEG": "jpg", "TIFF": "tif"}.get(form, form.lower())
    settings = {**setting, "IMAGES_THUMBS": {"small": (50, 50)}}
    image, _, files = crawled(tmp_path, data, **settings)
    assert image["path"].endswith(f".{extension}")
    assert files[image["path"]] == data
    assert image["format"] == form
    assert opened(files[image["renditions"][0]["path"]]).format == "JPEG"
    again, asked, _ = crawled(tmp_path, None, **settings)
    assert not asked
    assert again == {**image, "status": "uptodate"}


def test_a_turned_or_cmyk_jpeg_is_kept_too(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    data = encoded(noise((90, 60), "CMYK"), "JPEG", exif=exif)
    settings = {"IMGPIPE_FULL": "source", "IMAGES_THUMBS": {"small": (50, 50)}}
    image, _, files = crawled(tmp_path, data, **settings)
    assert files[image["path"]] == data
    assert (image["width"], image["height"]) == (60, 90)
    small = opened(files[image["renditions"][0]["path"]])
    assert (small.size, small.mode) == ((33, 50), "RGB")


def test_a_broken_image_is_not_kept(tmp_path):
    settings = {"IMGPIPE_FULL": "source", "IMGPIPE_KEEP_FAILED": True}
    image, _, files = crawled(tmp_path, PNG[: len(PNG) // 2], **settings)
    assert image["outcome"] == "broken"
    assert not files


def test_a_full_image_may_be_any_rendition(tmp_path):
    full = {"width": 120, "format": "WEBP", "quality": 60}
    image, _, files = crawled(tmp_path, PNG, IMGPIPE_FULL=full, IMAGES_THUMBS={"s": (50, 50)})
    assert (image["width"], image["height"], image["format"]) == (120, 80, "WEBP")
    made = opened(files[image["path"]])
    assert (made.size, made.format, made.mode) == ((120, 80), "WEBP", "RGBA")
    assert image["path"].endswith(".webp")
    assert image["checksum"] != ""


def test_another_kind_of_full_image_is_fetched_again(tmp_path):
    kinds = ["jpeg", "source", {"width": 100}, {"width": 90}, "jpeg"]
    for kind in kinds:
        image, asked, _ = crawled(tmp_path, PNG, IMGPIPE_FULL=kind)
        assert asked == [URL]
        assert (image["format"] == "PNG") == (kind == "source")
    for _ in range(2):
        _, asked, _ = crawled(tmp_path, PNG, IMGPIPE_FULL=kinds[-1])
        assert not asked


@pytest.mark.parametrize("full", ["jpeg", "source"])
def test_a_new_rendition_is_made_of_what_is_stored_where_nothing_was_lost(tmp_path, full):
    crawled(tmp_path, JPEG, IMGPIPE_FULL=full)
    image, asked, files = crawled(
        tmp_path, None, IMGPIPE_FULL=full, IMGPIPE_RENDITIONS={"card": CARD}
    )
    assert not asked
    assert opened(files[image["renditions"][0]["path"]]).size == (100, 100)


def test_a_new_rendition_is_made_anew_where_transparency_was_lost(tmp_path):
    crawled(tmp_path, PNG)
    _, asked, _ = crawled(tmp_path, PNG, IMAGES_THUMBS={"small": (50, 50)})
    assert not asked
    image, asked, files = crawled(tmp_path, PNG, IMGPIPE_RENDITIONS={"card": CARD})
    assert asked == [URL]
    assert opened(files[image["renditions"][0]["path"]]).mode == "RGBA"


@pytest.mark.parametrize(
    "change", [{"quality": 40}, {"fit": "contain"}, {"format": "PNG"}, {"steps": ["grayscale"]}]
)
def test_another_look_under_the_same_name_is_made_again(tmp_path, change):
    first, _, before = crawled(tmp_path, JPEG, IMGPIPE_RENDITIONS={"card": CARD})
    changed = {**CARD, **change}
    if changed["format"] == "PNG":
        del changed["quality"]
    again, asked, after = crawled(tmp_path, None, IMGPIPE_RENDITIONS={"card": changed})
    assert not asked
    (old,), (new,) = first["renditions"], again["renditions"]
    assert before[old["path"]] != after[new["path"]]


def test_a_rendition_in_the_format_of_its_source(tmp_path):
    settings = {"IMGPIPE_RENDITIONS": {"same": {"width": 100, "format": "source"}}}
    image, _, files = crawled(tmp_path, PNG, **settings)
    (same,) = image["renditions"]
    assert (same["format"], same["path"][-4:]) == ("PNG", ".png")
    assert opened(files[same["path"]]).mode == "RGBA"
    again, asked, _ = crawled(tmp_path, None, **settings)
    assert (asked, again["renditions"]) == ([], image["renditions"])


class Named(ImagesPipeline):
    def file_path(self, request, response=None, info=None, *, item=None):
        return "mine/" + super().file_path(request, response, info, item=item)

    def thumb_path(self, request, thumb_id, response=None, info=None, *, item=None):
        return f"other/{thumb_id}.{'webp' if thumb_id == 'card' else 'jpg'}"


def test_paths_are_the_users(tmp_path):
    settings = {"IMGPIPE_FULL": "source", "IMGPIPE_RENDITIONS": {"card": CARD}}
    image, *_ = crawled(tmp_path, PNG, Named, **settings)
    assert image["path"].startswith("mine/full/")
    assert image["path"].endswith(".png")
    assert image["renditions"][0]["path"] == "other/card.webp"
    _, asked, _ = crawled(tmp_path, None, Named, **settings)
    assert not asked


class Converting(ImagesPipeline):
    def convert_image(self, image, size=None, *, response_body):
        image, body = super().convert_image(image, size, response_body=response_body)
        body = io.BytesIO()
        image.convert("L").save(body, "JPEG", quality=90)
        return image, body


def test_with_a_users_conversion_renditions_are_made_of_what_it_made(tmp_path):
    settings = {"IMGPIPE_RENDITIONS": {"card": CARD}, "IMAGES_THUMBS": {"small": (50, 50)}}
    image, _, files = crawled(tmp_path, JPEG, Converting, **settings)
    small, card = image["renditions"]
    assert (small["name"], card["name"]) == ("small", "card")
    made = opened(files[card["path"]]).convert("RGB")
    red, _, blue = made.split()
    assert max(abs(a - b) for a, b in zip(red.tobytes(), blue.tobytes(), strict=True)) <= 12
    (tmp_path / "store" / card["path"]).unlink()
    again, asked, files = crawled(tmp_path, None, Converting, **settings)
    assert not asked
    assert card["path"] in files
    assert [each["name"] for each in again["renditions"]] == ["small", "card"]


def test_a_step_that_fails_is_said(tmp_path):
    def broken(image):
        raise ValueError("mine")

    settings = {
        "IMGPIPE_RENDITIONS": {"card": {**CARD, "steps": [broken]}},
        "IMGPIPE_KEEP_FAILED": True,
    }
    image, _, files = crawled(tmp_path, JPEG, **settings)
    assert image["outcome"] == "hook-failed"
    assert "broken failed: ValueError: mine" in image["reason"]
    assert not files


def test_the_index_knows_the_format_of_each(tmp_path):
    crawled(tmp_path, JPEG, IMGPIPE_RENDITIONS={"card": CARD})
    with closing(SqliteIndex(tmp_path / "index.sqlite")) as index:
        (record,) = index.records()
    assert [file.format for file in record.renditions] == ["WEBP"]


def test_trailing_bytes_are_in_the_report_and_the_index(tmp_path):
    report = tmp_path / "report.jsonl"
    crawled(tmp_path, JPEG + b"PK" * 50, IMGPIPE_REPORT=str(report))
    (row,) = read_rows(report)
    assert row["trailing_bytes"] == 100
    with closing(SqliteIndex(tmp_path / "index.sqlite")) as index:
        (record,) = index.records()
    assert record.measured == {"trailing_bytes": 100}


def test_stripping_is_part_of_the_plan(tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "at home"
    data = encoded(noise((90, 60)), exif=exif)
    image, _, files = crawled(tmp_path, data)
    assert b"at home" in files[image["path"]]
    image, asked, files = crawled(tmp_path, data, IMGPIPE_STRIP_METADATA=True)
    assert asked == [URL]
    assert b"at home" not in files[image["path"]]
    _, asked, _ = crawled(tmp_path, data, IMGPIPE_STRIP_METADATA=True)
    assert not asked
