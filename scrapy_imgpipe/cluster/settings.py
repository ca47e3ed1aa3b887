"""The settings of a list on a cluster: what they mean elsewhere, and which of them decide."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from scrapy_imgpipe.index.places import OFF
from scrapy_imgpipe.index.redis_server import is_url

if TYPE_CHECKING:
    from scrapy.settings import Settings

    from scrapy_imgpipe.pipeline import ImagesPipeline

#: Settings that decide what comes of a list; where one has changed, its shards are done again.
_DECIDING = ("IMAGES_STORE", "IMAGES_THUMBS", "IMGPIPE_FULL", "IMGPIPE_RENDITIONS")


def named_for_all(settings: Settings, pipeline: ImagesPipeline) -> Settings:
    """Return *settings* with paths of store and index that mean the same in every folder."""
    settings = settings.copy()
    for name in ("IMAGES_STORE", "IMGPIPE_INDEX"):
        key, value = pipeline._look_up_setting(settings, name)  # noqa: SLF001 - a subclass's own
        path = os.fspath(value) if isinstance(value, os.PathLike) else value
        if isinstance(path, str) and path not in {"", OFF} and not (is_url(path) or "://" in path):
            settings.set(key, str(Path(path).absolute()), "cmdline")
    return settings


def deciding(settings: Settings, pipeline: str, digests: str) -> str:
    """Return what tells this way to do a list from others."""
    values = {name: settings.get(name) for name in _DECIDING}
    return json.dumps([pipeline, digests, values], sort_keys=True, default=str)
