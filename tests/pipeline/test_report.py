"""The run report: a row for every ask, whatever became of it."""

from __future__ import annotations

import asyncio
import logging

import pytest
from scrapy.utils.spider import DefaultSpider

from scrapy_imgpipe import ImagesPipeline
from scrapy_imgpipe.report import COLUMNS, read_rows
from tests.fakes import Crawl
from tests.pictures import encoded, jpeg, noise

SITE = "http://shop.example"
A, B, C, D = (f"{SITE}/{name}.jpg" for name in "abcd")
THUMBS = {"small": (50, 50)}


def brightness_and_size(image):
    return {"size": list(image.size), "mode": image.mode, "sum": sum(image.getpixel((0, 0)))}


def broken_function(image):
    raise ValueError("mine")


@pytest.fixture(params=["jsonl", "csv", "sqlite", "parquet"])
def report(request, tmp_path):
    return tmp_path / "reports" / f"report.{request.param}"


def rows_of(report):
    return {(row["item"], row["slot"]): row for row in read_rows(report)}


def test_every_ask_leaves_a_row_whatever_became_of_it(tmp_path, report):
    answers = {A: jpeg((100, 80)), B: b"<html>", C: jpeg()[:3000], D: 503}
    items = [{"image_urls": [A, B, "x.jpg", C]}, {"image_urls": [D, A, "file:///etc/passwd"]}]
    with Crawl(tmp_path, answers, IMGPIPE_REPORT=str(report), IMAGES_THUMBS=THUMBS) as crawl:
        first, _ = crawl.process(*items)
    rows = rows_of(report)
    assert {key: (row["url"], row["outcome"]) for key, row in rows.items()} == {
        ("1", 0): (A, rows["1", 0]["outcome"]),  # who is first is stored, the other one joins
        ("1", 1): (B, "not-an-image"),
        ("1", 2): ("x.jpg", "bad-url"),
        ("1", 3): (C, "broken"),
        ("2", 0): (D, "http-status"),
        ("2", 1): (A, rows["2", 1]["outcome"]),
        ("2", 2): ("file:///etc/passwd", "url-not-allowed"),
    }
    assert {rows["1", 0]["outcome"], rows["2", 1]["outcome"]} == {"stored", "joined"}
    (stored,) = (row for row in rows.values() if row["outcome"] == "stored")
    (joined,) = (row for row in rows.values() if row["outcome"] == "joined")
    (image,) = first["images"]
    for name in ("path", "checksum", "width", "height", "format", "renditions"):
        assert stored[name] == joined[name] == image[name]
    assert stored["status"] == joined["status"] == "downloaded"
    assert (stored["bytes_in"], joined["bytes_in"]) == (len(answers[A]), 0)
    total = sum(len(data) for path, data in crawl.files().items() if "report" not in path)
    assert (stored["bytes_stored"], joined["bytes_stored"]) == (total, 0)
    assert (stored["http_status"], rows["2", 0]["http_status"]) == (200, 503)
    failed = rows["2", 0]
    assert (failed["status"], failed["path"], failed["checksum"]) == ("failed", None, None)
    assert failed["reason"] == "download-error: HTTP status 503"
    assert sum(row["bytes_in"] for row in rows.values()) == crawl.stats["imgpipe/bytes/in"]
    for row in rows.values():
        spans = [row[f"seconds_{n}"] for n in ("waiting", "downloading", "rendering", "storing")]
        assert all(span >= 0 for span in spans)
        assert row["finished"].endswith("Z")
    assert stored["seconds_rendering"] > 0 < stored["seconds_storing"]


def test_all_columns_are_there_in_their_order(tmp_path):
    report = tmp_path / "report.csv"
    with Crawl(tmp_path, {A: jpeg()}, IMGPIPE_REPORT=str(report)) as crawl:
        crawl.images(A)
    header = report.read_text().splitlines()[0]
    assert header.split(",") == [column.name for column in COLUMNS]


def test_a_second_crawl_reports_what_was_up_to_date(tmp_path, report):
    for outcome in ("stored", "up-to-date"):
        with Crawl(tmp_path, {A: jpeg()}, IMGPIPE_REPORT=str(report)) as crawl:
            (image,) = crawl.images(A)
        (row,) = read_rows(report)  # of the last crawl only
        assert (row["outcome"], row["checksum"]) == (outcome, image["checksum"])
    assert (row["bytes_in"], row["bytes_stored"], row["attempts"]) == (0, 0, 0)


