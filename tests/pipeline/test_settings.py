"""Settings: per class, falsy, as text, and what is said of wrong ones."""

from __future__ import annotations

import os
import sys
import time

import pytest
from scrapy.exceptions import NotConfigured

from scrapy_imgpipe import ImagesPipeline, SettingError
from scrapy_imgpipe.variants import Variant
from tests.fakes import Crawl
from tests.pictures import encoded, jpeg, noise, opened

A, B = "http://shop.example/a.jpg", "http://shop.example/b.jpg"


class MyPipeline(ImagesPipeline):
    pass


# --- wrong values ---

WRONG = {
    "IMGPIPE_PRIORITY": ["high", 1.5, True, [1]],
    "IMGPIPE_WORKERS": [0, -1, "many", 2.5, True],
    "IMGPIPE_ISOLATION": ["fast", "", "auto,thread", True, 1, ["auto"]],
    "IMGPIPE_TIMEOUT_SECONDS": ["long", -1, True, [1], float("inf"), float("nan")],
    "IMGPIPE_MEMORY_LIMIT": [-1, 512, "1GB", 1.5, True, [1]],
    "IMGPIPE_KEEP_FAILED": ["yes", 2, [], "on"],
    "IMGPIPE_BACKGROUND": ["white", (1, 2), (1, 2, 256), (1, 2, -1), "#12345", "#gggggg", 7],
    "IMGPIPE_ALLOWED_SCHEMES": [
        7,
        [],
        "",
        "http,,https",
        ["http", 7],
        {"http": 1},
        b"http",
        ["https://"],
    ],
    "IMGPIPE_PRIVATE_ADDRESSES": ["yes", False, ["deny"]],
    "IMGPIPE_ALLOWED_HOSTS": [7, "a b", ["10.0.0.0/99"], [None], {"a": 1}, ["http://a.example/"]],
    "IMGPIPE_BLOCKED_HOSTS": [7, "a b", ["10.0.0.1/8"], [""], b"a", ["*"]],
    "IMGPIPE_OPT_OUT": [7, "no ai", ["noai", 7], {"noai": 1}, b"noai", ["noai: 1"]],
    "IMGPIPE_RETRIES": [-1, "often", 1.5, True],
    "IMGPIPE_MIN_BYTES": [-1, "few", 1.5, True],
    "IMGPIPE_MAX_BYTES": [-1, "5e7", 1.5, True],
    "IMGPIPE_MAX_PIXELS": [-1, "5e7", 1.5, True],
    "IMGPIPE_MAX_FRAMES": [-1, "all", 1.5, True],
    "IMGPIPE_MAX_ASPECT_RATIO": [-1, 0.5, "wide", True, float("inf")],
    "IMGPIPE_MIN_SIDE": [-1, "short", 1.5, True],
    "IMGPIPE_FORMATS": [7, [], "", ["JPEG", None], {"JPEG": 1}, "JPG", ["JPEG", "JPG"]],
    "IMGPIPE_STATUSES": [[], "", "ok", [99], [600], True, ["200", "x"], {"200": 1}],
    "IMGPIPE_REFERER": ["maybe", 3, {}],
    "IMGPIPE_PROGRESS": ["maybe", 3, {}],
    "IMGPIPE_ALLOW_OFFSITE": ["maybe", 3, {}],
    "IMGPIPE_STORE_CONNECTIONS": [0, -1, "many", 2.5, True],
    "IMGPIPE_STORE_TIMEOUT_SECONDS": [0, -1, "long", True, float("inf")],
    "IMGPIPE_STORE_RETRIES": [-1, "often", 1.5, True],
    "IMGPIPE_STORE_HEADERS": ["max-age=60", ["Cache-Control"], {"Expires": 7}, {"": "x"}, 7],
    "IMGPIPE_OBJECT_STORE": ["boto", "", True, ["obstore"]],
    "IMGPIPE_AZURE_ACCOUNT": [7, ["account"], b"account"],
    "IMGPIPE_AZURE_KEY": [7, ["key"], b"key"],
    "IMGPIPE_AZURE_SAS": [7, ["sas"], b"sas"],
    "IMGPIPE_AZURE_ENDPOINT_URL": [7, ["http://127.0.0.1"], b"http://127.0.0.1"],
    "IMGPIPE_PUBLIC_URL": [
        "cdn.example",
        "ftp://cdn.example/",
        "https://",
        "https://cdn.example/?a=b",
        "https://cdn.example/#a",
        "https://us:pw@cdn.example/",
        "https://cdn.example/a b",
        7,
        True,
        ["signed"],
    ],
    "IMGPIPE_PUBLIC_URL_SECONDS": [0, -1, 604_801, "long", 1.5, True],
    "IMGPIPE_CLOSE_ON_STORE_ERRORS": [-1, "never", 1.5, True],
    "IMGPIPE_INDEX": ["", 7, b"index", ["off"]],
    "IMGPIPE_LEASE_SECONDS": ["soon", -1, 0.5, "nan", []],
    "IMGPIPE_TRUST_INDEX": ["maybe", 3, {}],
    "IMGPIPE_RETRY_FAILED_AFTER": ["never", -1, True, [1], float("inf")],
    "IMGPIPE_DEDUPE": ["on", True, ["content"]],
    "IMGPIPE_PLACEHOLDERS": ["on", False, ["mark"]],
    "IMGPIPE_PLACEHOLDER_DIGESTS": ["abc", 7, ["0" * 31], {"0" * 32: 1}],
    "IMGPIPE_PLACEHOLDER_URLS": [-1, "many", 1.5, True],
    "IMGPIPE_NEAR_DUPLICATES": [-1, 12, "many", 1.5, True],
    "IMGPIPE_REPORT": ["", 7, "report", "report.txt", "report-%(day)s.jsonl", ["a.jsonl"]],
    "IMGPIPE_RECORD": [7, ["no_such_thing"], "json.no_such_thing", [None], "json.__doc__"],
    "IMGPIPE_ITEM_KEY": [7, ["sku"], b"sku"],
    "IMAGES_EXPIRES": ["soon", "1.5", [90], {}],
    "IMAGES_MIN_WIDTH": ["wide", "50%", [1], {}],
    "IMAGES_MIN_HEIGHT": ["high", "50%", [1], {}],
    "IMAGES_THUMBS": [
        "small",
        ["small"],
        7,
        '["small"]',
        {"small": 50},
        {"small": "50"},
        {"small": (50,)},
        {"small": (50, 50, 50)},
        {"small": (0, 50)},
        {"small": (50, -1)},
        {"small": (50, float("inf"))},
        {"small": (float("nan"), 50)},
        {"../small": (50, 50)},
        {"small": ("x", 50)},
        {"small": None},
    ],
    "MEDIA_ALLOW_REDIRECTS": ["maybe", 3, []],
    "IMGPIPE_MEMORY_BUDGET": [0, -1, "much", 1.5, [1]],
    "MEDIA_CACHE_SIZE": [-1, "all", 2.5, []],
    "IMGPIPE_RENDITIONS": [7, "small", ["small"], True],
    "IMGPIPE_FULL": ["png", "original", 7, ["jpeg"], None.__class__],
    "IMAGES_PRESERVE_FORMAT": ["yes", 2, []],
    "IMGPIPE_TRUNCATED": ["yes", True, ["keep"]],
    "IMGPIPE_STRIP_METADATA": ["all", 2, ["copyright"], "on"],
}
each_wrong = pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)


