"""Equal bytes behind several URLs: stored once, or known for placeholders."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from scrapy_imgpipe import ImagesPipeline
from scrapy_imgpipe.errors import SettingError
from scrapy_imgpipe.index import SqliteIndex
from scrapy_imgpipe.tasks import put_marked
from tests.fakes import Crawl
from tests.pictures import encoded, jpeg, noise

SITE = "http://shop.example"
THUMBS = {"small": (50, 50)}


def urls(number, host="shop.example"):
    return [f"http://{host}/{n}.jpg" for n in range(number)]


def inodes(store, images):
    return {(store / image["path"]).stat().st_ino for image in images}


def md5(data):
    return hashlib.md5(data).hexdigest()


# --- much alike ---


def shrunk(data, side):
    """Return the same picture smaller, as another shop would have it."""
    with Image.open(io.BytesIO(data)) as image:
        return encoded(image.resize((side, side)), "JPEG", quality=60)


@pytest.fixture(scope="module")
def photos():
    folder = Path(__file__).parents[2] / "example_project" / "photos" / "clothing"
    return [file.read_bytes() for file in sorted(folder.glob("*.jpg"))[:2]]


@pytest.mark.parametrize("at_once", [False, True])
def test_near_duplicates_are_kept_and_marked(tmp_path, photos, at_once):
    one, other = photos
    first, same, another = urls(3)
    site = {first: one, same: shrunk(one, 200), another: other}
    report = tmp_path / "report.jsonl"
    limits = {"IMGPIPE_NEAR_DUPLICATES": 6, "IMGPIPE_REPORT": str(report)}
    with Crawl(tmp_path, site, **limits) as crawl:
        batches = [[first, same, another]] if at_once else [[first], [same], [another]]
        images = [image for batch in batches for image in crawl.images(*batch)]
    assert crawl.outcomes() == {"stored": 3}
    assert crawl.stats["imgpipe/near-duplicates"] == 1
    (marked,) = [image for image in images if "near_duplicate" in image]
    others = {first, same} - {marked["url"]}
    assert {marked["near_duplicate"]} == others
    assert 0 <= marked["near_distance"] <= 6
    assert (tmp_path / marked["path"]).stat().st_size
    if not at_once:
        assert marked["url"] == same
    rows = {row["url"]: row for row in map(json.loads, report.read_text().splitlines())}
    assert rows[marked["url"]]["near_distance"] == marked["near_distance"]
    assert rows[another].get("near_duplicate") is None
    assert len({row["phash"] for row in rows.values()}) >= 2
    with Crawl(tmp_path, **limits) as crawl:  # the mark stays
        again = crawl.images(first, same, another)
    assert again == [{**image, "status": "uptodate"} for image in images]
    assert not crawl.stats.get("imgpipe/near-duplicates")


def test_of_many_that_are_alike_one_has_no_mark(tmp_path, photos):
    asked = urls(6)
    site = {url: shrunk(photos[0], 150 + 20 * number) for number, url in enumerate(asked)}
    with Crawl(tmp_path, site, IMGPIPE_NEAR_DUPLICATES=8) as crawl:
        images = crawl.images(*asked)
    (first,) = [image for image in images if "near_duplicate" not in image]
    assert {image["near_duplicate"] for image in images if image is not first} == {first["url"]}
    with Crawl(tmp_path, site, IMGPIPE_NEAR_DUPLICATES=8, IMAGES_EXPIRES=0) as crawl:
        again = crawl.images(*asked)  # all are fetched anew
    assert crawl.outcomes() == {"stored": 6}
    assert sum("near_duplicate" not in image for image in again) == 1


def test_what_is_replaced_at_the_same_time_is_no_original(tmp_path, photos):
    first, second = urls(2)
    with Crawl(tmp_path, {first: photos[0]}, IMGPIPE_NEAR_DUPLICATES=6) as crawl:
        crawl.images(first)
    index = crawl.pipeline.knowledge.index
    (known,) = index.records()
    changed = known._replace(measured={"phash": "f" * 16})
    like = known._replace(fingerprint="ff", asked="full/b.jpg", url=second)
    for batch in ([like, changed], [changed, like]):
        assert all("near_duplicate" not in kept.measured for kept in put_marked(batch, index, 6))
    index.close()


def test_without_the_setting_nobody_looks(tmp_path, photos):
    asked = urls(2)
    with Crawl(tmp_path, dict.fromkeys(asked, photos[0]), IMGPIPE_RECORD=["phash"]) as crawl:
        assert not [image for image in crawl.images(*asked) if "near_duplicate" in image]


def test_placeholders_are_no_near_duplicates(tmp_path):
    asked = urls(2)
    grey = encoded(Image.new("RGB", (60, 60), "grey"), "JPEG")
    report = tmp_path / "report.jsonl"
    marks = {"IMGPIPE_NEAR_DUPLICATES": 3, "IMGPIPE_REPORT": str(report)}
    with Crawl(tmp_path, dict.fromkeys(asked, grey), **marks) as crawl:
        images = crawl.images(*asked)
    rows = list(map(json.loads, report.read_text().splitlines()))
    assert [row["placeholder"] for row in rows] == ["one-colour"] * 2
    assert ["near_duplicate" in image for image in images] == [False, False]
    assert all(image["placeholder"] for image in images)


def test_near_duplicates_need_an_index(tmp_path):
    with pytest.raises(SettingError, match="needs an index"):
        Crawl(tmp_path, IMGPIPE_NEAR_DUPLICATES=3, IMGPIPE_INDEX="off")


# --- stored once ---


@pytest.mark.parametrize("data", [jpeg(), encoded(noise(mode="RGBA"), "PNG")], ids=["jpeg", "png"])
@pytest.mark.parametrize("at_once", [False, True])
def test_equal_bytes_are_one_file_with_a_name_for_each_url(tmp_path, data, at_once):
    asked = urls(6)
    with Crawl(
        tmp_path, dict.fromkeys(asked, data), IMGPIPE_DEDUPE="content", IMAGES_THUMBS=THUMBS
    ) as crawl:
        batches = [asked] if at_once else [[url] for url in asked]
        images = [image for batch in batches for image in crawl.images(*batch)]
    assert [image["url"] for image in images] == asked
    assert len({image["path"] for image in images}) == 6
    assert len({image["checksum"] for image in images}) == 1
    assert len(inodes(tmp_path, images)) == 1
    assert len(inodes(tmp_path, [image["renditions"][0] for image in images])) == 1
    assert crawl.outcomes() == {"stored": 6}
    assert crawl.stats["imgpipe/renditions"] == 2
    with Crawl(tmp_path, IMGPIPE_DEDUPE="content", IMAGES_THUMBS=THUMBS) as crawl:
        again = crawl.images(*asked)
    assert again == [{**image, "status": "uptodate"} for image in images]


def test_by_default_each_url_has_a_file_of_its_own(tmp_path):
    asked = urls(3)
    with Crawl(tmp_path, dict.fromkeys(asked, jpeg())) as crawl:
        images = crawl.images(*asked)
    assert len(inodes(tmp_path, images)) == 3


def test_a_changed_image_leaves_the_others_that_were_equal(tmp_path):
    one, two = urls(2)
    old, new = jpeg(), jpeg()
    with Crawl(tmp_path, {one: old, two: old}, IMGPIPE_DEDUPE="content") as crawl:
        crawl.images(one, two)
    with Crawl(tmp_path, {one: new}, IMGPIPE_DEDUPE="content", IMAGES_EXPIRES=0) as crawl:
        (image,) = crawl.images(one)
    assert crawl.files()[image["path"]] == new
    assert sorted(crawl.files().values()) == sorted([old, new])


def test_a_file_that_was_changed_by_hand_is_not_linked(tmp_path):
    one, two = urls(2)
    data = jpeg()
    with Crawl(tmp_path, {one: data, two: data}, IMGPIPE_DEDUPE="content") as crawl:
        (image,) = crawl.images(one)
        (tmp_path / image["path"]).write_bytes(b"changed")
        (image,) = crawl.images(two)
    assert crawl.files()[image["path"]] == data


def test_who_waits_for_equal_bytes_goes_on_when_the_first_fails(tmp_path):
    asked = urls(4)
    broken = jpeg()[:3000]
    with Crawl(tmp_path, dict.fromkeys(asked, broken), IMGPIPE_DEDUPE="content") as crawl:
        assert crawl.images(*asked) == []
    assert crawl.outcomes() == {"broken": 4}
    assert crawl.pipeline._contents == {}


def test_who_waits_for_equal_bytes_goes_on_when_the_first_is_given_up(tmp_path):
    one, two = urls(2)
    data = jpeg()

    async def run(crawl):
        first = asyncio.ensure_future(crawl.pipeline.process_item({"image_urls": [one]}))
        while not crawl.pipeline._contents:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0)
        second = asyncio.ensure_future(crawl.pipeline.process_item({"image_urls": [two]}))
        await asyncio.sleep(0)
        first.cancel()
        return await second

    with Crawl(tmp_path, {one: data, two: data}, IMGPIPE_DEDUPE="content") as crawl:
        item = asyncio.run(run(crawl))
    assert [image["url"] for image in item["images"]] == [two]


class Elsewhere:
    """A store that only has Scrapy's methods."""

    def __init__(self, uri):
        self.files = {}

    def persist_file(self, path, buf, info, meta=None, headers=None):
        self.files[path] = buf.getvalue()

    def stat_file(self, path, info):
        data = self.files.get(path)
        return {"last_modified": 1e10, "checksum": md5(data)} if data else {}


