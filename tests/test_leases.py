"""Leases against a real server: who has what, for how long, and what is said when it is gone."""

from __future__ import annotations

import functools
import pickle
import time
from math import inf
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from scrapy_imgpipe.errors import IndexFailed, Overtaken, StoreFailed
from scrapy_imgpipe.index.redis_server import connect
from scrapy_imgpipe.leases import ANOTHERS, OURS, OURS_AGAIN, Lease, Leases
from tests import redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.redis_server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with redis_server.server(tmp_path_factory.mktemp("redis")) as made:
        yield made


@pytest.fixture
def two(server: Server) -> Iterator[tuple[Leases, Leases]]:
    with Redis.from_url(server.url) as client:
        client.flushall()
    both = leases(server), leases(server)
    yield both
    for one in both:
        one.close()


def leases(server: Server, seconds: float = 30, prefix: str = "imgpipe:{x}:") -> Leases:
    return Leases(functools.partial(connect, server.url), prefix, seconds)


def test_one_has_it_at_a_time(two):
    ours, theirs = two
    assert ours.exchange(["a", "b"], []) == [True, True]
    assert theirs.exchange(["b", "c"], []) == [False, True]
    assert theirs.are_taken(["a", "b", "c", "d"]) == [True, True, True, False]
    assert ours.exchange([], ["a", "c"]) == []  # c is not ours to give back
    assert ours.are_taken(["a", "b", "c"]) == [False, True, True]
    assert theirs.exchange(["a"], ["c"]) == [True]
    assert ours.exchange(["c"], []) == [True]


def test_what_we_have_is_ours_when_an_answer_was_lost(two):
    ours, theirs = two
    assert ours.exchange(["a"], []) == [True]
    assert ours.exchange(["a"], []) == [True]
    assert theirs.exchange(["a"], []) == [False]


def test_what_is_given_back_may_be_taken_in_the_same_breath(two):
    ours, _ = two
    assert ours.exchange(["a"], []) == [True]
    assert ours.exchange(["a"], ["a"]) == [True]
    assert ours.are_taken(["a"]) == [True]


def test_a_lease_ends_by_itself_unless_it_is_renewed(server, two):
    ours, theirs = two
    ours.exchange(["a", "b", "c"], [])
    with Redis.from_url(server.url) as client:
        ends = [client.pttl(f"imgpipe:{{x}}:lease:{name}") for name in "abc"]
        assert all(0 < end <= 30_000 for end in ends)
        for name in "abc":
            client.pexpire(f"imgpipe:{{x}}:lease:{name}", 1000)
        assert ours.renew(["a"]) == [OURS]
        assert client.pttl("imgpipe:{x}:lease:a") > 1000
        client.delete("imgpipe:{x}:lease:b", "imgpipe:{x}:lease:c")  # as if its time were over
    theirs.exchange(["b"], [])
    assert ours.renew(["a", "b", "c"]) == [OURS, ANOTHERS, OURS_AGAIN]
    assert theirs.exchange(["a", "b", "c"], []) == [False, True, False]
    ours.exchange([], ["b"])  # it was ours once
    assert theirs.renew(["b"]) == [OURS]


def test_stores_do_not_share(server, two):
    ours, _ = two
    other = leases(server, prefix="imgpipe:{y}:")
    assert ours.exchange(["a"], []) == [True]
    assert other.exchange(["a"], []) == [True]
    other.close()


def test_nobody_has_to_answer_for_thousands_one_by_one(server, two):
    ours, _ = two
    names = [str(number) for number in range(5000)]
    assert all(ours.exchange(names, []))
    assert set(ours.renew(names)) == {OURS}
    assert all(ours.are_taken(names))
    ours.exchange([], names)
    assert not any(ours.are_taken(names))


def test_a_server_that_is_away_is_told_of_without_its_password(server):
    url = "redis://user:tell-nobody@127.0.0.1:1/0"
    away = Leases(functools.partial(connect, url), "p:", 1, lambda text: text.replace("no", "NO"))
    for ask in (
        lambda: away.exchange(["a"], ["b"]),
        lambda: away.renew(["a"]),
        lambda: away.are_taken(["a"]),
    ):
        with pytest.raises(IndexFailed, match="Could NOt use the leases: ConnectionError") as told:
            ask()
        assert "tell-nobody" not in str(told.value)
    away.close()


def test_it_works_again_when_the_server_is_back(tmp_path):
    with redis_server.server(tmp_path) as server:
        ours = leases(server)
        assert ours.exchange(["a"], []) == [True]
        server.kill()
        with pytest.raises(IndexFailed):
            ours.exchange(["b"], [])
        server.start()  # it has forgotten everything
        assert ours.renew(["a"]) == [OURS_AGAIN]
        assert ours.exchange(["b"], []) == [True]
        ours.close()


def test_closing_is_harmless_where_nothing_was_asked(server):
    ours = leases(server)
    ours.close()
    ours.close()


def test_a_lease_lets_nothing_be_written_once_it_has_ended():
    lease = Lease("a", time.monotonic() + 1000)
    lease.check()
    Lease("a", inf).check()
    lease.until = time.monotonic() - 1.5
    with pytest.raises(Overtaken, match=r"Its lease ended 1\.\d s ago: another crawl may have it"):
        lease.check()
    sent = pickle.loads(pickle.dumps(lease))
    assert (sent.name, sent.until) == (lease.name, lease.until)
    assert issubclass(Overtaken, StoreFailed)
