"""The live line on a real terminal: it does not tear the log, and it is never left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.crawl.crawls import MODES, TIMEOUT_SECONDS, Crawl, environment
from tests.crawl.site import Answer, Site
from tests.crawl.terminals import PseudoTerminal
from tests.pictures import jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals of POSIX")

SPIDER = '''
"""Logs from threads, prints, and notes beside the terminal what it has to show."""

import json
import logging
import sys
import threading
from pathlib import Path

import scrapy
from scrapy import signals

FORMAT = "%(levelname)s|%(name)s|%(message)s"
STREAMS = sys.stdout, sys.stderr
kept = logging.FileHandler("kept.log")
kept.setFormatter(logging.Formatter(FORMAT))
logging.getLogger().addHandler(kept)
aside = logging.StreamHandler(sys.stdout)
aside.setFormatter(logging.Formatter(FORMAT))
logging.getLogger("aside").addHandler(aside)
logging.getLogger("aside").propagate = False
logging.getLogger("aside").addHandler(kept)
said = Path("kept.log").open("a")


class PageSpider(scrapy.Spider):
    name = "page"

    @classmethod
    def from_crawler(cls, crawler, *args, **kwargs):
        spider = super().from_crawler(crawler, *args, **kwargs)
        crawler.signals.connect(spider.over, signals.engine_stopped)
        return spider

    async def start(self):
        yield scrapy.Request(self.page)

    def parse(self, response):
        self.stop = threading.Event()
        self.threads = [
            threading.Thread(target=self.chatter, args=(number,)) for number in range(3)
        ]
        for thread in self.threads:
            thread.start()
        return {"image_urls": response.css("img::attr(src)").getall()}

    def chatter(self, number):
        turn = 0
        while not self.stop.wait(0.004):
            turn += 1
            line = f"{number}: {turn} " + "x" * (turn % 90 + 1)
            if number == 0:
                self.logger.debug(line)
            elif number == 1:
                logging.getLogger("aside").info("%s\\nsecond line of %s", line, turn)
            else:
                print(line, turn)
                print(line, turn, file=said)

    def closed(self, reason):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def over(self):
        said.close()
        handlers = [each for each in logging.getLogger().handlers if each is not kept]
        Path("over.json").write_text(json.dumps({
            "streams": [sys.stdout is STREAMS[0], sys.stderr is STREAMS[1]],
            "handlers": [each.stream is STREAMS[1] for each in handlers if hasattr(each, "stream")],
            "aside": aside.stream is STREAMS[0],
        }))
'''

MODE = {
    "asyncio": [],
    "select": ["-s", "TWISTED_REACTOR=twisted.internet.selectreactor.SelectReactor"],
    "none": ["-s", "TWISTED_REACTOR_ENABLED=False"],
}


@dataclass
class Shown:
    """What a crawl has left on the terminal, and beside it."""

    code: int
    terminal: PseudoTerminal
    kept: list[str]
    over: dict[str, object]
    line: list[str]
    piped: str = ""

    @property
    def lines(self) -> list[str]:
        return self.terminal.screen.lines()


def project(place: Path) -> Path:
    (place / "shop").mkdir(parents=True)
    (place / "scrapy.cfg").write_text("[settings]\ndefault = shop.settings\n")
    (place / "shop" / "__init__.py").touch()
    (place / "shop" / "page.py").write_text(SPIDER)
    (place / "shop" / "settings.py").write_text(
        'BOT_NAME = "shop"\n'
        'SPIDER_MODULES = ["shop.page"]\n'
        'ADDONS = {"scrapy_imgpipe.Addon": 500}\n'
        'IMAGES_STORE = "store"\n'
        'LOG_FORMAT = "%(levelname)s|%(name)s|%(message)s"\n'
        "TELNETCONSOLE_ENABLED = False\n"
        "RETRY_ENABLED = False\n"
        "LOGSTATS_INTERVAL = 0.1\n"
    )
    return place


def is_painted(lines: list[str]) -> bool:
    painted = bool(lines) and lines[-1].startswith("2 images") and "1 waiting" in lines[-1]
    return painted and any("|Images: 2 (at" in line for line in lines)


def is_late(lines: list[str]) -> bool:
    """Return whether there was time enough to paint something."""
    return any("2: 150 " in line for line in lines)


def crawled(place: Path, *options: str, progress: bool = True, piped: bool = False) -> Shown:
    """Crawl a page with a picture, one that is not there, and one that waits for the live line."""
    gate = threading.Event()
    with Site() as site, PseudoTerminal() as terminal:
        site.answers = {"/a.jpg": jpeg(), "/held.jpg": Answer(jpeg(), gate=gate)}
        page = site.add_page("/page.html", ["/a.jpg", "/gone.jpg", "/held.jpg"])
        command = ("crawl", "page", "-a", f"page={page}", "-s", f"IMGPIPE_PROGRESS={progress}")
        running = subprocess.Popen(
            [sys.executable, "-m", "scrapy", *command, *options],
            env={**environment(), "TERM": "xterm", "PYTHONIOENCODING": "utf-8"},
            cwd=project(place),
            stdin=subprocess.DEVNULL,
            stdout=terminal.descriptor,
            stderr=subprocess.PIPE if piped else terminal.descriptor,
        )
        line: list[str] = []
        try:
            is_live = progress and not piped
            assert terminal.wait_for(is_painted if is_live else is_late), terminal.text
            if is_live:  # and the log has gone through it many times
                painted = "1 failed, 1 pages\x1b[J\r"
                assert terminal.wait_for(lambda _: terminal.text.count(painted) > 50)
                assert terminal.wait_for(is_painted), terminal.text
            line = terminal.screen.lines()[-1:]
            gate.set()
            piped_text = running.communicate(timeout=TIMEOUT_SECONDS)[1] or b""
        finally:
            gate.set()
            running.kill()
            running.wait()
        terminal.hang_up()
    return Shown(
        running.returncode,
        terminal,
        (place / "kept.log").read_text().splitlines(),
        json.loads((place / "over.json").read_text()),
        line,
        piped_text.decode(),
    )


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Shown]]:
    return {mode: crawled(tmp_path_factory.mktemp(mode) / "p", *MODE[mode]) for mode in MODES}


@pytest.mark.parametrize("mode", MODES)
def test_the_live_line_says_how_far_the_crawl_is(shown: dict[str, Shown], mode: str) -> None:
    assert shown[mode].code == 0
    (line,) = shown[mode].line
    assert re.fullmatch(
        r"2 images,( \d+(\.\d)?/s,)? 0\.0 MB in, 1 waiting, 1 failed, 1 pages", line
    )


@pytest.mark.parametrize("mode", MODES)
def test_every_line_is_whole_and_none_is_lost_nor_the_live_one_left(
    shown: dict[str, Shown], mode: str
) -> None:
    # What several threads write has one order here and another there.
    assert sorted(shown[mode].lines) == sorted(shown[mode].kept)
    assert len(shown[mode].kept) > 100


@pytest.mark.parametrize("mode", MODES)
def test_every_stream_is_put_back(shown: dict[str, Shown], mode: str) -> None:
    assert shown[mode].over == {"streams": [True, True], "handlers": [True], "aside": True}


@pytest.mark.parametrize("mode", MODES)
def test_the_log_says_from_time_to_time_how_far_the_crawl_is(
    shown: dict[str, Shown], mode: str
) -> None:
    lines = [line for line in shown[mode].kept if "|Images: " in line]
    meanwhile = [line for line in lines if "images/min" in line]
    assert lines == [*meanwhile, lines[-1]]
    start = "INFO|scrapy_imgpipe.pipeline.watching|Images: 2 (at "
    assert [
        line
        for line in meanwhile
        if line.startswith(start) and line.endswith(" images/min), 0.0 MB in, 1 waiting, 1 failed")
    ]


@pytest.mark.parametrize(
    ("progress", "piped"), [(False, False), (True, True)], ids=["not wanted", "no terminal"]
)
def test_otherwise_there_is_no_live_line(tmp_path: Path, progress: bool, piped: bool) -> None:
    crawl = crawled(tmp_path / "p", progress=progress, piped=piped)
    assert crawl.code == 0
    assert "\x1b" not in crawl.terminal.text + crawl.piped
    assert [line for line in crawl.kept if "1 waiting, 1 failed" in line]


def test_several_crawls_of_one_process_have_one_line_each_in_turn(tmp_path: Path) -> None:
    gates = [threading.Event(), threading.Event()]
    with Site() as site, PseudoTerminal() as terminal:
        site.answers = {"/a.jpg": jpeg(), "/b.jpg": Answer(jpeg(), gate=gates[0])}
        page = site.add_page("/page.html", ["/a.jpg", "/b.jpg"])
        running = Crawl(
            tmp_path,
            page,
            store=tmp_path / "store",
            how="runner",
            terminal=terminal.descriptor,
            task={"crawls": 2},
            IMAGES_EXPIRES=0,
            IMGPIPE_PROGRESS=True,
        )
        for gate, following in zip(gates, [gates[1], None], strict=True):
            assert terminal.wait_for(
                lambda lines: bool(lines) and lines[-1].startswith("1 images, ")
            ), terminal.text
            if following is not None:
                site.answers["/b.jpg"] = Answer(jpeg(), gate=following)
            gate.set()
        crawled = running.end()
        terminal.hang_up()
    crawled.went_well()
    lines = terminal.screen.lines()
    assert [line for line in lines if "|" not in line and " images, " in line] == []
    assert len([line for line in lines if line.endswith("Spider closed (finished)")]) == 2


@pytest.mark.parametrize("mode", ["asyncio", "select"])
def test_a_crawl_that_is_ended_at_once_leaves_no_line(tmp_path: Path, mode: str) -> None:
    gate = threading.Event()
    with Site() as site, PseudoTerminal() as terminal:
        site.answers = {"/a.jpg": jpeg(), "/b.jpg": Answer(jpeg(), gate=gate)}
        page = site.add_page("/page.html", ["/a.jpg", "/b.jpg"])
        running = Crawl(
            tmp_path,
            page,
            store=tmp_path / "store",
            mode=mode,
            terminal=terminal.descriptor,
            IMGPIPE_PROGRESS=True,
        )
        try:
            for awaited in ("1 images, ", "Closing spider (shutdown)"):
                seen = terminal.wait_for(lambda lines, awaited=awaited: awaited in str(lines))
                assert seen, (awaited, terminal.text)
                running.process.send_signal(signal.SIGINT)
            running.end()
        finally:
            gate.set()
            running.process.kill()
            running.process.wait()
        terminal.hang_up()
    lines = terminal.screen.lines()
    assert [line for line in lines if "forcing unclean shutdown" in line]
    assert [line for line in lines if " images, " in line] == []
