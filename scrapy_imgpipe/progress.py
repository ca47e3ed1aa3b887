"""How far a run is, for people: one live line on a terminal, plain lines elsewhere.

Knows no run, no thread and no logging: it is told numbers and writes text. Its clock is
an argument. Who calls it from several threads holds a lock around each call.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO
from unicodedata import combining, east_asian_width

#: Seconds between two paints of the live line: often enough to look alive, and nothing
#: that could be measured.
PAINT_SECONDS = 0.2

#: Over how many seconds the rate is taken. Shorter ones jump with each burst, longer ones
#: go on promising what was true before the site slowed down.
WINDOW_SECONDS = 15.0

#: A rate over less time than this, in seconds, says nothing of what will come.
_LEAST_SECONDS = 1.0
_LEAST_SECONDS_FOR_TIME_LEFT = 3.0

#: Columns of the bar, its ends left out; below the first it tells less than the words
#: that it would take the place of.
_BAR = range(8, 25)

#: A note of fewer columns is no longer worth reading.
_LEAST_NOTE = 12

_EIGHTHS = "▏▎▍▌▋▊▉█"
_MEGA = 1_000_000


@dataclass(frozen=True, slots=True)
class _State:
    """What is known of the run at one moment; see :meth:`Progress.update`."""

    done: int = 0
    failed: int = 0
    bytes_in: int = 0
    share: float | None = None
    waiting: int | None = None
    note: str = ""


class Progress:
    """Tells how far a run is: one live line on a terminal, plain lines elsewhere.

    The live line stays below what else is written, for as long as each writer calls
    :meth:`wipe` first, or writes inside :meth:`hidden`. It fits the terminal, whatever
    becomes of its width, and is never wrapped. A terminal that goes away is no error.

    Args:
        out: where it is written, standard error as a rule.
        clock: seconds that only go forward.
        every_seconds: from one plain line to the next; above 0.
        unit: what is counted, in the plural.
        total: how many there will be, where that is known.

    Attributes:
        total: as above; may be set as soon as it is known.
        is_live: whether there is a terminal, and thus a live line.
    """

    def __init__(
        self,
        out: TextIO,
        *,
        clock: Callable[[], float] = time.monotonic,
        every_seconds: float = 10.0,
        unit: str = "images",
        total: int | None = None,
    ) -> None:
        self.total: int | None = total
        self.is_live: bool = out.isatty()
        self._out = out
        self._clock = clock
        self._unit = unit
        self._pause = PAINT_SECONDS if self.is_live else every_seconds
        self._written_at = clock()
        self._written: _State | None = None
        self._state = _State()
        self._samples: deque[tuple[float, int, float | None]] = deque()
        self._text = ""  # what stands on the live line
        self._encoding = _encoding_of(out)
        self._has_blocks = _has(self._encoding, _EIGHTHS)
        self._erases = os.name != "nt" and os.environ.get("TERM") != "dumb"

    def update(  # noqa: PLR0913 - one for each number there is
        self,
        done: int,
        failed: int = 0,
        bytes_in: int = 0,
        *,
        share: float | None = None,
        waiting: int | None = None,
        note: str = "",
    ) -> None:
        """Take note of how far the run is, and say so from time to time.

        Cheap: most calls write nothing. All numbers are totals so far.

        Args:
            done: what has ended, well or not.
            failed: how many of them did not end well.
            bytes_in: bytes that were downloaded.
            share: how much of the list is through, 0 to 1, where that can be told.
            waiting: what is asked for and has not ended.
            note: what else is to be said, at the end of the line where there is room.
        """
        now = self._clock()
        self._state = _State(done, failed, bytes_in, share, waiting, note)
        if not self._samples or now - self._samples[-1][0] >= PAINT_SECONDS:
            self._sample(now)
        if now - self._written_at >= self._pause:
            self._written_at = now
            self._tell(now)

    def wipe(self) -> None:
        """Take the live line away; the next update paints it again, when it is time."""
        if self._text:
            width, self._text = _columns(self._text), ""
            self._write("\r\x1b[J" if self._erases else f"\r{' ' * width}\r")

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Take the live line away, and put it back below what was written meanwhile.

        Which is to end with a newline.
        """
        text = self._text
        self.wipe()
        try:
            yield
        finally:
            if text:
                self._paint(text)

    def close(self) -> None:
        """Say the last word: no live line is left, and a plain one tells the end.

        Safe to call twice; where nothing has changed since the last plain line, there
        is no other.
        """
        self.wipe()
        if not self.is_live and self._state not in (self._written, _State()):
            self._tell(self._clock())

    def _sample(self, now: float) -> None:
        """Keep what stands now, and what stood at the begin of the window."""
        self._samples.append((now, self._state.done, self._share()))
        while len(self._samples) > 1 and self._samples[1][0] <= now - WINDOW_SECONDS:
            self._samples.popleft()

    def _tell(self, now: float) -> None:
        self._written = self._state
        if self.is_live:
            self._paint(self._fitted(now, _width_of(self._out) - 1))
        else:
            self._write(f"{', '.join(text for _, text in self._parts(now))}\n")

    def _paint(self, text: str) -> None:
        """Put *text* onto the live line, and the cursor to its begin.

        There, and not behind it, since a terminal that is made narrower may wrap what
        it shows: the cursor then stays with the first row, and all of it can be erased.
        """
        left = "\x1b[J" if self._erases else " " * (_columns(self._text) - _columns(text))
        self._text = text
        self._write(f"\r{text}{left}\r")

    def _write(self, text: str) -> None:
        try:
            self._out.write(text)
            self._out.flush()
        except (OSError, ValueError):  # the terminal is gone, or the file is closed
            self._text = ""

    # --- what the line says ---

    def _share(self) -> float | None:
        state = self._state
        if state.share is not None:
            return min(max(state.share, 0.0), 1.0)
        return min(state.done / self.total, 1.0) if self.total else None

    def _rate(self, now: float) -> float | None:
        """Return how many end in a second, or None while that cannot be told."""
        then, done, _ = self._samples[0]
        if now - then < _LEAST_SECONDS:
            return None
        return max(self._state.done - done, 0) / (now - then)

    def _seconds_left(self, now: float) -> float | None:
        then, _, share_then = self._samples[0]
        share, taken = self._share(), now - then
        if share is None or share_then is None or taken < _LEAST_SECONDS_FOR_TIME_LEFT:
            return None
        if not share_then < share < 1:
            return None
        return (1 - share) / (share - share_then) * taken

    def _parts(self, now: float) -> list[tuple[int, str]]:
        """Return what there is to say, in order, each with how soon it may be left out.

        0 is what stays to the last.
        """
        state = self._state
        total = f" of {self.total:,}" if self.total is not None else ""
        parts = [(0, f"{state.done:,}{total} {self._unit}")]
        rate, left, share = self._rate(now), self._seconds_left(now), self._share()
        if share is not None:
            parts.insert(0, (2, f"{int(share * 100)}%"))
        if rate is not None:
            parts.append((3, f"{rate:,.1f}/s" if rate < 10 else f"{rate:,.0f}/s"))  # noqa: PLR2004
        if state.bytes_in:
            parts.append((5, f"{state.bytes_in / _MEGA:,.1f} MB in"))
        if state.waiting is not None:
            parts.append((4, f"{state.waiting:,} waiting"))
        if state.failed:
            parts.append((1, f"{state.failed:,} failed"))
        if left is not None:
            parts.append((2, f"{_duration(left)} left"))
        if state.note:
            parts.append((6, self._encodable(printable(state.note))))
        return parts

    def _fitted(self, now: float, width: int) -> str:
        """Return the live line for *width* columns."""
        parts = self._parts(now)
        note = parts.pop()[1] if parts[-1][0] == 6 else ""  # noqa: PLR2004 - as above
        while len(parts) > 1 and len(_joined(parts)) > width:
            parts.remove(max(parts))
        text, share = _joined(parts), self._share()
        columns = min(width - len(text) - 3, _BAR.stop - 1)
        if share is not None and columns >= _BAR.start:
            text = f"{self._bar(share, columns)} {text}"
        room = width - len(text) - 2
        if note and room >= min(_LEAST_NOTE, _columns(note)):
            text = f"{text}, {_cut(note, room)}"
        return _cut(text, max(width, 0))

    def _bar(self, share: float, columns: int) -> str:
        if not self._has_blocks:
            return f"[{'#' * int(share * columns):{columns}}]"
        full, eighths = divmod(int(share * columns * 8), 8)
        part = _EIGHTHS[eighths - 1] if eighths else ""
        return f"|{_EIGHTHS[-1] * full + part:{columns}}|"

    def _encodable(self, text: str) -> str:
        return text.encode(self._encoding, "replace").decode(self._encoding)


