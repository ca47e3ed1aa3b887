"""Another engine can take the place of SQLite: it takes this contract."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from scrapy_imgpipe.index import Index
from tests.index.contract import IndexContract
from tests.index.memory import MemoryIndex


class TestContract(IndexContract):
    @pytest.fixture
    def open_index(self) -> Callable[[], Index]:
        first = MemoryIndex()
        return lambda: MemoryIndex(first)
