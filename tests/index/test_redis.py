"""The Redis index on a real server, which is killed, paused, filled and lied to."""

from __future__ import annotations

import json
import logging
import os
import pickle
import random
import subprocess
import sys
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
from redis import Redis

from scrapy_imgpipe.errors import IndexFailed, SettingError
from scrapy_imgpipe.index import Index, Key, RedisIndex, redis_rows
from scrapy_imgpipe.index.redis_rows import content_bytes, id_bytes, packed, unpacked
from scrapy_imgpipe.index.redis_scripts import VERSION
from scrapy_imgpipe.index.redis_server import shown_server
from tests.fakes import Crawl
from tests.index.contract import IndexContract, hashed
from tests.index.known import failed, imported, key, stored
from tests.pictures import jpeg
from tests.redis_server import Server, server

POSIX = pytest.mark.skipif(os.name != "posix", reason="forks and signals of POSIX")

PROCESSES = 4
# Who ends without a close leaves a connection open, which Python 3.13 tells of.
WARNINGS = ("-W", "error", "-W", "ignore::ResourceWarning")
SECRET = "Tr0ub4dor&3"
SECRET_IN_URL = "Tr0ub4dor%263"

HEAD = """
import os, sys
from scrapy_imgpipe.index import Key, RedisIndex
from tests.index.contract import hashed
from tests.index.known import imported, key, stored
index, first = RedisIndex(sys.argv[1], "store"), int(sys.argv[2])
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("redis")) as made:
        yield made


@pytest.fixture
def client(shared: Server) -> Iterator[Redis]:
    with Redis.from_url(shared.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def index(shared: Server, client: Redis) -> Iterator[RedisIndex]:
    with closing(RedisIndex(shared.url, "store")) as index:
        yield index


class TestContract(IndexContract):
    @pytest.fixture
    def open_index(self, shared: Server) -> Callable[[], Index]:
        store = uuid4().hex
        return lambda: RedisIndex(shared.url, store)


def is_consistent(client: Redis, prefix: str) -> bool:
    """Return whether what records are found by is what the records are, and nothing else."""
    expected: dict[str, set[bytes]] = defaultdict(set)
    found: dict[str, set[bytes]] = defaultdict(set)
    names = [name.decode().removeprefix(prefix) for name in client.scan_iter(f"{prefix}*")]
    for name in names:
        whole = f"{prefix}{name}"
        if name[0] == "p":
            found[name] = set(client.smembers(whole))
        elif name[0] in "ch":
            for ids in client.hvals(whole):
                found[name[0]] |= {ids[at : at + 8] for at in range(0, len(ids), 8)}
        elif name[0] == "r":
            for one, value in client.hgetall(whole).items():
                record = unpacked(value)
                assert record is not None
                assert one == id_bytes(key(record))
                expected["c"] |= {one} if record.full and record.content else set()
                if redis_rows.is_near_able(record):
                    phash = record.measured["phash"]
                    expected["h"].add(one)
                    for band in range(4):
                        word = phash[4 * band : 4 * band + 4]
                        expected[f"p{band}{word}"].add(bytes.fromhex(phash))
    return {**expected, "": 0} == {**found, "": 0}


def start(script: str, url: str, first: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *WARNINGS, "-c", HEAD + script, url, str(first)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def run(script: str, url: str) -> tuple[int, str]:
    with start(script, url) as child:
        output, errors = child.communicate(timeout=60)
    return child.returncode, (output + errors).strip()


def failure_of(index: RedisIndex, deed: Callable[[Index], object]) -> str:
    with pytest.raises(IndexFailed) as caught:
        deed(index)
    assert caught.value.code == "index-failed"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    begin = f"Could not use the index {shown_server(index.url)!r}: "
    assert caught.value.reason.startswith(begin)
    assert "\n" not in caught.value.reason
    return caught.value.reason.removeprefix(begin)


READS: dict[str, Callable[[Index], object]] = {
    "get": lambda index: index.get([key(stored(number)) for number in range(50)]),
    "alike": lambda index: index.alike(stored(1).content, 9),
    "near": lambda index: index.near("0" * 16, 3, []),
    "records": lambda index: list(index.records()),
    "count": lambda index: index.count(),
    "refers_to": lambda index: index.refers_to(["full/1.jpg"]),
}
WRITES: dict[str, Callable[[Index], object]] = {
    "put": lambda index: index.put([stored(number) for number in range(50)]),
    "forget": lambda index: index.forget([key(stored(number)) for number in range(50)]),
    "knows_all": lambda index: index.knows_all(),
}
DEEDS = READS | WRITES


# --- what records are found by beside their keys ---


def test_nothing_is_left_of_what_is_replaced_or_forgotten(client: Redis, index: RedisIndex) -> None:
    chance = random.Random(20)
    contents = [stored(number).content for number in range(3)]
    for _ in range(150):
        numbers = chance.sample(range(12), 3)
        if chance.random() < 0.3:
            index.forget([key(stored(number)) for number in numbers])
        else:
            kinds = [stored, failed, imported]
            index.put(
                [
                    chance.choice(kinds)(
                        number,
                        content=chance.choice(contents),
                        measured=hashed(chance.randrange(3)) if chance.random() < 0.7 else {},
                    )
                    for number in numbers
                ]
            )
        assert is_consistent(client, index.prefix)
    index.forget([key(record) for record in index.records()])
    assert client.keys() == [f"{index.prefix}about".encode()]


def test_lists_of_what_is_equal_end(client: Redis, index: RedisIndex) -> None:
    same = {"content": stored(1).content, "measured": hashed(7)}
    index.put([stored(number, **same) for number in range(700)])
    assert len(index.alike(stored(1).content, 1_000)) == 512
    keep = stored(600, **same)
    index.forget([key(stored(number)) for number in range(700) if number != 600])
    assert list(index.records()) == [keep]
    index.put([keep._replace(content="")])
    index.put([keep])
    assert index.alike(keep.content, 9) == [keep]
    assert is_consistent(client, index.prefix)


def test_several_processes_lose_nothing(shared: Server, client: Redis, index: RedisIndex) -> None:
    script = """
