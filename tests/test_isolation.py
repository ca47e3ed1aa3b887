"""A decoder that crashes, hangs or eats memory costs one image: real crawls, real processes.

What hurts is a step or a record function of ``tests/hostile.py``: to the pipeline it is one
with the decoder.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
import sys
import threading
import types
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from scrapy_imgpipe import ImagesPipeline, SettingError
from scrapy_imgpipe.errors import ImageBroken
from scrapy_imgpipe.options import PROCESS_MEMORY
from scrapy_imgpipe.processes import placement
from scrapy_imgpipe.processes import process as process_module
from scrapy_imgpipe.processes.frames import packed
from scrapy_imgpipe.processes.pool import Processes
from scrapy_imgpipe.processes.process import Terms
from scrapy_imgpipe.processes.watch import Watch
from scrapy_imgpipe.report import read_rows
from scrapy_imgpipe.values import LEAST_MEMORY
from tests import calls, hostile
from tests.fakes import Crawl
from tests.pictures import jpeg

POSIX = pytest.mark.skipif(os.name != "posix", reason="process groups and signals of POSIX")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="Linux counts private memory")

SITE = "http://shop.example"
BEFORE, BAD, AFTER = (f"{SITE}/{name}.jpg" for name in ("before", "bad", "after"))
PROCESS = {"IMGPIPE_ISOLATION": "process", "IMGPIPE_WORKERS": 1, "IMGPIPE_KEEP_FAILED": True}


@pytest.fixture
def answers():
    return {BEFORE: jpeg(), BAD: jpeg((hostile.WIDTH, 30)), AFTER: jpeg()}


@pytest.fixture
def open_processes():
    """Return a function that opens processes under terms; all are closed at the end."""
    opened = []

    def open_some(**terms):
        opened.append(Processes(2, Terms(**terms)))
        return opened[-1]

    yield open_some
    for processes in opened:
        processes.close()


def warned(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def crawled(folder, answers, **settings):
    """Crawl the three pictures, one after the other; return their slots, and the report."""
    report = folder / "report.jsonl"
    settings = {**PROCESS, "IMGPIPE_REPORT": str(report), **settings}
    with Crawl(folder / "store", answers, **settings) as crawl:
        slots = [crawl.images(url)[0] for url in answers]
        stored = {path for path in crawl.files() if path.startswith("full/")}
    assert stored == {slot["path"] for slot in slots if slot["path"]}
    return slots, {row["url"]: row for row in read_rows(report)}, crawl.outcomes()


def with_step(name, **arguments):
    # As wide as the wide ones become, so that the narrow one stays as it is.
    step = {f"tests.hostile.{name}": arguments} if arguments else f"tests.hostile.{name}"
    card = {"width": 100, "steps": [step]}
    return {"IMGPIPE_RENDITIONS": {"card": card}, "IMGPIPE_RECORD": ["tests.hostile.pid"]}


def with_record(name):
    return {"IMGPIPE_RECORD": ["tests.hostile.pid", f"tests.hostile.{name}"]}


# --- one image is lost, no other ---


@pytest.mark.parametrize(
    ("hurts", "limits", "outcome", "why"),
    [
        pytest.param(
            with_step("hang"),
            {"IMGPIPE_TIMEOUT_SECONDS": 3},
            "timed-out",
            "It took a worker process more than the 3 s of IMGPIPE_TIMEOUT_SECONDS",
            id="a step hangs",
        ),
        pytest.param(
            with_record("hanging"),
            {"IMGPIPE_TIMEOUT_SECONDS": "3.0"},
            "timed-out",
            "It took a worker process more than the 3 s of IMGPIPE_TIMEOUT_SECONDS",
            id="a record function hangs",
        ),
        pytest.param(
            with_step("leave"),
            {},
            "crashed",
            "A worker process died of it twice (exit code 3)",
            id="a step ends the process",
        ),
        pytest.param(
            with_step("crash"),
            {},
            "crashed",
            "A worker process died of it twice (SIGSEGV)",
            id="a step crashes",
            marks=POSIX,
        ),
        pytest.param(
            with_record("crashing"),
            {},
            "crashed",
            "A worker process died of it twice (SIGSEGV)",
            id="a record function crashes",
            marks=POSIX,
        ),
        pytest.param(
            with_step("eat"),
            {"IMGPIPE_MEMORY_LIMIT": LEAST_MEMORY},
            "crashed",
            "A worker process died of it twice (more than the 128 MiB of IMGPIPE_MEMORY_LIMIT)",
            id="a step eats memory",
            marks=LINUX,
        ),
    ],
)
def test_it_costs_one_image(tmp_path, caplog, answers, hurts, limits, outcome, why):
    (before, bad, after), rows, outcomes = crawled(tmp_path, answers, **hurts, **limits)
    assert outcomes == {"stored": 2, outcome: 1}
    assert [before["status"], after["status"]] == ["downloaded", "downloaded"]
    assert (bad["path"], bad["outcome"], bad["reason"]) == (None, outcome, why)
    assert [rows[url]["outcome"] for url in answers] == ["stored", outcome, "stored"]
    assert rows[BAD]["reason"] == why
    assert len({os.getpid(), rows[BEFORE]["pid"], rows[AFTER]["pid"]}) == 3
    (said,) = warned(caplog)
    assert said.startswith("File (error): Error processing file from <GET http://shop.example/bad")
    assert said.endswith(f": {why}")


@pytest.mark.parametrize("isolation", ["process", "thread"])
@pytest.mark.parametrize(
    ("kind", "why"), [("exit", "SystemExit: 5"), ("interrupt", "KeyboardInterrupt")]
)
def test_a_step_that_would_end_an_event_loop_costs_one_image(
    tmp_path, answers, isolation, kind, why
):
    step = {"tests.taken_over.raising": {"kind": kind}}
    settings = {
        "IMGPIPE_RENDITIONS": {"card": {"width": 100, "steps": [step]}},
        "IMGPIPE_ISOLATION": isolation,
    }
    (_, bad, _), rows, outcomes = crawled(tmp_path, answers, **settings)
    assert outcomes == {"stored": 2, "hook-failed": 1}
    assert bad["reason"].startswith("The step tests.taken_over.raising")
    assert bad["reason"].endswith(f" failed: {why}")
    assert rows[BAD]["outcome"] == "hook-failed"


@pytest.mark.parametrize("isolation", ["process", "thread"])
@pytest.mark.parametrize(
    ("name", "why"), [("leaving", "SystemExit: 5"), ("interrupting", "KeyboardInterrupt")]
)
def test_a_record_function_that_would_end_an_event_loop_costs_its_answer(
    tmp_path, answers, isolation, name, why
):
    record = [f"tests.taken_over.{name}", "tests.hostile.pid"]
    settings = {"IMGPIPE_RECORD": record, "IMGPIPE_ISOLATION": isolation}
    _, rows, outcomes = crawled(tmp_path, answers, **settings)
    assert outcomes == {"stored": 3}
    assert rows[BAD]["record_error"] == why
    assert rows[BEFORE]["pid"] == rows[BAD]["pid"]
    assert rows[AFTER]["width"] == 120


@POSIX
def test_an_answer_that_is_none_costs_one_image(tmp_path, answers):
    step = {"tests.taken_over.answering": {"mark": str(tmp_path / "mark")}}
    settings = {"IMGPIPE_RENDITIONS": {"card": {"width": 100, "steps": [step]}}}
    (_, bad, _), _, outcomes = crawled(tmp_path, answers, **settings)
    assert outcomes == {"stored": 2, "crashed": 1}
    assert "its answer was none" in bad["reason"]
    assert not (tmp_path / "mark").exists()


def test_what_timed_out_is_not_tried_again(tmp_path, answers):
    mark = tmp_path / "mark"
    settings = {**with_step("hang", mark=str(mark)), "IMGPIPE_TIMEOUT_SECONDS": 3}
    _, _, outcomes = crawled(tmp_path, answers, **settings)
    assert outcomes["timed-out"] == 1
    assert mark.read_text() == "been here\n"


@LINUX
def test_a_record_function_without_memory_costs_its_answer(tmp_path, answers):
    limit = {"IMGPIPE_MEMORY_LIMIT": LEAST_MEMORY}
    _, rows, outcomes = crawled(tmp_path, answers, **with_record("eating"), **limit)
    assert outcomes == {"stored": 3}
    assert rows[BAD]["record_error"].startswith("MemoryError")
    assert len({row["pid"] for row in rows.values()} | {os.getpid()}) == 2


def test_small_images_of_auto_are_under_the_time_limit_too(tmp_path, answers, monkeypatch):
    monkeypatch.setattr(placement, "FEW_SOURCES", 0)
    settings = {"IMGPIPE_TIMEOUT_SECONDS": 3, **with_step("hang")}
    with Crawl(tmp_path, answers, **settings) as crawl:
        crawl.pipeline.workers._processes._waits = True  # or the first would be done here
        assert [len(crawl.images(url)) for url in answers] == [1, 0, 1]
    assert crawl.outcomes() == {"stored": 2, "timed-out": 1}


def png(side):
    """Return a black PNG of *side* by *side* pixels, grey with transparency; 0.1 % of its size."""
    packer = zlib.compressobj(1)
    row = bytes(1 + 2 * side)
    pixels = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 4, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_hundred_megapixels_have_room_in_the_default_limit(tmp_path):
    settings = {**PROCESS, "IMAGES_THUMBS": {"small": (50, 50)}}
    with Crawl(tmp_path, {BAD: png(10_000)}, **settings) as crawl:
        (image,) = crawl.images(BAD)
    assert (image["status"], image["width"]) == ("downloaded", 10_000)


# --- the limits ---


def test_the_limits_of_a_crawl_reach_its_processes(tmp_path):
    def terms(**settings):
        return Crawl(tmp_path, **settings).pipeline.workers._processes._terms

    modules = ("scrapy_imgpipe.tasks",)
    assert terms() == Terms(modules, 60, 0)
    assert terms(IMGPIPE_ISOLATION="process") == Terms(modules, 60, PROCESS_MEMORY)
    own = {"IMGPIPE_TIMEOUT_SECONDS": "1.5", "IMGPIPE_MEMORY_LIMIT": "1000000000"}
    assert terms(**own) == Terms(modules, 1.5, 1_000_000_000)
    none = {"IMGPIPE_TIMEOUT_SECONDS": 0, "IMGPIPE_MEMORY_LIMIT": 0}
    assert terms(IMGPIPE_ISOLATION="process", **none) == Terms(modules, 0, 0)


@LINUX
@pytest.mark.parametrize("memory", [0, 200_000_000])
def test_the_limit_of_memory_is_there_and_cannot_be_raised(open_processes, memory):
    import resource

    here = resource.getrlimit(resource.RLIMIT_DATA)
    there = open_processes(memory=memory).call(hostile.limits, b"")
    assert there == ((memory, memory) if memory else here)


@LINUX
def test_what_a_process_keeps_of_earlier_work_does_not_cost_the_next(open_processes):
    processes = open_processes(memory=LEAST_MEMORY)
    share = LEAST_MEMORY * 6 // 10
    first = processes.call(hostile.hoard, b"", share)
    second = processes.call(hostile.hoard, b"", share)  # there is no room for it in the first
    assert len({os.getpid(), first, second}) == 3
    assert [process.pid for process in processes._idle] == [second]


@LINUX
def test_a_body_larger_than_all_memory_is_given_up_and_not_rendered_here(open_processes):
    processes = open_processes(memory=LEAST_MEMORY)
    with pytest.raises(ImageBroken, match="IMGPIPE_MEMORY_LIMIT") as caught:
        processes.call(calls.pid, bytes(LEAST_MEMORY))
    assert caught.value.code == "crashed"
    assert processes.call(calls.pid, b"") != os.getpid()
    assert processes._busy == 0


def test_without_a_limit_a_lack_of_memory_is_told_as_it_is(open_processes):
    processes = open_processes()
    with pytest.raises(ImageBroken, match=r"^There was not enough memory for it$"):
        processes.call(
            calls.fail, b"", ImageBroken("There was not enough memory for it", "crashed")
        )


def test_an_error_of_the_time_limit_has_no_past(open_processes):
    processes = open_processes(seconds=3)
    with pytest.raises(ImageBroken) as caught:
        processes.call(calls.hang, b"")
    assert caught.value.code == "timed-out"
    assert caught.value.__context__ is caught.value.__cause__ is None
    assert processes._busy == 0
    assert processes.call(calls.same, b"x") == b"x"


@POSIX
def test_what_a_process_has_started_is_killed_with_it():
    process = process_module.WorkerProcess(Terms())
    process.wait_until_ready()
    with socket.create_server(("127.0.0.1", 0)) as server:
        call = (hostile.hang_in_a_child, (server.getsockname()[1],))
        with ThreadPoolExecutor(1) as thread:
            asked = thread.submit(process.ask, packed(None) + packed(call), None)
            connection, _ = server.accept()
            with connection:
                assert connection.recv(100) == b"here"
                process.kill()
                assert connection.recv(100) == b""
            assert isinstance(asked.exception(), process_module.Died)
    assert process.end() == "SIGKILL"


def test_the_time_of_a_start_does_not_count(open_processes, monkeypatch):
    events = []
    ready, begin = process_module.WorkerProcess.wait_until_ready, Watch.begin

    def noted_ready(process):
        ready(process)
        events.append("ready")

    def noted_begin(watch, process):
        events.append("time begins")
        begin(watch, process)

    monkeypatch.setattr(process_module.WorkerProcess, "wait_until_ready", noted_ready)
    monkeypatch.setattr(Watch, "begin", noted_begin)
    open_processes(seconds=60).call(calls.pid, b"")
    assert events == ["ready", "time begins"]


def test_an_answer_that_came_with_the_limit_counts_and_its_process_is_replaced(
    open_processes, monkeypatch
):
    processes = open_processes(seconds=60)
    first = processes.call(calls.pid, b"")
    with monkeypatch.context() as patch:
        end = Watch.end
        patch.setattr(Watch, "end", lambda watch, process: end(watch, process) or True)
        assert processes.call(calls.pid, b"") == first
    assert processes.call(calls.pid, b"") not in {first, os.getpid()}
    assert processes._busy == 0


def test_without_a_thread_to_watch_it_there_is_no_process(open_processes, monkeypatch):
    def refuse(thread):
        if thread.name == "imgpipe-watch":
            raise RuntimeError("can't start new thread")
        start(thread)

    start = threading.Thread.start
    processes = open_processes(seconds=60)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert processes.call(calls.pid, b"") == os.getpid()
    assert not processes.usable  # the first start of all failed


# --- the watch ---


class Killed:
    def __init__(self):
        self.times = 0

    def kill(self):
        self.times += 1


@pytest.fixture
def clock(monkeypatch):
    from scrapy_imgpipe.processes import watch

    clock = types.SimpleNamespace(now=1000.0)
    monkeypatch.setattr(watch.time, "monotonic", lambda: clock.now)
    return clock


def test_the_watch_kills_whoever_is_late_once_and_says_so(clock):
    watch, early, late = Watch(10), Killed(), Killed()
    watch.begin(late)
    clock.now += 4
    watch.begin(early)
    assert watch._kill_late() == 6
    assert (late.times, early.times) == (0, 0)
    clock.now += 6
    assert watch._kill_late() == 4
    assert watch._kill_late() == 4
    assert (late.times, early.times) == (1, 0)
    assert (watch.end(late), watch.end(early)) == (True, False)
    assert watch._kill_late() == 10


def test_the_watch_forgets_who_was_late(clock):
    watch, process = Watch(10), Killed()
    for _ in range(2):
        watch.begin(process)
        assert not watch.end(process)
        clock.now += 10
        watch._kill_late()
    assert process.times == 0


def test_the_watch_sleeps_no_longer_than_a_thread_can(clock):
    assert 0 < Watch(1e300)._kill_late() < 1e10


def test_the_watch_ends_with_the_last_who_is_at_work():
    watch, process, looks = Watch(1000), Killed(), threading.Semaphore(0)
    look = watch._kill_late
    watch._kill_late = lambda: (looks.release(), look())[1]  # under the lock, before it sleeps
    watch.start()
    watch.start()
    thread = watch._thread
    looks.acquire()
    watch.begin(process)
    watch.close()
    looks.acquire()
    assert thread.is_alive()
    assert not watch.end(process)
    thread.join()
    watch.start()
    assert watch._thread is thread


def test_without_a_limit_nobody_watches():
    watch = Watch(0)
    watch.start()
    watch.begin(Killed())
    assert (watch._thread, watch._due) == (None, {})
    watch.close()


# --- what cannot be found by its name ---


class MyPipeline(ImagesPipeline):
    pass


def local():
    def faces(image):
        return image

    return faces


def of_main(monkeypatch):
    def faces(image):
        return image

    faces.__module__, faces.__qualname__ = "__main__", "faces"
    monkeypatch.setattr(sys.modules["__main__"], "faces", faces, raising=False)
    return faces


def of_a_module_that_is_on_no_path(monkeypatch):
    module = types.ModuleType("imported_from_elsewhere")
    exec("def faces(image): return image", vars(module))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module.faces


@pytest.fixture(params=["lambda", "local", "__main__", "no path"])
def stranger(request, monkeypatch):
    """A function that no worker process finds, and why."""
    return {
        "lambda": (lambda image: image, "<lambda>"),
        "local": (local(), "<locals>"),
        "__main__": (of_main(monkeypatch), "worker processes do not import __main__"),
        "no path": (
            of_a_module_that_is_on_no_path(monkeypatch),
            "No module named 'imported_from_elsewhere'",
        ),
    }[request.param]


def steps(*functions):
    return {"width": 20, "steps": list(functions)}


@pytest.mark.parametrize(
    ("setting", "where", "make"),
    [
        ("IMGPIPE_RECORD", "", lambda function: [hostile.pid, function]),
        ("IMGPIPE_RENDITIONS", "['card']['steps']", lambda one: {"card": steps("flip", one)}),
        ("IMGPIPE_FULL", "['steps']", steps),
    ],
    ids=["record", "rendition", "full"],
)
def test_what_no_process_finds_stops_the_start(tmp_path, stranger, setting, where, make):
    function, why = stranger
    own = f"MYPIPELINE_{setting}"
    for isolation in ("auto", "thread"):
        Crawl(tmp_path, {}, MyPipeline, **{"IMGPIPE_ISOLATION": isolation, own: make(function)})
    with pytest.raises(SettingError) as caught:
        Crawl(tmp_path, {}, MyPipeline, **{**PROCESS, own: make(function)})
    sentence = str(caught.value)
    assert sentence.startswith(
        "Expected functions that worker processes can import, as IMGPIPE_ISOLATION is 'process',"
        f" for {own}{where} but received {function!r} of type function ("
    )
    assert why in sentence
    assert "\n" not in sentence
    assert caught.value.__context__ is None


def test_a_name_of_main_stops_the_start_too(tmp_path, monkeypatch):
    of_main(monkeypatch)
    Crawl(tmp_path, IMGPIPE_RECORD="__main__.faces")
    with pytest.raises(SettingError, match="do not import __main__"):
        Crawl(tmp_path, **PROCESS, IMGPIPE_RECORD="__main__.faces")


def test_what_ends_a_process_when_it_is_imported_stops_the_start(tmp_path, monkeypatch):
    module = tmp_path / "ends_its_process.py"
    module.write_text("import sys\ndef faces(image): return image\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import ends_its_process

    module.write_text("import os\nos._exit(3)\n")
    with pytest.raises(SettingError, match="exit code 3"):
        Crawl(tmp_path / "store", **PROCESS, IMGPIPE_RECORD=[ends_its_process.faces])


def test_with_a_function_of_main_threads_go_on_as_ever(tmp_path, monkeypatch, answers):
    settings = {"IMGPIPE_RECORD": [lambda image: {"wide": image.width}]}
    settings["IMGPIPE_ISOLATION"] = "auto"
    _, rows, _ = crawled(tmp_path, answers, **settings)
    assert [row["wide"] for row in rows.values()] == [120, hostile.WIDTH, 120]


def test_ready_functions_need_no_process_to_be_found(tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("a process was started")

    monkeypatch.setattr(process_module.subprocess, "Popen", refuse)
    card = {"width": 20, "steps": ["flip", {"sharpen": {"percent": 80}}, {"trim": {}}]}
    settings = {"IMGPIPE_RECORD": ["phash", "exif"], "IMGPIPE_RENDITIONS": {"card": card}}
    Crawl(tmp_path, **PROCESS, **settings)


def test_where_no_process_can_be_started_nothing_stops_the_start(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(sys, "executable", "")
    Crawl(tmp_path, **PROCESS, IMGPIPE_RECORD=[hostile.pid])
    assert len(warned(caplog)) == 1
