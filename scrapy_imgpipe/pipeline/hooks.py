"""Calling what users override: which of it is overridden, and with which arguments.

Knows Scrapy's hook signatures, nothing of images, stores or the event loop.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

from scrapy_imgpipe import paths

_KNOWN = ("scrapy_imgpipe.", "scrapy.pipelines.")


# Neither keeps a class or a pipeline alive.
_overridden_in: WeakKeyDictionary[type, dict[tuple[str, ...], bool]] = WeakKeyDictionary()
_takes_item: WeakKeyDictionary[Callable[..., Any], bool] = WeakKeyDictionary()


def is_overridden(pipeline: object, *names: str) -> bool:
    """Tell whether any of the methods *names* of *pipeline* is neither ours nor Scrapy's.

    Also true for a function that was put on the instance.
    """
    own = vars(pipeline)
    known = _overridden_in.setdefault(type(pipeline), {})
    if names not in known:
        known[names] = any(not _is_known(type(pipeline), name) for name in names)
    return known[names] or any(name in own for name in names)


def _is_known(kind: type, name: str) -> bool:
    owner = next(base for base in kind.__mro__ if name in vars(base))
    return owner.__module__.startswith(_KNOWN)


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
