"""Where commands write: plain lines for people and programs, progress for people only."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from scrapy_imgpipe.progress import printable

#: Seconds between two looks of the progress line.
_SECONDS = 0.25


class Console:
    """Standard output and standard error.

    Args:
        out: gets the results.
        err: gets the progress, where it is a terminal.
        clock: seconds that only go forward.
    """

    def __init__(
        self, out: TextIO, err: TextIO, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._out = out
        self._err = err
        self._clock = clock
        self._began = self._shown = clock()
        self._seen = 0
        self._width = 0
        self._is_watched = err.isatty()

    def line(self, *cells: str) -> None:
        """Print *cells* as one line, a tab between them; what is not printable is replaced."""
        self.wipe()
        print("\t".join(map(printable, cells)).rstrip("\t"), file=self._out)

    def seen(self, count: int = 1) -> None:
        """Take note of *count* more files, and say so from time to time."""
        self._seen += count
        if not self._is_watched:
            return
        now = self._clock()
        if now - self._shown >= _SECONDS:
            self._shown = now
            rate = self._seen / max(now - self._began, _SECONDS)
            self._show(f"{self._seen:,} files, {rate:,.0f} a second")

    def wipe(self) -> None:
        """Take the progress line away."""
        if self._width:
            self._show("")

    def _show(self, text: str) -> None:
        self._err.write(f"\r{text:{self._width}}" if text else f"\r{' ' * self._width}\r")
        self._err.flush()
        self._width = len(text)
