"""The SQLite index among processes that die, files that are damaged, and other versions."""

from __future__ import annotations

import logging
import os
import pickle
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import cache
from pathlib import Path

import pytest

from scrapy_imgpipe.errors import IndexFailed
from scrapy_imgpipe.index import Index, SqliteIndex, sqlite
from scrapy_imgpipe.index.migrations import MIGRATIONS, migrate, version_of
from scrapy_imgpipe.index.rows import id_of
from tests.index.contract import THREADS, IndexContract
from tests.index.known import imported, key, stored

POSIX = pytest.mark.skipif(os.name != "posix", reason="signals, limits and users of POSIX")

PROCESSES = 6
KILLS = 12
BATCH = 40
PAGE = 4096
TODAY = len(MIGRATIONS)

HEAD = """
import os, pickle, resource, sqlite3, sys
from itertools import count
from scrapy_imgpipe.errors import IndexFailed
from scrapy_imgpipe.index import Key, SqliteIndex
from scrapy_imgpipe.index.migrations import MIGRATIONS, migrate
from tests.index.known import key, stored
index, first = SqliteIndex(sys.argv[1]), int(sys.argv[2])
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.sqlite"


@pytest.fixture
def index(path: Path) -> Iterator[SqliteIndex]:
    with closing(SqliteIndex(path)) as index:
        yield index


# Who ends without a close leaves a connection open, which Python 3.13 tells of.
WARNINGS = ("-W", "error", "-W", "ignore::ResourceWarning")


class TestContract(IndexContract):
    @pytest.fixture
    def open_index(self, tmp_path: Path) -> Callable[[], Index]:
        return lambda: SqliteIndex(tmp_path / "made" / "on demand" / "index.sqlite")


def start(script: str, path: Path | str, first: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *WARNINGS, "-c", HEAD + script, str(path), str(first)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def run(script: str, path: Path | str, first: int = 0) -> tuple[int, str]:
    with start(script, path, first) as child:
        output, errors = child.communicate(timeout=60)
    return child.returncode, (output + errors).strip()


def run_at_once(script: str, path: Path) -> list[str]:
    """Run *script* in several processes that begin together; return what each one said."""
    ready = 'print("ready", flush=True); sys.stdin.readline()\n'
    children = [start(ready + script, path, number * 1_000) for number in range(PROCESSES)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    said = []
    for child in children:
        with child:
            said.append("".join(child.communicate(timeout=60)))
        assert child.returncode == 0, said
    return said


def is_sound(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def filled(path: Path) -> None:
    """Make an index with 500 records in it, all of it in the one file."""
    path.write_bytes(_filled())


@cache
def _filled() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "index.sqlite")
        with closing(SqliteIndex(path)) as index:
            index.put([stored(number) for number in range(500)])
        assert path.stat().st_size > 60 * PAGE
        return path.read_bytes()


def set_aside(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.damaged-*"))


# --- several processes ---


def test_several_processes_lose_nothing(path: Path, index: SqliteIndex) -> None:
    script = """
for number in range(first, first + 30):
    index.put([stored(number), stored(999_999, tries=first)])
    assert index.get([key(stored(number))]) == [stored(number)]
"""
    assert run_at_once(script, path) == [""] * PROCESSES
    numbers = [first * 1_000 + number for first in range(PROCESSES) for number in range(30)]
    expected = [stored(number) for number in numbers]
    assert index.get([key(record) for record in expected]) == expected
    assert index.count() == len(expected) + 1
    index.close()
    assert is_sound(path)


def test_several_processes_make_the_file_at_once(tmp_path: Path) -> None:
    # The first moment is the delicate one, so it is had several times.
    for turn in range(5):
        path = tmp_path / str(turn) / "index.sqlite"
        assert run_at_once("index.put([stored(first)])", path) == [""] * PROCESSES
        with closing(SqliteIndex(path)) as index:
            assert index.count() == PROCESSES


PUT_FOR_EVER = f"""
for number in count(first):
    index.put([stored(number * {BATCH} + place) for place in range({BATCH})])
    print(number, flush=True)
