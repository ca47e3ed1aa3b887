"""How a record travels: as the values of its fields, looked at before it is made again.

What reads a record may trust its annotations, whoever wrote the answer: one wrong value would
cost a whole batch of the index. A mapping travels as JSON, so that there is nothing in it but
what JSON has, each once, however deep; an enum as its value.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from itertools import repeat
from operator import attrgetter, itemgetter
from types import UnionType
from typing import Any, Final, NamedTuple, Union, get_args, get_origin, get_type_hints

#: Most that the numbers of a record may come to together: what databases have for one.
_MOST = 2**63 - 1


_Kinds = tuple[type, ...]

_ANYTHING: Final[_Kinds] = (object,)


class _Changed(NamedTuple):
    """A field that travels as something else."""

    place: int
    there: Callable[[Any], Any]
    back: Callable[[Any], Any]


class Unchanging:
    """What a pickle may call, and do nothing else with."""

    def __setstate__(self, state: object) -> None:
        """Refuse it.

        Raises:
            TypeError: always.
        """
        raise TypeError("what makes things is not changed")


class Form(Unchanging):
    """The form of one kind of record, told from its annotations.

    Args:
        kind: a named tuple, or a dataclass whose fields all are arguments.
    """

    def __init__(self, kind: type) -> None:
        hints = get_type_hints(kind)
        named = is_dataclass(kind)
        names = [field.name for field in fields(kind)] if named else list(hints)
        wanted = [hints[name] for name in names]
        self._kind = kind
        self._values: Callable[[Any], tuple[Any, ...]] = attrgetter(*names) if named else tuple
        self._kinds = [_kinds_of(hint) for hint in wanted]
        self._changed = [
            _Changed(place, *change)
            for place, hint in enumerate(wanted)
            if (change := _change_of(hint)) is not None
        ]
        self._parts = [
            (place, kinds)
            for place, hint in enumerate(wanted)
            if (kinds := _parts_of(hint)) is not None
        ]
        numbers = [place for place, kinds in enumerate(self._kinds) if {int, float} & {*kinds}]
        # The last one twice: of one alone an itemgetter makes no tuple.
        self._numbers: Callable[[Sequence[Any]], tuple[Any, ...]] = (
            itemgetter(*numbers, numbers[-1]) if numbers else _nothing
        )

    def written(self, record: Any) -> tuple[Any, ...]:
        """Return what travels for *record*."""
        if not self._changed:
            return self._values(record)
        values = list(self._values(record))
        for place, there, _ in self._changed:
            values[place] = there(values[place])
        return tuple(values)

    def __call__(self, *travelled: Any) -> Any:
        """Return the record again.

        Raises:
            TypeError: values are missing, or of another type than they are to be.
            ValueError: a number is too large for a record, or JSON is none.
        """
        values: Sequence[Any] = travelled
        if self._changed:
            values = [*travelled]
            for place, _, back in self._changed:
                values[place] = back(values[place])
        record = self._kind(*values)  # no fewer and no more than it has
        if not are(values, self._kinds):
            raise TypeError(f"no values of a {self._kind.__name__}")
        for place, kinds in self._parts:
            part = values[place]
            each = part.values() if isinstance(part, dict) else part
            if not are(each, repeat(kinds)):
                raise TypeError(f"no parts of a {self._kind.__name__}")
        if not sum(map(abs, self._numbers(values))) <= _MOST:  # nor is that what is no number
            raise ValueError(f"no number of a {self._kind.__name__}")
        return record


def are(values: Iterable[Any], kinds: Iterable[type | _Kinds]) -> bool:
    """Return whether each of *values* is of one of its *kinds*."""
    return all(map(isinstance, values, kinds))


def _kinds_of(hint: Any) -> _Kinds:
    """Return the classes that a value may have whose annotation is *hint*."""
    if hint is Any:
        return _ANYTHING
    if get_origin(hint) in {Union, UnionType}:
        return tuple(kind for part in get_args(hint) for kind in _kinds_of(part))
    if hint is float:
        return (float, int)
    kind = get_origin(hint) or hint
    return (dict,) if kind is Mapping else (kind,)


def _parts_of(hint: Any) -> _Kinds | None:
    """Return the classes that parts of such a value may have; None where it has none."""
    if get_origin(hint) not in {tuple, list, Mapping}:
        return None
    kinds = _kinds_of([part for part in get_args(hint) if part is not ...][-1])
    return None if kinds == _ANYTHING else kinds


def _change_of(hint: Any) -> tuple[Callable[[Any], Any], Callable[[Any], Any]] | None:
    """Return how such a value is changed to travel, and back; None where it is not."""
    if get_origin(hint) is Mapping:
        return _as_json, _of_json
    if isinstance(hint, type) and issubclass(hint, Enum):
        return attrgetter("value"), hint
    return None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):  # no JSON that databases take has it
        raise ValueError(f"{number} in JSON")
    return number


_ENCODE = json.JSONEncoder(separators=(",", ":")).encode
_DECODE = json.JSONDecoder(parse_float=_finite, parse_constant=_finite).decode


def _as_json(value: Mapping[str, Any]) -> str:
    return _ENCODE(dict(value)) if value else ""


def _of_json(text: str) -> Any:
    return _DECODE(text) if text else {}


def _nothing(_: Sequence[Any]) -> tuple[Any, ...]:
    return ()
