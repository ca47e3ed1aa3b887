"""What is known is believed for a while: the meaning that Scrapy gives to IMAGES_EXPIRES."""

from __future__ import annotations

from typing import Any

import pytest

from scrapy_imgpipe.freshness import (
    LASTING_OUTCOMES,
    LASTING_STATUSES,
    Policy,
    Verdict,
    conditional_headers,
    is_known_failure,
    judge,
    judge_record,
)
from scrapy_imgpipe.records import ImageRecord, Outcome, Rendition

NOW = 1_800_000_000.0
DAY = 86_400
POLICY = Policy(90, 30, "limits")
FULL = Rendition(
    "", "full/a.jpg", 120, 80, 9_999, NOW - 5 * DAY, "d41d8cd98f00b204e9800998ecf8427e"
)
ETAG = '"abc"'
DATE = "Wed, 21 Oct 2015 07:28:00 GMT"


def stored(**fields: Any) -> ImageRecord:
    """Return a record of an image that is stored and came five days ago."""
    usual = ImageRecord("f1", "full/a.jpg", "https://example.com/a.jpg", FULL, limits="limits")
    usual = usual._replace(stored_at=NOW - 5 * DAY, checked_at=NOW - 5 * DAY, outcome="stored")
    return usual._replace(**fields)


def failed(**fields: Any) -> ImageRecord:
    """Return a record of a source that was gone five days ago, and of which nothing is stored."""
    usual = ImageRecord("f1", "full/a.jpg", "https://example.com/a.jpg", limits="limits")
    usual = usual._replace(failed_at=NOW - 5 * DAY, outcome="http-status", http_status=404)
    return usual._replace(**fields)


@pytest.mark.parametrize(
    ("modified", "expires_days", "expected"),
    [
        (NOW, 90, Verdict.FRESH),
        (NOW - 90 * DAY + 1, 90, Verdict.FRESH),
        (NOW - 90 * DAY, 90, Verdict.FRESH),
        (NOW - 90 * DAY - 1, 90, Verdict.FETCH),
        (NOW + 3600, 90, Verdict.FRESH),  # a clock that runs ahead
        (NOW, 0, Verdict.FRESH),
        (NOW - 1, 0, Verdict.FETCH),
        (NOW + 1, 0, Verdict.FRESH),
        (NOW, -1, Verdict.FETCH),
        (None, 90, Verdict.FETCH),
        (0.0, 1_000_000, Verdict.FETCH),  # "unknown", whatever the limit
    ],
)
def test_judges_as_scrapy_does(
    modified: float | None, expires_days: int, expected: Verdict
) -> None:
    assert judge(modified, NOW, expires_days) is expected


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        # what is stored and young
        (stored(), Verdict.FRESH),
        (stored(etag=ETAG, last_modified=DATE), Verdict.FRESH),
        (stored(checked_at=NOW - 90 * DAY), Verdict.FRESH),
        (stored(checked_at=NOW + 3600), Verdict.FRESH),  # a clock that runs ahead
        (stored(limits="others"), Verdict.FRESH),
        (stored(fingerprint="", url="", outcome=""), Verdict.FRESH),  # an import
        # confirmed lately, however old
        (stored(stored_at=NOW - 900 * DAY), Verdict.FRESH),
        (stored(full=FULL._replace(modified=NOW - 900 * DAY)), Verdict.FRESH),
        # what is stored and old
        (stored(checked_at=NOW - 90 * DAY - 1), Verdict.FETCH),
        (stored(checked_at=NOW - 90 * DAY - 1, etag=ETAG), Verdict.REVALIDATE),
        (stored(checked_at=NOW - 90 * DAY - 1, last_modified=DATE), Verdict.REVALIDATE),
        (stored(checked_at=NOW - 900 * DAY, etag=ETAG, last_modified=DATE), Verdict.REVALIDATE),
        # what is to be fetched again, whatever its age and validators
        (stored(checked_at=0), Verdict.FETCH),
        (stored(checked_at=0, etag=ETAG, last_modified=DATE), Verdict.FETCH),
        # what failed and is not stored
        (failed(), Verdict.REFUSE),
        (failed(etag=ETAG, last_modified=DATE, checked_at=NOW), Verdict.REFUSE),
        (failed(http_status=500), Verdict.FETCH),
        (failed(http_status=500, etag=ETAG, last_modified=DATE, checked_at=NOW), Verdict.FETCH),
        (failed(limits="others"), Verdict.REFUSE),  # no limit changes a 404
        (failed(outcome="too-small", http_status=200), Verdict.REFUSE),
        (failed(outcome="too-small", http_status=200, limits="others"), Verdict.FETCH),
        (failed(failed_at=NOW - 30 * DAY), Verdict.FETCH),
        # what failed later and is still stored
        (stored(failed_at=NOW - DAY, http_status=404), Verdict.FRESH),
        (stored(failed_at=NOW - DAY, http_status=404, checked_at=NOW - 91 * DAY), Verdict.REFUSE),
        (
            stored(failed_at=NOW - DAY, http_status=404, checked_at=NOW - 91 * DAY, etag=ETAG),
            Verdict.REFUSE,
        ),
        (
            stored(failed_at=NOW - 31 * DAY, http_status=404, checked_at=NOW - 91 * DAY, etag=ETAG),
            Verdict.REVALIDATE,
        ),
        (stored(failed_at=NOW - DAY, http_status=503, checked_at=NOW - 91 * DAY), Verdict.FETCH),
        (stored(failed_at=NOW - DAY, http_status=404, checked_at=0, etag=ETAG), Verdict.REFUSE),
        # of which nothing is known but its name
        (ImageRecord("f1", "full/a.jpg", ""), Verdict.FETCH),
    ],
)
def test_judges_a_source_by_its_record(record: ImageRecord, expected: Verdict) -> None:
    assert judge_record(record, NOW, POLICY) is expected


