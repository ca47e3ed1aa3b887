"""A report as a table of pandas."""

from __future__ import annotations

import sys

import pandas as pd
import pytest

from scrapy_imgpipe.report import COLUMNS, open_report, read_report, timestamp
from tests.report.rows import FORMATS, FULL, row


@pytest.fixture(params=FORMATS)
def path(request, tmp_path):
    return tmp_path / f"report.{request.param}"


def table(path, *rows):
    report = open_report(path)
    report.write(rows)
    report.close()
    return read_report(path)


def test_has_a_type_for_every_column(path):
    frame = table(path, FULL, {"url": "b"})
    assert frame.index.name == "url"
    assert list(frame.index) == [FULL["url"], "b"]
    assert list(frame.columns) == [column.name for column in COLUMNS if column.name != "url"]
    for column in COLUMNS[1:]:
        if column.name == "finished":
            assert str(frame[column.name].dtype).startswith("datetime64[")
            assert str(frame[column.name].dtype).endswith(", UTC]")
        else:
            wanted = {"text": "string", "int": "Int64", "float": "float64", "list": "object"}
            assert str(frame[column.name].dtype) == wanted[column.kind], column.name


def test_values(path):
    frame = table(path, FULL, {"url": "b"})
    full, empty = frame.iloc[0], frame.iloc[1]
    assert full["width"] == 640
    assert full["bytes_in"] == 2**40
    assert full["renditions"] == FULL["renditions"]
    assert full["finished"] == pd.Timestamp("2026-11-30T12:00:00.123", tz="UTC")
    assert empty["renditions"] == []
    assert empty.drop("renditions").isna().all()
    assert frame["bytes_in"].sum() == 2**40


def test_restores_the_order_of_the_input(path):
    frame = table(path, *(row(number) for number in range(20)))
    urls = [row(number)["url"] for number in (7, 3, 19, 0)]
    assert list(frame.loc[urls]["slot"]) == [7, 3, 19, 0]


def test_a_url_asked_for_twice_has_two_rows(path):
    frame = table(path, row(0, outcome="stored"), row(1), row(0, outcome="joined"))
    assert list(frame.loc[row(0)["url"]]["outcome"]) == ["stored", "joined"]


def test_further_columns_have_the_type_of_their_values(path):
    frame = table(
        path,
        row(0, n=1, x=1.0, mixed=1, text="a", yes=True, tags=["a"], odd="a"),
        row(1, n=2, x=2, mixed=2.5, text="b", yes=False, tags=[], odd=1),
        row(2, late="c"),
    )
    assert {name: str(frame[name].dtype) for name in frame.columns[21:]} == {
        "n": "Int64",
        "x": "float64",
        "mixed": "float64",
        "text": "string",
        "yes": "boolean",
        "tags": "object",
        "odd": "object",
        "late": "string",
    }
    assert frame["tags"].iloc[0] == ["a"]
    assert frame["late"].isna().tolist() == [True, True, False]


def test_an_empty_report(path):
    frame = table(path)
    assert frame.empty
    assert str(frame["width"].dtype) == "Int64"
    assert frame.loc[[]].empty


def test_a_moment_that_is_none_is_missing(path):
    frame = table(path, row(0, finished="yesterday"), row(1, finished=timestamp(0)))
    assert frame["finished"].isna().tolist() == [True, False]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_796_040_000.1239, "2026-11-30T12:00:00.123Z"),
        (1e-4, "1970-01-01T00:00:00.000Z"),
    ],
)
def test_timestamp(seconds, text):
    assert timestamp(seconds) == text


def test_without_a_report(path):
    with pytest.raises(FileNotFoundError):
        read_report(path)


def test_without_pandas(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError) as missing:
        read_report(path)
    assert str(missing.value) == (
        "pandas is needed to read a report as a table: pip install scrapy-imgpipe[report]"
    )
