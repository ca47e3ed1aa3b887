"""Two crawls and one source: what one of them lives to see while the other has the lease."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from scrapy_imgpipe.index import RedisIndex, store_address
from tests.crawl.crawls import Crawl
from tests.crawl.site import Answer
from tests.pictures import jpeg
from tests.together.steps import LEASE_SECONDS

if TYPE_CHECKING:
    from tests.crawl.site import Site
    from tests.redis_server import Server

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


class Two:
    """Two crawls of one image; the first has its lease when the second begins."""

    def __init__(self, folder: Path, site: Site, redis: Server) -> None:
        self.folder, self.site, self.redis = folder, site, redis
        self.gate = threading.Event()
        site.forget()

    def start(self, name: str, **settings: Any) -> Crawl:
        settings = {"IMGPIPE_LEASE_SECONDS": 2, "IMGPIPE_KEEP_FAILED": True, **settings}
        return Crawl(
            self.folder / name,
            store=self.folder / "store",
            task={"items": [{"page": "p", "image_urls": [self.site.url("/a.jpg")]}]},
            IMGPIPE_INDEX=self.redis.url,
            **settings,
        )

    def first(self, **settings: Any) -> Crawl:
        """Start one, and wait until it downloads."""
        crawl = self.start("first", **settings)
        assert self.site.wait_for(1, "g")
        return crawl

    def second(self, **settings: Any) -> Crawl:
        """Start another one, and wait until it waits for the first."""
        crawl = self.start("second", **settings)
        with Redis.from_url(self.redis.url) as client:
            while not any(one["cmd"] == "mget" for one in client.client_list()):
                assert not crawl.is_over_after(0.02), crawl.log.read_text()
        return crawl

    def known(self) -> list[str]:
        """Return the outcomes that the index knows."""
        store = store_address(str(self.folder / "store"))
        with closing(RedisIndex(self.redis.url, store)) as index:
            return [record.outcome for record in index.records() if record.full]


@pytest.fixture
def two(tmp_path: Path, site: Site, redis: Server) -> Two:
    return Two(tmp_path, site, redis)


def test_a_failure_after_the_lease_takes_nothing_from_others(two, site):
    site.answers["/a.jpg"] = [Answer(status=404, gate=two.gate), jpeg()]
    settings = {"IMGPIPE_RETRY_FAILED_AFTER": 7}
    first = two.first(**settings)
    os.kill(first.process.pid, signal.SIGSTOP)
    second = two.start("second", **settings).end().went_well()
    assert second.outcomes == {"stored": 1}
    two.gate.set()
    os.kill(first.process.pid, signal.SIGCONT)
    crawled = first.end().went_well()
    assert crawled.outcomes == {"up-to-date": 1}
    assert crawled.stats["imgpipe/leases/overtaken"] == 1
    assert two.known() == ["stored"]
    assert two.start("third", **settings).end().outcomes == {"up-to-date": 1}


def test_what_only_one_of_them_refuses_is_not_refused_for_the_other(two, site):
    moved = Answer(status=302, headers={"Location": "/b.jpg"}, gate=two.gate)
    site.answers |= {"/a.jpg": moved, "/b.jpg": jpeg()}
    first, second = two.first(), two.second(MEDIA_ALLOW_REDIRECTS=True)
    two.gate.set()
    assert first.end().outcomes == {"redirect-refused": 1}
    assert second.end().went_well().outcomes == {"stored": 1}


def test_what_was_stored_just_now_counts_however_soon_it_expires(two, site):
    site.answers["/a.jpg"] = jpeg()
    assert two.start("before").end().outcomes == {"stored": 1}
    site.forget()
    site.answers["/a.jpg"] = Answer(jpeg(), gate=two.gate)
    first, second = two.first(IMAGES_EXPIRES=0), two.second(IMAGES_EXPIRES=0)
    two.gate.set()
    assert first.end().went_well().outcomes == {"stored": 1}
    assert second.end().went_well().outcomes == {"up-to-date": 1}
    assert site.asked("g") == {"/a.jpg": 1}


def test_a_long_rendering_in_a_process_is_downloaded_once(two, site):
    site.answers["/a.jpg"] = jpeg()
    settings = {
        "IMGPIPE_LEASE_SECONDS": LEASE_SECONDS,
        "IMGPIPE_ISOLATION": "process",
        "IMGPIPE_FULL": {"steps": ["tests.together.steps.slow"]},
    }
    crawled = two.start("alone", **settings).end().went_well()
    assert crawled.outcomes == {"stored": 1}
    assert "imgpipe/leases/overtaken" not in crawled.stats
    assert site.asked("g") == {"/a.jpg": 1}


def test_who_is_told_to_end_does_not_wait_for_others(two, site):
    site.answers["/a.jpg"] = Answer(jpeg(), gate=two.gate)
    first, second = two.first(IMGPIPE_LEASE_SECONDS=60), two.second(IMGPIPE_LEASE_SECONDS=60)
    began = time.monotonic()
    second.process.send_signal(signal.SIGINT)
    assert second.end().outcomes == {"interrupted": 1}
    assert time.monotonic() - began < 40  # the lease would have held it for a minute
    two.gate.set()
    assert first.end().went_well().outcomes == {"stored": 1}
    assert site.asked("g") == {"/a.jpg": 1}
