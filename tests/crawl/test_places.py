"""A store that cannot be written, an index that is locked, damaged or gone: crawls go on."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.crawl.crawls import crawl, files
from tests.pictures import jpeg

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crawl.site import Site

IMAGES = [f"/places-{number}.jpg" for number in range(6)]
THUMBS = {"small": [50, 50]}


@pytest.fixture
def page(site: Site) -> str:
    site.answers |= {path: jpeg() for path in IMAGES}
    return site.add_page("/places.html", IMAGES)


@pytest.fixture
def read_only(tmp_path: Path, page: str, site: Site):
    """Return a store with half of the images, which nobody can write to any more."""
    store = tmp_path / "store"
    store.mkdir()
    half = site.add_page("/half.html", IMAGES[:3])
    mounted = sys.platform == "linux" and os.getuid() == 0  # root may write anywhere else
    if mounted:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(store)], check=True)
    crawl(tmp_path, half, store=store, IMAGES_THUMBS=THUMBS).went_well()
    folders = [store, *(path for path in store.rglob("*") if path.is_dir())]
    if mounted:
        subprocess.run(["mount", "-o", "remount,ro", str(store)], check=True)
    else:
        for folder in folders:
            folder.chmod(0o500)
    yield store
    if mounted:
        subprocess.run(["umount", str(store)], check=True)
    else:
        for folder in folders:
            folder.chmod(0o700)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_of_a_read_only_store_what_is_there_is_up_to_date_and_the_rest_fails_alone(
    read_only: Path, page: str, tmp_path: Path
) -> None:
    before = files(read_only)
    crawled = crawl(tmp_path, page, store=read_only, IMAGES_THUMBS=THUMBS).went_well()
    assert crawled.outcomes == {"up-to-date": 3, "store-failed": 3}
    assert len(crawled.images) == 3
    lines = [line for line in crawled.lines() if line[0] == "ERROR"]
    assert len(lines) == 3
    assert all("Could not write" in message for _, message in lines)
    assert files(read_only) == before


def test_an_index_that_another_process_has_locked_costs_no_image(
    page: str, site: Site, tmp_path: Path
) -> None:
    place = tmp_path / "index.sqlite"
    settings = {"store": tmp_path / "store", "IMGPIPE_INDEX": str(place)}
    crawl(tmp_path, page, **settings).went_well()
    shutil.rmtree(tmp_path / "store")
    with closing(sqlite3.connect(place, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        crawled = crawl(tmp_path, page, **settings).went_well()
        other.execute("ROLLBACK")
    assert crawled.outcomes == {"stored": len(IMAGES)}
    assert len(crawled.images) == len(IMAGES)
    ((level, _),) = crawled.lines("files are looked into instead")
    assert level == "ERROR"
    site.forget()
    assert crawl(tmp_path, page, **settings).went_well().outcomes == {"up-to-date": len(IMAGES)}
    assert not site.asked("jpg")


@pytest.mark.parametrize("damage", ["gone", "cut off", "no database"])
def test_an_index_that_is_damaged_or_gone_costs_no_download(
    page: str, site: Site, tmp_path: Path, damage: str
) -> None:
    place = tmp_path / "index.sqlite"
    settings = {"store": tmp_path / "store", "IMAGES_THUMBS": THUMBS, "IMGPIPE_INDEX": str(place)}
    first = crawl(tmp_path, page, **settings).went_well()
    before = files(tmp_path / "store")
    for path in tmp_path.glob("index.sqlite?*"):
        path.unlink()
    if damage == "gone":
        place.unlink()
    else:
        data = place.read_bytes()
        place.write_bytes(
            data[: len(data) // 2] if damage == "cut off" else b"<!doctype html>" * 99
        )
    site.forget()
    again = crawl(tmp_path, page, **settings).went_well()
    assert again.outcomes == {"up-to-date": len(IMAGES)}
    assert [image["path"] for image in again.images] == [image["path"] for image in first.images]
    assert files(tmp_path / "store") == before
    assert not site.asked("jpg")
