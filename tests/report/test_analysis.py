"""What reports tell, alone and in pairs."""

from __future__ import annotations

import statistics
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrapy_imgpipe.errors import SettingError, StoreFailed
from scrapy_imgpipe.records import SUCCESSES, Outcome
from scrapy_imgpipe.report import open_report
from scrapy_imgpipe.report.analysis import Analysis
from scrapy_imgpipe.report.figures import Comparison, Found, Host, Source, Totals
from tests.report.rows import FORMATS

FINE = {"stored", "up-to-date", "revalidated", "cached", "joined"}


@pytest.fixture
def report(tmp_path):
    def write(rows, extension="jsonl"):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.{extension}"
        file = open_report(path)
        file.write(rows)
        file.close()
        return path

    return write


def ask(url, outcome="stored", **further):
    return {"url": url, "outcome": outcome, **further}


def test_what_is_no_failure():
    assert SUCCESSES == FINE
    assert len(Outcome) - len(SUCCESSES) == 24  # a new outcome: is it a failure?


@pytest.mark.parametrize("extension", FORMATS)
def test_totals(report, extension):
    rows = [
        ask("https://a.example/1", bytes_in=100, bytes_stored=90),
        ask("https://a.example/1", "joined", bytes_in=0),
        ask("https://a.example/2", "http-status", bytes_in=7),
        ask("https://a.example/3", "broken"),
        ask("https://a.example/4", bytes_in=2**62, bytes_stored=2**62),
        ask(None, "bad-url"),
        {"url": "https://a.example/5"},
    ]
    with Analysis(report(rows, extension)) as analysis:
        assert analysis.totals() == Totals(
            asks=7,
            sources=5,
            failed=4,
            bytes_in=2**62,  # with the precision of a float
            bytes_stored=2**62,
            outcomes=(
                ("stored", 2),
                ("", 1),
                ("bad-url", 1),
                ("broken", 1),
                ("http-status", 1),
                ("joined", 1),
            ),
        )


def test_an_empty_report(report):
    with Analysis(report([])) as analysis:
        summary = analysis.summary()
        assert summary.totals == Totals(0, 0, 0, 0, 0, ())
        assert summary.hosts == summary.slowest == summary.largest == ()
        assert list(analysis.failed_urls()) == []


def test_hosts(report):
    rows = [
        ask("https://B.example/1", bytes_in=10, bytes_stored=5, seconds_downloading=1.0),
        ask("http://b.example:8080/2", bytes_in=20, bytes_stored=5, seconds_downloading=4.0),
        ask("https://b.example/3", "up-to-date", seconds_downloading=0.0),
        ask("https://c.example/", "http-status", seconds_downloading=2.0),
        ask("https://c.example/", "download-failed", seconds_downloading=9.0),
        ask("https://c.example/", seconds_downloading=3.0),
        ask("data:image/png;base64,AA"),
        ask("https://[bad/"),
        ask("/relative", "bad-url"),
    ]
    with Analysis(report(rows)) as analysis:
        assert analysis.hosts() == (
            Host("b.example", 3, 0, 30, 10, 2.5),
            Host("c.example", 3, 2, 0, 0, 3.0),
            Host("", 2, 1, 0, 0, None),
            Host("data:", 1, 0, 0, 0, None),
        )
        assert analysis.hosts(1) == analysis.hosts()[:1]


@given(seconds=st.lists(st.floats(0.001, 1000), min_size=1, max_size=9))
@settings(deadline=None, max_examples=50)
def test_medians(tmp_path_factory, seconds):
    path = tmp_path_factory.mktemp("medians") / "report.jsonl"
    file = open_report(path)
    file.write([ask("https://a.example/", seconds_downloading=second) for second in seconds])
    file.close()
    with Analysis(path) as analysis:
        assert analysis.hosts()[0].seconds == pytest.approx(statistics.median(seconds))


def test_slowest_and_largest(report):
    rows = [
        ask("a", bytes_in=5, seconds_waiting=1.0, seconds_downloading=2.0),
        ask("b", bytes_in=9, seconds_rendering=0.5, seconds_storing=0.25),
        ask("a", "joined", bytes_in=0, seconds_waiting=4.0),
        ask("c", "http-status", bytes_in=9),
        ask("d"),
        ask(None, seconds_waiting=99.0, bytes_in=99),
    ]
    with Analysis(report(rows)) as analysis:
        assert analysis.slowest() == (Source("a", "joined", 4.0, 0), Source("b", "stored", 0.75, 9))
        assert analysis.largest() == (
            Source("b", "stored", 0.75, 9),
            Source("c", "http-status", 0.0, 9),
            Source("a", "stored", 3.0, 5),
        )
        assert analysis.slowest(1) == analysis.slowest()[:1]
        assert analysis.largest(1) == analysis.largest()[:1]


def test_failed_urls_are_those_of_which_no_ask_went_well(report):
    rows = [
        ask("z", "broken"),
        ask("a", "http-status"),
        ask("m", "http-status"),
        ask("z", "broken"),
        ask("m"),
        ask("ok"),
        ask("ok", "timed-out"),
        ask(None, "bad-url"),
        ask("b", "filtered"),
    ]
    with Analysis(report(rows)) as analysis:
        failed = analysis.failed_urls()
        assert isinstance(failed, Iterator)
        assert list(failed) == ["z", "a", "b"]


