"""The contract of a store, as a test class that any store runs.

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self):
            return MyStore(...)  # empty, and no other test's

A store that is `Linking` derives from `LinkingContract` instead. Every test uses only the
protocol.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import pytest

from scrapy_imgpipe.errors import StoreFailed
from scrapy_imgpipe.stores import Facts, File, Linking, Stat, Store, put_file

REFUSED: tuple[str, ...] = (
    "",
    "/a.jpg",
    "../a.jpg",
    "full/../../a.jpg",
    "full/..",
    "full/",
)
REFUSED += (
    "a\x00.jpg",
    "a\n.jpg",
    "\ud800.jpg",
    "é" * 128,
    "a/" * 512 + "a",
    "full/.imgpipe-a.jpg",
)
NAMES = (
    "a.jpg",
    "full/a.jpg",
    "é ü/日本.jpg",
    "a b%20#?&+;=@.jpg",
    "..a/...",
    ".hidden",
    "x" * 255,
)
THREADS = 8
ROUNDS = 20


def assert_tells(told: Stat, stat: Stat | None) -> None:
    """Make sure that what a put *told* is what *stat* tells, as far as it did."""
    assert stat is not None
    assert told.bytes == stat.bytes
    assert told.modified in {0, stat.modified}
    assert told.checksum in {"", stat.checksum}


class StoreContract:
    """Derive from this and give it a fixture ``store``."""

    @pytest.fixture
    def store(self) -> Store:
        raise NotImplementedError

    def test_speaks_the_protocol(self, store: Store) -> None:
        assert isinstance(store, Store)

    @pytest.mark.parametrize("path", NAMES)
    def test_gives_back_what_was_put(self, store: Store, path: str) -> None:
        store.put(path, b"\x00\xff" * 100)
        assert store.get(path) == b"\x00\xff" * 100
        assert list(store.list()) == [path]
        stat = store.stat(path)
        assert stat is not None
        assert stat.bytes == 200
        # Wide enough for the clock of a server, too narrow for a time zone.
        assert abs(stat.modified - time.time()) < 600

    @pytest.mark.parametrize("size", [0, 1, 3_000_000])
    def test_keeps_every_size(self, store: Store, size: int) -> None:
        store.put("full/a.jpg", b"x" * size)
        assert store.get("full/a.jpg") == b"x" * size
        assert isinstance(stat := store.stat("full/a.jpg"), Stat)
        assert stat.bytes == size

    def test_a_put_tells_what_stat_will(self, store: Store) -> None:
        for data in (b"old and long", b"new", b""):
            told = store.put("full/a.jpg", data)
            assert isinstance(told, Stat)
            assert told.bytes == len(data)
            assert_tells(told, store.stat("full/a.jpg"))

    def test_facts_are_no_part_of_the_bytes(self, store: Store) -> None:
        facts = Facts("image/jpeg", 90, 30, hashlib.md5(b"content").hexdigest())
        told = store.put("full/a.jpg", b"content", facts)
        assert store.get("full/a.jpg") == b"content"
        assert_tells(told, stat := store.stat("full/a.jpg"))
        assert stat is not None
        assert stat.checksum in {"", facts.checksum}
        store.put_all([File("full/a.jpg", b"other", Facts("image/png"))])
        assert store.get("full/a.jpg") == b"other"

    def test_a_checksum_is_that_of_the_bytes(self, store: Store) -> None:
        for data in (b"one", b"another"):
            store.put("full/a.jpg", data)
            stat = store.stat("full/a.jpg")
            assert stat is not None
            assert stat.checksum in {"", hashlib.md5(data).hexdigest()}

    def test_several_puts_tell_what_stat_will(self, store: Store) -> None:
        store.put("full/a.jpg", b"old")
        paths = ["thumbs/s/a.jpg", "thumbs/b/a.jpg", "full/a.jpg"]
        told = store.put_all([(path, path.encode() * 9) for path in paths])
        for stat, path in zip(told, paths, strict=True):
            assert_tells(stat, store.stat(path))
        assert [stat.bytes for stat in told] == [len(path) * 9 for path in paths]

    def test_replaces_the_whole_file(self, store: Store) -> None:
        store.put("full/a.jpg", b"old and long")
        store.put("full/a.jpg", b"new")
        assert store.get("full/a.jpg") == b"new"
        assert list(store.list()) == ["full/a.jpg"]

    @pytest.mark.parametrize("path", ["a", "full/x/a.jpg", "full", "full/a.jpg/x"])
    def test_what_is_not_there_is_absent(self, store: Store, path: str) -> None:
        store.put("full/a.jpg", b"x")
        assert store.get(path) is None
        assert store.stat(path) is None
        assert store.delete(path) is False
        assert list(store.list(f"{path}/")) == (["full/a.jpg"] if path == "full" else [])
        assert store.get("full/a.jpg") == b"x"

    def test_deletes_one_file_once(self, store: Store) -> None:
        store.put_all([("full/a.jpg", b"a"), ("full/b.jpg", b"b")])
        assert store.delete("full/a.jpg") is True
        assert store.delete("full/a.jpg") is False
        assert list(store.list()) == ["full/b.jpg"]

    @pytest.mark.parametrize(
        ("prefix", "expected"),
        [
            ("", {"full/a.jpg", "full/ab.jpg", "full/a/b.jpg", "fuller/a.jpg", "x.jpg"}),
            ("full", {"full/a.jpg", "full/ab.jpg", "full/a/b.jpg", "fuller/a.jpg"}),
            ("full/", {"full/a.jpg", "full/ab.jpg", "full/a/b.jpg"}),
            ("full/a", {"full/a.jpg", "full/ab.jpg", "full/a/b.jpg"}),
            ("full/a/", {"full/a/b.jpg"}),
            ("x.jpg", {"x.jpg"}),
            ("full/a.jpg/", set()),
            ("none/", set()),
        ],
    )
    def test_lists_by_prefix(self, store: Store, prefix: str, expected: set[str]) -> None:
        for path in ("full/a.jpg", "full/ab.jpg", "full/a/b.jpg", "fuller/a.jpg", "x.jpg"):
            store.put(path, b"x")
        listed = store.list(prefix)
        assert isinstance(listed, Iterator)
        found = list(listed)
        assert set(found) == expected
        assert len(found) == len(expected)

    def test_an_empty_store_lists_nothing(self, store: Store) -> None:
        assert list(store.list()) == []

    @pytest.mark.parametrize("path", REFUSED)
    def test_refuses_bad_paths_everywhere(self, store: Store, path: str) -> None:
        deeds: list[Callable[[], object]] = [
            lambda: store.put(path, b"x"),
            lambda: store.put_all([("full/good.jpg", b"x"), (path, b"x")]),
            lambda: store.get(path),
            lambda: store.stat(path),
            lambda: store.delete(path),
            lambda: store.url(path),
        ]
        for deed in deeds:
            with pytest.raises(StoreFailed) as caught:
                deed()
            assert caught.value.code == "bad-path"
        assert list(store.list()) == []

    @pytest.mark.parametrize("prefix", ["/", "../", "a/../b", ".imgpipe-"])
    def test_refuses_bad_prefixes(self, store: Store, prefix: str) -> None:
        with pytest.raises(StoreFailed) as caught:
            list(store.list(prefix))
        assert caught.value.code == "bad-path"

    def test_puts_several(self, store: Store) -> None:
        store.put("full/a.jpg", b"old")
        store.put_all([("thumbs/s/a.jpg", b"s"), ("thumbs/b/a.jpg", b"b"), ("full/a.jpg", b"f")])
        assert store.get("thumbs/s/a.jpg") == b"s"
        assert store.get("thumbs/b/a.jpg") == b"b"
        assert store.get("full/a.jpg") == b"f"

    def test_puts_none(self, store: Store) -> None:
        assert store.put_all([]) == []
        assert list(store.list()) == []

    def test_takes_a_local_file(self, store: Store, tmp_path: Path) -> None:
        store.put("full/a.bin", b"old")
        local = tmp_path / "local"
        local.write_bytes(b"new" * 100_000)
        told = put_file(store, "full/a.bin", str(local))
        assert store.get("full/a.bin") == b"new" * 100_000
        assert_tells(told, store.stat("full/a.bin"))
        assert not local.exists()

    def test_a_local_file_that_is_refused_stays(self, store: Store, tmp_path: Path) -> None:
        local = tmp_path / "local"
        local.write_bytes(b"new")
        with pytest.raises(StoreFailed):
            put_file(store, "../a.bin", str(local))
        assert local.read_bytes() == b"new"

    def test_urls_differ_and_are_ascii(self, store: Store) -> None:
        urls = [store.url(path) for path in NAMES]
        assert len(set(urls)) == len(NAMES)
        for url in urls:
            assert url.isascii()
            assert " " not in url
            assert "://" in url

    def test_readers_see_one_whole_version(self, store: Store) -> None:
        bodies = [bytes([number]) * (50_000 + number) for number in range(THREADS)]
        store.put("full/a.jpg", bodies[0])

        def write(body: bytes) -> None:
            for _ in range(ROUNDS):
                store.put("full/a.jpg", body)

        with ThreadPoolExecutor(THREADS) as pool:
            writers = [pool.submit(write, body) for body in bodies[1:]]
            while not all(writer.done() for writer in writers):
                assert store.get("full/a.jpg") in bodies
                assert list(store.list()) == ["full/a.jpg"]
            for writer in writers:
                writer.result()
        assert store.get("full/a.jpg") in bodies

    def test_several_threads_make_one_directory(self, store: Store) -> None:
        paths = [f"{number % 5}/deep/er/{number}.jpg" for number in range(100)]
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda path: store.put(path, path.encode()), paths))
        assert sorted(store.list()) == sorted(paths)
        assert all(store.get(path) == path.encode() for path in paths)


class LinkingStore(Store, Linking, Protocol):
    """What a fixture ``store`` of the class below gives."""


class LinkingContract(StoreContract):
    """Derive from this instead where the store is ``Linking``."""

    @pytest.fixture
    def store(self) -> LinkingStore:
        raise NotImplementedError

    def test_can_link(self, store: LinkingStore) -> None:
        assert isinstance(store, Linking)

    def test_a_link_is_a_file_as_any_other(self, store: LinkingStore) -> None:
        was = store.put("full/a.jpg", b"content")
        (told,) = store.link_all([("é ü/日本/b.jpg", "full/a.jpg")])
        assert told == store.stat("é ü/日本/b.jpg") == store.stat("full/a.jpg") == was
        assert store.get("é ü/日本/b.jpg") == b"content"
        assert sorted(store.list()) == ["full/a.jpg", "é ü/日本/b.jpg"]

    def test_links_several(self, store: LinkingStore) -> None:
        there = ["thumbs/s/a.jpg", "thumbs/b/a.jpg", "full/a.jpg"]
        store.put_all([(path, path.encode()) for path in there])
        pairs = [(path.replace("a.jpg", "b.jpg"), path) for path in there]
        assert store.link_all(pairs) == [store.stat(path) for path in there]
        assert [store.get(path) for path, _ in pairs] == [path.encode() for path in there]

    def test_links_none(self, store: LinkingStore) -> None:
        assert store.link_all([]) == []
        assert list(store.list()) == []

    def test_a_link_replaces_what_was_there(self, store: LinkingStore) -> None:
        store.put_all([("full/a.jpg", b"content"), ("full/b.jpg", b"old and long")])
        store.link_all([("full/b.jpg", "full/a.jpg")])
        assert store.get("full/a.jpg") == store.get("full/b.jpg") == b"content"

    @pytest.mark.parametrize("replaced", ["full/a.jpg", "full/b.jpg", "full/c.jpg"])
    @pytest.mark.parametrize("deleted", [False, True])
    def test_each_link_is_replaced_alone(
        self, store: LinkingStore, replaced: str, deleted: bool
    ) -> None:
        store.put("full/a.jpg", b"content")
        store.link_all([("full/b.jpg", "full/a.jpg"), ("full/c.jpg", "full/a.jpg")])
        if deleted:
            assert store.delete(replaced)
        else:
            store.put(replaced, b"new")
        for path in ("full/a.jpg", "full/b.jpg", "full/c.jpg"):
            assert store.get(path) == (
                (None if deleted else b"new") if path == replaced else b"content"
            )

    def test_a_link_may_be_linked(self, store: LinkingStore) -> None:
        store.put("full/a.jpg", b"content")
        store.link_all([("full/b.jpg", "full/a.jpg")])
        store.delete("full/a.jpg")
        store.link_all([("full/c.jpg", "full/b.jpg")])
        assert store.get("full/c.jpg") == b"content"

    def test_a_link_to_what_it_is_already_changes_nothing(self, store: LinkingStore) -> None:
        was = store.put("full/a.jpg", b"content")
        for pair in (("full/a.jpg", "full/a.jpg"), *[("full/b.jpg", "full/a.jpg")] * 3):
            assert store.link_all([pair]) == [was]
        assert sorted(store.list()) == ["full/a.jpg", "full/b.jpg"]
        assert store.get("full/a.jpg") == store.get("full/b.jpg") == b"content"

    @pytest.mark.parametrize("missing", ["full/none.jpg", "none/a.jpg", "full", "full/a.jpg/x"])
    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_a_link_to_nothing_changes_nothing(
        self, store: LinkingStore, missing: str, place: int
    ) -> None:
        store.put_all([("full/a.jpg", b"content"), ("full/b.jpg", b"old"), ("full/c.jpg", b"old")])
        wanted = [("full/b.jpg", "full/a.jpg"), ("thumbs/b.jpg", "full/a.jpg")]
        wanted.insert(place, ("full/c.jpg", missing))
        with pytest.raises(StoreFailed) as caught:
            store.link_all(wanted)
        assert caught.value.code == "store-failed"
        assert sorted(store.list()) == ["full/a.jpg", "full/b.jpg", "full/c.jpg"]
        assert store.get("full/b.jpg") == store.get("full/c.jpg") == b"old"

    @pytest.mark.parametrize("path", REFUSED)
    def test_refuses_to_link_bad_paths(self, store: LinkingStore, path: str) -> None:
        store.put("full/a.jpg", b"content")
        for pair in ((path, "full/a.jpg"), ("full/b.jpg", path)):
            with pytest.raises(StoreFailed) as caught:
                store.link_all([("full/good.jpg", "full/a.jpg"), pair])
            assert caught.value.code == "bad-path"
        assert list(store.list()) == ["full/a.jpg"]
