"""Shards: what is in them, and that they are there whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import time
from io import BytesIO
from pathlib import Path

import pytest

from scrapy_imgpipe.errors import SettingError, StoreFailed
from scrapy_imgpipe.report.columns import NAMES
from scrapy_imgpipe.stores import FileSystemStore, MemoryStore
from scrapy_imgpipe.webdataset import ShardWriter, finished
from scrapy_imgpipe.webdataset.names import key_of, shard_of
from tests.imaging.pictures import encoded, noisy

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

PHOTO = encoded(noisy((64, 48)))
SMALL = encoded(noisy((16, 12)), "WEBP")

#: What img2dataset 1.47 writes for a list with a column ``tag``, and of which type.
OTHERS = {
    "tag": "int64",
    "caption": "string",
    "url": "string",
    "key": "string",
    "status": "string",
    "error_message": "string",
    "width": "int32",
    "height": "int32",
    "original_width": "int32",
    "original_height": "int32",
    "exif": "string",
    "sha256": "string",
}


@pytest.fixture(params=["files", "memory"])
def store(request, tmp_path):
    return FileSystemStore(tmp_path / "shards") if request.param == "files" else MemoryStore()


def good(number, **more):
    return {
        "url": f"https://example.com/{number}.jpg",
        "item": str(number),
        "status": "downloaded",
        "outcome": "stored",
        "path": f"full/{number}.jpg",
        "width": 64,
        "height": 48,
        "renditions": [{"name": "small"}],
        "caption": f"picture {number}",
        "tag": number,
        **more,
    }


def failed(number, outcome="http-status", reason="HTTP status 404", **more):
    row = {"url": f"https://example.com/{number}.jpg", "item": str(number), "status": "failed"}
    return {**row, "outcome": outcome, "reason": reason, "tag": number, **more}


def fill(store, *rows, **options):
    writer = ShardWriter(store, **options)
    for row in rows:
        files = [] if row["status"] == "failed" else [("jpg", PHOTO), ("small.webp", SMALL)]
        writer.add(row, files)
    writer.close()


def table(store, shard=0):
    return pq.read_table(BytesIO(store.get(f"{shard:05}.parquet")))


def members(store, shard=0):
    with tarfile.open(fileobj=BytesIO(store.get(f"{shard:05}.tar"))) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar}


# --- what is in a shard ---


def test_a_sample_is_the_image_its_renditions_its_facts_and_its_caption(store):
    fill(store, good(7, original_width=640, original_height=480), caption="caption")
    found = members(store)
    assert list(found) == [f"000000000.{part}" for part in ("jpg", "small.webp", "json", "txt")]
    assert found["000000000.jpg"] == PHOTO
    assert found["000000000.small.webp"] == SMALL
    assert found["000000000.txt"] == b"picture 7"
    facts = json.loads(found["000000000.json"])
    (row,) = table(store).to_pylist()
    assert facts["renditions"] == json.loads(row["renditions"]) == [{"name": "small"}]
    for name, value in facts.items():
        assert name == "renditions" or row[name] == value, name
    expected = {
        "url": "https://example.com/7.jpg",
        "key": "000000000",
        "status": "success",
        "error_message": None,
        "width": 64,
        "height": 48,
        "original_width": 640,
        "original_height": 480,
        "exif": None,
        "sha256": hashlib.sha256(PHOTO).hexdigest(),
        "caption": "picture 7",
        "tag": 7,
    }
    assert expected.items() <= facts.items()
    assert set(OTHERS) <= set(facts)


def test_a_column_that_is_no_caption_is_a_column_only(store):
    fill(store, good(1, caption=7))
    assert [name.partition(".")[2] for name in members(store)] == ["jpg", "small.webp", "json"]
    assert table(store).to_pylist()[0]["caption"] == 7


@pytest.mark.parametrize(("value", "text"), [(None, ""), (7, "7"), (["a", "ü"], '["a","ü"]')])
def test_a_caption_of_any_type_is_text(store, value, text):
    fill(store, good(1, caption=value), caption="caption")
    assert members(store)["000000000.txt"].decode() == text
    assert table(store).to_pylist()[0]["caption"] == text


def test_the_table_has_the_columns_of_img2dataset_and_those_of_the_report(store):
    fill(store, good(1), failed(2), caption="caption")
    types = {field.name: str(field.type) for field in table(store).schema}
    assert {name: types[name] for name in OTHERS} == OTHERS
    assert set(NAMES) - {"reason"} <= set(types)
    assert (types["http_status"], types["seconds_waiting"]) == ("int64", "double")


@pytest.mark.parametrize(
    ("row", "status", "message"),
    [
        (failed(1), "failed_to_download", "HTTP status 404"),
        (failed(1, "hash-mismatch", "no"), "failed_to_download", "no"),
        (failed(1, "opted-out", None), "failed_to_download", "opted-out"),
        (failed(1, "broken", "cut off"), "failed_to_resize", "cut off"),
        (failed(1, "too-small", "9 pixels"), "failed_to_resize", "9 pixels"),
    ],
)
def test_a_failed_row_is_in_the_table_and_in_no_tar(store, row, status, message):
    fill(store, row)
    assert members(store) == {}
    (found,) = table(store).to_pylist()
    assert (found["status"], found["error_message"]) == (status, message)
    assert (found["outcome"], found["tag"], found["sha256"]) == (row["outcome"], 1, None)
    figures = json.loads(store.get("00000_stats.json"))
    assert (figures["count"], figures["successes"], figures[status]) == (1, 0, 1)
    assert figures["status_dict"] == {message: 1}


def test_the_figures_are_those_of_img2dataset(store):
    before = time.time()
    fill(store, good(1), failed(2), good(3), failed(4, "broken", "x"), failed(5))
    figures = json.loads(store.get("00000_stats.json"))
    assert before <= figures["start_time"] <= figures["end_time"] <= time.time()
    assert figures["duration"] == figures["end_time"] - figures["start_time"]
    counts = {"successes": 2, "failed_to_download": 2, "failed_to_resize": 1, "count": 5}
    assert counts.items() <= figures.items()
    assert figures["status_dict"] == {"success": 2, "HTTP status 404": 2, "x": 1}


def test_shards_are_full_and_keys_tell_the_place(store):
    fill(store, *(good(number) for number in range(7)), shard_size=3)
    assert [table(store, shard).num_rows for shard in range(3)] == [3, 3, 1]
    keys = [row["key"] for shard in range(3) for row in table(store, shard).to_pylist()]
    assert keys == ["000000", "000001", "000002", "000010", "000011", "000012", "000020"]
    assert len(list(store.list())) == 9


@pytest.mark.parametrize(
    ("shard", "place", "size", "key"),
    [
        (0, 0, 1, "00000"),
        (7, 0, 1, "00007"),
        (1, 4, 5, "000014"),
        (1, 9, 10, "000019"),
        (1, 10, 11, "0000110"),
        (12, 9_999, 10_000, "000129999"),
        (123_456, 1, 10_000, "1234560001"),
    ],
)
def test_keys_are_those_of_img2dataset(shard, place, size, key):
    assert key_of(shard, place, size) == key


def test_the_same_rows_make_the_same_tar(tmp_path):
    stores = [MemoryStore(), FileSystemStore(tmp_path)]
    for store in stores:
        fill(store, good(1), good(2), caption="caption")
    assert stores[0].get("00000.tar") == stores[1].get("00000.tar")
    assert stores[0].get("00000.parquet") == stores[1].get("00000.parquet")
    with tarfile.open(fileobj=BytesIO(stores[0].get("00000.tar"))) as tar:
        assert {(info.mtime, info.uid, info.uname, info.mode) for info in tar} == {
            (0, 0, "", 0o644)
        }


@pytest.mark.parametrize("length", [0, 1, 511, 512, 513, 7 * 512, 17 * 512, 18 * 512, 19 * 512])
def test_tars_are_whole_records_whatever_is_in_them(length):
    store = MemoryStore()
    writer = ShardWriter(store)
    writer.add(good(1), [("jpg", b"x" * length)])
    writer.close()
    assert members(store)["000000000.jpg"] == b"x" * length
    data = store.get("00000.tar")
    assert len(data) % tarfile.RECORDSIZE == 0
    assert data.endswith(bytes(1024))


def test_a_shard_with_no_success_is_an_empty_tar(store):
    fill(store, failed(1))
    assert store.get("00000.tar") == bytes(tarfile.RECORDSIZE)


# --- columns ---


def test_columns_of_the_list_have_the_type_of_their_values_or_are_text(store):
    rows = [
        good(0, n=1, f=0.5, on=True, word="x", mixed=1, both=1, tags=["a"], none=None),
        good(1, n=2, f=1.5, on=False, word="y", mixed="b", both=0.5, tags={"a": 1}, none=None),
    ]
    fill(store, *rows)
    found = table(store).to_pylist()
    names = ("n", "f", "on", "word", "mixed", "both", "tags")
    assert [[row[name] for name in names] for row in found] == [
        [1, 0.5, True, "x", "1", 1.0, '["a"]'],
        [2, 1.5, False, "y", "b", 0.5, '{"a":1}'],
    ]
    assert "none" not in found[0]


def test_a_column_keeps_its_place_and_its_text_in_all_shards_behind(store):
    rows = [good(0, n=1, a="x"), good(1, n="one"), good(2, n=3)]
    fill(store, *rows, shard_size=1)
    types = [str(table(store, shard).schema.field("n").type) for shard in range(3)]
    assert types == ["int64", "string", "string"]
    assert table(store, 1).schema == table(store, 2).schema
    assert table(store, 2).to_pylist()[0]["a"] is None
    fill(store, good(3, n=4), first=3)
    assert table(store, 3).schema == table(store, 2).schema


def test_what_a_list_calls_as_we_do_is_told_apart(store):
    row = good(1, key="mine", sha256="0" * 64, error_message="none", list_key="x", alt="a photo")
    fill(store, row, failed(2, key="mine"), caption="alt")
    first, second = table(store).to_pylist()
    assert (first["key"], first["list_key_2"], first["list_key"]) == ("000000000", "mine", "x")
    assert (first["sha256"], first["list_sha256"]) == (hashlib.sha256(PHOTO).hexdigest(), "0" * 64)
    assert (first["error_message"], first["list_error_message"]) == (None, "none")
    assert (first["caption"], first["list_caption"]) == ("a photo", "picture 1")
    assert "alt" not in first
    assert (second["key"], second["list_key"], second["caption"]) == ("000000001", "mine", "")


def test_keys_made_of_data_do_not_make_thousands_of_columns(store):
    fill(store, *(good(number, **{f"price_{number}": number}) for number in range(200)))
    found = table(store)
    assert found.num_columns < 150
    assert json.loads(found.to_pylist()[199]["further"]) == {"price_199": 199}


def test_no_value_stops_a_shard(store):
    row = good(1, original_width="640", exif={"ISO": 100}, odd=b"\xff", nan=float("nan"), big=2**70)
    fill(store, row, good(2, original_width=2**40, exif='{"ISO": 1}', lone="\ud800"))
    first, second = table(store).to_pylist()
    assert (first["original_width"], second["original_width"]) == (None, None)
    assert (first["exif"], second["exif"]) == ('{"ISO":100}', '{"ISO": 1}')
    assert (first["odd"], first["big"], second["lone"]) == ("\ufffd", str(2**70), "\ufffd")


# --- whole or not at all ---


class Failing(MemoryStore):
    """A store that fails where the test says, and notes what reached it."""

    def __init__(self):
        super().__init__()
        self.fails = ""
        self.seen = []

    def _put(self, key, data, facts):
        if self.fails and key.endswith(self.fails):
            raise OSError(errno.ENOSPC, "No space left")
        self.seen.append(key)
        return super()._put(key, data, facts)

    def _delete(self, key):
        self.seen.append(f"not {key}")
        return super()._delete(key)


def test_the_table_goes_first_and_comes_last():
    store = Failing()
    fill(store, good(1))
    files = ["00000.tar", "00000_stats.json", "00000.parquet"]
    assert store.seen == ["not 00000.parquet", *files]


@pytest.mark.parametrize("fails", [".tar", ".json", ".parquet"])
def test_a_shard_that_could_not_be_put_is_not_complete_and_put_again(fails):
    store = Failing()
    fill(store, good(0), shard_size=1)
    assert finished(store).next == 1
    store.fails = fails
    writer = ShardWriter(store, shard_size=1)
    with pytest.raises(StoreFailed, match="No space left"):
        writer.add(good(1), [("jpg", PHOTO)])
    assert (finished(store).shards, finished(store).next) == ((), 0)
    store.fails = ""
    assert writer.add(good(2), [("jpg", PHOTO)]) == "00001"
    writer.close()
    assert [row["item"] for row in finished(store)] == ["1", "2"]


def test_nothing_is_left_on_the_local_disk(tmp_path):
    for store, options in (
        (FileSystemStore(tmp_path / "shards"), {}),
        (MemoryStore(), {"folder": str(tmp_path)}),
    ):
        fill(store, good(1), good(2), shard_size=1, **options)
        writer = ShardWriter(store, **options)
        writer.add(good(3), [("jpg", PHOTO)])
        writer.abandon()
        writer.abandon()
        assert finished(store).next == 2
    left = [path.name for path in tmp_path.rglob("*") if path.name.startswith(".imgpipe-")]
    assert left == []


@pytest.mark.parametrize("full_at", [1, 2])  # at the tar, and at the row behind it
def test_a_disk_that_is_full_costs_the_sample_only(store, monkeypatch, tmp_path, full_at):
    writer = ShardWriter(store, folder=str(tmp_path))
    writer.add(good(0), [("jpg", PHOTO)])
    written, calls = os.write, []

    def write(file, data):
        calls.append(file)
        if len(calls) > full_at:
            raise OSError(errno.ENOSPC, "No space left")
        return written(file, data[:100] if len(calls) == full_at else data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(StoreFailed, match="Could not write the shard 00000: No space"):
            writer.add(good(1), [("jpg", PHOTO)])
    writer.add(good(2), [("jpg", SMALL)])
    writer.close()
    with tarfile.open(fileobj=BytesIO(store.get("00000.tar"))) as tar:
        keys = ("000000000", "000000001")
        assert tar.getnames() == [f"{key}.{part}" for key in keys for part in ("jpg", "json")]
    assert [members(store)[f"{key}.jpg"] for key in keys] == [PHOTO, SMALL]
    assert [row["item"] for row in table(store).to_pylist()] == ["0", "2"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it takes a day until they count")
def test_what_a_dead_process_left_in_the_folder_is_removed(tmp_path):
    code = "import os, sys, pathlib\nfrom scrapy_imgpipe.webdataset.spool import Spool\n"
    code += "Spool(pathlib.Path(sys.argv[1])).add(b'x')\nos._exit(0)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert len(list(tmp_path.iterdir())) == 1
    ShardWriter(MemoryStore(), folder=str(tmp_path)).abandon()
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, sys
sys.path.insert(0, {root!r})
from scrapy_imgpipe.stores import FileSystemStore
from scrapy_imgpipe.webdataset import ShardWriter

class Store(FileSystemStore):
    def put_file(self, path, file):
        if path == {killed_at!r}:
            os._exit(9)
        return super().put_file(path, file)

writer = ShardWriter(Store({folder!r}), shard_size=2)
for number in range(5):
    writer.add({{"url": "u", "item": str(number), "status": "downloaded"}}, [("jpg", b"x" * 99)])
os._exit(9)
"""


