"""Calling what users override: which of it is overridden, and with which arguments.

Knows Scrapy's hook signatures, nothing of images, stores or the event loop.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from scrapy_imgpipe import paths

#: Methods for which it matters whether they are overridden, each with our own version;
#: filled once our class is complete.
OURS: dict[str, object] = dict.fromkeys(
    (
        "media_to_download",
        "file_downloaded",
        "image_downloaded",
        "get_images",
        "convert_image",
        "file_path",
        "thumb_path",
        "_onsuccess",  # Scrapy's judgement of what is stored, private but popular
    )
)

_takes_item: WeakKeyDictionary[Callable[..., Any], bool] = WeakKeyDictionary()


def is_overridden(pipeline: object, *names: str) -> bool:
    """Tell whether any of the methods *names* of *pipeline* is another than :data:`OURS`.

    Also true for a function that was put on the instance, at any time; a class is looked
    at once, when it is first asked about.
    """
    own, overridden = vars(pipeline), _overridden_in(type(pipeline))  # type: ignore[arg-type]
    for name in names:  # noqa: SIM110 - asked for each source: any() takes twice as long
        if name in overridden or name in own:
            return True
    return False


@lru_cache(maxsize=64)
def _overridden_in(kind: type) -> frozenset[str]:
    return frozenset(name for name, ours in OURS.items() if getattr(kind, name) is not ours)


def call(method: Callable[..., Any], *args: Any, item: Any, **kwargs: Any) -> Any:
    """Call *method*, with ``item=`` only where it takes that.

    Hooks written for Scrapy before 2.4 have no such parameter.
    """
    function = getattr(method, "__func__", method)
    try:
        takes = _takes_item[function]
    except (KeyError, TypeError):  # not asked before, or nothing that can be a key
        parameters = inspect.signature(method).parameters.values()
        takes = any(p.name == "item" or p.kind is p.VAR_KEYWORD for p in parameters)
        with suppress(TypeError):
            _takes_item[function] = takes
    if takes:
        kwargs["item"] = item
    return method(*args, **kwargs)


def checked(path: object) -> str:
    """Return *path* where a store may take it; see :func:`scrapy_imgpipe.paths.checked_path`."""
    return paths.checked_path(path, windows=os.name == "nt")
