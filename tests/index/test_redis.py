"""The Redis index on a real server, which is killed, paused, filled and lied to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from scrapy_imgpipe.index import Index, RedisIndex
from tests.index.contract import IndexContract
from tests.redis_server import Server, server


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("redis")) as made:
        yield made


class TestContract(IndexContract):
    @pytest.fixture
    def open_index(self, shared: Server) -> Callable[[], Index]:
        store = uuid4().hex
        return lambda: RedisIndex(shared.url, f"imgpipe:{{{store}}}:")
