"""Three crawls over one store and one Redis: each image is downloaded once.

What one crawl alone makes of the same items is what they are measured by.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from tests.crawl.crawls import Crawl, Crawled, crawl, files
from tests.crawl.site import Answer
from tests.pictures import jpeg

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crawl.site import Site
    from tests.redis_server import Server

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="signals of POSIX"),
    pytest.mark.timeout(300),
]

IMAGES, ITEMS, WORKERS = 800, 2000, 3
LEASE_SECONDS = 2
PATHS = [f"/{number}.jpg" for number in range(IMAGES)]
SETTINGS: dict[str, Any] = {
    "IMAGES_THUMBS": {"small": [20, 20]},
    "IMGPIPE_LEASE_SECONDS": LEASE_SECONDS,
    "CONCURRENT_REQUESTS_PER_DOMAIN": 16,
    "LOG_LEVEL": "INFO",
}


@pytest.fixture(scope="module")
def items(site: Site) -> list[dict[str, Any]]:
    """Return items that ask for each image once, twice or more often."""
    dice = random.Random(800)
    pictures = [jpeg((40 + number, 30)) for number in range(50)]
    site.answers |= {path: pictures[number % 50] for number, path in enumerate(PATHS)}
    wanted = [*PATHS, *dice.choices(PATHS, k=ITEMS - IMAGES)]
    dice.shuffle(wanted)
    return [
        {"page": f"{number:04}", "image_urls": [site.url(path)]}
        for number, path in enumerate(wanted)
    ]


@pytest.fixture(scope="module")
def alone(folder: Path, items: list[dict[str, Any]]) -> dict[str, bytes]:
    """Return what one crawl stores."""
    store = folder / "alone"
    options = {**SETTINGS, "IMGPIPE_INDEX": str(folder / "alone-index")}
    crawl(folder / "one", store=store, task={"items": items}, **options).went_well()
    wanted = files(store)
    assert len(wanted) == 2 * IMAGES
    return wanted


@pytest.fixture
def workers(site: Site, tmp_path: Path, items: list[dict[str, Any]], redis: Server) -> list[Crawl]:
    """Start three crawls, each with a third of the items."""
    site.forget()
    return [started(tmp_path, number, items, redis) for number in range(WORKERS)]


def started(
    folder: Path, number: int, items: list[dict[str, Any]], redis: Server, **settings: Any
) -> Crawl:
    """Start one of three crawls."""
    settings = {"store": folder / "store", "IMGPIPE_INDEX": redis.url, **SETTINGS, **settings}
    return Crawl(folder / f"worker{number}", task={"items": items[number::WORKERS]}, **settings)


def all_complete(crawled: list[Crawled]) -> bool:
    return all(len(item["images"]) == 1 for one in crawled for item in one.items)


def held_by(redis: Server, worker: Crawl) -> int:
    """Return how many leases *worker* has."""
    with Redis.from_url(redis.url) as client:
        keys = list(client.scan_iter("*lease:*", count=1000))
        holders = client.mget(keys) if keys else []
    return sum(f":{worker.process.pid}:".encode() in (holder or b"") for holder in holders)


def test_each_image_is_downloaded_once(site, tmp_path, workers, alone, redis):
    crawled = [worker.end().went_well() for worker in workers]
    assert sum(len(one.items) for one in crawled) == ITEMS
    assert all_complete(crawled)
    asked = site.asked("g")
    assert len(asked) == sum(asked.values()) == IMAGES
    assert files(tmp_path / "store") == alone
    assert sum(one.stats.get("imgpipe/leases/awaited", 0) for one in crawled) > 0
    assert all(not one.stats.get("imgpipe/leases/overtaken") for one in crawled)
    assert all(held_by(redis, worker) == 0 for worker in workers)  # nothing is left behind


def test_a_killed_worker_costs_what_it_had_in_flight(site, tmp_path, workers, items, alone, redis):
    assert site.wait_for(IMAGES // 3, "g")
    victim = workers[1]
    os.kill(victim.process.pid, signal.SIGSTOP)  # so that what it holds can be counted
    held = held_by(redis, victim)
    victim.process.kill()
    assert victim.end().code == -signal.SIGKILL
    workers[1] = started(tmp_path, 1, items, redis)
    crawled = [worker.end().went_well() for worker in workers]
    assert all_complete(crawled)
    assert sum(len(one.items) for one in crawled) == ITEMS
    asked = site.asked("g")
    assert len(asked) == IMAGES
    assert IMAGES <= sum(asked.values()) <= IMAGES + held
    assert files(tmp_path / "store") == alone


def test_a_worker_that_stands_still_is_overtaken_and_writes_nothing_old(
    site, tmp_path, workers, alone, redis
):
    assert site.wait_for(IMAGES // 3, "g")
    paused, *others = workers
    os.kill(paused.process.pid, signal.SIGSTOP)
    held = held_by(redis, paused)
    crawled = [worker.end().went_well() for worker in others]  # they do not wait for ever
    os.kill(paused.process.pid, signal.SIGCONT)
    crawled.append(paused.end().went_well())
    assert all_complete(crawled)
    asked = site.asked("g")
    assert len(asked) == IMAGES
    assert sum(asked.values()) <= IMAGES + held
    assert files(tmp_path / "store") == alone


def test_a_worker_that_is_cut_off_goes_on_alone(site, tmp_path, items, alone, redis_of_its_own):
    redis = redis_of_its_own
    with Redis.from_url(redis.url) as client:
        client.acl_setuser("lonely", enabled=True, nopass=True, keys="*", categories=["+@all"])
        site.forget()
        url = redis.url.replace("unix://", "unix://lonely:x@")
        cut = started(tmp_path, 0, items, redis, IMGPIPE_INDEX=url)
        others = [started(tmp_path, number, items, redis) for number in (1, 2)]
        assert site.wait_for(IMAGES // 3, "g")
        client.acl_setuser("lonely", enabled=False)
        client.execute_command("CLIENT KILL USER lonely")
    crawled = [worker.end() for worker in (cut, *others)]
    assert [one.code for one in crawled] == [0] * WORKERS
    assert all_complete(crawled)
    assert len(crawled[0].lines("Other crawls may download the same")) == 1
    assert not any(one.lines("Other crawls may download the same") for one in crawled[1:])
    assert "lonely" not in crawled[0].log
    asked = site.asked("g")
    assert len(asked) == IMAGES
    assert max(asked.values()) <= 2  # those that share do not ask twice
    assert files(tmp_path / "store") == alone


def test_without_redis_they_go_on_say_so_once_and_share_again(
    site, tmp_path, items, alone, redis_of_its_own
):
    redis = redis_of_its_own
    site.forget()
    held_back = site.answers[PATHS[-1]]
    workers = [started(tmp_path, number, items, redis) for number in range(WORKERS)]
    assert held_back
    assert site.wait_for(IMAGES // 4, "g")
    redis.kill()
    assert site.wait_for(IMAGES // 2, "g")
    redis.start()
    crawled = [worker.end() for worker in workers]
    assert all(one.code == 0 for one in crawled)
    assert all_complete(crawled)
    assert files(tmp_path / "store") == alone
    assert len(site.asked("g")) == IMAGES
    for one in crawled:
        said = one.lines("Other crawls may download the same")
        assert len(said) <= 1
    assert any(one.lines("Other crawls may download the same") for one in crawled)


def test_a_failure_is_shared_by_those_that_wait(site, tmp_path, redis):
    gate = threading.Event()
    site.answers["/gone.jpg"] = Answer(b"gone", status=404, gate=gate)
    site.forget()
    task = {"items": [{"page": "p", "image_urls": [site.url("/gone.jpg")]}]}
    options = {**SETTINGS, "IMGPIPE_INDEX": redis.url, "IMGPIPE_KEEP_FAILED": True}
    store = tmp_path / "store"
    crawls = [
        Crawl(tmp_path / f"worker{number}", store=store, task=task, **options)
        for number in range(WORKERS)
    ]
    with Redis.from_url(redis.url) as client:
        while sum(one["cmd"] == "mget" for one in client.client_list()) < WORKERS - 1:
            assert not any(one.is_over_after(0.02) for one in crawls)
    gate.set()
    crawled = [one.end().went_well() for one in crawls]
    assert [one.outcomes for one in crawled] == [{"http-status": 1}] * WORKERS
    assert site.asked("g") == {"/gone.jpg": 1}
