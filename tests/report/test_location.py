"""IMGPIPE_REPORT: what is accepted, what becomes of it, and the words of a refusal."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from scrapy_imgpipe.errors import SettingError
from scrapy_imgpipe.report import check_report_path, expand, open_report, read_rows

MOMENT = datetime(2026, 11, 30, 13, 5, 9, 123456, timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    "path",
    [
        "report.jsonl",
        "/tmp/REPORT.CSV",
        "a/%(name)s/%(time)s.sqlite",
        Path("report.parquet"),
        "100%/%20.jsonl",
        "é/report.csv",
    ],
)
def test_accepted(path):
    assert check_report_path(path) is None


@pytest.mark.parametrize(
    "path",
    [
        "",
        "report",
        "report.json",
        ".jsonl",
        "report.csv.gz",
        "a\0.csv",
        "s3://b/r.csv",
        "r.sqlite3",
    ],
)
def test_refused(path):
    with pytest.raises(SettingError) as caught:
        check_report_path(path)
    assert str(caught.value) == (
        "Expected local path ending in .jsonl, .csv, .sqlite or .parquet for IMGPIPE_REPORT "
        f"but received {path!r} of type str"
    )


@pytest.mark.parametrize("value", [True, 1, None, b"report.csv", ["report.csv"]])
def test_refused_types(value):
    with pytest.raises(SettingError, match=f"of type {type(value).__name__}$"):
        check_report_path(value)


BAD = ["%(spider)s.csv", "%(time)d.csv", "%(time.csv", "%()s.csv", "%(name) s.csv", "%(Time)s.csv"]


@pytest.mark.parametrize("path", BAD)
def test_refused_placeholders(path):
    for deed in (check_report_path, lambda uri: expand(uri, "shop", MOMENT)):
        with pytest.raises(SettingError) as caught:
            deed(path)
        assert str(caught.value) == (
            "Expected no placeholders but %(name)s and %(time)s for IMGPIPE_REPORT "
            f"but received {path!r} of type str"
        )


@pytest.mark.parametrize("name", ["shop", "%(time)s", "%(x)s", "a%b", "\\1"])
@pytest.mark.parametrize(
    "uri", ["r.csv", "%(name)s-%(time)s.csv", "%(time)s/%(time)s.csv", "%20%%s/100%/%(name)s.csv"]
)
def test_expands_as_scrapy_does(uri, name):
    time = "2026-11-30T12-05-09+00-00"
    expected = uri.replace("%(time)s", time).replace("%(name)s", name)
    assert expand(uri, name, MOMENT) == expand(Path(uri), name, MOMENT) == expected


def test_the_time_is_that_of_utc():
    assert expand("%(time)s", "", MOMENT) == expand("%(time)s", "", MOMENT.astimezone(UTC))


def test_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    wanted = "pyarrow is needed for a report in Parquet: pip install scrapy-imgpipe[report]"
    check_report_path("report.csv")
    with pytest.raises(SettingError) as caught:
        check_report_path("report.parquet")
    assert str(caught.value) == f"IMGPIPE_REPORT is 'report.parquet', but {wanted}"
    with pytest.raises(SettingError) as caught:
        open_report(tmp_path / "report.parquet")
    assert str(caught.value) == wanted
    (tmp_path / "report.parquet").mkdir(exist_ok=True)
    with pytest.raises(ImportError) as missing:
        list(read_rows(tmp_path / "report.parquet"))
    assert str(missing.value) == wanted


def test_importing_the_room_imports_no_library():
    code = (
        "import sys, scrapy_imgpipe.report, scrapy_imgpipe.report.analysis;"
        "import scrapy_imgpipe.report.text;"
        "names = {'pandas', 'pyarrow', 'numpy', 'scrapy', 'twisted', 'asyncio', 'PIL'};"
        "print(sorted(names & set(sys.modules)))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert out.stdout.strip() == "[]"
