"""Tar shards for training: each line has its row, and its picture where it has one."""

from __future__ import annotations

import json
import signal
import sys
import tarfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scrapy_imgpipe import SettingError, StoreFailed, fetch_images
from scrapy_imgpipe.fetching import shards as in_shards
from scrapy_imgpipe.fetching.shards import Shards
from scrapy_imgpipe.stores import FileSystemStore, temporary
from scrapy_imgpipe.webdataset import ShardWriter
from tests.crawl.crawls import files
from tests.crawl.site import Answer
from tests.fetching.commands import Command
from tests.fetching.reports import outcomes_of, photos, rows_of
from tests.pictures import jpeg, opened

if TYPE_CHECKING:
    from tests.crawl.site import Site

parquet = pytest.importorskip("pyarrow.parquet")

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells which process lives")


def samples_in(store: Path) -> dict[str, dict[str, bytes]]:
    """Return the files of each sample in all shards, by key."""
    samples: dict[str, dict[str, bytes]] = {}
    for path in sorted(store.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, extension = member.name.partition(".")
                file = tar.extractfile(member)
                assert file is not None
                samples.setdefault(key, {})[extension] = file.read()
    return samples


def told_in(store: Path) -> list[dict[str, Any]]:
    """Return the rows of all shards in the order of their lines, each of which has one."""
    rows = [
        row
        for path in sorted(store.glob("*.parquet"))
        for row in parquet.read_table(path).to_pylist()
    ]
    rows.sort(key=lambda row: row["line"])
    assert [row["line"] for row in rows] == [*range(len(rows))]
    return rows


def test_shards_have_pictures_captions_and_what_failed(site: Site, tmp_path: Path) -> None:
    urls = [*photos(site, 5), site.url("/gone.jpg"), "nonsense"]
    entries = [{"url": url, "text": f"Bild {n}: ü", "n": n} for n, url in enumerate(urls)]
    report = tmp_path / "report.csv"
    store = tmp_path / "store"
    fetched = fetch_images(
        entries,
        store,
        output="webdataset",
        shard_size=3,
        caption="text",
        report=report,
        thumbs={"small": (20, 20)},
        renditions={"card": {"width": 30, "format": "WEBP"}},
    )
    assert fetched.outcomes == {"stored": 5, "http-status": 1, "bad-url": 1}
    assert outcomes_of(report) == ["stored"] * 5 + ["http-status", "bad-url"]
    assert {path.suffix for path in store.iterdir()} == {".tar", ".parquet", ".json"}
    assert len([*store.glob("*.tar")]) == 3
    samples, rows = samples_in(store), told_in(store)
    assert len(samples) == 5
    for number, row in enumerate(rows):
        assert (row["n"], row["caption"]) == (number, f"Bild {number}: ü")
        if number >= 5:
            assert row["status"] == "failed_to_download"
            assert row["key"] not in samples
            assert row["error_message"]
            continue
        sample = samples[row["key"]]
        assert set(sample) == {"jpg", "json", "txt", "small.jpg", "card.webp"}
        assert sample["jpg"] == site.answers[f"/{number}.jpg"]
        assert sample["txt"].decode() == row["caption"]
        assert opened(sample["card.webp"]).width == 30
        assert (row["original_width"], row["original_height"]) == (120, 60 + number)
        assert json.loads(sample["json"])["url"] == urls[number]


def test_lines_with_one_url_have_a_picture_each(site: Site, tmp_path: Path) -> None:
    first, second = photos(site, 2)
    fetched = fetch_images([first, second] * 10, tmp_path, output="webdataset", shard_size=7)
    assert len(rows_of(fetched)) == 20
    samples, rows = samples_in(tmp_path), told_in(tmp_path)
    assert len(rows) == len(samples) == 20
    for row in rows:
        assert samples[row["key"]]["jpg"] == site.answers[f"/{row['line'] % 2}.jpg"]


def test_a_line_that_joined_another_finds_its_files_later(tmp_path: Path) -> None:
    staging, store = FileSystemStore(tmp_path / "staging"), FileSystemStore(tmp_path / "store")
    photo = jpeg()
    staging.put("0.jpg", photo)
    shards = Shards(ShardWriter(store), staging, [])
    row = {"url": "http://shop.example/a.jpg", "path": "0.jpg", "status": "downloaded"}
    shards.write([{**row, "line": 0, "outcome": "stored"}])
    shards.write([{**row, "line": 1, "outcome": "joined"}])
    shards.close()
    assert [sample["jpg"] for sample in samples_in(tmp_path / "store").values()] == [photo] * 2


def test_files_that_are_in_shards_do_not_pile_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_shards, "_ROWS", 3)
    staging, store = FileSystemStore(tmp_path / "staging"), FileSystemStore(tmp_path / "store")
    shards = Shards(ShardWriter(store), staging, [])
    for number in range(10):
        staging.put(f"{number}.jpg", jpeg())
        row = {"url": "http://shop.example/a.jpg", "path": f"{number}.jpg", "outcome": "stored"}
        shards.write([{**row, "line": number}])
    assert sorted(staging.list()) == ["7.jpg", "8.jpg", "9.jpg"]
    shards.abandon()


