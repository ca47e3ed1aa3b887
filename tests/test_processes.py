"""Worker processes: what they may know, how they end, and what happens when they die."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import pickle
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from PIL import Image, ImageFile

from scrapy_imgpipe import errors, tasks
from scrapy_imgpipe.errors import ImageBroken, ImagePipeError, SourceRejected, StoreFailed
from scrapy_imgpipe.freshness import Policy
from scrapy_imgpipe.imaging import Plan, Variant
from scrapy_imgpipe.processes import placement, pool
from scrapy_imgpipe.processes import process as process_module
from scrapy_imgpipe.processes.frames import MOST_ANSWER, packed
from scrapy_imgpipe.processes.placement import (
    CROWD,
    FEW_PIECES,
    FEW_SOURCES,
    PROCESS_BYTES,
    Placement,
)
from scrapy_imgpipe.processes.pool import Processes
from scrapy_imgpipe.processes.process import Terms
from scrapy_imgpipe.stores import FileSystemStore
from scrapy_imgpipe.workers import Workers
from tests import calls, taken_over
from tests.fakes import Crawl
from tests.pictures import encoded, jpeg, noise

POSIX = pytest.mark.skipif(os.name != "posix", reason="process groups and signals of POSIX")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")

PLAN = Plan((Variant("small", 50, 50), Variant("big", 270, 270)))
THUMBS = {"small": "thumbs/small/a.jpg", "big": "thumbs/big/a.jpg"}
A = "http://shop.example/a.jpg"


@pytest.fixture
def processes():
    processes = Processes(most=2)
    yield processes
    processes.close()


@asynccontextmanager
async def open_workers(threads=1, isolation="process"):
    workers = Workers(threads, isolation)
    try:
        yield workers
    finally:
        await workers.close()


def run(function, *args, threads=1, isolation="process"):
    """Return what ``render`` gives for one call, in workers of its own."""

    async def main():
        async with open_workers(threads, isolation) as workers:
            return await workers.render(function, *args)

    return asyncio.run(main())


def is_there(pid):
    """Return whether a process of this id is there, be it a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def rules(store):
    return tasks.Rules(PLAN, Policy(90), store)


