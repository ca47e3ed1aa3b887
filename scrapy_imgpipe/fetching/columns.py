"""What the columns of a list are called, where somebody names one as the list does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

from scrapy_imgpipe.errors import SettingError

if TYPE_CHECKING:
    from scrapy_imgpipe.lists import Line

#: Lines among which one has to have the column.
_LINES = 1000


def called(name: str, line: Line) -> str | None:
    """Return what the list's column *name* is called beside the URL of *line*, if it has one."""
    return next((known for known in (name, f"list_{name}") if known in line.columns), None)


class Looked:
    """Lines of a list, of which the first have been looked at; an iterable.

    Args:
        lines: of a list.
    """

    def __init__(self, lines: Iterable[Line]) -> None:
        self._rest = iter(lines)
        self._read: list[Line] = []

    def __iter__(self) -> Iterator[Line]:
        return chain(self._read, self._rest)

    def column(self, name: str, said: str) -> str:
        """Return what the column *name* is called beside a URL; empty for an empty name.

        A record may lack what others have, so that a thousand lines are looked at before it
        counts as a slip of the pen, for which nothing would be looked at.

        Args:
            name: as the list has it.
            said: what it has, for the message.

        Raises:
            SettingError: there is none of that name, or the list cannot be read.
        """
        if not name:
            return ""
        seen: dict[str, None] = {}
        for number in range(_LINES):
            if number == len(self._read):
                line = next(self._rest, None)
                if line is None:
                    break
                self._read.append(line)
            found = called(name, self._read[number])
            if found is not None:
                return found
            seen |= dict.fromkeys(map(str, self._read[number].columns))
        if not self._read:
            return name
        names = ", ".join(seen) or "none"
        raise SettingError(
            f"Expected one that the list has ({names}) for {said} but received"
            f" {name!r} of type {type(name).__name__}"
        )
