"""Which cell of a row goes into which column of a table.

No I/O. A further key becomes a column when it is first met. Keys that cannot be
one go, as a JSON object, into the column ``further``: keys that are no name, keys
that differ from a column only in case (SQLite takes both for one), and those after
the first 100, so that keys made from data (``price_<id>``) cost neither a table of
thousands of columns nor the time to widen it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from scrapy_imgpipe.report.cells import decoded, encoded, restored, to_json
from scrapy_imgpipe.report.columns import NAMES

#: The column that takes what has none of its own.
FURTHER = "further"

#: Further keys that become columns, without those found in a table that is continued.
MOST_FURTHER = 100

_MOST_CHARACTERS = 100
_DECLARED = frozenset(NAMES)
# The names of SQLite's row number, which readers page by (sqlite.org/rowidtable.html).
_RESERVED = frozenset({FURTHER, "rowid", "oid", "_rowid_"})


class Layout:
    """The columns of a table, in order; never changes.

    Args:
        names: as they stand in the table.
    """

    def __init__(self, names: Iterable[str] = NAMES) -> None:
        self.names: tuple[str, ...] = tuple(names)
        self._own = frozenset(self.names) - {FURTHER}

    def widened(self, rows: Iterable[Mapping[str, Any]]) -> Layout:
        """Return the layout with a column for all of *rows*; this one where it has them."""
        names = dict.fromkeys(self.names)
        taken = {name.lower() for name in names}
        for row in rows:
            for key in row:
                if key in names:
                    continue
                fits = len(names) < len(NAMES) + MOST_FURTHER and _is_name(key)
                name = key if fits and key.lower() not in taken else FURTHER
                names[name] = None
                taken.add(name.lower())
        return self if len(names) == len(self.names) else Layout(names)

    def cells(self, row: Mapping[str, Any], encode: Callable[[Any], Any] = encoded) -> list[Any]:
        """Return one cell for each column, None where *row* has nothing for it.

        Args:
            row: a clean one, of those that the layout was widened for.
            encode: gives the cell of a further value.
        """
        cells: dict[str, Any] = {}
        more: dict[str, Any] = {}
        for key, value in row.items():
            if key not in self._own:
                more[key] = value
            elif key in _DECLARED:
                cells[key] = to_json(value) if isinstance(value, list) else value
            else:
                cells[key] = encode(value)
        if more:
            cells[FURTHER] = to_json(more)
        return [cells.get(name) for name in self.names]


def unfolded(
    names: Sequence[str], cells: Iterable[Any], decode: Callable[[Any], Any] = decoded
) -> dict[str, Any]:
    """Return the row that stands in a table as *cells* under *names*."""
    row = restored(dict(zip(names, cells, strict=False)), decode)
    if isinstance(row.get(FURTHER), dict):
        row.update(row.pop(FURTHER))
    return row


def _is_name(key: str) -> bool:
    return 0 < len(key) <= _MOST_CHARACTERS and key.isprintable() and key.lower() not in _RESERVED
