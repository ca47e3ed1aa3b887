"""What commands print, and for whom."""

from __future__ import annotations

import io

from scrapy_imgpipe.commands.console import Console


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_cells_stand_between_tabs():
    out = io.StringIO()
    Console(out, io.StringIO()).line("full/a.jpg", "missing", "")
    assert out.getvalue() == "full/a.jpg\tmissing\n"


def test_nothing_that_is_printed_commands_a_terminal():
    out = io.StringIO()
    Console(out, io.StringIO()).line("a\x1b[2Jb\nc", "d\te")
    assert out.getvalue() == "a\ufffd[2Jb\ufffdc\td\ufffde\n"


def test_progress_is_for_terminals_only():
    err, clock = io.StringIO(), Clock()
    console = Console(io.StringIO(), err, clock)
    clock.now = 10
    console.seen(1000)
    console.wipe()
    assert err.getvalue() == ""


def test_progress_is_one_line_a_few_times_a_second():
    err, clock = Terminal(), Clock()
    console = Console(io.StringIO(), err, clock)
    for step in range(1, 1001):
        clock.now = step / 1000
        console.seen(2)
    assert err.getvalue() == (
        "\r500 files, 2,000 a second\r1,000 files, 2,000 a second"
        "\r1,500 files, 2,000 a second\r2,000 files, 2,000 a second"
    )


def test_a_shorter_line_covers_a_longer_one():
    err, clock = Terminal(), Clock()
    console = Console(io.StringIO(), err, clock)
    for clock.now, files in ((1, 123_456), (1000, 0)):
        console.seen(files)
    assert err.getvalue().split("\r")[1:] == [
        "123,456 files, 123,456 a second",
        "123,456 files, 123 a second    ",
    ]


def test_a_result_takes_the_place_of_the_progress():
    screen, clock = Terminal(), Clock()
    console = Console(screen, screen, clock)
    clock.now = 1
    console.seen()
    console.line("result")
    console.wipe()  # there is nothing left to wipe
    shown = "1 files, 1 a second"
    assert screen.getvalue() == f"\r{shown}\r{' ' * len(shown)}\rresult\n"
