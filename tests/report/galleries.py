"""Stores and reports for the tests of the gallery, and what a page was told."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from scrapy_imgpipe.report import open_report
from tests.pictures import jpeg

#: The cells of a row, in order.
NAMES = (
    *("url", "path", "source", "thumb", "width", "height", "outcome", "format", "host"),
    *("bytes", "time", "flags", "reason", "fault", "alt", "words", "colour"),
)

_CALL = re.compile(r"imgpipe\.(\w+)\((.*)\);\n", re.DOTALL)


@dataclass
class Told:
    """What a page has: what it is about, its rows, and their records."""

    about: dict[str, Any]
    rows: list[dict[str, Any]]
    records: list[dict[str, Any]]

    def row(self, path: str) -> dict[str, Any]:
        (row,) = (row for row in self.rows if row["path"] == path)
        return row


def called(script: Path) -> tuple[str, list[Any]]:
    """Return which function a script calls, and what with."""
    name, values = _CALL.fullmatch(script.read_text("ascii")).groups()
    return name, json.loads(f"[{values}]")


def told(folder: Path) -> Told:
    """Return what the page in *folder* is told, as the page finds it."""
    index = (folder / "index.html").read_text("utf-8")
    (page,) = re.findall(r'<script src="(data/page-[^"]+)"', index)
    _, (about,) = called(folder / page)
    rows, records = [], []
    for number, script in enumerate(about["rows"]):
        name, (place, some) = called(folder / script)
        assert (name, place) == ("rows", number)
        rows += [dict(zip(NAMES, cells, strict=True)) for cells in some]
    for number, script in enumerate(about["records"]):
        name, (place, some) = called(folder / script)
        assert (name, place) == ("records", number)
        records += map(dict, some)
    for row in rows:
        row["outcome"] = about["outcomes"][row["outcome"]]
        row["format"] = about["formats"][row["format"]]
        row["host"] = about["hosts"][row["host"]]
        if row["source"].startswith("@"):
            row["source"] = about["base"] + row["source"][1:]
        if row["thumb"] == "=":
            row["thumb"] = row["source"]
    return Told(about, rows, records)


def file_at(folder: Path, url: str) -> Path:
    """Return the file that a page in *folder* means with the relative *url*."""
    assert not re.match(r"[a-z]+:|/", url), url
    assert not set(url) & set("?#\"'<> "), url
    return (folder / unquote(url)).resolve()


def put(store: Path, path: str, data: bytes | None = None) -> bytes:
    """Put *data*, else a new photo that is too heavy to be its own thumbnail, into *store*."""
    data = jpeg((900, 600)) if data is None else data
    (store / path).parent.mkdir(parents=True, exist_ok=True)
    (store / path).write_bytes(data)
    return data


def report_of(path: Path, *rows: dict[str, Any]) -> Path:
    """Write a report of *rows*, which are fine unless they say otherwise."""
    file = open_report(str(path))
    file.write([{"outcome": "stored", "status": "downloaded", **row} for row in rows])
    file.close()
    return path


def files_in(folder: Path) -> dict[str, int]:
    """Return all files below *folder* with their times, which tell a file that was made anew."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file()
    }
