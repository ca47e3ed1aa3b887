"""Calling what users override: which of it is overridden, and with which arguments.

Knows Scrapy's hook signatures, nothing of images, stores or the event loop.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

_KNOWN = ("scrapy_imgpipe.", "scrapy.pipelines.")


def is_overridden(pipeline: object, *names: str) -> bool:
    """Tell whether any of the methods *names* of *pipeline* is neither ours nor Scrapy's.

    Also true for a function that was put on the instance.
    """
    own = vars(pipeline)
    kind: Any = type(pipeline)
    return _is_overridden_in(kind, names) or any(name in own for name in names)


@functools.lru_cache(maxsize=256)
def _is_overridden_in(kind: Any, names: tuple[str, ...]) -> bool:
    owners = (next(base for base in kind.__mro__ if name in vars(base)) for name in names)
    return any(not owner.__module__.startswith(_KNOWN) for owner in owners)


def call(method: Callable[..., Any], *args: Any, item: Any, **kwargs: Any) -> Any:
    """Call *method*, with ``item=`` only where it takes that.

    Hooks written for Scrapy before 2.4 have no such parameter.
    """
    if _takes_item(getattr(method, "__func__", method)):
        kwargs["item"] = item
    return method(*args, **kwargs)


@functools.lru_cache(maxsize=256)
def _takes_item(function: Callable[..., Any]) -> bool:
    parameters = inspect.signature(function).parameters.values()
    return any(p.name == "item" or p.kind is p.VAR_KEYWORD for p in parameters)
