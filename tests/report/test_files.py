"""What other programs find in the files, format by format; and what we find in theirs."""

from __future__ import annotations

import csv
import json
import sqlite3
from contextlib import closing

import pytest

from scrapy_imgpipe.errors import StoreFailed
from scrapy_imgpipe.report import open_report, read_rows
from scrapy_imgpipe.report import parquet_files as parquet
from scrapy_imgpipe.report.sqlite_file import SqliteReport
from tests.report.rows import FULL, NAMES, full, row


def write(path, *batches, append=False):
    report = open_report(path, append=append)
    for batch in batches:
        report.write(batch)
    report.close()


class TestJsonl:
    def test_a_line_is_an_object_without_empty_cells(self, tmp_path):
        path = tmp_path / "report.jsonl"
        write(path, [FULL, {"reason": "é\n", "url": None, "sizes": {"a": [1]}}])
        first, second, end = path.read_text("utf-8").split("\n")
        assert json.loads(first) == FULL
        assert list(json.loads(first)) == NAMES
        assert second == '{"reason":"é\\n","sizes":{"a":[1]}}'
        assert end == ""

    @pytest.mark.parametrize("line", ["{", "[]", "1", "", "[" * 100_000, "\xff"])
    def test_a_line_that_is_none_of_ours(self, tmp_path, line):
        path = tmp_path / "report.jsonl"
        path.write_bytes(f'{{"url": "a"}}\n{line}\n'.encode("latin-1"))
        rows = read_rows(path)
        assert next(rows) == full({"url": "a"})
        with pytest.raises(StoreFailed, match=r"Could not read .*: line 2 is no JSON object"):
            next(rows)

    def test_values_of_other_writers_become_those_of_the_columns(self, tmp_path):
        path = tmp_path / "report.jsonl"
        path.write_text('{"slot": "3", "width": 2.0, "seconds_storing": 1, "renditions": "[1]"}\n')
        expected = {"slot": 3, "width": 2, "seconds_storing": 1.0, "renditions": [1]}
        assert list(read_rows(path)) == [full(expected)]


class TestCsv:
    def test_what_the_csv_module_finds(self, tmp_path):
        path = tmp_path / "report.csv"
        write(path, [FULL, {"reason": '"a", b\r\nc', "alt": "12", "n": 12, "late": True}])
        with path.open(newline="", encoding="utf-8") as file:
            header, first, second = csv.reader(file, strict=True)
        assert header == [*NAMES, "alt", "n", "late"]
        found = dict(zip(header, first, strict=True))
        assert found["url"] == FULL["url"]
        assert found["bytes_in"] == "1099511627776"
        assert json.loads(found["renditions"]) == FULL["renditions"]
        assert found["late"] == ""
        assert second[-3:] == ['"12"', "12", "true"]
        assert path.read_bytes().startswith(b"url,item,page,slot,")
        assert path.read_bytes().count(b"\r\n") == 5  # a header, two rows, two in cells

    def test_a_column_is_added_at_the_end_of_every_row(self, tmp_path):
        path = tmp_path / "report.csv"
        write(path, [row(0, a='x\r\n"')], [row(1, b=1)], [row(2, c=[])])
        with path.open(newline="", encoding="utf-8") as file:
            header, *records = csv.reader(file, strict=True)
        assert header[-3:] == ["a", "b", "c"]
        assert [record[-3:] for record in records] == [
            ['x\r\n"', "", ""],
            ["", "1", ""],
            ["", "", "[]"],
        ]

    def test_what_a_spreadsheet_made_of_it(self, tmp_path):
        path = tmp_path / "report.csv"
        path.write_bytes('\ufeffurl,"note",slot\n"a",é,1\nb,,\n"c","x"\n'.encode())
        expected = [{"url": "a", "note": "é", "slot": 1}, {"url": "b"}, {"url": "c", "note": "x"}]
        assert list(read_rows(path)) == [full(cells) for cells in expected]
        write(path, [row(5, note="y")], append=True)
        *before, last = read_rows(path)
        assert before == [full(cells) for cells in expected]
        assert last == full(row(5, note="y"))
        assert (
            path.read_bytes().splitlines()[0]
            == ",".join(
                ["url", "note", "slot", *(name for name in NAMES if name not in {"url", "slot"})]
            ).encode()
        )

    def test_a_header_alone(self, tmp_path):
        path = tmp_path / "report.csv"
        write(path)
        assert path.read_bytes() == ",".join(NAMES).encode() + b"\r\n"

    def test_the_header_is_one_line(self, tmp_path):
        path = tmp_path / "report.csv"
        write(path, [row(0, **{"a\nb": 1, "c,d": 2})])
        header, _ = path.read_text("utf-8").splitlines()
        assert header == ",".join([*NAMES, "further", '"c,d"'])

    def test_a_file_that_vanished(self, tmp_path):
        path = tmp_path / "report.csv"
        report = open_report(path)
        path.unlink()
        for cells in (row(0, late=1), row(1)):
            with pytest.raises(StoreFailed, match="Could not write the report"):
                report.write([cells])
        report.close()
        assert list(tmp_path.iterdir()) == []