"""


@POSIX
def test_killed_at_any_moment_loses_nothing_that_was_kept(path: Path) -> None:
    # Seeded, so that a failure names its moments; they are random all the same.
    chance = random.Random(20)
    told = -1
    for _ in range(KILLS):
        with start(PUT_FOR_EVER, path, told + 1) as child:
            assert child.stdout is not None
            for _ in range(chance.randrange(1, 4)):
                told = int(child.stdout.readline())
            moment = time.perf_counter() + chance.random() / 100
            while time.perf_counter() < moment:
                pass
            child.send_signal(signal.SIGKILL)
            told = max([told, *map(int, child.stdout.read().split())])
        with closing(SqliteIndex(path)) as index:
            expected = [stored(number) for number in range((told + 1) * BATCH)]
            assert index.get([key(record) for record in expected]) == expected
            later = index.count() - len(expected)
            assert later in {0, BATCH}, "a batch that nobody was told of is whole, or not there"
            told += later // BATCH
        assert is_sound(path)


def test_goes_to_another_process(path: Path, index: SqliteIndex) -> None:
    index.put([stored(1)])
    script = f"""
sent = bytes.fromhex({pickle.dumps(index).hex()!r})
index = pickle.loads(sent)
assert pickle.loads(sent) is index, "it would be opened for each source"
assert index.get([key(stored(1))]) == [stored(1)]
index.put([stored(2)])
"""
    assert run(script, "nowhere") == (0, "")
    assert index.get([key(stored(2))]) == [stored(2)]


@POSIX
def test_a_fork_opens_its_own(path: Path, index: SqliteIndex) -> None:
    script = """
index.put([stored(1)])
connection = index._connection()
child = os.fork()
if child == 0:
    assert index._connection() is not connection
    connection.execute("PRAGMA user_version")  # not closed: it is none of ours
    index.put([stored(2)])
    index.close()
    os._exit(0 if index.count() == 2 else 1)
