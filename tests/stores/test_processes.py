"""The file system store among processes that die, live, fork and have no rights."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from scrapy_imgpipe.stores import FileSystemStore, temporary

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc when a process began")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals, fork and limits of POSIX")

DAY = 24 * 60 * 60
KILLS = 20
SIZE = 200_000
HEAD = """
import os, resource, signal, sys
from scrapy_imgpipe.errors import StoreFailed
from scrapy_imgpipe.stores import FileSystemStore, temporary
store = FileSystemStore(sys.argv[1])
"""


def start(script: str, base: Path | str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", HEAD + script, str(base)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def run(script: str, base: Path | str) -> tuple[int, str]:
    with start(script, base) as child:
        output, _ = child.communicate(timeout=30)
    return child.returncode, output.strip()


def left_over(base: Path) -> list[str]:
    return sorted(path.name for path in base.rglob(".imgpipe-*"))


def test_killed_at_any_moment_leaves_whole_files(tmp_path: Path) -> None:
    script = f"""
number = 0
while True:
    body = bytes([number % 256]) * {SIZE}
    name = f"{{number % 7}}.jpg"
    store.put_all([(f"thumbs/{{name}}", body[:{SIZE // 10}]), (f"full/{{name}}", body)])
    print(number, flush=True)
    number += 1
"""
    # Seeded, so that a failure names its moments; they are random all the same.
    chance = random.Random(20)
    for _ in range(KILLS):
        with start(script, tmp_path) as child:
            assert child.stdout is not None
            for _ in range(chance.randrange(1, 5)):
                child.stdout.readline()
            moment = time.perf_counter() + chance.random() / 1000
            while time.perf_counter() < moment:
                pass
            child.kill()
    for path in tmp_path.rglob("*.jpg"):
        body = path.read_bytes()
        assert len(body) == (SIZE if path.parent.name == "full" else SIZE // 10)
        assert body.count(body[:1]) == len(body)
    store = FileSystemStore(tmp_path)
    store.put_all([("thumbs/a.jpg", b"x"), ("full/a.jpg", b"x")])
    assert left_over(tmp_path) == []


# SIGXFSZ ends the process in the middle of write(2), after part of the data.
DIE_WHILE_WRITING = """
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
store.put("full/a.jpg", b"x" * 300_000)
"""


def test_the_next_process_sweeps(tmp_path: Path) -> None:
    store = FileSystemStore(tmp_path)
    store.put("full/a.jpg", b"old")
    for deeper in ("", "deeper/er"):
        assert run(DIE_WHILE_WRITING, tmp_path / deeper)[0] == -signal.SIGXFSZ
    assert len(left_over(tmp_path)) == 2
    assert store.get("full/a.jpg") == b"old"
    assert sorted(store.list()) == ["full/a.jpg"]
    store.put("full/b.jpg", b"x")
    assert len(left_over(tmp_path)) == 2, "one scan per directory and process"

    assert run('store.put("full/b.jpg", b"x")', tmp_path) == (0, "")
    assert len(left_over(tmp_path)) == 1
    assert store.sweep("full") == 0
    assert store.sweep("none") == 0
    assert store.sweep() == 1
    assert left_over(tmp_path) == []


def test_a_full_disk_leaves_the_old_files(tmp_path: Path) -> None:
    store = FileSystemStore(tmp_path)
    store.put_all([("thumbs/a.jpg", b"old"), ("full/a.jpg", b"old")])
    script = """
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    store.put_all([("thumbs/a.jpg", b"new"), ("full/a.jpg", b"x" * 300_000)])
except StoreFailed as failure:
    print(failure.code, failure)
"""
    code, output = run(script, tmp_path)
    assert (code, output) == (0, "store-failed Could not write 'full/a.jpg': File too large")
    assert store.get("thumbs/a.jpg") == store.get("full/a.jpg") == b"old"
    assert left_over(tmp_path) == []


def test_without_the_right_to_write_or_read() -> None:
    # Not under tmp_path, which other users may not enter.
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory)
        FileSystemStore(base).put_all([("full/a.jpg", b"old"), ("full/secret/b.jpg", b"old")])
        base.chmod(0o755)
        Path(base, "full").chmod(0o555)
        Path(base, "full", "secret").chmod(0)
        script = """
if os.getuid() == 0:
    os.setuid(65534)
for deed in (
    lambda: store.put("full/a.jpg", b"new"),
    lambda: store.put("full/new/a.jpg", b"new"),
    lambda: store.get("full/secret/b.jpg"),
    lambda: store.stat("full/secret/b.jpg"),
    lambda: store.delete("full/a.jpg"),
    lambda: list(store.list("full/s")),
    lambda: store.sweep(),
):
    try:
        deed()
    except StoreFailed as failure:
        print(failure)
"""
        code, output = run(script, base)
        Path(base, "full").chmod(0o755)
        Path(base, "full", "secret").chmod(0o755)
        assert code == 0
        assert output.splitlines() == [
            "Could not write 'full/a.jpg': Permission denied",
            "Could not write 'full/new/a.jpg': Permission denied",
            "Could not read 'full/secret/b.jpg': Permission denied",
            "Could not look at 'full/secret/b.jpg': Permission denied",
            "Could not delete 'full/a.jpg': Permission denied",
            "Could not list 'full/s': Permission denied",
            f"Could not sweep '{base}': Permission denied",
        ]
        assert Path(base, "full", "a.jpg").read_bytes() == b"old"


@LINUX
def test_a_file_system_that_takes_no_files() -> None:
    # Even root cannot make a file there.
    code, output = run(
        """
try:
    store.put("a.jpg", b"x")
except StoreFailed as failure:
    print(failure)
""",
        "/proc/self/fdinfo",
    )
    assert code == 0
    assert output.startswith("Could not write 'a.jpg': ")


def age(base: Path, name: str, seconds: float) -> Path:
    path = base / name
    path.write_bytes(b"x")
    modified = time.time() - seconds
    os.utime(path, (modified, modified))
    return path


def swept(base: Path, *names: str, seconds: float = 0) -> bool:
    """Return whether a file of each name, *seconds* old, is removed; all or none."""
    paths = [age(base, name, seconds) for name in names]
    FileSystemStore(base).put("new.jpg", b"x")
    gone = {not path.exists() for path in paths}
    assert len(gone) == 1
    return gone.pop()


def test_a_dead_owner(tmp_path: Path) -> None:
    code, name = run("print(temporary.new_name())", tmp_path)
    assert code == 0
    assert swept(tmp_path, name)


WAIT = "print(temporary.new_name(), flush=True); sys.stdin.read()"


@LINUX
def test_a_living_owner_then_a_zombie(tmp_path: Path) -> None:
    with start(WAIT, tmp_path) as child:
        assert child.stdout is not None
        name = child.stdout.readline().strip()
        assert not swept(tmp_path, name)
        assert not swept(tmp_path, name, seconds=2 * DAY), "stopped for two days, say"
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, but not yet reaped
        assert swept(tmp_path, name)


@LINUX
def test_a_later_process_with_the_same_pid(tmp_path: Path) -> None:
    with start(WAIT, tmp_path) as child:
        assert child.stdout is not None
        name = child.stdout.readline().strip()
        head, _, tail = name.partition(f"-{child.pid}-")
        begun, _, counter = tail.partition("-")
        assert swept(tmp_path, f"{head}-{child.pid}-{int(begun) - 1}-{counter}")
        child.communicate()


def test_this_process(tmp_path: Path) -> None:
    assert not swept(tmp_path, temporary.new_name())
    assert not swept(tmp_path, temporary.new_name(), seconds=2 * DAY)


def test_who_cannot_be_asked_has_a_day(tmp_path: Path) -> None:
    other_host = re.sub(r"-.*?-", "-another.0123abcd-", temporary.new_name(), count=1)
    nobodys = (".imgpipe-", ".imgpipe-x-1-2.tmp", ".imgpipe-a-b-c-d.tmp")
    assert not swept(tmp_path, other_host, *nobodys, seconds=DAY - 60)
    assert swept(tmp_path, other_host, *nobodys, seconds=DAY + 60)


def test_the_clock_is_an_argument(tmp_path: Path) -> None:
    path = age(tmp_path, ".imgpipe-x", 0)
    FileSystemStore(tmp_path, clock=lambda: time.time() + DAY + 60).put("a.jpg", b"x")
    assert not path.exists()


def test_other_names_and_directories_stay(tmp_path: Path) -> None:
    names = (".imgpipe", "imgpipe-x.tmp", "x.imgpipe-x", "a.tmp")
    (tmp_path / ".imgpipe-directory").mkdir()
    (tmp_path / ".imgpipe-link").symlink_to("/nowhere")
    os.utime(tmp_path / ".imgpipe-link", (0, 0), follow_symlinks=False)
    os.utime(tmp_path / ".imgpipe-directory", (0, 0))
    assert not swept(tmp_path, *names, seconds=3 * DAY)
    assert (tmp_path / ".imgpipe-directory").is_dir()
    assert (tmp_path / ".imgpipe-link").is_symlink()


def test_a_fork_has_its_own_names(tmp_path: Path) -> None:
    script = """
mine = temporary.new_name()
open(os.path.join(store.base, mine), "wb").close()
store.put("before.jpg", b"x")
child = os.fork()
if child == 0:
    store.put("after.jpg", b"x")
    theirs = temporary.new_name()
    os._exit(0 if f"-{os.getpid()}-" in theirs and theirs != mine else 1)
_, status = os.waitpid(child, 0)
print(status, f"-{os.getpid()}-" in mine, os.path.exists(os.path.join(store.base, mine)))
"""
    assert run(script, tmp_path) == (0, "0 True True")
    assert sorted(FileSystemStore(tmp_path).list()) == ["after.jpg", "before.jpg"]
