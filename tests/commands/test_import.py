"""What is in a store becomes known, without a crawl."""

from __future__ import annotations

import json
import os
import time
from contextlib import closing
from pathlib import Path

import pytest
from scrapy.exporters import CsvItemExporter, JsonItemExporter, JsonLinesItemExporter
from scrapy.http import Request
from scrapy.pipelines.images import ImagesPipeline as Scrapys
from scrapy.utils.request import fingerprint

from scrapy_imgpipe import ImagesPipeline
from scrapy_imgpipe.commands.feeds import entries_of
from scrapy_imgpipe.commands.importing import import_store
from scrapy_imgpipe.errors import SettingError
from scrapy_imgpipe.index import Key, SqliteIndex
from scrapy_imgpipe.paths import image_path, thumb_path
from scrapy_imgpipe.records import checksum
from tests.commands.places import (
    THUMBS,
    URLS,
    crawl_of,
    crawled,
    damage_index,
    many_imported,
    records,
    run,
)
from tests.fakes import Crawl
from tests.pictures import encoded, jpeg, noise

A, B, C = URLS
EXPORTERS = {
    "jsonl": JsonLinesItemExporter,
    "jl": JsonLinesItemExporter,
    "json": JsonItemExporter,
    "csv": CsvItemExporter,
}


def filled_by_scrapy(folder, **settings):
    """Let Scrapy's own pipeline fill the store; return its item."""
    answers = {url: jpeg((300, 200)) for url in URLS}
    with Crawl(folder / "store", answers, Scrapys, IMAGES_THUMBS=THUMBS, **settings) as crawl:
        return crawl.process({"name": 'öl, "x"', "image_urls": list(URLS)})


def make_unreadable(store):
    """Give every file other bytes, and its size and time: who reads one finds it broken."""
    for path in store.rglob("*.*"):
        stat = path.stat()
        path.write_bytes(bytes(stat.st_size))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def exported(path, items):
    with path.open("wb") as file:
        exporter = EXPORTERS[path.suffix[1:]](file)
        exporter.start_exporting()
        for item in items:
            exporter.export_item(item)
        exporter.finish_exporting()
    return str(path)


def test_after_it_a_crawl_reads_no_file_of_a_store_that_scrapy_has_filled(tmp_path):
    theirs = filled_by_scrapy(tmp_path)["images"]
    status, lines = run(tmp_path, import_store, IMAGES_THUMBS=THUMBS)
    assert (status, lines) == (0, ["3 images: 3 new"])
    make_unreadable(tmp_path / "store")
    with crawl_of(tmp_path, IMAGES_THUMBS=THUMBS) as crawl:
        ours = crawl.images(*URLS)
    assert crawl.site.asked == []
    assert crawl.outcomes() == {"up-to-date": 3}
    assert "imgpipe/renditions/restored" not in crawl.stats
    assert [(one["path"], one["checksum"]) for one in ours] == [
        (one["path"], one["checksum"]) for one in theirs
    ]
    assert [(file["name"], file["width"]) for file in ours[0]["renditions"]] == [
        ("small", 50),
        ("big", 90),
    ]
    assert [record.url for record in records(tmp_path)] == list(URLS)  # the crawl told them


@pytest.mark.parametrize("kind", EXPORTERS)
def test_items_of_earlier_crawls_tell_the_urls(tmp_path, kind):
    item = filled_by_scrapy(tmp_path)
    feed = exported(tmp_path / f"items.{kind}", [{"name": "none", "images": []}, item])
    _, lines = run(tmp_path, import_store, [feed], IMAGES_THUMBS=THUMBS)
    assert lines == ["3 images: 3 new"]
    before = records(tmp_path)
    assert [(record.url, record.asked) for record in before] == [(u, image_path(u)) for u in URLS]
    assert {record.fingerprint for record in before} == {
        fingerprint(Request(url)).hex() for url in URLS
    }
    make_unreadable(tmp_path / "store")
    crawl = crawled(tmp_path, None, *URLS, IMAGES_THUMBS=THUMBS)
    assert crawl.outcomes() == {"up-to-date": 3}
    assert records(tmp_path) == before  # there was nothing left to tell


