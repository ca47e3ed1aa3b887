"""The main job under each event loop: pages in, items with images out, once and once more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.crawl.crawls import MODES, Crawl, Crawled, files, name_of
from tests.crawl.site import Answer, Site
from tests.pictures import encoded, jpeg, noise, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GOOD = ("/photo.jpg", "/clear.png", "/drip.jpg", "/film.webp", "/grey.jpg")
AGAIN = ("/photo.jpg", "/other.jpg", "/clear.png", "/photo.jpg")
REDIRECTS = ("/moved-1.jpg", "/moved-2.jpg", "/moved-3.jpg")
PAGES = ("/again.html", "/bad.html", "/good.html")
SETTINGS = {"IMAGES_THUMBS": {"small": [50, 50]}, "IMAGES_MIN_WIDTH": 20, "IMGPIPE_REFERER": True}

#: What the log says of each.
WARNED = {
    "/missing.jpg": "HTTP status 404",
    "/error.jpg": "HTTP status 500",
    "/cut.jpg": "Image cannot be decoded",
    "/short.jpg": "ResponseDataLoss",
    "/empty.jpg": "no bytes came",
    "/reset.jpg": "DownloadFailedError",
    **dict.fromkeys(REDIRECTS, "HTTP status 301"),
}
REJECTED = {
    "/page.jpg": "Not an image, but HTML",
    "/script.jpg": "Image format EPS is not allowed",
    "/tiny.jpg": "Image too small (10x40 < 20x0)",
}


def add_bodies(site: Site) -> None:
    photo = jpeg()
    site.answers |= {
        "/photo.jpg": jpeg((300, 200)),
        "/other.jpg": jpeg(),
        "/clear.png": encoded(noise(mode="RGBA"), "PNG"),
        "/film.webp": encoded(noise(), "WEBP"),
        "/grey.jpg": encoded(noise(mode="L")),
        "/drip.jpg": Answer(jpeg(), drips=5),
        "/error.jpg": Answer(photo, status=500),
        "/cut.jpg": photo[: len(photo) // 2],
        "/short.jpg": Answer(photo, cut=len(photo) // 2),
        "/empty.jpg": b"",
        "/reset.jpg": Answer(reset=True),
        "/page.jpg": Answer(b"<!doctype html><p>Log in", headers={"Content-Type": "image/jpeg"}),
        "/script.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n",
        "/tiny.jpg": jpeg((10, 40)),
        **{path: Answer(status=301, headers={"Location": "/photo.jpg"}) for path in REDIRECTS},
    }


def add_pages(site: Site) -> list[str]:
    bad = [*WARNED, *REJECTED, site.refusing_url, site.url("/offsite.jpg", host="localhost")]
    unusable = ["", "mailto:x@shop.example", "file:///etc/hostname"]
    return [
        site.add_page("/again.html", AGAIN),
        site.add_page("/bad.html", [*bad, *unusable, "/photo.jpg"]),
        site.add_page("/good.html", GOOD),
    ]


@dataclass
class Job:
    """A first crawl, and what the site and the store had seen when it was over."""

    site: Site
    store: Path
    folder: Path
    mode: str
    crawled: Crawled
    stored: dict[str, bytes]
    visits: dict[str, int]
    referers: dict[str, str | None]

    def url(self, path: str) -> str:
        return self.site.url(path)

    def body(self, path: str) -> bytes:
        answer = self.site.answers[path]
        return answer.body if isinstance(answer, Answer) else answer


def start(site: Site, folder: Path, mode: str, pages: list[str]) -> Crawl:
    task = {"allowed_domains": ["127.0.0.1"]}
    store = folder / "store"
    strict = ("-W", "error")  # an unclosed file is a warning
    return Crawl(folder, *pages, store=store, mode=mode, python=strict, task=task, **SETTINGS)


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Job]]:
    """Crawl in all modes at the same time, each with a site of its own."""
    sites = {mode: Site() for mode in MODES}
    started = {}
    for mode, site in sites.items():
        site.__enter__()
        add_bodies(site)
        folder = tmp_path_factory.mktemp(mode)
        started[mode] = folder, start(site, folder, mode, add_pages(site))
    found = {}
    for mode, (folder, crawl) in started.items():
        site, store = sites[mode], folder / "store"
        crawled = crawl.end()
        found[mode] = Job(
            site, store, folder, mode, crawled, files(store), site.asked(), site.referers()
        )
    yield found
    for site in sites.values():
        site.__exit__()


@pytest.fixture(scope="module", params=MODES)
def job(request: pytest.FixtureRequest, jobs: dict[str, Job]) -> Job:
    return jobs[request.param]


@pytest.fixture(scope="module")
def second_jobs(jobs: dict[str, Job]) -> dict[str, Crawled]:
    """Crawl the good pages once more, in all modes at the same time."""
    started = {}
    for mode, job in jobs.items():
        job.site.forget()
        pages = [job.url("/again.html"), job.url("/good.html")]
        started[mode] = start(job.site, job.folder, mode, pages)
    return {mode: crawl.end() for mode, crawl in started.items()}


@pytest.fixture
def second(job: Job, second_jobs: dict[str, Crawled]) -> Crawled:
    return second_jobs[job.mode]


def test_a_crawl_ends_well_and_leaves_no_worker(job: Job) -> None:
    job.crawled.went_well()


def test_items_arrive_with_their_images_in_order(job: Job) -> None:
    again, bad, good = job.crawled.items
    assert [image["url"] for image in good["images"]] == [job.url(path) for path in GOOD]
    assert [image["url"] for image in again["images"]] == [job.url(path) for path in AGAIN]
    assert [image["url"] for image in bad["images"]] == [job.url("/photo.jpg")]


def test_a_result_says_what_is_stored(job: Job) -> None:
    for image in job.crawled.items[2]["images"]:
        data = job.stored[image["path"]]
        picture = opened(data)
        assert image["path"] == f"full/{name_of(image['url'])}"
        assert (image["format"], image["status"]) == ("JPEG", "downloaded")
        assert (image["width"], image["height"], image["bytes"]) == (*picture.size, len(data))
        (small,) = image["renditions"]
        data = job.stored[small["path"]]
        assert small["path"] == f"thumbs/small/{name_of(image['url'])}"
        assert (small["width"], small["height"], small["bytes"]) == (*opened(data).size, len(data))


def test_photos_arrive_untouched_and_nothing_else_is_stored(job: Job) -> None:
    for path in ("/photo.jpg", "/other.jpg", "/drip.jpg"):
        assert job.stored[f"full/{name_of(job.url(path))}"] == job.body(path)
    names = {name_of(job.url(path)) for path in {*GOOD, *AGAIN}}
    folders = ("full", "thumbs/small")
    assert set(job.stored) == {f"{folder}/{name}" for folder in folders for name in names}


def test_the_stats_are_these_and_no_others(job: Job) -> None:
    received = {*GOOD, *AGAIN, "/cut.jpg", *REJECTED}
    assert job.crawled.stats == {
        "file_count": len(received),
        "file_status_count/downloaded": len(received),
        "imgpipe/bytes/in": sum(len(job.body(path)) for path in received),
        "imgpipe/bytes/out": sum(map(len, job.stored.values())),
        "imgpipe/renditions": len(job.stored),
        "imgpipe/outcome/stored": 6,
        "imgpipe/outcome/joined": 4,
        "imgpipe/outcome/http-status": 2,
        "imgpipe/outcome/redirect-refused": 3,
        "imgpipe/outcome/download-failed": 4,
        "imgpipe/outcome/broken": 1,
        "imgpipe/outcome/not-an-image": 1,
        "imgpipe/outcome/format-not-allowed": 1,
        "imgpipe/outcome/too-small": 1,
        "imgpipe/outcome/filtered": 1,
        "imgpipe/outcome/bad-url": 2,
        "imgpipe/outcome/url-not-allowed": 1,
    }


def test_each_url_is_asked_for_once(job: Job) -> None:
    # Without a reactor, aiohttp asks again by itself where an open connection was reset.
    visits = {**job.visits, "/reset.jpg": 1}
    assert visits == dict.fromkeys({*PAGES, *GOOD, *AGAIN, *WARNED, *REJECTED}, 1)


def test_a_second_crawl_asks_for_pages_only(job: Job, second: Crawled) -> None:
    second.went_well()
    assert job.site.asked() == {"/again.html": 1, "/good.html": 1}
    assert files(job.store) == job.stored


def test_a_second_crawl_gives_the_same_results(job: Job, second: Crawled) -> None:
    def results(item: dict[str, Any]) -> list[dict[str, Any]]:
        return [{**image, "status": None} for image in item["images"]]

    again, _, good = job.crawled.items
    assert [results(item) for item in second.items] == [results(again), results(good)]
    assert {image["status"] for item in second.items for image in item["images"]} == {"uptodate"}
    assert second.stats == {
        "file_count": 6,
        "file_status_count/uptodate": 6,
        "imgpipe/outcome/up-to-date": 6,
        "imgpipe/outcome/joined": 3,
    }


def failures(job: Job, path: str) -> list[tuple[str, str]]:
    """Return the lines about *path*, but for Scrapy's own that a response came."""
    lines = job.crawled.lines(job.url(path))
    return [line for line in lines if not line[1].startswith("File (downloaded)")]


