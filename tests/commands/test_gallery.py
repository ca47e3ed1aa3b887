"""The command that writes the page: what it shows, where from, and what it says."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from scrapy.settings import Settings

from scrapy_imgpipe import SettingError, StoreFailed
from scrapy_imgpipe.commands.arguments import parser
from scrapy_imgpipe.commands.console import Console
from scrapy_imgpipe.commands.gallery import write_gallery
from scrapy_imgpipe.stores import MemoryStore
from tests.commands.places import URLS, crawled
from tests.pictures import jpeg
from tests.report.galleries import told


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return what runs ``gallery``: its status and the lines it prints."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, **settings):
        out = io.StringIO()
        wanted = parser().parse_args(["gallery", *map(str, arguments), "-o", "web"])
        given = Settings({"IMGPIPE_INDEX": "index.sqlite", **settings}, priority="project")
        status = write_gallery(wanted, given, Console(out, io.StringIO()))
        return status, out.getvalue().splitlines()

    return run


@pytest.fixture
def store(tmp_path):
    report = str(tmp_path / "crawl.jsonl")
    answers = {URLS[0]: jpeg((900, 600)), URLS[1]: jpeg((60, 40)), URLS[2]: 404}
    crawled(tmp_path, answers, IMGPIPE_REPORT=report)
    return tmp_path / "store"


def test_a_report_and_its_store(run, store, tmp_path):
    status, lines = run("crawl.jsonl", "--store", "store", "--title", "Shop")
    assert status == 0
    assert lines == [
        "2 pictures; 1 failures; 1 thumbnails made, 0 stale files removed",
        f"the page is at {tmp_path / 'web' / 'index.html'}",
    ]
    page = told(Path("web"))
    assert page.about["title"] == "Shop"
    rows = {row["url"]: row for row in page.rows}
    assert rows.keys() == set(URLS)
    assert rows[URLS[2]]["outcome"] == "http-status"


def test_the_store_of_a_report_is_that_of_the_project(run, store):
    run("crawl.jsonl", IMAGES_STORE=str(store))
    shown = {row["url"] for row in told(Path("web")).rows if row["thumb"]}
    assert shown == set(URLS[:2])


def test_a_store_is_what_its_index_knows(run, store):
    run("store")
    rows = {row["url"]: row for row in told(Path("web")).rows}
    assert rows.keys() == set(URLS)
    assert rows[URLS[2]]["flags"] == 1
    assert not rows[URLS[2]]["path"]


def test_no_argument_is_the_store_of_the_project(run, store):
    _, lines = run(IMAGES_STORE=str(store))
    assert lines[0].startswith("2 pictures; 1 failures;")


@pytest.mark.parametrize("index", ["other.sqlite", "off"])
def test_a_folder_that_no_index_knows(run, store, index):
    _, lines = run("store", IMGPIPE_INDEX=index)
    assert lines[0].startswith("2 pictures; 0 failures;")
    assert not Path("other.sqlite").exists()


def test_a_folder_of_images_may_be_called_as_a_report(run, tmp_path):
    (tmp_path / "photos.csv").mkdir()
    (tmp_path / "photos.csv" / "a.jpg").write_bytes(jpeg())
    _, lines = run("photos.csv")
    assert lines[0].startswith("1 pictures;")


def test_a_store_elsewhere(run, tmp_path):
    store = MemoryStore(tmp_path.name)
    store.put("full/a.jpg", jpeg((900, 600)))
    _, lines = run(f"memory://{tmp_path.name}")
    store.clear()
    assert lines[0].startswith("1 pictures; 0 failures; 2 thumbnails made")


def test_what_cannot_be_shown_is_counted(run, store):
    (store / "full/another.jpg").write_bytes(jpeg((900, 600))[:9000])
    _, lines = run("store", IMGPIPE_INDEX="off")
    assert lines[0].startswith("3 pictures, 1 of them missing or damaged; 0 failures")


def test_what_is_not_there_is_said(run, tmp_path):
    with pytest.raises(StoreFailed, match="There is no store"):
        run("nowhere")
    (tmp_path / "store").mkdir()
    with pytest.raises(FileNotFoundError):
        run("nothing.jsonl", "--store", "store")
    with pytest.raises(SettingError, match="IMAGES_STORE is not set"):
        run()
