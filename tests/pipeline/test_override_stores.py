"""Stores of users: other schemes, only Scrapy's two methods, called where Scrapy calls them."""

from __future__ import annotations

import hashlib
import threading
import time
from typing import ClassVar

import pytest
from scrapy.pipelines.files import FSFilesStore

from scrapy_imgpipe import ImagesPipeline
from scrapy_imgpipe.store_adapter import FileSystemFilesStore
from tests.fakes import Crawl
from tests.pictures import encoded, jpeg, noise
from tests.shapes import any_of_three, plain

A, B = "http://shop.example/a.jpg", "http://shop.example/b.jpg"
THUMBS = {"IMAGES_THUMBS": {"small": (20, 20), "big": (60, 60)}}
KEYS = ["url", "path", "checksum", "status", "width", "height", "format", "bytes", "renditions"]


def memory_store(shape):
    """Return a store class that keeps everything in its ``files`` and notes each call."""

    class MemoryStore:
        files: ClassVar = {}
        calls: ClassVar = []

        def __init__(self, uri):
            self.uri = uri

        @shape
        def persist_file(self, path, buf, info, meta=None, headers=None):
            self.calls.append(("persist", path, meta, headers, threading.current_thread()))
            self.files[path] = (buf.read(), time.time())

        @shape
        def stat_file(self, path, info):
            self.calls.append(("stat", path, None, None, threading.current_thread()))
            if path not in self.files:
                return {}
            data, modified = self.files[path]
            return {"last_modified": modified, "checksum": hashlib.md5(data).hexdigest()}

    return MemoryStore


def pipeline_with(store):
    class Mine(ImagesPipeline):
        STORE_SCHEMES: ClassVar = {**ImagesPipeline.STORE_SCHEMES, "mem": store}

    return Mine


@any_of_three
def test_a_store_with_only_scrapys_two_methods_works(shape):
    store, data = memory_store(shape), jpeg()
    with Crawl("mem://bucket", {A: data}, pipeline_with(store), **THUMBS) as crawl:
        (image,) = crawl.images(A)
    assert crawl.pipeline.store.uri == "mem://bucket"
    assert list(image) == KEYS
    assert store.files[image["path"]][0] == data
    assert set(store.files) == {image["path"], *(r["path"] for r in image["renditions"])}
    assert image["checksum"] == hashlib.md5(data).hexdigest()
    assert [r["bytes"] for r in image["renditions"]] == [
        len(store.files[r["path"]][0]) for r in image["renditions"]
    ]


@any_of_three
def test_what_such_a_store_has_is_not_downloaded_again(shape):
    store = memory_store(shape)
    with Crawl("mem://bucket", {A: jpeg()}, pipeline_with(store)) as crawl:
        (first,) = crawl.images(A)
    with Crawl("mem://bucket", {}, pipeline_with(store)) as crawl:
        (second,) = crawl.images(A)
    assert crawl.site.asked == []
    assert second["status"] == "uptodate"
    assert (second["path"], second["checksum"]) == (first["path"], first["checksum"])


@any_of_three
@pytest.mark.parametrize("overridden", [False, True], ids=["fast", "users chain"])
def test_such_a_store_is_called_on_the_loop_full_image_last_with_size_and_type(shape, overridden):
    class Wrapping(pipeline_with(memory_store(shape))):
        def get_images(self, response, request, info, *, item=None):
            yield from super().get_images(response, request, info, item=item)

    kind = Wrapping if overridden else pipeline_with(memory_store(shape))
    calls = kind.STORE_SCHEMES["mem"].calls
    data = encoded(noise((90, 30), "RGBA"), "PNG")
    with Crawl("mem://bucket", {A: data}, kind, **THUMBS) as crawl:
        (image,) = crawl.images(A)
    small, big = image["renditions"]
    written = [call for call in calls if call[0] == "persist"]
    assert [path for _, path, *_ in written][-1] == image["path"]
    assert {path: meta for _, path, meta, *_ in written} == {
        image["path"]: {"width": 90, "height": 30},
        small["path"]: {"width": 20, "height": 7},
        big["path"]: {"width": 60, "height": 20},
    }
    assert [headers for *_, headers, _ in written] == [{"Content-Type": "image/jpeg"}] * 3
    assert {thread for *_, thread in calls} == {threading.main_thread()}  # asyncio.run is there


@any_of_three
def test_a_store_that_raises_fails_its_source_as_a_store_failure(shape, caplog):
    class Full(memory_store(shape)):
        @shape
        def persist_file(self, path, buf, info, meta=None, headers=None):
            raise OSError(28, "No space left on device")

    settings = {"IMGPIPE_KEEP_FAILED": True}
    with Crawl("mem://bucket", {A: jpeg()}, pipeline_with(Full), **settings) as crawl:
        (image,) = crawl.images(A)
    assert (image["status"], image["outcome"]) == ("failed", "store-failed")
    assert "No space left on device" in image["reason"]
    (record,) = [r for r in caplog.records if A in r.getMessage()]
    assert (record.levelname, record.exc_info) == ("ERROR", None)


def test_a_store_of_the_users_is_never_given_a_path_that_climbs_out():
    store = memory_store(plain)

    class Climbing(pipeline_with(store)):
        def get_images(self, response, request, info, *, item=None):
            for _, image, buf in super().get_images(response, request, info, item=item):
                yield "../out.jpg", image, buf

    with Crawl("mem://bucket", {A: jpeg()}, Climbing, IMGPIPE_KEEP_FAILED=True) as crawl:
        (image,) = crawl.images(A)
    assert image["outcome"] == "bad-path"
    assert store.files == {}


