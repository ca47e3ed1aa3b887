"""Calling what users override: which of it is overridden, and with which arguments.

Knows Scrapy's hook signatures, nothing of images, stores or the event loop.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Hashable
from typing import Any, cast


def is_overridden(pipeline: object, *names: str) -> bool:
    """Tell whether any of the methods *names* of *pipeline* is not this package's own.

    Also true for a function that was put on the instance.
    """
    return any(
        name in vars(pipeline) or not _is_ours(cast("Hashable", type(pipeline)), name)
        for name in names
    )


@functools.lru_cache(maxsize=256)
def _is_ours(kind: Hashable, name: str) -> bool:
    owner: type = next(base for base in kind.__mro__ if name in vars(base))  # type: ignore[attr-defined]
    return owner.__module__.startswith("scrapy_imgpipe.")


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
