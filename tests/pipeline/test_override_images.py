"""Overrides that make or store the images themselves: ``get_images`` and what it calls."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from io import BytesIO

import pytest
from PIL import ImageFilter
from scrapy.pipelines.images import ImageException
from scrapy.utils.defer import ensure_awaitable

from scrapy_imgpipe import ImagesPipeline
from tests.fakes import Crawl
from tests.pictures import encoded, jpeg, noise, opened
from tests.shapes import (
    any_of_many,
    any_of_three,
    async_generator,
    coroutine,
    either,
    generator,
    plain_list,
)

A, B = "http://shop.example/a.jpg", "http://shop.example/b.jpg"
THUMBS = {"IMAGES_THUMBS": {"small": (20, 20), "big": (60, 60)}}
KEYS = ["url", "path", "checksum", "status", "width", "height", "format", "bytes", "renditions"]


def md5(data):
    return hashlib.md5(data).hexdigest()


# --- get_images ---


@any_of_many
def test_get_images_may_wrap_super_and_yield_everything_again(tmp_path, shape):
    seen = []

    class Mine(ImagesPipeline):
        @shape
        def get_images(self, response, request, info, *, item=None):
            for path, image, buf in super().get_images(response, request, info, item=item):
                seen.append((path, image.size))
                yield path, image, buf

    data = jpeg()
    with Crawl(tmp_path, {A: data}, Mine, **THUMBS) as crawl:
        (image,) = crawl.images(A)
    files = crawl.files()
    assert [path for path, _ in seen] == [image["path"], *(r["path"] for r in image["renditions"])]
    assert {path: opened(content).size for path, content in files.items()} == dict(seen)
    assert files[image["path"]] == data
    assert [r["name"] for r in image["renditions"]] == ["small", "big"]


@any_of_many
def test_what_get_images_yields_is_what_is_stored(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def get_images(self, response, request, info, *, item=None):
            for path, image, _ in super().get_images(response, request, info, item=item):
                blurred = image.filter(ImageFilter.BLUR)
                buffer = BytesIO()
                blurred.save(buffer, "PNG")
                yield f"{item['name']}/{path[:-4]}.png", blurred, buffer

        def file_path(self, request, response=None, info=None, *, item=None):
            return f"{item['name']}/{super().file_path(request)[:-4]}.png"

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        item = crawl.process({"name": "boots", "image_urls": [A]})
    ((path, content),) = crawl.files().items()
    assert path.startswith("boots/boots/full/")
    assert opened(content).format == item["images"][0]["format"] == "PNG"
    assert item["images"][0]["checksum"] == md5(content)


@any_of_many
def test_get_images_may_be_rewritten_on_the_modules_scrapy_offers(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def get_images(self, response, request, info, *, item=None):
            path = self.file_path(request, response=response, info=info, item=item)
            image = self._ImageOps.exif_transpose(self._Image.open(BytesIO(response.body)))
            if image.width < self.min_width:
                raise ImageException("too narrow")
            image, buffer = self.convert_image(image, response_body=BytesIO(response.body))
            yield path, image, buffer
            for name, size in self.thumbs.items():
                thumb = image.copy()
                thumb.thumbnail(size, self._Image.Resampling.LANCZOS)
                buffer = BytesIO()
                thumb.save(buffer, "JPEG")
                path = self.thumb_path(request, name, response=response, info=info, item=item)
                yield path, thumb, buffer

    settings = {"IMAGES_MIN_WIDTH": 100, **THUMBS}
    with Crawl(tmp_path, {A: jpeg(), B: jpeg((90, 90))}, Mine, **settings) as crawl:
        (image,) = crawl.images(A, B)
    assert image["url"] == A
    assert sorted(crawl.files()) == sorted(
        [image["path"], *(r["path"] for r in image["renditions"])]
    )
    assert [(r["name"], r["width"], r["height"]) for r in image["renditions"]] == [
        ("small", 20, 13),
        ("big", 60, 40),
    ]


@any_of_many
def test_get_images_may_yield_more_than_three_values(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def get_images(self, response, request, info, *, item=None):
            for path, image, buf in super().get_images(response, request, info, item=item):
                yield path, image, buf, {"mine": True}

    data = jpeg()
    with Crawl(tmp_path, {A: data}, Mine) as crawl:
        (image,) = crawl.images(A)
    assert crawl.files() == {image["path"]: data}


@pytest.mark.parametrize("shape", [generator, async_generator])
def test_one_buffer_may_be_filled_again_for_the_next_image(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def get_images(self, response, request, info, *, item=None):
            buffer = BytesIO()
            for number in (1, 2):
                buffer.seek(0)
                buffer.truncate()
                image = noise((10 * number, 10))
                image.save(buffer, "PNG")
                yield f"{number}.png", image, buffer

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        crawl.images(A)
    sizes = {path: opened(data).size for path, data in crawl.files().items()}
    assert sizes == {"1.png": (10, 10), "2.png": (20, 10)}


@any_of_many
def test_an_image_exception_midway_leaves_nothing_in_the_store(tmp_path, shape, caplog):
    class Classifier(ImagesPipeline):
        def is_valid_image(self, image):
            return image.width > 50

        @shape
        def get_images(self, response, request, info, *, item=None):
            for path, image, buf in super().get_images(response, request, info, item=item):
                if not self.is_valid_image(image):
                    raise ImageException("Image does not match criteria")
                yield path, image, buf

        def item_completed(self, results, item, info):
            return results

    with Crawl(tmp_path, {A: jpeg()}, Classifier, **THUMBS) as crawl:
        ((ok, failure),) = crawl.process({"image_urls": [A]})
    assert not ok
    assert type(failure.value) is ImageException
    assert str(failure.value) == "Image does not match criteria"
    assert crawl.files() == {}
    (record,) = [r for r in caplog.records if A in r.getMessage()]
    assert record.getMessage().endswith(": Image does not match criteria")
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert crawl.outcomes() == {"filtered": 1}


@any_of_many
def test_a_mistake_in_get_images_costs_its_source_only(tmp_path, shape, caplog):
    class Mine(ImagesPipeline):
        @shape
        def get_images(self, response, request, info, *, item=None):
            if request.url == A:
                raise ZeroDivisionError("by zero")
            yield from super().get_images(response, request, info, item=item)

    with Crawl(tmp_path, {A: jpeg(), B: jpeg()}, Mine, IMGPIPE_KEEP_FAILED=True) as crawl:
        images = crawl.images(A, B)
    assert [image["status"] for image in images] == ["failed", "downloaded"]
    assert images[0]["outcome"] == "hook-failed"
    (record,) = [r for r in caplog.records if A in r.getMessage()]
    assert record.exc_info[0] is ZeroDivisionError


@any_of_many
def test_get_images_that_yields_nothing_fails_its_source(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def get_images(self, response, request, info, *, item=None):
            return iter(())

    with Crawl(tmp_path, {A: jpeg()}, Mine, IMGPIPE_KEEP_FAILED=True) as crawl:
        (image,) = crawl.images(A)
    assert (image["status"], image["outcome"]) == ("failed", "not-an-image")
    assert crawl.files() == {}


@pytest.mark.parametrize("shape", [generator, plain_list])
def test_what_a_plain_get_images_does_is_done_in_a_worker(tmp_path, shape):
    threads = []

    class Mine(ImagesPipeline):
        @shape
        def get_images(self, response, request, info, *, item=None):
            threads.append(threading.current_thread().name)
            yield from super().get_images(response, request, info, item=item)

        def convert_image(self, image, size=None, *, response_body):
            threads.append(threading.current_thread().name)
            return super().convert_image(image, size, response_body=response_body)

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        crawl.images(A)
    assert len(threads) == 2
    assert all(name.startswith("imgpipe") for name in threads)


def test_get_images_of_two_sources_never_runs_at_the_same_time(tmp_path):
    inside = []
    most = []

    class Mine(ImagesPipeline):
        def get_images(self, response, request, info, *, item=None):
            inside.append(request.url)
            most.append(len(inside))
            yield from super().get_images(response, request, info, item=item)
            inside.remove(request.url)

    urls = [f"http://shop.example/{number}.jpg" for number in range(20)]
    answers = {url: jpeg((600, 400)) for url in urls}
    with Crawl(tmp_path, answers, Mine, IMGPIPE_WORKERS=4, **THUMBS) as crawl:
        images = crawl.images(*urls)
    assert len(images) == 20
    assert max(most) == 1


def test_a_path_from_get_images_that_leaves_the_store_is_refused(tmp_path):
    class Mine(ImagesPipeline):
        def get_images(self, response, request, info, *, item=None):
            for _, image, buf in super().get_images(response, request, info, item=item):
                yield "../out.jpg", image, buf

    store = tmp_path / "store"
    with Crawl(store, {A: jpeg()}, Mine, IMGPIPE_KEEP_FAILED=True) as crawl:
        (image,) = crawl.images(A)
    assert image["outcome"] == "bad-path"
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


@any_of_many
@pytest.mark.timeout(10)
@pytest.mark.parametrize("hook", ["file_path", "thumb_path", "convert_image"])
def test_get_images_of_any_shape_goes_with_every_async_hook(tmp_path, shape, hook):
    class Mine(ImagesPipeline):
        @shape
        def get_images(self, response, request, info, *, item=None):
            yield from super().get_images(response, request, info, item=item)

    setattr(Mine, hook, coroutine(getattr(ImagesPipeline, hook)))
    with Crawl(tmp_path, {A: jpeg()}, Mine, **THUMBS) as crawl:
        (image,) = crawl.images(A)
    assert [r["name"] for r in image["renditions"]] == ["small", "big"]
    assert len(crawl.files()) == 3


@pytest.mark.timeout(10)
def test_the_first_work_of_a_crawl_may_be_a_chain_with_an_async_hook(tmp_path):
    class Mine(ImagesPipeline):
        def media_to_download(self, request, info, *, item=None):
            return None

        async def convert_image(self, image, size=None, *, response_body):
            await asyncio.sleep(0)
            return super().convert_image(image, size, response_body=response_body)

    for number in range(10):
        with Crawl(tmp_path / str(number), {A: jpeg()}, Mine) as crawl:
            assert len(crawl.images(A)) == 1


# --- convert_image ---


@either
def test_convert_image_may_pass_bytes_through(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def convert_image(self, image, size=None, *, response_body):
            if size is None:
                return image, response_body
            return super().convert_image(image, size, response_body=response_body)

    data = encoded(noise(mode="RGBA"), "PNG")
    with Crawl(tmp_path, {A: data}, Mine, **THUMBS) as crawl:
        (image,) = crawl.images(A)
    files = crawl.files()
    assert files[image["path"]] == data
    assert (image["format"], image["bytes"], image["checksum"]) == ("PNG", len(data), md5(data))
    assert [opened(files[r["path"]]).format for r in image["renditions"]] == ["JPEG", "JPEG"]


@either
def test_convert_image_may_have_extra_keywords(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def convert_image(self, image, size=None, *, response_body=None, quality=30, **kwargs):
            image = image.convert("RGB")
            if size:
                image.thumbnail(size)
            buffer = BytesIO()
            image.save(buffer, "JPEG", quality=quality)
            return image, buffer

    with Crawl(tmp_path, {A: jpeg(quality=95)}, Mine, **THUMBS) as crawl:
        (image,) = crawl.images(A)
    files = crawl.files()
    tables = {path: opened(content).quantization for path, content in files.items()}
    assert len(files) == 3
    assert all(table == opened(jpeg(quality=30)).quantization for table in tables.values())
    assert image["checksum"] == md5(files[image["path"]])


@either
def test_convert_image_may_call_super(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def convert_image(self, image, size=None, *, response_body):
            grey = image.convert("L")
            return super().convert_image(grey, size, response_body=response_body)

    with Crawl(tmp_path, {A: jpeg()}, Mine, IMAGES_THUMBS={"small": (20, 20)}) as crawl:
        (image,) = crawl.images(A)
    for content in crawl.files().values():
        red, green, blue = opened(content).convert("RGB").split()
        assert red.tobytes() == green.tobytes() == blue.tobytes()
    assert image["renditions"][0]["width"] == 20


def test_the_body_of_a_jpeg_reaches_convert_image_and_comes_back_untouched(tmp_path):
    bodies = []

    class Mine(ImagesPipeline):
        def convert_image(self, image, size=None, *, response_body):
            bodies.append(response_body.getvalue())
            return super().convert_image(image, size, response_body=response_body)

    data = jpeg()
    with Crawl(tmp_path, {A: data}, Mine) as crawl:
        (image,) = crawl.images(A)
    assert bodies == [data]
    assert crawl.files() == {image["path"]: data}


@either
def test_convert_image_that_raises_leaves_nothing_in_the_store(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def convert_image(self, image, size=None, *, response_body):
            if size is not None:
                raise ImageException("no thumbnails today")
            return super().convert_image(image, size, response_body=response_body)

    with Crawl(tmp_path, {A: jpeg()}, Mine, IMGPIPE_KEEP_FAILED=True, **THUMBS) as crawl:
        (image,) = crawl.images(A)
    assert image["reason"] == "no thumbnails today"
    assert crawl.files() == {}


@either
def test_with_convert_image_overridden_the_minimum_size_still_counts(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def convert_image(self, image, size=None, *, response_body):
            return super().convert_image(image, size, response_body=response_body)

    settings = {"IMAGES_MIN_HEIGHT": 81, "IMGPIPE_KEEP_FAILED": True}
    with Crawl(tmp_path, {A: jpeg((120, 80))}, Mine, **settings) as crawl:
        (image,) = crawl.images(A)
    assert image["outcome"] == "too-small"
    assert crawl.files() == {}


# --- image_downloaded, file_downloaded ---


@any_of_three
@pytest.mark.parametrize("hook", ["image_downloaded", "file_downloaded"])
def test_raw_bytes_may_be_stored_through_the_store(tmp_path, shape, hook):
    class Mine(ImagesPipeline):
        pass

    @shape
    def store_raw(self, response, request, info, *, item=None):
        path = self.file_path(request, response=response, info=info, item=item)
        self.store.persist_file(path, BytesIO(response.body), info)
        return md5(response.body)

    setattr(Mine, hook, store_raw)
    for status in ("downloaded", "uptodate"):
        with Crawl(tmp_path, {A: b"<svg/>"}, Mine) as crawl:
            (image,) = crawl.images(A)
        assert (image["status"], image["checksum"]) == (status, md5(b"<svg/>"))
        assert crawl.files() == {image["path"]: b"<svg/>"}


@any_of_three
def test_raw_bytes_may_be_stored_by_the_folder_of_the_store(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def image_downloaded(self, response, request, info, *, item=None):
            path = self.file_path(request, response=response, info=info, item=item)
            target = self.store._get_filesystem_path(path)
            self.store._mkdir(target.parent, info)
            target.write_bytes(response.body)

    with Crawl(tmp_path, {A: b"raw"}, Mine) as crawl:
        (image,) = crawl.images(A)
    assert crawl.files() == {image["path"]: b"raw"}
    assert image["checksum"] is None


def test_image_downloaded_may_be_scrapys_own_loop(tmp_path):
    class Mine(ImagesPipeline):
        async def image_downloaded(self, response, request, info, *, item=None):
            checksum = None
            for path, image, buf in self.get_images(response, request, info, item=item):
                if checksum is None:
                    buf.seek(0)
                    checksum = md5(buf.read())
                meta = {"width": image.width, "height": image.height}
                headers = {"Content-Type": "image/jpeg"}
                await ensure_awaitable(
                    self.store.persist_file(path, buf, info, meta=meta, headers=headers)
                )
            return checksum

    data = jpeg()
    with Crawl(tmp_path, {A: data}, Mine, **THUMBS) as crawl:
        (image,) = crawl.images(A)
    assert crawl.files()[image["path"]] == data
    assert len(crawl.files()) == 3
    assert image["checksum"] == md5(data)


def test_image_downloaded_may_wrap_super(tmp_path):
    class Mine(ImagesPipeline):
        async def image_downloaded(self, response, request, info, *, item=None):
            checksum = await super().image_downloaded(response, request, info, item=item)
            item["checksums"] = [checksum]
            return checksum

    data = jpeg()
    with Crawl(tmp_path, {A: data}, Mine, **THUMBS) as crawl:
        item = crawl.process({"image_urls": [A]})
    assert item["checksums"] == [md5(data)]
    assert list(item["images"][0]) == KEYS
    assert len(crawl.files()) == 3


def test_the_checksum_of_a_wrapped_image_downloaded_is_the_users(tmp_path):
    class Mine(ImagesPipeline):
        async def image_downloaded(self, response, request, info, *, item=None):
            await super().image_downloaded(response, request, info, item=item)
            return "sha256:mine"

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        (image,) = crawl.images(A)
    assert image["checksum"] == "sha256:mine"


@any_of_three
def test_image_downloaded_may_refuse(tmp_path, shape):
    class Mine(ImagesPipeline):
        @shape
        def image_downloaded(self, response, request, info, *, item=None):
            raise ImageException("no")

        def item_completed(self, results, item, info):
            return results

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        ((ok, failure),) = crawl.process({"image_urls": [A]})
    assert not ok
    assert (type(failure.value), str(failure.value)) == (ImageException, "no")
    assert crawl.files() == {}


@pytest.mark.timeout(10)
@pytest.mark.parametrize("hook", ["file_path", "convert_image"])
def test_scrapys_loop_goes_with_an_async_hook(tmp_path, hook):
    class Mine(ImagesPipeline):
        async def image_downloaded(self, response, request, info, *, item=None):
            checksum = None
            for path, _, buf in self.get_images(response, request, info, item=item):
                checksum = checksum or md5(buf.getvalue())
                self.store.persist_file(path, buf, info)
            return checksum

    setattr(Mine, hook, coroutine(getattr(ImagesPipeline, hook)))
    data = jpeg()
    with Crawl(tmp_path, {A: data}, Mine) as crawl:
        (image,) = crawl.images(A)
    assert crawl.files() == {image["path"]: data}