def test_the_results_may_be_in_another_field(tmp_path):
    item = filled_by_scrapy(tmp_path)
    feed = exported(tmp_path / "items.jsonl", [{"pictures": item["images"]}])
    run(tmp_path, import_store, [feed], IMAGES_RESULT_FIELD="pictures")
    assert [record.url for record in records(tmp_path)] == list(URLS)


def test_an_item_that_tells_of_other_bytes_gives_no_url(tmp_path):
    item = filled_by_scrapy(tmp_path)
    item["images"][0]["checksum"] = "0" * 32
    del item["images"][1]["checksum"]  # nothing speaks against it
    feed = exported(tmp_path / "items.jsonl", [item])
    run(tmp_path, import_store, [feed])
    assert [record.url for record in records(tmp_path)] == ["", B, C]


def test_a_second_import_may_tell_the_urls_of_what_is_known(tmp_path):
    item = filled_by_scrapy(tmp_path)
    run(tmp_path, import_store, IMAGES_THUMBS=THUMBS)
    assert {(record.url, record.fingerprint) for record in records(tmp_path)} == {("", "")}
    make_unreadable(tmp_path / "store")
    feed = exported(tmp_path / "items.csv", [item])
    _, lines = run(tmp_path, import_store, [feed], IMAGES_THUMBS=THUMBS)
    assert lines == ["3 images: 0 new, 3 with a URL now"]
    assert [record.url for record in records(tmp_path)] == list(URLS)
    _, lines = run(tmp_path, import_store, [feed], IMAGES_THUMBS=THUMBS)
    assert lines == ["3 images: 0 new, 3 known"]


def test_a_lost_index_is_made_again_from_files_and_items(tmp_path):
    class Named(ImagesPipeline):
        def file_path(self, request, response=None, info=None, *, item=None):
            return f"shop/{request.url[-5]}.jpg"

        def thumb_path(self, request, thumb_id, response=None, info=None, *, item=None):
            return f"shop/{thumb_id}-{request.url[-5]}.jpg"

    with crawl_of(tmp_path, {A: jpeg()}, Named, IMAGES_THUMBS=THUMBS) as crawl:
        item = crawl.process({"image_urls": [A]})
    (before,) = records(tmp_path)
    for path in list(tmp_path.glob("index.sqlite*")):
        path.unlink()
    feed = exported(tmp_path / "items.jsonl", [item])
    run(tmp_path, import_store, [feed], pipeline=Named, IMAGES_THUMBS=THUMBS)
    (after,) = [record for record in records(tmp_path) if record.url]
    for name in ("fingerprint", "asked", "full", "format", "renditions", "plan", "limits"):
        assert getattr(after, name) == getattr(before, name), name
    make_unreadable(tmp_path / "store")
    with crawl_of(tmp_path, {}, Named, IMAGES_THUMBS=THUMBS) as crawl:
        assert crawl.images(A)[0]["renditions"] == item["images"][0]["renditions"]
    assert crawl.site.asked == []


def test_thumbnails_of_files_with_names_of_their_own_are_found_by_the_url(tmp_path):
    class Named(ImagesPipeline):
        def file_path(self, request, response=None, info=None, *, item=None):
            return "shop/one.jpg"

    with crawl_of(tmp_path, {A: jpeg()}, Named, IMAGES_THUMBS=THUMBS, IMGPIPE_INDEX="off") as crawl:
        item = crawl.process({"image_urls": [A]})
    for result in item["images"]:
        del result["renditions"]  # as Scrapy's own
    feed = exported(tmp_path / "items.jsonl", [item])
    run(tmp_path, import_store, [feed], pipeline=Named, IMAGES_THUMBS=THUMBS)
    (record,) = records(tmp_path)
    assert [file.path for file in record.renditions] == [thumb_path(A, name) for name in THUMBS]