class TestSqlite:
    def test_what_sql_finds(self, tmp_path):
        path = tmp_path / "report.sqlite"
        write(path, [FULL, row(1, sku="12", n=12, price=1.5, ok=True, tags=["a"])])
        with closing(sqlite3.connect(path)) as database:
            tables = database.execute("SELECT name FROM sqlite_master").fetchall()
            types = dict(database.execute("SELECT name, type FROM pragma_table_info('report')"))
            (second,) = database.execute(
                "SELECT sku, n, price, ok, tags FROM report WHERE sku = '12' AND n > 11"
            )
            (name,) = database.execute(
                "SELECT json_extract(renditions, '$[0].name') FROM report LIMIT 1"
            )
            (mode,) = database.execute("PRAGMA journal_mode")
        assert tables == [("report",)]
        assert list(types) == [*NAMES, "sku", "n", "price", "ok", "tags"]
        assert types["url"] == types["renditions"] == "TEXT"
        assert (types["slot"], types["seconds_storing"], types["sku"]) == ("INTEGER", "REAL", "")
        assert second == ("12", 12, 1.5, "true", '["a"]')
        assert name == ("small",)
        assert mode == ("delete",)

    def test_a_reader_in_mid_read_holds_up_nobody(self, tmp_path):
        path = tmp_path / "report.sqlite"
        report = open_report(path)
        report.write([row(number) for number in range(500)])
        readers = [read_rows(path) for _ in range(3)]
        for reader in readers:
            next(reader)
        report.write([row(500, late=1)])
        report.close()
        assert [sum(1 for _ in reader) for reader in readers] == [500, 500, 500]

    def test_somebody_who_never_stops_reading_costs_a_batch(self, tmp_path):
        path = tmp_path / "report.sqlite"
        report = SqliteReport(path, wait_seconds=0)
        report.write([row(0)])
        with closing(sqlite3.connect(path, isolation_level=None)) as somebody:
            somebody.execute("BEGIN")
            somebody.execute("SELECT * FROM report").fetchone()
            with pytest.raises(StoreFailed, match=r"Could not write .*: database is locked"):
                report.write([row(1, late=1)])
        report.write([row(2, late=2)])
        report.close()
        assert list(read_rows(path)) == [full(row(0)), full(row(2, late=2))]

    @pytest.mark.parametrize("ending", ["-journal", "-wal", "-shm"])
    def test_replaces_what_lies_beside_it(self, tmp_path, ending):
        path = tmp_path / "report.sqlite"
        beside = tmp_path / f"report.sqlite{ending}"
        beside.write_bytes(b"x" * 5000)
        write(path, [row(0)])
        assert list(read_rows(path)) == [full(row(0))]
        assert list(tmp_path.iterdir()) == [path]

    def test_other_tables_stay_when_it_is_continued(self, tmp_path):
        path = tmp_path / "report.sqlite"
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("CREATE TABLE mine (x)")
            database.execute("CREATE TABLE report (URL, note)")
            database.execute("INSERT INTO report VALUES ('a', 'b')")
            database.commit()
        write(path, [row(1, note="c")], append=True)
        with closing(sqlite3.connect(path)) as database:
            assert database.execute("SELECT * FROM mine").fetchall() == []
        first, second = read_rows(path)
        assert first == full({"URL": "a", "note": "b"})
        assert second == full(row(1, note="c"))
        assert list(tmp_path.iterdir()) == [path]

    def test_what_is_no_report(self, tmp_path):
        path = tmp_path / "report.sqlite"
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE mine (x)")
        with pytest.raises(StoreFailed, match=r"Could not read the report '.*': no such table"):
            list(read_rows(path))
        path.write_bytes(b"no database" * 1000)
        with pytest.raises(StoreFailed, match=r"Could not read the report '.*': file is not a dat"):
            list(read_rows(path))
        with pytest.raises(StoreFailed, match=r"Could not open the report '.*': file is not a dat"):
            open_report(path, append=True)