_, status = os.waitpid(child, 0)
index.put([stored(3)])
print(status, index.count())
"""
    assert run(script, path) == (0, "0 3")
    assert index.count() == 3
    index.close()
    assert is_sound(path)


def test_a_loss_of_power_never_takes_the_file(index: SqliteIndex) -> None:
    # What SQLite promises of WAL with these: https://sqlite.org/pragma.html#pragma_synchronous
    settings = [("journal_mode", "wal"), ("synchronous", 1)]
    for name, expected in settings:
        assert index._connection().execute(f"PRAGMA {name}").fetchone() == (expected,)


def test_waits_for_another_that_writes(path: Path, index: SqliteIndex) -> None:
    index.put([stored(1)])
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with ThreadPoolExecutor(2) as pool:
            putting = pool.submit(index.put, [stored(2)])
            forgetting = pool.submit(index.forget, [key(stored(1))])
            assert index.get([key(stored(1))]) == [stored(1)], "readers do not wait"
            assert not putting.done()
            assert not forgetting.done()
            other.execute("COMMIT")
            putting.result()
            forgetting.result()
    assert list(index.records()) == [stored(2)]


# --- memory ---


def test_memory_does_not_grow_with_the_records(index: SqliteIndex) -> None:
    peaks = []
    for begin, end in ((0, 1_000), (1_000, 5_000)):
        for number in range(begin, end, 500):
            index.put([stored(number + place) for place in range(500)])
        tracemalloc.start()
        try:
            assert sum(1 for _ in index.records()) == end
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.5


# --- keys ---


def test_never_returns_a_record_of_another_key(path: Path, index: SqliteIndex) -> None:
    # Two keys may have one number, once in a long while.
    index.put([stored(1), stored(2)])
    index.close()
    move = "UPDATE OR REPLACE source SET id = ? WHERE id = ?"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(move, (id_of(key(stored(1))), id_of(key(stored(2)))))
    assert index.get([key(stored(1))]) == [None]
    index.put([stored(1)])
    assert index.get([key(stored(1)), key(stored(2))]) == [stored(1), None]
    assert index.count() == 1


def test_a_failed_put_takes_nothing_back_half_way(index: SqliteIndex) -> None:
    index.put([imported(1), stored(2)])
    missing: str = None  # type: ignore[assignment]
    with pytest.raises(IndexFailed, match=r"NOT NULL constraint failed: source\.limits$"):
        index.put([stored(1), stored(3, limits=missing)])
    assert index.get([key(stored(1)), key(stored(2)), key(stored(3))]) == [
        imported(1),
        stored(2),
        None,
    ]
    index.put([stored(3)])
    assert index.count() == 3


# --- damage ---


def damaged_header(path: Path) -> None:
    path.write_bytes(b"This is no database. " * 1_000)


def damaged_signature(path: Path) -> None:
    overwrite(path, 0, b"\xff" * 64)


def damaged_middle(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 + 100)


def damaged_tail(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 30 * PAGE)


def damaged_pages(path: Path) -> None:
    overwrite(path, PAGE, random.Random(20).randbytes(path.stat().st_size - PAGE))


def damaged_with_zeros(path: Path) -> None:
    overwrite(path, PAGE, bytes(path.stat().st_size - PAGE))


def overwrite(path: Path, place: int, data: bytes) -> None:
    with path.open("r+b") as opened:
        opened.seek(place)
        opened.write(data)


DAMAGES = (
    damaged_header,
    damaged_signature,
    damaged_middle,
    damaged_tail,
    damaged_pages,
    damaged_with_zeros,
)
DEEDS: dict[str, Callable[[Index], object]] = {
    "get": lambda index: index.get([key(stored(number)) for number in range(500)]),
    "put": lambda index: index.put([stored(number) for number in range(500)]),
    "forget": lambda index: index.forget([key(stored(number)) for number in range(500)]),
    "records": lambda index: list(index.records()),
    "count": lambda index: index.count(),
    "refers_to": lambda index: index.refers_to(["full/1.jpg"]),
}


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_set_aside(
    path: Path,
    index: SqliteIndex,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
    deed: Callable[[Index], object],
) -> None:
    filled(path)
    damage(path)
    content = path.read_bytes()
    with caplog.at_level(logging.WARNING):
        deed(index)
        index.put([stored(5_000)])
        assert index.get([key(stored(5_000)), key(stored(1))])[0] == stored(5_000)
        deed(index)
    (aside,) = set_aside(path)
    if deed in {DEEDS["get"], DEEDS["records"], DEEDS["count"], DEEDS["refers_to"]}:
        assert aside.read_bytes() == content, "somebody may want to rescue something"
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("The index was damaged (")
    assert str(aside) in record.getMessage()
    assert record.exc_info is None
    index.close()
    assert is_sound(path)


def test_damage_of_the_place_of_equal_bytes(path: Path, index: SqliteIndex) -> None:
    filled(path)
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT rootpage FROM sqlite_schema WHERE name = 'source_content'"
        ((page,),) = connection.execute(query).fetchall()
    overwrite(path, (page - 1) * PAGE, bytes(PAGE))
    assert index.get([key(stored(1))]) == [stored(1)]
    assert index.alike(stored(1).content, 9) == []
    assert len(set_aside(path)) == 1
    index.put([stored(1)])
    assert index.alike(stored(1).content, 9) == [stored(1)]


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
def test_damage_while_it_is_open(
    path: Path, index: SqliteIndex, deed: Callable[[Index], object]
) -> None:
    filled(path)
    assert index.get([]) == []  # open, and nothing read that could be remembered
    assert index.get([key(stored(1))]) == [stored(1)]
    damaged_with_zeros(path)
    deed(index)
    index.put([stored(5_000)])
    assert index.get([key(stored(5_000))]) == [stored(5_000)]
    assert len(set_aside(path)) == 1
    with closing(SqliteIndex(path)) as other:
        assert other.get([key(stored(5_000))]) == [stored(5_000)]


def test_each_damaged_file_has_a_name_of_its_own(path: Path, index: SqliteIndex) -> None:
    contents = set()
    for number in range(3):
        index.close()
        content = f"This is no database, for the {number}. time. ".encode() * 100
        path.write_bytes(content)
        contents.add(content)
        index.put([stored(1)])
    assert {aside.read_bytes() for aside in set_aside(path)} == contents


def test_several_threads_meet_the_damage_at_once(
    path: Path, index: SqliteIndex, caplog: pytest.LogCaptureFixture
) -> None:
    damaged_header(path)
    together = threading.Barrier(THREADS)

    def work(thread: int) -> None:
        together.wait()
        for number in range(5):
            index.put([stored(thread * 1_000 + number)])

    with caplog.at_level(logging.WARNING), ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(work, thread) for thread in range(THREADS)]:
            done.result()
    assert index.count() == THREADS * 5
    assert len(set_aside(path)) == 1
    assert len(caplog.records) == 1
    index.close()
    assert is_sound(path)


@pytest.mark.parametrize("damage", [damaged_header, damaged_pages])
def test_several_processes_meet_the_damage_at_once(
    path: Path, index: SqliteIndex, damage: Callable[[Path], None]
) -> None:
    filled(path)
    damage(path)
    script = """
