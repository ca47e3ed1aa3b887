"""Index and report in real crawls: under each event loop, and after a kill."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from scrapy_imgpipe.index import SqliteIndex
from scrapy_imgpipe.report import read_rows
from scrapy_imgpipe.stores import FileSystemStore
from scrapy_imgpipe.tasks.looking import is_as_recorded
from tests.crawl.crawls import MODES, Crawl, crawl
from tests.crawl.site import Answer
from tests.pictures import jpeg

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crawl.site import Site

THUMBS = {"small": [50, 50]}


@pytest.mark.parametrize("mode", MODES)
def test_an_expired_store_is_asked_for_what_has_changed_only(
    site: Site, tmp_path: Path, mode: str
) -> None:
    images = [f"/{mode}-{number}.jpg" for number in range(6)]
    site.answers |= {path: Answer(jpeg(), etag=f'"{path}-1"') for path in images}
    site.answers[images[0]] = jpeg()  # without a validator
    page = site.add_page(f"/{mode}.html", [*images, images[1]])
    settings = {
        "store": tmp_path / "store",
        "mode": mode,
        "IMAGES_THUMBS": THUMBS,
        "IMGPIPE_REPORT": str(tmp_path / "report.jsonl"),
    }
    first = crawl(tmp_path, page, **settings).went_well()
    assert first.outcomes == {"stored": 6, "joined": 1}
    site.answers[images[5]] = Answer(jpeg(), etag='"changed"')
    again = crawl(tmp_path, page, **settings, IMAGES_EXPIRES=0).went_well()
    assert again.outcomes == {"stored": 2, "revalidated": 4, "joined": 1}
    assert again.stats["file_status_count/revalidated"] == 4
    rows = {row["slot"]: row for row in read_rows(tmp_path / "report.jsonl")}
    assert [rows[slot]["http_status"] for slot in range(6)] == [200, 304, 304, 304, 304, 200]
    assert [rows[slot]["attempts"] for slot in range(7)] == [1] * 6 + [0]
    assert [rows[slot]["bytes_in"] > 0 for slot in range(7)] == [1, 0, 0, 0, 0, 1, 0]
    assert {row["page"] for row in rows.values()} == {page}
    kept = [image["checksum"] for image in first.images[:5]]
    assert [image["checksum"] for image in again.images[1:5]] == kept[1:]
    assert rows[5]["checksum"] != first.images[5]["checksum"]
    third = crawl(tmp_path, page, **settings).went_well()
    assert third.outcomes == {"up-to-date": 6, "joined": 1}


@pytest.mark.parametrize("mode", MODES)
def test_a_row_counts_redirects_and_retries(site: Site, tmp_path: Path, mode: str) -> None:
    site.answers["/here.jpg"] = jpeg()
    site.answers["/moved.jpg"] = Answer(status=302, headers={"Location": "/here.jpg"})
    site.answers["/busy.jpg"] = Answer(jpeg(), status=503)
    page = site.add_page("/attempts.html", ["/moved.jpg", "/busy.jpg", "/here.jpg"])
    settings = {"MEDIA_ALLOW_REDIRECTS": True, "RETRY_ENABLED": True, "RETRY_TIMES": 2}
    report = tmp_path / "report.csv"
    crawl(
        tmp_path, page, store=tmp_path / "store", mode=mode, IMGPIPE_REPORT=str(report), **settings
    ).went_well()
    rows = {row["slot"]: row for row in read_rows(report)}
    assert [rows[slot]["attempts"] for slot in range(3)] == [2, 3, 1]
    assert [rows[slot]["outcome"] for slot in range(3)] == ["stored", "http-status", "stored"]
    assert rows[1]["http_status"] == 503
    assert all(rows[slot]["seconds_downloading"] > 0 for slot in range(3))


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("kind", ["jsonl", "csv", "sqlite", "parquet"])
def test_what_was_told_before_a_kill_is_true_and_the_next_crawl_believes_it(
    site: Site, tmp_path: Path, kind: str
) -> None:
    images = [f"/killed-{number}.jpg" for number in range(40)]
    site.answers |= {path: jpeg() for path in images}
    held = threading.Event()
    site.answers |= {path: Answer(gate=held) for path in images[20:]}
    pages = [site.add_page(f"/killed-{n}.html", images[n : n + 1]) for n in range(40)]
    settings = {
        "store": tmp_path / "store",
        "IMAGES_THUMBS": THUMBS,
        "IMGPIPE_INDEX": str(tmp_path / "index.sqlite"),
        "IMGPIPE_REPORT": str(tmp_path / f"report.{kind}"),
    }
    site.forget()
    running = Crawl(tmp_path, *pages, **settings)
    store = FileSystemStore(tmp_path / "store")
    with closing(SqliteIndex(tmp_path / "index.sqlite")) as index:
        while not running.is_over_after(0.02) and index.count() < 10:
            pass
        running.process.kill()
        assert running.end().code == -signal.SIGKILL
        held.set()
        known = {record.url: record for record in index.records()}
    assert len(known) >= 10
    for record in known.values():
        assert len(record.files) == 2
        assert all(is_as_recorded(file, store) for file in record.files)
    if (tmp_path / f"report.{kind}").exists():
        told = list(read_rows(tmp_path / f"report.{kind}"))
        assert {row["outcome"] for row in told} <= {"stored"}
        assert {row["url"] for row in told} <= set(known)
    site.answers |= {path: jpeg() for path in images[20:]}
    site.forget()
    crawled = crawl(tmp_path, *pages, **settings).went_well()
    assert sum(crawled.outcomes.values()) == 40
    asked = site.asked("jpg")
    assert not [url for url in known if url.removeprefix(site.url("")) in asked]
    assert len(list(read_rows(tmp_path / f"report.{kind}"))) == 40


def test_two_crawls_at_once_share_one_index(site: Site, tmp_path: Path) -> None:
    images = [f"/shared-{number}.jpg" for number in range(60)]
    site.answers |= {path: jpeg() for path in images}
    one = site.add_page("/one.html", images[:40])
    two = site.add_page("/two.html", images[20:])
    settings = {
        "store": tmp_path / "store",
        "IMAGES_THUMBS": THUMBS,
        "IMGPIPE_INDEX": str(tmp_path / "index.sqlite"),
    }
    crawls = [Crawl(tmp_path / name, page, **settings) for name, page in (("1", one), ("2", two))]
    for running in crawls:
        assert len(running.end().went_well().images) == 40
    with closing(SqliteIndex(tmp_path / "index.sqlite")) as index:
        assert {record.url for record in index.records()} == {site.url(path) for path in images}
    site.forget()
    for page in (one, two):
        assert crawl(tmp_path, page, **settings).went_well().outcomes == {"up-to-date": 40}
    assert not site.asked("jpg")
