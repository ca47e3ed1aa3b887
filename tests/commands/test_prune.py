"""Files that belong to no image, and images without a file."""

from __future__ import annotations

import io
import os
import sqlite3
import time
from contextlib import closing

import pytest

from scrapy_imgpipe import ImagesPipeline
from scrapy_imgpipe.commands.console import Console
from scrapy_imgpipe.commands.place import Place
from scrapy_imgpipe.commands.pruning import prune
from scrapy_imgpipe.errors import IndexFailed, StoreFailed
from scrapy_imgpipe.paths import image_path, thumb_path
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
from tests.pictures import jpeg

A, B, C = URLS
DAY = 24 * 60 * 60


@pytest.fixture
def store(tmp_path):
    """A store with three images and their thumbnails, all from the day before yesterday."""
    crawled(tmp_path, {url: jpeg() for url in URLS}, IMAGES_THUMBS=THUMBS)
    for path in (tmp_path / "store").rglob("*.jpg"):
        make_old(path)
    tell_index_all(tmp_path)
    return tmp_path / "store"


def tell_index_all(tmp_path):
    """Tell the index of *tmp_path* that it knows of all files that are older than itself."""
    with closing(crawl_of(tmp_path).pipeline.knowledge.index) as index:
        index.knows_all()


def make_old(path, days=2):
    then = time.time() - days * DAY
    os.utime(path, (then, then))


def add(store, path, data=b"12345", days=2):
    (store / path).parent.mkdir(parents=True, exist_ok=True)
    (store / path).write_bytes(data)
    make_old(store / path, days)
    return path


def files(store):
    return {path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file()}


def test_what_is_older_than_the_index_is_left_until_it_was_told_of_all_files(tmp_path):
    crawled(tmp_path, {url: jpeg() for url in URLS[1:]}, IMAGES_THUMBS=THUMBS)
    old = add(tmp_path / "store", "full/of-a-lost-index.jpg", jpeg())
    for _ in range(2):
        _, (line, hint) = run(tmp_path, prune, delete=True, IMAGES_THUMBS=THUMBS)
        assert line.startswith("0 of ")
        assert hint.startswith("1 files are older than the index")
        assert old in files(tmp_path / "store")
    tell_index_all(tmp_path)
    _, lines = run(tmp_path, prune, delete=True, IMAGES_THUMBS=THUMBS)
    assert len(lines) == 2
    assert old not in files(tmp_path / "store")


def test_a_tidy_store_loses_nothing(tmp_path, store):
    before = files(store)
    status, lines = run(tmp_path, prune, delete=True, IMAGES_THUMBS=THUMBS)
    assert (status, lines) == (0, ["0 of 9 files, 0.0 MB, deleted; 0 images forgotten"])
    assert files(store) == before


def test_a_dry_run_lists_what_delete_deletes(tmp_path, store):
    before, known = files(store), records(tmp_path)
    extra = {add(store, "full/old.jpg"), add(store, "thumbs/gone/x.jpg"), add(store, "notes.txt")}
    status, lines = run(tmp_path, prune)
    assert status == 0
    assert sorted(lines[:-1]) == sorted(f"{path}\tbelongs to no image\t5 bytes" for path in extra)
    assert lines[-1] == (
        "3 of 12 files, 0.0 MB, belong to no image; 0 images gone"
        " (nothing was changed: that takes --delete)"
    )
    assert files(store) == before | extra
    status, deleted = run(tmp_path, prune, delete=True)
    assert (status, sorted(deleted[:-1])) == (0, sorted(lines[:-1]))
    assert deleted[-1] == "3 of 12 files, 0.0 MB, deleted; 0 images forgotten"
    assert files(store) == before
    assert records(tmp_path) == known


@pytest.mark.parametrize(("days", "most", "goes"), [(2, 1, True), (0.5, 1, False), (2, 30, False)])
def test_young_files_are_passed_over(tmp_path, store, days, most, goes):
    path = add(store, "full/x.jpg", days=days)
    run(tmp_path, prune, delete=True, min_age_days=most)
    assert (path not in files(store)) == goes


def test_images_whose_file_is_gone_are_forgotten(tmp_path, store):
    (store / image_path(B)).unlink()
    _, lines = run(tmp_path, prune)
    assert lines[0] == f"{image_path(B)}\tis gone\t{B}"
    assert "; 1 images gone (nothing" in lines[-1]
    assert len(records(tmp_path)) == 3
    _, lines = run(tmp_path, prune, delete=True)
    assert lines[-1].endswith("; 1 images forgotten")
    assert [record.url for record in records(tmp_path)] == [A, C]
    # its thumbnails belong to no image now
    run(tmp_path, prune, delete=True)
    assert not files(store) & {thumb_path(B, name) for name in THUMBS}


