"""Items of every kind that Scrapy knows: fields are read, results are written."""

from __future__ import annotations

from dataclasses import dataclass, field

import attrs
import pydantic
import pytest
import scrapy
from itemadapter import ItemAdapter

from scrapy_imgpipe import ImagesPipeline
from tests.fakes import Crawl
from tests.pictures import jpeg

A, B = "http://shop.example/a.jpg", "http://shop.example/b.jpg"


class ScrapyItem(scrapy.Item):
    name = scrapy.Field()
    image_urls = scrapy.Field()
    images = scrapy.Field()


@dataclass
class DataclassItem:
    name: str = ""
    image_urls: list = field(default_factory=list)
    images: list = field(default_factory=list)


@attrs.define
class AttrsItem:
    name: str = ""
    image_urls: list = attrs.Factory(list)
    images: list = attrs.Factory(list)


class PydanticItem(pydantic.BaseModel):
    name: str = ""
    image_urls: list = []
    images: list = []


KINDS = [dict, ScrapyItem, DataclassItem, AttrsItem, PydanticItem]
each_kind = pytest.mark.parametrize("kind", KINDS)


@each_kind
def test_every_kind_of_item_gets_its_images_in_order(tmp_path, kind):
    item = kind(name="boots", image_urls=[B, "http://shop.example/404.jpg", A])
    with Crawl(tmp_path, {A: jpeg(), B: jpeg()}) as crawl:
        returned = crawl.process(item)
    assert returned is item
    adapter = ItemAdapter(item)
    assert [image["url"] for image in adapter["images"]] == [B, A]
    assert adapter["name"] == "boots"


@each_kind
def test_every_kind_of_item_without_urls_gets_an_empty_list(tmp_path, kind):
    with Crawl(tmp_path) as crawl:
        item = crawl.process(kind(name="boots", image_urls=[]))
    assert ItemAdapter(item)["images"] == []


@each_kind
def test_every_kind_of_item_reaches_the_hooks(tmp_path, kind):
    class Mine(ImagesPipeline):
        def get_media_requests(self, item, info):
            for url in ItemAdapter(item)["image_urls"]:
                yield scrapy.Request(url, meta={"name": ItemAdapter(item)["name"]})

        def file_path(self, request, response=None, info=None, *, item=None):
            return f"{request.meta['name']}/{type(item).__name__}.jpg"

        def item_completed(self, results, item, info):
            ItemAdapter(item)["images"] = [value["path"] for ok, value in results if ok]
            return item

    with Crawl(tmp_path, {A: jpeg()}, Mine) as crawl:
        item = crawl.process(kind(name="boots", image_urls=[A]))
    assert ItemAdapter(item)["images"] == [f"boots/{kind.__name__}.jpg"]
    assert list(crawl.files()) == [f"boots/{kind.__name__}.jpg"]


@each_kind
def test_a_generator_in_any_kind_of_item_is_left_as_a_list(tmp_path, kind):
    if kind is PydanticItem:
        item = PydanticItem()
        item.image_urls = (url for url in [A])  # assignments are not validated
    else:
        item = kind(image_urls=(url for url in [A]))
    with Crawl(tmp_path, {A: jpeg()}) as crawl:
        crawl.process(item)
    assert ItemAdapter(item)["image_urls"] == [A]
    assert len(ItemAdapter(item)["images"]) == 1


class NoImagesItem(scrapy.Item):
    image_urls = scrapy.Field()


@dataclass
class NoImagesDataclass:
    image_urls: list


@attrs.define
class NoImagesAttrs:
    image_urls: list


class NoImagesPydantic(pydantic.BaseModel):
    image_urls: list


@pytest.mark.parametrize("kind", [NoImagesItem, NoImagesDataclass, NoImagesAttrs, NoImagesPydantic])
def test_an_item_without_the_result_field_passes_and_its_images_are_stored(tmp_path, kind):
    with Crawl(tmp_path, {A: jpeg()}) as crawl:
        item = crawl.process(kind(image_urls=[A]))
    assert isinstance(item, kind)
    assert len(crawl.files()) == 1


class NoUrlsItem(scrapy.Item):
    images = scrapy.Field()


@dataclass
class NoUrlsDataclass:
    images: list = field(default_factory=list)


@pytest.mark.parametrize("kind", [NoUrlsItem, NoUrlsDataclass])
def test_an_item_without_the_url_field_has_no_images(tmp_path, kind):
    with Crawl(tmp_path) as crawl:
        item = crawl.process(kind())
    assert ItemAdapter(item)["images"] == []


@each_kind
def test_the_fields_may_have_other_names(tmp_path, kind):
    settings = {"IMAGES_URLS_FIELD": "images", "IMAGES_RESULT_FIELD": "name"}
    item = kind(images=[A])
    with Crawl(tmp_path, {A: jpeg()}, **settings) as crawl:
        crawl.process(item)
    assert [image["url"] for image in ItemAdapter(item)["name"]] == [A]
    assert ItemAdapter(item)["images"] == [A]