@each_wrong
def test_a_wrong_setting_stops_the_start_with_one_sentence(tmp_path, name, value):
    with pytest.raises(SettingError) as caught:
        Crawl(tmp_path, **{name: value})
    sentence = str(caught.value)
    assert sentence.startswith("Expected ")
    assert f" for {name} but received {value!r} of type {type(value).__name__}" in sentence
    assert "\n" not in sentence
    assert isinstance(caught.value, ValueError)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"a": 7}, "dict of what a rendition is to be like for IMGPIPE_RENDITIONS['a'] but"),
        ({"a": {"width": 0}}, "pixels from 1 to 65535 for IMGPIPE_RENDITIONS['a']['width'] but"),
        (
            {"a": {"fit": "crop"}},
            "or 'fill' for IMGPIPE_RENDITIONS['a']['fit'] but received 'crop'",
        ),
        ({"a": {"quality": 101}}, "from 1 to 100 for IMGPIPE_RENDITIONS['a']['quality'] but"),
        ({"a": {"lossless": True}}, "subsampling, target_bytes, width for IMGPIPE_RENDITIONS['a']"),
        ({"a": {"steps": ["no"]}}, "take their arguments for IMGPIPE_RENDITIONS['a']['steps'] but"),
        (
            {"a": {"steps": [{"crop": {"left": 2}}]}},
            "number from 0 to 1 for IMGPIPE_RENDITIONS['a']['steps']['crop']['left'] but",
        ),
        (
            {"a": {"steps": [{"crop": {"left": 0.9, "right": 0.1}}]}},
            "left before right and top before bottom for IMGPIPE_RENDITIONS['a']['steps']['crop']",
        ),
        (
            {"a": {"steps": ["flip", {"rotate": {"degrees": "x"}}]}},
            "for IMGPIPE_RENDITIONS['a']['steps']['rotate']['degrees'] but received 'x'",
        ),
        ({"a": {"multiples": [99]}}, "list of factors from 0.1 to 10 for IMGPIPE_RENDITIONS['a']"),
        ({"a": {"multiples": [2, 2]}}, "name for each rendition for IMGPIPE_RENDITIONS['a'] but"),
        ({"../a": {"width": 9}}, "names that make file names and that no thumbnail has for"),
        ({"small": {"width": 9}}, "names that make file names and that no thumbnail has for"),
    ],
)
def test_of_a_wrong_rendition_the_sentence_names_the_part(tmp_path, value, sentence):
    with pytest.raises(SettingError) as caught:
        Crawl(tmp_path, IMAGES_THUMBS={"small": (9, 9)}, IMGPIPE_RENDITIONS=value)
    assert str(caught.value).startswith("Expected ")
    assert sentence in str(caught.value)


