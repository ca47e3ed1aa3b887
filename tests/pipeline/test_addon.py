"""The add-on: ours where Scrapy's stood, and nothing else is touched."""

from __future__ import annotations

import pytest
from scrapy.pipelines.files import FilesPipeline
from scrapy.pipelines.images import ImagesPipeline as Scrapys
from scrapy.settings import SETTINGS_PRIORITIES, Settings
from scrapy.utils.conf import build_component_list
from scrapy.utils.misc import load_object
from scrapy.utils.spider import DefaultSpider
from scrapy.utils.test import get_crawler

from scrapy_imgpipe import Addon, ImagesPipeline

SCRAPYS_PATH = "scrapy.pipelines.images.ImagesPipeline"
OUR_PATH = "scrapy_imgpipe.ImagesPipeline"


class Subclass(ImagesPipeline):
    pass


class SubclassOfScrapys(Scrapys):
    pass


def after_addon(pipelines, priority="project"):
    """Return the enabled components in their order, and each one's order number."""
    settings = Settings()
    if pipelines is not None:
        settings.set("ITEM_PIPELINES", pipelines, priority)
    Addon().update_settings(settings)
    final = settings.get_component_priority_dict_with_base("ITEM_PIPELINES")
    orders = {load_object(key): order for key, order in final.items()}
    components = [load_object(key) for key in build_component_list(final)]
    return [(component, orders[component]) for component in components]


@pytest.mark.parametrize("key", [SCRAPYS_PATH, Scrapys], ids=["path", "class"])
@pytest.mark.parametrize("order", [0, 1, 300])
def test_scrapys_class_is_replaced_at_its_order(key, order):
    assert after_addon({key: order}) == [(ImagesPipeline, order)]


@pytest.mark.parametrize("key", [SCRAPYS_PATH, Scrapys], ids=["path", "class"])
def test_other_pipelines_stay_where_they_are(key):
    files = "scrapy.pipelines.files.FilesPipeline"
    assert after_addon({files: 100, key: 200}) == [(FilesPipeline, 100), (ImagesPipeline, 200)]


@pytest.mark.parametrize("pipelines", [None, {}], ids=repr)
def test_ours_is_added_where_there_is_none(pipelines):
    assert after_addon(pipelines) == [(ImagesPipeline, 1)]


def test_ours_comes_before_what_the_project_has():
    assert after_addon({FilesPipeline: 100}) == [(ImagesPipeline, 1), (FilesPipeline, 100)]


@pytest.mark.parametrize("key", [OUR_PATH, ImagesPipeline], ids=["path", "class"])
def test_ours_is_left_alone(key):
    assert after_addon({key: 250}) == [(ImagesPipeline, 250)]


def test_a_subclass_of_ours_is_left_alone():
    assert after_addon({Subclass: 250}) == [(Subclass, 250)]


@pytest.mark.parametrize("key", [OUR_PATH, ImagesPipeline], ids=["path", "class"])
def test_ours_stays_off_where_the_project_switched_it_off(key):
    assert after_addon({key: None}) == []


@pytest.mark.parametrize("key", [SCRAPYS_PATH, Scrapys], ids=["path", "class"])
def test_where_scrapys_is_switched_off_ours_is_added(key):
    assert after_addon({key: None}) == [(ImagesPipeline, 1)]


def test_a_users_subclass_of_scrapys_stays_alone_and_is_told_how_to_move(caplog):
    assert after_addon({SubclassOfScrapys: 300}) == [(SubclassOfScrapys, 300)]
    assert "import ImagesPipeline from scrapy_imgpipe" in caplog.text
    assert "SubclassOfScrapys" in caplog.text


def test_a_project_that_names_both_gets_ours_once():
    assert after_addon({SCRAPYS_PATH: 1, OUR_PATH: 300}) in (
        [(ImagesPipeline, 1)],
        [(ImagesPipeline, 300)],
    )


def test_scrapys_beside_a_subclass_of_ours_is_replaced():
    assert after_addon({Scrapys: 1, Subclass: 300}) == [(ImagesPipeline, 1), (Subclass, 300)]


def test_pipelines_given_as_json_on_the_command_line_are_changed_too():
    pipelines = f'{{"{SCRAPYS_PATH}": 5}}'
    assert after_addon(pipelines, "cmdline") == [(ImagesPipeline, 5)]


def test_the_priority_of_the_setting_stays():
    settings = Settings()
    settings.set("ITEM_PIPELINES", {SCRAPYS_PATH: 5}, "spider")
    Addon().update_settings(settings)
    assert settings.getpriority("ITEM_PIPELINES") == SETTINGS_PRIORITIES["spider"]


def test_twice_is_as_once():
    settings = Settings({"ITEM_PIPELINES": {SCRAPYS_PATH: 5}})
    Addon().update_settings(settings)
    once = dict(settings.getdict("ITEM_PIPELINES"))
    Addon().update_settings(settings)
    assert dict(settings.getdict("ITEM_PIPELINES")) == once == {ImagesPipeline: 5}


def test_scrapy_loads_it_from_the_addons_setting(tmp_path):
    settings = {
        "ADDONS": {"scrapy_imgpipe.Addon": 500},
        "ITEM_PIPELINES": {SCRAPYS_PATH: 7},
        "IMAGES_STORE": str(tmp_path),
    }
    crawler = get_crawler(DefaultSpider, settings)
    assert dict(crawler.settings.getdict("ITEM_PIPELINES")) == {ImagesPipeline: 7}