@any_of_three
def test_a_store_that_cannot_tell_what_it_has_is_filled(shape):
    class Forgetful(memory_store(shape)):
        @shape
        def stat_file(self, path, info):
            raise FileNotFoundError(path)

    for _ in range(2):
        with Crawl("mem://bucket", {A: jpeg()}, pipeline_with(Forgetful)) as crawl:
            (image,) = crawl.images(A)
        assert image["status"] == "downloaded"


@any_of_three
def test_a_store_that_knows_nothing_may_return_none(shape):
    class Empty(memory_store(shape)):
        @shape
        def stat_file(self, path, info):
            return None

    with Crawl("mem://bucket", {A: jpeg()}, pipeline_with(Empty)) as crawl:
        (image,) = crawl.images(A)
    assert image["status"] == "downloaded"


@pytest.mark.parametrize(("age", "status"), [(1, "uptodate"), (91, "downloaded")])
def test_files_of_such_a_store_expire(age, status):
    store = memory_store(plain)
    with Crawl("mem://bucket", {A: jpeg()}, pipeline_with(store)) as crawl:
        (image,) = crawl.images(A)
    data, modified = store.files[image["path"]]
    store.files[image["path"]] = (data, modified - age * 86_400)
    with Crawl("mem://bucket", {A: jpeg()}, pipeline_with(store)) as crawl:
        (image,) = crawl.images(A)
    assert image["status"] == status


def test_get_store_may_be_overridden(tmp_path):
    class Mine(ImagesPipeline):
        def _get_store(self, uri):
            return memory_store(plain)(f"mine:{uri}")

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        (image,) = crawl.images(A)
    assert crawl.pipeline.store.uri == f"mine:{tmp_path}"
    assert list(crawl.pipeline.store.files) == [image["path"]]
    assert crawl.files() == {}


@pytest.mark.parametrize("scheme", ["", "file"])
def test_store_schemes_may_name_scrapys_own_class(tmp_path, scheme):
    class Mine(ImagesPipeline):
        STORE_SCHEMES: ClassVar = {
            **ImagesPipeline.STORE_SCHEMES,
            "": FSFilesStore,
            "file": FSFilesStore,
        }

    data = jpeg()
    store = tmp_path.as_uri() if scheme else str(tmp_path)
    with Crawl(tmp_path, {A: data}, Mine, IMAGES_STORE=store, **THUMBS) as crawl:
        (image,) = crawl.images(A)
    assert type(crawl.pipeline.store) is FSFilesStore
    assert crawl.files()[image["path"]] == data
    assert len(crawl.files()) == 3


def test_a_file_uri_is_the_same_store_as_its_folder(tmp_path):
    with Crawl(tmp_path, {A: jpeg()}, IMAGES_STORE=tmp_path.as_uri()) as crawl:
        (first,) = crawl.images(A)
    with Crawl(tmp_path) as crawl:
        (second,) = crawl.images(A)
    assert list(crawl.files()) == [first["path"]]
    assert second["status"] == "uptodate"


def test_a_subclass_that_names_its_files_itself_is_asked_for_each_path(tmp_path):
    class Hashed(FileSystemFilesStore):
        def _get_filesystem_path(self, path):
            return super()._get_filesystem_path(f"00/{path}")

        def persist_file(self, path, buf, info, meta=None, headers=None):
            target = self._get_filesystem_path(path)
            self._mkdir(target.parent, info)
            target.write_bytes(buf.getvalue())

    class Mine(ImagesPipeline):
        STORE_SCHEMES: ClassVar = {**ImagesPipeline.STORE_SCHEMES, "": Hashed, "file": Hashed}

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        (image,) = crawl.images(A)
    assert list(crawl.files()) == [f"00/{image['path']}"]


def test_a_subclass_that_only_moves_its_paths_is_asked_for_each_of_them(tmp_path):
    """With Scrapy's class this one method decides where files are written and looked for."""

    class Moved(FileSystemFilesStore):
        def _get_filesystem_path(self, path):
            return super()._get_filesystem_path(f"00/{path}")

    class Mine(ImagesPipeline):
        STORE_SCHEMES: ClassVar = {**ImagesPipeline.STORE_SCHEMES, "": Moved, "file": Moved}

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        (image,) = crawl.images(A)
    assert list(crawl.files()) == [f"00/{image['path']}"]
    with Crawl(tmp_path, {}, Mine) as crawl:
        (image,) = crawl.images(A)
    assert image["status"] == "uptodate"


def test_a_persist_file_that_calls_super_sees_every_file(tmp_path):
    seen = []

    class Noting(FileSystemFilesStore):
        def persist_file(self, path, buf, info, meta=None, headers=None):
            seen.append((path, meta))
            return super().persist_file(path, buf, info, meta, headers)

    class Mine(ImagesPipeline):
        STORE_SCHEMES: ClassVar = {**ImagesPipeline.STORE_SCHEMES, "": Noting, "file": Noting}

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        (image,) = crawl.images(A)
    assert seen == [(image["path"], {"width": 120, "height": 80})]
    assert list(crawl.files()) == [image["path"]]


def test_the_store_of_the_pipeline_is_a_file_system_store_of_scrapys(tmp_path):
    pipeline = Crawl(tmp_path).pipeline
    assert isinstance(pipeline.store, FSFilesStore)
    assert pipeline.store.basedir == str(tmp_path)
    assert pipeline.store._get_filesystem_path("full/x.jpg") == tmp_path / "full" / "x.jpg"