@each_wrong
def test_a_wrong_setting_of_one_class_is_called_by_its_own_name(tmp_path, name, value):
    with pytest.raises(SettingError, match=f" for MYPIPELINE_{name} but received "):
        Crawl(tmp_path, {}, MyPipeline, **{f"MYPIPELINE_{name}": value})


def test_the_sentence_says_what_is_expected(tmp_path):
    with pytest.raises(SettingError) as caught:
        Crawl(tmp_path, IMAGES_MIN_WIDTH="wide")
    assert str(caught.value) == (
        "Expected whole number of pixels for IMAGES_MIN_WIDTH but received 'wide' of type str"
    )
    with pytest.raises(SettingError) as caught:
        Crawl(tmp_path, IMGPIPE_WORKERS=0)
    assert str(caught.value) == (
        "Expected whole number of threads, 1 or more, for IMGPIPE_WORKERS"
        " but received 0 of type int"
    )


@pytest.mark.parametrize("thumbs", [None, {"small": 50}, ["small"], {"small": (0, 0)}], ids=repr)
def test_wrong_thumbs_of_a_class_are_called_by_its_name(tmp_path, thumbs):
    kind = type("MyThumbs", (ImagesPipeline,), {"THUMBS": thumbs})
    with pytest.raises(SettingError, match=r" for MyThumbs\.THUMBS but received "):
        Crawl(tmp_path, {}, kind)


def test_every_setting_of_the_package_has_wrong_values_here():
    from scrapy_imgpipe import options

    assert {name for name, *_ in options.table()} == set(WRONG)


# --- the store ---


