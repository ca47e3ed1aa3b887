"""What goes between a fetch and its crawls, and how: both ends.

To the crawl goes one pickle, :class:`Orders`, behind its length; then a line of JSON for
each source, ``[number, url, columns]``; then :data:`END`, or :data:`STOP`. Back come lines
of JSON: lists of rows of the report, and at the end an object: why it ended, or why it could
not begin.
What comes back is data and no code: a crawl deals with what strangers send.
"""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Any, TypeAlias

from scrapy_imgpipe.errors import SettingError
from scrapy_imgpipe.report.cells import clean

#: All has been said: the crawl ends when it has done what it was told.
END = "end"

#: No more: what waits is given up, what is under way is finished.
STOP = "stop"

#: Key of what stands between rows where all rows of a source have been: its number.
OVER = "imgpipe_over"

#: A source: its number in the list, its URL, and what stands beside it there.
Source: TypeAlias = tuple[int, str, Mapping[str, Any]]

#: Key of an item with its number in the list.
NUMBER = "imgpipe_line"

_LENGTH = Struct("<Q")
_READ = 1 << 16
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Orders:
    """What a crawl is to do.

    Attributes:
        settings: name to value and priority, of all that are not Scrapy's own defaults.
        pipeline: import path of the pipeline's class.
        hash_column: column with the digest that each download should have; empty for none.
        numbered: whether files are named by the numbers of their lines, and each line is
            downloaded for itself.
    """

    settings: Mapping[str, tuple[Any, int]]
    pipeline: str
    hash_column: str = ""
    numbered: bool = False


def packed(orders: Orders) -> bytes:
    """Return *orders* as they are sent.

    Raises:
        SettingError: a setting has a value that cannot travel.
    """
    check_travels({name: value for name, (value, _) in orders.settings.items()})
    piece = pickle.dumps(orders)
    return _LENGTH.pack(len(piece)) + piece


def check_travels(settings: Mapping[str, Any]) -> None:
    """Refuse values of *settings* that cannot be sent.

    Raises:
        SettingError: one cannot.
    """
    for name, value in settings.items():
        try:
            pickle.dumps(value)
        except Exception as error:  # noqa: BLE001 - a value may raise anything
            raise SettingError(
                f"Expected a value that another process can import for {name} but received"
                f" {value!r} of type {type(value).__name__} ({type(error).__name__}: {error})"
            ) from None


def read_orders(pipe: io.RawIOBase) -> Orders:
    """Return the orders that *pipe* begins with.

    Raises:
        EOFError: there are none.
        ImportError, AttributeError: they name what is not here.
    """
    (length,) = _LENGTH.unpack(_exactly(pipe, _LENGTH.size))
    orders: Orders = pickle.loads(_exactly(pipe, length))  # noqa: S301 - from who started us
    return orders


def _exactly(pipe: io.RawIOBase, count: int) -> bytes:
    pieces: list[bytes] = []
    while count:
        piece = pipe.read(count)
        if not piece:
            raise EOFError
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


def line_of(value: Any) -> bytes:
    """Return *value* as a line of JSON; lone surrogates become question marks."""
    return _ENCODER.encode(value).encode("utf-8", "replace") + b"\n"


def source_line(source: Source) -> bytes:
    """Return the line of *source*; columns that JSON cannot say are told as reports tell them."""
    number, url, columns = source
    try:
        return line_of((number, url, columns))
    except (TypeError, ValueError, RecursionError):
        return line_of((number, url, clean(columns)))


def lines(pipe: io.RawIOBase) -> Iterator[list[Any]]:
    """Yield what has come on *pipe*, some lines at a time, as soon as it is there.

    A last line that is cut off is passed over: who wrote it has died.
    """
    rest: list[bytes] = []
    while data := pipe.read(_READ):
        whole, newline, after = data.rpartition(b"\n")
        if not newline:
            rest.append(data)
            continue
        yield [json.loads(line) for line in b"".join([*rest, whole]).split(b"\n")]
        rest = [after] if after else []