class IntoElsewhere(ImagesPipeline):
    STORE_SCHEMES = {**ImagesPipeline.STORE_SCHEMES, "else": Elsewhere}  # noqa: RUF012


def test_in_other_stores_equal_bytes_share_a_key(tmp_path):
    asked = urls(5)
    settings = {"IMGPIPE_DEDUPE": "content", "IMAGES_THUMBS": THUMBS}
    settings |= {"IMAGES_STORE": f"else://{tmp_path.name}"}
    with Crawl(tmp_path, dict.fromkeys(asked, jpeg()), IntoElsewhere, **settings) as crawl:
        images = crawl.images(*asked)
        files = crawl.pipeline.store.files
        assert len(files) == 2
        assert {image["path"] for image in images} <= set(files)
        assert {image["renditions"][0]["path"] for image in images} <= set(files)
    assert [image["url"] for image in images] == asked


# --- placeholders ---

FLAT = Image.new("RGB", (90, 60), (200, 10, 30))
KINDS = {
    "1x1": encoded(noise((1, 1)), "PNG"),
    "one-colour": encoded(FLAT),
    "listed": jpeg(),
}


@pytest.mark.parametrize(("kind", "data"), KINDS.items())
def test_a_placeholder_is_marked(tmp_path, kind, data):
    (url,) = urls(1)
    settings = {"IMGPIPE_PLACEHOLDER_DIGESTS": [md5(KINDS["listed"]).upper()]}
    for status in ("downloaded", "uptodate"):
        with Crawl(tmp_path, {url: data}, **settings) as crawl:
            (image,) = crawl.images(url)
        assert (image["status"], image["placeholder"]) == (status, kind)
        assert set(crawl.outcomes()) <= {"stored", "up-to-date"}