@pytest.mark.parametrize(
    ("killed_at", "complete"),
    [("00001.tar", (0,)), ("00001.parquet", (0,)), ("", (0, 1))],
)
def test_a_killed_run_is_gone_on_with(tmp_path, killed_at, complete):
    root, folder = str(Path(__file__).parents[2]), str(tmp_path)
    code = KILLED.format(root=root, killed_at=killed_at, folder=folder)
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert any(tmp_path.glob(".imgpipe-*"))
    store = FileSystemStore(tmp_path)
    there = finished(store, ["item"])
    assert (there.shards, there.next) == (complete, len(complete))
    done = [row["item"] for row in there]
    assert done == [str(number) for number in range(2 * len(complete))]
    rest = [good(number) for number in range(5) if str(number) not in done]
    fill(store, *rest, shard_size=2, first=there.next)
    assert [row["item"] for row in finished(store)] == ["0", "1", "2", "3", "4"]
    if sys.platform == "linux":  # elsewhere it takes a day until they count as left over
        assert not any(tmp_path.glob(".imgpipe-*"))


# --- what is complete ---


def test_an_empty_store_has_no_shards(store):
    there = finished(store)
    assert (there.shards, there.next, list(there)) == ((), 0, [])


def test_only_complete_shards_count(store):
    fill(store, *(good(number) for number in range(4)), shard_size=1)
    store.put("full/00007.parquet", b"")
    store.put("7.parquet", b"")
    store.put("00003.tar", store.get("00003.tar") + bytes(10240))
    store.delete("00002.tar")
    there = finished(store, ["item", "nothing of the kind"])
    assert (there.shards, there.next) == ((0, 1), 2)
    assert list(there) == [{"item": "0"}, {"item": "1"}]


