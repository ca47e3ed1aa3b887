"""The real command: found by its entry point, in a project and outside of one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from scrapy.cmdline import execute
from scrapy.settings import Settings

from scrapy_imgpipe.commands import Command
from scrapy_imgpipe.index import SqliteIndex
from scrapy_imgpipe.paths import image_path, thumb_path
from tests.commands.places import THUMBS, URLS, crawl_of, crawled, records
from tests.pictures import jpeg

A = URLS[0]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="pipes and devices as Linux has them")
COMMANDS = ("fetch", "gallery", "import", "verify", "prune", "render", "report")


@pytest.fixture
def imgpipe(registered, monkeypatch, capsys, tmp_path):
    """Return what runs the command in this process: its status, output, and errors."""
    monkeypatch.syspath_prepend(str(registered))
    monkeypatch.chdir(tmp_path)

    def run(*arguments, **settings):
        with pytest.raises(SystemExit) as ended:
            execute(["scrapy", "imgpipe", *map(str, arguments)], Settings(settings))
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return run


@pytest.fixture
def store(tmp_path):
    crawled(tmp_path, {A: jpeg()}, IMAGES_THUMBS=THUMBS)
    return tmp_path / "store"


# --- what Scrapy finds ---


def test_importing_the_command_imports_nothing_else(environ, tmp_path):
    code = (
        "import sys, scrapy.cmdline; before = set(sys.modules);"
        "from scrapy_imgpipe.commands import Command; Command();"
        "print(sorted(set(sys.modules) - before))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environ, capture_output=True, check=True
    ).stdout
    assert out.decode().strip() == "['scrapy_imgpipe', 'scrapy_imgpipe.commands']"


def test_scrapy_lists_the_command(scrapy, tmp_path):
    lines = [line.split(maxsplit=1) for line in scrapy(cwd=tmp_path).stdout.splitlines()]
    assert ["imgpipe", Command().short_desc()] in lines


# --- usage ---


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_without_a_command_it_tells_what_there_is(imgpipe, arguments):
    status, out, err = imgpipe(*arguments)
    assert (status, err) == (0, "")
    assert out.startswith("usage: scrapy imgpipe [-h] COMMAND ...\n")
    assert "examples:\n  scrapy imgpipe fetch " in out


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_tells_of_itself(imgpipe, command):
    status, out, err = imgpipe(command, "--help")
    assert (status, err) == (0, "")
    assert out.startswith(f"usage: scrapy imgpipe {command} ")
    assert f"examples:\n  scrapy imgpipe {command}" in out


WRONG = [
    (("look",), "scrapy imgpipe: argument COMMAND: invalid choice: 'look'"),
    (("verify", "--fats"), "scrapy imgpipe: unrecognized arguments: --fats"),
    (("report",), "scrapy imgpipe report: the following arguments are required: REPORT"),
    (("verify",), "scrapy imgpipe verify: IMAGES_STORE is not set: name the store with --store"),
    (("prune", "--store", "none"), "scrapy imgpipe prune: There is no store at 'none'"),
    (("prune", "--store", "file:///none"), "scrapy imgpipe prune: There is no store at 'file://"),
    (
        ("prune", "--min-age", "old"),
        "scrapy imgpipe prune: Expected number of days, 0 or more, for --min-age but received",
    ),
    (
        ("report", "a.csv", "--top", "0"),
        "scrapy imgpipe report: Expected whole number of lines, 1 or more, for --top but received",
    ),
    (("report", "no.jsonl"), "scrapy imgpipe report: No such file or directory: 'no.jsonl'"),
    (("report", "no.txt"), "scrapy imgpipe report: Expected local path ending in .jsonl, .csv,"),
    (
        ("import", "--store", ".", "--items", "no.jsonl"),
        "scrapy imgpipe import: No such file or directory: 'no.jsonl'",
    ),
    (
        ("verify", "--store", ".", "-s", "IMAGES_THUMBS=big"),
        "scrapy imgpipe verify: Expected dict of name to (width, height) in pixels",
    ),
    (
        ("verify", "--store", ".", "-s", "IMGPIPE_INDEX=off"),
        "scrapy imgpipe verify: IMGPIPE_INDEX is 'off', so nothing is known of this store",
    ),
    (
        ("verify", "--store", ".", "-s", "IMGPIPE_INDEX=/dev/null/index"),
        "scrapy imgpipe verify: Could not use the index '/dev/null/index'",
    ),
    (
        ("verify", "--store", "."),
        "scrapy imgpipe verify: The index knows of no image in this store: run 'scrapy imgpipe",
    ),
    (
        ("verify", "--store", "ftp://user:word@127.0.0.1:9/x"),
        "scrapy imgpipe verify: The index knows of no image in this store: run 'scrapy imgpipe",
    ),
    (
        ("verify", "--store", "gopher://x"),
        "scrapy imgpipe verify: Expected a directory or a complete URI with a scheme of",
    ),
    (
        ("verify", "--store", ".", "--pipeline", "no.such.Class"),
        "scrapy imgpipe verify: Could not import the pipeline 'no.such.Class': No module named",
    ),
    (
        ("verify", "--store", ".", "--pipeline", "scrapy.pipelines.images.ImagesPipeline"),
        "scrapy imgpipe verify: Expected the import path of a class derived from scrapy_imgpipe.",
    ),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG, ids=lambda value: " ".join(value)[:40])
def test_what_is_wrong_is_said_in_one_sentence(imgpipe, arguments, said, tmp_path):
    status, out, err = imgpipe(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith(said)
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())  # no store is made by looking for it


# --- whose settings count ---

THUMBS_JSON = '{"small": [50, 50], "big": [90, 90]}'


def test_a_store_outside_of_a_project(imgpipe, store, tmp_path):
    settings = ("-s", f"IMAGES_THUMBS={THUMBS_JSON}", "--store", store)
    assert imgpipe("import", *settings) == (0, "1 images: 1 new\n", "")
    fine = "1 images and 2 thumbnails looked at: 0 problems\n"
    assert imgpipe("verify", *settings) == (0, fine, "")
    assert imgpipe(*settings[:2], "verify", *settings[2:]) == (0, fine, "")
    assert imgpipe("verify", *settings, "--fast", "--store", "none")[0] == 2  # the last one counts
    (store / thumb_path(A, "small")).unlink()
    status, out, _ = imgpipe("verify", *settings, "--repair")
    assert (status, out.splitlines()[0]) == (
        1,
        f"{thumb_path(A, 'small')}\tmissing, made again",
    )
    (store / "x.txt").touch()
    status, out, _ = imgpipe("prune", "--min-age", "0", "--delete", *settings)
    assert (status, out) == (
        0,
        "x.txt\tbelongs to no image\t0 bytes\n1 of 4 files, 0.0 MB, deleted; 0 images forgotten\n",
    )


def test_folders_of_somebody_else_are_left_alone(imgpipe, store):
    for path in ("uploads/a/b.jpg", "jobs/c.json", "uploads.jpg"):
        (store / path).parent.mkdir(parents=True, exist_ok=True)
        (store / path).write_bytes(jpeg())
    excluded = ("--exclude", "./uploads", "--exclude", "x/../jobs/", "--store", store)
    assert imgpipe("import", *excluded)[:2] == (0, "2 images: 2 new\n")  # uploads.jpg is in none
    status, out, _ = imgpipe("prune", "--min-age", "0", "--delete", *excluded)
    assert (status, out.splitlines()[-1].split(", ")[0]) == (0, "2 of 6 files")  # thumbnails
    assert {path.name for path in store.rglob("*.*")} > {"b.jpg", "c.json", "uploads.jpg"}
    out = imgpipe("prune", "--exclude", "upload", "--store", store)[1]
    assert out.startswith("--exclude upload/: no file of the store is there\n")


@pytest.mark.parametrize("folder", ["/abs/store/uploads", "../uploads", ".", "", "uploads\\"])
def test_what_is_no_folder_of_the_store_is_refused(imgpipe, store, folder):
    status, out, err = imgpipe("prune", "--delete", "--exclude", folder, "--store", store)
    assert (status, out) == (2, "")
    assert "Expected folder of the store" in err
    assert "for --exclude but received" in err


def test_fast_reads_no_file(imgpipe, store, tmp_path):
    path = store / image_path(A)
    stat = path.stat()
    path.write_bytes(bytes(stat.st_size))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    settings = ("--store", store, "-s", f"IMGPIPE_INDEX={tmp_path / 'index.sqlite'}")
    assert imgpipe("verify", *settings, "--fast")[0] == 0
    assert imgpipe("verify", *settings)[0] == 1


def test_a_report_goes_to_standard_output(imgpipe, tmp_path):
    for name, outcome in (("a", "stored"), ("b", "broken")):
        row = f'{{"url": "http://a.example/1.jpg", "outcome": "{outcome}"}}\n'
        (tmp_path / f"{name}.jsonl").write_text(row * 3)
    status, out, err = imgpipe("report", "a.jsonl", "--top", 1)
    assert (status, out.splitlines()[0], err) == (
        0,
        "3 asks for 1 URLs: 3 fine, 0 failed; 0.0 MB in, 0.0 MB stored",
        "",
    )
    assert "newly failing: 1" in imgpipe("report", "a.jsonl", "b.jsonl")[1]
    assert imgpipe("report", "b.jsonl", "--failed", "-") == (0, "http://a.example/1.jpg\n", "")


def test_a_missing_library_is_said_in_one_sentence(imgpipe, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as where it is not installed
    (tmp_path / "report.parquet").mkdir()
    status, _, err = imgpipe("report", "report.parquet")
    needed = "pyarrow is needed for a report in Parquet: pip install scrapy-imgpipe[report]"
    assert (status, err) == (2, f"scrapy imgpipe report: {needed}\n")


def test_the_index_is_the_one_that_a_crawl_uses(imgpipe, tmp_path):
    with crawl_of(tmp_path, {A: jpeg()}, IMGPIPE_INDEX=None) as crawl:
        crawl.images(A)
    status, out, _ = imgpipe("verify", "--store", tmp_path / "store")
    assert (status, out) == (0, "1 images and 0 thumbnails looked at: 0 problems\n")


PIPELINES = """
from scrapy_imgpipe import ImagesPipeline


