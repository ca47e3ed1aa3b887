"""Pipelines of a user's own: their hooks see the columns, and none of them holds a fetch up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scrapy_imgpipe import ImagesPipeline, SettingError, fetch_images
from scrapy_imgpipe.fetching import process
from scrapy_imgpipe.report import read_rows
from tests.crawl.crawls import files
from tests.fetching import pipelines
from tests.fetching.reports import outcomes_of, photos, rows_of
from tests.pictures import jpeg

if TYPE_CHECKING:
    from tests.crawl.site import Site


def test_files_are_named_by_columns(site: Site, tmp_path: Path) -> None:
    entries = [
        {"url": url, "shelf": "a/b", "sku": number} for number, url in enumerate(photos(site, 3))
    ]
    fetched = fetch_images(entries, tmp_path / "store", pipeline=pipelines.BySku)
    assert [row["path"] for row in rows_of(fetched)] == [f"a/b/{n}.jpg" for n in range(3)]
    assert set(files(tmp_path / "store")) == {f"a/b/{n}.jpg" for n in range(3)}


def test_a_class_may_be_named_and_has_settings_of_its_own(site: Site, tmp_path: Path) -> None:
    entries = [{"url": url, "shelf": "a", "sku": "b"} for url in photos(site, 1)]
    fetch_images(
        entries,
        tmp_path / "store",
        pipeline="tests.fetching.pipelines.BySku",
        settings={"BYSKU_IMAGES_THUMBS": {"tiny": (10, 10)}, "IMAGES_THUMBS": {"other": (9, 9)}},
    )
    assert {path.partition("/")[0] for path in files(tmp_path / "store")} == {"a", "thumbs"}
    assert (tmp_path / "store" / "thumbs" / "tiny").is_dir()


def test_each_request_of_a_line_has_a_row_and_a_line_without_any_has_none(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And none of them keeps its place: the window is smaller than the list."""
    monkeypatch.setattr(process, "WINDOW", 2)
    times = [2, 0, 0, 1, 0, 2]
    urls = [site.url(f"/{number}.jpg") for number in range(len(times))]
    for number, count in enumerate(times):
        for again in range(count):
            site.answers[f"/{number}.jpg?{again}"] = jpeg()
    entries = [{"url": url, "times": count} for url, count in zip(urls, times, strict=True)]
    report = tmp_path / "report.jsonl"
    fetch_images(entries, tmp_path / "store", pipeline=pipelines.ManyRequests, report=report)
    rows = sorted((row["line"], row["url"]) for row in read_rows(report))
    assert rows == [
        (line, f"{urls[line]}?{again}") for line in range(6) for again in range(times[line])
    ]


def test_items_may_end_in_any_way(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "WINDOW", 2)
    ends = ["dropped", "failed", "another", "nothing", "no requests", "dropped", "nothing"]
    entries = [
        {"url": url, "end": end} for url, end in zip(photos(site, len(ends)), ends, strict=True)
    ]
    report = tmp_path / "report.jsonl"
    fetched = fetch_images(
        entries,
        tmp_path / "store",
        pipeline=pipelines.OddEnds,
        report=report,
        settings={"LOG_LEVEL": "CRITICAL"},
    )
    assert sorted(row["line"] for row in read_rows(report)) == [0, 1, 2, 3, 5, 6]
    assert fetched.outcomes == {"stored": 6}


def test_a_class_that_no_other_process_can_import_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Here(ImagesPipeline):
        pass

    with pytest.raises(SettingError, match=r"that another process can import.*Here"):
        fetch_images([], tmp_path / "store", pipeline=Here)
    monkeypatch.setattr(pipelines.BySku, "__module__", "__main__")
    with pytest.raises(SettingError, match="BySku of __main__"):
        fetch_images([], tmp_path / "store", pipeline=pipelines.BySku)


def test_what_is_no_pipeline_of_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="derived from"):
        fetch_images([], tmp_path / "store", pipeline="scrapy.pipelines.images.ImagesPipeline")


def test_a_step_that_ends_the_process_costs_its_image(site: Site, tmp_path: Path) -> None:
    """Its crawl dies once; the next one renders in processes of its own."""
    urls = photos(site, 12)
    site.answers["/5.jpg"] = jpeg((pipelines.DEADLY_WIDTH, 50))
    fetched = fetch_images(
        urls,
        tmp_path / "store",
        full={"steps": ["tests.fetching.pipelines.deadly"]},
    )
    outcomes = outcomes_of(fetched)
    assert outcomes[5] == "crashed"
    assert {*outcomes[:5], *outcomes[6:]} <= {"stored", "up-to-date"}
    assert len(files(tmp_path / "store")) == 11
