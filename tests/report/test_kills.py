"""What is left of a report when its writer is killed, and when the disk is full."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from scrapy_imgpipe.report import open_report, read_rows
from tests.report.rows import FORMATS, full, row

POSIX = pytest.mark.skipif(os.name != "posix", reason="limits and signals of POSIX")

KILLS = 6
BATCH = 40
HEAD = f"""
import sys
from itertools import count
from pathlib import Path
from scrapy_imgpipe.errors import StoreFailed
from scrapy_imgpipe.report import open_report
from scrapy_imgpipe.report.parquet_files import ParquetReport
path, first = Path(sys.argv[1]), int(sys.argv[2])

def opened(append):
    if path.suffix == ".parquet":  # so that a part is a batch
        return ParquetReport(path, append=append, part_rows={BATCH})
    return open_report(path, append=append)

def batch(number, **further):
    return [
        {{"url": f"https://example.com/{{number}}/{{place}}", "slot": number * {BATCH} + place,
          "reason": 'a\\r\\n"b",' * 20, **further}}
        for place in range({BATCH})
    ]
"""


@pytest.fixture(params=FORMATS)
def path(request, tmp_path):
    return tmp_path / f"report.{request.param}"


def start(script, path, first=0):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", HEAD + script, str(path), str(first)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def run(script, path):
    with start(script, path) as child:
        output, _ = child.communicate(timeout=60)
    return child.returncode, output.strip()


def slots(path):
    return [found["slot"] for found in read_rows(path)]


# Every batch has a column of its own, so that CSV is written anew each time.
WRITE_FOR_EVER = """
report = opened(append=True)
for number in count(first):
    report.write(batch(number, **{f"column_{number}": "x" * 100}))
    print(number, flush=True)
"""


def test_killed_at_any_moment(path):
    # Seeded, so that a failure names its moments; they are random all the same.
    chance = random.Random(20)
    first = 0
    for _ in range(KILLS):
        with start(WRITE_FOR_EVER, path, first) as child:
            assert child.stdout is not None
            for _ in range(chance.randrange(1, 6)):
                told = int(child.stdout.readline())
            moment = time.perf_counter() + chance.random() / 100
            while time.perf_counter() < moment:
                pass
            child.kill()
            told = int((child.stdout.read().split() or [told])[-1])
        found = slots(path)
        # Of the batch that was under way, some first rows may be there.
        assert (told + 1) * BATCH <= len(found) <= (told + 2) * BATCH
        assert found == list(range(len(found)))
        # The next one goes on after a batch that ends where this one was cut.
        first = told + 2
        report = open_report(path, append=True)
        report.write([row(number) for number in range(len(found), first * BATCH)])
        report.close()
    assert slots(path) == list(range(first * BATCH))
    assert [found.name for found in path.parent.iterdir()] == [path.name]


# SIGXFSZ ends the process in the middle of write(2), after part of the data.
DIE_WHILE_WRITING = """
import resource, signal
report = opened(append=False)
report.write(batch(0))
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
size = 5000 if path.is_dir() else path.stat().st_size + 9000
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
report.write([row for number in range(1, 100) for row in batch(number, column="x" * 500)])
"""


@POSIX
def test_killed_in_the_middle_of_a_write(path):
    assert run(DIE_WHILE_WRITING, path)[0] == -signal.SIGXFSZ
    before = slots(path)
    assert before[:BATCH] == list(range(BATCH))
    assert before == list(range(len(before)))
    report = open_report(path, append=True)
    report.write([row(7, late=1)])
    report.close()
    *rest, last = read_rows(path)
    assert [found["slot"] for found in rest] == before
    assert last == full(row(7, late=1))
    assert list(path.parent.iterdir()) == [path]


FULL_DISK = """
import resource
from scrapy_imgpipe.report import read_rows
report = opened(append=False)
report.write(batch(0))
size = 2000 if path.is_dir() else path.stat().st_size + ROOM
resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
for _ in range(2):
    try:
        report.write(batch(1, column="x" * 5000))
    except StoreFailed as failure:
        print(failure.code, failure)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(sum(1 for _ in read_rows(path)))
print(*(file.name for file in path.parent.rglob("*") if file.name.startswith(".")))
report.write(batch(1, column="x" * 5000))
report.close()
"""


@POSIX
@pytest.mark.parametrize("room", [9000, -100])  # -100: no room to write CSV anew
def test_a_full_disk_costs_the_batch_and_nothing_else(path, room):
    code, output = run(FULL_DISK.replace("ROOM", str(room)), path)
    assert code == 0
    failed, again, rows, left = f"{output}\n".split("\n")
    assert failed == again
    assert failed.startswith(f"store-failed Could not write the report '{path}': ")
    assert (int(rows), left) == (BATCH, "")
    assert slots(path) == list(range(2 * BATCH))
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("extension", ["jsonl", "csv"])
def test_cut_at_every_byte(tmp_path, extension):
    path = tmp_path / f"report.{extension}"
    rows = [row(0, reason='a\r\n"b",\n', alt="é"), row(1), row(2, alt='"'), row(3, reason="\r")]
    report = open_report(path)
    ends = []
    for cells in rows:
        report.write([cells])
        ends.append(path.stat().st_size)
    report.close()
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        kept = [full(cells) for cells, end in zip(rows, ends, strict=True) if end <= length]
        if length < ends[0] and extension == "csv":
            kept = []  # cut in the header that the first row made
        assert list(read_rows(path)) == kept
        report = open_report(path, append=True)
        report.write([row(9, late=True)])
        report.close()
        assert list(read_rows(path)) == [*kept, full(row(9, late=True))]


@pytest.mark.parametrize("extension", ["jsonl", "csv", "sqlite"])
def test_killed_before_the_first_batch(tmp_path, extension):
    path = tmp_path / f"report.{extension}"
    path.write_bytes(b"")
    assert list(read_rows(path)) == []
    report = open_report(path, append=True)
    report.write([row(0)])
    report.close()
    assert list(read_rows(path)) == [full(row(0))]