def test_files_of_damaged_images_that_wait_for_a_crawl_stay(tmp_path, store):
    with closing(sqlite3.connect(tmp_path / "index.sqlite")) as connection, connection:
        connection.execute("UPDATE source SET checked_at = 0")
    before = files(store)
    run(tmp_path, prune, delete=True)
    assert files(store) == before


def test_sources_that_failed_are_not_gone(tmp_path, store):
    crawled(tmp_path, {"http://shop.example/no.jpg": 404})
    known = records(tmp_path)
    _, lines = run(tmp_path, prune, delete=True)
    assert lines[-1].endswith("; 0 images forgotten")
    assert records(tmp_path) == known


def test_left_over_temporary_files_go_too(tmp_path, store):
    left = add(store, "full/.imgpipe-elsewhere-1-2-3.tmp", days=2)
    fresh = add(store, "full/.imgpipe-elsewhere-1-2-4.tmp", days=0)
    run(tmp_path, prune)
    assert {left, fresh} <= files(store)
    _, lines = run(tmp_path, prune, delete=True)
    assert lines[-1].endswith("; 1 left-over temporary files deleted")
    assert left not in files(store)
    assert fresh in files(store)


def test_an_index_without_images_is_refused(tmp_path):
    add(tmp_path / "store", "full/x.jpg")
    with pytest.raises(IndexFailed, match="run 'scrapy imgpipe import' first"):
        run(tmp_path, prune, delete=True)
    crawled(tmp_path, {A: 404})  # known, but nothing is stored
    with pytest.raises(IndexFailed, match="run 'scrapy imgpipe import' first"):
        run(tmp_path, prune, delete=True)
    assert files(tmp_path / "store") == {"full/x.jpg"}


def test_an_index_that_turns_out_to_be_damaged_is_refused(tmp_path):
    store = many_imported(tmp_path, 2000)
    damage_index(tmp_path)
    with pytest.raises(IndexFailed, match="run 'scrapy imgpipe import' first"):
        run(tmp_path, prune, delete=True)
    assert len(files(store)) == 2000


def test_what_is_stored_between_two_runs_is_known_to_the_second(tmp_path, store):
    out = io.StringIO()
    place = Place.of(crawl_of(tmp_path).pipeline)
    with closing(place.index):
        prune(place, Console(out, out))
        crawled(tmp_path, {"http://shop.example/new.jpg": jpeg()})
        make_old(store / image_path("http://shop.example/new.jpg"))
        prune(place, Console(out, out), delete=True)
    assert [line.split(",")[0] for line in out.getvalue().splitlines()] == [
        "0 of 9 files",
        "0 of 10 files",
    ]


def test_nothing_at_all_is_refused_as_well(tmp_path):
    (tmp_path / "store").mkdir()
    with pytest.raises(IndexFailed, match="run 'scrapy imgpipe import' first"):
        run(tmp_path, prune)


def test_an_empty_store_is_refused(tmp_path, store):
    store.rename(tmp_path / "elsewhere")
    with pytest.raises(StoreFailed, match="The store is empty"):
        run(tmp_path, prune, delete=True)
    assert len(records(tmp_path)) == 3


def test_what_hooks_store_by_themselves_is_left_alone(tmp_path, store):
    class Own(ImagesPipeline):
        def image_downloaded(self, response, request, info, *, item=None):
            raise NotImplementedError

    with pytest.raises(StoreFailed, match="Own decides itself what it stores"):
        run(tmp_path, prune, delete=True, pipeline=Own)


def test_an_index_inside_the_store_stays(tmp_path):
    index = tmp_path / "store" / "index.sqlite"
    with crawl_of(tmp_path, {A: jpeg()}, IMGPIPE_INDEX=str(index)) as crawl:
        crawl.images(A)
    for path in (tmp_path / "store").glob("index*"):
        make_old(path)
    _, lines = run(tmp_path, prune, delete=True, min_age_days=0, IMGPIPE_INDEX=str(index))
    assert len(lines) == 1
    assert lines[0].startswith("0 of ")


def test_more_files_than_are_asked_for_at_a_time(tmp_path, store):
    (store / "full" / "0.jpg").write_bytes(b"x")
    make_old(store / "full" / "0.jpg")
    for number in range(1, 1200):
        os.link(store / "full" / "0.jpg", store / "full" / f"{number}.jpg")
    _, lines = run(tmp_path, prune, delete=True)
    assert len(lines) == 1201
    assert len(files(store)) == 9
