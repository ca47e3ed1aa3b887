"""Fixtures of crawls that work together: a site, a folder, and a Redis server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis import Redis

from tests.crawl.conftest import folder, site
from tests.redis_server import Server, server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["folder", "site"]


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("redis")) as made:
        yield made


@pytest.fixture
def redis(redis_server: Server) -> Server:
    """Return a server that knows nothing."""
    with Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server


@pytest.fixture
def redis_of_its_own(tmp_path: Path) -> Iterator[Server]:
    """Return a server that the test may end."""
    with server(tmp_path / "redis") as made:
        yield made
