"""``fetch_images`` in the hands of programs: again and again, wherever they call it from."""

from __future__ import annotations

import asyncio
import gc
import io
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scrapy_imgpipe import fetch_images
from scrapy_imgpipe.fetching.fetch import Fetched
from scrapy_imgpipe.progress import Progress
from tests.crawl.crawls import files, name_of
from tests.fetching.reports import outcomes_of, photos, rows_of
from tests.fetching.scripts import run_script

if TYPE_CHECKING:
    from tests.crawl.site import Site

#: Twice, into two stores, without a main guard.
TWICE = """
import json, sys
from scrapy_imgpipe import fetch_images
for store in "ab":
    fetched = fetch_images(sys.argv[1:], store, thumbs={"small": (20, 20)})
    print(json.dumps([dict(fetched.outcomes), fetched.failed, str(fetched).split(";")[0]]))
"""

AFTER_A_CRAWL = """
import json, sys
import scrapy
from scrapy.crawler import AsyncCrawlerProcess
from scrapy_imgpipe import fetch_images

class Pages(scrapy.Spider):
    name = "pages"
    start_urls = [sys.argv[1]]
    def parse(self, response):
        yield {"image_urls": sys.argv[1:]}

process = AsyncCrawlerProcess({
    "ITEM_PIPELINES": {"scrapy_imgpipe.ImagesPipeline": 1}, "IMAGES_STORE": "a",
    "LOG_LEVEL": "ERROR",
})
process.crawl(Pages)
process.start()
for store in "ab":
    fetched = fetch_images(sys.argv[1:], store)
    print(json.dumps(dict(fetched.outcomes)))
"""


@pytest.mark.parametrize("kind", ["list", "tuple", "generator", "records"])
def test_lists_are_what_can_be_gone_through(site: Site, tmp_path: Path, kind: str) -> None:
    urls = photos(site, 2)
    given: dict[str, Any] = {
        "list": urls,
        "tuple": tuple(urls),
        "generator": (url for url in urls),
        "records": [{"url": url} for url in urls],
    }
    fetched = fetch_images(given[kind], tmp_path / "store")
    assert outcomes_of(fetched) == ["stored", "stored"]
    assert fetched.outcomes == {"stored": 2}
    assert (fetched.failed, fetched.passed_over) == (0, 0)
    sizes = sum(len(site.answers[f"/{number}.jpg"]) for number in range(2))
    assert (fetched.bytes_in, fetched.bytes_stored) == (sizes, sizes)
    assert str(fetched).startswith("Images: 2 stored, 0 up to date, 0 failed; ")


def test_a_frame_is_a_list_and_a_report_is_a_frame(site: Site, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    urls = photos(site, 3)
    when = pandas.Timestamp("2026-11-30")
    frame = pandas.DataFrame(
        {"image": urls, "n": [1, 2, 3], "x": [0.5, None, 2], "when": when, 7: ["a", None, "c"]}
    )
    fetched = fetch_images(frame, tmp_path / "store", column="image")
    rows = rows_of(fetched)
    assert [row["n"] for row in rows] == [1, 2, 3]
    assert [row.get("x") for row in rows] == [0.5, None, 2]
    assert [row.get("7") for row in rows] == ["a", None, "c"]
    assert rows[0]["when"].startswith("2026-11-30")
    found = fetched.frame()
    assert sorted(found.index) == sorted(urls)
    assert set(found["outcome"]) == {"stored"}


def test_no_line_at_all_is_a_list(tmp_path: Path) -> None:
    fetched = fetch_images([], tmp_path / "store")
    assert rows_of(fetched) == []
    assert str(fetched) == "Images: none"


def test_a_temporary_report_goes_with_its_result(site: Site, tmp_path: Path) -> None:
    fetched = fetch_images(photos(site, 1), tmp_path / "store")
    folder = fetched.report.parent
    assert fetched.report.is_file()
    del fetched
    gc.collect()
    assert not folder.exists()


def test_a_report_with_a_name_stays(site: Site, tmp_path: Path) -> None:
    report = tmp_path / "there" / "report.csv"
    fetched = fetch_images(photos(site, 1), tmp_path / "store", report=report)
    assert fetched.report == report
    del fetched
    gc.collect()
    assert [path.name for path in report.parent.iterdir()] == ["report.csv"]


def test_renditions_are_those_of_a_crawl(site: Site, tmp_path: Path) -> None:
    (url,) = photos(site, 1)
    (row,) = rows_of(
        fetch_images(
            [url],
            tmp_path / "store",
            thumbs={"small": (20, 20)},
            renditions={"card": {"width": 30, "format": "WEBP"}},
            full={"width": 60},
        )
    )
    name = name_of(url).removesuffix(".jpg")
    assert set(files(tmp_path / "store")) == {
        *(f"full/{name}.jpg", f"thumbs/small/{name}.jpg", f"thumbs/card/{name}.webp")
    }
    assert row["width"] == 60


def test_threads_may_fetch_at_the_same_time(site: Site, tmp_path: Path) -> None:
    urls = photos(site, 4)
    found: dict[int, Fetched] = {}

    def run(number: int) -> None:
        found[number] = fetch_images(urls, tmp_path / f"store{number}")

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcomes_of(found[number]) for number in range(2)] == [["stored"] * 4] * 2


def test_a_running_loop_is_no_obstacle(site: Site, tmp_path: Path) -> None:
    urls = photos(site, 2)

    async def cell_of_a_notebook() -> Fetched:
        return fetch_images(urls, tmp_path / "store")

    assert outcomes_of(asyncio.run(cell_of_a_notebook())) == ["stored"] * 2


def test_no_thread_and_no_process_stays(site: Site, tmp_path: Path) -> None:
    before = set(threading.enumerate())
    fetch_images(photos(site, 2), tmp_path / "store", processes=2)
    assert set(threading.enumerate()) - before == set()


def test_a_script_without_a_main_guard_fetches_twice(site: Site, tmp_path: Path) -> None:
    lines = run_script(TWICE, tmp_path, *photos(site, 2))
    words = "Images: 2 stored, 0 up to date, 0 failed"
    assert lines == [[{"stored": 2}, 0, words]] * 2
    assert len(files(tmp_path / "a")) == len(files(tmp_path / "b")) == 4


def test_a_crawl_may_have_been_in_the_same_process(site: Site, tmp_path: Path) -> None:
    assert run_script(AFTER_A_CRAWL, tmp_path, *photos(site, 2)) == [
        {"up-to-date": 2},
        {"stored": 2},
    ]


def test_progress_is_told(site: Site, tmp_path: Path) -> None:
    out = io.StringIO()
    urls = [*photos(site, 3), site.url("/gone.jpg")]
    fetch_images(urls, tmp_path / "store", progress=Progress(out, every_seconds=0.001))
    last = out.getvalue().splitlines()[-1].split(", ")
    assert last[:2] == ["100%", "4 images"]
    assert "1 failed" in last
    assert "0 waiting" in last
