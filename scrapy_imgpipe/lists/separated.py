"""Rows of CSV (RFC 4180) and TSV, out of files of any length.

Not the csv module's reader, for three reasons: its limit of 131072 characters a field,
which ``data:`` URLs exceed, is the whole process's; a quote that is never closed takes
the rest of the file into memory; and most rows have no quotes at all, so that splitting
is several times faster.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from scrapy_imgpipe.lists.records import MOST_BYTES, Damage, too_long


class _Grammar(NamedTuple):
    """Patterns of one delimiter, for text that a delimiter was put behind.

    Attributes:
        cell: one cell: what is in quotes, what follows these, or what has none.
        cells: as many whole cells as there are.
        closing: the rest of a cell whose quotes were opened in a line before.
    """

    cell: re.Pattern[str]
    cells: re.Pattern[bytes]
    closing: re.Pattern[bytes]

    @classmethod
    def of(cls, delimiter: str) -> _Grammar:
        quoted, bare = r'[^"]*+(?:""[^"]*+)*+', f"[^{delimiter}]*+"
        cells = f'(?:(?:"{quoted}"{bare}|(?!"){bare}){delimiter})*+'
        return cls(
            re.compile(f'(?:"({quoted})"({bare})|({bare})){delimiter}'),
            re.compile(cells.encode()),
            re.compile(f'{quoted}"{bare}{delimiter}'.encode()),
        )


def rows_of(
    lines: Iterator[bytes | None], delimiter: str, most: int = MOST_BYTES
) -> Iterator[list[str] | Damage]:
    r"""Yield the cells of each row, the header's first; blank lines are passed over.

    A quote that is not closed within *most* bytes, or never, damages the line that it
    stands in; the lines behind that one are read on their own.

    Args:
        lines: with their ends; None for one that is too long.
        delimiter: ``,`` or ``\t``.
        most: bytes of a row of several lines.
    """
    grammar = _Grammar.of(delimiter)
    returning = _Returning(lines)
    for line in returning:
        if line is None:
            yield too_long(returning.number)
        elif b'"' in line:
            record = _gathered(line, returning, grammar, delimiter.encode(), most)
            yield record if isinstance(record, Damage) else _cells(record, delimiter, grammar)
        elif text := line.decode("utf-8", "replace").rstrip("\r\n"):
            yield text.split(delimiter)


class _Returning(Iterator["bytes | None"]):
    """Lines, of which some may be given back.

    Attributes:
        number: of the line that came last, from 1.
    """

    def __init__(self, lines: Iterator[bytes | None]) -> None:
        self._lines = lines
        self._waiting: list[bytes | None] = []  # the next one last
        self.number = 0

    def __next__(self) -> bytes | None:
        line = self._waiting.pop() if self._waiting else next(self._lines)
        self.number += 1
        return line

    def give_back(self, lines: list[bytes | None]) -> None:
        self._waiting += reversed(lines)
        self.number -= len(lines)


def _gathered(
    first: bytes, lines: _Returning, grammar: _Grammar, delimiter: bytes, most: int
) -> bytes | Damage:
    """Return the record that begins with the line *first*."""
    number = lines.number
    size = len(first)
    behind: list[bytes | None] = []
    opened = _is_open(first + delimiter, 0, grammar)
    while opened:
        line = next(lines, None)
        if line is not None:
            behind.append(line)
            size += len(line)
        elif lines.number > number + len(behind):
            behind.append(line)  # one that is too long
        if line is None or size > most:
            lines.give_back(behind)
            return Damage(f"line {number} opens quotes that are not closed")
        if b'"' in line:
            closed = grammar.closing.match(line + delimiter)
            opened = closed is None or _is_open(line + delimiter, closed.end(), grammar)
    return b"".join([first, *filter(None, behind)])


def _is_open(line: bytes, start: int, grammar: _Grammar) -> bool:
    """Return whether a cell that begins at *start* or later has quotes that stay open."""
    cells = grammar.cells.match(line, start)
    return cells is None or cells.end() < len(line)


def _cells(record: bytes, delimiter: str, grammar: _Grammar) -> list[str]:
    text = record.decode("utf-8", "replace").rstrip("\r\n") + delimiter
    return [
        quoted.replace('""', '"') + behind + bare
        for quoted, behind, bare in grammar.cell.findall(text)
    ]
