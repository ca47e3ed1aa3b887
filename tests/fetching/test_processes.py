"""Several processes: politeness holds, limits are those of all of them, memory stays flat."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from scrapy_imgpipe import fetch_images
from scrapy_imgpipe.fetching import process
from scrapy_imgpipe.fetching.run import crawl_of, host_of
from scrapy_imgpipe.fetching.settings import complete, shared_out
from scrapy_imgpipe.pipeline.choosing import pipeline_of
from tests.crawl.site import Answer, Site
from tests.fetching import pipelines
from tests.fetching.reports import photos, rows_of
from tests.fetching.scripts import run_script

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="Linux has many loopback addresses")

HOSTS, PHOTOS, AT_ONCE = 6, 12, 2

#: Twice the same, the second list twenty times as long; prints how much the peak has grown.
LONG = """
import json, resource, sys
from scrapy_imgpipe import fetch_images

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

def lines(count):
    return (f"no URL, but a text that is about as long as one of them: {n}" for n in range(count))

peaks = []
for count in (1_000, 20_000):
    fetched = fetch_images(lines(count), "store", report=f"{count}.jsonl")
    peaks.append(peak())
    print(json.dumps([dict(fetched.outcomes), peaks[-1] - peaks[0]]))
"""


@LINUX
def test_limits_of_hosts_hold_over_all_processes(tmp_path: Path) -> None:
    with ExitStack() as stack:
        sites = [stack.enter_context(Site(f"127.0.0.{n}")) for n in range(1, HOSTS + 1)]
        urls = [photos(site, PHOTOS) for site in sites]
        for site in sites:
            for path, body in site.answers.items():
                site.answers[path] = Answer(body, drips=2)
        fetched = fetch_images(
            [url for some in zip(*urls, strict=True) for url in some],
            tmp_path / "store",
            pipeline=pipelines.ByProcess,
            processes=3,
            settings={"CONCURRENT_REQUESTS_PER_DOMAIN": AT_ONCE},
        )
        rows = rows_of(fetched)
        assert {row["outcome"] for row in rows} == {"stored"}
        assert [max(visit.beside for visit in site.visits) + 1 for site in sites] == (
            [AT_ONCE] * HOSTS
        )
    asked_by = {(row["url"].split(":")[1], row["path"].partition("/")[0]) for row in rows}
    assert len(asked_by) == HOSTS  # each host is asked by one process
    assert len({crawl for _, crawl in asked_by}) > 1


def test_a_host_has_one_process_however_it_is_written() -> None:
    written = ["http://Bücher.example/a", "https://xn--bcher-kva.EXAMPLE:81/b", "//bücher.example"]
    assert {host_of(url) for url in written} == {"xn--bcher-kva.example"}
    hosts = [f"http://{number}.example/" for number in range(100)]
    assert {crawl_of(host_of(url), 7) for url in hosts} == {*range(7)}
    odd = ["", "nonsense", "http://[", "http://\ud800/", "http://" + "ü" * 300 + ".example/"]
    assert all(crawl_of(host_of(url), 7) in range(7) for url in odd)


def test_the_other_limits_are_shared_out(tmp_path: Path) -> None:
    settings = complete(
        {
            "IMAGES_STORE": str(tmp_path),
            "CONCURRENT_REQUESTS": "10",
            "IMGPIPE_WORKERS": 6,
            "IMGPIPE_MEMORY_BUDGET": 300_000_000,
            "IMGPIPE_STORE_CONNECTIONS": 31,
        }
    )
    pipeline = pipeline_of(settings)
    names = [name for name in settings if name.startswith(("CONCURRENT_REQ", "IMGPIPE_"))]
    alone, shared = (shared_out(settings, pipeline, count) for count in (1, 3))
    for name in ("CONCURRENT_REQUESTS", "IMGPIPE_WORKERS", "IMGPIPE_STORE_CONNECTIONS"):
        assert name in names
        assert alone[name] == settings[name]
    assert shared["CONCURRENT_REQUESTS"] == 4
    assert shared["IMGPIPE_WORKERS"] == 2
    assert shared["IMGPIPE_MEMORY_BUDGET"] == 100_000_000
    assert shared["IMGPIPE_STORE_CONNECTIONS"] == 11
    for name in ("CONCURRENT_REQUESTS_PER_DOMAIN", "DOWNLOAD_DELAY"):
        assert shared[name] == settings[name]


@LINUX
def test_a_long_list_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    (first, _), (second, grown) = run_script(LONG, tmp_path)
    assert (first, second) == ({"bad-url": 1_000}, {"bad-url": 20_000})
    assert grown < 6_000_000
    assert len(rows_of(tmp_path / "20000.jsonl")) == 20_000


def test_lines_are_read_as_others_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list is never far ahead of its report, however fast it comes."""
    window = 50
    monkeypatch.setattr(process, "WINDOW", window)
    report = tmp_path / "report.jsonl"
    ahead = []

    def lines() -> Iterator[str]:
        for number in range(1_500):
            yield f"no URL {number}"
            if number % 50 == 0:
                ahead.append(number + 1 - report.read_bytes().count(b"\n"))

    fetch_images(lines(), tmp_path / "store", report=report)
    assert max(ahead) <= window + 1  # one is in the hand
    assert len(rows_of(report)) == 1_500
