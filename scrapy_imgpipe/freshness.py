"""Whether what the store holds still serves, or must be fetched again.

Pure: no clock and no I/O; the time and the stamp are arguments.
"""

from __future__ import annotations

from enum import Enum

SECONDS_PER_DAY = 24 * 60 * 60


class Verdict(Enum):
    """What to do about a source that may already be in the store."""

    #: Serve what is there; no request is sent.
    FRESH = "fresh"
    #: Download it.
    FETCH = "fetch"


def judge(modified: float | None, now: float, expires_days: int) -> Verdict:
    """Judge a stored image by its age, as Scrapy's ``FilesPipeline`` does.

    An age of exactly *expires_days* is still fresh. A stamp in the future is
    fresh, too: clocks of other machines run ahead. A stamp of 0 is no stamp;
    some stores say so for "unknown".

    Args:
        modified: when it was stored, Unix seconds UTC; ``None`` when it is not
            there or the store does not know.
        now: Unix seconds UTC.
        expires_days: ``IMAGES_EXPIRES``; 0 lets everything stored before *now*
            expire.
    """
    if not modified:
        return Verdict.FETCH
    if (now - modified) / SECONDS_PER_DAY > expires_days:
        return Verdict.FETCH
    return Verdict.FRESH
