"""What a crawl process is told, and what it reports: both as JSON.

Imports nothing of Scrapy, so that the process which only starts crawls stays small.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

MARKS = 10
"""How many marks ``fake_crawl.py`` reports."""
IMAGE_EVERY = 100
"""In it, one in so many sources is an image."""
ITEMS_AT_ONCE = 64
"""In it, so many items are under way."""

TWO_THUMBS = {"small": (50, 50), "big": (270, 270)}
"""The sizes of the Scrapy documentation's own example, in pixels."""


@dataclass(frozen=True)
class CrawlJob:
    """One crawl: which pipeline fetches which sources to where."""

    pipeline: str
    """Import path of the pipeline class."""
    page_url: str
    """The one page the spider starts from."""
    warm_up_url: str
    """A source fetched before anything is measured: imports, threads, connection."""
    urls: list[str]
    store: str
    """IMAGES_STORE: a folder."""
    thumbs: dict[str, tuple[int, int]] = field(default_factory=dict)
    """IMAGES_THUMBS, in pixels."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Further Scrapy settings."""
    time_limit_s: int = 300
    """After this the process is killed."""
    weigh: bool = False
    """Whether to measure ``kept_rss_mib``, which takes a garbage collection."""
    urls_per_item: int = 4
    """Photos of one thing on one page of a shop, about."""

    def to_json(self) -> str:
        """Return the job as the text *from_json* reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> CrawlJob:
        """Return the job that *to_json* wrote."""
        values = json.loads(text)
        values["thumbs"] = {name: tuple(size) for name, size in values["thumbs"].items()}
        return cls(**values)


@dataclass(frozen=True)
class CrawlReport:
    """What one crawl measured of its process and children, from the end of the warm-up on."""

    wall_s: float
    """First measured item to the engine's stop, the pipeline's close included."""
    cpu_s: float
    """User and system, all threads, and all child processes."""
    images: int
    """Successful sources in the items' ``images`` fields, without the warm-up's."""
    responses: int
    """Downloads, without the page and the warm-up."""
    errors: int
    """Lines logged at ERROR."""
    peak_rss_mib: float
    """Largest resident size of the process, of its whole life, and added to it
    ``children_peak_rss_mib``."""
    kept_rss_mib: float
    """Resident size once all items are done (after a garbage collection), beyond that
    at the end of the warm-up; children included. 0.0 unless asked for."""
    children: int
    """Child processes that lived when all items were done."""
    children_peak_rss_mib: float
    """Sum of their largest resident sizes."""
    longest_stall_ms: float
    """Longest time the event loop was late for a timer."""
    p99_stall_ms: float
    """99th percentile of the same."""

    def to_json(self) -> str:
        """Return the report as the text *from_json* reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> CrawlReport:
        """Return the report that *to_json* wrote."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Mark:
    """How far ``fake_crawl.py`` has come, and what it weighs."""

    sources: int
    wall_s: float
    """Since the first source."""
    rss_mib: float
    """Resident size after a garbage collection, children included."""
    children_rss_mib: float
    """The children's part of it."""
    images: int
    """Sources so far that came to be in an item's ``images``."""

    def lost(self) -> int:
        """Return how many images are missing for certain: an item under way has one at most."""
        return max(0, self.sources // IMAGE_EVERY - ITEMS_AT_ONCE - self.images)

    def to_json(self) -> str:
        """Return the mark as one line, which *from_json* reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Mark:
        """Return the mark that *to_json* wrote."""
        return cls(**json.loads(line))
