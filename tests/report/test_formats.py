"""The contract of a report file, which every format runs."""

from __future__ import annotations

import tempfile
import tracemalloc
from collections.abc import Iterator
from enum import Enum, StrEnum
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scrapy_imgpipe.errors import SettingError, StoreFailed
from scrapy_imgpipe.report import ReportFile, open_report, read_rows
from scrapy_imgpipe.report.cells import clean, decoded, encoded
from tests.report.rows import FORMATS, FULL, NAMES, full, row


@pytest.fixture(params=FORMATS)
def path(request, tmp_path):
    return tmp_path / f"report.{request.param}"


def written(path, *batches, append=False):
    """Write *batches* to a report; return its rows as they are read."""
    report = open_report(path, append=append)
    for batch in batches:
        report.write(batch)
    report.close()
    return list(read_rows(path))


def exact(value):
    """Return *value* so that 1, 1.0 and True differ."""
    if isinstance(value, dict):
        return {key: exact(part) for key, part in value.items()}
    return [exact(part) for part in value] if isinstance(value, list) else (type(value), value)


def test_speaks_the_protocol(path):
    report = open_report(path)
    assert isinstance(report, ReportFile)
    report.close()
    report.close()


def test_gives_back_what_was_written(path):
    (found,) = written(path, [FULL])
    assert exact(found) == exact(FULL)
    assert list(found) == NAMES


def test_what_is_missing_is_none(path):
    assert written(path, [{}, {"url": None, "item": "", "x": None}]) == [full({}), full({})]


def test_no_rows(path):
    assert written(path) == []
    assert written(path, [], []) == []


def test_rows_come_in_the_order_of_writing(path):
    rows = [row(number) for number in range(2500)]
    found = written(path, rows[:1], rows[1:1200], rows[1200:])
    assert found == [full(cells) for cells in rows]
    assert isinstance(read_rows(path), Iterator)


def test_further_keys_keep_their_types(path):
    further = {
        "text": "plain",
        "number in text": "12",
        "digits": "0012",
        "word": "true",
        "json in text": '[1, "a"]',
        "quotes": '"',
        "nan in text": "NaN",
        "yes": True,
        "no": False,
        "int": -7,
        "float": 1.0,
        "list": [1, 2.5, "a", None, {"b": []}],
        "dict": {"a": {"b": "c"}, "": 0},
        "empty list": [],
        "empty dict": {},
        "least": -(2**63),
        "most": 2**63 - 1,
    }
    assert exact(written(path, [row(0, **further)])) == exact([full(row(0, **further))])


def test_a_further_key_may_come_late_and_change_its_type(path):
    rows = [row(0), row(1, alt="a"), row(2), row(3, alt=7, price=2.5), row(4, price=[1])]
    assert written(path, rows[:1], rows[1:2], rows[2:]) == [full(cells) for cells in rows]


@pytest.mark.parametrize("key", ["URL", "Url", "Alt", "further", "Further", "rowid", "OID", ""])
def test_keys_that_clash(path, key):
    rows = [row(0, alt="a"), row(1, **{key: "b"}), row(2, **{key: "c", "alt": "d", "_rowid_": 1})]
    assert written(path, rows[:1], rows[1:]) == [full(cells) for cells in rows]


@pytest.mark.parametrize("key", ['"; DROP TABLE report; --', "a,b", "a\nb", "x" * 5000, "é", "[a]"])
def test_keys_that_need_quotes(path, key):
    assert written(path, [row(0, **{key: "b"})]) == [full(row(0, **{key: "b"}))]


def test_keys_made_from_data_cost_no_thousand_columns(path):
    rows = [row(number, **{f"price_{number}": number}) for number in range(3000)]
    assert written(path, rows[:5], rows[5:]) == [full(cells) for cells in rows]


def test_a_cell_of_megabytes(path):
    cells = row(0, url=f"data:image/png;base64,{'A' * 3_000_000}", alt='"' * 200_000)
    assert written(path, [cells]) == [full(cells)]


