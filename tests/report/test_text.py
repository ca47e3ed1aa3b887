"""Figures as text, as a terminal shows it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrapy_imgpipe.report.figures import Comparison, Found, Host, Source, Summary, Totals
from scrapy_imgpipe.report.text import comparison_lines, shortened, summary_lines

LONG = "https://images.example.com/a/very/long/way/to/photo-of-a-house-1234.jpg"
SUMMARY = Summary(
    Totals(12345, 12000, 200, 1_234_567_890, 9_876_543, (("stored", 12145), ("broken", 200))),
    (
        Host("images.example.com", 12000, 5, 1_200_000_000, 9_000_000, 0.123),
        Host("data:", 345, 195, 34_567_890, 876_543, None),
    ),
    (Source(LONG, "stored", 1234.5, 5_000_000), Source("https://a.example/", "broken", 3.0, 0)),
    (Source("https://a.example/\x1b[31m", "stored", 0.0, 7_000_000),),
)
WIDE = """\
12,345 asks for 12,000 URLs: 12,145 fine, 200 failed; 1,234.6 MB in, 9.9 MB stored

outcome    asks
stored   12,145
broken      200

host                  asks  failed    MB in  MB stored  seconds
images.example.com  12,000       5  1,200.0        9.0     0.12
data:                  345     195     34.6        0.9

 seconds  MB in  outcome  slowest
1,234.50    5.0  stored   https://images.example.com/…/to/photo-of-a-house-1234.jpg
    3.00    0.0  broken   https://a.example/

seconds  MB in  outcome  largest
   0.00    7.0  stored   https://a.example/\ufffd[31m
"""


def test_a_summary():
    assert "\n".join([*summary_lines(SUMMARY, 83), ""]) == WIDE


def test_a_summary_is_no_wider_than_asked():
    for width in range(65, 120):
        _, *lines = summary_lines(SUMMARY, width)
        assert max(map(len, lines)) <= width


def test_an_empty_summary():
    empty = Summary(Totals(0, 0, 0, 0, 0, ()), (), (), ())
    assert list(summary_lines(empty)) == [
        "0 asks for 0 URLs: 0 fine, 0 failed; 0.0 MB in, 0.0 MB stored"
    ]


def test_rows_without_an_outcome_or_a_host():
    totals = Totals(1, 0, 1, 0, 0, (("", 1),))
    lines = list(summary_lines(Summary(totals, (Host("", 1, 1, 0, 0, None),), (), ())))
    assert lines[3] == "(none)      1"
    assert lines[6] == "(none)     1       1    0.0        0.0"


def test_a_comparison():
    comparison = Comparison(
        Found(1234, (LONG, "b\n")), Found(0, ()), Found(1, ("c",)), Found(3, ())
    )
    assert list(comparison_lines(comparison, 52)) == [
        "new: 1,234",
        "  https://images.example.com/…to-of-a-house-1234.jpg",
        "  b\ufffd",
        "  and 1,232 more",
        "gone: 0",
        "changed: 1",
        "  c",
        "newly failing: 3",
    ]


@pytest.mark.parametrize(
    ("url", "width", "expected"),
    [
        ("https://a.example/photo.jpg", 27, "https://a.example/photo.jpg"),
        ("https://a.example/photo.jpg", 26, "https://a.example…hoto.jpg"),
        ("https://a.example/photo.jpg", 10, "https:…jpg"),
        ("data:image/png;base64,AAAABBBBCCCC", 15, "data:…ABBBBCCCC"),
        ("https://[bad/photo.jpg", 10, "…photo.jpg"),
        ("abc", 1, "…"),
        ("a\u202e\x9b\ud800\n", 9, "a\ufffd\ufffd\ufffd\ufffd"),
    ],
)
def test_shortened(url, width, expected):
    assert shortened(url, width) == expected


@given(st.text(max_size=60), st.integers(1, 70))
def test_shortened_fits_and_is_printable(url, width):
    found = shortened(url, width)
    assert len(found) == min(len(url), width)
    assert found.isprintable() or "\ufffd" in found
