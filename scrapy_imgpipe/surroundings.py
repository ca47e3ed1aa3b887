"""What of this process the result of rendering depends on: Pillow's global settings.

Users change them in settings.py or a spider (``Image.MAX_IMAGE_PIXELS = None``,
``ImageFile.LOAD_TRUNCATED_IMAGES = True``, a plug-in of another package, a filter for
warnings), at any time. A worker process takes them on before its next call. What
cannot be told to another process keeps the work in this one.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Callable
from typing import Any, cast

from PIL import Image, ImageFile, PngImagePlugin

#: What Pillow documents as open to change, and reading images heeds.
_SETTINGS = tuple(
    (module, name)
    for module, name in (
        (Image, "MAX_IMAGE_PIXELS"),
        (ImageFile, "LOAD_TRUNCATED_IMAGES"),
        (ImageFile, "MAXBLOCK"),
        (PngImagePlugin, "MAX_TEXT_CHUNK"),
        (PngImagePlugin, "MAX_TEXT_MEMORY"),
    )
    if hasattr(module, name)
)

# Where plug-ins come from that every process loads by itself, once a plan names their
# formats: Pillow's own, and those of the extras ``heif`` and ``jxl``.
_LOADED_ON_DEMAND = ("PIL.", "pillow_heif.", "pillow_jxl.")

#: Arguments of ``warnings.filterwarnings``: action, message, category, module, line.
_Filter = tuple[str, str, type[Warning], str, int]
_Filters = list[tuple[Any, Any, Any, Any, int]]
_Told = tuple[tuple[Any, ...], tuple[_Filter, ...]]


def surroundings() -> tuple[Callable[[_Told], None], _Told]:
    """Return what another process has to call, and with what, to be as this one.

    Takes some microseconds, so that it can be asked before every call.

    Raises:
        PicklingError: when another package has a plug-in in Pillow; it would be missing
            there.
    """
    for name, (factory, _) in Image.OPEN.items():
        home = getattr(factory, "__module__", None) or "?"
        if not home.startswith(_LOADED_ON_DEMAND):
            msg = f"Pillow opens {name} with a plug-in of {home}"
            raise pickle.PicklingError(msg)
    settings = tuple(getattr(module, name) for module, name in _SETTINGS)
    return take_on, (settings, tuple(_filters()))


def take_on(told: _Told) -> None:
    """Make this process as the one that *told*."""
    settings, filters = told
    for (module, name), value in zip(_SETTINGS, settings, strict=True):
        setattr(module, name, value)
    warnings.resetwarnings()
    for each in filters:
        warnings.filterwarnings(*each, append=True)  # type: ignore[arg-type]  # the action


def _filters() -> list[_Filter]:
    """Return the filters that a warning of Pillow's can meet."""
    return [
        (action, _pattern(message), category, _pattern(module), line)
        for action, message, category, module, line in cast("_Filters", warnings.filters)
        if category.__module__ == "builtins" or category.__module__.startswith("PIL.")
    ]


def _pattern(expression: re.Pattern[str] | str | None) -> str:
    if expression is None:
        return ""
    return expression if isinstance(expression, str) else expression.pattern
