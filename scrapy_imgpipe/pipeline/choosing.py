"""Which pipeline of images the settings of a project mean, and what it is without a crawl."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrapy.exceptions import NotConfigured
from scrapy.utils.misc import build_from_crawler, load_object
from scrapy.utils.python import global_object_name

from scrapy_imgpipe.compat.crawler import crawler_at_rest
from scrapy_imgpipe.errors import SettingError, StoreFailed
from scrapy_imgpipe.pipeline.images import ImagesPipeline
from scrapy_imgpipe.store_adapter import far_store, native_store

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings, Settings

    from scrapy_imgpipe.stores import Store

NO_STORE = "IMAGES_STORE is not set: name the store with --store DIR"


def pipeline_of(
    settings: Settings, kind: type[ImagesPipeline] | str | None = None
) -> ImagesPipeline:
    """Return the pipeline that a crawl of *settings* would have; a directory is made.

    Args:
        settings: of a project, or of none, with the store.
        kind: its class, or the import path of that; else the only one of ``ITEM_PIPELINES``
            that is ours, or our own class where that has none.

    Raises:
        SettingError: a setting cannot be used, there is no such class, or there are several.
    """
    crawler = crawler_at_rest(settings)
    chosen = chosen_pipeline(crawler.settings, kind)
    try:
        built: ImagesPipeline = build_from_crawler(chosen, crawler)
    except NotConfigured:
        raise SettingError(NO_STORE) from None
    return built


def store_of(pipeline: ImagesPipeline) -> Store:
    """Return the store of *pipeline*, wherever it is.

    Raises:
        StoreFailed: it is a user's own.
    """
    store = native_store(pipeline.store) or far_store(pipeline.store)
    if store is None:
        kind = type(pipeline.store).__name__
        raise StoreFailed(f"A store that is reached through {kind} cannot be listed")
    return store


def chosen_pipeline(
    settings: BaseSettings, kind: type[ImagesPipeline] | str | None
) -> type[ImagesPipeline]:
    """Return the class that *kind* is or names; else the only one of *settings*.

    Raises:
        SettingError: there is no such class, or there are several.
    """
    if kind is not None:
        named: Any = _loaded(kind)
        if not _is_ours(named):
            raise SettingError(
                "Expected the import path of a class derived from"
                f" scrapy_imgpipe.ImagesPipeline for --pipeline but received {kind!r}"
            )
        return named  # type: ignore[no-any-return]  # it was looked at
    kinds = enabled_pipelines(settings)
    if len(kinds) > 1:
        names = ", ".join(sorted(map(global_object_name, kinds)))
        raise SettingError(f"ITEM_PIPELINES has several: choose one with --pipeline, of {names}")
    return kinds[0] if kinds else ImagesPipeline


def enabled_pipelines(settings: BaseSettings) -> list[type[ImagesPipeline]]:
    """Return the pipelines of images of a project.

    Raises:
        SettingError: one of its pipelines cannot be imported.
    """
    orders = settings.getdict("ITEM_PIPELINES")
    kinds = [_loaded(key) for key, order in orders.items() if order is not None]
    return [kind for kind in kinds if _is_ours(kind)]


def _loaded(path: Any) -> Any:
    try:
        return load_object(path)
    except (ImportError, NameError, ValueError, TypeError) as error:
        raise SettingError(f"Could not import the pipeline {path!r}: {error}") from None


def _is_ours(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, ImagesPipeline)
