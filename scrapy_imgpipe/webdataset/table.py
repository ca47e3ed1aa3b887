"""The Parquet file of a shard: which columns it has, and of which types.

Further columns have the type of their values: bool, int, float or text. One whose values
are of several, or are lists, is text, with JSON for what is no text; one that was text in a
shard stays text in all behind it, so that the schemas of shards go together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from scrapy_imgpipe.report.cells import to_json
from scrapy_imgpipe.report.columns import COLUMNS as OF_REPORT
from scrapy_imgpipe.report.optional import pyarrow
from scrapy_imgpipe.webdataset import facts

#: Columns of data's making (``price_<id>``) that get one of their own; the rest of a row
#: stands as one JSON object in :data:`FURTHER`.
MOST_FURTHER: Final = 100
FURTHER: Final = "further"

TEXT: Final = "text"
_KINDS = {bool: "bool", int: "int", float: "float"}
_CHUNK_ROWS = 1000

_NUMBERS = {column.name: column.kind for column in OF_REPORT if column.kind in {"int", "float"}}


class Columns:
    """The columns of a dataset as they are known so far.

    Attributes:
        further: name to kind of those that are no column of every shard.
    """

    def __init__(self, further: Mapping[str, str] | None = None) -> None:
        self.further: dict[str, str] = dict(further or {})

    def placed(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return *row* with what has no column of its own as one; widens the columns."""
        places, more = {}, {}
        for name, value in row.items():
            known = name in _FIXED or name in self.further
            if known or (len(self.further) < MOST_FURTHER and name != FURTHER):
                places[name] = value
                if name not in _FIXED:
                    self.further[name] = _wider(self.further.get(name), value)
            else:
                more[name] = value
        if more:
            places[FURTHER] = to_json(more)
            self.further[FURTHER] = TEXT
        return places

    def write(self, path: Path, rows: Iterator[list[dict[str, Any]]]) -> None:
        """Write a Parquet file of all *rows*, some of which come at a time."""
        arrow, parquet = pyarrow()
        types = {
            "bool": arrow.bool_(),
            "int": arrow.int64(),
            "float": arrow.float64(),
            TEXT: arrow.string(),
            _SIDE: arrow.int32(),
        }
        kinds = {**_FIXED, **self.further}
        schema = arrow.schema([(name, types[kind]) for name, kind in kinds.items()])
        with parquet.ParquetWriter(path, schema) as file:
            for some in rows:
                columns = [[_cell(row.get(name), kinds[name]) for row in some] for name in kinds]
                arrays = [arrow.array(*each) for each in zip(columns, schema.types, strict=True)]
                file.write_table(arrow.Table.from_arrays(arrays, schema=schema))


def columns_of(schema: Any) -> Columns:
    """Return the columns of a shard that was written before."""
    kinds = {"bool": "bool", "int64": "int", "double": "float"}
    return Columns(
        {
            field.name: kinds.get(str(field.type), TEXT)
            for field in schema
            if field.name not in _FIXED
        }
    )


def chunks_of(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield *rows*, as many at a time as are packed into columns."""
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == _CHUNK_ROWS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _wider(kind: str | None, value: Any) -> str:
    """Return the kind that holds those of *kind*, None for none yet, and *value*."""
    found = _KINDS.get(type(value), TEXT)
    if kind in {None, found}:
        return found
    return "float" if {kind, found} == {"int", "float"} else TEXT


def _cell(value: Any, kind: str) -> Any:
    if value is None or (kind == TEXT and isinstance(value, str)):
        return value
    if kind == TEXT:
        return to_json(value)
    return float(value) if kind == "float" else value


_SIDE: Final = "side"
_FIXED: Final[dict[str, str]] = {
    name: _SIDE if name in facts.SIDES else _NUMBERS.get(name, TEXT) for name in facts.COLUMNS
}
