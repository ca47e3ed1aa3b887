"""Every setting of the package, once: name, default, what is expected, parser, one-line doc.

No imports but the standard library and floor 0: settings arrive through a function, so
nothing here knows Scrapy. The table of the README is generated
from :func:`table`.

Settings of Scrapy's own image pipeline stand here too, so that a wrong value is
found at the start and said in the same words; their default is the class
attribute of the pipeline (``EXPIRES``, ``MIN_WIDTH``, ``THUMBS``, ...).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from scrapy_imgpipe.parsers import BOOLEAN, COLOUR, Parser, one_of, parse, whole_number
from scrapy_imgpipe.values import (
    DAYS,
    DIGEST_LIST,
    FIELD,
    FORMAT_LIST,
    FULL,
    HEADER_DICT,
    HEADERS,
    HOST_LIST,
    LEASE_SECONDS,
    MEASURES,
    MEMORY,
    OPT_OUT,
    PATH,
    POSITIVE_SECONDS,
    PUBLIC_URL,
    RATIO,
    RENDITIONS,
    SCHEME_LIST,
    SECONDS,
    STATUS_LIST,
    STRIP,
    TEXT,
    THUMBS,
)
from scrapy_imgpipe.variants import FORMATS, MOST_DECODED, SOURCE, Variant

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


def usable_cpus() -> int:
    """Return how many processors this process may run on, 1 or more."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _setting(name: str, default: Any, parser: Parser, doc: str, shown: str | None = None) -> Any:
    metadata = {"name": name, "parser": parser, "doc": doc, "shown": shown or repr(default)}
    if isinstance(default, MappingProxyType):  # it has no hash before Python 3.12
        return field(default_factory=lambda: default, metadata=metadata)
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
    store_connections: int | None = _setting("IMGPIPE_STORE_CONNECTIONS", None, whole_number(1, "connections"), "Requests to a store on another machine that may be under way at once.", "AWS_MAX_POOL_CONNECTIONS, else 16")
    store_timeout_seconds: float = _setting("IMGPIPE_STORE_TIMEOUT_SECONDS", 60, POSITIVE_SECONDS, "How long a store on another machine may take for a connection and for an answer, in seconds.")
    store_retries: int = _setting("IMGPIPE_STORE_RETRIES", 3, whole_number(0, "times"), "How often a request to a store is sent once more that failed for no lasting reason, after a pause that doubles.")
    store_headers: Mapping[str, str] = _setting("IMGPIPE_STORE_HEADERS", HEADERS, HEADER_DICT, "HTTP headers that every object in S3, Azure or GCS is put with.", "{'Cache-Control': 'max-age=172800'}")
    object_store: str = _setting("IMGPIPE_OBJECT_STORE", "auto", one_of("auto", "botocore", "obstore"), "Which client serves `s3://`: `auto` is obstore where it is installed and can do what the other settings ask for, else botocore.")
    azure_account: str = _setting("IMGPIPE_AZURE_ACCOUNT", "", TEXT, "Name of the storage account for `az://`.", "AZURE_STORAGE_ACCOUNT_NAME of the environment")
    azure_key: str = _setting("IMGPIPE_AZURE_KEY", "", TEXT, "Key of the storage account.", "AZURE_STORAGE_ACCOUNT_KEY of the environment")
    azure_sas: str = _setting("IMGPIPE_AZURE_SAS", "", TEXT, "Shared access signature, in place of the key.", "AZURE_STORAGE_SAS_KEY of the environment")
    azure_endpoint_url: str = _setting("IMGPIPE_AZURE_ENDPOINT_URL", "", TEXT, "Server that speaks Azure's protocol.", "Azure's")
    public_url: str = _setting("IMGPIPE_PUBLIC_URL", "", PUBLIC_URL, "Where the store can be read from, for `public_url` in results: a URL that paths are put behind, or `signed` for URLs that the store signs (S3, Azure, GCS).", "none in results")
    public_url_seconds: int = _setting("IMGPIPE_PUBLIC_URL_SECONDS", 604_800, whole_number(1, "seconds", 604_800), "How long a signed URL is good, in seconds.")
    close_on_store_errors: int = _setting("IMGPIPE_CLOSE_ON_STORE_ERRORS", 100, whole_number(0, "times"), "How many sources in a row may fail because of the store before the spider is closed; 0 for any number.")
    index: str | None = _setting("IMGPIPE_INDEX", None, PATH, "File in which is kept what is known about every source; the URL of a Redis or Valkey server (`redis://`, `rediss://`, `unix://`), where crawls on other machines fill the same store; or `off`.", "one for each store, in the project's or the user's data directory")
    lease_seconds: float = _setting("IMGPIPE_LEASE_SECONDS", 30, LEASE_SECONDS, "With an index on Redis: how long nobody else downloads a source that a crawl was at when it was last heard of, in seconds; 0 for crawls that do not look at each other.")
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
    progress: bool = _setting("IMGPIPE_PROGRESS", False, BOOLEAN, "Show how far the crawl is in one live line below the log, where standard error is a terminal.")
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
