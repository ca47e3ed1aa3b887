"""What a cell may hold: makes every row one that every format can keep.

No I/O. :func:`clean` is for writers, :func:`restored` for readers; between them a
row is the same whatever the format. What they agree on:

- empty text is empty, and an empty cell is not kept;
- NUL and lone surrogates in text become U+FFFD;
- NaN and infinity are empty; whole numbers beyond 64 bits become text, or are empty
  in a column of numbers;
- what is no text and no number is what its JSON says; what JSON cannot say
  (a date, a set) is its ``str()``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from math import isfinite
from numbers import Integral, Real
from typing import Any, NoReturn

from scrapy_imgpipe.report.columns import COLUMNS, NAMES

#: Lists and dicts inside each other beyond which a value is kept as text. Far below
#: where the json module gives up, which depends on the depth of the caller.
_LEVELS = 50
_LEAST, _MOST = -(2**63), 2**63 - 1
_BITS = 8192  # int() and str() refuse more than 4300 digits (sys.set_int_max_str_digits)
# Most text is seen to be none without the json module and its costly exception.
_JSON_BEGINS = re.compile(r'[ \t\n\r]*(?:[\[{"0-9-]|true|false|null)')
_DECLARED = frozenset(NAMES)


def clean(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cells of *row* that are not empty: columns first, then its further keys.

    Never fails, whatever the values are. A row that was cleaned stays as it is.
    """
    cells = {}
    for column in COLUMNS:
        value = row.get(column.name)
        if value is not None and (value := _cast(_WRITTEN[column.kind], value)) is not None:
            cells[column.name] = value
    for key, value in row.items():
        if key not in _DECLARED and value is not None:
            name, value = _cast(_text, key), _cast(_any, value)  # noqa: PLW2901
            if value is not None and name not in _DECLARED:
                cells[name or ""] = value
    return cells


def restored(cells: Mapping[str, Any], decode: Callable[[Any], Any]) -> dict[str, Any]:
    """Return the row that was written as *cells*: every column, and the further keys it has.

    Args:
        cells: name to what a reader found; a list may still be its JSON.
        decode: gives the value of a further cell.
    """
    row = {}
    for column in COLUMNS:
        cell = cells.get(column.name)
        row[column.name] = None if cell is None else _cast(_READ[column.kind], cell)
    for name, cell in cells.items():
        if name not in _DECLARED and cell is not None and (value := decode(cell)) is not None:
            row[name] = value
    return row


def to_json(value: Any) -> str:
    """Return the JSON of a clean value, in one line."""
    return _WRITER.encode(value)


def encoded(value: Any) -> str:
    """Return the text from which :func:`decoded` makes *value* again.

    Text stays as it is unless it could be taken for JSON: ``12`` as text is
    ``"12"``, in quotes.
    """
    if isinstance(value, str) and not _could_be_json(value):
        return value
    return to_json(value)


def decoded(text: str) -> Any:
    """Return the value of a cell that may hold any kind of value as text."""
    if _JSON_BEGINS.match(text) is None:
        return text
    try:
        return _READER.decode(text)
    except (ValueError, RecursionError):
        return text


def _could_be_json(text: str) -> bool:
    if _JSON_BEGINS.match(text) is None:
        return False
    try:
        _READER.decode(text)
    except ValueError:
        return False
    except RecursionError:
        pass  # with more room on the stack it could be
    return True


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and Infinity are words


def _cast(kind: Callable[[Any], Any], value: Any) -> Any:
    try:
        return kind(value)
    except Exception:  # noqa: BLE001 - an object of any class may raise anything
        return None


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        text = str.__str__(value)  # of a member of an enum: its value
    elif isinstance(value, (bytes, bytearray)):
        text = value.decode(errors="replace")
    else:
        text = str(value)
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return _well_formed(text) or None


def _well_formed(text: str) -> str:
    """Return *text* without lone surrogates; pairs of them become their character."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _whole(value: Any) -> int | None:
    number = int(value)
    return number if _LEAST <= number <= _MOST else None


def _number(value: Any) -> float | None:
    number = float(value)
    return number if isfinite(number) else None


def _list(value: Any) -> list[Any] | None:
    plain = decoded(value) if isinstance(value, str) else _plain(value)
    return plain if isinstance(plain, list) and _fits(plain) else None


def _listed(cell: Any) -> list[Any] | None:
    plain = decoded(cell) if isinstance(cell, str) else cell
    return plain if isinstance(plain, list) else None


def _any(value: Any) -> Any:
    if isinstance(value, (str, bytes, bytearray)):
        return _text(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return _integer(int(value))
    if isinstance(value, Real):
        return _number(value)
    return _structure(value)


def _structure(value: Any) -> Any:
    try:
        plain = _plain(value)
    except (TypeError, ValueError, RecursionError):  # keys that are tuples, circles
        return _text(repr(value))
    if isinstance(plain, (dict, list)):
        return plain if _fits(plain) else _text(to_json(plain))
    return _any(plain)


def _integer(number: int) -> int | str:
    if _LEAST <= number <= _MOST:
        return number
    return str(number) if number.bit_length() <= _BITS else hex(number)


def _plain(value: Any) -> Any:
    """Return *value* as its JSON has it: dicts, lists, text, numbers, True, False, None."""
    return _PLAIN_READER.decode(_well_formed(_PLAIN_WRITER.encode(value)))


def _other(value: Any) -> Any:
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else _text(value)


def _fits(value: Any, levels: int = _LEVELS) -> bool:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return True
    return levels > 0 and all(_fits(part, levels - 1) for part in value)


_WRITTEN = {"text": _text, "int": _whole, "float": _number, "list": _list}
_READ = {**_WRITTEN, "list": _listed}

# Made once: json.dumps() and json.loads() make theirs for every call with arguments.
_WRITER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_READER = json.JSONDecoder(parse_constant=_refuse)
_PLAIN_WRITER = json.JSONEncoder(ensure_ascii=False, default=_other)
_PLAIN_READER = json.JSONDecoder(parse_constant=lambda _: None)
