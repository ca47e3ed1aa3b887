"""Stores and indexes in a temporary folder, and commands called on them directly."""

from __future__ import annotations

import io
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from scrapy_imgpipe import ImagesPipeline
from scrapy_imgpipe.commands.console import Console
from scrapy_imgpipe.commands.importing import import_store
from scrapy_imgpipe.commands.place import Place
from scrapy_imgpipe.index import SqliteIndex
from scrapy_imgpipe.records import ImageRecord
from tests.fakes import Crawl
from tests.pictures import jpeg

URLS = tuple(f"http://shop.example/{name}.jpg" for name in "abc")
THUMBS = {"small": (50, 50), "big": (90, 90)}


def crawl_of(folder: Path, answers: Any = None, pipeline: Any = ImagesPipeline, **settings: Any):
    """Return a fake crawl into the store of *folder*, with its index beside it."""
    settings = {"IMGPIPE_INDEX": str(folder / "index.sqlite"), **settings}
    return Crawl(folder / "store", answers, pipeline, **settings)


def crawled(folder: Path, answers: Any = None, *urls: str, **settings: Any) -> Crawl:
    """Crawl *urls* into the store of *folder*, and return the crawl, which is over."""
    with crawl_of(folder, answers, **settings) as crawl:
        crawl.images(*(urls or answers or URLS))
    return crawl


def run(
    folder: Path, command: Callable[..., int], *args: Any, pipeline: Any = ImagesPipeline, **options
) -> tuple[int, list[str]]:
    """Call *command* on the place of *folder*; return its status and the lines it printed.

    Options in capitals are settings.
    """
    settings = {name: options.pop(name) for name in list(options) if name.isupper()}
    out = io.StringIO()
    place = Place.of(crawl_of(folder, None, pipeline, **settings).pipeline)
    with closing(place.index):
        status = command(place, Console(out, io.StringIO()), *args, **options)
    return status, out.getvalue().splitlines()


def damage_index(folder: Path) -> None:
    """Damage the page of the last record only: those before it are read without fault."""
    path = folder / "index.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        query = "SELECT asked FROM source ORDER BY id DESC LIMIT 1"
        (last,) = connection.execute(query).fetchone()
    index = bytearray(path.read_bytes())
    place = index.index(last.encode()) // size * size
    index[place : place + size] = b"\xff" * size
    path.write_bytes(index)


def many_imported(folder: Path, count: int) -> Path:
    """Import a store of *count* links to one image from the day before yesterday."""
    full = folder / "store" / "full"
    full.mkdir(parents=True)
    (full / "0.jpg").write_bytes(jpeg((16, 16)))
    then = time.time() - 2 * 24 * 60 * 60
    os.utime(full / "0.jpg", (then, then))
    for number in range(1, count):
        os.link(full / "0.jpg", full / f"{number}.jpg")
    run(folder, import_store)
    return folder / "store"


def records(folder: Path) -> list[ImageRecord]:
    """Return all that the index of *folder* knows, in the order of URLs and paths."""
    with closing(SqliteIndex(folder / "index.sqlite")) as index:
        return sorted(index.records(), key=lambda record: (record.url, record.asked))
