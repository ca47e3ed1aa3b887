"""Which lines of a list are done with, in little memory where they end nearly in order."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from scrapy_imgpipe.errors import StoreFailed


class Done:
    """A set of line numbers that grows from 0.

    Attributes:
        outcomes: how many lines ended how before, as far as anybody asked.
    """

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self.outcomes: Counter[str] = Counter()
        self._before = 0  # all below are done
        self._beyond: set[int] = set()
        for number in numbers:
            self.add(number)

    def add(self, number: int) -> None:
        """Take note that line *number* is done with."""
        if number > self._before:
            self._beyond.add(number)
            return
        if number == self._before:
            self._before += 1
            while self._before in self._beyond:
                self._beyond.remove(self._before)
                self._before += 1

    def __contains__(self, number: int) -> bool:
        return number < self._before or number in self._beyond


class Begun:
    """Remembers beside a report of which list it is, until the list is through.

    Args:
        report: path of the report.
        identity: of the list; empty where it cannot be told from others.
    """

    def __init__(self, report: str | os.PathLike[str], identity: str) -> None:
        self._path = Path(f"{os.fspath(report)}.unfinished")
        self._identity = identity

    def is_continued(self) -> bool:
        """Return whether the report that is there is one of the same list, not yet through."""
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return bool(self._identity) and known == self._identity

    def begin(self) -> None:
        """Remember it.

        Raises:
            StoreFailed: it cannot be written.
        """
        if not self._identity:
            self.end()
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps(self._identity), encoding="utf-8")
        except OSError as error:
            raise StoreFailed(f"Could not write {str(self._path)!r}: {error.strerror}") from None

    def end(self) -> None:
        """Forget it: the list is through."""
        with suppress(OSError):
            self._path.unlink()
