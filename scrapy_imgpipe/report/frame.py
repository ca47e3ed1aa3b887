"""A report as a table of pandas, which is imported only when one is asked for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from scrapy_imgpipe.report.columns import COLUMNS
from scrapy_imgpipe.report.optional import pandas
from scrapy_imgpipe.report.reading import read_rows

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped, import-not-found, unused-ignore]

_TYPES = {"text": "string", "int": "Int64", "float": "float64", "list": "object"}
_FURTHER_TYPES = (
    ({bool}, "boolean"),
    ({int}, "Int64"),
    ({int, float}, "float64"),
    ({str}, "string"),
)


def read_report(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Return a report as a ``DataFrame`` with the URLs as index, in the order written.

    ``report.loc[urls]`` has the order of *urls*. ``renditions`` are lists, empty
    where there are none; ``finished`` is a moment in UTC; whole numbers are ``Int64``,
    so that some may be missing. Further keys are columns of a type that holds all
    their values.

    Raises:
        ImportError: when pandas, or pyarrow for Parquet, is missing.
        FileNotFoundError: when there is no report.
        StoreFailed: when it cannot be read, or is no report.
    """
    library = pandas()
    columns = _columns(path)
    index = library.Index(columns.pop("url"), dtype="string", name="url")
    frame = library.DataFrame(
        {
            name: library.Series(values, index=index, dtype=_type_of(name, values))
            for name, values in columns.items()
        },
        index=index,
    )
    frame["renditions"] = [listed or [] for listed in columns["renditions"]]
    frame["finished"] = library.to_datetime(
        frame["finished"], utc=True, errors="coerce", format="ISO8601"
    )
    return frame


def _columns(path: str | os.PathLike[str]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {column.name: [] for column in COLUMNS}
    for count, row in enumerate(read_rows(path)):
        for name in row.keys() - columns.keys():
            columns[name] = [None] * count
        for name, values in columns.items():
            values.append(row.get(name))
    return columns


def _type_of(name: str, values: list[Any]) -> str:
    kind = next((column.kind for column in COLUMNS if column.name == name), None)
    if kind is not None:
        return _TYPES[kind]
    found = {type(value) for value in values if value is not None}
    return next((dtype for types, dtype in _FURTHER_TYPES if found <= types), "object")
