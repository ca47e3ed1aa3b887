"""The store, the index and the rules that a crawl would use, without a crawl."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from scrapy.exceptions import NotConfigured
from scrapy.http import Request
from scrapy.utils.misc import build_from_crawler

from scrapy_imgpipe.compat.crawler import crawler_at_rest
from scrapy_imgpipe.errors import IndexFailed, SettingError, StoreFailed
from scrapy_imgpipe.paths import thumb_path
from scrapy_imgpipe.pipeline import ImagesPipeline
from scrapy_imgpipe.pipeline.choosing import (
    NO_STORE,
    chosen_pipeline,
    enabled_pipelines,
    store_of,
)
from scrapy_imgpipe.pipeline.hooks import is_overridden
from scrapy_imgpipe.variants import SOURCE

if TYPE_CHECKING:
    from scrapy.settings import Settings

    from scrapy_imgpipe.index import Index
    from scrapy_imgpipe.stores import Store
    from scrapy_imgpipe.tasks import Rules

_FULL = "full/"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pipeline keeps images, and by what rules.

    Attributes:
        pipeline: it.
        rules: what counts for its sources.
        store: its files.
        index: what it knows of them.
        others: digests of what other pipelines of the project make, which may use the
            same store.
        excluded: folders of the store that are somebody else's, as ``uploads/``.
    """

    pipeline: ImagesPipeline
    rules: Rules
    store: Store
    index: Index
    others: frozenset[str] = frozenset()
    excluded: tuple[str, ...] = ()

    @classmethod
    def of(cls, pipeline: ImagesPipeline, others: frozenset[str] = frozenset()) -> Place:
        """Return the place of *pipeline*.

        Raises:
            StoreFailed: its store cannot be listed.
            IndexFailed: it has no index.
        """
        rules = pipeline._rules()  # noqa: SLF001 - a public name could be a subclass's own
        store = store_of(pipeline)
        if store is not rules.store:  # there is no event loop that it could hold up
            rules = replace(rules, store=store)
        if rules.index is None:
            raise IndexFailed("IMGPIPE_INDEX is 'off', so nothing is known of this store")
        return cls(pipeline, rules, store, rules.index, others)

    def is_of_another(self, plan: str) -> bool:
        """Return whether *plan* is that of another pipeline, and not of this one."""
        return plan in self.others and plan != self.rules.digest

    @property
    def threads(self) -> int:
        """How many threads are to work: IMGPIPE_WORKERS, else usable CPUs.

        Who works on a store on another machine waits, mostly: then as many as connections.
        """
        pipeline = self.pipeline
        far = self.rules.gives_back
        return pipeline.access.connections if far else pipeline.options.most_workers

    def is_left_alone(self, path: str) -> bool:
        """Return whether *path* in the store is a file of the index, or of somebody else."""
        if path.startswith(self.excluded):
            return True
        index = getattr(self.index, "path", None)
        base = getattr(self.store, "base", None)
        if index is None or base is None:
            return False
        return os.path.join(base, path).startswith(index)  # noqa: PTH118 - a million times

    def fingerprint_of(self, url: str) -> str:
        """Return the fingerprint of a plain request for *url*; empty where it has none."""
        fingerprinter: Any = self.pipeline.crawler.request_fingerprinter
        try:
            return str(fingerprinter.fingerprint(Request(url)).hex())
        except Exception:  # noqa: BLE001 - a user's own may ask for more than a URL
            return ""

    def likely_thumbs(self, path: str, url: str = "") -> dict[str, str]:
        """Return where the thumbnails of the full image *path* may be, by name."""
        if self.rules.any_thumbs:
            return {}
        if url and not path.startswith(_FULL):
            return self._thumbs_of(url)
        _, found, rest = f"/{path}".rpartition(f"/{_FULL}")
        plan, same = self.rules.plan, rest if found else path
        stem = os.path.splitext(same)[0]  # noqa: PTH122 - of a key, and a million times
        return {
            each.name: f"thumbs/{each.name}/"
            + (same if plan.full_is_jpeg and each.format == "JPEG" else stem + each.extension)
            for each in plan.variants
        }

    def _thumbs_of(self, url: str) -> dict[str, str]:
        return {
            variant.name: thumb_path(url, variant.name, variant.extension)
            for variant in self.rules.plan.variants
        }

    def certain_thumbs(self, path: str, url: str) -> dict[str, str]:
        """Return where the thumbnails of the full image *path* belong, by name.

        Empty where only a crawl can tell.
        """
        if self.rules.any_thumbs or is_overridden(self.pipeline, "thumb_path"):
            return {}
        if any(variant.format == SOURCE for variant in self.rules.plan.variants):
            return {}
        if not is_overridden(self.pipeline, "file_path") and path.startswith(_FULL):
            return self.likely_thumbs(path)
        return self._thumbs_of(url) if url else {}


def place_of(settings: Settings, pipeline: str | None = None) -> Place:
    """Return the place of the image pipeline of *settings*.

    Args:
        settings: of a project, or of none.
        pipeline: import path of its class; else the only one of ``ITEM_PIPELINES``, or
            our own where that has none.

    Raises:
        SettingError: a setting cannot be used, there is no such class, or there are several.
        StoreFailed: there is no such store, or none that can be listed.
        IndexFailed: the index is switched off.
    """
    try:
        crawler = crawler_at_rest(settings)
        kind = chosen_pipeline(crawler.settings, pipeline)
        _check_there(crawler.settings.get("IMAGES_STORE"))
        built: ImagesPipeline = build_from_crawler(kind, crawler)
        others = [
            build_from_crawler(other, crawler)._rules().digest  # noqa: SLF001 - as above
            for other in enabled_pipelines(crawler.settings)
            if other is not kind
        ]
    except NotConfigured:
        raise SettingError(NO_STORE) from None
    return Place.of(built, frozenset(others))


def _check_there(uri: Any) -> None:
    """Refuse a directory that is not there, which the pipeline would make.

    Raises:
        StoreFailed: there is none.
    """
    if not uri or not isinstance(uri, (str, os.PathLike)):
        return
    text = os.fspath(uri)
    if not Path(text).is_absolute() and urlsplit(text).scheme not in {"", "file"}:
        return
    if not Path(text.partition("://")[2] or text).is_dir():
        raise StoreFailed(f"There is no store at {text!r}")