@pytest.mark.parametrize(
    "uri",
    [
        "redis://host/x",
        "htp://host/x",
        "s3://",
        "s3:///images",
        "az://",
        "gs:///images",
        "ftp:///images",
        "ftp://host:port/x",
    ],
)
def test_a_store_that_cannot_be_is_said_in_one_sentence(tmp_path, uri):
    settings = {"IMAGES_STORE": uri, "AWS_REGION_NAME": "eu-west-1"}
    with pytest.raises(SettingError) as caught:
        Crawl(tmp_path, **settings)
    assert f" for IMAGES_STORE but received {uri!r} of type str" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_said_of_a_store_has_no_password(tmp_path):
    with pytest.raises(SettingError, match="received 'ftp://host:port/x'") as caught:
        Crawl(tmp_path, IMAGES_STORE="ftp://user:secret@host:port/x")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "missing", "extra"),
    [
        ("s3://bucket", ("botocore.config", "obstore"), "s3"),
        ("az://container", ("obstore.store",), "azure"),
        ("gs://bucket", ("google.cloud", "google.cloud.storage"), "gcs"),
    ],
)
def test_a_missing_extra_is_named(tmp_path, monkeypatch, uri, missing, extra):
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SettingError, match=rf"pip install 'scrapy-imgpipe\[{extra}\]'") as caught:
        Crawl(tmp_path, IMAGES_STORE=uri, IMGPIPE_AZURE_ACCOUNT="a")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("make", [str, lambda path: path.as_uri()], ids=["path", "uri"])
def test_a_store_that_is_a_file_is_said_in_one_sentence(tmp_path, make):
    file = tmp_path / "file"
    file.write_bytes(b"")
    with pytest.raises(SettingError) as caught:
        Crawl(tmp_path, IMAGES_STORE=make(file))
    assert f" for IMAGES_STORE but received {make(file)!r} of type str" in str(caught.value)
    assert "Not a directory" in str(caught.value)


def test_a_store_below_a_file_is_said_in_one_sentence(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SettingError, match="Not a directory"):
        Crawl(tmp_path / "file" / "store")


@pytest.mark.parametrize("value", [5, True, b"images", ["images"], {"a": 1}], ids=repr)
def test_a_store_that_is_no_path_is_said_in_one_sentence(tmp_path, value):
    with pytest.raises(SettingError) as caught:
        Crawl(tmp_path, IMAGES_STORE=value)
    assert f"received {value!r} of type {type(value).__name__}" in str(caught.value)


@pytest.mark.parametrize("value", [None, ""], ids=repr)
def test_without_a_store_the_pipeline_is_off(tmp_path, value):
    with pytest.raises(NotConfigured, match=r"IMAGES_STORE setting must be set .*MyPipeline"):
        Crawl(tmp_path, {}, MyPipeline, IMAGES_STORE=value)


def test_a_store_may_be_a_path_object(tmp_path):
    with Crawl(tmp_path, {A: jpeg()}, IMAGES_STORE=tmp_path / "new" / "folder") as crawl:
        (image,) = crawl.images(A)
    assert list(crawl.files()) == [f"new/folder/{image['path']}"]


# --- per class, falsy ones too ---


def test_a_setting_of_the_class_goes_before_the_general_one(tmp_path):
    settings = {
        "IMAGES_MIN_WIDTH": 1,
        "MYPIPELINE_IMAGES_MIN_WIDTH": 2,
        "IMAGES_MIN_HEIGHT": 3,
        "IMAGES_URLS_FIELD": "general",
        "MYPIPELINE_IMAGES_URLS_FIELD": "mine",
        "IMAGES_RESULT_FIELD": "general_result",
        "MYPIPELINE_IMAGES_RESULT_FIELD": "my_result",
        "IMAGES_EXPIRES": 4,
        "MYPIPELINE_IMAGES_EXPIRES": 5,
        "IMAGES_THUMBS": {"a": (6, 6)},
        "MYPIPELINE_IMAGES_THUMBS": {"b": (7, 7)},
        "MYPIPELINE_IMGPIPE_PRIORITY": 8,
        "MYPIPELINE_MEDIA_ALLOW_REDIRECTS": True,
    }
    mine = Crawl(tmp_path, {}, MyPipeline, **settings).pipeline
    assert (mine.min_width, mine.min_height, mine.expires) == (2, 3, 5)
    assert (mine.images_urls_field, mine.images_result_field) == ("mine", "my_result")
    assert mine.thumbs == {"b": (7, 7)}
    assert mine.options.priority == 8
    assert mine.allow_redirects is True
    general = Crawl(tmp_path, **settings).pipeline
    assert (general.min_width, general.min_height, general.expires) == (1, 3, 4)
    assert general.images_urls_field == "general"
    assert general.thumbs == {"a": (6, 6)}
    assert general.options.priority == 0
    assert general.allow_redirects is False


