"""Fresh or fetch, with the meaning that Scrapy gives to IMAGES_EXPIRES."""

from __future__ import annotations

import pytest

from scrapy_imgpipe.freshness import Verdict, judge

NOW = 1_800_000_000.0
DAY = 86_400


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
