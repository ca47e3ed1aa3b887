"""Fill an index with a million records, and look them up again: what it takes.

Prints, at each tenth, the resident memory, the file's size, and the time for each record
that is put (in batches of 32, as a busy crawl does), looked up, and read one after the
other. Memory that grows with the number of records would show.
"""

from __future__ import annotations

import hashlib
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import options
from family import rss_mib
from machine import describe

from scrapy_imgpipe.index import Key, SqliteIndex
from scrapy_imgpipe.records import ImageRecord, Rendition

if TYPE_CHECKING:
    from argparse import Namespace

BATCH = 32
MARKS = 10
ASKED = 2_000
"""Records that are looked up at each mark, chosen at random."""
TIME = 1_790_000_000.1234


def record_of(number: int) -> ImageRecord:
    """Return a record as a crawl with two thumbnails makes it."""
    name = hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()
    digest = name[:32]

    def file(thumb: str, path: str, side: int) -> Rendition:
        return Rendition(thumb, path, side, side, side * 100, TIME, digest, "0a1b2c3d")

    return ImageRecord(
        name,
        f"full/{name}.jpg",
        f"http://www.example.com/images/{number}.jpg",
        file("", f"full/{name}.jpg", 1200),
        "JPEG",
        (file("small", f"thumbs/small/{name}.jpg", 50), file("big", f"thumbs/big/{name}.jpg", 270)),
        "0a1b2c3d.4e5f6a7b.8c9d0e1f",
        "0a1b2c3d",
        digest,
        f'"{digest[:16]}"',
        "Wed, 21 Oct 2015 07:28:00 GMT",
        TIME,
        TIME,
        outcome="stored",
        http_status=200,
    )


def put(index: SqliteIndex, first: int, last: int) -> float:
    """Put the records from *first* to before *last*; return microseconds for each."""
    spent = 0.0
    for number in range(first, last, BATCH):
        records = [record_of(each) for each in range(number, min(number + BATCH, last))]
        began = time.perf_counter()
        index.put(records)
        spent += time.perf_counter() - began
    return spent / (last - first) * 1e6


def look_up(index: SqliteIndex, known: int) -> float:
    """Look up some of *known* records; return microseconds for each.

    Raises:
        SystemExit: one was not found.
    """
    chosen = random.Random(known).choices(range(known), k=ASKED)
    keys = [Key(record.fingerprint, record.asked) for record in map(record_of, chosen)]
    began = time.perf_counter()
    for place in range(0, ASKED, BATCH):
        if None in index.get(keys[place : place + BATCH]):
            raise SystemExit("A record is missing.")
    return (time.perf_counter() - began) / ASKED * 1e6


def main(arguments: Namespace) -> None:
    """Fill one index and print what it takes."""
    records = 10_000 if arguments.quick else 1_000_000
    print(describe())
    print(f"{'records':>10}  {'RSS MiB':>8}  {'file MiB':>8}  {'put us':>7}  {'get us':>7}")
    with tempfile.TemporaryDirectory(prefix="imgpipe-bench-") as folder:
        index = SqliteIndex(Path(folder, "index.sqlite"))
        step = records // MARKS
        for first in range(0, records, step):
            put_us = put(index, first, first + step)
            get_us = look_up(index, first + step)
            size = Path(index.path).stat().st_size / 2**20
            print(f"{first + step:10}  {rss_mib():8.1f}  {size:8.0f}  {put_us:7.0f}  {get_us:7.0f}")
        began = time.perf_counter()
        number = sum(1 for _ in index.records())
        each = (time.perf_counter() - began) / number * 1e6
        print(f"all {number} read one after the other: {each:.0f} us each, RSS {rss_mib():.1f} MiB")
        index.close()


if __name__ == "__main__":
    sys.exit(main(options.parse(__doc__ or "")))
