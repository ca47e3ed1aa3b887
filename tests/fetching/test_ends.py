"""Killed and interrupted: nothing is lost, no line has two rows, and the next run goes on."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from scrapy_imgpipe import FetchFailed, SettingError, fetch_images
from scrapy_imgpipe.report import open_report, read_rows
from tests.crawl.crawls import files
from tests.crawl.site import Answer
from tests.fetching import pipelines
from tests.fetching.commands import Command, are_gone
from tests.fetching.reports import outcomes_of, photos, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.crawl.site import Site

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="/proc and pidfd tell of processes")
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

#: Images of a list, those that come at once, and as many as a host is asked at a time.
LINES, ANSWERED, AT_ONCE = 40, 10, 8


class Turnstile:
    """A gate that lets the first ones through, and the others when it is opened."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._lock = threading.Lock()
        self._open = threading.Event()

    def wait(self, seconds: float) -> bool:
        with self._lock:
            self._left -= 1
            if self._left >= 0:
                return True
        return self._open.wait(seconds)

    def set(self) -> None:
        self._open.set()


class Held:
    """A list of images of which the first that are asked for come, and the others later."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        self.gate: Any = Turnstile(ANSWERED)
        self.urls = photos(site, LINES)
        for path, body in site.answers.items():
            site.answers[path] = Answer(body, gate=self.gate)
        self.list = folder / "list.txt"
        self.list.write_text("\n".join(self.urls))

    def is_under_way(self, command: Command) -> bool:
        """Wait until nothing happens any more before the gate is opened."""
        command.wait_for_rows(ANSWERED)
        return self.site.wait_for(ANSWERED + AT_ONCE)


@pytest.fixture
def held(site: Site, tmp_path: Path) -> Iterator[Held]:
    held = Held(site, tmp_path)
    yield held
    held.gate.set()


@LINUX
def test_a_killed_fetch_leaves_no_process_and_goes_on(
    held: Held, tmp_path: Path, environ: dict[str, str]
) -> None:
    command = Command(tmp_path, environ, held.list, "--processes", 2)
    assert held.is_under_way(command)
    started = command.descendants()
    assert started
    command.process.kill()
    assert command.end()[0] == -signal.SIGKILL
    assert are_gone(started)  # the images that they wait for never come
    assert len(list(read_rows(command.report))) == ANSWERED
    held.gate.set()
    code, text = Command(tmp_path, environ, held.list, "--processes", 2).end()
    assert code == 0
    assert f"Done before: {ANSWERED} of the list" in text.splitlines()
    assert outcomes_of(command.report) == ["stored"] * LINES
    asked = Counter(held.site.asked().values())
    assert (asked[1], asked[2]) == (LINES - AT_ONCE, AT_ONCE)  # what was under way
    assert len(files(tmp_path / "store")) == LINES


@LINUX
def test_a_report_that_was_cut_off_is_gone_on_with(
    held: Held, tmp_path: Path, environ: dict[str, str]
) -> None:
    command = Command(tmp_path, environ, held.list)
    assert held.is_under_way(command)
    command.process.kill()
    command.end()
    whole = command.report.read_bytes()
    command.report.write_bytes(whole[:-20])  # of the last row
    held.gate.set()
    code, text = Command(tmp_path, environ, held.list).end()
    assert code == 0
    assert f"Done before: {ANSWERED - 1} of the list" in text.splitlines()
    assert {*outcomes_of(command.report)} <= {"stored", "up-to-date"}
    assert len(rows_of(command.report)) == LINES


@LINUX
def test_a_killed_crawl_is_started_again_and_nobody_can_tell(
    held: Held, tmp_path: Path, environ: dict[str, str]
) -> None:
    command = Command(tmp_path, environ, held.list)
    assert held.is_under_way(command)
    first = command.descendants()[0]
    os.kill(first, signal.SIGKILL)
    assert are_gone([first])
    held.gate.set()
    code, text = command.end()
    assert code == 0, text
    assert {*outcomes_of(command.report)} == {"stored"}
    assert len(rows_of(command.report)) == LINES
    assert not list(tmp_path.glob("*.unfinished"))


def test_a_crawl_that_dies_of_a_line_does_it_again(site: Site, tmp_path: Path) -> None:
    entries = [{"url": url} for url in photos(site, 30)]
    entries[20]["deadly"] = str(tmp_path / "mark")
    fetched = fetch_images(entries, tmp_path / "store", pipeline=pipelines.DiesOnce, processes=2)
    assert (tmp_path / "mark").exists()
    outcomes = outcomes_of(fetched)
    assert len(outcomes) == 30
    assert {*outcomes} <= {"stored", "up-to-date"}


def test_a_crawl_that_dies_again_and_again_is_given_up(
    site: Site, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    entries = [{"url": url} for url in photos(site, 5)]
    entries[3]["deadly"] = "yes"
    report = tmp_path / "report.jsonl"
    with pytest.raises(FetchFailed, match=r"died 3 times in a row \(exit status 9\): That was it"):
        fetch_images(entries, tmp_path / "store", pipeline=pipelines.DiesAlways, report=report)
    assert "That was it" in capfd.readouterr().err
    lines = [row["line"] for row in read_rows(report)]
    assert len(lines) == len({*lines})
    assert 3 not in lines


@POSIX
def test_an_interrupt_finishes_what_is_under_way_and_the_next_run_goes_on(
    held: Held, tmp_path: Path, environ: dict[str, str]
) -> None:
    command = Command(tmp_path, environ, held.list)
    assert held.is_under_way(command)
    command.interrupt()
    command.wait_for_line("Stopping when what is under way is finished")
    held.gate.set()
    code, text = command.end()
    assert code == 130, text
    assert "Traceback" not in text
    rows = list(read_rows(command.report))
    asked = held.site.asked()
    assert {row["outcome"] for row in rows} == {"stored"}
    assert len(rows) == sum(asked.values()) < LINES
    code, text = Command(tmp_path, environ, held.list).end()
    assert code == 0
    assert f"Done before: {len(rows)} of the list" in text.splitlines()
    assert outcomes_of(command.report) == ["stored"] * LINES
    assert set(held.site.asked().values()) == {1}


@LINUX
def test_a_second_interrupt_ends_it_at_once(
    held: Held, tmp_path: Path, environ: dict[str, str]
) -> None:
    command = Command(tmp_path, environ, held.list)
    assert held.is_under_way(command)
    started = command.descendants()
    command.interrupt()
    command.wait_for_line("Stopping when what is under way is finished")
    command.interrupt()
    code, text = command.end()  # the images never come
    assert code == 130, text
    assert "Traceback" not in text
    assert are_gone(started)
    assert len(list(read_rows(command.report))) == ANSWERED
    held.gate.set()
    assert Command(tmp_path, environ, held.list).end()[0] == 0
    assert outcomes_of(command.report) == ["stored"] * LINES


def damaged(entries: list[str], folder: Path) -> tuple[Path, str]:
    """Write a list whose last entry but one cannot be read; return it, and what mends it.

    Nobody can tell the mended one from it by its name, length and time.
    """
    path = folder / "list.json"
    whole = json.dumps([{"url": url} for url in entries])
    place = whole.rindex('{"url"', 0, whole.rindex('{"url"'))
    path.write_text(f"{whole[:place]}!{whole[place + 1 :]}")
    os.utime(path, (1, 1))
    return path, whole


@pytest.mark.parametrize("extension", [".jsonl", ".csv", ".sqlite", ".parquet"])
def test_reports_of_each_format_are_gone_on_with(
    site: Site, tmp_path: Path, extension: str
) -> None:
    path, whole = damaged([*photos(site, 5), "nonsense"], tmp_path)
    store, report = tmp_path / "store", tmp_path / f"report{extension}"
    with pytest.raises(SettingError, match=r"list\.json"):
        fetch_images(path, store, report=report)
    assert outcomes_of(report) == ["stored"] * 4
    path.write_text(whole)
    os.utime(path, (1, 1))
    fetched = fetch_images(path, store, report=report)
    assert (fetched.passed_over, fetched.outcomes_before) == (4, {"stored": 4})
    assert fetched.outcomes == {"stored": 1, "bad-url": 1}
    assert outcomes_of(report) == ["stored"] * 5 + ["bad-url"]
    # The list is through: the next run is another one.
    assert fetch_images(path, store, report=report).passed_over == 0
    assert outcomes_of(report) == ["up-to-date"] * 5 + ["bad-url"]


@POSIX  # for the link
@pytest.mark.parametrize("name", ["list.csv", "linked.csv", "list.parquet", "none/../list.csv"])
def test_a_report_never_takes_the_place_of_its_list(tmp_path: Path, name: str) -> None:
    path = tmp_path / name.replace("linked", "list").removeprefix("none/../")
    if name == "list.parquet":
        with closing(open_report(path)) as report:
            report.write([{"url": "http://127.0.0.1:9/a.jpg"}])
    else:
        path.write_text("url\nhttp://127.0.0.1:9/a.jpg\n")
        (tmp_path / "linked.csv").symlink_to(path)
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    told: dict[str, Any] = {"report": tmp_path / name}
    for cluster in {"", "tcp://127.0.0.1:9" if name == "list.parquet" else ""}:
        with pytest.raises(SettingError, match=r"^Expected a file that the list is not read from"):
            fetch_images(path, tmp_path / "store", cluster=cluster, **told)
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before


def test_another_list_is_begun_anew(site: Site, tmp_path: Path) -> None:
    urls = photos(site, 4)
    path, _ = damaged(urls, tmp_path)
    report = tmp_path / "report.jsonl"
    with pytest.raises(SettingError):
        fetch_images(path, tmp_path / "store", report=report)
    assert len(rows_of(report)) == 2
    fetched = fetch_images(urls[::-1], tmp_path / "store", report=report)
    assert fetched.passed_over == 0
    assert [row["url"] for row in rows_of(report)] == urls[::-1]


def test_what_nobody_can_know_again_is_begun_anew(site: Site, tmp_path: Path) -> None:
    urls = photos(site, 4)
    report = tmp_path / "report.jsonl"

    def some() -> Iterator[str]:
        yield from urls[:3]
        raise LookupError

    with pytest.raises(LookupError):
        fetch_images(some(), tmp_path / "store", report=report)
    fetched = fetch_images(iter(urls), tmp_path / "store", report=report)
    assert fetched.passed_over == 0
    assert len(rows_of(report)) == 4