@pytest.mark.parametrize("falsy", [0, "0"], ids=repr)
def test_a_falsy_minimum_of_the_class_goes_before_the_general_one(tmp_path, falsy):
    settings = {"IMAGES_MIN_WIDTH": 1000, "MYPIPELINE_IMAGES_MIN_WIDTH": falsy}
    with Crawl(tmp_path, {A: jpeg()}, MyPipeline, **settings) as crawl:
        assert len(crawl.images(A)) == 1
    with Crawl(tmp_path / "general", {A: jpeg()}, IMAGES_MIN_WIDTH=1000) as crawl:
        assert crawl.images(A) == []


@pytest.mark.parametrize("falsy", [{}, "{}"], ids=repr)
def test_empty_thumbs_of_the_class_go_before_the_general_ones(tmp_path, falsy):
    settings = {"IMAGES_THUMBS": {"small": (20, 20)}, "MYPIPELINE_IMAGES_THUMBS": falsy}
    with Crawl(tmp_path, {A: jpeg()}, MyPipeline, **settings) as crawl:
        (image,) = crawl.images(A)
    assert image["renditions"] == []
    assert list(crawl.files()) == [image["path"]]


@pytest.mark.parametrize("falsy", [False, 0, "False", "0"], ids=repr)
def test_false_of_the_class_goes_before_a_general_true(tmp_path, falsy):
    settings = {"MEDIA_ALLOW_REDIRECTS": True, "MYPIPELINE_MEDIA_ALLOW_REDIRECTS": falsy}
    with Crawl(tmp_path, {A: jpeg()}, MyPipeline, **settings) as crawl:
        crawl.images(A)
    assert crawl.pipeline.allow_redirects is False
    assert crawl.site.asked[0].meta["handle_httpstatus_all"] is True


def test_allowed_redirects_are_left_to_the_downloader(tmp_path):
    with Crawl(tmp_path, {A: jpeg()}, MEDIA_ALLOW_REDIRECTS=True) as crawl:
        crawl.images(A)
    (request,) = crawl.site.asked
    assert 302 not in request.meta["handle_httpstatus_list"]
    assert 404 in request.meta["handle_httpstatus_list"]
    assert "handle_httpstatus_all" not in request.meta


@pytest.mark.parametrize("falsy", [0, "0"], ids=repr)
def test_expiry_zero_of_the_class_downloads_always(tmp_path, falsy):
    settings = {"IMAGES_EXPIRES": 90, "MYPIPELINE_IMAGES_EXPIRES": falsy}
    for _ in range(2):
        with Crawl(tmp_path, {A: jpeg()}, MyPipeline, **settings) as crawl:
            (image,) = crawl.images(A)
        assert image["status"] == "downloaded"
    with Crawl(tmp_path, {A: jpeg()}, MyPipeline, IMAGES_EXPIRES=90) as crawl:
        (image,) = crawl.images(A)
    assert image["status"] == "uptodate"


@pytest.mark.parametrize(
    ("days", "age", "status"),
    [(90, 89, "uptodate"), (90, 91, "downloaded"), (1, 2, "downloaded"), (100, 91, "uptodate")],
)
def test_files_expire_after_the_days_of_the_setting(tmp_path, days, age, status):
    with Crawl(tmp_path, {A: jpeg()}) as crawl:
        (image,) = crawl.images(A)
    then = time.time() - age * 86_400
    os.utime(tmp_path / image["path"], (then, then))
    with Crawl(tmp_path, {A: jpeg()}, IMAGES_EXPIRES=days) as crawl:
        (image,) = crawl.images(A)
    assert image["status"] == status


@pytest.mark.parametrize("falsy", [False, "False", 0], ids=repr)
def test_our_falsy_settings_of_the_class_go_before_the_general_ones(tmp_path, falsy):
    settings = {"IMGPIPE_KEEP_FAILED": True, "MYPIPELINE_IMGPIPE_KEEP_FAILED": falsy}
    with Crawl(tmp_path, {}, MyPipeline, **settings) as crawl:
        assert crawl.images(A) == []