@LINUX
def test_a_killed_run_keeps_the_shards_that_are_complete(
    site: Site, tmp_path: Path, environ: dict[str, str]
) -> None:
    gate = threading.Event()
    urls = photos(site, 12)
    for number in (9, 10, 11):
        path = f"/{number}.jpg"
        site.answers[path] = Answer(site.answers[path], gate=gate)
    (tmp_path / "list.txt").write_text("\n".join(urls))
    store = tmp_path / "store"
    told = ("list.txt", "--format", "webdataset", "--shard-size", 4)
    command = Command(tmp_path, environ, *told)
    command.wait_for_rows(8)
    command.process.kill()
    assert command.end()[0] == -signal.SIGKILL
    before = files(store)
    assert {"00000.tar", "00000.parquet", "00001.tar", "00001.parquet"} <= set(before)
    assert [path for path in store.iterdir() if path.is_dir()]  # what it had for itself
    gate.set()
    site.forget()
    code, text = Command(tmp_path, environ, *told).end()
    assert code == 0
    assert "Done before: 8 of the list" in text.splitlines()
    assert outcomes_of(command.report) == ["stored"] * 12
    after = files(store)
    assert {path: after[path] for path in after if path.startswith(("00000", "00001"))} == {
        path: before[path] for path in before if path.startswith(("00000", "00001"))
    }
    rows = told_in(store)
    samples = samples_in(store)
    assert [samples[row["key"]]["jpg"] for row in rows] == [_body(site, n) for n in range(12)]
    assert sum(site.asked().values()) == 4
    assert not [path for path in store.iterdir() if path.name.startswith(".")]


def _body(site: Site, number: int) -> bytes:
    answer: Any = site.answers[f"/{number}.jpg"]
    body: bytes = getattr(answer, "body", answer)
    return body


@pytest.mark.parametrize("other", ["other", "unknown", "shard"])
def test_shards_of_another_list_are_left_alone(site: Site, tmp_path: Path, other: str) -> None:
    urls = photos(site, 2)
    fetch_images(urls, tmp_path / "store", output="webdataset")
    before = files(tmp_path / "store")
    lists: dict[str, Any] = {"other": urls[::-1], "unknown": iter(urls), "shard": urls}
    if other == "shard":  # of another program
        (tmp_path / "store" / "list.json").unlink()
        del before["list.json"]
    with pytest.raises(SettingError, match="shards of another list"):
        fetch_images(lists[other], tmp_path / "store", output="webdataset")
    assert files(tmp_path / "store") == before


def test_a_list_that_is_through_is_not_done_again(site: Site, tmp_path: Path) -> None:
    urls = photos(site, 3)
    fetch_images(urls, tmp_path / "store", output="webdataset", shard_size=2)
    before = files(tmp_path / "store")
    fetched = fetch_images(urls, tmp_path / "store", output="webdataset", shard_size=2)
    assert (fetched.passed_over, fetched.outcomes) == (3, {})
    assert outcomes_of(fetched) == ["stored"] * 3
    assert files(tmp_path / "store") == before
    assert sum(site.asked().values()) == 3


def test_a_list_nobody_can_know_again_goes_into_an_empty_store(site: Site, tmp_path: Path) -> None:
    fetched = fetch_images(iter(photos(site, 3)), tmp_path, output="webdataset")
    assert outcomes_of(fetched) == ["stored"] * 3
    assert len(told_in(tmp_path)) == 3


def test_folders_of_the_dead_are_removed_and_those_of_the_living_stay(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    living = tmp_path / temporary.new_name()
    with monkeypatch.context() as patch:
        patch.setattr(temporary, "_owner", lambda _: f".imgpipe-{temporary._HOST}-1234567890-1-")
        dead = tmp_path / temporary.new_name()
    for folder in (living, dead):
        (folder / "full").mkdir(parents=True)
        (folder / "full" / "0.jpg").write_bytes(jpeg())
    fetch_images(photos(site, 1), tmp_path, output="webdataset")
    assert living.exists()
    assert not dead.exists()


def test_a_store_that_takes_no_shard_is_said(site: Site, tmp_path: Path) -> None:
    (tmp_path / "00000.tar").mkdir()
    with pytest.raises(StoreFailed, match=r"00000\.tar"):
        fetch_images(photos(site, 1), tmp_path, output="webdataset")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_steps_death_costs_its_picture(site: Site, tmp_path: Path) -> None:
    from tests.fetching.pipelines import DEADLY_WIDTH

    urls = photos(site, 6)
    site.answers["/3.jpg"] = jpeg((DEADLY_WIDTH, 50))
    full = {"steps": ["tests.fetching.pipelines.deadly"]}
    fetch_images(urls, tmp_path, output="webdataset", shard_size=2, full=full)
    rows = told_in(tmp_path)
    assert [row["status"] for row in rows] == [
        *["success"] * 3,
        "failed_to_resize",
        *["success"] * 2,
    ]
    assert rows[3]["outcome"] == "crashed"
    samples = samples_in(tmp_path)
    for row in rows[:3]:
        assert opened(samples[row["key"]]["jpg"]).size == (120, 60 + row["line"])