def printable(text: str) -> str:
    """Return *text* without what could command a terminal, or end the line or the cell."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _joined(parts: list[tuple[int, str]]) -> str:
    return ", ".join(text for _, text in parts)


def _cut(text: str, width: int) -> str:
    """Return as much of *text* as *width* columns hold."""
    while _columns(text) > width:
        text = text[:-1]
    return text


def _columns(text: str) -> int:
    """Return how many columns *text* takes on a terminal, as far as Unicode tells."""
    if text.isascii():
        return len(text)
    return sum(
        0 if combining(character) else 1 + (east_asian_width(character) in "WF")
        for character in text
    )


def _duration(seconds: float) -> str:
    """Return *seconds* in the two largest units that count."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _encoding_of(out: TextIO) -> str:
    """Return what *out* is encoded in; ASCII where it does not say, or nobody knows it."""
    encoding: str = getattr(out, "encoding", None) or "ascii"
    return encoding if _has(encoding, "") else "ascii"


def _has(encoding: str, characters: str) -> bool:
    try:
        characters.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _width_of(out: TextIO) -> int:
    """Return how many columns the terminal of *out* has right now."""
    try:
        columns = os.get_terminal_size(out.fileno()).columns
    except (OSError, ValueError, AttributeError):
        columns = 0
    return columns or shutil.get_terminal_size().columns
