"""Parquet as a list: its rows as plain Python, part after part."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest

from scrapy_imgpipe.errors import SettingError
from scrapy_imgpipe.lists import open_list

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

A, B, C = (f"https://example.com/{name}.jpg" for name in "abc")


def read(*sources, **options):
    with open_list([str(source) for source in sources], **options) as lines:
        return [(line.url, dict(line.columns)) for line in lines]


def written(path, columns):
    pq.write_table(pa.table(columns), path)
    return path


def test_every_type_becomes_plain_python(tmp_path):
    moment = datetime(2026, 1, 2, 3, 4, 5, 678900, UTC)
    columns = {
        "url": [A],
        "text": ["ü"],
        "whole": [2**60],
        "part": [0.5],
        "none": pa.array([None], pa.float64()),
        "nan": [float("nan")],
        "yes": [True],
        "moment": pa.array([moment], pa.timestamp("ns", "Europe/Berlin")),
        "local": pa.array([moment.replace(tzinfo=None)], pa.timestamp("ms")),
        "far": pa.array([2**52], pa.timestamp("s")),
        "day": [date(2026, 1, 2)],
        "hour": [time(3, 4)],
        "span": [timedelta(seconds=90)],
        "price": [Decimal("1.10")],
        "tags": [["a", "b"]],
        "deep": [{"a": [{"b": moment, "c": b"x"}]}],
        "word": pa.array(["w"]).dictionary_encode(),
        "picture": [b"\xff\xd8"],
        "width": [3],
    }
    ((url, found),) = read(written(tmp_path / "list.parquet", columns))
    assert url == A
    assert found == {
        "text": "ü",
        "whole": 2**60,
        "part": 0.5,
        "none": None,
        "nan": None,
        "yes": True,
        "moment": "2026-01-02T03:04:05.678900+00:00",
        "local": "2026-01-02T03:04:05.678000",
        "far": None,  # beyond the year 9999
        "day": "2026-01-02",
        "hour": "03:04:00",
        "span": "0:01:30",
        "price": "1.10",
        "tags": ["a", "b"],
        "deep": {"a": [{"b": "2026-01-02T03:04:05.678900+00:00", "c": None}]},
        "word": "w",
        "list_width": 3,
    }
    json.dumps(found, allow_nan=False)


def test_urls_may_be_bytes_or_missing(tmp_path):
    columns = {"url": [A.encode(), None, b"\xff"], "n": [1, 2, 3]}
    path = written(tmp_path / "list.parquet", columns)
    assert read(path) == [(A, {"n": 1}), ("", {"n": 2}), ("\ufffd", {"n": 3})]
    path = written(tmp_path / "list.parquet", {"url": [1.5, None]})
    assert read(path) == [("1.5", {}), ("", {})]


def test_columns_of_one_name_are_told_apart_also_where_bytes_are_passed_over(tmp_path):
    table = pa.Table.from_arrays(
        [pa.array([value]) for value in (A, "1", "2", b"x", "3")],
        names=["url", "n", "n", "picture", "width"],
    )
    pq.write_table(table, tmp_path / "list.parquet")
    assert read(tmp_path / "list.parquet") == [(A, {"n": "1", "n_2": "2", "list_width": "3"})]


def test_the_parts_of_a_folder_come_in_the_order_of_their_numbers(tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    for number, url in ((10, C), (9, B), (2, A)):
        written(folder / f"part-{number}.parquet", {"url": [url]})
    (folder / "_SUCCESS").write_text("")
    (folder / ".part.parquet").write_text("")
    assert [url for url, _ in read(folder)] == [A, B, C]
    with open_list([str(folder)]) as lines:
        shares = [lines.share for _ in lines]
        assert shares == sorted(shares)
        assert lines.share == 1
        assert lines.identity


def test_batches_follow_each_other(tmp_path):
    numbers = list(range(2500))
    path = written(tmp_path / "list.parquet", {"url": [f"{A}?{n}" for n in numbers], "n": numbers})
    assert [(url, row["n"]) for url, row in read(path)] == [(f"{A}?{n}", n) for n in numbers]


def test_what_is_no_list_is_an_error_at_once(tmp_path):
    path = written(tmp_path / "list.parquet", {"link": [A], "caption": ["x"]})
    with pytest.raises(SettingError, match=r"'url' .* received columns 'link', 'caption'"):
        open_list([str(path)])
    path.write_bytes(b"PAR1, but no more of it")
    with pytest.raises(SettingError, match=r"Could not read '.*list.parquet'"):
        open_list([str(path)])
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingError, match=r"Expected files that end in \.parquet in"):
        open_list([str(tmp_path / "empty")])


def test_a_part_that_is_damaged_inside_is_said_in_one_sentence(tmp_path):
    path = written(tmp_path / "list.parquet", {"url": [f"{A}?{n * n}" for n in range(2000)]})
    data = bytearray(path.read_bytes())
    data[20:2000] = b"\xff" * 1980
    path.write_bytes(data)
    with open_list([str(path)]) as lines, pytest.raises(SettingError, match="Could not read"):
        list(lines)


def test_a_missing_package_is_said_at_once(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "list.parquet").write_bytes(b"")
    with pytest.raises(SettingError, match=r"pip install scrapy-imgpipe\[report\]"):
        open_list([str(tmp_path / "list.parquet")])
