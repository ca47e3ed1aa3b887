"""What a list has to say: one line for each image, and how the columns beside it are called.

No I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

from scrapy_imgpipe.lists.records import Damage
from scrapy_imgpipe.report.columns import NAMES

#: Column of a line that is damaged: what is wrong with it, and where it stands.
PROBLEM: Final = "list_problem"

#: URL and columns of a line that has no number yet.
Entry: TypeAlias = tuple[str, Mapping[str, Any]]

#: What the ready record functions put into a report.
MEASURED: Final = frozenset(
    {
        *("mean_brightness", "phash", "dominant_colour", "blurhash", "focus", "exif"),
        *("original_width", "original_height", "original_format"),
    }
)

_TAKEN = MEASURED.union(NAMES)

#: Sets of keys whose names are remembered; most lists have one.
_KNOWN_KEYS = 256


class Line(NamedTuple):
    """One image of a list.

    Attributes:
        number: 0, 1, 2... over all sources.
        url: as it stands in the list, without space around it; empty where none does.
        columns: what stands beside it, ready for JSON.
    """

    number: int
    url: str
    columns: Mapping[str, Any]


def url_of(value: object) -> str:
    """Return the URL as text, whatever stands in its place."""
    if isinstance(value, str):
        return value.strip()
    return "" if value is None else str(value)


def entry_of(record: Mapping[str, Any], column: str) -> Entry:
    """Return URL and columns of a record that has names of its own."""
    names = names_of(tuple(record), column)
    columns = {name: value for name, value in zip(names, record.values(), strict=True) if name}
    return url_of(record.get(column)), columns


def damaged(damage: Damage, place: str) -> Entry:
    """Return a line without a URL that says what is wrong.

    Args:
        damage: as a reader found it.
        place: where that was.
    """
    return "", {PROBLEM: f"{place}: {damage.problem}"}


@lru_cache(_KNOWN_KEYS)
def names_of(keys: Sequence[str], column: str) -> tuple[str, ...]:
    """Return what each of *keys* is called beside a URL; the first *column* is empty.

    One that the report or a ready record function has a column for is called
    ``list_<key>``, one without a name ``column_<place>``, from 1; a second of one name
    ends in ``_2``.
    """
    names: list[str] = []
    taken: set[str] = {""}
    found = False
    for place, key in enumerate(keys, 1):
        if key == column and not found:
            found = True
            names.append("")
            continue
        name = f"list_{key}" if key in _TAKEN else key or f"column_{place}"
        name = _free(name, taken)
        taken.add(name)
        names.append(name)
    return tuple(names)


def shown(names: Iterable[str]) -> str:
    """Return column names for a message."""
    return ", ".join(repr(name) for name in names) or "none"


def _free(name: str, taken: set[str]) -> str:
    free, count = name, 1
    while free in taken:
        count += 1
        free = f"{name}_{count}"
    return free
