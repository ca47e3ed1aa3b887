"""The example's shop, crawled by two workers that share a queue through scrapy-redis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from redis import Redis

import scrapy_imgpipe
from tests.crawl.crawls import files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.redis_server import Server

EXAMPLE = Path(__file__).resolve().parents[2] / "example_project"
WORKERS = 2
TIMEOUT_SECONDS = 120
#: An engine takes as many pages as it has places, and one that has nothing to do looks for
#: more every 5 seconds: nobody is to be through by then.
UNHURRIED = {
    "CONCURRENT_REQUESTS": "1",
    "DOWNLOAD_DELAY": "0.15",
    "RANDOMIZE_DOWNLOAD_DELAY": "False",
}
SPIDER = """
from scrapy_redis.spiders import RedisMixin

from shop.spiders.gallery import GallerySpider


class SharedSpider(RedisMixin, GallerySpider):
    name = "shared"
    redis_key = "shared:start_urls"
    max_idle_time = 6  # more than the 5 seconds between two looks

    @classmethod
    def from_crawler(cls, crawler, *args, **kwargs):
        spider = super().from_crawler(crawler, *args, **kwargs)
        spider.start_urls = []
        spider.setup_redis(crawler)
        return spider
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Serve the example's site; it counts what it is asked for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLE))
        from shop.site.build import ensure_site, served_folder
        from shop.site.server import serving

        site = tmp_path_factory.mktemp("site")
        ensure_site(site)
        www = served_folder(site)
        with serving(www, 0) as server:
            found = (path for part in ("gallery", "shop") for path in (www / part).glob("*.html"))
            server.pages = [f"{server.url}{path.relative_to(www).as_posix()}" for path in found]
            yield server


def worker(folder: Path, name: str, store: Path, **settings: str) -> subprocess.Popen[bytes]:
    (folder / "shared.py").write_text(SPIDER)
    library = Path(scrapy_imgpipe.__file__).parents[1]
    command = [
        sys.executable,
        "-m",
        "scrapy",
        "runspider",
        "shared.py",
        "-a",
        "max_pages=1",
        "-O",
        f"{name}.jsonl",
    ]
    settings |= {"IMAGES_STORE": str(store), "LOG_LEVEL": "INFO"}
    command += [part for pair in settings.items() for part in ("-s", "=".join(pair))]
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": f"{library}{os.pathsep}{EXAMPLE}"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def items_of(*feeds: Path) -> dict[str, Any]:
    found = [json.loads(line) for feed in feeds for line in feed.read_text().splitlines()]
    assert len({item["url"] for item in found}) == len(found), "a page was crawled twice"
    return {
        item["url"]: [(image["path"], image["checksum"]) for image in item["images"]]
        for item in found
    }


def crawl_all(folder: Path, server: Server, shop: Any, workers: int, **settings: str) -> Path:
    """Crawl all pages of the site with so many workers; return where the images are."""
    folder.mkdir()
    with Redis.from_url(server.url) as client:
        client.flushall()
    settings |= {
        "SCHEDULER": "scrapy_redis.scheduler.Scheduler",
        "DUPEFILTER_CLASS": "scrapy_redis.dupefilter.RFPDupeFilter",
        "SCHEDULER_PERSIST": "True",
        "REDIS_URL": server.url,
        "RETRY_ENABLED": "False",
    }
    names = [f"worker{number}" for number in range(workers)]
    running = [worker(folder, name, folder / "store", **settings) for name in names]
    for name in names:
        wait_for_line(folder / f"{name}.log", "Spider opened")
    with Redis.from_url(server.url) as client:
        client.lpush("shared:start_urls", *(json.dumps({"url": page}) for page in shop.pages))
    for name, process in zip(names, running, strict=True):
        try:
            assert process.wait(TIMEOUT_SECONDS) == 0, (folder / f"{name}.log").read_text()
        finally:
            process.kill()
    return folder / "store"


def wait_for_line(log: Path, text: str) -> None:
    end = time.monotonic() + TIMEOUT_SECONDS
    while text not in log.read_text():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.02)


def test_two_workers_crawl_the_example_as_one_does(tmp_path, redis, shop):
    alone = crawl_all(tmp_path / "one", redis, shop, 1, IMGPIPE_INDEX=str(tmp_path / "index"))
    wanted = items_of(tmp_path / "one" / "worker0.jsonl")
    shop.take_tally()
    together = crawl_all(
        tmp_path / "two", redis, shop, WORKERS, IMGPIPE_INDEX=redis.url, **UNHURRIED
    )
    asked = shop.take_tally()
    feeds = [tmp_path / "two" / f"worker{number}.jsonl" for number in range(WORKERS)]
    assert all(feed.read_text() for feed in feeds), "one worker did everything"
    assert items_of(*feeds) == wanted
    assert files(together) == files(alone)
    stored = {urlsplit(url).path for url in urls_in(*feeds)}
    assert len(stored) > 20
    assert {path: asked[path] for path in stored} == dict.fromkeys(stored, 1)


def urls_in(*feeds: Path) -> set[str]:
    """Return the URLs of all images that were stored."""
    items = [json.loads(line) for feed in feeds for line in feed.read_text().splitlines()]
    return {image["url"] for item in items for image in item["images"]}