def test_priority_zero_of_the_class_goes_before_the_general_one(tmp_path):
    settings = {"IMGPIPE_PRIORITY": 9, "MYPIPELINE_IMGPIPE_PRIORITY": 0}
    with Crawl(tmp_path, {A: jpeg()}, MyPipeline, **settings) as crawl:
        crawl.images(A)
    assert crawl.site.asked[0].priority == 0


def test_a_subclass_called_images_pipeline_reads_the_plain_names_as_in_scrapy(tmp_path):
    namesake = type("ImagesPipeline", (ImagesPipeline,), {})
    settings = {
        "IMAGES_MIN_WIDTH": 5,
        "IMAGESPIPELINE_IMAGES_MIN_WIDTH": 7,
        "IMGPIPE_PRIORITY": 3,
        "IMAGESPIPELINE_IMGPIPE_PRIORITY": 4,
    }
    for kind in (namesake, ImagesPipeline):
        pipeline = Crawl(tmp_path, {}, kind, **settings).pipeline
        assert pipeline.min_width == 5
        assert pipeline.options.priority == 3


def test_media_settings_of_a_class_called_images_pipeline_have_its_name_as_in_scrapy(tmp_path):
    settings = {"IMAGESPIPELINE_MEDIA_ALLOW_REDIRECTS": True}
    assert Crawl(tmp_path, **settings).pipeline.allow_redirects is True


def test_names_from_an_overridden_key_for_pipe_count(tmp_path):
    class Mine(ImagesPipeline):
        def _key_for_pipe(self, key, base_class_name=None, settings=None):
            return f"SHOP_{key}"

    settings = {
        "SHOP_IMAGES_MIN_WIDTH": 5,
        "IMAGES_MIN_WIDTH": 7,
        "SHOP_IMGPIPE_PRIORITY": 3,
    }
    pipeline = Crawl(tmp_path, {}, Mine, **settings).pipeline
    assert pipeline.min_width == 5
    assert pipeline.options.priority == 3


def test_key_for_pipe_answers_as_scrapys(tmp_path):
    pipeline = Crawl(tmp_path, {}, MyPipeline, MYPIPELINE_X=1).pipeline
    settings = pipeline.crawler.settings
    assert pipeline._key_for_pipe("X") == "X"
    assert pipeline._key_for_pipe("X", base_class_name="MyPipeline") == "X"
    assert pipeline._key_for_pipe("X", base_class_name="ImagesPipeline") == "MYPIPELINE_X"
    assert pipeline._key_for_pipe("X", "ImagesPipeline", settings) == "MYPIPELINE_X"
    assert pipeline._key_for_pipe("Y", "ImagesPipeline", settings) == "Y"


def test_none_means_that_a_setting_is_not_set(tmp_path):
    names = [*WRONG, *(f"MYPIPELINE_{name}" for name in WRONG)]
    pipeline = Crawl(tmp_path, {}, MyPipeline, **dict.fromkeys(names)).pipeline
    assert pipeline.options == Crawl(tmp_path, IMGPIPE_RETRIES=None).pipeline.options
    assert (pipeline.expires, pipeline.min_width, pipeline.thumbs) == (90, 0, {})


# --- as text, from the command line ---


