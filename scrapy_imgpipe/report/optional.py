"""The libraries of the extra ``report``, imported when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_INSTALL = "pip install scrapy-imgpipe[report]"


def pyarrow() -> tuple[Any, Any]:
    """Return the modules ``pyarrow`` and ``pyarrow.parquet``.

    Raises:
        ImportError: with one sentence that says how to install them.
    """
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise ImportError(f"pyarrow is needed for a report in Parquet: {_INSTALL}") from error


def pandas() -> Any:
    """Return the module ``pandas``.

    Raises:
        ImportError: with one sentence that says how to install it.
    """
    try:
        return import_module("pandas")
    except ImportError as error:
        raise ImportError(f"pandas is needed to read a report as a table: {_INSTALL}") from error
