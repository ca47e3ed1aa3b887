"""What goes wrong with a report file, said in one sentence."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from scrapy_imgpipe.errors import StoreFailed


@contextmanager
def said(deed: str, path: str | os.PathLike[str], *others: type[Exception]) -> Iterator[None]:
    """Turn failures of the system, of SQLite and of *others* into ``StoreFailed``.

    Args:
        deed: what was tried: ``write``, ``read``, ...
        path: the report.
        others: what the format's own library raises.
    """
    kinds: tuple[type[Exception], ...] = (OSError, sqlite3.Error, *others)
    try:
        yield
    except kinds as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise StoreFailed(f"Could not {deed} the report {os.fspath(path)!r}: {reason}") from None
