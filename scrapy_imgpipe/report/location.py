"""Where a report goes: the checks of ``IMGPIPE_REPORT``, its placeholders, its format.

Nothing is opened here.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

from scrapy_imgpipe.errors import SettingError
from scrapy_imgpipe.parsers import Parser, parse
from scrapy_imgpipe.report.optional import pyarrow

#: The setting, as messages name it.
SETTING = "IMGPIPE_REPORT"

EXTENSIONS: tuple[str, ...] = (".jsonl", ".csv", ".sqlite", ".parquet")

_URI = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)  # RFC 3986, 3.1
_PLACEHOLDER = re.compile(r"%\((name|time)\)s")


def check_report_path(value: object, key: str = SETTING) -> None:
    """Refuse a path that no report can be written to, and one whose library is missing.

    For the start of a crawl. Placeholders are checked too. The library that
    Parquet needs is imported, for a broken one is found in no other way. Messages call
    it *key*.

    Raises:
        SettingError: with one sentence that says what is expected.
    """
    path = parse(_PATH, key, value)
    parse(_TEMPLATE, key, path)
    if extension_of(path) == ".parquet":
        try:
            pyarrow()
        except ImportError as error:
            raise SettingError(f"{key} is {path!r}, but {error}") from None


def check_format(path: object, key: str = SETTING) -> str:
    """Return *path* as text where its extension is that of a format.

    Raises:
        SettingError: for anything else; *key* is what the message calls it.
    """
    return str(parse(_PATH, key, path))


def extension_of(path: str) -> str:
    """Return the extension in lower case, with its dot."""
    return PurePath(path).suffix.lower()


def expand(uri: str | os.PathLike[str], name: str, time: datetime) -> str:
    """Return *uri* with ``%(name)s`` and ``%(time)s`` filled in, as in Scrapy's ``FEEDS``.

    Every other ``%`` stands for itself.

    Args:
        uri: the path as the user wrote it.
        name: of the spider.
        time: of the start, with its time zone; becomes ``2026-11-30T12-00-00+00-00``.

    Raises:
        SettingError: for another placeholder, or one that is not closed.
    """
    moment = time.astimezone(UTC).replace(microsecond=0).isoformat().replace(":", "-")
    values = {"name": name, "time": moment}
    pieces = _PLACEHOLDER.split(parse(_TEMPLATE, SETTING, os.fspath(uri)))
    return "".join(values[piece] if place % 2 else piece for place, piece in enumerate(pieces))


def _parse_path(value: Any) -> str:
    path = os.fspath(value)
    if not isinstance(path, str):
        raise TypeError
    if extension_of(path) not in EXTENSIONS or "\0" in path or _URI.match(path):
        raise ValueError
    return path


def _parse_template(value: str) -> str:
    if "%(" in _PLACEHOLDER.sub("", value):
        raise ValueError
    return value


_PATH = Parser("local path ending in .jsonl, .csv, .sqlite or .parquet", _parse_path)
_TEMPLATE = Parser("no placeholders but %(name)s and %(time)s", _parse_template)