@pytest.mark.parametrize(("kind", "data"), KINDS.items())
def test_where_the_user_asks_for_it_a_placeholder_is_an_outcome(tmp_path, kind, data):
    (url,) = urls(1)
    settings = {
        "IMGPIPE_PLACEHOLDERS": "refuse",
        "IMGPIPE_PLACEHOLDER_DIGESTS": [md5(KINDS["listed"])],
        "IMGPIPE_KEEP_FAILED": True,
    }
    with Crawl(tmp_path, {url: data}, **settings) as crawl:
        (image,) = crawl.images(url)
    assert image["outcome"] == "placeholder"
    assert kind in image["reason"]
    assert crawl.files() == {}


@pytest.mark.parametrize("data", KINDS.values(), ids=list(KINDS))
def test_who_does_not_look_for_placeholders_finds_none(tmp_path, data):
    (url,) = urls(1)
    digests = [md5(KINDS["listed"])]
    settings = {"IMGPIPE_PLACEHOLDERS": "off", "IMGPIPE_PLACEHOLDER_DIGESTS": digests}
    with Crawl(tmp_path, {url: data}, **settings) as crawl:
        (image,) = crawl.images(url)
    assert "placeholder" not in image


@pytest.mark.parametrize("dedupe", ["off", "content"])
def test_the_same_bytes_behind_many_urls_of_a_host_are_a_placeholder(tmp_path, dedupe):
    answers = dict.fromkeys([*urls(5), *urls(2, "other.example")], jpeg())
    settings = {"IMGPIPE_PLACEHOLDER_URLS": 3, "IMGPIPE_DEDUPE": dedupe}
    with Crawl(tmp_path, answers, **settings) as crawl:
        images = [crawl.images(url)[0] for url in answers]
    kinds = [image.get("placeholder") for image in images]
    assert kinds == [None, None, *["many-urls"] * 3, None, None]