def test_files_that_are_damaged_are_named_and_left_out(tmp_path):
    store = tmp_path / "store"
    (store / "full").mkdir(parents=True)
    data = jpeg()
    (store / "full" / "good.jpg").write_bytes(data)
    (store / "full" / "cut.jpg").write_bytes(data[: len(data) // 2])
    (store / "full" / "empty.jpg").touch()
    (store / "full" / "foreign.jpg").write_bytes(encoded(noise(), "JPEG2000"))
    (store / "items.jsonl").write_text("{}\n")
    status, lines = run(tmp_path, import_store)
    *told, total = sorted(lines[:-1]) + lines[-1:]
    assert [line.split("\t")[0] for line in told] == [
        "full/cut.jpg",
        "full/empty.jpg",
        "full/foreign.jpg",
    ]
    assert "truncated" in told[0]
    assert told[1].endswith("\tThe file is empty")
    assert told[2].endswith("\tImage format JPEG2000 is not allowed")
    assert total == "1 images: 1 new; 3 damaged files left out; 1 files are no images"
    assert status == 0
    assert [record.asked for record in records(tmp_path)] == ["full/good.jpg"]


def test_only_thumbnails_that_are_whole_and_of_the_right_size_are_taken(tmp_path):
    filled_by_scrapy(tmp_path)
    (tmp_path / "store" / thumb_path(A, "small")).write_bytes(b"\xff\xd8\xff cut off")
    (tmp_path / "store" / thumb_path(B, "small")).write_bytes(jpeg((50, 50)))
    (tmp_path / "store" / thumb_path(C, "small")).unlink()
    run(tmp_path, import_store, IMAGES_THUMBS=THUMBS)
    assert [[f.name for f in record.renditions] for record in records(tmp_path)] == [["big"]] * 3
    crawl = crawled(tmp_path, None, *URLS, IMAGES_THUMBS=THUMBS)
    assert crawl.site.asked == []
    assert crawl.stats["imgpipe/renditions/restored"] == 3


def test_what_the_index_knows_already_stays_as_it_is(tmp_path):
    crawled(tmp_path, {A: jpeg(), B: jpeg()}, IMAGES_THUMBS=THUMBS)
    before = records(tmp_path)
    make_unreadable(tmp_path / "store")
    status, lines = run(tmp_path, import_store, IMAGES_THUMBS=THUMBS)
    assert (status, lines) == (0, ["2 images: 0 new, 2 known"])
    assert records(tmp_path) == before


def test_another_file_under_a_known_name_is_recorded_anew(tmp_path):
    crawled(tmp_path, {A: jpeg(), B: jpeg()}, IMAGES_THUMBS=THUMBS)
    other = jpeg((200, 300))
    (tmp_path / "store" / image_path(A)).write_bytes(other)
    _, lines = run(tmp_path, import_store, IMAGES_THUMBS=THUMBS)
    assert lines == ["2 images: 0 new, 1 renewed, 1 known"]
    first, _ = records(tmp_path)
    assert (first.url, first.full.checksum, first.full.height) == (A, checksum(other), 300)
    assert (first.content, first.renditions) == ("", ())  # thumbnails of the other picture


def test_the_same_bytes_with_another_time_cost_no_knowledge(tmp_path):
    crawled(tmp_path, {A: jpeg()}, IMAGES_THUMBS=THUMBS)
    (before,) = records(tmp_path)
    for file in before.files:
        os.utime(tmp_path / "store" / file.path, (before.checked_at + 10,) * 2)
    _, lines = run(tmp_path, import_store, IMAGES_THUMBS=THUMBS)
    assert lines == ["1 images: 0 new, 1 renewed"]
    (after,) = records(tmp_path)
    assert after.content == before.content
    assert after.checked_at == before.checked_at
    assert {file.modified for file in after.files} == {round(before.checked_at + 10, 4)}
    make_unreadable(tmp_path / "store")
    assert crawled(tmp_path, None, A, IMAGES_THUMBS=THUMBS).outcomes() == {"up-to-date": 1}


def test_thumbnails_stay_known_where_the_settings_ask_for_none(tmp_path):
    crawled(tmp_path, {A: jpeg()}, IMAGES_THUMBS=THUMBS)
    (before,) = records(tmp_path)
    os.utime(tmp_path / "store" / before.full.path, (before.checked_at + 10,) * 2)
    run(tmp_path, import_store)
    (after,) = records(tmp_path)
    assert after.renditions == before.renditions


def test_thumbnails_with_names_of_their_own_stay_known(tmp_path):
    class Named(ImagesPipeline):
        def thumb_path(self, request, thumb_id, response=None, info=None, *, item=None):
            return f"{thumb_id}/{request.url[-5:]}"

    with crawl_of(tmp_path, {A: jpeg()}, Named, IMAGES_THUMBS=THUMBS) as crawl:
        crawl.images(A)
    (before,) = records(tmp_path)
    os.utime(tmp_path / "store" / before.full.path, (before.checked_at + 10,) * 2)
    run(tmp_path, import_store, pipeline=Named, IMAGES_THUMBS=THUMBS)
    (after,) = records(tmp_path)
    assert after.renditions == before.renditions


def test_an_image_is_as_old_as_its_file(tmp_path):
    filled_by_scrapy(tmp_path)
    then = time.time() - 91 * 24 * 60 * 60
    os.utime(tmp_path / "store" / image_path(A), (then, then))
    run(tmp_path, import_store, IMAGES_THUMBS=THUMBS)
    crawl = crawled(tmp_path, {A: jpeg()}, *URLS, IMAGES_THUMBS=THUMBS)
    assert crawl.site.urls == [A]


def test_names_that_need_the_response_keep_their_place_in_the_index(tmp_path):
    class Later(ImagesPipeline):
        def file_path(self, request, response=None, info=None, *, item=None):
            return f"full/{len(response.body)}.jpg"

    with crawl_of(tmp_path, {A: jpeg()}, Later) as crawl:
        (image,) = crawl.images(A)
    (before,) = records(tmp_path)
    assert before.asked == ""
    os.utime(tmp_path / "store" / image["path"], (before.checked_at + 10,) * 2)
    _, lines = run(tmp_path, import_store, pipeline=Later)
    assert lines == ["1 images: 0 new, 1 renewed"]
    (after,) = records(tmp_path)
    assert after.asked == ""
    assert after.full.modified == round(before.checked_at + 10, 4)
    (tmp_path / "store" / image["path"]).write_bytes(jpeg())
    run(tmp_path, import_store, pipeline=Later)
    (other,) = records(tmp_path)
    assert (other.asked, other.full.path) == ("", image["path"])
    assert other.full.checksum != after.full.checksum


def test_thumbnails_outside_of_thumbs_that_the_index_knows_are_no_images(tmp_path):
    class Beside(ImagesPipeline):
        def thumb_path(self, request, thumb_id, response=None, info=None, *, item=None):
            return f"{thumb_id}/{request.url[-5:]}"

    with crawl_of(tmp_path, {A: jpeg()}, Beside, IMAGES_THUMBS=THUMBS) as crawl:
        crawl.images(A)
    _, lines = run(tmp_path, import_store, pipeline=Beside, IMAGES_THUMBS=THUMBS)
    assert lines == ["1 images: 0 new, 1 known"]
    assert len(records(tmp_path)) == 1


def test_an_index_inside_the_store_is_no_file_of_an_image(tmp_path):
    class Raw(ImagesPipeline):
        def get_images(self, response, request, info, *, item=None):
            yield from super().get_images(response, request, info, item=item)

    filled_by_scrapy(tmp_path)
    index = tmp_path / "store" / "index.sqlite"
    settings = {"IMGPIPE_INDEX": str(index), "IMAGES_THUMBS": THUMBS}
    _, lines = run(tmp_path, import_store, pipeline=Raw, **settings)
    assert lines == ["3 images: 3 new"]
    with closing(SqliteIndex(index)) as known:
        assert known.refers_to(["index.sqlite"]) == set()
        assert known.get([Key("", image_path(A))])[0].renditions == ()  # nobody knows


def test_record_functions_look_at_what_is_imported(tmp_path):
    filled_by_scrapy(tmp_path)
    run(tmp_path, import_store, IMGPIPE_RECORD=["mean_brightness"])
    values = [record.measured["mean_brightness"] for record in records(tmp_path)]
    assert all(100 < value < 156 for value in values)
    make_unreadable(tmp_path / "store")
    crawl = crawled(tmp_path, None, *URLS, IMGPIPE_RECORD=["mean_brightness"])
    assert crawl.outcomes() == {"up-to-date": 3}


def test_a_record_function_that_fails_costs_its_answer_only(tmp_path):
    def strict(image):
        if image.size != (300, 200):
            raise RuntimeError("odd size")
        return {}

    filled_by_scrapy(tmp_path)
    (tmp_path / "store" / image_path(A)).write_bytes(jpeg())
    _, lines = run(tmp_path, import_store, IMGPIPE_RECORD=[strict])
    assert lines == ["3 images: 3 new"]
    said = {record.asked: dict(record.measured) for record in records(tmp_path)}
    assert said.pop(image_path(A)) == {"record_error": "RuntimeError: odd size"}
    assert list(said.values()) == [{}, {}]


def test_more_files_than_are_asked_for_at_a_time(tmp_path):
    many_imported(tmp_path, 1200)
    assert len({record.asked for record in records(tmp_path)}) == 1200
    assert run(tmp_path, import_store) == (0, ["1,200 images: 0 new, 1,200 known"])


def test_what_a_damaged_index_knew_is_imported_again(tmp_path):
    many_imported(tmp_path, 1200)
    damage_index(tmp_path)
    assert run(tmp_path, import_store) == (0, ["1,200 images: 1,200 new"])
    assert len(records(tmp_path)) == 1200


# --- feeds ---


def entries(path):
    return list(entries_of(str(path), "images"))


def test_a_feed_that_is_longer_than_what_is_read_at_a_time(tmp_path):
    results = [{"path": f"full/{n}.jpg", "url": f"http://a/{n}"} for n in range(5)]
    items = [{"text": "x[{,}]" * 100_000, "images": [result]} for result in results]
    feed = exported(tmp_path / "items.json", items)
    assert [entry.url for entry in entries(feed)] == [result["url"] for result in results]


def test_a_field_of_a_csv_feed_may_be_long_and_the_feed_begin_with_a_mark(tmp_path):
    results = [{"path": f"full/{n}.jpg", "url": f"http://a/{n}"} for n in range(5000)]
    feed = Path(exported(tmp_path / "items.csv", [{"images": results}]))
    feed.write_text(feed.read_text(), encoding="utf-8-sig")  # FEED_EXPORT_ENCODING may say so
    assert len(entries(feed)) == 5000


@pytest.mark.parametrize("kind", ["jsonl", "json"])
def test_what_is_no_result_is_passed_over(tmp_path, kind):
    results = [
        None,
        "text",
        {"url": "http://a/failed", "path": None},
        {"path": "full/a.jpg"},
        {"path": 1, "url": 2},
        {"path": "full/b.jpg", "url": "http://a/b", "checksum": None, "renditions": [None, {}]},
        {
            "path": "full/c.jpg",
            "url": "http://a/c",
            "renditions": [{"name": "s", "path": "../s.jpg"}, {"name": "b", "path": "b/c.jpg"}],
        },
    ]
    items = [{"images": results}, {"images": None}, {"images": "none"}, {"images": "[{"}, {}]
    feed = exported(tmp_path / f"items.{kind}", items)
    found = [(entry.path, entry.url, entry.checksum, entry.thumbs) for entry in entries(feed)]
    assert found == [
        ("full/b.jpg", "http://a/b", "", {}),
        ("full/c.jpg", "http://a/c", "", {"b": "b/c.jpg"}),
    ]


def test_the_last_line_of_a_killed_crawl_is_passed_over(tmp_path):
    line = json.dumps({"images": [{"path": "full/a.jpg", "url": "http://a/"}]})
    (tmp_path / "items.jsonl").write_text(f"{line}\n\n{line[:20]}")
    assert len(entries(tmp_path / "items.jsonl")) == 1


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("items.xml", "<items/>", r"Expected \.jsonl, \.jl, \.json or \.csv for --items but"),
        ("items.jsonl", "{}\nno\n{}\n", r"Expected items in '.*items\.jsonl'.*line 2 is no JSON"),
        ("items.jsonl", "[1]\n", "an item is no object"),
        ("items.json", '[{"images": []},\n{"im', "no JSON array, or cut off"),
        ("items.json", "\x00\xff", "no JSON array, or cut off"),
    ],
)
def test_a_feed_that_is_none_is_said_in_one_sentence(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(SettingError, match=message):
        entries(tmp_path / name)


def test_a_feed_that_is_no_text_is_said_in_one_sentence(tmp_path):
    (tmp_path / "items.csv").write_bytes(encoded(noise()))
    with pytest.raises(SettingError, match="Expected items in"):
        entries(tmp_path / "items.csv")