index.get([key(stored(number)) for number in range(500)])
for number in range(first, first + 5):
    index.put([stored(number)])
"""
    said = run_at_once(script, path)
    assert index.count() == PROCESSES * 5
    assert len(set_aside(path)) == 1
    assert sum(words.count("The index was damaged") for words in said) == 1
    index.close()
    assert is_sound(path)


def test_who_has_it_open_follows_to_the_new_file(path: Path, index: SqliteIndex) -> None:
    filled(path)
    with closing(SqliteIndex(path)) as other:
        assert other.get([key(stored(1))]) == [stored(1)]  # open, and has not met the damage
        damaged_with_zeros(path)
        index.put([stored(5_000)])
        other.put([stored(5_001)])
        assert other.get([key(stored(5_000))]) == [stored(5_000)]
    assert index.get([key(stored(5_001))]) == [stored(5_001)]
    assert len(set_aside(path)) == 1


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
def test_a_file_that_was_removed_is_made_again(
    path: Path, index: SqliteIndex, deed: Callable[[Index], object]
) -> None:
    index.put([stored(1)])
    deed(index)
    path.unlink()
    deed(index)
    index.forget([key(stored(number)) for number in range(500)])
    index.put([stored(5_000)])
    assert list(index.records()) == [stored(5_000)]
    with closing(SqliteIndex(path)) as other:
        assert list(other.records()) == [stored(5_000)]
    assert set_aside(path) == []


@POSIX
def test_who_still_reads_a_file_that_was_removed_lives_on(path: Path) -> None:
    # A log that is cut while somebody has it in memory ends the process (SIGBUS).
    script = """
index.put([stored(number) for number in range(500)])
reader = sqlite3.connect(index.path)
assert reader.execute("SELECT count(*) FROM source").fetchone() == (500,)
os.unlink(index.path)
index.put([stored(1)])
print(*reader.execute("SELECT count(*) FROM source").fetchone(), index.count())
reader.close()
print(index.count())
index.put([stored(2)])
"""
    assert run(script, path) == (0, "500 1\n1")
    with closing(SqliteIndex(path)) as index:
        assert index.get([key(stored(1)), key(stored(2))]) == [stored(1), stored(2)]


def varint(number: int) -> bytes:
    """Return a number of 57 to 64 bits as SQLite has it (https://sqlite.org/fileformat.html)."""
    high, low = number >> 8, number & 255
    return bytes([0x80 | (high >> shift) & 0x7F for shift in range(49, -1, -7)] + [low])


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (b'{"mean_brightness":12.34', b'{"mean_brightness"}12.34'),
        (b'[["small","thumbs', b'[["small",,thumbs'),
        ("é/77.jpg".encode(), b"\xff\xff/77.jpg"),
    ],
)
def test_one_damaged_row_is_damage(
    path: Path, index: SqliteIndex, right: bytes, wrong: bytes
) -> None:
    filled(path)
    content = path.read_bytes()
    assert right in content
    path.write_bytes(content.replace(right, wrong, 1))
    list(index.records())
    assert len(set_aside(path)) == 1
    index.put([stored(1)])
    assert list(index.records()) == [stored(1)]


def test_rows_that_lead_in_a_circle_end(path: Path, index: SqliteIndex) -> None:
    filled(path)
    ids = sorted(id_of(key(stored(number))) for number in range(500))
    content, last = path.read_bytes(), varint(ids[-1])
    assert content.count(last) == 1
    path.write_bytes(content.replace(last, varint(ids[250])))
    assert len(list(index.records())) == 500
    assert len(set_aside(path)) == 1
    assert list(index.records()) == []


