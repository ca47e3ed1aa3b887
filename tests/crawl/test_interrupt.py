"""Ctrl-C: what is in flight is finished, whole."""

from __future__ import annotations

import json
import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from tests.crawl.crawls import MODES, Crawl, Crawled, files, name_of
from tests.crawl.site import Answer, Site
from tests.pictures import jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

IN_FLIGHT = [f"/{number}.jpg" for number in range(4)]


@pytest.fixture(scope="module")
def interrupted(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, tuple[Site, Path, Crawled]]]:
    """Send SIGINT while all images of the first page are being downloaded, in each mode."""
    sites = {mode: Site() for mode in MODES}
    gates = {mode: threading.Event() for mode in MODES}
    started = {}
    for mode, site in sites.items():
        site.__enter__()
        folder = tmp_path_factory.mktemp(mode)
        site.answers = {path: Answer(jpeg((600, 400)), gate=gates[mode]) for path in IN_FLIGHT}
        page = site.add_page("/page.html", IN_FLIGHT)
        store = folder / "store"
        started[mode] = Crawl(
            folder,
            page,
            store=store,
            mode=mode,
            IMAGES_THUMBS={"small": [50, 50]},
            IMGPIPE_REPORT=str(folder / "report.jsonl"),
        )
    found = {}
    for mode, running in started.items():
        site = sites[mode]
        assert site.wait_for(len(IN_FLIGHT), ".jpg")
        running.process.send_signal(signal.SIGINT)
        running.wait_for_line("Closing spider (shutdown)")
        gates[mode].set()
        found[mode] = site, running.folder / "store", running.end()
    yield found
    for site in sites.values():
        site.__exit__()


@pytest.mark.parametrize("mode", MODES)
def test_an_interrupt_finishes_what_is_in_flight(
    interrupted: dict[str, tuple[Site, Path, Crawled]], mode: str
) -> None:
    site, store, crawled = interrupted[mode]
    crawled.went_well()
    urls = [site.url(path) for path in IN_FLIGHT]
    assert [image["url"] for image in crawled.images] == urls
    stored = files(store)
    kinds = ("full", "thumbs/small")
    assert set(stored) == {f"{kind}/{name_of(url)}" for kind in kinds for url in urls}
    for path in IN_FLIGHT:
        assert stored[f"full/{name_of(site.url(path))}"] == site.answers[path].body
    assert crawled.outcomes == {"stored": len(IN_FLIGHT)}


@pytest.mark.parametrize("mode", MODES)
def test_an_interrupted_crawl_sums_up(
    interrupted: dict[str, tuple[Site, Path, Crawled]], mode: str
) -> None:
    ((_, line),) = interrupted[mode][2].lines("Images: ")
    assert line.startswith("Images: 4 stored, 0 up to date, 0 failed; ")


@pytest.mark.parametrize("mode", MODES)
def test_the_report_of_an_interrupted_crawl_is_whole(
    interrupted: dict[str, tuple[Site, Path, Crawled]], mode: str
) -> None:
    site, store, _ = interrupted[mode]
    lines = (store.parent / "report.jsonl").read_text().splitlines()
    ended = {row["url"]: row["outcome"] for row in map(json.loads, lines)}
    assert ended == {site.url(path): "stored" for path in IN_FLIGHT}


@pytest.mark.parametrize("mode", ["asyncio", "select"])
def test_a_second_interrupt_ends_the_crawl_at_once_and_leaves_nothing_half_done(
    tmp_path: Path, mode: str
) -> None:
    gate = threading.Event()
    with Site() as site:
        site.answers = {path: Answer(jpeg((600, 400)), gate=gate) for path in IN_FLIGHT[1:]}
        site.answers[IN_FLIGHT[0]] = jpeg((600, 400))
        page = site.add_page("/page.html", IN_FLIGHT)
        store = tmp_path / "store"
        report = str(tmp_path / "report.jsonl")
        running = Crawl(tmp_path, page, store=store, mode=mode, IMGPIPE_REPORT=report)
        running.wait_for_line("Downloaded file from")
        running.process.send_signal(signal.SIGINT)
        running.wait_for_line("Closing spider (shutdown)")
        running.process.send_signal(signal.SIGINT)
        crawled = running.end()  # the others are held back for as long as the site is there
        gate.set()
    assert crawled.lines("forcing unclean shutdown", "scrapy")
    first = site.answers[IN_FLIGHT[0]]
    assert list(files(store).values()) in ([first], [])
    rows = map(json.loads, (tmp_path / "report.jsonl").read_text().splitlines())
    ended = {row["url"]: row["outcome"] for row in rows}
    assert set(ended) == {site.url(path) for path in IN_FLIGHT}
    assert ended.pop(site.url(IN_FLIGHT[0])) in {"stored", "interrupted"}
    assert set(ended.values()) == {"interrupted"}
