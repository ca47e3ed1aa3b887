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


def named_for_all(settings: Settings, pipeline: ImagesPipeline) -> Settings:
    """Return *settings* with paths of store and index that mean the same in every folder."""
    settings = settings.copy()
    # Scrapy knows the store by one name only
    index, _ = pipeline._look_up_setting(settings, "IMGPIPE_INDEX")  # noqa: SLF001 - see Place
    for key in ("IMAGES_STORE", index):
        value = settings.get(key)
        path = os.fspath(value) if isinstance(value, os.PathLike) else value
        if isinstance(path, str) and path not in {"", OFF} and not (is_url(path) or "://" in path):
            settings.set(key, str(Path(path).absolute()), "cmdline")
    return settings


def deciding(settings: Settings, pipeline: ImagesPipeline, digests: str) -> str:
    """Return what tells this way to do a list from others: where it differs, all is done again."""
    rules = pipeline._rules()  # noqa: SLF001 - see Place
    kind = f"{type(pipeline).__module__}.{type(pipeline).__qualname__}"
    values = [kind, digests, settings.get("IMAGES_STORE"), rules.digest, rules.policy.limits]
    return json.dumps(values, default=str)