def test_comparison(report):
    earlier = [
        ask("same", checksum="1"),
        ask("changed", checksum="1"),
        ask("now failing", "up-to-date", checksum="1"),
        ask("always failing", "broken"),
        ask("gone", checksum="1"),
        ask("gone too", "broken"),
        ask("recovered", "http-status"),
        ask("without checksum"),
        ask("best wins", checksum="1"),
        ask(None, "bad-url"),
    ]
    later = [
        ask("new", checksum="1"),
        ask("best wins", "timed-out"),
        ask("same", "revalidated", checksum="1"),
        ask("best wins", "joined", checksum="1"),
        ask("changed", checksum="2"),
        ask("new too", "broken"),
        ask("now failing", "http-status"),
        ask("always failing", "http-status", checksum="9"),
        ask("recovered", checksum="1"),
        ask("without checksum", checksum="1"),
        ask("new", checksum="1"),
        ask(None, "bad-url"),
    ]
    with Analysis(report(earlier), report(later, "csv")) as analysis:
        assert analysis.comparison() == Comparison(
            new=Found(2, ("new", "new too")),
            gone=Found(2, ("gone", "gone too")),
            changed=Found(1, ("changed",)),
            newly_failing=Found(1, ("now failing",)),
        )
        assert analysis.comparison(1).new == Found(2, ("new",))
        assert analysis.comparison(0).gone == Found(2, ())
        assert analysis.totals(0).asks == 10
        assert analysis.totals(1).asks == 12
        assert analysis.summary(report=1).totals == analysis.totals(1)
        assert list(analysis.failed_urls(1)) == ["new too", "now failing", "always failing"]


ASKS = st.lists(
    st.tuples(
        st.sampled_from("abcde"),
        st.sampled_from(["stored", "joined", "broken"]),
        st.sampled_from(["1", "2", None]),
    ),
    max_size=12,
)


@given(earlier=ASKS, later=ASKS)
@settings(deadline=None, max_examples=100)
def test_comparison_is_what_sets_say(tmp_path_factory, earlier, later):
    folder = tmp_path_factory.mktemp("comparison")
    paths, best = [folder / "a.jsonl", folder / "b.jsonl"], []
    for path, asks in zip(paths, (earlier, later), strict=True):
        file = open_report(path)
        file.write([ask(url, outcome, checksum=checksum) for url, outcome, checksum in asks])
        file.close()
        sources = dict.fromkeys(url for url, _, _ in asks)
        for source in sources:
            fine = [c for url, outcome, c in asks if url == source and outcome in FINE]
            sources[source] = next(filter(None, fine), "unknown") if fine else None
        best.append(sources)
    a, b = best
    expected = (
        [url for url in b if url not in a],
        [url for url in a if url not in b],
        [u for u in b if len({a.get(u), b[u]} - {None, "unknown"}) == 2],
        [url for url in b if a.get(url) and not b[url]],
    )
    with Analysis(*paths) as analysis:
        found = analysis.comparison(100)
        assert list(analysis.failed_urls(1)) == [url for url in b if not b[url]]
    assert found == Comparison(*(Found(len(urls), tuple(urls)) for urls in expected))


def test_a_comparison_takes_two(report):
    with Analysis(report([])) as analysis, pytest.raises(ValueError, match="takes two reports"):
        analysis.comparison()


def test_what_cannot_be_read(tmp_path, report):
    with pytest.raises(FileNotFoundError):
        Analysis(report([]), tmp_path / "none.jsonl")
    with pytest.raises(SettingError):
        Analysis(tmp_path / "none.txt")
    (tmp_path / "bad.jsonl").write_text("bad\n")
    with pytest.raises(StoreFailed, match="line 1 is no JSON object"):
        Analysis(tmp_path / "bad.jsonl")


def test_memory_does_not_grow_with_the_reports(tmp_path):
    path = tmp_path / "report.jsonl"
    file = open_report(path)
    for first in range(0, 4000, 100):  # 4 MB of URLs
        numbers = range(first, first + 100)
        file.write([ask(f"https://a.example/{n}{'x' * 1000}", "broken") for n in numbers])
    file.close()
    tracemalloc.start()
    try:
        with Analysis(path, path) as analysis:
            analysis.summary()
            analysis.comparison()
            assert sum(1 for _ in analysis.failed_urls()) == 4000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_who_joined_a_failure_failed_too(report):
    rows = [
        ask("https://a.example/1", "http-status", status="failed"),
        ask("https://a.example/1", "joined", status="failed"),
        ask("https://a.example/2", status="downloaded"),
        ask("https://a.example/2", "joined", status="downloaded"),
    ]
    before = [ask("https://a.example/1"), ask("https://a.example/2")]
    with Analysis(report(rows)) as analysis:
        assert analysis.totals().failed == 2
        assert list(analysis.failed_urls()) == ["https://a.example/1"]
    with Analysis(report(before), report(rows)) as analysis:
        assert analysis.comparison().newly_failing == Found(1, ("https://a.example/1",))