def test_asks_that_are_open_when_the_crawl_ends_are_interrupted(tmp_path, report):
    async def never(request):
        await asyncio.Event().wait()

    async def run(crawl):
        asked = asyncio.ensure_future(crawl.pipeline.process_item({"image_urls": [A, B]}))
        while not crawl.site.asked:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0)
        await crawl.pipeline.reporting.close()
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)

    with Crawl(tmp_path, {A: never, B: never}, IMGPIPE_REPORT=str(report)) as crawl:
        asyncio.run(run(crawl))
    assert [row["outcome"] for row in read_rows(report)] == ["interrupted"] * 2


def test_an_item_that_is_given_up_leaves_its_rows(tmp_path, report):
    async def never(request):
        await asyncio.Event().wait()

    async def run(crawl):
        asked = asyncio.ensure_future(crawl.pipeline.process_item({"image_urls": [A, B]}))
        while not crawl.site.asked:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)

    with Crawl(tmp_path, {A: never, B: never}, IMGPIPE_REPORT=str(report)) as crawl:
        asyncio.run(run(crawl))
    assert sorted((row["slot"], row["outcome"]) for row in read_rows(report)) == [
        (0, "interrupted"),
        (1, "interrupted"),
    ]
    assert crawl.outcomes() == {"interrupted": 2}


def test_an_item_may_have_a_key_of_its_own(tmp_path, report):
    settings = {"IMGPIPE_REPORT": str(report), "IMGPIPE_ITEM_KEY": "sku"}
    items = [
        {"image_urls": [A], "sku": "x-1"},
        {"image_urls": [B], "sku": None},
        {"image_urls": [C]},
    ]
    with Crawl(tmp_path, dict.fromkeys([A, B, C], jpeg()), **settings) as crawl:
        crawl.process(*items)
    assert {(row["url"], row["item"]) for row in read_rows(report)} == {
        (A, "x-1"),
        (B, "2"),
        (C, "3"),
    }


def test_an_entry_of_candidates_is_one_row(tmp_path, report):
    with Crawl(tmp_path, {B: jpeg()}, IMGPIPE_REPORT=str(report)) as crawl:
        crawl.images([A, B], C)
    rows = rows_of(report)
    assert [(row["url"], row["outcome"]) for _, row in sorted(rows.items())] == [
        (B, "stored"),
        (C, "http-status"),
    ]


def test_record_functions_add_columns(tmp_path, report):
    settings = {
        "IMGPIPE_REPORT": str(report),
        "IMGPIPE_RECORD": [
            "mean_brightness",
            f"{__name__}.brightness_and_size",
            lambda image: {"n": 1},
        ],
    }
    answers = {A: jpeg((100, 80)), B: encoded(noise(mode="LA"), "PNG"), C: 404}
    rounds = []
    for outcome in ("stored", "up-to-date"):
        with Crawl(tmp_path, answers, **settings) as crawl:
            crawl.images(A, B, C)
        rows = rows_of(report)
        assert rows["1", 0]["outcome"] == outcome
        names = ("mean_brightness", "size", "mode", "n")
        rounds.append({key: [row.get(name) for name in names] for key, row in rows.items()})
        assert 0 < rows["1", 0]["mean_brightness"] < 255
        assert rows["1", 0]["size"] == [100, 80]
        assert rows["1", 1]["mode"] == "RGB"
        assert not rows["1", 2].get("n")
    assert rounds[0] == rounds[1]


def test_record_functions_that_come_later_are_called_for_what_is_stored(tmp_path, report):
    with Crawl(tmp_path, {A: jpeg()}) as crawl:
        crawl.images(A)
    settings = {"IMGPIPE_REPORT": str(report), "IMGPIPE_RECORD": ["mean_brightness"]}
    for _ in range(2):
        with Crawl(tmp_path, **settings) as crawl:
            (image,) = crawl.images(A)
        (row,) = read_rows(report)
        assert (row["outcome"], image["status"]) == ("up-to-date", "uptodate")
        assert row["mean_brightness"] > 0


