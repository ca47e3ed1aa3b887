"""Rows for the tests of the report, and what they are after a way through a file."""

from __future__ import annotations

from scrapy_imgpipe.report import COLUMNS

NAMES = [column.name for column in COLUMNS]
FORMATS = ("jsonl", "csv", "sqlite", "parquet")

FULL = {
    "url": "https://example.com/a.jpg?x=1,2&y=é",
    "item": "item-1",
    "page": "https://example.com/",
    "slot": 0,
    "path": "full/a.jpg",
    "status": "downloaded",
    "outcome": "stored",
    "reason": 'said "no", then\r\nyes',
    "http_status": 200,
    "width": 640,
    "height": 480,
    "format": "JPEG",
    "bytes_in": 2**40,
    "bytes_stored": 12345,
    "checksum": "0123456789abcdef0123456789abcdef",
    "renditions": [
        {"name": "small", "path": "thumbs/small/a.jpg", "width": 50, "height": 37, "bytes": 999}
    ],
    "attempts": 1,
    "seconds_waiting": 0.0,
    "seconds_downloading": 0.1,
    "seconds_rendering": 1e-9,
    "seconds_storing": 2.0,
    "finished": "2026-11-30T12:00:00.123Z",
}


def row(number, **further):
    return {"url": f"https://example.com/{number}.jpg", "slot": number, **further}


def full(cells):
    """Return *cells* as a reader gives them: with every column."""
    return {**dict.fromkeys(NAMES), **cells}
