"""A store elsewhere: what waits is bounded, and nothing more is read once all is over."""

from __future__ import annotations

import pytest

from scrapy_imgpipe import Plan
from scrapy_imgpipe.errors import DownloadFailed, StoreFailed
from scrapy_imgpipe.local import Input, Job, inputs_of, rows_of
from scrapy_imgpipe.stores import MemoryStore
from tests.pictures import jpeg


class Counting(MemoryStore):
    """Counts what is read and what is put, and fails where it is told to."""

    def __init__(self, name, fails=()):
        super().__init__(name)
        self.fails = fails
        self.got = self.put_ = self.ahead = 0
        self.source = self

    def get(self, path):
        self.got += 1
        return super().get(path)

    def put_all(self, files):
        if any(file[0] in self.fails for file in files):
            raise StoreFailed("It is full")
        self.ahead = max(self.ahead, self.source.got - self.put_)
        stats = super().put_all(files)
        self.put_ += 1
        return stats


def filled(name, count, **options):
    store = Counting(name, **options)
    for number in range(count):
        store.put(f"full/{number:03}.jpg", jpeg((30, 20)))
    return store


def test_so_many_are_in_memory_and_no_more():
    source, target = filled("far-from", 120), Counting("far-to")
    job = Job(Plan(), target, workers=1, connections=3, isolation="thread")
    target.source = source
    rows = list(rows_of(inputs_of(source, ("JPEG",), target), job))
    assert {row["outcome"] for row in rows} == {"stored"}
    assert target.put_ == source.got == 120
    assert target.ahead <= 4  # a worker and three connections


def test_an_error_ends_it_and_what_waits_is_not_read():
    source, target = filled("far-in", 300), Counting("far-out", fails=("full/002.jpg",))
    job = Job(Plan(), target, workers=1, connections=2, isolation="thread", catch=(LookupError,))
    rows = []
    inputs = (Input(path, path[5:], "", source) for path in sorted(source.list()))
    with pytest.raises(StoreFailed, match="full"):
        rows.extend(rows_of(inputs, job))
    outcomes = [row["outcome"] for row in rows]
    assert outcomes.count("store-failed") == 1
    # one before it may have been given up: two are put at once
    assert outcomes.index("store-failed") in {1, 2}
    assert set(outcomes) == {"stored", "store-failed"}
    assert outcomes.count("stored") == target.put_
    assert source.got < 30


def test_what_is_gone_is_a_row():
    source = MemoryStore("far-gone")
    (row,) = rows_of([Input("full/a.jpg", "a.jpg", "", source)], Job(Plan(), MemoryStore("x-out")))
    assert (row["outcome"], row["reason"]) == (
        DownloadFailed("").code,
        "There is no full/a.jpg any more",
    )
