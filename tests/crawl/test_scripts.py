"""Scripts without a main guard, notebooks, and several crawls in one process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.crawl.crawls import PROGRAM, Crawl, Crawled
from tests.pictures import encoded, jpeg, noise

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crawl.site import Site

DEVELOPMENT = ("-X", "dev", "-W", "error")
PATHS = ("/a.jpg", "/b.png")


@pytest.fixture(scope="module")
def scripts(site: Site, folder: Path) -> dict[str, Crawled]:
    """Run all scripts at the same time, each with warnings as errors."""
    site.answers |= {"/a.jpg": jpeg(), "/b.png": encoded(noise(mode="RGBA"), "PNG")}
    started = {}
    for name, how, mode, settings in (
        ("runner", "runner", "asyncio", {}),
        # Always download, and have it answered from the HTTP cache.
        ("notebook", "asyncio.run", "none", {"HTTPCACHE_ENABLED": True, "IMAGES_EXPIRES": 0}),
    ):
        pages = [site.add_page(f"/{name}.html", PATHS)]
        place = folder / name
        place.mkdir()
        started[name] = Crawl(
            place,
            *pages,
            store=place / "store",
            how=how,
            mode=mode,
            python=DEVELOPMENT,
            task={"crawls": 2},
            HTTPCACHE_DIR=str(place / "cache"),
            **settings,
        )
    return {name: script.end() for name, script in started.items()}


def test_the_script_has_no_main_guard() -> None:
    assert "__name__" not in PROGRAM.read_text()


@pytest.mark.parametrize("name", ["runner", "notebook"])
def test_nothing_is_left_open_or_running(scripts: dict[str, Crawled], name: str) -> None:
    script = scripts[name].went_well()
    for crawl in script.report["crawls"]:
        (item,) = crawl["items"]
        assert [image["url"] for image in item["images"]] == item["image_urls"]


def test_a_second_crawl_in_one_process_finds_the_images_of_the_first(
    scripts: dict[str, Crawled],
) -> None:
    first, second = (crawl["items"][0]["images"] for crawl in scripts["runner"].report["crawls"])
    assert {image["status"] for image in first} == {"downloaded"}
    assert {image["status"] for image in second} == {"uptodate"}
    assert len(scripts["runner"].lines("Images: ")) == 2


def test_a_notebook_crawls_twice_on_the_loop_that_is_running(scripts: dict[str, Crawled]) -> None:
    first, second = (crawl["items"][0]["images"] for crawl in scripts["notebook"].report["crawls"])
    assert {image["status"] for image in first} == {"downloaded"}
    assert {image["status"] for image in second} == {"cached"}
    assert [image["checksum"] for image in first] == [image["checksum"] for image in second]


def test_what_the_http_cache_answers_is_counted_as_cached(scripts: dict[str, Crawled]) -> None:
    script = scripts["notebook"]
    assert script.stats.keys() == {
        "file_count",
        "file_status_count/cached",
        "imgpipe/bytes/in",
        "imgpipe/bytes/out",
        "imgpipe/outcome/cached",
        "imgpipe/renditions",
    }
    assert script.outcomes == {"cached": 2}


def test_the_http_cache_spares_the_site(scripts: dict[str, Crawled], site: Site) -> None:
    # Each of the two scripts asked once for each image, and the notebook once for its page.
    assert site.asked() == {"/a.jpg": 2, "/b.png": 2, "/notebook.html": 1, "/runner.html": 2}
