"""Commands over a store on another machine, in the place of which one in memory stands here."""

from __future__ import annotations

import io
from contextlib import closing
from typing import ClassVar

import pytest

from scrapy_imgpipe import ImagesPipeline, StoreFailed
from scrapy_imgpipe.commands.console import Console
from scrapy_imgpipe.commands.importing import import_store
from scrapy_imgpipe.commands.place import Place
from scrapy_imgpipe.commands.pruning import prune
from scrapy_imgpipe.commands.verifying import verify
from scrapy_imgpipe.store_adapter import FarFilesStore
from scrapy_imgpipe.stores import MemoryStore, Stat
from tests.fakes import Crawl
from tests.pictures import jpeg

URLS = tuple(f"http://shop.example/{name}.jpg" for name in "abc")
THUMBS = {"small": (50, 50)}


class Silent(MemoryStore):
    """Does not tell the time of what was just put, as S3 does not."""

    def _put(self, key, data, facts):
        return Stat(super()._put(key, data, facts).bytes, 0, facts.checksum)


@pytest.fixture(params=[MemoryStore, Silent])
def crawl_of(request, tmp_path):
    """Return a function that makes a crawl into the bucket."""
    store = request.param(tmp_path.name)

    class Far(FarFilesStore):
        def __init__(self, uri, access=None):
            self.native = store

    class Into(ImagesPipeline):
        STORE_SCHEMES: ClassVar = {**ImagesPipeline.STORE_SCHEMES, "memory": Far}

    def make(answers=None, index="index.sqlite"):
        settings = {"IMAGES_STORE": "memory://x", "IMGPIPE_INDEX": str(tmp_path / index)}
        return Crawl("unused", answers, Into, IMAGES_THUMBS=THUMBS, **settings)

    make.store = store
    yield make
    store.clear()


@pytest.fixture
def crawled(crawl_of):
    with crawl_of({url: jpeg() for url in URLS}) as crawl:
        crawl_of.images = crawl.images(*URLS)
    return crawl_of


def run(crawl_of, command, index="index.sqlite", **options):
    out = io.StringIO()
    place = Place.of(crawl_of(index=index).pipeline)
    with closing(place.index):
        status = command(place, Console(out, io.StringIO()), **options)
    return status, out.getvalue().splitlines()


def test_what_was_crawled_is_verified_and_nothing_is_pruned(crawled):
    for fast in (False, True):
        status, lines = run(crawled, verify, fast=fast)
        assert (status, lines) == (0, ["3 images and 3 thumbnails looked at: 0 problems"])
    assert run(crawled, prune, min_age_days=0)[1] == [
        "0 of 6 files, 0.0 MB, belong to no image; 0 images gone"
    ]


def test_an_index_is_filled_from_what_is_stored(crawled):
    assert run(crawled, import_store, index="new.sqlite") == (0, ["3 images: 3 new"])
    with crawled(index="new.sqlite") as crawl:
        images = crawl.images(*URLS)
    assert crawl.site.urls == []
    assert images == [{**image, "status": "uptodate"} for image in crawled.images]
    assert run(crawled, import_store)[1] == ["3 images: 0 new, 3 known"]


def test_damage_is_found_and_mended(crawled):
    first, second, third = crawled.images
    store = crawled.store
    store.delete(first["renditions"][0]["path"])
    store.put(second["path"], b"no image")
    store.delete(third["path"])
    status, lines = run(crawled, verify, repair=True)
    assert status == 1
    assert "3 problems" in lines[-1]
    assert store.stat(first["renditions"][0]["path"]) is not None
    with crawled({url: jpeg() for url in URLS}) as crawl:
        images = crawl.images(*URLS)
    assert [image["status"] for image in images] == ["uptodate", "downloaded", "downloaded"]


def test_what_belongs_to_no_image_is_pruned(crawled):
    crawled.store.put("full/stray.jpg", jpeg())
    status, lines = run(crawled, prune, delete=True, min_age_days=0)
    assert status == 0
    assert any(line.startswith("full/stray.jpg") for line in lines)
    assert crawled.store.stat("full/stray.jpg") is None
    assert len(list(crawled.store.list())) == 6


def test_a_users_store_is_told_of_by_name():
    class Own:
        def __init__(self, uri):
            pass

    class Into(ImagesPipeline):
        STORE_SCHEMES: ClassVar = {**ImagesPipeline.STORE_SCHEMES, "own": Own}

    with pytest.raises(StoreFailed, match="A store that is reached through Own cannot be listed"):
        Place.of(Crawl("unused", {}, Into, IMAGES_STORE="own://x").pipeline)
