"""A real terminal for a crawl: a pseudo-terminal, and what stands on it."""

from __future__ import annotations

import codecs
import os
import re
import struct
import threading
from typing import TYPE_CHECKING, Self

from tests.terminal import Screen

if TYPE_CHECKING:
    from collections.abc import Callable

#: Longest that somebody waits for what is to appear, in seconds; only a failing test does.
WAIT_SECONDS = 30

#: An escape that is cut in two between two reads, or nothing.
_BEGUN = re.compile(r"(?:\x1b(?:\[\d*)?)?\Z")


class PseudoTerminal:
    """``with PseudoTerminal() as terminal`` shows what is written to ``terminal.descriptor``.

    POSIX only. Wide, so that lines of the log are not wrapped.

    Attributes:
        descriptor: for the standard streams of a process.
        text: all that came.
        screen: what that looks like.
    """

    def __init__(self, columns: int = 1000) -> None:
        import fcntl
        import pty
        import termios

        self._ours, self.descriptor = pty.openpty()
        size = struct.pack("HHHH", 50, columns, 0, 0)
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, size)
        self.text = ""
        self._shown = 0
        self.screen = Screen(columns)
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()
        os.close(self._ours)

    def hang_up(self) -> None:
        """Show all that is left; who has written to it has ended."""
        if self._thread.is_alive():
            os.close(self.descriptor)
            self._thread.join()

    def wait_for(self, is_there: Callable[[list[str]], bool]) -> bool:
        """Wait until *is_there* is true of the lines on the screen."""
        with self._changed:
            return self._changed.wait_for(lambda: is_there(self.screen.lines()), WAIT_SECONDS)

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")()
        while True:
            try:
                data = os.read(self._ours, 65_536)
            except OSError:  # Linux says so when nobody is left at the other end
                data = b""
            if not data:
                self.screen.feed(self.text[self._shown :])
                return
            with self._changed:
                self.text += decoder.decode(data)
                whole = len(self.text) - len(_BEGUN.search(self.text).group())  # type: ignore[union-attr]
                self.screen.feed(self.text[self._shown : whole])
                self._shown = whole
                self._changed.notify_all()