@pytest.mark.parametrize("seed", range(20))
def test_damage_anywhere_costs_no_more_than_the_index(
    path: Path, index: SqliteIndex, seed: int
) -> None:
    chance = random.Random(seed)
    filled(path)
    for _ in range(seed * 2 + 1):
        place, size = chance.randrange(100, path.stat().st_size - 9), chance.randrange(1, 9)
        overwrite(path, place, chance.randbytes(size))
    for deed in DEEDS.values():
        with suppress(IndexFailed):  # where the table's own words are damaged
            deed(index)


def test_what_no_record_can_hold_is_no_damage(path: Path, index: SqliteIndex) -> None:
    index.put([stored(1)])
    for measured in ({"x": float("nan")}, {"x": float("inf")}, {"x": {1}}):
        with pytest.raises(IndexFailed, match=r"^Could not use the index '.*': .* JSON"):
            index.put([stored(2), stored(3, measured=measured)])
    with pytest.raises(IndexFailed, match="surrogates not allowed"):
        index.put([stored(2), stored(3, asked="\ud800.jpg")])
    assert list(index.records()) == [stored(1)]
    assert set_aside(path) == []


@pytest.mark.parametrize("left", ["wal", "shm"])
def test_what_lies_beside_is_no_reason_to_fail(path: Path, left: str) -> None:
    filled(path)
    Path(f"{path}-{left}").write_bytes(b"garbage" * 10_000)
    with closing(SqliteIndex(path)) as index:
        assert index.get([key(stored(1))]) == [stored(1)]
        index.put([stored(5_000)])
        assert index.count() == 501
    assert set_aside(path) == []


# --- what cannot be used ---


def failure_of(index: SqliteIndex, deed: Callable[[Index], object]) -> str:
    with pytest.raises(IndexFailed) as caught:
        deed(index)
    assert caught.value.code == "index-failed"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert caught.value.reason.startswith(f"Could not use the index {index.path!r}: ")
    assert "\n" not in caught.value.reason
    return caught.value.reason.removeprefix(f"Could not use the index {index.path!r}: ")


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_file_of_a_later_version_is_left_alone(
    path: Path, index: SqliteIndex, mode: str, deed: Callable[[Index], object]
) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute("CREATE TABLE of_tomorrow (id)")
        connection.execute(f"PRAGMA user_version = {TODAY + 1}")
    content = path.read_bytes()
    reason = failure_of(index, deed)
    assert reason == f"it has version {TODAY + 1}, this package knows {TODAY}"
    assert failure_of(index, deed) == reason
    index.close()
    assert path.read_bytes() == content
    assert set_aside(path) == []


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
def test_a_directory_in_its_place(
    path: Path, index: SqliteIndex, deed: Callable[[Index], object]
) -> None:
    path.mkdir()
    assert failure_of(index, deed) == "unable to open database file"
    assert path.is_dir()
    path.rmdir()
    deed(index)  # nothing has to be begun anew


def test_a_file_in_the_place_of_its_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for below in ("index.sqlite", "deeper/index.sqlite"):
        reason = failure_of(SqliteIndex(tmp_path / "file" / below), DEEDS["count"])
        assert "File exists" in reason or "Not a directory" in reason


@POSIX
def test_without_the_right_to_write() -> None:
    # Not under tmp_path, which other users may not enter.
    script = """
if os.getuid() == 0:
    os.setuid(65534)
try:
    index.put([stored(1)])
except IndexFailed as error:
    print(error, error.__context__)
"""
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory)
        base.chmod(0o555)
        for below in ("index.sqlite", "new/index.sqlite"):
            code, said = run(script, base / below)
            assert code == 0
            assert said.startswith(f"Could not use the index '{base / below}': ")
            assert said.endswith(" None")
            assert "\n" not in said
        assert list(base.iterdir()) == []
        base.chmod(0o755)
        filled(base / "index.sqlite")
        content = (base / "index.sqlite").read_bytes()
        (base / "index.sqlite").chmod(0o444)
        base.chmod(0o555)
        code, said = run(script, base / "index.sqlite")
        assert code == 0
        assert said.startswith(f"Could not use the index '{base / 'index.sqlite'}': ")
        assert (base / "index.sqlite").read_bytes() == content
        base.chmod(0o755)


