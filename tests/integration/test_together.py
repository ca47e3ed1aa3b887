"""Three crawls over one bucket and one Redis, with one of them killed."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.s3_server import BUCKET
from tests.integration.test_crawl import contents, s3_settings, s3_store
from tests.together import test_three_workers as together
from tests.together.conftest import folder, redis, redis_server, site

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crawl.site import Site
    from tests.redis_server import Server

__all__ = ["folder", "redis", "redis_server", "site"]

pytestmark = pytest.mark.timeout(300)

items, alone = together.items, together.alone


@pytest.mark.parametrize("killed", [False, True], ids=["all live", "one killed"])
def test_into_one_bucket(
    s3: str,
    site: Site,
    tmp_path: Path,
    items: list[dict[str, Any]],
    alone: dict[str, bytes],
    redis: Server,
    killed: bool,
) -> None:
    uri = f"s3://{BUCKET}/together-{killed}"
    settings = {"store": uri, **s3_settings(s3, "auto")}
    site.forget()
    workers = [
        together.started(tmp_path, number, items, redis, **settings)
        for number in range(together.WORKERS)
    ]
    held = 0
    if killed:
        assert site.wait_for(together.IMAGES // 3, "g")
        os.kill(workers[1].process.pid, signal.SIGSTOP)  # so that what it holds can be counted
        held = together.held_by(redis, workers[1])
        workers[1].process.kill()
        workers[1].end()
        workers[1] = together.started(tmp_path, 1, items, redis, **settings)
    crawled = [worker.end().went_well() for worker in workers]
    assert together.all_complete(crawled)
    assert sum(len(one.items) for one in crawled) == together.ITEMS
    asked = site.asked("g")
    assert len(asked) == together.IMAGES
    assert together.IMAGES <= sum(asked.values()) <= together.IMAGES + held
    assert contents(s3_store(s3, uri)) == alone