def test_a_record_function_that_raises_costs_its_answer_and_says_so_once(tmp_path, report, caplog):
    settings = {"IMGPIPE_REPORT": str(report), "IMGPIPE_RECORD": [broken_function]}
    with Crawl(tmp_path, {A: jpeg(), B: jpeg()}, **settings) as crawl:
        assert len(crawl.images(A, B)) == 2
    for row in read_rows(report):
        assert (row["outcome"], row["record_error"]) == ("stored", "ValueError: mine")
    (line,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert line.getMessage().startswith("A record function failed: ValueError: mine (")


def test_a_record_function_cannot_take_the_place_of_a_column(tmp_path, report):
    settings = {
        "IMGPIPE_REPORT": str(report),
        "IMGPIPE_RECORD": [lambda image: {"url": "mine", "status": 3}],
    }
    with Crawl(tmp_path, {A: jpeg()}, **settings) as crawl:
        crawl.images(A)
    (row,) = read_rows(report)
    assert (row["url"], row["status"]) == (A, "downloaded")
    assert (row["record_url"], row["record_status"]) == ("mine", 3)


def test_a_url_is_reported_as_the_item_has_it(tmp_path, report):
    entry = f"{SITE}/ü 1.jpg"
    with Crawl(tmp_path, {f"{SITE}/%C3%BC%201.jpg": jpeg()}, IMGPIPE_REPORT=str(report)) as crawl:
        (image,) = crawl.images(entry)
        crawl.images([f"{SITE}/no ü.jpg", entry])
    assert image["url"] == f"{SITE}/%C3%BC%201.jpg"
    assert [row["url"] for row in read_rows(report)] == [entry, entry]


def test_two_crawls_at_once_do_not_write_one_report(tmp_path, caplog):
    report = str(tmp_path / "report.jsonl")
    with Crawl(tmp_path, {A: jpeg()}, IMGPIPE_REPORT=report) as one:
        one.images(A)
        asyncio.run(flushed(one))
        with Crawl(tmp_path, {B: jpeg()}, IMGPIPE_REPORT=report) as other:
            other.images(B)
        one.images(C)
    assert [row["url"] for row in read_rows(report)] == [A, C]
    (line,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert "Another crawl of this process" in line.getMessage()
    with Crawl(tmp_path, {A: jpeg()}, IMGPIPE_REPORT=report) as later:
        later.images(A)
    assert len(list(read_rows(report))) == 1


async def flushed(crawl):
    crawl.pipeline.reporting._flush()
    await crawl.pipeline.reporting._batches.drained()


def test_two_pipelines_of_one_crawl_share_a_report(tmp_path, report):
    with Crawl(tmp_path, {A: jpeg(), B: jpeg()}, IMGPIPE_REPORT=str(report)) as crawl:
        other = type("Other", (ImagesPipeline,), {}).from_crawler(crawl.crawler)
        assert other.reporting is crawl.pipeline.reporting
        other.open_spider()

        async def run():
            await crawl.pipeline.process_item({"image_urls": [A]})
            await other.process_item({"image_urls": [B]})

        asyncio.run(run())
    assert sorted(row["url"] for row in read_rows(report)) == [A, B]


def test_spider_and_time_may_be_in_its_name(tmp_path):
    place = tmp_path / "%(name)s" / "%(time)s.jsonl"
    with Crawl(tmp_path, {A: jpeg()}, IMGPIPE_REPORT=str(place)) as crawl:
        crawl.images(A)
    (made,) = (tmp_path / DefaultSpider.name).iterdir()
    assert made.name.startswith("20")
    assert len(list(read_rows(made))) == 1


def test_a_job_that_is_continued_continues_its_report(tmp_path, report):
    settings = {"IMGPIPE_REPORT": str(report), "JOBDIR": str(tmp_path / "job")}
    for url in (A, B):
        with Crawl(tmp_path / "store", {A: jpeg(), B: jpeg()}, **settings) as crawl:
            crawl.images(url)
        (tmp_path / "job").mkdir(exist_ok=True)
        (tmp_path / "job" / "requests.seen").touch()
    assert [row["url"] for row in read_rows(report)] == [A, B]


def test_a_report_that_cannot_be_written_costs_one_line_and_no_image(tmp_path, caplog):
    (tmp_path / "file").touch()
    report = tmp_path / "file" / "report.jsonl"
    with Crawl(tmp_path / "store", {A: jpeg()}, IMGPIPE_REPORT=str(report)) as crawl:
        (image,) = crawl.images(A)
    assert image["status"] == "downloaded"
    (line,) = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert line.getMessage().startswith("The report is not complete: ")


def test_a_crawl_without_images_has_an_empty_report(tmp_path, report):
    with Crawl(tmp_path, IMGPIPE_REPORT=str(report)):
        pass
    assert list(read_rows(report)) == []


def test_without_the_setting_there_is_no_report_and_nothing_is_kept(tmp_path):
    with Crawl(tmp_path, {A: jpeg()}) as crawl:
        crawl.images(A)
        assert not crawl.pipeline.reporting.is_on
        assert not crawl.pipeline.reporting._open
        assert not crawl.pipeline.reporting._rows
