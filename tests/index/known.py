"""Records for tests, without what it takes to make up random ones."""

from __future__ import annotations

from scrapy_imgpipe.index import Key
from scrapy_imgpipe.records import ImageRecord, Rendition, checksum


def key(record: ImageRecord) -> Key:
    return Key(record.fingerprint, record.asked)


def file(path: str, name: str = "", **fields: object) -> Rendition:
    usual = Rendition(name, path, 120, 80, 9_999, 1_800_000_000.1234, checksum(path.encode()))
    return usual._replace(**fields)  # type: ignore[arg-type]


def stored(number: int, **fields: object) -> ImageRecord:
    """Return a record with every field filled; no two numbers have a path in common."""
    asked = f"full/{number}.jpg"
    usual = ImageRecord(
        f"{number:040x}",
        asked,
        f"https://example.com/é/{number}.jpg?a=b",
        file(asked),
        "JPEG",
        (
            file(f"thumbs/small/{number}.jpg", "small", plan="0123abcd"),
            file(f"thumbs/große 日本/{number}.jpg", "große 日本", plan="4567cdef"),
        ),
        "01234567.89abcdef.01234567",
        "fedcba98",
        checksum(str(number).encode()),
        '"etag"',
        "Wed, 21 Oct 2015 07:28:00 GMT",
        1_800_000_000.0001,
        1_800_000_001.9999,
        1_800_000_002.5,
        "too-small",
        "Image too small (1x1 < 9x9)",
        200,
        3,
        "one-colour",
        {"mean_brightness": 12.34, "nested": {"é": [1, 2.5, None, True, "x"]}},
    )
    return usual._replace(**fields)  # type: ignore[arg-type]


def failed(number: int, **fields: object) -> ImageRecord:
    """Return a record of a source that has nothing in the store."""
    url = f"https://example.com/{number}"
    usual = ImageRecord(f"{number:040x}", f"full/{number}.jpg", url, outcome="http-status")
    return usual._replace(**fields)  # type: ignore[arg-type]


def imported(number: int, **fields: object) -> ImageRecord:
    """Return a record of a file whose request nobody knows."""
    asked = f"full/{number}.jpg"
    return ImageRecord("", asked, "", file(asked), "JPEG")._replace(**fields)  # type: ignore[arg-type]