sys.stdin.readline()
for number in range(first, first + 30):
    mine = stored(number, measured=hashed(number % 3))
    index.put([mine, stored(999_999, tries=first, measured=hashed(first)), imported(7)])
    assert index.get([key(mine)]) == [mine]
"""
    children = [start(script, shared.url, number * 100) for number in range(PROCESSES)]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    for child in children:
        with child:
            assert child.communicate(timeout=60) == ("", "")
    assert index.count() == PROCESSES * 30 + 2
    assert is_consistent(client, index.prefix)


# --- a server that goes, comes, or stands still ---


@POSIX
def test_it_is_killed_and_comes_again_with_its_data(tmp_path: Path) -> None:
    options = ("--appendonly", "yes", "--appendfsync", "always")
    with server(tmp_path, *options) as own, closing(RedisIndex(own.url, "store")) as index:
        for number in range(20):
            index.put([stored(number), stored(number + 100)])
        own.kill()
        assert "connect" in failure_of(index, READS["get"])
        own.start()
        # Nobody waits for who was away just now; the next one that tries finds it.
        assert "connect" in failure_of(index, READS["get"])
        index._away_until = time.monotonic()
        assert index.get([key(stored(19))]) == [stored(19)]
        index.put([stored(50)])
        assert index.count() == 41
        with Redis.from_url(own.url) as client:
            assert is_consistent(client, index.prefix)


@POSIX
def test_it_comes_again_without_its_data(tmp_path: Path) -> None:
    with server(tmp_path) as own, closing(RedisIndex(own.url, "store")) as index:
        index.put([stored(1)])
        index.knows_all()
        own.kill()
        own.start()
        assert index.get([key(stored(1))]) == [None]
        index.put([stored(2)])
        assert list(index.records()) == [stored(2)]
        assert index.since() > 0, "it was not told of what came before"


@POSIX
@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
def test_one_call_waits_for_who_stands_still(
    shared: Server, client: Redis, deed: Callable[[Index], object]
) -> None:
    url = f"{shared.url}?socket_timeout=0.1"
    with closing(RedisIndex(url, "store")) as index:
        index.put([stored(1)])
        with shared.paused():
            assert "imeout" in failure_of(index, deed)
        # It would answer now, and is not asked.
        assert "imeout" in failure_of(index, deed)
        index._away_until = time.monotonic()
        deed(index)
        index.put([stored(900)])
        assert index.get([key(stored(900))]) == [stored(900)], "no late answer of before"


def test_only_one_call_tries_whether_it_is_back(shared: Server) -> None:
    with closing(RedisIndex(shared.url, str(uuid4()))) as index:
        index._away("it was away")
        index._away_until = time.monotonic()
        index._fail_if_away()
        assert "it was away" in failure_of(index, lambda _: index._fail_if_away())


@POSIX
def test_who_tries_does_not_wait_for_a_server_that_hangs(tmp_path: Path) -> None:
    with server(tmp_path) as own, closing(RedisIndex(own.url, "store")) as index:
        index._away("it was away")
        index._away_until = time.monotonic()
        with own.paused():  # else a call would take 5 seconds, and then say something else
            assert "it was away" in failure_of(index, READS["count"])
        index._away_until = time.monotonic()
        assert index.count() == 0


# --- what it refuses ---


@POSIX
def test_passwords_are_nowhere_to_be_seen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with server(tmp_path, "--requirepass", SECRET) as own:
        socket = str(own.socket)
        right = RedisIndex(f"unix://{socket}?password={SECRET_IN_URL}", "store")
        with closing(right), caplog.at_level(logging.DEBUG):
            right.put([stored(1)])
            assert right.count() == 1
            with closing(RedisIndex(f"{own.url}?password=wrong%26secret", "store")) as wrong:
                said = failure_of(wrong, READS["get"])
                assert "password" in said
                # not for five seconds: another password would be as wrong
                assert failure_of(wrong, WRITES["put"]) == said
            with closing(RedisIndex(own.url, "store")) as none:
                assert "uthentication" in failure_of(none, READS["get"])
            told = [
                said,
                repr(right),
                repr(wrong),
                str(vars(wrong).get("_away_reason")),
                caplog.text,
            ]
        assert not [text for text in told if SECRET in text or "secret" in text]
        assert repr(right).startswith(f"RedisIndex('unix://{socket}', prefix='imgpipe:{{")


def test_what_the_server_repeats_has_no_password(index: RedisIndex) -> None:
    index.url = f"redis://me:{SECRET_IN_URL}@example.com/0?ssl_password=Zx81"
    said = index._failed(f"unknown command 'AUTH', beginning with: 'me' '{SECRET}' 'Zx81'").reason
    assert said == (
        "Could not use the index 'redis://example.com/0':"
        " unknown command 'AUTH', beginning with: 'me' '...' '...'"
    )


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{SECRET}/x@example.com",
        f"redis://:{SECRET}@example.com/zero",
        f"redis://:{SECRET}@example.com:99999",
        f"redis://example.com?db=1&password={SECRET}&colour=red",
        f"redis://:{SECRET}@example.com?prefix=a%20b",
        f"redis://:{SECRET}@example.com?prefix={'a' * 65}",
        f"redis://:{SECRET}@example.com#1",
        f"postgres://me:{SECRET}@example.com",
        f"redis:me:{SECRET}@example.com",
        "unix://",
    ],
)
def test_a_url_that_cannot_be_used_is_found_at_the_start(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingError) as caught, Crawl(tmp_path, IMGPIPE_INDEX=url):
        pass
    assert str(caught.value).startswith("Expected path of a file, 'off', or URL of a Redis")
    assert " for IMGPIPE_INDEX but received '" in str(caught.value)
    assert SECRET not in repr(caught.value)
    assert caught.value.__context__ is None


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(SettingError, match=r"pip install 'scrapy-imgpipe\[redis\]'$") as caught:
        RedisIndex("redis://example.com", "store")
    assert caught.value.__context__ is None


@POSIX
def test_a_replica_is_read_only(tmp_path: Path) -> None:
    with server(tmp_path) as own, closing(RedisIndex(own.url, "store")) as index:
        index.put([stored(1)])
        with Redis.from_url(own.url) as client:
            client.replicaof("127.0.0.1", 1)  # whose master is not there
        for deed in WRITES.values():
            assert "read only replica" in failure_of(index, deed)
        assert index.get([key(stored(1))]) == [stored(1)]
        assert list(index.records()) == [stored(1)]


@POSIX
def test_memory_at_its_end_costs_what_came_last(tmp_path: Path) -> None:
    with (
        server(tmp_path, "--maxmemory-policy", "noeviction") as own,
        closing(RedisIndex(own.url, "store")) as index,
        Redis.from_url(own.url) as client,
    ):
        index.put([stored(number, measured=hashed(number)) for number in range(40)])
        client.config_set("maxmemory", 1)
        more = [stored(number, tries=9, measured=hashed(99)) for number in range(20, 60)]
        assert "maxmemory" in failure_of(index, lambda index: index.put(more))
        assert index.get([key(stored(30))]) == [stored(30, measured=hashed(30))]
        assert index.count() == 40
        index.forget([key(stored(1))])
        assert index.count() == 39
        assert is_consistent(client, index.prefix)
        client.config_set("maxmemory", 0)
        index.put(more)
        assert index.count() == 59


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
def test_a_later_version_is_left_alone(
    client: Redis, index: RedisIndex, deed: Callable[[Index], object]
) -> None:
    index.put([stored(1)])
    client.hset(f"{index.prefix}about", "version", VERSION + 1)
    before = {name: client.dump(name) for name in client.scan_iter()}
    expected = f"it has version {VERSION + 1}, this package knows {VERSION}"
    assert failure_of(index, deed) == expected
    assert {name: client.dump(name) for name in client.scan_iter()} == before


# --- damage ---


def deflated(row: object) -> bytes:
    deflate = zlib.compressobj(6, zlib.DEFLATED, -12, zdict=redis_rows._COMMON)
    return deflate.compress(json.dumps(row).encode()) + deflate.flush()


GOOD = json.loads(
    zlib.decompressobj(-12, zdict=redis_rows._COMMON).decompress(packed(failed(1))[1:])
)


@pytest.mark.parametrize(
    "value",
    [
        b"\0",
        b"\0garbage",
        b"\xff" * 50,
        b"\3short",
        pickle.dumps("no"),
        packed(stored(1))[:-9],
        packed(stored(1))[:9],
        packed(stored(1))[:20] + b"\xff" * 30 + packed(stored(1))[50:],
        *(b"\0" + deflated(row) for row in (7, None, {}, [], [1] * 25, GOOD[:-1], [*GOOD, 1])),
        *(b"\0" + deflated([*GOOD[:place], [], *GOOD[place + 1 :]]) for place in (0, 4, 17, 24)),
        b"\0" + deflated([*GOOD[:10], [["small"]], *GOOD[11:]]),
        b"\0" + deflated([*GOOD[:17], float("nan"), *GOOD[18:]]),
        b"\0" + deflated("[" * 9) + b"\0" * 9,
        b"\0" + deflated("x" * (redis_rows.MOST_BYTES + 1)),
    ],
)
def test_a_damaged_record_is_unknown_until_it_is_put_again(
    client: Redis, index: RedisIndex, caplog: pytest.LogCaptureFixture, value: bytes
) -> None:
    index.put([stored(1), stored(2)])
    (bucket,) = [
        name for name in client.keys("*:r*") if client.hexists(name, id_bytes(key(stored(1))))
    ]
    client.hset(bucket, id_bytes(key(stored(1))), value)
    assert index.get([key(stored(1)), key(stored(2))]) == [None, stored(2)]
    assert list(index.records()) == [stored(2)]
    assert index.alike(stored(1).content, 9) == []
    assert index.refers_to(["full/1.jpg", "full/2.jpg"]) == {"full/2.jpg"}
    (record,) = caplog.records
    assert record.getMessage().startswith("Damaged records in the index 'unix://")
    index.put([stored(1)])
    assert index.get([key(stored(1))]) == [stored(1)]
    index.forget([key(stored(1))])
    assert list(index.records()) == [stored(2)]


def test_a_key_of_another_kind_is_no_crash(client: Redis, index: RedisIndex) -> None:
    index.put([stored(number) for number in range(50)])
    for name in list(client.scan_iter()):
        client.set(name, "garbage")
    for deed in (*READS.values(), WRITES["put"], WRITES["forget"]):
        assert "WRONGTYPE" in failure_of(index, deed)


def test_what_points_nowhere_is_passed_over(client: Redis, index: RedisIndex) -> None:
    index.put([stored(1, measured=hashed(1)), stored(2)])
    phash = bytes.fromhex(hashed(1)["phash"])
    for name in client.keys("*:p*"):
        client.sadd(name, b"odd", b"\0" * 8)
    for kind, content in (("c", content_bytes(stored(2).content)), ("h", phash)):
        (name,) = (one for one in client.keys(f"*:{kind}*") if client.hexists(one, content[:7]))
        ids = client.hget(name, content[:7])
        client.hset(name, content[:7], b"x" * 8 + ids + id_bytes(key(stored(1))) + b"odd")
    assert index.alike(stored(2).content, 9) == [stored(2)]
    found = index.near(hashed(1)["phash"], 3, [])
    assert found is not None
    assert (found.url, found.bits) == (stored(1).url, 0)


# --- several stores, handles and processes ---


def test_two_stores_on_one_server_know_nothing_of_each_other(
    shared: Server, client: Redis, index: RedisIndex
) -> None:
    with (
        closing(RedisIndex(shared.url, "another")) as other,
        closing(RedisIndex(f"{shared.url}?prefix=shop-1", "store")) as named,
        closing(RedisIndex(f"{shared.url}?prefix=shop-1", "the same")) as same,
    ):
        index.put([stored(1)])
        other.put([stored(2)])
        named.put([stored(3)])
        assert [list(one.records()) for one in (index, other, named, same)] == [
            [stored(1)],
            [stored(2)],
            [stored(3)],
            [stored(3)],
        ]
        assert named.prefix == "imgpipe:{shop-1}:"
        prefixes = (index.prefix, other.prefix, named.prefix)
        assert all(name.decode().startswith(prefixes) for name in client.scan_iter())


def test_goes_to_another_process(shared: Server, index: RedisIndex) -> None:
    index.put([stored(1)])
    script = f"""
