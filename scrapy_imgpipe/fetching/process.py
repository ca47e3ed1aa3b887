"""A crawl of a fetch, as who sends it sources sees it: bounded, and started again when it dies.

Threads of its own write, read and listen; who sends is held up while as many sources are
under way as there may be.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from threading import Condition, Event, Thread
from typing import IO, Any, TypeAlias

from scrapy_imgpipe.errors import FetchFailed, SettingError, StoreFailed
from scrapy_imgpipe.fetching import wires
from scrapy_imgpipe.fetching.wires import Source
from scrapy_imgpipe.pipeline.storing import CLOSED_BY_STORE

#: A row of the report.
Row: TypeAlias = Mapping[str, Any]

#: Sources that may be under way in one crawl. Among so many there should be as many hosts as
#: it takes; one takes about 10 KB.
WINDOW = 1000

#: How often in a row a crawl may die without having finished anything.
_MOST_DEATHS = 3

#: Lines of what it printed that are repeated when it has died for good.
_LAST_LINES = 20

#: How long the last it has to say is waited for once it has died, in seconds: processes that
#: it has left behind may hold the pipes.
_LAST_SECONDS = 1.0

_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1));"
    "from scrapy_imgpipe.fetching.crawl import main; main()"
)


class CrawlProcess:
    """One crawl, in a process that is started at once.

    Args:
        orders: what it is to do, packed; and what it is to do once it has died.
        take: called with rows and the source of each, in a thread; what it raises ends the crawl.
        say: called with each line that it prints, in a thread.

    Attributes:
        error: why it has ended, where that is no good end.
    """

    def __init__(
        self,
        orders: tuple[bytes, bytes],
        take: Callable[[list[tuple[Row, Source]]], None],
        say: Callable[[str], None],
    ) -> None:
        self.error: BaseException | None = None
        self._orders = orders
        self._take = take
        self._say = say
        self._changed = Condition()
        self._under_way: dict[int, Source] = {}
        self._answered: set[int] = set()  # of those under way
        self._to_send: deque[Source] = deque()
        self._last = ""
        self._killed = False
        self._printed: deque[str] = deque(maxlen=_LAST_LINES)
        self._life = 0
        # An interrupt in Thread.join() would have the thread count as ended (bpo-45274).
        self._is_over = Event()
        self._process = self._started()
        self._thread = Thread(target=self._run, name="imgpipe-fetch", daemon=True)
        self._thread.start()

    @property
    def under_way(self) -> int:
        """How many sources it has been sent that have not ended."""
        return len(self._under_way)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._is_over.is_set()

    def send(self, source: Source, seconds: float) -> bool:
        """Send *source*, and wait for room up to *seconds*; return whether there was any.

        Raises:
            BaseException: :attr:`error`.
        """
        with self._changed:
            if len(self._under_way) >= WINDOW and self.error is None:
                self._changed.wait(seconds)
            if self.error is not None:
                raise self.error
            if len(self._under_way) >= WINDOW:
                return False
            self._under_way[source[0]] = source
            self._to_send.append(source)
            self._changed.notify_all()
        return True

    def end(self) -> None:
        """Say that there are no more sources."""
        self._finish(wires.END)

    def stop(self) -> None:
        """Have what waits given up, and what is under way finished."""
        self._finish(wires.STOP)

    def _finish(self, word: str) -> None:
        with self._changed:
            self._last = word
            self._changed.notify_all()

    def kill(self) -> None:
        """End it at once, so that no more rows come; safe to call twice."""
        with self._changed:
            self._killed = True
            self._changed.notify_all()
            self._process.kill()
        if self._is_over.wait(_LAST_SECONDS * 5):
            self._thread.join()

    def join(self, seconds: float) -> bool:
        """Wait for its end up to *seconds*; return whether it has ended.

        Raises:
            BaseException: :attr:`error`.
        """
        self._is_over.wait(seconds)
        if self.error is not None:
            raise self.error
        return self.is_over

    # --- in a thread ---

    def _run(self) -> None:
        deaths = 0
        try:
            while not self._served() and not self._killed:
                deaths = 1 if self._any_came else deaths + 1
                if deaths >= _MOST_DEATHS:
                    raise self._death()  # noqa: TRY301 - it ends as all errors do
                self._start_again()
        except BaseException as error:  # noqa: BLE001 - raised where somebody waits
            self._process.kill()
            with self._changed:
                self.error = error
                self._changed.notify_all()
        finally:
            self._close()
            self._is_over.set()

    def _start_again(self) -> None:
        self._process.kill()  # it talks to nobody any more
        self._process.wait()
        with self._changed:
            if self._killed:
                return
            for number in self._answered:  # its rows are there
                self._under_way.pop(number, None)
            self._answered.clear()
            self._to_send = deque(self._under_way.values())
            self._close_answers()
            self._process = self._started()
            self._changed.notify_all()

    def _started(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-c", _CODE, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # a terminal's Ctrl-C is for us to understand
        )
        self._life += 1
        self._any_came = False
        Thread(target=self._write, args=(process, self._life), daemon=True).start()
        self._listener = Thread(target=self._listen, args=(process,), daemon=True)
        self._listener.start()
        return process

    def _served(self) -> bool:
        """Take what the process says until it has died; return whether it has said the end."""
        output: Any = self._process.stdout
        for values in wires.lines(output):
            for value in values:
                if isinstance(value, list):
                    self._rows_came(value)
                elif isinstance(value, dict):
                    self._end_came(value)
                    return True
        return False

    def _rows_came(self, rows: list[Row]) -> None:
        self._any_came = True
        pairs, over = [], []
        for row in rows:
            if wires.OVER in row:
                over.append(int(row[wires.OVER]))
                continue
            source = self._under_way.get(int(row["item"]))
            if source is not None:
                pairs.append((row, source))
                self._answered.add(source[0])
        self._take(pairs)
        with self._changed:
            for number in over:
                self._under_way.pop(number, None)
                self._answered.discard(number)
            self._changed.notify_all()

    def _end_came(self, value: Mapping[str, Any]) -> None:
        if "refused" in value:
            raise SettingError(str(value["refused"]))
        if value.get("ended") == CLOSED_BY_STORE:
            raise StoreFailed("The store failed too many times in a row")
        if value.get("ended") != "finished" or (self._under_way and self._last != wires.STOP):
            raise FetchFailed(f"The crawl ended early: {value.get('ended')}")

    def _death(self) -> FetchFailed:
        status = self._process.wait()
        self._listener.join(_LAST_SECONDS)
        lines = "\n".join(self._printed)
        return FetchFailed(
            f"The crawl died {_MOST_DEATHS} times in a row (exit status {status})"
            + (f": {lines}" if lines else "")
        )

    def _write(self, process: subprocess.Popen[bytes], life: int) -> None:
        pipe = process.stdin
        assert pipe is not None  # noqa: S101 - it was asked for
        try:
            _write_all(pipe, self._orders[life > 1])
            while True:
                with self._changed:
                    while not (self._to_send or self._last or self._is_old(life)):
                        self._changed.wait()
                    if self._is_old(life):
                        return
                    if self._last == wires.STOP:
                        self._forget_unsent()
                    some, last = list(self._to_send), self._last
                    self._to_send.clear()
                words = [last] if last else []
                told = [*map(wires.source_line, some), *map(wires.line_of, words)]
                _write_all(pipe, b"".join(told))
                if last:
                    self._stay(pipe, last, life)
                    return
        except OSError:  # it has died, which others see
            return
        finally:
            pipe.close()

    def _stay(self, pipe: IO[bytes], last: str, life: int) -> None:
        """Hold *pipe* open, for its end means that we have died; send a later stop as well."""
        while True:
            with self._changed:
                while self._last == last and not self._is_old(life):
                    self._changed.wait()
                if self._is_old(life):
                    return
                last = self._last
            _write_all(pipe, wires.line_of(last))

    def _is_old(self, life: int) -> bool:
        return self._killed or self.error is not None or life != self._life

    def _forget_unsent(self) -> None:
        for source in self._to_send:
            self._under_way.pop(source[0], None)
        self._to_send.clear()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        raw: Any = process.stderr
        with io.BufferedReader(raw) as lines:
            for line in lines:
                text = line.decode(errors="replace").rstrip("\r\n")
                self._printed.append(text)
                self._say(text)

    def _close(self) -> None:
        process = self._process
        with self._changed:
            self._life += 1  # nobody writes to it any more
            self._changed.notify_all()
        process.wait()
        self._listener.join(_LAST_SECONDS)
        self._close_answers()

    def _close_answers(self) -> None:
        answers = self._process.stdout
        assert answers is not None  # noqa: S101 - it was asked for
        answers.close()


def _write_all(pipe: IO[bytes], data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[pipe.write(view) or 0 :]
