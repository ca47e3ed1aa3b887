"""Lists of URLs: what each kind of source says, line by line."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os

import pytest

from scrapy_imgpipe.errors import SettingError
from scrapy_imgpipe.lists import Line, open_list
from scrapy_imgpipe.report import open_report

A, B, C = (f"https://example.com/{name}.jpg" for name in "abc")
RECORDS = [{"url": A, "caption": "a, b\nc", "size": "1"}, {"url": B, "caption": "ü", "size": "2"}]


def read(*sources, **options):
    with open_list(list(sources), **options) as lines:
        return [(line.url, dict(line.columns)) for line in lines]


def urls(*sources, **options):
    return [url for url, _ in read(*sources, **options)]


def written(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def as_json_lines(records):
    return "".join(f"{json.dumps(record)}\n" for record in records)


CSV = f'url,caption,size\r\n{A},"a, b\nc",1\r\n{B},ü,2\r\n'
FILES = {
    ".csv": CSV,
    ".tsv": f'url\tcaption\tsize\n{A}\t"a, b\nc"\t1\n{B}\tü\t2\n',
    ".jsonl": as_json_lines(RECORDS),
    ".jl": as_json_lines(RECORDS),
    ".ndjson": as_json_lines(RECORDS),
    ".json": json.dumps(RECORDS),
}
EXPECTED = [
    (A, {"caption": "a, b\nc", "size": "1"}),
    (B, {"caption": "ü", "size": "2"}),
]


# --- formats ---


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("kind", FILES)
def test_columns_stand_beside_urls_in_every_format(tmp_path, kind, mark):
    assert read(written(tmp_path / f"list{kind}", mark + FILES[kind])) == EXPECTED


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize(
    ("ending", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
def test_every_format_may_be_packed(tmp_path, kind, ending, pack):
    packed = pack(FILES[kind].encode())
    assert read(written(tmp_path / f"list{kind}{ending}", packed)) == EXPECTED


def test_text_is_a_url_a_line_but_for_comments_and_blank_lines(tmp_path):
    text = f"\ufeff# mine\r\n\r\n  {A}  \r\n#{B}\n\n{C}"
    with open_list([written(tmp_path / "list.txt", text)]) as lines:
        assert list(lines) == [Line(0, A, {}), Line(1, C, {})]


def test_several_sources_are_read_one_after_another_and_numbered_through(tmp_path):
    sources = [
        C,
        written(tmp_path / "list.txt", f"{A}\n{B}\n"),
        "data:image/png;base64,AAAA",
        written(tmp_path / "list.csv", CSV),
        "-",
    ]
    with open_list(sources, stdin=io.BytesIO(f"{B}\n".encode())) as lines:
        found = [(line.number, line.url) for line in lines]
    expected = [C, A, B, "data:image/png;base64,AAAA", A, B, B]
    assert found == list(enumerate(expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"# mine\n{A}\n{B}\n", [(A, {}), (B, {})]),
        ("\n \r\n" + as_json_lines(RECORDS), EXPECTED),
        ("\ufeff" + as_json_lines(RECORDS), EXPECTED),
        ("", []),
    ],
)
def test_standard_input_is_text_or_json_lines(text, expected):
    assert read("-", stdin=io.BytesIO(text.encode())) == expected


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_read_once_like_standard_input(tmp_path):
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as file:
        file.write(as_json_lines(RECORDS).encode())
    try:
        with open_list([f"/dev/fd/{reading}"]) as lines:
            assert (lines.share, lines.identity) == (None, "")
            assert [(line.url, line.columns) for line in lines] == EXPECTED
    finally:
        os.close(reading)


def test_one_name_is_one_source(tmp_path):
    path = written(tmp_path / "list.txt", A)
    for source in (path, tmp_path / "list.txt"):
        with open_list(source) as lines:
            assert [line.url for line in lines] == [A]


def test_urls_and_records_of_a_program_come_as_they_are_asked_for():
    asked = []

    def given():
        for one in (A, {"url": B, "width": 3}, "no url, and no file: list.txt", {"caption": "x"}):
            asked.append(one)
            yield one

    with open_list(given()) as lines:
        assert (lines.share, lines.identity) == (None, "")
        found = iter(lines)
        assert (next(found), len(asked)) == (Line(0, A, {}), 1)
        assert list(found) == [
            Line(1, B, {"list_width": 3}),
            Line(2, "no url, and no file: list.txt", {}),
            Line(3, "", {"caption": "x"}),
        ]


@pytest.mark.parametrize("kind", [".jsonl", ".csv", ".parquet"])
def test_the_report_of_an_earlier_crawl_is_a_list(tmp_path, kind):
    path = tmp_path / f"report{kind}"
    report = open_report(path)
    report.write([{"url": A, "status": "failed", "caption": "x"}, {"url": B, "width": 3}])
    report.close()
    first, second = read(str(path))
    assert (first[0], first[1]["list_status"], first[1]["caption"]) == (A, "failed", "x")
    assert (second[0], str(second[1]["list_width"])) == (B, "3")


# --- columns ---


def test_another_column_may_hold_the_urls(tmp_path):
    path = written(tmp_path / "list.csv", f"url,link\n{A},{B}\n")
    assert read(path, column="link") == [(B, {"list_url": A})]


def test_columns_of_one_name_and_names_of_the_report_are_told_apart(tmp_path):
    text = f"tag,url,tag,width,list_width,,url\n1,{A},2,3,4,5,6\n"
    expected = {
        "tag": "1",
        "tag_2": "2",
        "list_width": "3",
        "list_width_2": "4",
        "column_6": "5",
        "list_url": "6",
    }
    assert read(written(tmp_path / "list.csv", text)) == [(A, expected)]


def test_values_of_json_stay_what_they_are(tmp_path):
    record = {"url": A, "n": 1, "f": 0.5, "on": True, "no": None, "deep": [{"a": [1]}]}
    text = as_json_lines([record]) + f'{{"url": "{B}", "n": NaN}}\n'
    path = written(tmp_path / "list.jsonl", text)
    assert read(path) == [(A, {k: v for k, v in record.items() if k != "url"}), (B, {"n": None})]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.csv", " link ,caption\nx,y\n"),
        ("list.tsv", "link\tcaption\nx\ty\n"),
        ("list.jsonl", '{"link": "x", "caption": "y"}\n'),
        ("list.json", '[{"link": "x", "caption": "y"}]'),
    ],
)
def test_a_list_without_the_column_says_at_once_which_ones_it_has(tmp_path, name, text):
    path = written(tmp_path / name, text)
    message = rf"column 'url' with URLs in '.*{name}' but received columns 'link', 'caption'$"
    with pytest.raises(SettingError, match=message):
        open_list([A, path])


def test_a_first_object_without_a_url_is_a_line_like_others(tmp_path):
    path = written(tmp_path / "list.jsonl", as_json_lines([{"caption": "x"}, {"url": A}]))
    assert read(path) == [("", {"caption": "x"}), (A, {})]


@pytest.mark.parametrize(
    ("value", "url"),
    [(None, ""), ("", ""), (" ", ""), (7, "7"), ([A], f"['{A}']"), (False, "False")],
)
def test_a_url_of_another_type_is_still_a_line(tmp_path, value, url):
    path = written(tmp_path / "list.jsonl", as_json_lines([{"url": value}, {"url": A}]))
    assert urls(path) == [url, A]


# --- damage ---


def test_damaged_lines_leave_a_line_that_says_so(tmp_path):
    deep = "[" * 100_000
    text = f'{{"url": "{A}"}}\nno\n[1]\n{deep}\n{{"url": "{B}"}}\n{{"url": "ht'
    path = written(tmp_path / "list.jsonl", text)
    found = read(path)
    assert [url for url, _ in found] == [A, "", "", "", B, ""]
    said = [columns["list_problem"].removeprefix(repr(path)) for url, columns in found if not url]
    assert said == [
        ": line 2 is no JSON",
        ": line 3: an item is no object",
        ": line 4 is no JSON",
        ": line 6 is no JSON",
    ]


def test_a_row_with_more_or_fewer_cells_than_the_header_says_so_or_has_none(tmp_path):
    path = written(tmp_path / "list.csv", f"caption,url,size\nx\n\nx,{A}\nx,{B},1,2\n")
    problem = {"list_problem": f"{path!r}: 4 cells where the header has 3"}
    assert read(path) == [
        ("", {"caption": "x"}),
        (A, {"caption": "x"}),
        (B, {"caption": "x", "size": "1", **problem}),
    ]


def test_quotes_that_are_never_closed_cost_their_line_only(tmp_path):
    text = f'url,caption\n{A},x\n{A},"open\n{B},x\n{C},x\n'
    found = read(written(tmp_path / "list.csv", text))
    assert [url for url, _ in found] == [A, "", B, C]
    assert found[1][1]["list_problem"].endswith("line 3 opens quotes that are not closed")


def test_bytes_that_are_no_text_are_replaced(tmp_path):
    for kind, text in ((".txt", b"http://a/\xff\n"), (".csv", b'url,b\n"http://a/\xff",\n')):
        assert urls(written(tmp_path / f"list{kind}", text)) == ["http://a/\ufffd"]
    path = written(tmp_path / "list.jsonl", b'{"url": "http://a/\xff"}\n')
    assert urls(path) == ["http://a/\ufffd"]
    path = written(tmp_path / "list.json", b'[{"url": "http://a/\xff"}]')
    assert urls(path) == ["http://a/\ufffd"]


def test_lines_of_many_megabytes_pass(tmp_path):
    long = "data:image/png;base64," + "A" * (12 << 20)
    assert urls(written(tmp_path / "list.txt", f"{long}\n{A}\n")) == [long, A]
    assert urls(written(tmp_path / "list.csv", f'n,url\n1,"{long}"\n2,{A}\n')) == [long, A]
    records = [{"url": long}, {"url": A}]
    assert urls(written(tmp_path / "list.jsonl", as_json_lines(records))) == [long, A]
    assert urls(written(tmp_path / "list.json", json.dumps(records))) == [long, A]


def test_a_packed_file_that_is_cut_off_gives_what_is_there_and_then_says_so(tmp_path):
    packed = gzip.compress("".join(f"{A}?{n}\n" for n in range(100_000)).encode())
    path = written(tmp_path / "list.txt.gz", packed[: len(packed) // 2])
    found = []
    with open_list([path]) as lines, pytest.raises(SettingError, match=r"Could not read '.*gz'"):
        found.extend(line.url for line in lines)
    assert len(found) > 10_000
    assert found[0] == f"{A}?0"


def test_an_array_that_is_damaged_gives_what_is_there_and_then_says_so(tmp_path):
    text = json.dumps([{"url": A}, {"url": B}])[:-1] + ", {no}, {}]"
    found = []
    with (
        open_list([written(tmp_path / "list.json", text)]) as lines,
        pytest.raises(SettingError, match=r"JSON array in '.*' but it is no .*after 2 items"),
    ):
        found.extend(line.url for line in lines)
    assert found == [A, B]


# --- what is no list ---


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("list.txt", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "lines of UTF-8 in '.*' but found NUL"),
        ("list.txt", f"{A}\n".encode("utf-16"), "lines of UTF-8 in '.*' but found NUL"),
        ("list.csv", b"PK\3\4\0\0", "lines of UTF-8"),
        ("list.csv", b'"url\n', "line of column names in '.*' but line 1 opens quotes"),
        ("list.jsonl", b"url,caption\nx,y\n", "JSON objects in '.*' but line 1 is no JSON"),
        ("list.json", b"\0\xff", "JSON array in '.*' but it is no JSON array"),
        ("list.json", b'[{"a":' * 100_000, "JSON array in '.*' but "),
        ("list.txt.gz", b"http://a/\n", "Could not read '.*': Not a gzipped file"),
        ("list.txt.xz", b"http://a/\n", "Could not read '.*': Input format not supported"),
        ("list.txt.bz2", b"http://a/\n", "Could not read '.*': Invalid data stream"),
    ],
)
def test_a_file_that_is_no_list_is_an_error_at_once(tmp_path, name, content, message):
    with pytest.raises(SettingError, match=message):
        open_list([written(tmp_path / name, content)])


def test_a_stream_that_is_no_list_is_an_error(tmp_path):
    for content in (b"\x89PNG\0\0", b'{"link": "x"}\n'):
        with open_list(["-"], stdin=io.BytesIO(content)) as lines, pytest.raises(SettingError):
            list(lines)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("urls.xml", r"Expected a URL, '-', or a file that ends in \.txt.* received 'urls.xml' of"),
        ("", "received '' of type str"),
        (7, "Expected .* for a source of URLs but received 7 of type int"),
        (b"x.txt", "received b'x.txt' of type bytes"),
        ("no/such/list.txt", "Could not read 'no/such/list.txt': No such file"),
        ("no/such/list.parquet", "Could not read 'no/such/list.parquet': "),
    ],
)
def test_what_is_no_source_is_said_in_one_sentence(source, message):
    with pytest.raises(SettingError, match=message):
        open_list([source])


def test_a_column_has_a_name():
    with pytest.raises(SettingError, match=r"Expected a name for the column of URLs but .* ''"):
        open_list([A], column="")


# --- how much is through, and going on ---


@pytest.mark.parametrize("packed", [False, True])
def test_the_share_that_is_through_grows_from_0_to_1(tmp_path, packed):
    text = "".join(f"{A}?{os.urandom(20).hex()}\n" for _ in range(200_000)).encode()
    name, content = ("b.txt.gz", gzip.compress(text, 1)) if packed else ("b.txt", text)
    small = written(tmp_path / "a.txt", text[: len(text) // 4])
    with open_list([small, written(tmp_path / name, content)]) as lines:
        assert lines.share == 0
        shares = [lines.share for line in lines if line.number % 1000 == 0]
        assert shares == sorted(shares)
        assert len(set(shares)) > 10
        assert shares[0] < 0.1
        assert lines.share == 1
    assert lines.share == 1


def test_the_same_list_has_the_same_identity(tmp_path, monkeypatch):
    path = written(tmp_path / "list.txt", A)
    other = written(tmp_path / "other.txt", A)
    kinds = [[path, A], [path, B], [A, path], [other, A], [path]]
    identities = [open_list(sources).identity for sources in kinds]
    assert len(set(identities)) == len(kinds)
    assert "" not in identities
    monkeypatch.chdir(tmp_path)
    assert open_list(["list.txt", A]).identity == identities[0]
    assert open_list(["list.txt", A], column="link").identity != identities[0]
    written(tmp_path / "list.txt", f"{A}\n")
    assert open_list(["list.txt", A]).identity != identities[0]
    assert open_list(["list.txt", "-"]).identity == ""
    assert open_list([A, {"url": A}]).identity == ""


def test_a_list_is_gone_through_once(tmp_path):
    with open_list([A]) as lines:
        assert len(list(lines)) == 1
        with pytest.raises(RuntimeError, match="once"):
            iter(lines)


def test_files_are_closed_when_the_list_is(tmp_path):
    path = written(tmp_path / "list.txt.gz", gzip.compress(f"{A}\n".encode() * 9))
    lines = open_list([path])
    found = iter(lines)
    next(found)
    lines.close()
    lines.close()
    with pytest.raises(ValueError, match="closed"):
        list(found)  # and no ResourceWarning, which would be an error here