import pickle
sent = bytes.fromhex({pickle.dumps(index).hex()!r})
index = pickle.loads(sent)
assert pickle.loads(sent) is index, "it would be opened for each source"
assert index.get([key(stored(1))]) == [stored(1)]
index.put([stored(2)])
"""
    assert run(script, shared.url) == (0, "")
    assert index.get([key(stored(2))]) == [stored(2)]


@POSIX
def test_a_fork_opens_its_own(shared: Server, index: RedisIndex) -> None:
    script = """
index.put([stored(1)])
child = os.fork()
for turn in range(200):
    mine = stored(turn + (1_000 if child == 0 else 2_000))
    index.put([mine])
    assert index.get([key(mine), key(stored(1))]) == [mine, stored(1)]
if child == 0:
    index.close()
    os._exit(0)
print(os.waitpid(child, 0)[1], index.count())
"""
    assert run(script, shared.url) == (0, "0 401")
    assert index.count() == 401


def test_a_second_crawl_finds_what_the_first_one_stored(
    tmp_path: Path, shared: Server, client: Redis
) -> None:
    urls = [f"http://shop.example/{number}.jpg" for number in range(3)]
    answers = {url: jpeg() for url in urls}
    settings = {"IMAGES_THUMBS": {"small": (50, 50)}, "IMGPIPE_INDEX": shared.url}
    for status in ("downloaded", "uptodate"):
        with Crawl(tmp_path / "store", answers, **settings) as crawl:
            assert [image["status"] for image in crawl.images(*urls)] == [status] * 3
        answers = {}
    names = {name.partition(b"}:")[0] for name in client.scan_iter()}
    assert len(names) == 1


@POSIX
def test_a_crawl_goes_on_without_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    urls = [f"http://shop.example/{number}.jpg" for number in range(3)]
    index = f"unix://me:{SECRET_IN_URL}@{tmp_path}/nobody"
    settings = {"IMGPIPE_INDEX": index}
    with Crawl(tmp_path / "store", {url: jpeg() for url in urls}, **settings) as crawl:
        assert [image["status"] for image in crawl.images(*urls)] == ["downloaded"] * 3
    (record,) = [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert record.getMessage().startswith(f"Could not use the index 'unix://{tmp_path}/nobody': ")
    assert SECRET not in caplog.text
    assert SECRET_IN_URL not in caplog.text


def test_keys_of_no_record(index: RedisIndex) -> None:
    index.put([stored(1), imported(2)])
    name = stored(1).asked
    assert index.get([Key("", name), Key("other", name), Key("x", imported(2).asked)]) == [
        None,
        None,
        imported(2),
    ]
