"""Subclasses with their own start and end: the pipeline is whole, and its threads end."""

from __future__ import annotations

import threading

import pytest
from scrapy.pipelines.images import ImagesPipeline as ScrapysImagesPipeline

from scrapy_imgpipe import ImagesPipeline
from tests.fakes import Crawl
from tests.pictures import jpeg

A = "http://shop.example/a.jpg"


def workers():
    return [t for t in threading.enumerate() if t.name.startswith("imgpipe")]


class WithInit(ImagesPipeline):
    def __init__(self, store_uri, *args, crawler, **kwargs):
        self.prefix = crawler.settings.get("PREFIX")
        super().__init__(store_uri, *args, crawler=crawler, **kwargs)

    def file_path(self, request, response=None, info=None, *, item=None):
        return f"{self.prefix}/{super().file_path(request)}"


class WithFromCrawlerThatCallsSuper(ImagesPipeline):
    @classmethod
    def from_crawler(cls, crawler):
        pipeline = super().from_crawler(crawler)
        pipeline.prefix = crawler.settings["PREFIX"]
        return pipeline

    def file_path(self, request, response=None, info=None, *, item=None):
        return f"{self.prefix}/{super().file_path(request)}"


@pytest.mark.parametrize("kind", [WithInit, WithFromCrawlerThatCallsSuper])
def test_a_subclass_may_start_in_its_own_way(tmp_path, kind):
    with Crawl(tmp_path, {A: jpeg()}, kind, PREFIX="mine") as crawl:
        (image,) = crawl.images(A)
    assert image["path"].startswith("mine/full/")
    assert list(crawl.files()) == [image["path"]]
    assert workers() == []


def test_a_subclass_may_build_itself_from_the_crawler(tmp_path):
    class Mine(ImagesPipeline):
        @classmethod
        def from_crawler(cls, crawler):
            cls._update_stores(crawler.settings)
            pipeline = cls(f"{crawler.settings['IMAGES_STORE']}/sub", crawler=crawler)
            pipeline.mine = True
            return pipeline

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        (image,) = crawl.images(A)
    assert crawl.pipeline.mine is True
    assert list(crawl.files()) == [f"sub/{image['path']}"]


def test_workers_end_when_the_spider_closes(tmp_path):
    with Crawl(tmp_path, {A: jpeg()}) as crawl:
        crawl.images(A)
        assert workers() != []
    assert workers() == []


def test_workers_end_for_a_subclass_whose_close_spider_does_not_call_super(tmp_path):
    class Mine(ImagesPipeline):
        closed = False

        def open_spider(self, spider=None):
            super().open_spider()
            self.opened = True

        def close_spider(self, spider=None):
            self.closed = True

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        crawl.images(A)
        assert workers() != []
        crawl.pipeline.close_spider()
    assert crawl.pipeline.opened
    assert crawl.pipeline.closed
    assert workers() == []


def test_workers_end_for_every_shape_of_hook(tmp_path):
    class Mine(ImagesPipeline):
        async def get_images(self, response, request, info, *, item=None):
            for image in super().get_images(response, request, info, item=item):
                yield image

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        assert len(crawl.images(A)) == 1
    assert workers() == []


def test_the_spider_may_be_opened_with_the_spider_as_argument(tmp_path):
    """Subclasses of before Scrapy 2.13 pass it on."""

    class Mine(ImagesPipeline):
        def open_spider(self, spider):
            super().open_spider(spider)

    crawl = Crawl(tmp_path, {A: jpeg()}, Mine)
    with pytest.warns(match="spider"):
        crawl.pipeline.open_spider(crawl.crawler.spider)
    assert crawl.pipeline.spiderinfo.spider is crawl.crawler.spider


def test_it_is_a_scrapy_images_pipeline_for_isinstance(tmp_path):
    pipeline = Crawl(tmp_path).pipeline
    assert isinstance(pipeline, ScrapysImagesPipeline)
    assert type(pipeline).__name__ == "ImagesPipeline"


def test_what_scrapy_puts_on_its_instances_is_there(tmp_path):
    from PIL import Image, ImageOps

    pipeline = Crawl(tmp_path).pipeline
    assert (pipeline._Image, pipeline._ImageOps) == (Image, ImageOps)
    assert pipeline.MEDIA_NAME == "image"
    assert pipeline.crawler is not None
    assert pipeline.allow_redirects is False
    assert pipeline.expires == 90


def test_a_mixin_before_the_class_is_an_override(tmp_path):
    class Named:
        def file_path(self, request, response=None, info=None, *, item=None):
            return "mixed-in.jpg"

        def get_images(self, *args, **kwargs):
            for path, image, buf in super().get_images(*args, **kwargs):
                yield path, image, buf
                yield "second.jpg", image, buf

    class Mine(Named, ImagesPipeline):
        pass

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        crawl.images(A)
    assert sorted(crawl.files()) == ["mixed-in.jpg", "second.jpg"]


def test_a_hook_put_on_the_instance_is_an_override(tmp_path):
    from scrapy.pipelines.images import ImageException

    with Crawl(tmp_path, {A: jpeg()}) as crawl:

        def refuse(image, size=None, *, response_body):
            raise ImageException("not this one")

        crawl.pipeline.convert_image = refuse
        assert crawl.images(A) == []
    assert crawl.files() == {}
