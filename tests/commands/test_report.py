"""What the reports of crawls tell on a terminal, and the URLs for another run."""

from __future__ import annotations

import io

import pytest

from scrapy_imgpipe.commands.console import Console
from scrapy_imgpipe.commands.reporting import report
from scrapy_imgpipe.report import open_report
from scrapy_imgpipe.report.analysis import Analysis
from scrapy_imgpipe.report.text import comparison_lines, summary_lines

SITE = "https://shop.example/"


@pytest.fixture
def reports(tmp_path, monkeypatch):
    """Two reports: of Monday, and of Tuesday."""
    monkeypatch.setenv("COLUMNS", "70")
    rows = [
        [(f"{SITE}{name}.jpg", outcome) for name, outcome in day]
        for day in (
            [("a", "stored"), ("b", "http-status"), ("c", "stored"), ("b", "http-status")],
            [("a", "broken"), ("b", "stored"), ("d", "http-status"), ("two\nlines", "bad-url")],
        )
    ]
    paths = []
    for name, day in zip(("monday.jsonl", "tuesday.csv"), rows, strict=True):
        paths.append(str(tmp_path / name))
        file = open_report(paths[-1])
        file.write([{"url": url, "outcome": outcome, "bytes_in": 10} for url, outcome in day])
        file.close()
    return paths


def told(*args, **options):
    out = io.StringIO()
    status = report(args[0], Console(out, io.StringIO()), *args[1:], **options)
    return status, out.getvalue().splitlines()


def test_one_report_is_summed_up(reports):
    with Analysis(reports[0]) as analysis:
        expected = [line.replace("\n", "") for line in summary_lines(analysis.summary(), 70)]
    assert told(reports[0]) == (0, expected)
    assert expected[0].startswith("4 asks for 3 URLs: 2 fine, 2 failed; ")


def test_two_reports_are_compared(reports):
    with Analysis(*reports) as analysis:
        expected = list(comparison_lines(analysis.comparison(), 70))
    assert told(*reports) == (0, expected)
    assert "newly failing: 1" in expected


def test_so_many_lines_are_printed(reports):
    _, lines = told(reports[0], most=1)
    assert sum(SITE in line for line in lines) == 1


def test_failed_urls_go_to_a_file(reports, tmp_path):
    place = tmp_path / "failed.txt"
    status, lines = told(reports[0], failed=str(place))
    assert status == 0
    assert lines[-1] == f"1 failed URLs written to {place}"
    assert lines[:-1] == told(reports[0])[1]
    assert place.read_text() == f"{SITE}b.jpg\n"


def test_failed_urls_alone_go_to_standard_output(reports):
    assert told(reports[0], failed="-") == (0, [f"{SITE}b.jpg"])


def test_of_two_reports_the_failed_urls_of_the_later_count(reports):
    """What is not one line cannot be asked for again, and would be two."""
    assert told(*reports, failed="-") == (0, [f"{SITE}a.jpg", f"{SITE}d.jpg"])
