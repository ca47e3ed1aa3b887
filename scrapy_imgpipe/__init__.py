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
        HookFailed,
        ImageBroken,
        ImagePipeError,
        IndexFailed,
        SettingError,
        SourceRejected,
        StoreFailed,
    )
    from scrapy_imgpipe.imaging import Plan, Variant, hamming, render
    from scrapy_imgpipe.pipeline import ImagesPipeline
    from scrapy_imgpipe.records import ImageRecord, Outcome, Rendition
    from scrapy_imgpipe.report import read_report
    from scrapy_imgpipe.stores import FileSystemStore

__version__ = "0.1.0"

_HOMES = {
    "Addon": "addon",
    "DownloadFailed": "errors",
    "FileSystemStore": "stores",
    "HookFailed": "errors",
    "ImageBroken": "errors",
    "ImagePipeError": "errors",
    "ImageRecord": "records",
    "ImagesPipeline": "pipeline",
    "Outcome": "records",
    "Plan": "imaging",
    "Rendition": "records",
    "IndexFailed": "errors",
    "read_report": "report",
    "SettingError": "errors",
    "SourceRejected": "errors",
    "StoreFailed": "errors",
    "Variant": "imaging",
    "hamming": "imaging",
    "render": "imaging",
}

__all__ = [
    "Addon",
    "DownloadFailed",
    "FileSystemStore",
    "HookFailed",
    "ImageBroken",
    "ImagePipeError",
    "ImageRecord",
    "ImagesPipeline",
    "IndexFailed",
    "Outcome",
    "Plan",
    "Rendition",
    "SettingError",
    "SourceRejected",
    "StoreFailed",
    "Variant",
    "hamming",
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