@pytest.mark.parametrize(
    ("expires_days", "checked_at", "expected"),
    [
        (0, NOW, Verdict.FRESH),
        (0, NOW - 1, Verdict.REVALIDATE),
        (-1, NOW, Verdict.REVALIDATE),
        (-1, NOW + 3 * DAY, Verdict.FRESH),
        (1_000_000, 0.0, Verdict.FETCH),
        (1_000_000, 1.0, Verdict.FRESH),
    ],
)
def test_judges_a_record_as_scrapy_judges_a_file(
    expires_days: int, checked_at: float, expected: Verdict
) -> None:
    record = stored(checked_at=checked_at, etag=ETAG)
    assert judge_record(record, NOW, Policy(expires_days, 30, "limits")) is expected


LASTING = (
    "too-many-bytes",
    "too-few-bytes",
    "too-many-pixels",
    "too-small",
    "aspect-ratio",
    "not-an-image",
    "format-not-allowed",
    "placeholder",
)


def test_the_words_for_what_lasts_are_stable() -> None:
    assert set(map(str, LASTING_OUTCOMES)) == set(LASTING)
    assert sorted(LASTING_STATUSES) == [404, 410]


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("as_text", [False, True])
def test_which_outcomes_last(outcome: Outcome, as_text: bool) -> None:
    record = failed(outcome=str(outcome) if as_text else outcome, http_status=200)
    assert is_known_failure(record, NOW, POLICY) is (str(outcome) in LASTING)


@pytest.mark.parametrize("status", [0, 200, 301, 304, 400, 401, 403, 408, 429, 451, 500, 503, 999])
def test_other_statuses_do_not_last(status: int) -> None:
    assert not is_known_failure(failed(http_status=status), NOW, POLICY)


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_not_there_lasts(status: int) -> None:
    assert is_known_failure(failed(http_status=status), NOW, POLICY)


@pytest.mark.parametrize(
    ("days", "age_seconds", "expected"),
    [
        (30, 0, True),
        (30, 30 * DAY - 1, True),
        (30, 30 * DAY, False),
        (30, 30 * DAY + 1, False),
        (30, -3600, True),  # a clock that runs ahead
        (0.5, DAY / 2 - 1, True),
        (0.5, DAY / 2, False),
        (0, 0, False),
        (0, 1, False),
    ],
)
def test_how_long_a_failure_is_believed(days: float, age_seconds: float, expected: bool) -> None:
    record = failed(failed_at=NOW - age_seconds)
    policy = Policy(90, days, "limits")
    assert is_known_failure(record, NOW, policy) is expected
    assert judge_record(record, NOW, policy) is (Verdict.REFUSE if expected else Verdict.FETCH)


@pytest.mark.parametrize("outcome", LASTING)
def test_other_limits_have_a_failure_judged_anew(outcome: str) -> None:
    record = failed(outcome=outcome, http_status=200)
    assert is_known_failure(record, NOW, POLICY)
    for limits in ("", "Limits", "limits2"):
        assert not is_known_failure(record, NOW, Policy(90, 30, limits))


def test_what_never_failed_is_no_failure() -> None:
    record = failed(failed_at=0)
    for now in (NOW, 0.0, 1.0):
        assert not is_known_failure(record, now, Policy(90, 1_000_000, "limits"))


def test_a_policy_that_says_nothing_of_failures_believes_none() -> None:
    assert judge_record(failed(limits=""), NOW, Policy(90)) is Verdict.FETCH


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (stored(), {}),
        (stored(etag=ETAG), {"If-None-Match": ETAG}),
        (stored(last_modified=DATE), {"If-Modified-Since": DATE}),
        (
            stored(etag='W/"x"', last_modified=DATE),
            {"If-None-Match": 'W/"x"', "If-Modified-Since": DATE},
        ),
        (stored(etag=ETAG, last_modified=DATE, checked_at=0), {}),
        (stored(etag=ETAG, full=None), {}),
        (failed(etag=ETAG, last_modified=DATE, checked_at=NOW), {}),
        (stored(etag=ETAG, failed_at=NOW, http_status=404), {"If-None-Match": ETAG}),
    ],
)
def test_conditions(record: ImageRecord, expected: dict[str, str]) -> None:
    assert conditional_headers(record) == expected
