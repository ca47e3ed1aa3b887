"""Lists in, reports out: each line has its row, with the columns of the list."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scrapy_imgpipe import SettingError, fetch_images
from scrapy_imgpipe.report import read_rows
from tests.crawl.crawls import files, name_of
from tests.fetching.reports import outcomes_of, photos, rows_of

if TYPE_CHECKING:
    from tests.crawl.site import Site

#: What stands beside the URLs, by the names that reports have for it.
COLUMNS: dict[str, Any] = {
    "plain": 'text, with "quotes"\nand a line end',
    "": "without a name",
    "Größe 'x' -- ;": 12,
    "outcome": "theirs",
    "list_outcome": "theirs as well",
    "line": 99,
    "item": "their item",
    "image_urls": ["not", "ours"],
    "images": {"not": "ours"},
    "imgpipe_line": "not ours",
    "nested": {"a": [1, 2.5, None, True]},
    "empty": None,
}
TOLD: dict[str, Any] = {
    "plain": COLUMNS["plain"],
    "column_3": "without a name",
    "Größe 'x' -- ;": 12,
    "list_outcome": "theirs",
    "list_outcome_2": "theirs as well",
    "list_line": 99,
    "list_item": "their item",
    "image_urls": ["not", "ours"],
    "images": {"not": "ours"},
    "imgpipe_line": "not ours",
    "nested": {"a": [1, 2.5, None, True]},
}


@pytest.mark.parametrize("extension", [".jsonl", ".csv", ".sqlite", ".parquet"])
def test_columns_are_carried_into_reports_of_each_format(
    site: Site, tmp_path: Path, extension: str
) -> None:
    urls = [*photos(site, 2), site.url("/gone.jpg")]
    path = tmp_path / "list.jsonl"
    records = [{"url": url, **COLUMNS, "n": number} for number, url in enumerate(urls)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    fetched = fetch_images(path, tmp_path / "store", report=tmp_path / f"report{extension}")
    rows = rows_of(fetched)
    assert [row["outcome"] for row in rows] == ["stored", "stored", "http-status"]
    for number, row in enumerate(rows):
        assert (row["url"], row["n"], row["item"]) == (urls[number], number, str(number))
        assert {name: row.get(name) for name in TOLD} == TOLD
        assert "empty" not in row


def test_a_column_may_tell_the_items_apart(site: Site, tmp_path: Path) -> None:
    entries = [
        {"url": url, "sku": sku} for url, sku in zip(photos(site, 3), (7, None, "c"), strict=True)
    ]
    fetched = fetch_images(entries, tmp_path / "store", settings={"IMGPIPE_ITEM_KEY": "sku"})
    assert [row["item"] for row in rows_of(fetched)] == ["7", "1", "c"]


def test_each_kind_of_file_is_a_list(site: Site, tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    urls = photos(site, 3)
    names = {}
    names["txt"] = tmp_path / "list.txt"
    names["txt"].write_text("\n".join([*urls, ""]))
    names["csv"] = tmp_path / "list.csv"
    with names["csv"].open("w", newline="") as file:
        csv.writer(file).writerows([["id", "url"], *enumerate(urls)])
    names["jsonl"] = tmp_path / "list.jsonl"
    lines = [json.dumps({"url": url, "id": number}) for number, url in enumerate(urls)]
    names["jsonl"].write_text("\n".join(lines))
    names["parquet"] = tmp_path / "list.parquet"
    parquet.write_table(arrow.table({"url": urls, "id": [0, 1, 2]}), names["parquet"])
    store = tmp_path / "store"
    for kind, name in names.items():
        rows = rows_of(fetch_images(name, store))
        assert [row["url"] for row in rows] == urls
        ids = [str(row.get("id")) for row in rows]
        assert ids == (["None"] * 3 if kind == "txt" else ["0", "1", "2"])
    assert site.asked() == {f"/{number}.jpg": 1 for number in range(3)}  # what is there stays
    assert set(files(store)) == {f"full/{name_of(url)}" for url in urls}


def test_lines_that_are_no_url_have_a_row(
    site: Site, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (url,) = photos(site, 1)
    path = tmp_path / "list.jsonl"
    lines = [
        json.dumps({"url": url}),
        "{",
        json.dumps({"url": None, "n": 1}),
        json.dumps({"url": "file:///a.jpg"}),
        json.dumps({"url": "a\ud800.jpg"}),
        json.dumps({"n": 2}),
        json.dumps({"url": site.refusing_url}),
    ]
    path.write_text("\n".join(lines))
    fetched = fetch_images(path, tmp_path / "store")
    rows = rows_of(fetched)
    assert [row["outcome"] for row in rows] == [
        *("stored", "bad-url", "bad-url", "url-not-allowed", "bad-url", "bad-url"),
        "download-failed",
    ]
    assert "list.jsonl" in rows[1]["list_problem"]
    assert fetched.failed == 6
    wanted = {"stored": 1, "bad-url": 4, "url-not-allowed": 1, "download-failed": 1}
    assert fetched.outcomes == wanted
    assert capfd.readouterr().err == ""  # that is in the report, and not in the log


def test_columns_of_a_program_may_hold_anything(site: Site, tmp_path: Path) -> None:
    (url,) = photos(site, 1)
    circle: list[Any] = []
    circle.append(circle)
    odd = {"a": object, "b": {1, 2}, "c": Decimal("1.50"), "d": b"bytes", "e": float("nan")}
    odd |= {"f": circle, "g": {(1, 2): 3}, "h": Path("there"), "i": 1 << 70, "j": "\ud800"}
    entries: list[Any] = [{"url": url, **odd}, {"url": url, 5: "five", None: "none"}]
    first, second = rows_of(fetch_images(entries, tmp_path / "store"))
    assert {first["outcome"], second["outcome"]} == {"stored", "joined"}
    assert (first["d"], first["h"], first["i"], first["j"]) == ("bytes", "there", str(1 << 70), "�")
    assert (first["c"], second["5"]) == ("1.50", "five")
    assert "e" not in first


def test_one_url_on_many_lines_is_asked_once_and_has_a_row_for_each(
    site: Site, tmp_path: Path
) -> None:
    (url,) = photos(site, 1)
    rows = rows_of(fetch_images([url] * 50, tmp_path / "store"))
    assert len(rows) == 50
    assert {row["outcome"] for row in rows} <= {"stored", "joined", "up-to-date"}
    assert [row["outcome"] for row in rows].count("stored") == 1
    assert len({row["path"] for row in rows}) == 1
    assert site.asked() == {"/0.jpg": 1}


def test_a_list_that_cannot_be_read_on_is_done_up_to_there(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps([{"url": url} for url in photos(site, 3)])[:-1] + ", {")
    report = tmp_path / "report.jsonl"
    with pytest.raises(SettingError, match=r"list\.json"):
        fetch_images(path, tmp_path / "store", report=report)
    assert outcomes_of(report) == ["stored"] * 3


def test_what_a_program_raises_from_its_generator_is_raised(site: Site, tmp_path: Path) -> None:
    urls = photos(site, 3)

    def broken() -> Any:
        yield from urls
        raise ZeroDivisionError

    report = tmp_path / "report.jsonl"
    with pytest.raises(ZeroDivisionError):
        fetch_images(broken(), tmp_path / "store", report=report)
    lines = [row["line"] for row in read_rows(report)]
    assert len(lines) == len(set(lines))
