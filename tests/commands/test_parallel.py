"""Many things, several threads, bounded memory, one order."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from scrapy_imgpipe.commands.parallel import chunks, in_threads


def test_results_come_in_the_order_of_the_things():
    assert list(in_threads(lambda n: n * n, range(1000), 3)) == [n * n for n in range(1000)]


def test_no_things_give_nothing():
    assert list(in_threads(str, [], 2)) == []


def test_several_threads_work_at_once():
    together = threading.Barrier(3, timeout=30)

    def meet(number):
        if number % 32 == 0:
            together.wait()
        return threading.get_ident()

    assert len(set(in_threads(meet, range(96), 3))) == 3


def test_things_are_taken_as_they_are_needed():
    taken = []

    def things():
        for number in range(100_000):
            taken.append(number)
            yield number

    with closing(in_threads(str, things(), 2)) as results:
        assert next(results) == "0"
        assert len(taken) < 1000


def test_an_error_is_raised_and_nothing_else_is_begun():
    begun = []

    def fail(number):
        begun.append(number)
        if number == 40:
            raise ValueError(number)
        return number

    results = in_threads(fail, range(100_000), 1)
    with pytest.raises(ValueError, match="40"):
        list(results)
    assert len(begun) < 1000
    assert not [t for t in threading.enumerate() if t.name.startswith("imgpipe-command")]


def test_whoever_stops_asking_ends_the_work():
    begun, there, go_on = [], threading.Event(), threading.Event()

    def wait(number):
        begun.append(number)
        if number == 32:  # the first chunk is through
            there.set()
            assert go_on.wait(30)
        return number

    results = in_threads(wait, range(1000), 1)
    next(results)
    assert there.wait(30)
    ended = results.gi_frame.f_locals["ended"]
    closer = threading.Thread(target=results.close)
    closer.start()
    assert ended.wait(30)
    go_on.set()
    closer.join()
    assert begun == list(range(33))
    assert not [t for t in threading.enumerate() if t.name.startswith("imgpipe-command")]


def test_chunks_hold_everything_once():
    assert list(chunks(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
