"""The contract of an index, as a test class that any index runs.

    class TestMyIndex(IndexContract):
        @pytest.fixture
        def open_index(self, tmp_path):
            return lambda: MyIndex(tmp_path / "index")  # empty, and no other test's

Every test uses only the protocol. What another process sees is each index's own matter.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scrapy_imgpipe.errors import IndexFailed
from scrapy_imgpipe.index import Index, Key, Near
from scrapy_imgpipe.records import ImageRecord, Rendition, checksum, stamp
from tests.index.known import failed, file, imported, key, stored

THREADS = 8
ROUNDS = 25
MANY = 2_000
MOST = 2**63 - 1

#: What servers say, and people: an index may write in another way what is no good text.
LOOSE = ("url", "etag", "last_modified", "reason")

names = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)
anything = st.text(st.characters(exclude_categories=()), max_size=40)
numbers = st.integers(0, MOST)
times = st.integers(0, 10**14 - 1).map(lambda number: stamp(number / 10_000))
digests = st.binary(min_size=16, max_size=16).map(bytes.hex)
words = st.text("abcdefghijklmnopqrstuvwxyz0123456789.-", max_size=20)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def all_records(draw: st.DrawFn) -> ImageRecord:
    asked = draw(names)
    files = st.builds(
        Rendition, names, names, numbers, numbers, numbers, times, digests, words, words
    )
    full = draw(st.none() | files)
    if full is not None:
        full = full._replace(name="", plan="", format="", path=draw(st.just(asked) | names))
    return ImageRecord(
        draw(digests),
        asked,
        draw(anything),
        full,
        draw(words),
        () if full is None else tuple(draw(st.lists(files, max_size=3))),
        draw(words),
        draw(words),
        draw(st.just("") | digests),
        draw(anything),
        draw(anything),
        draw(times),
        draw(times),
        draw(times),
        draw(words),
        draw(anything),
        draw(numbers),
        draw(numbers),
        draw(words),
        draw(st.dictionaries(st.text(), json_values, max_size=3)),
    )


def is_good_text(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def as_kept(record: ImageRecord, found: ImageRecord | None) -> ImageRecord:
    """Return *record* with the texts of *found* where its own are no good."""
    bad = [name for name in LOOSE if not is_good_text(getattr(record, name))]
    texts: dict[str, Any] = {name: str(getattr(found, name)) for name in bad}
    return record._replace(**texts)


def hashed(bits: int) -> dict[str, Any]:
    """Return what is measured of a picture with these bits for a perceptual hash."""
    return {"phash": f"{bits:016x}"}


class IndexContract:
    """Derive from this and give it a fixture ``open_index``.

    Calling it opens one more handle on one index, which is empty at first.
    """

    @pytest.fixture
    def open_index(self) -> Callable[[], Index]:
        raise NotImplementedError

    @pytest.fixture
    def index(self, open_index: Callable[[], Index]) -> Iterator[Index]:
        with closing(open_index()) as index:
            yield index

    def test_speaks_the_protocol(self, index: Index) -> None:
        assert isinstance(index, Index)

    def test_an_empty_index_knows_nothing(self, index: Index) -> None:
        assert index.get([Key("f", "full/a.jpg"), Key("", "full/a.jpg")]) == [None, None]
        assert list(index.records()) == []
        assert index.alike(checksum(b""), 9) == []
        assert index.refers_to(["full/a.jpg"]) == set()
        assert index.count() == 0

    def test_empty_batches_change_nothing(self, index: Index) -> None:
        index.put([stored(1)])
        index.put([])
        index.forget([])
        assert index.get([]) == []
        assert index.refers_to([]) == set()
        assert list(index.records()) == [stored(1)]

    @pytest.mark.parametrize(
        "record",
        [
            stored(1),
            failed(1),
            imported(1),
            stored(1, asked=""),
            failed(1, asked=""),
            stored(1, full=file("full/of the response.jpg")),
            stored(1, full=file("é/日本.jpg", bytes=MOST), renditions=()),
            stored(1, content=""),
            failed(1, content=checksum(b"x"), measured={"a": {"b": [{}]}}),
        ],
    )
    def test_gives_back_what_was_put(self, index: Index, record: ImageRecord) -> None:
        index.put([record])
        assert index.get([key(record)]) == [record]
        assert list(index.records()) == [record]
        assert index.count() == 1

    # One index for all examples: what is left of the others makes it harder.
    @settings(
        deadline=None,
        max_examples=40,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
            HealthCheck.too_slow,
        ],
    )
    @given(records=st.lists(all_records(), max_size=4, unique_by=key))
    def test_every_field_survives(self, index: Index, records: list[ImageRecord]) -> None:
        index.put(records)
        found = index.get([key(record) for record in records])
        assert found == list(map(as_kept, records, found))
        listed = {key(record): record for record in index.records()}
        assert found == [listed[key(record)] for record in records]

    def test_answers_in_the_order_of_the_keys(self, index: Index) -> None:
        index.put([stored(number) for number in range(9)])
        asked = [7, 3, 100, 3, 0, 8, 101, 7]
        found = index.get([key(stored(number)) for number in asked])
        assert found == [None if number >= 100 else stored(number) for number in asked]

    def test_a_key_is_fingerprint_and_name(self, index: Index) -> None:
        mine, other_name, other_url = (
            stored(1),
            stored(1, asked="full/x.jpg", tries=8),
            stored(1, fingerprint="ff", tries=9),
        )
        index.put([mine, other_name, other_url])
        assert index.get([*map(key, (other_url, mine, other_name))]) == [
            other_url,
            mine,
            other_name,
        ]
        assert index.get([Key("ff", "full/x.jpg"), Key("ff", ""), Key("", "")]) == [None] * 3
        assert index.count() == 3

    def test_replaces_the_whole_record(self, index: Index) -> None:
        index.put([stored(1), stored(2)])
        index.put([failed(1)])
        assert index.get([key(stored(1)), key(stored(2))]) == [failed(1), stored(2)]
        assert index.alike(stored(1).content, 9) == []
        assert index.refers_to(["full/1.jpg", "thumbs/small/1.jpg"]) == set()
        index.put([stored(1)])
        assert index.get([key(stored(1))]) == [stored(1)]
        assert index.count() == 2

    def test_the_last_of_a_batch_counts(self, index: Index) -> None:
        index.put([stored(1, tries=1), stored(2), stored(1, tries=2)])
        assert index.get([key(stored(1))]) == [stored(1, tries=2)]
        assert index.count() == 2

    def test_a_batch_that_cannot_be_kept_changes_nothing(self, index: Index) -> None:
        index.put([imported(1), stored(2)])
        bad = stored(3, measured={"bad": object()})
        with pytest.raises(IndexFailed):
            index.put([stored(1), failed(2), bad, stored(4)])
        assert index.get([key(stored(number)) for number in (1, 2, 3, 4)]) == [
            imported(1),
            stored(2),
            None,
            None,
        ]
        index.put([stored(4)])
        assert index.count() == 3

    def test_a_reader_sees_all_of_a_batch_or_none(
        self, index: Index, open_index: Callable[[], Index]
    ) -> None:
        def batch(tries: int) -> list[ImageRecord]:
            return [stored(number, tries=tries) for number in range(20)]

        index.put(batch(0))
        keys = [key(record) for record in batch(0)]

        def write() -> None:
            with closing(open_index()) as other:
                for tries in range(ROUNDS):
                    other.put(batch(tries))

        with ThreadPoolExecutor(1) as pool:
            writer = pool.submit(write)
            while not writer.done():
                assert len({record.tries for record in index.get(keys) if record}) == 1
            writer.result()
        assert index.get(keys) == [*batch(ROUNDS - 1)]

    def test_another_handle_sees_what_was_put_and_forgotten(
        self, index: Index, open_index: Callable[[], Index]
    ) -> None:
        with closing(open_index()) as other:
            index.put([stored(1)])
            assert other.get([key(stored(1))]) == [stored(1)]
            other.put([failed(1), stored(2)])
            assert index.get([key(stored(1)), key(stored(2))]) == [failed(1), stored(2)]
            index.forget([key(stored(1))])
            assert list(other.records()) == [stored(2)]
            assert other.count() == 1

    def test_forgets_what_it_is_told_only(self, index: Index) -> None:
        index.put([stored(number) for number in range(5)])
        index.forget([key(stored(1)), key(stored(3)), Key("none", "full/0.jpg")])
        assert {record.asked for record in index.records()} == {
            "full/0.jpg",
            "full/2.jpg",
            "full/4.jpg",
        }
        assert index.get([key(stored(3))]) == [None]
        index.forget([key(stored(3))])
        index.put([stored(3)])
        assert index.get([key(stored(3))]) == [stored(3)]

    # --- records of an import, which knows names only ---

    def test_an_import_is_found_by_its_name(self, index: Index) -> None:
        index.put([imported(1)])
        name = "full/1.jpg"
        keys = [Key("f1", name), Key("", name), Key("f2", name), Key("f1", "full/2.jpg")]
        assert index.get(keys) == [imported(1), imported(1), imported(1), None]

    def test_says_since_when_it_was_told_of_everything(self, index: Index) -> None:
        assert time.time() - 3600 < index.since() <= time.time()
        index.knows_all()
        assert index.since() == 0

    def test_the_first_fingerprint_replaces_an_import(self, index: Index) -> None:
        index.put([imported(1), imported(2)])
        index.put([stored(1)])
        keys = [key(stored(1)), Key("f2", "full/1.jpg"), Key("", "full/1.jpg")]
        assert index.get(keys) == [stored(1), None, None]
        assert index.count() == 2
        assert index.get([key(stored(2))]) == [imported(2)]

    def test_a_fingerprint_comes_before_an_import(self, index: Index) -> None:
        index.put([stored(1)])
        index.put([imported(1)])
        keys = [key(stored(1)), Key("f2", "full/1.jpg")]
        assert index.get(keys) == [stored(1), imported(1)]

    def test_a_source_without_a_name_is_no_import(self, index: Index) -> None:
        index.put([stored(1, asked=""), imported(2)])
        assert index.get([Key("f2", ""), key(stored(1, asked=""))]) == [
            None,
            stored(1, asked=""),
        ]

    def test_an_import_is_forgotten_by_its_own_key(self, index: Index) -> None:
        index.put([imported(1), stored(2)])
        index.forget([Key("", "full/1.jpg"), Key("", "full/2.jpg")])
        assert list(index.records()) == [stored(2)]

    # --- equal bytes ---

    def test_alike_are_those_that_came_as_the_same_bytes(self, index: Index) -> None:
        content = checksum(b"same")
        same = [stored(number, content=content) for number in range(4)]
        index.put([*same, stored(8), failed(9, content=content), stored(10, content="")])
        found = index.alike(content, 100)
        assert sorted(found, key=key) == same
        assert index.alike(stored(8).content, 1) == [stored(8)]
        assert index.alike("", 100) == []

    def test_a_failure_that_is_still_stored_is_alike(self, index: Index) -> None:
        record = stored(1, outcome="http-status", failed_at=1.5)
        index.put([record])
        assert index.alike(record.content, 1) == [record]

    @pytest.mark.parametrize("most", [0, 1, 3, 4, 5])
    def test_alike_are_no_more_than_asked_for(self, index: Index, most: int) -> None:
        content = checksum(b"same")
        index.put([stored(number, content=content) for number in range(4)])
        found = index.alike(content, most)
        assert len(set(map(key, found))) == len(found) == min(most, 4)

    # --- near-duplicates ---

    @settings(
        deadline=None,
        max_examples=40,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
        ],
    )
    @given(
        start=st.integers(0, 2**64 - 1),
        changes=st.lists(st.sets(st.integers(0, 63), max_size=14), min_size=1, max_size=6),
        most=st.integers(0, 11),
    )
    def test_the_nearest_is_found_whichever_bits_differ(
        self, index: Index, start: int, changes: list[set[int]], most: int
    ) -> None:
        index.forget([key(record) for record in index.records()])
        index.put(
            [
                stored(number, measured=hashed(start ^ sum(1 << bit for bit in bits)))
                for number, bits in enumerate(changes)
            ]
        )
        least = min(map(len, changes))
        found = index.near(f"{start:016x}", most, [])
        if least > most:
            assert found is None
        else:
            assert found is not None
            nearest = {stored(n).url for n, bits in enumerate(changes) if len(bits) == least}
            assert (found.bits, found.url in nearest) == (least, True)

    def test_near_is_only_what_is_stored_has_a_hash_and_no_mark(self, index: Index) -> None:
        marked = {**hashed(1), "near_duplicate": "http://example.com", "near_distance": 0}
        index.put(
            [
                stored(1, measured=marked),
                failed(2, measured=hashed(1)),
                stored(3, measured={"phash": "none"}),
                stored(4, measured={"phash": 1}),
                stored(5, measured={"phash": "0" * 15 + "é"}),
                stored(6, measured={}),
                stored(7, measured=hashed(1)),
            ]
        )
        assert index.near(hashed(1)["phash"], 11, [stored(7).fingerprint]) is None
        assert index.near(hashed(3)["phash"], 11, []) == Near(stored(7).url, 1)
        index.put([stored(7, measured=marked)])
        assert index.near(hashed(3)["phash"], 11, []) is None

    def test_near_passes_over_the_source_itself(self, index: Index) -> None:
        index.put([stored(1, measured=hashed(1)), stored(2, measured=hashed(3))])
        phash = hashed(1)["phash"]
        assert index.near(phash, 3, [stored(1).fingerprint]) == Near(stored(2).url, 1)
        assert index.near(phash, 3, {stored(2).fingerprint, "ff"}) == Near(stored(1).url, 0)
        index.forget([key(stored(2))])
        assert index.near(phash, 3, [stored(1).fingerprint]) is None

    def test_alike_forgets_with_the_record(self, index: Index) -> None:
        content = checksum(b"same")
        index.put([stored(1, content=content), stored(2, content=content)])
        index.forget([key(stored(1))])
        assert index.alike(content, 9) == [stored(2, content=content)]
        index.put([stored(2)])
        assert index.alike(content, 9) == []

    # --- what is in use ---

    def test_refers_to_full_images_and_thumbnails(self, index: Index) -> None:
        moved = stored(2, full=file("full/of the response.jpg"))
        index.put([stored(1), moved, failed(3), imported(4), stored(5, asked="")])
        used = {
            "full/1.jpg",
            "thumbs/small/1.jpg",
            "thumbs/große 日本/1.jpg",
            "full/of the response.jpg",
            "thumbs/small/2.jpg",
            "full/4.jpg",
            "full/5.jpg",
        }
        unused = ["full/2.jpg", "full/3.jpg", "", "full/", "thumbs/small/4.jpg", "FULL/1.jpg"]
        assert index.refers_to([*used, *unused, *used]) == used

    def test_refers_to_what_was_there_when_it_was_closed_last(self, index: Index) -> None:
        index.put([stored(1)])
        assert index.refers_to(["full/1.jpg"]) == {"full/1.jpg"}
        index.forget([key(stored(1))])
        index.put([stored(2)])
        index.close()
        assert index.refers_to(["full/1.jpg", "full/2.jpg"]) == {"full/2.jpg"}

    # --- many, and at once ---

    def test_large_batches(self, index: Index) -> None:
        records = [stored(number) for number in range(MANY)]
        index.put(records)
        assert index.count() == MANY
        assert index.get([key(record) for record in reversed(records)]) == records[::-1]
        listed = list(index.records())
        assert len(listed) == MANY
        assert sorted(listed, key=key) == records
        paths = [record.files[0].path for record in records]
        assert index.refers_to(paths) == set(paths)
        index.forget([key(record) for record in records[1:]])
        assert list(index.records()) == [stored(0)]

    def test_records_can_be_changed_while_they_are_read(self, index: Index) -> None:
        index.put([stored(number) for number in range(MANY)])
        reading = index.records()
        seen = [next(reading)]
        index.put([stored(MANY + number) for number in range(100)])
        gone = next(number for number in range(MANY) if stored(number) != seen[0])
        index.forget([key(stored(gone))])
        index.put([stored(number, tries=99) for number in range(100) if number != gone])
        seen += reading
        assert len(set(map(key, seen))) == len(seen)
        stayed = {key(stored(number)) for number in range(MANY)} - {key(stored(gone))}
        assert stayed <= set(map(key, seen))

    def test_several_readers_do_not_disturb_each_other(self, index: Index) -> None:
        index.put([stored(number) for number in range(1_200)])
        one, other = index.records(), index.records()
        pairs = list(zip(one, other, strict=True))
        assert len(pairs) == 1_200

    def test_several_threads_lose_nothing(self, index: Index) -> None:
        together = threading.Barrier(THREADS)

        def work(thread: int) -> None:
            together.wait()
            for turn in range(ROUNDS):
                mine = [stored(thread * 1_000 + turn), imported(thread * 1_000 + turn + 500)]
                index.put([*mine, stored(999_999, tries=thread)])
                assert index.get([key(record) for record in mine]) == mine
                if turn % 5 == 4:
                    index.forget([key(mine[1])])
                assert index.alike(mine[0].content, 9) == [mine[0]]

        with ThreadPoolExecutor(THREADS) as pool:
            for done in [pool.submit(work, thread) for thread in range(THREADS)]:
                done.result()
        assert index.count() == THREADS * (ROUNDS * 2 - ROUNDS // 5) + 1
        listed = list(index.records())
        assert len(listed) == index.count()
        (shared,) = index.get([key(stored(999_999))])
        assert shared is not None
        assert shared == stored(999_999, tries=shared.tries)

    # --- close ---

    def test_may_be_closed_before_its_first_use_and_twice(self, index: Index) -> None:
        index.close()
        index.close()
        assert index.count() == 0

    def test_is_used_again_after_it_was_closed(
        self, index: Index, open_index: Callable[[], Index]
    ) -> None:
        index.put([stored(1)])
        index.close()
        assert index.get([key(stored(1))]) == [stored(1)]
        index.put([stored(2)])
        index.close()
        with closing(open_index()) as other:
            assert other.count() == 2
        assert index.count() == 2

    def test_reading_goes_on_after_a_close(self, index: Index) -> None:
        index.put([stored(number) for number in range(1_200)])
        reading = index.records()
        first = next(reading)
        index.close()
        assert len({key(first), *map(key, reading)}) == 1_200

    def test_what_one_thread_closes_another_may_use(self, index: Index) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(index.put, [stored(1)]).result()
            index.close()
            pool.submit(index.put, [stored(2)]).result()
            assert pool.submit(index.count).result() == 2
        assert index.count() == 2