def test_shards_of_another_program_are_left_alone(store):
    fill(store, good(0))
    for name in ("00004.tar", "00004.parquet"):
        store.put(name, b"theirs")
    there = finished(store)
    assert (there.shards, there.next) == ((0,), 5)
    fill(store, good(1), first=there.next)  # whose table cannot be read for its columns
    assert finished(store).shards == (0, 5)


def test_names_of_tables():
    assert [shard_of(f"{name}.parquet") for name in ("00007", "123456", "7", "a0007")] == [
        7,
        123_456,
        None,
        None,
    ]


# --- what cannot be used ---


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"shard_size": 0},
            "Expected whole number of rows, 1 or more, for shard_size but",
        ),
        ({"first": -1}, "Expected whole number, 0 or more, for first but received -1"),
        ({"caption": None}, "Expected the name of a column, or empty text for caption but"),
    ],
)
def test_wrong_arguments_are_said_in_one_sentence(options, message):
    with pytest.raises(SettingError, match=message):
        ShardWriter(MemoryStore(), **options)


def test_a_missing_package_is_said_at_once(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SettingError, match=r"pip install scrapy-imgpipe\[report\]"):
        ShardWriter(MemoryStore())


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(StoreFailed, match=r"Could not make a shard in '.*none': No such file"):
        ShardWriter(MemoryStore(), folder=str(tmp_path / "none"))


def test_nothing_is_added_behind_the_end(store):
    writer = ShardWriter(store)
    writer.close()
    writer.close()
    with pytest.raises(StoreFailed, match="finished"):
        writer.add(good(1), [("jpg", PHOTO)])
    assert list(store.list()) == []
