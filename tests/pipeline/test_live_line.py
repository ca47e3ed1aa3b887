"""The live line and the streams of its terminal, in one process."""

# ruff: noqa: T201 - what is printed is what is tested

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import contextmanager

import pytest

from scrapy_imgpipe.pipeline.live_line import LiveLine, Numbers
from tests.crawl.terminals import PseudoTerminal

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals of POSIX")

logger = logging.getLogger("live")
logger.propagate = False
logger.setLevel("DEBUG")


@contextmanager
def on_terminal(columns=120):
    """Put both standard streams onto a terminal, and a logger that writes to one of them.

    No fixture: between that and the test, pytest puts streams of its own in their places.
    """
    with (
        PseudoTerminal(columns) as terminal,
        os.fdopen(os.dup(terminal.descriptor), "w", 1, encoding="utf-8") as out,
        os.fdopen(os.dup(terminal.descriptor), "w", 1, encoding="utf-8") as err,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("TERM", "xterm")
        patch.setattr("scrapy_imgpipe.progress.PAINT_SECONDS", 0)
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        terminal.handler, terminal.streams = logging.StreamHandler(err), (out, err)
        logger.addHandler(terminal.handler)
        try:
            yield terminal
        finally:
            logger.removeHandler(terminal.handler)


@contextmanager
def live():
    """Join the line on a terminal; yield both."""
    with on_terminal() as terminal:
        line = LiveLine.join("crawl")
        try:
            yield line, terminal
        finally:
            line.leave("crawl")


def lines(terminal):
    """Return what stands on the screen, with a last line that tells that all of it has come."""
    os.write(terminal.descriptor, b"\n--\n")
    assert terminal.wait_for(lambda lines: lines[-1:] == ["--"])
    shown = terminal.screen.lines()[:-1]
    return shown[:-1] if not shown[-1] else shown


def test_two_crawls_of_a_process_share_the_line():
    with live() as (line, terminal):
        assert LiveLine.join("other") is line
        line.update("crawl", Numbers(10, 1, 1_000_000, 5, 2))
        line.update("other", Numbers(3, 1, 500_000, 4, 1))
        assert terminal.wait_for(lambda shown: "13 images" in "".join(shown))
        line.leave("other")
        line.update("crawl", Numbers(11, 1, 1_000_000, 4, 2))
        assert lines(terminal) == ["14 images, 1.5 MB in, 4 waiting, 2 failed, 3 pages"]
        assert sys.stderr is not terminal.streams[1]
        line.leave("crawl")
        assert (sys.stdout, sys.stderr) == terminal.streams
        assert terminal.handler.stream is terminal.streams[1]


def test_what_is_printed_and_logged_stands_above_the_line():
    with live() as (line, terminal):
        line.update("crawl", Numbers(1))
        print("printed", 1, "\nand", 2)
        logger.info("logged\nin two lines")
        print("not ", end="")
        logger.info("torn")
        print("torn")
        sys.stdout.writelines(["one\n", "another\n"])
        shown = "1 images, 0 waiting, 0 pages"
        assert lines(terminal) == [
            "printed 1", "and 2", "logged", "in two lines", "torn", "not torn",
            "one", "another", shown,
        ]  # fmt: skip


def test_the_line_stays_away_behind_a_prompt():
    with live() as (line, terminal):
        line.update("crawl", Numbers(1))
        print("Name? ", end="", flush=True)
        line.update("crawl", Numbers(2))
        assert terminal.wait_for(lambda shown: shown == ["Name?"])
        print()
        line.update("crawl", Numbers(3))
        shown = lines(terminal)
        assert shown[0] == "Name?"
        assert shown[1].startswith("3 images, ")


def test_what_is_begun_when_the_line_goes_is_not_lost():
    with live() as (line, terminal):
        line.update("crawl", Numbers(1))
        print("begun", end="")
        kept = sys.stdout
        line.leave("crawl")
        print(" and ended")
        print("by who still has the stream", file=kept)
        assert lines(terminal) == ["begun and ended", "by who still has the stream"]


def test_a_handler_that_is_made_meanwhile_is_put_back_too():
    with live() as (line, terminal):
        handler = logging.StreamHandler()
        logger.addHandler(handler)
        line.update("crawl", Numbers(1))
        line.leave("crawl")
        logger.removeHandler(handler)
        assert handler.stream is terminal.streams[1]


def test_a_stream_that_somebody_has_put_there_meanwhile_stays(tmp_path):
    with live() as (line, terminal):
        with (tmp_path / "log").open("w") as other:
            sys.stdout = other
            terminal.handler.setStream(other)
            line.leave("crawl")
            assert sys.stdout is other
            assert terminal.handler.stream is other
            logger.info("there")
            terminal.handler.setStream(terminal.streams[1])
        assert (tmp_path / "log").read_text() == "there\n"


def test_streams_that_lead_elsewhere_are_left_alone(tmp_path, monkeypatch):
    with on_terminal(), (tmp_path / "out").open("w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        line = LiveLine.join("crawl")
        assert sys.stdout is out
        line.leave("crawl")


def test_there_is_no_line_without_a_terminal(monkeypatch, tmp_path):
    with (tmp_path / "err").open("w") as err:
        for stream in (err, None):
            monkeypatch.setattr(sys, "stderr", stream)
            assert LiveLine.join("crawl") is None
            assert sys.stderr is stream


def test_lines_of_many_threads_are_whole():
    with live() as (line, terminal):

        def chatter(name):
            for turn in range(200):
                logger.info("%s logs %s", name, turn)
                print(name, "prints", turn)

        threads = [threading.Thread(target=chatter, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            line.update("crawl", Numbers(1))
        line.leave("crawl")
        assert sorted(lines(terminal)) == sorted(
            f"{name} {does} {turn}"
            for name in "abc"
            for does in ("logs", "prints")
            for turn in range(200)
        )


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # the terminal has a thread
def test_a_process_that_is_forked_writes_as_it_likes():
    with live() as (line, terminal):
        line.update("crawl", Numbers(1))
        print("begun, ", end="")
        with line.lock:  # as another thread may, which is not there in the child
            child = os.fork()
        if child == 0:
            print("from the child", flush=True)
            os._exit(sys.stderr is not terminal.streams[1])
        assert os.waitpid(child, 0)[1] == 0
        print("ended")
        line.leave("crawl")
        assert [each for each in lines(terminal) if "ended" in each] == ["begun, ended"]
        assert "begun, from" not in terminal.text
