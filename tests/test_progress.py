"""What the live line and the plain lines say, on a terminal that is played by a model."""

from __future__ import annotations

import io
import os

import pytest

from scrapy_imgpipe import progress as subject
from scrapy_imgpipe.progress import Progress
from tests.terminal import Screen


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    encoding = "utf-8"

    def __init__(self, columns=80, encoding="utf-8"):
        super().__init__()
        self.encoding = encoding
        self.screen = Screen(columns)

    def isatty(self):
        return True

    def write(self, text):
        self.screen.feed(text)
        return super().write(text)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(autouse=True)
def columns(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    return lambda number: monkeypatch.setenv("COLUMNS", str(number))


def run(progress, clock, *, seconds, each_second, start=0, **rest):
    """Update *progress* 16 times a second, from the begin to the end of that time."""
    progress.update(start, **rest)
    for step in range(1, seconds * 16 + 1):
        clock.now += 1 / 16
        progress.update(start + each_second * step // 16, **rest)


def test_the_live_line_says_how_far_it_is_and_how_long_it_will_take(clock):
    out = Terminal()
    progress = Progress(out, clock=clock, total=1000)
    run(progress, clock, seconds=10, each_second=25, failed=12, bytes_in=182_300_000, waiting=34)
    assert out.screen.lines() == [
        "25%, 250 of 1,000 images, 25/s, 182.3 MB in, 34 waiting, 12 failed, 30 s left"
    ]


def test_a_bar_takes_the_room_that_is_left(clock, columns):
    columns(100)
    out = Terminal(100)
    progress = Progress(out, clock=clock, total=1000)
    run(progress, clock, seconds=10, each_second=50)
    bar = f"|{'█' * 12}{' ' * 12}|"
    assert out.screen.lines() == [f"{bar} 50%, 500 of 1,000 images, 50/s, 10 s left"]


def test_the_bar_is_ascii_where_the_terminal_can_do_no_better(clock):
    out = Terminal(encoding="ascii")
    progress = Progress(out, clock=clock, total=1000)
    run(progress, clock, seconds=10, each_second=50, note="M\xfcnchen")
    bar = f"[{'#' * 12}{' ' * 12}]"
    assert out.screen.lines() == [f"{bar} 50%, 500 of 1,000 images, 50/s, 10 s left, M?nchen"]


@pytest.mark.parametrize("width", range(1, 131))
@pytest.mark.parametrize(
    "note",
    ["", "a note", "http://example.com/" * 20, "\u5716\u50cf" * 40],
    ids=["none", "short", "long", "wide"],
)
def test_the_live_line_is_never_wrapped(clock, columns, width, note):
    columns(width)
    out = Terminal(width)
    progress = Progress(out, clock=clock, total=1000)
    run(
        progress, clock, seconds=4, each_second=25,
        failed=12, bytes_in=182_300_000, waiting=34, note=note,
    )  # fmt: skip
    assert len(out.screen.lines()) <= 1
    assert out.screen.widest < max(width, 2)
    progress.wipe()
    assert out.screen.lines() == []


def test_what_matters_least_goes_first_where_there_is_no_room(clock, columns):
    out = Terminal()
    progress = Progress(out, clock=clock, total=1000)
    said = []
    for width in (80, 60, 50, 35, 30, 12):
        columns(width)
        run(progress, clock, seconds=1, each_second=0, start=250, failed=3, waiting=4, bytes_in=1)
        said += out.screen.lines()
    assert said == [
        f"|{'█' * 3}▎{' ' * 9}| 25%, 250 of 1,000 images, 0.0/s, 0.0 MB in, 4 waiting, 3 failed",
        "25%, 250 of 1,000 images, 0.0/s, 4 waiting, 3 failed",
        "25%, 250 of 1,000 images, 0.0/s, 3 failed",
        "25%, 250 of 1,000 images, 3 failed",
        "250 of 1,000 images, 3 failed",
        "250 of 1,00",
    ]


def test_nothing_in_a_note_commands_the_terminal(clock):
    out = Terminal()
    progress = Progress(out, clock=clock)
    clock.now = 1
    progress.update(1, note="a\x1b[2Jb\nc")
    assert out.screen.lines() == ["1 images, a\ufffd[2Jb\ufffdc"]


def test_a_million_updates_paint_a_few_times_a_second(clock):
    out = Terminal()
    progress = Progress(out, clock=clock)
    for step in range(1, 100_001):
        clock.now = step / 10_000
        progress.update(step)
    paints = out.getvalue().count("images")
    assert 4 * 10 <= paints <= 10 * 10


def test_the_time_left_follows_the_last_seconds_and_not_the_mean(clock):
    out = io.StringIO()
    progress = Progress(out, clock=clock, total=10_000, every_seconds=20)
    run(progress, clock, seconds=50, each_second=100)
    run(progress, clock, seconds=20, each_second=10, start=5000)
    progress.close()
    assert out.getvalue().splitlines()[-1] == "52%, 5,200 of 10,000 images, 10/s, 8 min 0 s left"


def test_a_list_that_goes_on_tells_no_speed_of_what_was_done_before(clock):
    """The first update of a run that goes on says what had been done: that took no time."""
    out = io.StringIO()
    progress = Progress(out, clock=clock, total=10_000)
    run(progress, clock, seconds=10, each_second=100, start=5000)
    assert out.getvalue() == "60%, 6,000 of 10,000 images, 100/s, 40 s left\n"


def test_the_time_left_comes_from_the_share_where_the_total_is_not_known(clock):
    out = io.StringIO()
    progress = Progress(out, clock=clock, every_seconds=5)
    for clock.now in range(1, 6):
        progress.update(clock.now * 10, share=clock.now / 100)
    progress.close()
    assert out.getvalue() == "5%, 50 images, 10/s, 1 min 35 s left\n"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(59, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (273_600, "3 d 4 h")],
)
def test_the_time_left_has_two_units(seconds, said):
    assert subject._duration(seconds) == said


def test_without_a_total_there_is_no_bar_and_no_time_left(clock):
    out = Terminal()
    progress = Progress(out, clock=clock, unit="files")
    run(progress, clock, seconds=10, each_second=250)
    assert out.screen.lines() == ["2,500 files, 250/s"]


def test_elsewhere_there_are_plain_lines_now_and_then(clock):
    out = io.StringIO()
    progress = Progress(out, clock=clock, every_seconds=10)
    run(progress, clock, seconds=25, each_second=100, bytes_in=1_500_000)
    progress.wipe()  # takes nothing away
    assert out.getvalue() == (
        "1,000 images, 100/s, 1.5 MB in\n2,000 images, 100/s, 1.5 MB in\n"
    )  # fmt: skip
    progress.close()
    progress.close()
    assert out.getvalue().splitlines()[2:] == ["2,500 images, 100/s, 1.5 MB in"]


def test_a_run_of_nothing_says_nothing(clock):
    out = io.StringIO()
    progress = Progress(out, clock=clock)
    progress.update(0)
    progress.close()
    assert out.getvalue() == ""


def test_what_is_written_meanwhile_stands_above_the_live_line(clock):
    out = Terminal()
    progress = Progress(out, clock=clock)
    clock.now = 1
    progress.update(7)
    with progress.hidden():
        out.write("a line\n")
    assert out.screen.lines() == ["a line", "7 images"]
    progress.close()
    assert out.screen.lines() == ["a line"]
    with progress.hidden():
        out.write("another\n")
    assert out.screen.lines() == ["a line", "another"]


def test_the_live_line_comes_back_when_what_is_written_meanwhile_fails(clock):
    out = Terminal()
    progress = Progress(out, clock=clock)
    clock.now = 1
    progress.update(7)
    with pytest.raises(ZeroDivisionError), progress.hidden():
        raise ZeroDivisionError
    assert out.screen.lines() == ["7 images"]


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_a_shorter_line_covers_a_longer_one(clock, monkeypatch, term):
    monkeypatch.setenv("TERM", term)
    out = Terminal()
    progress = Progress(out, clock=clock)
    for clock.now, note in ((1, "a long note, longer than the next"), (2, "short")):
        progress.update(7, note=note)
    assert out.screen.lines() == ["7 images, 0.0/s, short"]
    assert ("\x1b" in out.getvalue()) == (term == "xterm" and os.name != "nt")


@pytest.mark.skipif(os.name == "nt", reason="consoles of Windows may know no escapes")
def test_a_terminal_made_narrower_keeps_nothing_of_the_line(clock, columns):
    out = Terminal()
    progress = Progress(out, clock=clock, total=1000)
    out.write("a line of the log\n")
    run(progress, clock, seconds=5, each_second=25, failed=12, bytes_in=1, waiting=34)
    columns(30)
    out.screen.resize(30)
    assert len(out.screen.lines()) > 2
    run(progress, clock, seconds=1, each_second=25, failed=12, bytes_in=1, waiting=34)
    assert out.screen.lines()[0] == "a line of the log"
    assert len(out.screen.lines()) == 2
    progress.close()
    assert out.screen.lines() == ["a line of the log"]


def test_a_terminal_that_goes_away_is_no_error(clock):
    out = Terminal()
    progress = Progress(out, clock=clock)
    clock.now = 1
    progress.update(1)
    out.close()
    clock.now = 2
    progress.update(2)
    progress.wipe()
    progress.close()
