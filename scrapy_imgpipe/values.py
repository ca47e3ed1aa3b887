"""What values settings take, beyond the plain ones: words, times, sizes, headers, ...

A parser each, with what it says of a wrong value; no settings are read here.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from scrapy_imgpipe.parsers import BOOLEAN, Parser, whole_number
from scrapy_imgpipe.renditions import parse_full, parse_renditions
from scrapy_imgpipe.variants import COPYRIGHT

#: Least memory limit of a worker process, in bytes: a PNG of 12 megapixels takes about as
#: much. Less may well be a number of megabytes.
LEAST_MEMORY = 128 << 20

#: Value of ``IMGPIPE_PUBLIC_URL`` for URLs that the store signs.
SIGNED = "signed"

#: What every object is put with unless the settings say otherwise, as Scrapy does.
HEADERS: Mapping[str, str] = MappingProxyType({"Cache-Control": "max-age=172800"})

_MD5 = re.compile(r"[0-9a-f]{32}")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")  # RFC 3986, 3.1; without "://"


def _parse_words(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [word.strip() for word in value.split(",")]
    if not isinstance(value, Collection) or isinstance(value, (bytes, Mapping)):
        raise TypeError
    if not value or not all(isinstance(word, str) and word for word in value):
        raise ValueError
    return tuple(value)


def _parse_schemes(value: Any) -> tuple[str, ...]:
    schemes = tuple(word.lower() for word in _parse_words(value))
    if not all(_SCHEME.fullmatch(scheme) for scheme in schemes):
        raise ValueError
    return schemes


def _parse_opt_out(value: Any) -> bool | tuple[str, ...]:
    try:
        return bool(BOOLEAN.parse(value))
    except TypeError:
        return _parse_any_words(value)


def _parse_any_words(value: Any) -> tuple[str, ...]:
    return _parse_words(value) if value or not isinstance(value, (list, tuple, str)) else ()


def _parse_formats(value: Any) -> tuple[str, ...]:
    return tuple(word.upper() for word in _parse_words(value))


def _parse_statuses(value: Any) -> tuple[int, ...]:
    if isinstance(value, (int, str)) and not isinstance(value, bool):
        value = str(value).split(",")
    if not isinstance(value, Collection) or isinstance(value, (bytes, Mapping)) or not value:
        raise TypeError
    statuses = tuple(whole_number().parse(status) for status in value)
    if not all(100 <= status <= 599 for status in statuses):  # noqa: PLR2004 - RFC 9110, 15
        raise ValueError
    return statuses


def _parse_time(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError
    time = float(value)
    if not 0 <= time < float("inf"):
        raise ValueError
    return time


def _parse_positive_time(value: Any) -> float:
    time = _parse_time(value)
    if not time:
        raise ValueError
    return time


def _parse_lease(value: Any) -> float:
    time = _parse_time(value)
    if 0 < time < 1:
        raise ValueError
    return time


def _parse_headers(value: Any) -> dict[str, str]:
    if isinstance(value, str):
        value = json.loads(value)
    if not isinstance(value, Mapping):
        raise TypeError
    if not all(isinstance(text, str) and text for pair in value.items() for text in pair):
        raise ValueError
    return dict(value)


def _parse_public_url(value: Any) -> str:
    text = _parse_word(value)
    if text.lower() in {"", SIGNED}:
        return text.lower()
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise ValueError
    if "?" in text or "#" in text or not text.isprintable() or " " in text:
        raise ValueError
    return text


def _parse_memory(value: Any) -> int:
    memory: int = whole_number(0).parse(value)
    if 0 < memory < LEAST_MEMORY:
        raise ValueError
    return memory


def _parse_ratio(value: Any) -> float:
    ratio = _parse_time(value)
    if 0 < ratio < 1:
        raise ValueError
    return ratio


def _parse_folder(value: Any) -> str:
    folder: str = posixpath.normpath(value)
    if folder.startswith(("/", "..")) or folder == "." or "\\" in folder:
        raise ValueError
    return folder


def _parse_path(value: Any) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError
    path = os.fspath(value)
    if not isinstance(path, str) or not path:
        raise ValueError
    return path


def _parse_digests(value: Any) -> frozenset[str]:
    digests = frozenset(word.lower() for word in _parse_words(value)) if value else frozenset()
    if not all(_MD5.fullmatch(digest) for digest in digests):
        raise ValueError
    return digests


def _parse_measures(value: Any) -> tuple[Any, ...]:
    if isinstance(value, str):
        value = [word.strip() for word in value.split(",") if word.strip()]
    if not isinstance(value, (list, tuple)):
        raise TypeError
    if not all(callable(one) or (isinstance(one, str) and one) for one in value):
        raise ValueError
    return tuple(value)


def _parse_word(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _parse_strip(value: Any) -> str:
    if isinstance(value, str) and value.lower() == COPYRIGHT:
        return COPYRIGHT
    return "all" if BOOLEAN.parse(value) else ""


def _parse_thumbs(value: Any) -> dict[str, tuple[float, float]]:
    if isinstance(value, str):
        value = json.loads(value)
    if not isinstance(value, Mapping):
        raise TypeError
    return {name: _parse_size(size) for name, size in value.items()}


def _parse_size(value: Any) -> tuple[float, float]:
    if isinstance(value, str):
        raise TypeError
    width, height = (side if isinstance(side, (int, float)) else float(side) for side in value)
    if not all(1 <= side < float("inf") for side in (width, height)):
        raise ValueError
    return width, height


SCHEME_LIST = Parser("list of URL schemes", _parse_schemes)
OPT_OUT = Parser("True, False or list of words", _parse_opt_out)
HOST_LIST = Parser("list of host names, addresses or networks", _parse_any_words)
FORMAT_LIST = Parser("list of Pillow format names", _parse_formats)
STATUS_LIST = Parser("list of HTTP statuses from 100 to 599", _parse_statuses)
DAYS = Parser("number of days, 0 or more,", _parse_time)
SECONDS = Parser("number of seconds, 0 or more,", _parse_time)
LEASE_SECONDS = Parser("number of seconds, 1 or more, or 0,", _parse_lease)
POSITIVE_SECONDS = Parser("number of seconds, more than 0,", _parse_positive_time)
MEMORY = Parser(f"whole number of bytes, 0 or at least {LEAST_MEMORY},", _parse_memory)
FOLDER = Parser("folder of the store, such as 'uploads' or 'a/b',", _parse_folder)
PATH = Parser("path", _parse_path)
DIGEST_LIST = Parser("list of MD5 digests of 32 hexadecimal digits", _parse_digests)
MEASURES = Parser("list of functions or their names", _parse_measures)
FIELD = Parser("name of a field", _parse_word)
TEXT = Parser("text", _parse_word)
HEADER_DICT = Parser("dict of HTTP header to value", _parse_headers)
PUBLIC_URL = Parser(
    "URL that begins with http:// or https:// and has no query, or 'signed'", _parse_public_url
)
RENDITIONS = Parser("dict of name to what a rendition is to be like", parse_renditions)
FULL = Parser("'jpeg', 'source' or dict of what it is to be like", parse_full)
RATIO = Parser("number, 1 or more, or 0", _parse_ratio)
STRIP = Parser("True, False or 'copyright'", _parse_strip)
THUMBS = Parser("dict of name to (width, height) in pixels, 1 or more each,", _parse_thumbs)
