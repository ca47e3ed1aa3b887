"""Every setting of the package, once: name, default, what is expected, parser, one-line doc.

No imports but the standard library and floor 0: settings arrive through a function, so
nothing here knows Scrapy. The table of the README is generated
from :func:`table`.

Settings of Scrapy's own image pipeline stand here too, so that a wrong value is
found at the start and said in the same words; their default is the class
attribute of the pipeline (``EXPIRES``, ``MIN_WIDTH``, ``THUMBS``, ...).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from scrapy_imgpipe.parsers import BOOLEAN, COLOUR, Parser, one_of, parse, whole_number
from scrapy_imgpipe.renditions import parse_full, parse_renditions
from scrapy_imgpipe.variants import COPYRIGHT, FORMATS, MOST_DECODED, SOURCE, Variant

#: ``(key that was found, value)``; the value is None where the setting is not set.
Lookup = Callable[[str], tuple[str, object]]

#: Schemes that Scrapy 2.16 and later has download handlers for, without ``file``.
SCHEMES = ("http", "https", "data", "ftp", "s3")

#: Memory budget for each worker, in bytes: room for one picture of 12 megapixels of any
#: kind, decoded and copied once, or for one progressive JPEG of 20 and what waits beside
#: it, in every worker at the same time.
BUDGET_OF_WORKER = 96 << 20

#: Least memory budget, in bytes. With some 90 MB for Python, Scrapy and Pillow a crawl
#: on two cores stays below 350 MiB (``benchmarks/bounds.py``).
LEAST_BUDGET = 192 << 20

#: Memory for a worker process, in bytes, where all images are rendered in them. To decode
#: and shrink 100 megapixels takes 1.8 GiB of it at most (WEBP with transparency; PNG 0.9),
#: to turn them in full by a step 2.3 GiB (``benchmarks/largest.py``, 2026-11); the rest is
#: for functions of users.
PROCESS_MEMORY = 3 << 30

#: Least limit of it, in bytes: a PNG of 12 megapixels takes about as much. Less may well
#: be a number of megabytes.
LEAST_MEMORY = 128 << 20

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
MEMORY = Parser(f"whole number of bytes, 0 or at least {LEAST_MEMORY},", _parse_memory)
PATH = Parser("path", _parse_path)
DIGEST_LIST = Parser("list of MD5 digests of 32 hexadecimal digits", _parse_digests)
MEASURES = Parser("list of functions or their names", _parse_measures)
FIELD = Parser("name of a field", _parse_word)
RENDITIONS = Parser("dict of name to what a rendition is to be like", parse_renditions)
FULL = Parser("'jpeg', 'source' or dict of what it is to be like", parse_full)
RATIO = Parser("number, 1 or more, or 0", _parse_ratio)
STRIP = Parser("True, False or 'copyright'", _parse_strip)
THUMBS = Parser("dict of name to (width, height) in pixels, 1 or more each,", _parse_thumbs)


def usable_cpus() -> int:
    """Return how many processors this process may run on, 1 or more."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _setting(name: str, default: Any, parser: Parser, doc: str, shown: str | None = None) -> Any:
    metadata = {"name": name, "parser": parser, "doc": doc, "shown": shown or repr(default)}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All settings, read once and checked; see :func:`table` for each one's meaning."""

    # fmt: off
    priority: int = _setting("IMGPIPE_PRIORITY", 0, whole_number(), "Priority of image requests that have none of their own; higher goes first.")
    workers: int | None = _setting("IMGPIPE_WORKERS", None, whole_number(1, "threads"), "Threads that decode, encode, hash and write, beside the event loop.", "usable CPUs")
    isolation: str = _setting("IMGPIPE_ISOLATION", "auto", one_of("auto", "thread", "process"), "Where images are rendered: `thread`, `process` (worker processes, one for each thread), or `auto`, which is processes for the small ones.")
    timeout_seconds: float = _setting("IMGPIPE_TIMEOUT_SECONDS", 60, SECONDS, "Time that a worker process may take for an image before it is killed and the outcome is `timed-out`, in seconds; 0 for any time.")
    memory_limit: int | None = _setting("IMGPIPE_MEMORY_LIMIT", None, MEMORY, "Memory that each worker process may have, in bytes, where the system has such a limit (Linux); what takes more has the outcome `crashed`; 0 for any number.", "3 GiB with process isolation, else none")
    memory_budget: int | None = _setting("IMGPIPE_MEMORY_BUDGET", None, whole_number(1, "bytes"), "Memory that downloaded bodies and decoded pixels may take together, in bytes; what is larger goes alone.", "96 MiB per worker, at least 192 MiB")
    keep_failed: bool = _setting("IMGPIPE_KEEP_FAILED", False, BOOLEAN, "Leave a slot with `outcome` and `reason` in `images` for each failed URL, so that both lists line up.")
    background: tuple[int, int, int] = _setting("IMGPIPE_BACKGROUND", (255, 255, 255), COLOUR, "What shows through transparent pixels: red, green, blue.")
    allowed_schemes: tuple[str, ...] = _setting("IMGPIPE_ALLOWED_SCHEMES", SCHEMES, SCHEME_LIST, "URL schemes that are downloaded; add `file` to let pages name local files, as Scrapy does.")
    private_addresses: str = _setting("IMGPIPE_PRIVATE_ADDRESSES", "auto", one_of("auto", "deny", "allow"), "Whether hosts at private, loopback, link-local and other addresses that are not public may be asked; `auto` refuses them once a page has come from a public one.")
    allowed_hosts: tuple[str, ...] = _setting("IMGPIPE_ALLOWED_HOSTS", (), HOST_LIST, "Hosts that may be asked, and no others: names, with all below them, addresses and networks (`10.0.0.0/8`); these may be private.", "all")
    blocked_hosts: tuple[str, ...] = _setting("IMGPIPE_BLOCKED_HOSTS", (), HOST_LIST, "Hosts that are never asked: names, with all below them, addresses and networks.", "none")
    formats: tuple[str, ...] = _setting("IMGPIPE_FORMATS", FORMATS, FORMAT_LIST, "Formats that are decoded, in Pillow's names; add `JPEG2000` for what Scrapy decodes as well, `EPS` only for bytes you trust.")
    opt_out: Any = _setting("IMGPIPE_OPT_OUT", False, OPT_OUT, "Ways to say no that are honoured: directives of `X-Robots-Tag` (`noai`, ...), `tdm`, `data-mining`; `True` for all that speak of machine learning and data mining.")
    min_bytes: int = _setting("IMGPIPE_MIN_BYTES", 0, whole_number(0, "bytes"), "Downloads of fewer bytes are refused.")
    max_bytes: int = _setting("IMGPIPE_MAX_BYTES", 256 << 20, whole_number(0, "bytes"), "Downloads of more bytes are refused, and stopped when that is known; 0 leaves it to `DOWNLOAD_MAXSIZE`.")
    max_pixels: int = _setting("IMGPIPE_MAX_PIXELS", MOST_DECODED, whole_number(0, "pixels"), "Images of more pixels are refused, before any is decoded; 0 accepts all. Baseline JPEGs count with what is decoded of them, moving WEBPs twice.")
    max_frames: int = _setting("IMGPIPE_MAX_FRAMES", 0, whole_number(0, "frames"), "Animations and files of more frames or pages are refused; 0 accepts all.")
    max_aspect_ratio: float = _setting("IMGPIPE_MAX_ASPECT_RATIO", 0, RATIO, "Images whose longer side is more times the shorter one are refused; 0 accepts all.")
    min_side: int = _setting("IMGPIPE_MIN_SIDE", 0, whole_number(0, "pixels"), "Images with a shorter side than this are refused.")
    retries: int = _setting("IMGPIPE_RETRIES", 2, whole_number(0, "times"), "How often an image that came broken is downloaded once more, after a pause that doubles; not where the same bytes come again, nor with `RETRY_ENABLED = False`.")
    statuses: tuple[int, ...] = _setting("IMGPIPE_STATUSES", (200,), STATUS_LIST, "HTTP statuses whose body counts as an image.")
    referer: bool = _setting("IMGPIPE_REFERER", False, BOOLEAN, "Send the page an item came from as `Referer`, as `REFERRER_POLICY` allows.")
    allow_offsite: bool = _setting("IMGPIPE_ALLOW_OFFSITE", False, BOOLEAN, "Let images come from hosts outside the spider's `allowed_domains`.")
    index: str | None = _setting("IMGPIPE_INDEX", None, PATH, "File in which is kept what is known about every source, or `off`.", "one for each store, in the project's or the user's data directory")
    trust_index: bool = _setting("IMGPIPE_TRUST_INDEX", False, BOOLEAN, "Believe the index without a question to the store, where that is not the file system.")
    retry_failed_after: float = _setting("IMGPIPE_RETRY_FAILED_AFTER", 0, DAYS, "Days in which a source that failed for a lasting reason is not asked again; 0 always asks.")
    dedupe: str = _setting("IMGPIPE_DEDUPE", "off", one_of("off", "content"), "`content` stores equal bytes once: hard links in the file system, one key elsewhere.")
    placeholders: str = _setting("IMGPIPE_PLACEHOLDERS", "mark", one_of("off", "mark", "refuse"), "What to do about pictures that stand for one that is not there: nothing, a `placeholder` in the result, or the outcome `placeholder`.")
    placeholder_digests: frozenset[str] = _setting("IMGPIPE_PLACEHOLDER_DIGESTS", frozenset(), DIGEST_LIST, "MD5 digests of placeholders you know, as downloaded or as stored.", "[]")
    placeholder_urls: int = _setting("IMGPIPE_PLACEHOLDER_URLS", 0, whole_number(0, "URLs"), "Behind how many URLs of one host the same bytes are a placeholder; 0 for no number.")
    near_duplicates: int | None = _setting("IMGPIPE_NEAR_DUPLICATES", None, whole_number(0, "bits", 11), "Mark pictures whose perceptual hash differs in at most so many of its 64 bits from one that the index knows: `near_duplicate` and `near_distance` in the result and the report.", "not looked for")
    report: str | None = _setting("IMGPIPE_REPORT", None, PATH, "File with a row for every image that an item asked for: `.jsonl`, `.csv`, `.sqlite` or `.parquet`; `%(name)s` and `%(time)s` as in `FEEDS`.", "no report")
    measures: tuple[Any, ...] = _setting("IMGPIPE_RECORD", (), MEASURES, "Functions image -> dict whose answers are added to the report: names of ready ones (`phash`, ...), import paths or functions.", "[]")
    item_key: str = _setting("IMGPIPE_ITEM_KEY", "", FIELD, "Field that tells an item from the others in the report; else its number.")
    expires: int | None = _setting("IMAGES_EXPIRES", None, whole_number(None, "days"), "Days after which a stored image is asked for again; 0 always asks.", "90")
    min_width: int | None = _setting("IMAGES_MIN_WIDTH", None, whole_number(None, "pixels"), "Images narrower than this are refused; 0 accepts all.", "0")
    min_height: int | None = _setting("IMAGES_MIN_HEIGHT", None, whole_number(None, "pixels"), "Images lower than this are refused; 0 accepts all.", "0")
    renditions: Mapping[str, Variant] | None = _setting("IMGPIPE_RENDITIONS", None, RENDITIONS, "Renditions to make beside thumbnails: name to a dict of what each is to be like.", "{}")
    full: Variant | str = _setting("IMGPIPE_FULL", "jpeg", FULL, "What the full image is: `jpeg`, `source` (kept as it came), or a dict as in `IMGPIPE_RENDITIONS`.")
    truncated: str = _setting("IMGPIPE_TRUNCATED", "refuse", one_of("refuse", "keep"), "What to do about images that were cut off: `keep` renders what is there (JPEG, PNG, GIF, BMP, TIFF), with a mark in the report.")
    strip_metadata: str = _setting("IMGPIPE_STRIP_METADATA", "", STRIP, "Remove EXIF, GPS, XMP, IPTC, comments, thumbnails and trailing data from full images that pass through: `True`, or `copyright` to keep who made it.", "False")
    preserve_format: bool = _setting("IMAGES_PRESERVE_FORMAT", False, BOOLEAN, "Keep full images in the format they came in; the same as `source` for `IMGPIPE_FULL`.")
    thumbs: dict[str, Any] | None = _setting("IMAGES_THUMBS", None, THUMBS, "Thumbnails to make: name to the box, in pixels, that they fit inside.", "{}")
    allow_redirects: bool = _setting("MEDIA_ALLOW_REDIRECTS", False, BOOLEAN, "Follow redirects of image URLs.")
    cache_size: int = _setting("MEDIA_CACHE_SIZE", 10_000, whole_number(0, "results"), "Results kept for those who ask for the same again in the same crawl, the latest ones; 0 keeps none.")
    # fmt: on

    @property
    def full_image(self) -> Variant | str:
        """What the full image is to be, whichever setting says so."""
        return SOURCE if self.preserve_format and self.full == "jpeg" else self.full

    @property
    def limits(self) -> tuple[float, ...]:
        """What a failure was judged by; under other limits it is judged anew."""
        return (
            self.min_bytes,
            self.max_bytes,
            self.max_pixels,
            self.max_frames,
            self.max_aspect_ratio,
            self.min_side,
        )

    @property
    def most_workers(self) -> int:
        """How many workers there are: as many as were asked for, else usable CPUs."""
        return self.workers or usable_cpus()

    @property
    def budget(self) -> int:
        """The memory budget in bytes: as asked for, else by the number of workers."""
        return self.memory_budget or max(BUDGET_OF_WORKER * self.most_workers, LEAST_BUDGET)

    @property
    def process_memory(self) -> int:
        """Bytes that each worker process may have; 0 for any number."""
        default = PROCESS_MEMORY if self.isolation == "process" else 0
        return default if self.memory_limit is None else self.memory_limit

    @classmethod
    def read(cls, lookup: Lookup) -> Options:
        """Read every setting through *lookup*.

        Raises:
            SettingError: for the first value that its parser refuses; the
                message names the key, the value and its type.
        """
        values = {}
        for option in fields(cls):
            key, value = lookup(option.metadata["name"])
            if value is not None:
                values[option.name] = parse(option.metadata["parser"], key, value)
        return cls(**values)


def table() -> Iterator[tuple[str, str, str]]:
    """Yield name, default and meaning of every setting, in the order of the README."""
    for option in fields(Options):
        yield option.metadata["name"], option.metadata["shown"], option.metadata["doc"]
