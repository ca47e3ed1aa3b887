"""Whether what is known of a source still serves, or must be fetched again.

Pure: no clock and no I/O; the time, the stamp and the record are arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from scrapy_imgpipe.records import ImageRecord, Outcome

SECONDS_PER_DAY = 24 * 60 * 60

#: HTTP statuses that will not have changed tomorrow: Not Found and Gone.
LASTING_STATUSES = frozenset({404, 410})

#: Outcomes that depend on the bytes and on the limits alone.
LASTING_OUTCOMES = frozenset(
    {
        Outcome.TOO_MANY_BYTES,
        Outcome.TOO_FEW_BYTES,
        Outcome.TOO_MANY_PIXELS,
        Outcome.TOO_SMALL,
        Outcome.ASPECT_RATIO,
        Outcome.NOT_AN_IMAGE,
        Outcome.FORMAT_NOT_ALLOWED,
        Outcome.PLACEHOLDER,
    }
)


class Verdict(Enum):
    """What to do about a source that may already be in the store."""

    #: Serve what is there; no request is sent.
    FRESH = "fresh"
    #: Ask its origin whether it has changed.
    REVALIDATE = "revalidate"
    #: Download it.
    FETCH = "fetch"
    #: It failed not long ago, for a lasting reason: do not ask again.
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Policy:
    """How long what is known is believed.

    Attributes:
        expires_days: ``IMAGES_EXPIRES``.
        retry_failed_days: ``IMGPIPE_RETRY_FAILED_AFTER``; 0 always asks again.
        limits: digest of the limits in force; a failure under others is judged anew.
    """

    expires_days: int
    retry_failed_days: float = 0
    limits: str = ""


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


def judge_record(record: ImageRecord, now: float, policy: Policy) -> Verdict:
    """Judge a source by what the index knows; whether its files are there is not looked at.

    Args:
        record: of the source.
        now: Unix seconds UTC.
        policy: how long things are believed.
    """
    stored = record.full is not None
    if stored and judge(record.checked_at, now, policy.expires_days) is Verdict.FRESH:
        return Verdict.FRESH
    if is_known_failure(record, now, policy):
        return Verdict.REFUSE
    return Verdict.REVALIDATE if conditional_headers(record) else Verdict.FETCH


def is_known_failure(record: ImageRecord, now: float, policy: Policy) -> bool:
    """Return whether *record* failed for a lasting reason, too lately to be asked again.

    One that will fail in the future, as a clock has it that was put back, is judged alike.
    """
    age = abs(now - record.failed_at)
    return (
        record.failed_at > 0
        and age < policy.retry_failed_days * SECONDS_PER_DAY
        and is_lasting(record, policy)
    )


def is_lasting(record: ImageRecord, policy: Policy) -> bool:
    """Return whether *record* failed for a reason that will be the same tomorrow, and elsewhere."""
    return record.http_status in LASTING_STATUSES or (  # whatever the limits are
        record.outcome in LASTING_OUTCOMES and record.limits == policy.limits
    )


def conditional_headers(record: ImageRecord) -> dict[str, str]:
    """Return the headers that ask whether *record* is still what its origin has.

    None where nothing is stored, where it has to be fetched again, or where no validator
    came with it. RFC 9110, 13.1.2 and 13.1.3.
    """
    if record.full is None or not record.checked_at:
        return {}
    headers = {"If-None-Match": record.etag, "If-Modified-Since": record.last_modified}
    return {name: value for name, value in headers.items() if value}