class TestParquet:
    def names(self, path):
        return sorted(found.name for found in path.iterdir())

    def test_a_part_for_so_many_rows(self, tmp_path):
        path = tmp_path / "report.parquet"
        report = parquet.ParquetReport(path, part_rows=10)
        report.write([row(number) for number in range(9)])
        assert self.names(path) == []
        report.write([row(9)])
        assert self.names(path) == ["part-00000.parquet"]
        report.write([row(number) for number in range(10, 31)])
        report.close()
        assert self.names(path) == [f"part-0000{number}.parquet" for number in range(4)]
        assert [found["slot"] for found in read_rows(path)] == list(range(31))

    def test_a_part_for_so_many_bytes(self, tmp_path):
        path = tmp_path / "report.parquet"
        report = open_report(path)
        report.write([row(number, alt=str(number) * 200_000) for number in range(200)])
        assert len(self.names(path)) >= 5
        report.close()
        assert [found["slot"] for found in read_rows(path)] == list(range(200))

    def test_continues_after_the_last_part(self, tmp_path):
        path = tmp_path / "report.parquet"
        write(path, [row(0)])
        (path / "part-00000.parquet").rename(path / "part-99999.parquet")
        write(path, [row(1)], append=True)
        write(path, [row(2)], append=True)
        assert self.names(path) == [f"part-{n}.parquet" for n in (100000, 100001, 99999)]
        assert [found["slot"] for found in read_rows(path)] == [0, 1, 2]

    def test_other_files_are_left_alone(self, tmp_path):
        path = tmp_path / "report.parquet"
        write(path, [row(0)], [row(1)])
        others = ["part-1.parquet", "part-00000.parquet.old", "mine.parquet", "README"]
        for name in [*others, ".part.parquet.tmp"]:
            (path / name).write_text("mine")
        write(path, [row(2)])
        assert self.names(path) == sorted([*others, "part-00000.parquet"])
        assert [found["slot"] for found in read_rows(path)] == [2]

    def test_what_a_killed_writer_left_is_removed(self, tmp_path):
        path = tmp_path / "report.parquet"
        path.mkdir()
        (path / ".part.parquet.tmp").write_bytes(b"PAR1")
        write(path, append=True)
        assert self.names(path) == []

    def test_what_arrow_finds(self, tmp_path):
        import pyarrow as pa
        from pyarrow import dataset

        path = tmp_path / "report.parquet"
        write(path, [FULL, row(1, alt="12", n=12)])
        table = dataset.dataset(path).to_table()
        assert table.schema.names == [*NAMES, "alt", "n"]
        assert table.schema.field("bytes_in").type == pa.int64()
        assert table.schema.field("seconds_storing").type == pa.float64()
        assert table.schema.field("url").type == pa.string()
        first, second = table.to_pylist()
        assert first["bytes_in"] == FULL["bytes_in"]
        assert json.loads(first["renditions"]) == FULL["renditions"]
        assert (second["alt"], second["n"], second["path"]) == ('"12"', "12", None)

    def test_one_file_is_read_as_well(self, tmp_path):
        write(tmp_path / "report.parquet", [FULL])
        one = (tmp_path / "report.parquet" / "part-00000.parquet").rename(tmp_path / "one.parquet")
        assert list(read_rows(one)) == [FULL]

    def test_a_part_that_is_damaged(self, tmp_path):
        path = tmp_path / "report.parquet"
        write(path, [FULL])
        (path / "part-00001.parquet").write_bytes(b"PAR1")
        rows = read_rows(path)
        assert next(rows) == FULL
        with pytest.raises(StoreFailed, match="Could not read the report"):
            next(rows)
