"""Names of our stats, and the line that sums them up when the spider closes.

Scrapy's own ``file_count`` and ``file_status_count/*`` are counted as before.
No I/O: everything here works on names and a plain mapping.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scrapy_imgpipe.records import SUCCESSES

#: How sources ended, one per ask; the suffix is an outcome code.
OUTCOME = "imgpipe/outcome/"
#: Bytes of response bodies that reached the pipeline.
BYTES_IN = "imgpipe/bytes/in"
#: Bytes of renditions written to the store.
BYTES_OUT = "imgpipe/bytes/out"
#: Renditions written to the store, full images included.
RENDITIONS = "imgpipe/renditions"
#: Thumbnails made from a stored full image, without a download.
RESTORED = "imgpipe/renditions/restored"
#: Stored images that are much like one that the index knew.
NEAR_DUPLICATES = "imgpipe/near-duplicates"

#: Downloads that were stopped before their end, for they could not become an image.
STOPPED = "imgpipe/downloads/stopped"
#: Bytes of them that did not come, as far as their length was told.
BYTES_SPARED = "imgpipe/bytes/spared"

#: Downloads that were made once more, for what had come was broken.
RETRIES = "imgpipe/retries"

#: Sources that were waited for because another crawl had their lease.
AWAITED = "imgpipe/leases/awaited"
#: Results that were dropped because their lease had ended.
OVERTAKEN = "imgpipe/leases/overtaken"

_SAVED = ("stored", "cached")
_FRESH = ("up-to-date", "revalidated")
_MEGA = 1_000_000


def outcomes(stats: Mapping[str, Any]) -> dict[str, int]:
    """Return how many sources have ended in which way, by outcome code."""
    return {
        name.removeprefix(OUTCOME): count
        for name, count in sorted(stats.items())
        if name.startswith(OUTCOME)
    }


def failures(ended: Mapping[str, int]) -> dict[str, int]:
    """Return those of :func:`outcomes` that are no success."""
    return {code: count for code, count in ended.items() if code not in SUCCESSES}


def so_far(stats: Mapping[str, Any], waiting: int, per_minute: float) -> str:
    """Return one line about how far a crawl is, in the words of Scrapy's ``LogStats``.

    Args:
        stats: the collected stats.
        waiting: sources that were asked for and have not ended.
        per_minute: how many end in a minute, of late.
    """
    ended = outcomes(stats)
    failed, fresh = sum(failures(ended).values()), sum(ended.get(code, 0) for code in _FRESH)
    return (
        f"Images: {sum(ended.values()):,} (at {per_minute:,.0f} images/min)"
        f", {stats.get(BYTES_IN, 0) / _MEGA:,.1f} MB in, {waiting:,} waiting"
        f"{f', {fresh:,} up to date' if fresh else ''}, {failed:,} failed"
    )


def summary(stats: Mapping[str, Any], seconds: float) -> str | None:
    """Return one line about all sources of a crawl, or None where there was none.

    Args:
        stats: the collected stats.
        seconds: from the first ask to the close; 0 or more.
    """
    ended = outcomes(stats)
    if not ended:
        return None
    stored = sum(ended.get(code, 0) for code in _SAVED)
    fresh = sum(ended.get(code, 0) for code in _FRESH)
    failed = failures(ended)
    reasons = ", ".join(f"{code} {count}" for code, count in failed.items())
    parts = [
        f"{stored} stored, {fresh} up to date, {sum(failed.values())} failed",
        f" ({reasons})" if reasons else "",
        f"; {(stored + fresh) / max(seconds, 1e-3):.1f} images/s",
        f", {stats.get(BYTES_IN, 0) / _MEGA:.1f} MB in",
        f", {stats.get(BYTES_OUT, 0) / _MEGA:.1f} MB out",
    ]
    return "Images: " + "".join(parts)
