"""Rows of CSV: as the csv module reads them, and what it cannot do."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrapy_imgpipe.lists.records import Damage, lines_of
from scrapy_imgpipe.lists.separated import rows_of

CELLS = st.text(alphabet='ab ,\t"\n\r;ü', max_size=8)


def rows(data, delimiter=",", **options):
    return list(rows_of(lines_of(io.BytesIO(data)), delimiter, **options))


@pytest.mark.parametrize("delimiter", [",", "\t"])
@given(table=st.lists(st.lists(CELLS, min_size=2, max_size=4), max_size=6))
@settings(deadline=None)
def test_what_the_csv_module_writes_comes_back(table, delimiter):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(table)
    assert rows(text.getvalue().encode(), delimiter) == table


@given(text=st.text(alphabet='ab,"\n', max_size=30))
@settings(deadline=None, max_examples=500)
def test_any_text_is_read_as_the_csv_module_does_where_quotes_are_closed(text):
    found = rows(text.encode())
    if not any(isinstance(row, Damage) for row in found):
        assert found == [row for row in csv.reader(io.StringIO(text, newline="")) if row]


def test_quotes_inside_a_cell_that_has_none_around_it_are_characters():
    assert rows(b'a,5" disk\nb,6" disk\n') == [["a", '5" disk'], ["b", '6" disk']]


def test_a_record_that_is_too_long_is_damaged_and_its_lines_are_read_on_their_own():
    data = b'a,"open\n' + b"b,c\n" * 100 + b'd,"e\nf"\n'
    found = rows(data, most=200)
    assert found[0] == Damage("line 1 opens quotes that are not closed")
    assert found[1:] == [["b", "c"]] * 100 + [["d", "e\nf"]]


def test_lines_are_counted_behind_damage():
    found = rows(b'a,"b\nc"\n\nd,"open\ne,f\n"x"\ng,"open\n', most=8)
    assert found[0] == ["a", "b\nc"]
    assert found[1:] == [
        Damage("line 4 opens quotes that are not closed"),
        ["e", "f"],
        ["x"],
        Damage("line 7 opens quotes that are not closed"),
    ]


def test_a_line_that_is_too_long_is_told_and_passed_over():
    lines = lines_of(io.BytesIO(b"\xef\xbb\xbfa,b\n" + b"x" * 50 + b"\nc,d\n" + b"y" * 50), 10)
    found = list(rows_of(lines, ","))
    assert [row for row in found if not isinstance(row, Damage)] == [["a", "b"], ["c", "d"]]
    assert [row.problem[:6] for row in found if isinstance(row, Damage)] == ["line 2", "line 4"]


def test_a_line_that_is_too_long_inside_of_quotes_is_told():
    lines = lines_of(io.BytesIO(b'a,"b\n' + b"x" * 50 + b"\nc,d\n"), 10)
    found = list(rows_of(lines, ","))
    assert [row.problem[:6] for row in found[:2]] == ["line 1", "line 2"]
    assert found[2:] == [["c", "d"]]