def test_a_failed_source_is_one_warning_without_traceback(job: Job) -> None:
    for path, reason in WARNED.items():
        ((level, message),) = failures(job, path)
        assert (level, reason in message) == ("WARNING", True), message
    ((level, message),) = job.crawled.lines(job.site.refusing_url)
    assert (level, "DownloadConnectionRefused" in message) == ("WARNING", True), message


def test_a_rejected_source_is_one_debug_line(job: Job) -> None:
    for path, reason in REJECTED.items():
        ((level, message),) = failures(job, path)
        assert (level, reason in message) == ("DEBUG", True), message
    for url in ("localhost:", "file:", "mailto:"):
        ((level, _),) = job.crawled.lines(url)
        assert level == "DEBUG"


def test_an_entry_that_is_no_url_is_logged_as_the_page_has_it(job: Job) -> None:
    assert "imgpipe-" not in job.crawled.log
    ((_, message),) = job.crawled.lines("mailto:")
    assert "x@shop.example" in message


def test_nothing_is_logged_above_debug_but_failures_and_the_summary(job: Job) -> None:
    loud = [line for line in job.crawled.lines() if line[0] != "DEBUG"]
    assert len(loud) == len(WARNED) + 2  # the refused connection, and the summary


def test_one_hint_names_the_redirect_setting(job: Job) -> None:
    assert job.crawled.log.count("MEDIA_ALLOW_REDIRECTS") == 1
    ((_, message),) = job.crawled.lines("MEDIA_ALLOW_REDIRECTS = True")
    assert "/moved-" in message


def test_the_summary_is_one_line(job: Job, second: Crawled) -> None:
    ((level, line),) = job.crawled.lines("Images: ")
    assert level == "INFO"
    assert line.startswith(
        "Images: 6 stored, 0 up to date, 17 failed (bad-url 2, broken 1, download-failed 4,"
        " filtered 1, format-not-allowed 1, http-status 2, not-an-image 1, redirect-refused 3,"
        " too-small 1, url-not-allowed 1); "
    )
    assert line.endswith(" MB out")
    assert " images/s, " in line
    ((_, line),) = second.lines("Images: ")
    assert line.startswith("Images: 0 stored, 6 up to date, 0 failed; ")


def test_the_page_is_sent_as_referer(job: Job) -> None:
    for path in {*WARNED, *REJECTED}:
        assert job.referers[path] == job.url("/bad.html")
    for path in ("/drip.jpg", "/film.webp", "/grey.jpg"):
        assert job.referers[path] == job.url("/good.html")
    assert job.referers["/other.jpg"] == job.url("/again.html")
