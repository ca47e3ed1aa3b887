"""What a fetch is to do, as settings of its crawls."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from math import ceil
from typing import TYPE_CHECKING, Any

from scrapy.settings import BaseSettings, Settings

from scrapy_imgpipe.fetching.wires import NUMBER, check_travels
from scrapy_imgpipe.parsers import parse, whole_number

if TYPE_CHECKING:
    from scrapy_imgpipe.pipeline import ImagesPipeline

#: What is not Scrapy's default here. A list has many hosts, and no pages that cookies would
#: belong to; its URLs may have moved; and nobody waits three minutes for one of a million.
DEFAULTS: Mapping[str, Any] = {
    "CONCURRENT_REQUESTS": 64,
    "COOKIES_ENABLED": False,
    "DOWNLOAD_TIMEOUT": 60,
    "LOG_LEVEL": "ERROR",
    "MEDIA_ALLOW_REDIRECTS": True,
    "REACTOR_THREADPOOL_MAXSIZE": 20,
    "TELNETCONSOLE_ENABLED": False,
}

#: What has no meaning here: there are no pages, and the list is what is gone on with.
_WITHOUT: Mapping[str, Any] = {
    "FEEDS": {},
    "IMGPIPE_ITEM_KEY": NUMBER,
    "IMGPIPE_PROGRESS": False,
    "IMGPIPE_REPORT": None,
    "JOBDIR": None,
    "LOGSTATS_INTERVAL": 0,
    "SPIDER_MIDDLEWARES": {},
}

_FORCED = "cmdline"

_REQUESTS = whole_number(1, "requests")

#: What crawls record, beside what is asked for, of images that go into shards.
RECORDED = ("original", "exif")


def complete(settings: Settings | Mapping[str, Any] | None) -> Settings:
    """Return a copy of *settings* with the defaults of a fetch below them.

    Raises:
        SettingError: one has a value that cannot be copied to another process.
    """
    check_travels(settings or {})
    if isinstance(settings, BaseSettings):
        complete = settings.copy()
    else:
        complete = Settings()
        complete.setdict(dict(settings or {}), _FORCED)
    complete.setdict(dict(DEFAULTS), "default")
    parse(_REQUESTS, "CONCURRENT_REQUESTS", complete.get("CONCURRENT_REQUESTS"))
    if find_spec("uvloop") is not None:  # not measured by a benchmark
        complete.set("ASYNCIO_EVENT_LOOP", "uvloop.Loop", "default")
    return complete  # type: ignore[return-value]  # as settings is


def shared_out(settings: Settings, pipeline: ImagesPipeline, processes: int) -> Settings:
    """Return the settings of each of *processes* crawls, which together keep to *settings*."""
    each = settings.copy()
    each.setdict(dict(_WITHOUT), _FORCED)
    if processes > 1:
        read = pipeline.options
        shares = {
            "CONCURRENT_REQUESTS": settings.getint("CONCURRENT_REQUESTS"),
            "IMGPIPE_WORKERS": read.most_workers,
            "IMGPIPE_MEMORY_BUDGET": read.budget,
            "IMGPIPE_STORE_CONNECTIONS": pipeline.access.connections,
        }
        for name, value in shares.items():
            each.set(name, ceil(value / processes), _FORCED)
    return each


def staged(settings: Settings, pipeline: ImagesPipeline, folder: str) -> Settings:
    """Return *settings* for crawls that leave files in *folder*, to be taken on at once."""
    each = settings.copy()
    named = pipeline.options.measures
    without: dict[str, Any] = {
        "IMAGES_STORE": folder,
        "IMGPIPE_INDEX": "off",
        "MEDIA_CACHE_SIZE": 0,
        "IMGPIPE_RECORD": [*named, *(name for name in RECORDED if name not in named)],
    }
    each.setdict(without, _FORCED)
    return each


def travelling(settings: Settings) -> dict[str, tuple[Any, int]]:
    """Return name to value and priority, of all that is not Scrapy's own default."""
    sent, defaults = {}, Settings().attributes  # asked for, deprecated ones would warn
    for name, attribute in settings.attributes.items():
        value, priority = attribute.value, attribute.priority
        if isinstance(value, BaseSettings):
            priority = value.maxpriority()
            value = dict(value)
        known = defaults.get(name)
        if priority or known is None or attribute.value != known.value:
            sent[name] = (value, priority)
    return sent