class Odd:
    def __init__(self, text):
        self.text = text

    def __str__(self):
        if self.text is None:
            raise RuntimeError
        return self.text

    __repr__ = __str__
    __int__ = __float__ = __str__


class Word(str, Enum):  # noqa: UP042 - its str() is another
    ONE = "one"


class Kind(StrEnum):
    TWO = "two"


CIRCLE: list[object] = []
CIRCLE.append(CIRCLE)
DEEP: list[object] = []
for _ in range(100_000):
    DEEP = [DEEP]

ODD = [
    ("\ud800a\udfff", "\ufffda\ufffd"),
    ("\ud83d\ude00", "\U0001f600"),
    ("a\0b", "a\ufffdb"),
    ("\r", "\r"),
    ("\n", "\n"),
    ("\ufeff\x0b\x0c\x1c\x85\u2028", "\ufeff\x0b\x0c\x1c\x85\u2028"),
    (b"a\xff", "a\ufffd"),
    (Odd("o\0"), "o\ufffd"),
    (Odd(None), None),
    (Word.ONE, "one"),
    (Kind.TWO, "two"),
    (float("nan"), None),
    (float("-inf"), None),
    ([float("inf"), "\udfff"], [None, "\ufffd"]),
    ((1, Odd("o")), [1, "o"]),
    ({1: 2, None: 3}, {"1": 2, "null": 3}),
    ({(1, 2): 3}, "{(1, 2): 3}"),
    (2**63, str(2**63)),
    (-(2**64), str(-(2**64))),
    (1 << 20_000, hex(1 << 20_000)),
    ([1 << 20_000], None),
    (CIRCLE, "[[...]]"),
    (DEEP, None),
    ("[" * 100_000, "[" * 100_000),
    ("9" * 5000, "9" * 5000),
]


@pytest.mark.parametrize(("value", "expected"), ODD, ids=range(len(ODD)))
def test_a_row_never_fails_for_what_it_holds(path, value, expected):
    odd = {**dict.fromkeys(NAMES, value), "more": value, "url": "https://example.com/"}
    (found,) = written(path, [odd])
    assert found["url"] == "https://example.com/"
    assert exact(found.get("more")) == exact(expected)


def test_a_list_too_deep_is_text(path):
    deep = []
    for _ in range(60):
        deep = [deep]
    text = "[" * 61 + "]" * 61
    found = written(path, [row(0, renditions=deep, more=deep), row(1, more=text)])
    assert found == [full(row(0, more=text)), full(row(1, more=text))]


def test_text_that_is_json_stays_text_wherever_it_is_written():
    text = "[" * 600 + "]" * 600

    def encoded_below(calls):
        return encoded_below(calls - 1) if calls else encoded(text)

    assert decoded(encoded_below(0)) == decoded(encoded_below(600)) == text


def test_a_further_key_takes_no_column():
    assert clean({"url": "a", Odd("url"): "b", Odd(None): "c"}) == {"url": "a", "": "c"}


def test_columns_hold_values_of_their_kind(path):
    odd = {
        "slot": "12",
        "width": 2**63,
        "height": float("nan"),
        "attempts": True,
        "seconds_waiting": 3,
        "seconds_storing": "inf",
        "renditions": {"no": "list"},
        "path": Path("full/a.jpg"),
        "reason": 5,
    }
    expected = {"slot": 12, "attempts": 1, "seconds_waiting": 3.0, "path": "full/a.jpg"}
    assert exact(written(path, [odd])) == exact([full({**expected, "reason": "5"})])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda parts: st.lists(parts) | st.dictionaries(st.text(), parts),
    max_leaves=5,
)
VALUES = (
    JSON
    | st.characters(categories=["Cs", "Cc"])
    | st.sampled_from(['"', '"\r\n', ",", "12", "1e9", "null", "", "é", "=1+1", "a\r", " 1", "-"])
    | st.dates()
    | st.binary(max_size=3)
)
KEYS = st.sampled_from([*NAMES, "alt", "Alt", "ALT", "further", "rowid", "é"]) | st.text(max_size=4)
ROWS = st.lists(st.dictionaries(KEYS, VALUES, max_size=5), max_size=5)