class One(ImagesPipeline):
    pass


class Two(ImagesPipeline):
    pass
"""


def test_the_pipeline_of_the_settings_counts(imgpipe, store, tmp_path, monkeypatch):
    (tmp_path / "shop_pipelines.py").write_text(PIPELINES)
    monkeypatch.syspath_prepend(str(tmp_path))
    one, two = "shop_pipelines.One", "shop_pipelines.Two"
    settings = {
        "IMAGES_STORE": str(store),
        "IMGPIPE_INDEX": str(tmp_path / "index.sqlite"),
        "ONE_IMAGES_THUMBS": {"small": (50, 50)},
        "TWO_IMAGES_THUMBS": {"small": (50, 50), "big": (90, 90), "new": (9, 9)},
    }
    status, out, _ = imgpipe("verify", ITEM_PIPELINES={one: 1, two: None}, **settings)
    assert (status, out.count("\n")) == (0, 1)
    status, out, _ = imgpipe("verify", ITEM_PIPELINES={two: 1}, **settings)
    assert (status, out.splitlines()[0]) == (1, f"{thumb_path(A, 'new')}\tmissing\t{A}")
    both = {"ITEM_PIPELINES": {one: 1, two: 2, "scrapy.pipelines.files.FilesPipeline": 3}}
    status, _, err = imgpipe("verify", **both, **settings)
    choice = f"ITEM_PIPELINES has several: choose one with --pipeline, of {one}, {two}"
    assert (status, err) == (2, f"scrapy imgpipe verify: {choice}\n")
    assert imgpipe("verify", "--pipeline", two, **both, **settings)[0] == 1
    assert imgpipe("verify", "--pipeline", one, **both, **settings)[0] == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"ADDONS": {"scrapy_imgpipe.Addon": 500}},
        {"ITEM_PIPELINES": {"scrapy_imgpipe.ImagesPipeline": 1}},
        {"ITEM_PIPELINES": {"scrapy.pipelines.images.ImagesPipeline": 1}},
        {},
    ],
    ids=["add-on", "ours", "not moved over yet", "none"],
)
def test_without_a_class_of_ones_own_it_is_ours(imgpipe, store, tmp_path, settings):
    settings = {"IMAGES_STORE": store, "IMGPIPE_INDEX": tmp_path / "index.sqlite", **settings}
    assert imgpipe("verify", **settings)[0] == 0


def test_inside_of_a_project_its_settings_count(scrapy, store, tmp_path):
    (tmp_path / "scrapy.cfg").write_text("[settings]\ndefault = shop.settings\n")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "settings.py").write_text(
        "ADDONS = {'scrapy_imgpipe.Addon': 500}\n"
        "IMAGES_STORE = 'store'\n"
        f"IMAGES_THUMBS = {THUMBS}\n"
        "LOG_LEVEL = 'DEBUG'\n"
        "EXTENSIONS = {'no.such.Extension': 1}\n"  # only a crawl needs them
    )
    done = scrapy("imgpipe", "import", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 images: 1 new\n", "")
    (index,) = (tmp_path / ".scrapy" / "imgpipe").glob("store-*.sqlite")
    with closing(SqliteIndex(index)) as known:
        ((small, big),) = (record.renditions for record in known.records())
    assert (small.name, big.name) == ("small", "big")


# --- how it ends ---


@LINUX
def test_a_closed_pipe_is_quiet(environ, store, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "scrapy", "imgpipe", "import", "--store", str(store)],
            env=environ,
            cwd=tmp_path,
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@LINUX
def test_ctrl_c_is_quiet(environ, store, tmp_path):
    feed = tmp_path / "items.jsonl"
    os.mkfifo(feed)
    command = ["imgpipe", "import", "--store", str(store), "--items", str(feed)]
    with (
        subprocess.Popen(
            [sys.executable, "-m", "scrapy", *command],
            env=environ,
            cwd=tmp_path,
            # A shell that starts the tests in the background lets them ignore it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
        feed.open("w"),
    ):  # returns when it is opened for reading
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"")


def test_a_terminal_that_knows_few_characters_gets_what_it_can_show(scrapy, environ, tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    (store / "grün.jpg").touch()
    environ |= {"PYTHONIOENCODING": "ascii"}
    done = scrapy("imgpipe", "import", "--store", store, cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[0]) == (
        0,
        "gr\\xfcn.jpg\tThe file is empty",
    )


@LINUX
def test_a_full_disk_is_said_in_one_sentence(environ, store, tmp_path):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "scrapy", "imgpipe", "import", "--store", str(store)],
            env=environ,
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 2
    assert done.stderr == "scrapy imgpipe import: No space left on device\n"


def test_logging_is_as_the_command_line_says(scrapy, store, tmp_path):
    index = tmp_path / "damaged.sqlite"
    index.write_bytes(b"no database" * 100)
    settings = ("--store", store, "-s", f"IMGPIPE_INDEX={index}")
    done = scrapy("imgpipe", "import", *settings, "--logfile", "log.txt", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "WARNING: The index was damaged" in (tmp_path / "log.txt").read_text()
    assert image_path(A) in {record.asked for record in records(tmp_path)}
