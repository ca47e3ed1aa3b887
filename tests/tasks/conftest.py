from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from scrapy_imgpipe.index import SqliteIndex
from tests.tasks.place import CountingStore, Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with closing(SqliteIndex(tmp_path / "index.sqlite")) as index:
        yield Place(CountingStore(tmp_path / "store"), index)
