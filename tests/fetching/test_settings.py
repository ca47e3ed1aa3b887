"""Settings: what cannot be used is said before anything is downloaded; all others count."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from scrapy.settings import Settings

from scrapy_imgpipe import FetchFailed, SettingError, StoreFailed, fetch_images
from scrapy_imgpipe.fetching.settings import DEFAULTS, complete, travelling
from tests.crawl.site import Answer
from tests.fetching import pipelines
from tests.fetching.reports import outcomes_of, photos
from tests.pictures import jpeg

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crawl.site import Site


class Unpicklable:
    """A value that cannot travel."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "of ours": ({"settings": {"IMGPIPE_MAX_PIXELS": "5e7"}}, "for IMGPIPE_MAX_PIXELS but"),
    "rendition": ({"renditions": {"x": {"wide": 3}}}, "IMGPIPE_RENDITIONS"),
    "thumbs": ({"thumbs": {"x": (0, 3)}}, "IMAGES_THUMBS"),
    "processes": ({"processes": 0}, "for processes but received 0"),
    "output": ({"output": "tar"}, "Expected 'files' or 'webdataset' for output"),
    "report": ({"report": "report.xls"}, "report"),
    "shards": ({"output": "webdataset", "shard_size": 0}, "for shard_size but received 0"),
    "requests": (
        {"processes": 2, "settings": {"CONCURRENT_REQUESTS": "many"}},
        "for CONCURRENT_REQUESTS but received 'many'",
    ),
    "of Scrapy's": ({"settings": {"RETRY_TIMES": "often"}}, "could not begin: ValueError"),
    "class": ({"settings": {"DOWNLOADER": "nowhere.Downloader"}}, "No module named 'nowhere'"),
    "name": ({"settings": {"DOWNLOADER": "os.Downloader"}}, "Downloader"),
    "reactor": ({"settings": {"TWISTED_REACTOR": "nowhere.Reactor"}}, "nowhere"),
    "loop": ({"settings": {"ASYNCIO_EVENT_LOOP": "nowhere.Loop"}}, "nowhere"),
    "value": (
        {"settings": {"MINE": Unpicklable()}},
        "a value that another process can import for MINE but received <tests",
    ),
    "pipeline": ({"pipeline": "nowhere.Pipeline"}, "Could not import the pipeline"),
    "hook": ({"pipeline": pipelines.Unbuildable}, "ZeroDivisionError: of the user's own"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_used_is_said_before_anything_is_downloaded(
    site: Site, tmp_path: Path, case: str
) -> None:
    options, words = WRONG[case]
    with pytest.raises(SettingError) as raised:
        fetch_images(photos(site, 3), tmp_path / "store", **options)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not site.asked()


def test_no_store_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="IMAGES_STORE is not set"):
        fetch_images([])


def test_a_report_that_cannot_be_written_is_said(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreFailed, match="file"):
        fetch_images(photos(site, 1), tmp_path / "store", report=tmp_path / "file" / "r.csv")
    assert not site.asked()


@pytest.mark.parametrize(
    "settings",
    [
        {"TWISTED_REACTOR": "twisted.internet.selectreactor.SelectReactor"},
        {"TWISTED_REACTOR_ENABLED": False},
        {"ASYNCIO_EVENT_LOOP": None},
        {"IMGPIPE_ISOLATION": "process"},
    ],
    ids=["select", "none", "loop", "process"],
)
def test_any_reactor_will_do(site: Site, tmp_path: Path, settings: dict[str, Any]) -> None:
    urls = [*photos(site, 5), site.url("/gone.jpg"), "nonsense"]
    fetched = fetch_images(urls, tmp_path / "store", settings=settings)
    assert outcomes_of(fetched) == ["stored"] * 5 + ["http-status", "bad-url"]


def test_settings_of_a_crawl_count(site: Site, tmp_path: Path) -> None:
    urls = photos(site, 2)
    site.answers["/1.jpg"] = jpeg((10, 10))
    settings = Settings({"IMAGES_MIN_WIDTH": 50})
    fetched = fetch_images(urls, tmp_path / "store", settings=settings)
    assert outcomes_of(fetched) == ["stored", "too-small"]
    assert settings.get("IMAGES_STORE") is None  # they are the caller's


def test_what_has_no_meaning_without_pages_does_nothing(site: Site, tmp_path: Path) -> None:
    settings = {
        "FEEDS": {str(tmp_path / "items.jsonl"): {"format": "jsonlines"}},
        "JOBDIR": str(tmp_path / "job"),
        "IMGPIPE_REPORT": str(tmp_path / "another.jsonl"),
        "ITEM_PIPELINES": {"tests.fetching.pipelines.DiesAlways": None},
        "SPIDER_MIDDLEWARES": {"nowhere.Middleware": 1},
    }
    assert outcomes_of(fetch_images(photos(site, 1), tmp_path / "store", settings=settings)) == [
        "stored"
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_defaults_are_below_all_that_is_said() -> None:
    found = complete({"LOG_LEVEL": "DEBUG"})
    assert found["LOG_LEVEL"] == "DEBUG"
    others = {name: value for name, value in DEFAULTS.items() if name != "LOG_LEVEL"}
    assert {name: found[name] for name in others} == others
    project = Settings({"DOWNLOAD_TIMEOUT": 7}, priority="project")
    assert complete(project)["DOWNLOAD_TIMEOUT"] == 7
    assert project["COOKIES_ENABLED"] is True
    assert travelling(complete(project)).items() >= {"DOWNLOAD_TIMEOUT": (7, 20)}.items()


def test_a_store_that_keeps_failing_ends_it(site: Site, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "full").touch()  # where a folder would have to be
    urls = photos(site, 30)
    with pytest.raises(StoreFailed, match="failed too many times in a row"):
        fetch_images(
            urls,
            tmp_path / "store",
            settings={"IMGPIPE_CLOSE_ON_STORE_ERRORS": 3, "LOG_LEVEL": "CRITICAL"},
        )


def test_a_crawl_that_its_extensions_end_says_so(site: Site, tmp_path: Path) -> None:
    gate = threading.Event()
    site.answers["/held.jpg"] = Answer(jpeg(), gate=gate)
    settings = {"CLOSESPIDER_ITEMCOUNT": 1}
    urls = [*photos(site, 1), site.url("/held.jpg")]
    threading.Thread(target=_open_when_asked, args=(site, gate)).start()
    with pytest.raises(FetchFailed, match="closespider_itemcount"):
        fetch_images(urls, tmp_path / "store", settings=settings)


def _open_when_asked(site: Site, gate: threading.Event) -> None:
    site.wait_for(2)
    gate.set()