def warned(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


# --- the same work ---


@pytest.mark.parametrize(
    "data",
    [jpeg(), jpeg((1000, 700)), encoded(noise(mode="RGBA"), "PNG"), encoded(noise(mode="L"))],
    ids=["thumbnail", "photo", "transparent", "grey"],
)
def test_what_a_process_makes_is_what_a_thread_makes(tmp_path, data):
    made, files = {}, {}
    for isolation in ("thread", "process"):
        store = FileSystemStore(tmp_path / isolation)
        source = tasks.Source("http://x/a.jpg", "full/a.jpg", THUMBS)
        prepared = run(tasks.keep, data, source, rules(store), isolation=isolation)
        made[isolation] = prepared.outputs
        saved = run(tasks.make_and_save, data, source, rules(store), isolation=isolation)
        assert saved.checksum == prepared.saved.checksum
        files[isolation] = saved.files, {path: store.get(path) for path in store.list()}
    assert made["process"] == made["thread"]
    assert files["process"] == files["thread"]
    assert len(made["thread"]) == len(files["thread"][1]) == 3


@pytest.mark.parametrize("size", [0, 1, PROCESS_BYTES, (1 << 20) + 1, 5_000_000, 30_000_000])
def test_bodies_and_answers_of_any_size_go_through(processes, size):
    data = random.Random(size).randbytes(size)
    for _ in range(2):
        assert processes.call(calls.same, data) == data


def test_one_process_for_each_thread_that_asks_at_once_and_no_more():
    seen = set()

    async def main():
        async with open_workers(threads=2) as workers:
            for _ in range(3):
                seen.update(await asyncio.gather(*(workers.render(calls.pid, b"") for _ in "abcd")))

    asyncio.run(main())
    assert 1 <= len(seen) <= 2
    assert os.getpid() not in seen
    assert not any(map(is_there, seen))


def test_small_sources_go_to_a_process_once_there_have_been_a_few():
    async def main():
        async with open_workers(isolation="auto") as workers:
            first = {await workers.render(calls.pid, b"small") for _ in range(FEW_SOURCES)}
            # The next one has a process started, and is done here meanwhile.
            while await workers.render(calls.pid, bytes(PROCESS_BYTES)) == os.getpid():
                assert time.monotonic() < deadline
            large = await workers.render(calls.pid, bytes(PROCESS_BYTES + 1))
            return first, large

    deadline = time.monotonic() + 60
    first, large = asyncio.run(main())
    assert first == {os.getpid()} == {large}


def test_where_a_process_is_decided_when_the_work_begins(monkeypatch):
    """A crowd of small sources does not wait for the first few to be done here."""
    monkeypatch.setattr(placement, "FEW_SOURCES", 3)

    async def main():
        async with open_workers(isolation="auto") as workers:
            here = str(os.getpid()).encode()
            asked = [workers.render(calls.pid_after_a_while_in, here) for _ in range(200)]
            return await asyncio.gather(*asked)

    done_by = asyncio.run(main())
    assert done_by[0] == os.getpid() != done_by[-1]


def test_while_a_process_starts_who_asks_does_the_work(monkeypatch):
    may_start = threading.Event()

    class Held(process_module.WorkerProcess):
        def __init__(self, modules):
            may_start.wait(60)
            super().__init__(modules)

    monkeypatch.setattr(pool, "WorkerProcess", Held)
    processes = Processes(most=1, waits=False)
    assert not processes.starting
    for _ in range(3):
        assert processes.call(calls.pid, b"") == os.getpid()
        assert processes.starting
    may_start.set()
    (starter,) = processes._starters
    starter.join()
    assert not processes.starting
    assert processes.call(calls.pid, b"") != os.getpid()
    processes.close()
    assert processes._busy == 0


def test_a_process_that_still_starts_at_the_end_is_ended():
    processes = Processes(most=1, waits=False)
    processes.call(calls.pid, b"")
    (starter,) = processes._starters
    processes.close()
    assert not starter.is_alive()
    assert (processes._busy, processes._idle) == (0, [])


def test_without_a_thread_to_start_it_there_is_no_process(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    processes = Processes(most=1, waits=False)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert processes.call(calls.pid, b"") == os.getpid()
    assert (processes._busy, processes._starters) == (0, [])
    assert processes.usable


def test_large_sources_do_not_count_towards_the_few(monkeypatch):
    monkeypatch.setattr(placement, "FEW_SOURCES", 1)

    async def main():
        async with open_workers(isolation="auto") as workers:
            return [await workers.render(calls.pid, bytes(PROCESS_BYTES + 1)) for _ in range(3)] + [
                await workers.render(calls.pid, b"small")
            ]

    assert set(asyncio.run(main())) == {os.getpid()}


def test_one_process_is_enough_until_there_is_a_crowd_most_of_the_time():
    asked = Placement("auto", threads=3)
    few, many = 3 * CROWD, 3 * CROWD + 1

    def count(under_way):
        asked.count_source(9, under_way)
        return asked.of_source(9)

    assert not any(count(many) for _ in range(FEW_SOURCES))
    assert all(count(under_way) for under_way in [many, few] * FEW_SOURCES)
    assert asked.processes == 1
    seen = [(count(many), asked.processes)[1] for _ in range(4 * FEW_SOURCES)]
    assert seen.index(2) == FEW_SOURCES - 1
    assert seen.index(3) == 2 * FEW_SOURCES - 1
    assert max(seen) == 3


def test_a_crowd_that_shrinks_brings_no_further_process():
    asked = Placement("auto", threads=3)
    for under_way in range(10 * FEW_SOURCES, 3 * CROWD, -1):
        asked.count_source(9, under_way)
    assert asked.processes == 1


@pytest.mark.parametrize(
    ("isolation", "first", "later"),
    [
        ("thread", False, False),
        ("auto", False, True),
        ("process", True, True),
    ],
)
def test_short_work_goes_to_a_process_once_there_has_been_some(isolation, first, later):
    asked = Placement(isolation, threads=1)
    assert asked.of_pieces() is first
    for _ in range(FEW_PIECES):
        asked.count_pieces(1, 1)
    assert asked.of_pieces() is later


def test_short_work_stays_where_it_is_as_long_as_there_is_little_to_do():
    asked = Placement("auto", threads=1)
    for _ in range(FEW_PIECES):
        asked.count_pieces(1, 32)
    assert not asked.of_pieces()
    for _ in range(10):
        asked.count_pieces(32, 32)
    assert asked.of_pieces()


def test_who_finds_all_processes_busy_does_its_work_itself(processes):
    processes.most = 1
    with ThreadPoolExecutor(1) as thread:
        busy = thread.submit(processes.call, time.sleep, None, 0.5)
        while not processes._busy:
            time.sleep(0.001)
        assert processes.call(calls.pid, b"") == os.getpid()
        busy.result()
    assert processes.call(calls.pid, b"") != os.getpid()


def test_threads_only_means_no_process():
    pids = {run(calls.pid, b"", isolation="thread") for _ in range(2)}
    assert pids == {os.getpid()}


# --- errors ---


@pytest.mark.parametrize(
    "error",
    [
        kind(f"Reason of {code}", code)
        for kind in (SourceRejected, ImageBroken, StoreFailed, errors.HookFailed)
        for code in kind.codes
    ],
    ids=lambda error: error.code,
)
def test_errors_of_ours_arrive_as_they_were(processes, error):
    with pytest.raises(ImagePipeError) as caught:
        processes.call(calls.fail, b"x", error)
    got = caught.value
    assert type(got) is type(error)
    assert (got.reason, got.code, str(got)) == (error.reason, error.code, str(error))
    assert got.__cause__ is None
    assert got.__context__ is None


@pytest.mark.parametrize("kind", [MemoryError, KeyError])
def test_other_errors_arrive_too_and_the_process_lives_on(processes, kind):
    first = processes.call(calls.pid, b"")
    with pytest.raises(kind):
        processes.call(calls.fail, b"x", kind)
    assert processes.call(calls.pid, b"") == first


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_what_would_end_an_event_loop_arrives_as_an_error_that_says_so(processes, kind):
    first = processes.call(calls.pid, b"")
    with pytest.raises((RuntimeError, errors.HookFailed), match=kind.__name__):
        processes.call(calls.fail, b"x", kind)
    assert processes.call(calls.pid, b"") == first


def test_what_cannot_travel_back_is_told_in_words(processes):
    with pytest.raises(RuntimeError, match=r"^Sealed: 1 and 2$"):
        processes.call(calls.fail_sealed, b"")
    with pytest.raises(RuntimeError, match=r"^KeyError: <tests.taken_over.Running object"):
        processes.call(taken_over.fail_with_a_thing, b"")
    with pytest.raises(RuntimeError, match=r"^PicklingError: No answer has a .*lambda"):
        processes.call(calls.unpicklable, b"")
    with pytest.raises(RuntimeError, match=r"^PicklingError: No answer has a PIL.Image.Image"):
        processes.call(taken_over.of_no_class_that_travels, b"")
    assert processes.call(calls.same, b"x") == b"x"


def test_text_and_numbers_of_classes_of_their_own_arrive_plain(processes):
    text, number, mapping = processes.call(taken_over.of_its_own_classes, b"")
    assert (text, number, mapping) == ("a", 5, {"b": (6, b"c")})
    assert {type(text), type(number), *map(type, mapping)} == {str, int}


def test_what_cannot_travel_there_is_done_here_and_said_once(caplog):
    processes = Processes(most=2, level=logging.WARNING)
    for _ in range(2):
        assert processes.call(lambda data: os.getpid(), b"") == os.getpid()
    processes.close()
    (said,) = warned(caplog)
    assert said.startswith("Threads do what worker processes are for: ")


def test_what_is_not_known_there_is_done_here(processes, monkeypatch):
    # As in a script whose __main__ has a function that no other process imports.
    monkeypatch.setattr(sys.modules["__main__"], "own", own := Own(), raising=False)
    assert processes.call(own, b"x") == (os.getpid(), b"x")
    assert processes.call(calls.pid, b"") != os.getpid()


class Own:
    """A function of ``__main__``, as pickle sees it."""

    def __call__(self, data):
        return os.getpid(), data

    def __reduce__(self):
        return "own"

    __module__ = "__main__"
    __name__ = __qualname__ = "own"


def test_warnings_of_there_are_shown_here():
    with pytest.warns(Image.DecompressionBombWarning, match=r"^large$"):
        run(calls.warn, b"large")


def test_a_warning_of_a_class_that_may_not_travel_is_shown_as_its_base():
    with pytest.warns(RuntimeWarning, match=r"^odd$") as caught:
        run(taken_over.warn_strangely, b"")
    assert [(one.category, one.filename[0]) for one in caught] == [(RuntimeWarning, "<")]


# --- what a process knows ---


def test_it_has_no_secret_no_scrapy_and_no_file_of_ours(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("MY_PASSWORD", "secret")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    with socket.create_server(("127.0.0.1", 0)) as inheritable:
        inheritable.set_inheritable(True)
        there = run(calls.surroundings, b"")
    assert "secret" not in there["environment"].values()
    assert there["environment"]["LC_ALL"] == "C.UTF-8"
    assert there["environment"]["PATH"] == os.environ["PATH"]
    assert "HOME" not in there["environment"]
    roots = {name.partition(".")[0] for name in there["modules"]}
    assert "scrapy_imgpipe" in roots
    assert not roots & {"scrapy", "twisted", "pytest", "multiprocessing", "itemadapter"}
    assert there["main"] is None
    # Its own three, two pipes, and the directory that is being read.
    assert len(there["files"]) <= 6
    assert not [name for name in there["files"] if "socket" in name]


@LINUX
def test_of_our_files_it_has_its_two_pipes_and_standard_error(processes, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server, (tmp_path / "file").open("wb") as file:
        pipe = os.pipe()
        for descriptor in (server.fileno(), file.fileno(), *pipe):
            os.set_inheritable(descriptor, True)
        pid = processes.call(calls.pid, b"")
        another = processes._take(fresh=True)
        there = processes.call(calls.descriptors, b"")
        for descriptor in pipe:
            os.close(descriptor)
    processes._give_back(another)
    (process,) = (one for one in processes._idle if one.pid == pid)
    opened = Path("/proc/self/fd")
    ours = {str((opened / str(end)).readlink()) for end in (process._calls, process._answers)}
    assert len(ours) == 2
    assert {there.pop(number) for number in set(there) - {0, 1, 2}} == ours
    stderr = str((opened / "2").readlink())
    assert there == {0: os.devnull, 1: stderr, 2: stderr}


@LINUX
def test_its_first_environment_has_no_secret_either(processes, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    environment = Path(f"/proc/{processes.call(calls.pid, b'')}/environ").read_bytes()
    assert b"PATH=" in environment
    assert b"AWS" not in environment


@POSIX
def test_the_terminal_does_not_reach_it(processes):
    there = processes.call(calls.surroundings, b"")
    pid = processes.call(calls.pid, b"")
    assert there["group"] == pid != os.getpgrp()
    assert there["ignores"]
    os.kill(pid, signal.SIGINT)
    assert processes.call(calls.pid, b"") == pid


def test_stray_output_and_input_do_not_disturb(processes, capfd):
    for _ in range(2):
        assert processes.call(calls.chatter, b"") == ""
    assert processes.call(calls.same, b"x") == b"x"
    processes.close()
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("stray") == 4


def test_pillows_settings_are_those_of_here(monkeypatch):
    async def main():
        async with open_workers() as workers:
            seen = [await workers.render(calls.pillow, b"")]
            with monkeypatch.context() as patch:
                patch.setattr(Image, "MAX_IMAGE_PIXELS", None)
                patch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
                seen += [await workers.render(calls.pillow, b"") for _ in range(2)]
            return [*seen, await workers.render(calls.pillow, b"")]

    default = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    assert asyncio.run(main()) == [default, (None, True), (None, True), default]


def test_with_a_plugin_of_another_package_work_stays_here(monkeypatch, caplog):
    def factory(source, name):
        raise SyntaxError

    monkeypatch.setitem(Image.OPEN, "MINE", (factory, None))
    assert run(calls.pid, b"") == os.getpid()
    assert len(warned(caplog)) == 1
    assert "plug-in" in warned(caplog)[0]


def test_a_process_keeps_one_store_for_each_directory(tmp_path, processes):
    one, other = FileSystemStore(tmp_path / "one"), FileSystemStore(tmp_path / "other")
    first, again = (processes.call(calls.identity, b"", one) for _ in range(2))
    assert first == again
    assert processes.call(calls.identity, b"", other) != first


def test_a_store_sent_elsewhere_is_the_same_place(tmp_path):
    store = FileSystemStore(tmp_path)
    store.put("full/a.jpg", b"x")
    assert pickle.loads(pickle.dumps(store)).get("full/a.jpg") == b"x"


# --- death ---


def test_one_that_died_while_idle_is_replaced(processes):
    pid = processes.call(calls.pid, b"")
    os.kill(pid, calls.KILL)
    assert processes.call(calls.same, b"x") == b"x"
    assert processes.call(calls.pid, b"") != pid


def test_one_that_dies_at_work_is_replaced_and_the_image_arrives(tmp_path):
    store, data = FileSystemStore(tmp_path), jpeg()

    async def main():
        async with open_workers() as workers:
            with socket.create_server(("127.0.0.1", 0)) as server:
                port = server.getsockname()[1]
                answer = asyncio.ensure_future(workers.render(calls.report_to, b"", port))
                pids = []
                for reply in (b"", b"alive"):
                    connection, _ = await asyncio.to_thread(server.accept)
                    with connection:
                        pids.append(int.from_bytes(await asyncio.to_thread(connection.recv, 8)))
                        if reply:
                            connection.sendall(reply)
                        else:
                            os.kill(pids[-1], calls.KILL)
                            assert await asyncio.to_thread(connection.recv, 1) == b""
                assert await answer == b"alive"
            assert pids[0] != pids[1]
            assert not is_there(pids[0])
            source = tasks.Source("http://x/a.jpg", "full/a.jpg", THUMBS)
            saved = await workers.render(tasks.make_and_save, data, source, rules(store))
            assert saved.files == 3

    asyncio.run(main())
    assert store.get("full/a.jpg") == data


def test_what_kills_two_is_given_up_and_the_next_one_works(caplog):
    async def main():
        async with open_workers() as workers:
            with pytest.raises(ImageBroken) as caught:
                await workers.render(calls.die, jpeg())
            assert await workers.render(calls.same, b"x") == b"x"
            return caught.value

    error = asyncio.run(main())
    assert error.code == "crashed"
    how = "SIGKILL" if os.name == "posix" else ""
    assert how in error.reason
    assert warned(caplog) == []


def test_what_killed_one_is_never_done_here(processes, monkeypatch, caplog):
    assert processes.call(calls.pid, b"") != os.getpid()
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(ImageBroken) as caught:
        processes.call(calls.die, b"")
    assert caught.value.code == "crashed"
    assert len(warned(caplog)) == 1


def test_a_dead_idle_one_that_cannot_be_replaced_costs_nothing(processes, monkeypatch):
    process = processes.call(calls.pid, b"")
    os.kill(process, calls.KILL)
    (idle,) = processes._idle
    idle._process.wait()
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert processes.call(calls.pid, b"") == os.getpid()


def test_a_replacement_that_does_not_start_is_tried_again(processes, monkeypatch, caplog, tmp_path):
    """As where the system is short of memory for a moment: the image is not lost."""
    ready = process_module.WorkerProcess.wait_until_ready
    starts = []

    def fail_second(process):
        starts.append(process)
        if len(starts) == 2:
            process.kill()
        ready(process)

    monkeypatch.setattr(process_module.WorkerProcess, "wait_until_ready", fail_second)
    mark = str(tmp_path / "been here").encode()
    assert processes.call(calls.die_the_first_time, mark) == "alive"
    assert len(starts) == 3
    assert processes.call(calls.pid, b"") == starts[2].pid
    assert warned(caplog) == []


def test_one_killed_before_its_first_call_has_not_died_of_it(processes, monkeypatch):
    monkeypatch.setattr(pool, "MOST_DEATHS", 1)
    process = processes._take(fresh=True)
    process.kill()
    process._process.wait()
    processes._give_back(process)
    assert processes.call(calls.pid, b"") not in {os.getpid(), process.pid}


def test_where_all_are_killed_while_they_are_idle_the_work_is_done_here(processes, monkeypatch):
    ready = process_module.WorkerProcess.wait_until_ready

    def killed_then(process):
        ready(process)
        process.kill()
        process._process.wait()

    monkeypatch.setattr(process_module.WorkerProcess, "wait_until_ready", killed_then)
    assert processes.call(calls.pid, b"") == os.getpid()
    assert processes._busy == 0


@POSIX
def test_one_that_hangs_at_its_start_does_not_hold_up_the_end(tmp_path, monkeypatch, caplog):
    _hangs(monkeypatch, tmp_path)
    monkeypatch.setattr(process_module, "START_SECONDS", 100_000)
    processes = Processes(most=1, waits=False)
    assert processes.call(calls.pid, b"") == os.getpid()
    processes.close()  # or the test's own time is up
    assert (processes._busy, processes._opening) == (0, set())
    assert warned(caplog) == []


# --- what it may do when a decoder is taken over ---


@pytest.fixture
def holders(tmp_path):
    """A folder for the pids of programs that hold pipes; ended at the end."""
    folder = tmp_path / "holders"
    folder.mkdir()
    yield folder
    for pid in folder.iterdir():
        os.kill(int(pid.name), calls.KILL)


def frame(length, body=b""):
    return length.to_bytes(8, "little") + body


@POSIX
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "UnpicklingError: no answer has a posix.system"),
        (b"\xff" * 64, "56 bytes came where it says 18446744073709551615"),
        (frame(1 << 62), f"0 bytes came where it says {1 << 62}"),
        (frame(MOST_ANSWER + 1), f"0 bytes came where it says {MOST_ANSWER + 1}"),
        (frame(4, b"N.more"), "6 bytes came where it says 4"),
        (frame(2, b"N."), "TypeError: cannot unpack"),
        (frame(5, b"(K\x00K\x00") + b"t.", "7 bytes came where it says 5"),
    ],
    ids=["code", "noise", "huge", "large", "more", "no tuple", "less"],
)
def test_an_answer_that_is_none_is_the_death_of_its_process(processes, tmp_path, answer, why):
    mark = tmp_path / "mark"
    first = processes.call(calls.pid, b"")
    with pytest.raises(ImageBroken) as caught:
        processes.call(taken_over.write_to_all, answer or taken_over.running(str(mark)))
    assert caught.value.code == "crashed"
    assert f"A worker process died of it twice (its answer was none: {why}" in str(caught.value)
    assert not mark.exists()
    assert not is_there(first)
    assert processes.call(calls.pid, b"") not in {first, os.getpid()}


@POSIX
def test_an_answer_that_never_comes_whole_is_ended_by_the_time_limit():
    """It takes no memory: only what has come is kept."""
    processes = Processes(1, Terms(seconds=2))
    with pytest.raises(ImageBroken) as caught:
        processes.call(taken_over.write_to_all, frame(MOST_ANSWER, b"begin"))
    processes.close()
    assert caught.value.code == "timed-out"


def test_an_answer_for_which_there_is_no_memory_is_none(processes, monkeypatch):
    def refuse(stream):
        raise MemoryError

    monkeypatch.setattr(process_module.answers, "read", refuse)
    with pytest.raises(ImageBroken, match="its answer was none") as caught:
        processes.call(calls.pid, b"")
    assert caught.value.code == "crashed"


@LINUX
def test_nobody_waits_past_the_time_limit_for_who_holds_the_pipe_of_answers(holders):
    processes = Processes(1, Terms(seconds=2))
    with pytest.raises(ImageBroken) as caught:
        processes.call(taken_over.hold_and_hang, b"", str(holders))
    assert caught.value.code == "timed-out"
    assert processes.call(calls.same, b"x") == b"x"
    processes.close()
    (holder,) = holders.iterdir()
    assert is_there(int(holder.name))


@LINUX
def test_nobody_waits_past_the_time_limit_for_who_holds_the_pipe_of_calls(holders):
    processes = Processes(1, Terms(seconds=2))
    pid = processes.call(calls.pid, b"")
    holder = processes.call(taken_over.hold, b"", str(holders))
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(ImageBroken) as caught:
        processes.call(calls.same, bytes(30_000_000))
    assert caught.value.code == "timed-out"
    processes.close()
    assert not is_there(pid)
    assert is_there(holder)


@LINUX
def test_one_that_is_killed_while_it_starts_is_not_waited_for(holders, monkeypatch):
    process = process_module.WorkerProcess(Terms())
    process.wait_until_ready()
    call = packed(None) + packed((taken_over.hold, (b"", str(holders))))
    process.ask(call, None)
    with ThreadPoolExecutor(1) as thread:  # as if it had not said yet that it is ready
        ready = thread.submit(process.wait_until_ready)
        process.kill()
        assert isinstance(ready.exception(), process_module.NotStarted)


def test_what_is_killed_takes_no_call():
    process = process_module.WorkerProcess(Terms())
    process.wait_until_ready()
    process.kill()
    with pytest.raises(process_module.Died) as caught:
        process.ask(packed(None) + packed((calls.pid, (b"",))), None)
    assert not caught.value.under_work
    process.end()


@POSIX
def test_a_fork_that_outlives_a_process_does_not_hide_its_death(processes, holders):
    with pytest.raises(ImageBroken, match=r"exit code 3") as caught:
        processes.call(taken_over.fork_and_die, b"", str(holders))
    assert caught.value.code == "crashed"
    assert len(list(holders.iterdir())) == 2


@POSIX
def test_a_fork_does_not_answer(processes):
    for _ in range(2):
        assert processes.call(taken_over.answer_of_a_fork, b"") == b"parent"
    assert processes.call(calls.same, b"x") == b"x"


# --- no process to be had ---


def _frozen(patch, folder):
    patch.setattr(sys, "frozen", True, raising=False)


def _no_python(patch, folder):
    patch.setattr(sys, "executable", "")


def _not_there(patch, folder):
    patch.setattr(sys, "executable", str(folder / "python"))


def _no_package(patch, folder):
    patch.setattr(sys, "path", [str(folder)])


def _another_program(patch, folder):
    program = folder / "python"
    program.write_text("#!/bin/sh\necho none of yours\n")
    program.chmod(0o755)
    patch.setattr(sys, "executable", str(program))


def _hangs(patch, folder):
    program = folder / "python"
    program.write_text("#!/bin/sh\nexec cat\n")
    program.chmod(0o755)
    patch.setattr(sys, "executable", str(program))
    patch.setattr(process_module, "START_SECONDS", 0.1)


STARTS = {
    "frozen": (_frozen, "no Python"),
    "no Python": (_no_python, "no Python"),
    "not there": (_not_there, "FileNotFoundError"),
    "no package": (_no_package, "No module named 'scrapy_imgpipe'"),
    "another program": pytest.param(_another_program, "none of yours", marks=POSIX),
    "hangs": pytest.param(_hangs, "not ready within", marks=POSIX),
}


@pytest.mark.parametrize(
    ("how", "why"),
    [value if hasattr(value, "marks") else pytest.param(*value) for value in STARTS.values()],
    ids=list(STARTS),
)
def test_where_none_can_be_started_threads_do_all_of_it(
    how, why, tmp_path, monkeypatch, caplog, capfd
):
    data, store = jpeg(), FileSystemStore(tmp_path / "store")

    async def main():
        async with open_workers(threads=2) as workers:
            work = [
                tasks.Source("", f"full/{n}.jpg", {k: f"{k}/{n}.jpg" for k in THUMBS})
                for n in range(6)
            ]
            render = functools.partial(workers.render, tasks.make_and_save, data)
            await asyncio.gather(*(render(each, rules(store)) for each in work))
            return await workers.render(calls.pid, b"")

    with monkeypatch.context() as patch:
        how(patch, tmp_path)
        assert asyncio.run(main()) == os.getpid()
    assert len(list(store.list())) == 18
    (said,) = warned(caplog)
    assert said.startswith("No worker process can be started, threads do its work: ")
    assert why in said
    assert capfd.readouterr() == ("", "")


# --- the end ---


def test_closing_finishes_what_has_begun_and_leaves_no_process():
    async def main():
        workers = Workers(1, "process")
        with socket.create_server(("127.0.0.1", 0)) as server:
            ask = asyncio.ensure_future(
                workers.render(calls.report_to, b"", server.getsockname()[1])
            )
            connection, _ = await asyncio.to_thread(server.accept)
            with connection:
                pid = int.from_bytes(await asyncio.to_thread(connection.recv, 8))
                closing = asyncio.ensure_future(workers.close())
                with pytest.raises(errors.HookFailed):
                    await ask
                assert not closing.done()
                assert is_there(pid)
                connection.sendall(b"go on")
                await closing
        return pid

    assert not is_there(asyncio.run(main()))


def test_after_closing_no_process_comes_back(processes):
    pid = processes.call(calls.pid, b"")
    processes.close()
    processes.close()
    assert not is_there(pid)
    assert processes.call(calls.pid, b"") == os.getpid()


@POSIX
def test_one_that_does_not_end_is_killed(processes, monkeypatch):
    monkeypatch.setattr(process_module, "END_SECONDS", 0.05)
    pid = processes.call(calls.pid, b"")
    os.kill(pid, signal.SIGSTOP)
    processes.close()
    assert not is_there(pid)


def test_one_under_way_while_all_are_closed_ends_when_it_has_answered(processes):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        answers = []
        thread = threading.Thread(
            target=lambda: answers.append(processes.call(calls.report_to, b"", port))
        )
        thread.start()
        connection, _ = server.accept()
        with connection:
            pid = int.from_bytes(connection.recv(8))
            processes.close()
            connection.sendall(b"done")
            thread.join()
    assert answers == [b"done"]
    assert not is_there(pid)


KILLED = """
import asyncio, sys
from scrapy_imgpipe.workers import Workers
from tests import calls, taken_over
async def main():
    workers = Workers(2, "process")
    busy = asyncio.ensure_future(workers.render(calls.report_to, b"", int(sys.argv[1])))
    print(await workers.render(calls.pid, b""), flush=True)
    await busy
asyncio.run(main())
"""


@POSIX
def test_the_death_of_who_started_it_is_its_end():
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        script("-c", KILLED, str(server.getsockname()[1]), stderr=subprocess.PIPE) as parent,
    ):
        connection, _ = server.accept()
        idle = int(parent.stdout.readline())
        with connection:
            busy = int.from_bytes(connection.recv(8))
            assert idle != busy
            parent.kill()
            parent.wait()
            assert parent.stdout.read() == ""
            connection.sendall(b"done")
        # All of them have this pipe: it ends when the last of them has ended.
        assert parent.stderr.read() == ""


# --- scripts ---

SCRIPT = """
import asyncio, os, sys
with open(sys.argv[1] + "/ran", "a") as ran:
    ran.write(f"{os.getpid()} {__name__}\\n")
from pathlib import Path
from scrapy_imgpipe import Plan, FileSystemStore, tasks
from scrapy_imgpipe.freshness import Policy
from scrapy_imgpipe.workers import Workers
async def main():
    workers = Workers(2, "process")
    data = Path(sys.argv[1], "a.jpg").read_bytes()
    store = FileSystemStore(sys.argv[1] + "/store")
    rules = tasks.Rules(Plan(), Policy(90), store)
    work = [(data, tasks.Source("", f"full/{n}.jpg"), rules) for n in range(4)]
    await asyncio.gather(*(workers.render(tasks.make_and_save, *each) for each in work))
    assert len(workers._processes._idle) in (1, 2)
    await workers.close()
    print("done")
asyncio.run(main())
"""


def script(*arguments, **kwargs):
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        **kwargs,
    )