@pytest.mark.parametrize("extension", FORMATS)
@given(first=ROWS, second=ROWS, third=ROWS)
@example(first=[{"": "", "\0": "a"}], second=[{"\ud800": "\ud800"}], third=[{"\ufffd": 1}])
@settings(deadline=None, max_examples=60)
def test_every_format_gives_the_same_rows(extension, first, second, third):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, f"report.{extension}")
        written(path, first, second)
        found = written(path, third, append=True)
    cleaned = [clean(cells) for cells in (*first, *second, *third)]
    assert exact(found) == exact([full(cells) for cells in cleaned])
    assert exact([clean(cells) for cells in found]) == exact(cleaned)


def test_replaces_what_was_there(path):
    written(path, [row(number, old="x") for number in range(50)])
    assert written(path, [row(7)]) == [full(row(7))]


def test_replaces_at_once(path):
    written(path, [row(0)])
    report = open_report(path)
    assert list(read_rows(path)) == []
    report.close()


def test_continues_what_was_there(path):
    written(path, [row(0)], append=True)
    written(path, [row(1, alt="a", Alt="b")], append=True)
    found = written(path, [row(2), row(3, more=1, alt=2)], append=True)
    assert found == [full(c) for c in (row(0), row(1, alt="a", Alt="b"), row(2))] + [
        full(row(3, more=1, alt=2))
    ]


def test_makes_the_directories(tmp_path, path):
    place = tmp_path / "a" / "b" / path.name.upper()
    assert written(place, [row(0)]) == [full(row(0))]
    assert place.exists()


def test_leaves_nothing_beside_it(tmp_path, path):
    written(path, [row(0)], [row(1, late="x")])
    written(path, [row(2, later="y")], append=True)
    assert list(tmp_path.iterdir()) == [path]


def test_can_be_read_while_it_is_written(path):
    report = open_report(path)
    report.write([row(number) for number in range(1000)])
    reader = read_rows(path)
    first = next(reader, None)
    report.write([row(number, late=1) for number in range(1000, 2000)])
    rest = [found["slot"] for found in reader]
    report.close()
    if path.suffix == ".parquet":
        assert (first, rest) == (None, [])  # no part is full
    else:
        assert first == full(row(0))
        assert rest[:999] == list(range(1, 1000))


def test_a_place_that_cannot_be(tmp_path, path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(
        StoreFailed, match=r"^Could not make the directory of the report '.*': "
    ) as e:
        open_report(tmp_path / "file" / path.name)
    assert e.value.code == "store-failed"
    if path.suffix == ".parquet":
        path.write_bytes(b"")
    else:
        path.mkdir()
    with pytest.raises(StoreFailed, match=r"^Could not open the report '.*': "):
        open_report(path, append=True)
    with pytest.raises(StoreFailed, match=r"^Could not read the report '.*': "):
        list(read_rows(path))


def test_nothing_to_read(path):
    with pytest.raises(FileNotFoundError, match="No such file"):
        read_rows(path)


@pytest.mark.parametrize("name", ["report", "report.txt", "report.jsonl.gz"])
def test_an_unknown_extension(tmp_path, name):
    with pytest.raises(SettingError, match=r"^Expected local path ending in \.jsonl, .* received"):
        open_report(tmp_path / name)
    with pytest.raises(SettingError, match=r"for the path of a report but received"):
        read_rows(tmp_path / name)


def test_memory_does_not_grow_with_the_report(path):
    def batch(number):
        return [row(number * 100 + place, alt="x" * 2000) for place in range(100)]

    tracemalloc.start()
    try:
        report = open_report(path)
        for number in range(50):  # 10 MB of text
            report.write(batch(number))
        report.write([row(0, late=1)])
        report.close()
        _, writing = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        assert sum(1 for _ in read_rows(path)) == 5001
        _, reading = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert writing < 6_000_000
    assert reading < 6_000_000