def test_many_urls_that_are_asked_for_together_are_counted_and_later_all_are_known(tmp_path):
    asked = urls(5)
    settings = {"IMGPIPE_PLACEHOLDER_URLS": 3}
    with Crawl(tmp_path, dict.fromkeys(asked, jpeg()), **settings) as crawl:
        images = crawl.images(*asked)
    marked = [image.get("placeholder") for image in images].count("many-urls")
    assert marked >= 3  # and who found all the others in the index meanwhile
    with Crawl(tmp_path, **settings) as crawl:
        images = crawl.images(*asked)
    assert {image["placeholder"] for image in images} == {"many-urls"}
    with Crawl(tmp_path, **settings, IMGPIPE_PLACEHOLDERS="refuse") as crawl:
        assert crawl.images(*asked) == []
    assert (crawl.outcomes(), crawl.site.asked) == ({"placeholder": 5}, [])
    with Crawl(tmp_path, IMGPIPE_PLACEHOLDERS="off") as crawl:
        assert not any("placeholder" in image for image in crawl.images(*asked))


def test_a_placeholder_of_many_urls_is_refused_from_then_on(tmp_path):
    asked = urls(4)
    settings = {"IMGPIPE_PLACEHOLDER_URLS": 3, "IMGPIPE_PLACEHOLDERS": "refuse"}
    with Crawl(
        tmp_path, dict.fromkeys(asked, jpeg()), IMGPIPE_DEDUPE="content", **settings
    ) as crawl:
        found = [crawl.images(url) for url in asked]
    assert [len(images) for images in found] == [1, 1, 0, 0]
    assert crawl.outcomes() == {"stored": 2, "placeholder": 2}


@pytest.mark.parametrize("size", [(500, 300), (90, 60)])
@pytest.mark.parametrize("thumbs", [{}, THUMBS])
def test_a_photo_or_a_thin_line_is_no_placeholder(tmp_path, size, thumbs):
    line = Image.new("RGB", size, (250, 250, 250))
    line.paste((0, 0, 0), (0, size[1] // 2, size[0], size[1] // 2 + 1))
    answers = dict(zip(urls(3), [encoded(line), jpeg(size), encoded(line, "PNG")], strict=True))
    with Crawl(tmp_path, answers, IMAGES_THUMBS=thumbs) as crawl:
        images = crawl.images(*answers)
    assert len(images) == 3
    assert not [image for image in images if "placeholder" in image]


def test_users_own_images_are_looked_at_too(tmp_path):
    class Mine(ImagesPipeline):
        def convert_image(self, image, size=None, *, response_body):
            return super().convert_image(image, size, response_body=response_body)

    (url,) = urls(1)
    with Crawl(tmp_path, {url: KINDS["one-colour"]}, Mine) as crawl:
        (image,) = crawl.images(url)
    assert image["placeholder"] == "one-colour"


def test_the_index_keeps_the_digest_of_what_was_downloaded(tmp_path):
    (url,) = urls(1)
    data = encoded(noise(mode="RGBA"), "PNG")
    settings = {"IMGPIPE_INDEX": str(tmp_path / "index")}
    with Crawl(tmp_path / "store", {url: data}, **settings) as crawl:
        (image,) = crawl.images(url)
    with closing(SqliteIndex(tmp_path / "index")) as index:
        (record,) = index.records()
    assert record.content == md5(data) != image["checksum"]