@pytest.mark.parametrize("how", ["file", "-c", "stdin"])
def test_scripts_without_a_main_guard_run_once(tmp_path, how):
    data = jpeg()
    Path(tmp_path, "a.jpg").write_bytes(data)
    file = tmp_path / "script.py"
    file.write_text(SCRIPT)
    arguments = {"file": [str(file)], "-c": ["-c", SCRIPT], "stdin": ["-"]}[how]
    with script(
        *arguments, str(tmp_path), stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        out, err = running.communicate(SCRIPT if how == "stdin" else None, timeout=60)
    assert (out, err) == ("done\n", "")
    assert Path(tmp_path, "ran").read_text() == f"{running.pid} __main__\n"
    stored = FileSystemStore(tmp_path / "store")
    assert [stored.get(path) for path in stored.list()] == [data] * 4


TWISTED = """
from twisted.internet import selectreactor; selectreactor.install()
from twisted.internet import reactor
from scrapy.utils.defer import deferred_from_coro
from scrapy_imgpipe.workers import Workers
from tests import calls, taken_over
import os
workers = Workers(2, "process")
async def main():
    try:
        print(await workers.render(calls.pid, b"") != os.getpid())
    finally:
        await workers.close()
        reactor.stop()
reactor.callWhenRunning(lambda: deferred_from_coro(main()).addErrback(lambda f: f.printTraceback()))
reactor.run()
"""


def test_it_works_under_a_reactor_that_is_not_asyncios():
    with script("-c", TWISTED) as running:
        out, _ = running.communicate(timeout=60)
    assert out == "True\n"


# --- the pipeline ---


def test_the_pipeline_renders_in_processes_where_it_is_told_to(tmp_path):
    data, broken = encoded(noise(mode="RGBA"), "PNG"), jpeg()[:-400]
    answers = {A: data, A + "?broken": broken}
    found = {}
    for isolation in ("thread", "process"):
        settings = {"IMGPIPE_ISOLATION": isolation, "IMGPIPE_KEEP_FAILED": True}
        settings["IMAGES_THUMBS"] = {"small": (50, 50)}
        with Crawl(tmp_path / isolation, answers, **settings) as crawl:
            found[isolation] = crawl.images(*answers), crawl.files(), crawl.outcomes()
            used = len(crawl.pipeline.workers._processes._idle)
        assert bool(used) is (isolation == "process")
    assert found["process"] == found["thread"]
    assert found["thread"][2] == {"stored": 1, "broken": 1}


def test_overridden_hooks_keep_rendering_here_and_it_is_said_once(tmp_path, caplog):
    from scrapy_imgpipe import ImagesPipeline

    class Mine(ImagesPipeline):
        def convert_image(self, image, size=None, *, response_body):
            pids.add(os.getpid())
            return super().convert_image(image, size, response_body=response_body)

    pids = set()
    answers = {A: jpeg(), A + "?2": jpeg()}
    with Crawl(tmp_path, answers, Mine, IMGPIPE_ISOLATION="process") as crawl:
        assert len(crawl.images(*answers)) == 2
    assert pids == {os.getpid()}
    assert warned(caplog) == ["Rendering in this process: convert_image overridden"]
