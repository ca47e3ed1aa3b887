"""Calling what users override: which of it is overridden, and with which arguments.

Knows Scrapy's hook signatures, nothing of images, stores or the event loop.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any


def is_overridden(pipeline: object, base: type, *names: str) -> bool:
    """Tell whether *pipeline* has its own version of any of the methods *names* of *base*.

    Also true for a function that was put on the instance.
    """
    own, kind = vars(pipeline), type(pipeline)
    return any(name in own or getattr(kind, name) is not getattr(base, name) for name in names)


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