def test_settings_from_the_command_line_are_text_and_mean_the_same(tmp_path):
    as_text = {
        "IMGPIPE_PRIORITY": "-3",
        "IMGPIPE_WORKERS": "3",
        "IMGPIPE_KEEP_FAILED": "True",
        "IMGPIPE_BACKGROUND": "#ff8000",
        "IMGPIPE_ALLOWED_SCHEMES": "http, HTTPS",
        "IMGPIPE_PRIVATE_ADDRESSES": "DENY",
        "IMGPIPE_ALLOWED_HOSTS": "shop.example, 10.0.0.0/8",
        "IMGPIPE_BLOCKED_HOSTS": "",
        "IMGPIPE_OPT_OUT": "noai, TDM",
        "IMGPIPE_RETRIES": "4",
        "IMGPIPE_MIN_BYTES": "1",
        "IMGPIPE_MAX_BYTES": "200",
        "IMGPIPE_MAX_PIXELS": "300",
        "IMGPIPE_MAX_FRAMES": "4",
        "IMGPIPE_MAX_ASPECT_RATIO": "5.5",
        "IMGPIPE_MIN_SIDE": "6",
        "IMGPIPE_FORMATS": "jpeg,png",
        "IMGPIPE_STATUSES": "200,203",
        "IMGPIPE_REFERER": "1",
        "IMGPIPE_PROGRESS": "1",
        "IMGPIPE_ALLOW_OFFSITE": "true",
        "IMGPIPE_INDEX": str(tmp_path / "known.sqlite"),
        "IMGPIPE_LEASE_SECONDS": "12.5",
        "IMGPIPE_TRUST_INDEX": "1",
        "IMGPIPE_RETRY_FAILED_AFTER": "1.5",
        "IMGPIPE_DEDUPE": "CONTENT",
        "IMGPIPE_PLACEHOLDERS": "refuse",
        "IMGPIPE_PLACEHOLDER_DIGESTS": f"{'0' * 32},{'A' * 32}",
        "IMGPIPE_PLACEHOLDER_URLS": "9",
        "IMGPIPE_NEAR_DUPLICATES": "7",
        "IMGPIPE_REPORT": "report.jsonl",
        "IMGPIPE_RECORD": "mean_brightness",
        "IMGPIPE_ITEM_KEY": "sku",
        "IMAGES_EXPIRES": "3",
        "IMAGES_MIN_WIDTH": "4",
        "IMAGES_MIN_HEIGHT": "5",
        "IMAGES_THUMBS": '{"small": [50, 50]}',
        "MEDIA_ALLOW_REDIRECTS": "True",
        "IMGPIPE_ISOLATION": "thread",
        "IMGPIPE_TIMEOUT_SECONDS": "2.5",
        "IMGPIPE_MEMORY_LIMIT": "1000000000",
        "IMGPIPE_MEMORY_BUDGET": "1000000",
        "MEDIA_CACHE_SIZE": "12",
        "IMGPIPE_RENDITIONS": '{"card": {"width": 40, "format": "webp", "quality": 70}}',
        "IMGPIPE_FULL": "SOURCE",
        "IMAGES_PRESERVE_FORMAT": "1",
        "IMGPIPE_STRIP_METADATA": "Copyright",
        "IMGPIPE_TRUNCATED": "KEEP",
        "IMGPIPE_STORE_CONNECTIONS": "5",
        "IMGPIPE_STORE_TIMEOUT_SECONDS": "1.5",
        "IMGPIPE_STORE_RETRIES": "0",
        "IMGPIPE_STORE_HEADERS": '{"Cache-Control": "no-store"}',
        "IMGPIPE_OBJECT_STORE": "Botocore",
        "IMGPIPE_AZURE_ACCOUNT": "account",
        "IMGPIPE_AZURE_KEY": "a2V5",
        "IMGPIPE_AZURE_SAS": "?sig=1",
        "IMGPIPE_AZURE_ENDPOINT_URL": "http://127.0.0.1:1/account",
        "IMGPIPE_PUBLIC_URL": "https://cdn.example/images",
        "IMGPIPE_PUBLIC_URL_SECONDS": "60",
        "IMGPIPE_CLOSE_ON_STORE_ERRORS": "7",
    }
    pipeline = Crawl(tmp_path, **as_text).pipeline
    read = pipeline.options
    assert (read.priority, read.workers, read.keep_failed) == (-3, 3, True)
    assert read.background == (255, 128, 0)
    assert read.allowed_schemes == ("http", "https")
    assert read.formats == ("JPEG", "PNG")
    assert read.private_addresses == "deny"
    assert (read.allowed_hosts, read.blocked_hosts) == (("shop.example", "10.0.0.0/8"), ())
    assert pipeline._opt_out == {"noai", "tdm"}
    assert read.retries == 4
    assert read.limits == (1, 200, 300, 4, 5.5, 6)
    assert read.statuses == (200, 203)
    assert (read.referer, read.allow_offsite, read.progress) == (True, True, True)
    assert read.isolation == "thread"
    assert (read.timeout_seconds, read.memory_limit) == (2.5, 1_000_000_000)
    assert (read.memory_budget, read.cache_size) == (1_000_000, 12)
    assert (read.index, read.near_duplicates) == (as_text["IMGPIPE_INDEX"], 7)
    assert (pipeline.expires, pipeline.min_width, pipeline.min_height) == (3, 4, 5)
    assert [(name, *size) for name, size in pipeline.thumbs.items()] == [("small", 50, 50)]
    assert pipeline.allow_redirects is True
    card = Variant("card", 40, format="WEBP", options=(("quality", 70),))
    assert pipeline.renditions == {"card": card}
    assert (pipeline.full_image, read.preserve_format) == ("source", True)
    assert (read.strip_metadata, read.truncated) == ("copyright", "keep")
    access = pipeline.access
    assert (access.connections, access.timeout_seconds, access.retries) == (5, 1.5, 0)
    assert (access.headers, access.object_store) == ({"Cache-Control": "no-store"}, "botocore")
    azure = (access.azure_account, access.azure_key, access.azure_sas, access.azure_endpoint_url)
    assert azure == ("account", "a2V5", "?sig=1", "http://127.0.0.1:1/account")
    assert (read.public_url, read.public_url_seconds) == ("https://cdn.example/images", 60)
    assert (read.close_on_store_errors, read.lease_seconds) == (7, 12.5)
    assert set(as_text) == set(WRONG)