@POSIX
def test_a_full_disk_costs_what_came_last(path: Path, index: SqliteIndex) -> None:
    filled(path)
    script = """
size = os.stat(index.path).st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100_000, size + 100_000))
for number in count(10_000):
    try:
        index.put([stored(number)])
    except IndexFailed as error:
        print(number, error.__context__)
        break
assert index.get([key(stored(1)), key(stored(number))]) == [stored(1), None]
"""
    code, said = run(script, path)
    assert code == 0, said
    last, context = said.split()
    assert context == "None"
    assert int(last) > 10_000
    assert index.count() == 500 + int(last) - 10_000
    index.put([stored(int(last))])
    assert set_aside(path) == []
    index.close()
    assert is_sound(path)


# --- versions ---

TOMORROW = (
    *MIGRATIONS,
    ("ALTER TABLE source ADD COLUMN note TEXT", "UPDATE source SET note = 'was ' || url"),
)


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return version_of(connection)


def test_a_new_file_has_the_version_of_today(path: Path, index: SqliteIndex) -> None:
    index.put([stored(1)])
    assert version(path) == TODAY
    index.close()
    index.put([stored(2)])
    assert index.count() == 2


def test_an_old_file_is_brought_up_to_date(path: Path) -> None:
    filled(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for _ in range(2):
            migrate(connection, TOMORROW)
            query = "SELECT count(*) FROM source WHERE note = 'was ' || url"
            assert connection.execute(query).fetchone() == (500,)
            assert version_of(connection) == TODAY + 1


def test_steps_are_taken_one_after_the_other(path: Path) -> None:
    steps = (("CREATE TABLE a (x)",), ("INSERT INTO a VALUES (1)",), ("INSERT INTO a VALUES (2)",))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for number in range(len(steps) + 1):
            migrate(connection, steps[:number])
            assert version_of(connection) == number
        assert connection.execute("SELECT x FROM a").fetchall() == [(1,), (2,)]


def test_a_step_that_fails_leaves_the_version_before(path: Path) -> None:
    filled(path)
    broken = (*TOMORROW, ("CREATE TABLE fine (x)", "CREATE TABLE source (x)"))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        with pytest.raises(sqlite3.OperationalError, match="already exists"):
            migrate(connection, broken)
        assert version_of(connection) == TODAY
        columns = {name for _, name, *_ in connection.execute("PRAGMA table_info(source)")}
        assert "note" not in columns
    with closing(SqliteIndex(path)) as index:
        assert index.count() == 500


def test_several_processes_migrate_at_once(path: Path) -> None:
    filled(path)
    script = f"""
connection = sqlite3.connect(index.path, isolation_level=None, timeout=60)
migrate(connection, {TOMORROW!r})
print(*connection.execute("SELECT count(*) FROM source WHERE note = 'was ' || url").fetchone())
connection.close()
"""
    # A second column of that name would be an error.
    assert run_at_once(script, path) == ["500\n"] * PROCESSES
    assert version(path) == TODAY + 1
    assert is_sound(path)


def test_who_waited_in_vain_waits_shorter_until_something_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_WAIT_SECONDS", 0.3)
    monkeypatch.setattr(sqlite, "_NO_PATIENCE_SECONDS", 0.0)
    waits: list[float] = []
    connect = sqlite3.connect

    def noting(path: str, timeout: float, **options: object) -> sqlite3.Connection:
        if not path.endswith(".lock"):
            waits.append(timeout)
        return connect(path, timeout=timeout, **options)

    monkeypatch.setattr(sqlite.sqlite3, "connect", noting)
    with closing(SqliteIndex(tmp_path / "index.sqlite")) as index:
        index.put([stored(1)])
        with closing(connect(index.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for _ in range(3):
                with pytest.raises(IndexFailed, match="locked"):
                    index.put([stored(1)])
            other.execute("ROLLBACK")
        index.put([stored(1)])
        index.put([stored(1)])
    assert waits == [0.3, 0.0, 0.3]
