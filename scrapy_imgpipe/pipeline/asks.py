"""What is known about an ask, and about a request on its way: plain data, no deeds.

An ask is one entry of one item; it has one result, and one row in the report. A request
is what it takes to serve it: none where somebody asked first, several where the first
candidates failed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

from scrapy_imgpipe.guards import shown_entry, shown_url
from scrapy_imgpipe.records import Outcome
from scrapy_imgpipe.report import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scrapy_imgpipe.leases import Lease
    from scrapy_imgpipe.records import ImageRecord
    from scrapy_imgpipe.tasks import Found, Saved, Wanted


#: What a record function gives under a name that is a column's goes into another one.
_NAMES = {column.name: f"record_{column.name}" for column in COLUMNS}


#: Outcome of a source by the status of its result.
OUTCOMES = {
    "downloaded": Outcome.STORED,
    "cached": Outcome.CACHED,
    "uptodate": Outcome.UP_TO_DATE,
    "revalidated": Outcome.REVALIDATED,
}


@dataclass(slots=True, eq=False)
class Work:
    """One request on its way.

    Attributes:
        fingerprint: of the request, in hexadecimal.
        wanted: what was looked for.
        found: what was found.
        conditional: whether it is asked only for what has changed.
        unchanged: whether the URL that was asked says that nothing has changed.
        path: of its full image, as ``file_path`` said it with the response.
        thumbs: of its thumbnails, as ``thumb_path`` said it, where it is ``async``.
        saved: what was stored.
        etag: validator that came with the response.
        last_modified: validator that came with the response.
        http_status: of the response; 0 before.
        known: whether the index knows how it ended.
        broken: MD5 of each body that came and was broken.
        content: MD5 of its body, while no other one of it is rendered.
        bytes_in: of the body.
        attempts: requests that were sent, redirects and retries included.
        written: bytes put into the store.
        downloading: seconds.
        rendering: seconds.
        storing: seconds.
        lease: without which it may not be downloaded; None where nothing is shared.
        told: what the index knew when it was looked whether it is ours.
        overtaken: how often what came of it was dropped, for its lease had ended.
    """

    fingerprint: str = ""
    wanted: Wanted | None = None
    found: Found | None = None
    conditional: bool = False
    unchanged: bool = False
    path: str = ""
    thumbs: Mapping[str, str] = field(default_factory=dict)
    saved: Saved | None = None
    etag: str = ""
    last_modified: str = ""
    http_status: int = 0
    known: bool = False
    broken: list[str] = field(default_factory=list)
    content: str = ""
    bytes_in: int = 0
    attempts: int = 0
    written: int = 0
    downloading: float = 0
    rendering: float = 0
    storing: float = 0
    lease: Lease | None = None
    told: ImageRecord | None = None
    overtaken: int = 0


@dataclass(slots=True, eq=False)
class Ask:
    """One entry of one item.

    Attributes:
        item: key of the item.
        page: URL of the page that it came from.
        slot: place among the item's entries, from 0.
        url: that was asked for, or whatever the item had in its place.
        outcome: code of how it ended.
        errback: that its request came with.
        works: what it took, in order.
        began: when it was asked, on a clock that only goes forward.
    """

    item: str = ""
    page: str | None = None
    slot: int = 0
    url: str = ""
    outcome: str = ""
    errback: Callable[..., Any] | None = None
    works: list[Work] = field(default_factory=list)
    began: float = field(default_factory=perf_counter)

    def row(self, result: Mapping[str, Any], finished: str) -> dict[str, Any]:
        """Return the row of the report for it.

        Args:
            result: what the item gets; for a failure, its kept slot.
            finished: when it ended, as the report writes times.
        """
        works = self.works
        taken = perf_counter() - self.began
        downloading = sum(work.downloading for work in works)
        rendering = sum(work.rendering for work in works)
        storing = sum(work.storing for work in works)
        return {
            "url": shown_entry(self.url.strip(" \t\r\n")),
            "item": self.item,
            "page": self.page and shown_url(self.page),
            "slot": self.slot,
            "path": result.get("path"),
            "status": result.get("status"),
            "outcome": str(self.outcome),
            "reason": result.get("reason"),
            "http_status": (works[-1].http_status or None) if works else None,
            "width": result.get("width"),
            "height": result.get("height"),
            "format": result.get("format"),
            "bytes_in": sum(work.bytes_in for work in works),
            "bytes_stored": sum(work.written for work in works),
            "checksum": result.get("checksum"),
            "renditions": _without_urls(result.get("renditions")),
            "attempts": sum(work.attempts for work in works),
            "seconds_waiting": max(taken - downloading - rendering - storing, 0),
            "seconds_downloading": downloading,
            "seconds_rendering": rendering,
            "seconds_storing": storing,
            "finished": finished,
            **({"placeholder": result["placeholder"]} if result.get("placeholder") else {}),
            **{_NAMES.get(name, name): value for name, value in self.measured.items()},
        }

    @property
    def measured(self) -> Mapping[str, Any]:
        """What record functions said of its picture, now or when it was stored."""
        for work in reversed(self.works):
            if work.saved is not None:
                return work.saved.measured
            if work.found is not None and work.found.record is not None:
                return work.found.record.measured
        return {}


def _without_urls(renditions: Any) -> Any:
    """Return *renditions* without what lets others read them, for a time."""
    if not isinstance(renditions, list):
        return renditions
    return [{name: one[name] for name in one if name != "public_url"} for one in renditions]