@pytest.mark.parametrize(
    "thumbs",
    [
        {"small": (50, 50)},
        {"small": [50, 50]},
        '{"small": [50, 50]}',
        {"small": (50.0, 50.9)},
        {"small": ("50", "50")},
    ],
    ids=repr,
)
def test_thumbs_are_made_however_their_sizes_are_written(tmp_path, thumbs):
    with Crawl(tmp_path, {A: jpeg((120, 80))}, IMAGES_THUMBS=thumbs) as crawl:
        (image,) = crawl.images(A)
    (thumb,) = image["renditions"]
    assert (thumb["name"], thumb["width"], thumb["height"]) == ("small", 50, 33)


def test_thumbs_may_have_numbers_as_names(tmp_path):
    with Crawl(tmp_path, {A: jpeg()}, IMAGES_THUMBS={50: (50, 50)}) as crawl:
        (image,) = crawl.images(A)
    assert image["renditions"][0]["path"].startswith("thumbs/50/")
    assert image["renditions"][0]["path"] in crawl.files()


# --- what ours do ---


def test_the_background_shows_through(tmp_path):
    from PIL import Image

    data = encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "PNG")
    with Crawl(tmp_path, {A: data}, IMGPIPE_BACKGROUND="#ff8000") as crawl:
        (image,) = crawl.images(A)
    red, green, blue = opened(crawl.files()[image["path"]]).getpixel((4, 4))
    assert (abs(red - 255) < 4, abs(green - 128) < 4, abs(blue) < 4) == (True, True, True)


def test_a_format_that_is_not_listed_is_refused(tmp_path):
    answers = {A: encoded(noise(), "PNG"), B: jpeg()}
    settings = {"IMGPIPE_FORMATS": "JPEG", "IMGPIPE_KEEP_FAILED": True}
    with Crawl(tmp_path, answers, **settings) as crawl:
        images = crawl.images(A, B)
    assert images[0]["outcome"] == "format-not-allowed"
    assert images[1]["status"] == "downloaded"


def test_a_status_that_is_listed_counts_as_an_image(tmp_path):
    from scrapy.http import Response

    answers = {A: Response(A, status=203, body=jpeg()), B: jpeg()}
    settings = {"IMGPIPE_STATUSES": [203], "IMGPIPE_KEEP_FAILED": True}
    with Crawl(tmp_path, answers, **settings) as crawl:
        images = crawl.images(A, B)
    assert images[0]["status"] == "downloaded"
    assert images[1]["outcome"] == "http-status"


@pytest.mark.parametrize("number", [1, 3])
def test_there_are_as_many_workers_as_the_setting_says(tmp_path, number):
    import threading

    urls = [f"http://shop.example/{n}.jpg" for n in range(12)]
    with Crawl(tmp_path, dict.fromkeys(urls, jpeg()), IMGPIPE_WORKERS=number) as crawl:
        crawl.images(*urls)
        names = [t.name for t in threading.enumerate() if t.name.startswith("imgpipe-pool")]
    assert 1 <= len(names) <= number
