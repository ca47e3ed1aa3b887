"""Settings as users give them: in scripts, in projects and on the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.crawl.crawls import OTHER, OURS, Crawled, crawl, files, name_of, scrapy
from tests.crawl.site import Answer
from tests.pictures import encoded, jpeg, noise

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crawl.site import Site

MANY = 400
SPIDER = """
import scrapy

class PageSpider(scrapy.Spider):
    name = "page"

    def __init__(self, page=None, **kwargs):
        super().__init__(**kwargs)
        self.start_urls = [page]

    def parse(self, response):
        yield {"image_urls": response.css("img::attr(src)").getall()}
"""

SCHEMES = "'az', 'file', 'ftp', 'ftps', 'gs', 'memory', 's3'"


@pytest.fixture(scope="module")
def open_minded(site: Site, folder: Path) -> Crawled:
    """Crawl with everything allowed, and with a second pipeline of ours over the same items."""
    site.answers |= {
        "/robots.txt": b"User-agent: *\nDisallow: /private/\n",
        "/target.jpg": jpeg(),
        "/moved.jpg": Answer(status=302, headers={"Location": "/target.jpg"}),
        "/odd.jpg": Answer(jpeg(), status=203),
        "/no.jpg": Answer(jpeg(), status=206),
        "/private/a.jpg": jpeg(),
        "/offsite.jpg": jpeg(),
        "/mine.png": encoded(noise(), "PNG"),
    }
    page = site.add_page(
        "/page.html",
        [
            "/moved.jpg",
            "/odd.jpg",
            "/no.jpg",
            "/private/a.jpg",
            site.url("/offsite.jpg", host="localhost"),
            "/mine.png",
        ],
    )
    return crawl(
        folder,
        page,
        store=folder / "ours",
        pipelines={OURS: 1, OTHER: 2},
        task={"allowed_domains": ["127.0.0.1"], "other_store": str(folder / "other")},
        MEDIA_ALLOW_REDIRECTS=True,
        IMGPIPE_ALLOW_OFFSITE=True,
        IMGPIPE_REFERER=True,
        IMGPIPE_STATUSES=[200, 203],
        ROBOTSTXT_OBEY=True,
        OTHERPIPELINE_IMAGES_RESULT_FIELD="others",
        OTHERPIPELINE_IMAGES_THUMBS={"small": [50, 50]},
    ).went_well()


def stored_urls(site: Site) -> list[str]:
    return [
        site.url("/moved.jpg"),
        site.url("/odd.jpg"),
        site.url("/offsite.jpg", host="localhost"),
        site.url("/mine.png"),
    ]


def test_redirects_statuses_and_other_hosts_are_let_through(
    open_minded: Crawled, site: Site
) -> None:
    assert [image["url"] for image in open_minded.images] == stored_urls(site)
    # Of two pipelines, each counts its own.
    assert open_minded.outcomes == {"stored": 8, "http-status": 2, "filtered": 2}


def test_two_pipelines_fill_two_fields_and_two_stores(
    open_minded: Crawled, site: Site, folder: Path
) -> None:
    (item,) = open_minded.items
    assert [image["url"] for image in item["others"]] == stored_urls(site)
    names = [name_of(url) for url in stored_urls(site)]
    assert set(files(folder / "ours")) == {f"full/{name}" for name in names}
    kinds = ("full", "thumbs/small")
    assert set(files(folder / "other")) == {f"{kind}/{name}" for kind in kinds for name in names}


def test_one_summary_counts_for_both_pipelines(open_minded: Crawled) -> None:
    ((_, line),) = open_minded.lines("Images: ")
    assert line.startswith("Images: 8 stored, 0 up to date, 4 failed (filtered 2, http-status 2); ")


def test_a_redirected_image_is_stored_under_the_url_that_was_asked(
    open_minded: Crawled, site: Site, folder: Path
) -> None:
    path = f"full/{name_of(site.url('/moved.jpg'))}"
    assert files(folder / "ours")[path] == site.answers["/target.jpg"]
    assert "MEDIA_ALLOW_REDIRECTS = True" not in open_minded.log


def test_what_robots_txt_forbids_is_filtered_in_one_debug_line_per_pipeline(
    open_minded: Crawled, site: Site
) -> None:
    lines = open_minded.lines(site.url("/private/a.jpg"))
    assert [level for level, _ in lines] == ["DEBUG", "DEBUG"]
    assert all("robots.txt" in message for _, message in lines)
    assert "/private/a.jpg" not in site.asked()


def test_a_referer_that_the_user_set_is_kept(open_minded: Crawled, site: Site) -> None:
    sent = [visit.referer for visit in site.visits if visit.path == "/mine.png"]
    assert sent == [site.url("/page.html"), "http://mine.example/"]
    assert site.referers()["/odd.jpg"] == site.url("/page.html")


def test_four_hundred_images_of_one_item_keep_their_order(site: Site, folder: Path) -> None:
    paths = [f"/many/{number}.jpg" for number in range(MANY)]
    site.answers |= {path: jpeg((40, 30)) for path in paths}
    page = site.add_page("/many.html", paths)
    crawled = crawl(folder, page, store=folder / "many", IMAGES_THUMBS={"small": [20, 20]})
    urls = [site.url(path) for path in paths]
    assert [image["url"] for image in crawled.went_well().images] == urls
    assert len(files(folder / "many")) == 2 * MANY
    assert crawled.outcomes == {"stored": MANY}


# --- the command line ---


@pytest.fixture(scope="module")
def project(folder: Path) -> Path:
    """Make a project that has our add-on and nothing else."""
    place = folder / "project"
    (place / "shop" / "spiders").mkdir(parents=True)
    (place / "scrapy.cfg").write_text("[settings]\ndefault = shop.settings\n")
    (place / "shop" / "__init__.py").touch()
    (place / "shop" / "spiders" / "__init__.py").touch()
    (place / "shop" / "spiders" / "page.py").write_text(SPIDER)
    (place / "shop" / "settings.py").write_text(
        'BOT_NAME = "shop"\n'
        'SPIDER_MODULES = ["shop.spiders"]\n'
        'ADDONS = {"scrapy_imgpipe.Addon": 500}\n'
        'IMAGES_STORE = "store"\n'
        "TELNETCONSOLE_ENABLED = False\n"
    )
    return place


@pytest.fixture(scope="module")
def from_the_command_line(project: Path, site: Site) -> Crawled:
    site.answers |= {"/a.jpg": jpeg(), "/b.jpg": Answer(jpeg(), status=203)}
    page = site.add_page("/shop.html", ["/a.jpg", "/b.jpg"])
    settings = ('IMAGES_THUMBS={"small": [50, 50]}', "IMGPIPE_STATUSES=200,203")
    options = [word for setting in settings for word in ("-s", setting)]
    return scrapy("crawl", "page", "-a", f"page={page}", "-O", "out.json", *options, folder=project)


def test_settings_from_the_command_line_count(
    from_the_command_line: Crawled, project: Path, site: Site
) -> None:
    assert from_the_command_line.code == 0
    assert "Traceback" not in from_the_command_line.log
    (item,) = json.loads((project / "out.json").read_text())
    assert [image["url"] for image in item["images"]] == [site.url("/a.jpg"), site.url("/b.jpg")]
    assert [image["renditions"][0]["name"] for image in item["images"]] == ["small"] * 2


@pytest.mark.parametrize(
    ("command", "setting", "expected"),
    [
        ("crawl", "IMGPIPE_WORKERS=0", "whole number of threads, 1 or more,"),
        (
            "runspider",
            'IMAGES_THUMBS={"small": [50]}',
            "dict of name to (width, height) in pixels, 1 or more each,",
        ),
        (
            "runspider",
            "IMAGES_STORE=gopher://x/y",
            f"a directory or a complete URI with a scheme of {SCHEMES}",
        ),
    ],
)
def test_a_wrong_setting_stops_the_start(
    command: str, setting: str, expected: str, project: Path, site: Site
) -> None:
    page = site.add_page("/wrong.html", ["/a.jpg"])
    what = "page" if command == "crawl" else "shop/spiders/page.py"
    run = scrapy(command, what, "-a", f"page={page}", "-s", setting, folder=project)
    assert run.code != 0
    assert "/wrong.html" not in site.asked()
    # Scrapy shows a traceback; the sentence is its last line, where a user looks first.
    name, _, value = setting.partition("=")
    sentence = f"Expected {expected} for {name} but received {value!r} of type str"
    assert run.log.splitlines()[-1].endswith(sentence)
    assert "The above exception was the direct cause" not in run.log
