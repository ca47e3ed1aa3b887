"""The image pipeline that every Scrapy project should use.

Importing this package costs nothing: Scrapy loads every command entry point at
each start, so the public names below are only imported when they are asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scrapy_imgpipe.addon import Addon
    from scrapy_imgpipe.errors import (
        DownloadFailed,
        FetchFailed,
        HookFailed,
        ImageBroken,
        ImagePipeError,
        IndexFailed,
        SaveFailed,
        SettingError,
        SourceRejected,
        StoreFailed,
    )
    from scrapy_imgpipe.fetch import fetch_images
    from scrapy_imgpipe.imaging import Plan, Variant, hamming, render
    from scrapy_imgpipe.local import process_images
    from scrapy_imgpipe.pipeline import ImagesPipeline
    from scrapy_imgpipe.records import ImageRecord, Outcome, Rendition
    from scrapy_imgpipe.report import read_report
    from scrapy_imgpipe.saver import ImageSaver
    from scrapy_imgpipe.stores import FileSystemStore

__version__ = "0.1.0"

_HOMES = {
    "Addon": "addon",
    "DownloadFailed": "errors",
    "FetchFailed": "errors",
    "FileSystemStore": "stores",
    "HookFailed": "errors",
    "ImageBroken": "errors",
    "ImagePipeError": "errors",
    "ImageRecord": "records",
    "ImageSaver": "saver",
    "ImagesPipeline": "pipeline",
    "Outcome": "records",
    "Plan": "imaging",
    "Rendition": "records",
    "IndexFailed": "errors",
    "read_report": "report",
    "SaveFailed": "errors",
    "SettingError": "errors",
    "SourceRejected": "errors",
    "StoreFailed": "errors",
    "Variant": "imaging",
    "fetch_images": "fetch",
    "hamming": "imaging",
    "process_images": "local",
    "render": "imaging",
}

__all__ = [
    "Addon",
    "DownloadFailed",
    "FetchFailed",
    "FileSystemStore",
    "HookFailed",
    "ImageBroken",
    "ImagePipeError",
    "ImageRecord",
    "ImageSaver",
    "ImagesPipeline",
    "IndexFailed",
    "Outcome",
    "Plan",
    "Rendition",
    "SaveFailed",
    "SettingError",
    "SourceRejected",
    "StoreFailed",
    "Variant",
    "fetch_images",
    "hamming",
    "process_images",
    "read_report",
    "render",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
