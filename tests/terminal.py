"""A small model of a terminal: what stands on it after the bytes that it got."""

from __future__ import annotations

import re
from unicodedata import east_asian_width

_PIECES = re.compile(r"\x1b\[(\d*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


class Screen:
    """As many rows as it takes, some columns; text runs on in the next row.

    Knows newline (with or without a carriage return, as a tty makes it), carriage return,
    and what erases to the end of the line (``K``), or of the screen (``J``); whatever else
    begins with an escape is an error. When it is made narrower, rows that are too long are
    wrapped, and the cursor stays with its character, as in most terminals.

    Attributes:
        widest: columns of the longest text that stood in one row.
    """

    def __init__(self, columns: int = 80) -> None:
        self.columns = columns
        self.widest = 0
        self._rows: list[list[str]] = [[]]
        self._row = self._column = 0

    def feed(self, text: str) -> None:
        end = 0
        for match in _PIECES.finditer(text):
            assert match.start() == end, f"unknown: {text[end : match.start()]!r}"
            end = match.end()
            number, command, control, plain = match.groups()
            if plain is not None:
                for character in plain:
                    self._put(character)
            elif control == "\r":
                self._column = 0
            elif control == "\n":
                self._down()
            else:
                assert (command, number) in {("K", ""), ("J", "")}, match.group()
                del self._rows[self._row][self._column :]
                if command == "J":
                    del self._rows[self._row + 1 :]
        assert end == len(text), f"unknown: {text[end:]!r}"

    def resize(self, columns: int) -> None:
        rows = []
        for number, row in enumerate(self._rows):
            if number == self._row:
                self._row = len(rows) + self._column // columns
            rows += [row[at : at + columns] for at in range(0, len(row), columns)] or [[]]
        self._column %= columns
        self._rows, self.columns = rows, columns

    def lines(self) -> list[str]:
        """Return what stands in the rows, down to the last one that is not empty."""
        lines = ["".join(row).rstrip() for row in self._rows]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def _put(self, character: str) -> None:
        width = 2 if east_asian_width(character) in "WF" else 1
        if self._column + width > self.columns and self._column:
            self._down()
        row = self._rows[self._row]
        row += [" "] * (self._column + width - len(row))
        row[self._column : self._column + width] = [character, ""][:width]
        self._column += width
        self.widest = max(self.widest, len(row))

    def _down(self) -> None:
        self._row += 1
        self._column = 0
        if self._row == len(self._rows):
            self._rows.append([])
