"""One live line at the foot of the terminal, which the log and ``print`` do not tear.

While it is there, each stream of that terminal stands behind another one, which takes the
line away, writes, and puts the line back: ``sys.stdout`` and ``sys.stderr``, and those
of the log's handlers. There is one line for each process, whatever number of crawls it
runs, for there is one terminal.

Two locks, always taken in this order: of who comes and goes, then, behind those of the
log's handlers, of the terminal. Nothing is logged inside either.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TextIO, cast

from scrapy_imgpipe.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


#: Characters of a line without end that are kept at most.
_MOST_BEGUN = 8192


class Numbers(NamedTuple):
    """How far a crawl is: totals so far, and what is waiting now."""

    done: int = 0
    failed: int = 0
    bytes_in: int = 0
    waiting: int = 0
    pages: int = 0


class LiveLine:
    """The line of this process.

    Args:
        terminal: where it is painted.

    Attributes:
        lock: of the terminal.
    """

    _there_is: ClassVar[LiveLine | None] = None
    _coming_and_going: ClassVar[threading.RLock] = threading.RLock()

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self._progress = Progress(terminal)
        self.lock: threading.RLock = threading.RLock()  # a signal may log while a record is written
        self._above: dict[int, _Above] = {}  # by the stream that each stands before
        self._is_at_begin = True  # of a row, the cursor
        self._crawls: dict[object, Numbers] = {}
        self._before = Numbers()  # of crawls that have ended

    @classmethod
    def join(cls, crawl: object) -> LiveLine | None:
        """Return the line, for *crawl* to be in its numbers; None without a terminal."""
        with cls._coming_and_going:
            line = cls._there_is
            if line is None:
                if _terminal_of(sys.stderr) is None:
                    return None
                line = cls._there_is = cls(sys.stderr)
                line._stand_before_streams()
                atexit.register(line._end)  # a second Ctrl-C closes no spider
            line._crawls[crawl] = Numbers()
            return line

    def update(self, crawl: object, numbers: Numbers) -> None:
        """Take note of how far *crawl* is, and paint that."""
        with self.lock:
            self._crawls[crawl] = numbers
            done, failed, bytes_in, waiting, pages = _sum([self._before, *self._crawls.values()])
            if self._is_at_begin:
                note = f"{pages:,} pages"
                self._progress.update(done, failed, bytes_in, waiting=waiting, note=note)

    def leave(self, crawl: object) -> None:
        """Take *crawl* out; the last one takes the line away. Safe to call twice."""
        with self._coming_and_going:
            with self.lock:
                numbers = self._crawls.pop(crawl, Numbers())
                self._before = _sum([self._before, numbers._replace(waiting=0)])
            if not self._crawls:
                self._end()

    def _end(self) -> None:
        atexit.unregister(self._end)
        self._let_streams_go()
        with self.lock:
            self._progress.close()
        LiveLine._there_is = None

    # --- what is written meanwhile ---

    def write(self, stream: TextIO, text: str) -> None:
        """Write *text* to *stream*, whole, above the line; from any thread.

        Behind what does not end in a newline, as a prompt, the line stays away.
        """
        with self.lock:
            if text.endswith("\n"):
                with self._progress.hidden():
                    _write(stream, text)
                self._is_at_begin = True
            else:
                self._progress.wipe()
                _write(stream, text)
                self._is_at_begin = False

    def _stand_before_streams(self) -> None:
        sys.stdout, sys.stderr = self._before_it(sys.stdout), self._before_it(sys.stderr)
        for handler in _handlers():
            with suppress(AttributeError):  # its stream may be somebody else's business
                handler.setStream(self._before_it(handler.stream))

    def _before_it(self, stream: TextIO) -> TextIO:
        """Return what stands before *stream*, or itself where it leads elsewhere."""
        terminal = _terminal_of(stream)
        if terminal is None or terminal != _terminal_of(self._terminal):
            return stream
        return cast("TextIO", self._above.setdefault(id(stream), _Above(stream, self)))

    def _let_streams_go(self) -> None:
        """Put every stream back, but where somebody has put another one meanwhile."""
        sys.stdout, sys.stderr = self._behind(sys.stdout), self._behind(sys.stderr)
        for handler in _handlers():
            with suppress(AttributeError):
                handler.setStream(self._behind(handler.stream))
        for above in self._above.values():
            above.let_go()

    def _behind(self, stream: TextIO) -> TextIO:
        while isinstance(stream, _Above) and stream.line is self:
            stream = stream.stream
        return stream

    def _forget_the_parent(self) -> None:
        """Let a process that was forked write as it likes: the line is not its own."""
        self.lock = threading.RLock()
        self._progress = Progress(self._terminal)
        self._crawls.clear()
        for above in self._above.values():
            above.forget()
        self._let_streams_go()


class _Above:
    """A stream of the terminal, above the live line; what it is given appears line by line.

    As ``print`` writes in pieces, each thread's are kept until their line is whole, or
    somebody flushes it.

    Attributes:
        stream: where it leads.
        line: the live line.
    """

    def __init__(self, stream: TextIO, line: LiveLine) -> None:
        self.stream = stream
        self.line = line
        self._begun: dict[int, str] = {}  # by thread
        self._is_over = False

    def write(self, text: str) -> int:
        with self.line.lock:
            if self._is_over:
                return self.stream.write(text)
            thread = threading.get_ident()
            text_so_far = self._begun.pop(thread, "") + text
            end = text_so_far.rfind("\n") + 1
            rest = text_so_far[end:]
            if "\r" in rest or len(rest) > _MOST_BEGUN or self._is_unbuffered():
                end = len(text_so_far)
            elif rest:
                self._begun[thread] = rest
            if end:
                self.line.write(self.stream, text_so_far[:end])
            return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        with self.line.lock:
            begun = self._begun.pop(threading.get_ident(), "")
            if begun:
                self.line.write(self.stream, begun)
            self.stream.flush()

    def let_go(self) -> None:
        """Be *stream* and nothing else from now on, for those who still have this."""
        with self.line.lock:
            self._is_over = True
            for begun in self._begun.values():
                self.stream.write(begun)
            self._begun.clear()

    def forget(self) -> None:
        """Drop what is begun: another process will write it."""
        self._begun.clear()

    def _is_unbuffered(self) -> bool:
        return getattr(self.stream, "write_through", False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _write(stream: TextIO, text: str) -> None:
    """Write *text* to *stream* and send it off; else the line would come before it."""
    stream.write(text)
    stream.flush()


def _sum(numbers: Iterable[Numbers]) -> Numbers:
    return Numbers(*map(sum, zip(*numbers, strict=True)))


def _terminal_of(stream: object) -> int | None:
    """Return what tells the terminal of *stream* from others; None where it has none.

    On Windows it is 0: there is one console for each process.
    """
    try:
        if not stream.isatty():  # type: ignore[attr-defined]
            return None
        return os.fstat(stream.fileno()).st_rdev  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):  # no stream, no file, or a closed one
        return None


def _handlers() -> Iterator[Any]:
    """Yield every handler of the log that writes to a stream."""
    for logger in [logging.root, *list(logging.root.manager.loggerDict.values())]:
        for handler in list(getattr(logger, "handlers", ())):
            if isinstance(handler, logging.StreamHandler):
                yield handler


def _in_child() -> None:
    LiveLine._coming_and_going = threading.RLock()  # noqa: SLF001 - our own
    if LiveLine._there_is is not None:  # noqa: SLF001
        LiveLine._there_is._forget_the_parent()  # noqa: SLF001
        LiveLine._there_is = None  # noqa: SLF001


if hasattr(os, "register_at_fork"):
    # Another thread may hold a lock at that moment, and is not there to give it back.
    os.register_at_fork(after_in_child=_in_child)
