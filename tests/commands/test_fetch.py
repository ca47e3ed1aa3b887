"""``scrapy imgpipe fetch``: from a shell, without a project."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scrapy_imgpipe.report import read_rows
from tests.crawl.crawls import TIMEOUT_SECONDS, files, name_of
from tests.crawl.site import Answer, Site
from tests.crawl.terminals import PseudoTerminal
from tests.pictures import jpeg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    #: Status, standard output and standard error of a command.
    Said = tuple[int, list[str], str]
    Run = Callable[..., Said]

POSIX = pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are POSIX's")


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        site.answers = {f"/{number}.jpg": jpeg((120, 60 + number)) for number in range(8)}
        yield site


@pytest.fixture
def run(environ: dict[str, str], tmp_path: Path) -> Run:
    """Return what runs ``scrapy imgpipe fetch`` in an empty folder."""

    def run(*arguments: object, stdin: bytes = b"", **streams: Any) -> Said:
        done = subprocess.run(
            [sys.executable, "-m", "scrapy", "imgpipe", "fetch", *map(str, arguments)],
            env=environ,
            cwd=tmp_path,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=streams.get("stderr", subprocess.PIPE),
            check=False,
            timeout=TIMEOUT_SECONDS,
        )
        return done.returncode, done.stdout.decode().splitlines(), (done.stderr or b"").decode()

    return run


def test_urls_files_and_standard_input_are_one_list(site: Site, run: Run, tmp_path: Path) -> None:
    urls = [site.url(f"/{number}.jpg") for number in range(7)]
    (tmp_path / "a.txt").write_text(urls[1] + "\n")
    (tmp_path / "b.csv").write_text(f'sku,photo\n"2, or so",{urls[2]}\n')
    (tmp_path / "c.jsonl").write_text(json.dumps({"photo": urls[3], "sku": 3}))
    (tmp_path / "d.tsv.gz").write_bytes(gzip.compress(f"photo\tsku\n{urls[4]}\t4\n".encode()))
    (tmp_path / "e.json").write_text(json.dumps([{"photo": urls[5], "sku": "5"}]))
    code, lines, errors = run(
        *(urls[0], "a.txt", "b.csv", "c.jsonl", "d.tsv.gz", "e.json", "-"),
        *("--column", "photo", "--store", "store", "--report", "there/report.csv"),
        *("--thumb", "small=20x20", "--rendition", "card=30x:inside:webp"),
        stdin=urls[6].encode() + b"\n",
    )
    assert (code, len(lines)) == (0, 1), errors
    assert lines[0].startswith("Images: 7 stored, 0 up to date, 0 failed; ")
    rows = sorted(read_rows(tmp_path / "there" / "report.csv"), key=lambda row: row["line"])
    assert [row["url"] for row in rows] == urls
    assert [row.get("sku") for row in rows] == [None, None, "2, or so", 3, "4", "5", None]
    names = [name_of(url).removesuffix(".jpg") for url in urls]
    assert set(files(tmp_path / "store")) == {
        *(f"full/{name}.jpg" for name in names),
        *(f"thumbs/small/{name}.jpg" for name in names),
        *(f"thumbs/card/{name}.webp" for name in names),
    }


@pytest.mark.parametrize(
    ("failing", "status"),
    [
        ((), 0),
        (("--fail-on", "any"), 1),
        (("--fail-on", "broken,http-status"), 1),
        (("--fail-on", "broken"), 0),
    ],
)
def test_the_exit_status_says_what_is_to_fail(
    site: Site, run: Run, failing: tuple[str, ...], status: int
) -> None:
    code, lines, errors = run(
        site.url("/0.jpg"), site.url("/gone.jpg"), "--store", "store", *failing
    )
    assert code == status
    assert lines[0].startswith("Images: 1 stored, 0 up to date, 1 failed (http-status 1); ")
    assert "2 images" in errors  # a plain line: nobody looks at it
    assert "\r" not in errors


def test_without_a_report_the_store_knows_what_was_done(site: Site, run: Run) -> None:
    urls = [site.url(f"/{number}.jpg") for number in range(3)]
    assert run(*urls[:2], "--store", "store")[0] == 0
    code, lines, _ = run(*urls, "--store", "store", "--processes", 2)
    assert code == 0
    assert lines[0].startswith("Images: 1 stored, 2 up to date, 0 failed; ")
    assert set(site.asked().values()) == {1}


def test_digests_and_settings_count(site: Site, run: Run, tmp_path: Path) -> None:
    digest = hashlib.sha256(site.answers["/0.jpg"]).hexdigest()  # type: ignore[arg-type]
    rows = [("url", "sha256"), (site.url("/0.jpg"), digest), (site.url("/1.jpg"), digest)]
    (tmp_path / "list.csv").write_text("".join(f"{url},{cell}\n" for url, cell in rows))
    code, lines, _ = run(
        *("list.csv", "--verify-hash", "sha256", "--fail-on", "hash-mismatch"),
        *("-s", "IMAGES_STORE=store", "-s", "CONCURRENT_REQUESTS=2", "-s", "IMGPIPE_RETRIES=0"),
    )
    assert code == 1
    assert lines[0].startswith("Images: 1 stored, 0 up to date, 1 failed (hash-mismatch 1); ")
    assert site.asked() == {"/0.jpg": 1, "/1.jpg": 1}


def test_shards_are_another_format(site: Site, run: Run, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "list.csv").write_text(f"url,text\n{site.url('/0.jpg')},a photo\n")
    told = ("list.csv", "--store", "set", "--format", "webdataset", "--caption", "text")
    code, lines, errors = run(*told)
    assert code == 0, errors
    assert lines[0].startswith("Images: 1 stored")
    assert {path.name for path in (tmp_path / "set").iterdir()} >= {"00000.tar", "00000.parquet"}
    code, lines, _ = run(*told)
    assert (code, lines) == (0, ["Done before: 1 of the list", "Images: none"])


WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "nothing": (("--store", "s"), "Expected URLs, lists of them, or - for standard input"),
    "no store": (("http://127.0.0.1/a.jpg",), "IMAGES_STORE is not set"),
    "no file": (("a.txt", "--store", "s"), "a.txt"),
    "no list": (("a.doc", "--store", "s"), "'a.doc'"),
    "processes": (("-", "--store", "s", "--processes", "0"), "for --processes but received '0'"),
    "shard": (("-", "--store", "s", "--shard-size", "x"), "for --shard-size but received 'x'"),
    "report": (("-", "--store", "s", "--report", "r.xls"), "r.xls"),
    "thumb": (("-", "--store", "s", "--thumb", "small"), "'small'"),
    "outcome": (("-", "--store", "s", "--fail-on", "anything"), "for --fail-on but received"),
    "setting": (("-", "--store", "s", "-s", "IMGPIPE_MAX_PIXELS=x"), "for IMGPIPE_MAX_PIXELS"),
    "column": (("list.csv", "--store", "s", "--column", "x"), "'x'"),
    "digest": (("list.csv", "--store", "s", "--verify-hash", "x"), "for the column of digests but"),
    "caption": (("list.csv", "--store", "s", "--caption", "x"), "for the column of captions but"),
    "pipeline": (("-", "--store", "s", "--pipeline", "no.where"), "no.where"),
    "class": (("list.csv", "--store", "s", "-s", "DOWNLOADER=no.where"), "No module named 'no'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_used_is_one_sentence(
    site: Site, run: Run, tmp_path: Path, case: str
) -> None:
    (tmp_path / "list.csv").write_text(f"url,n\n{site.url('/0.jpg')},1\n")
    arguments, words = WRONG[case]
    code, lines, errors = run(*arguments)
    assert (code, lines) == (2, [])
    assert errors.startswith("scrapy imgpipe fetch: ")
    assert words in errors
    assert errors.count("\n") == 1
    assert not site.asked()


def test_a_store_that_keeps_failing_is_one_sentence(site: Site, run: Run, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "full").touch()
    urls = [site.url(f"/{number}.jpg") for number in range(8)]
    code, lines, errors = run(
        *urls, "--store", "store", "-s", "IMGPIPE_CLOSE_ON_STORE_ERRORS=3", "-L", "CRITICAL"
    )
    assert (code, lines) == (2, [])
    assert errors.splitlines()[-1] == (
        "scrapy imgpipe fetch: The store failed too many times in a row"
    )


@POSIX
def test_a_terminal_has_a_live_line_that_goes(site: Site, run: Run, tmp_path: Path) -> None:
    gate = threading.Event()
    site.answers["/1.jpg"] = Answer(jpeg(), gate=gate)
    said: list[Said] = []
    with PseudoTerminal() as terminal:
        urls = [site.url("/0.jpg"), site.url("/1.jpg"), "file:///a.jpg"]
        thread = threading.Thread(
            target=lambda: said.append(run(*urls, "--store", "store", stderr=terminal.descriptor))
        )
        thread.start()
        live = terminal.wait_for(
            lambda lines: any("2 images" in line and "1 failed" in line for line in lines)
        )
        gate.set()
        thread.join()
        terminal.hang_up()
        left = terminal.screen.lines()
    assert live
    assert left == []
    assert said[0][0] == 0
