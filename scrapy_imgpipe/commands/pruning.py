"""``prune``: files that belong to no image, and images whose file is gone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from scrapy_imgpipe.commands.parallel import chunks, in_threads
from scrapy_imgpipe.commands.verifying import require_records, still_known
from scrapy_imgpipe.errors import StoreFailed
from scrapy_imgpipe.freshness import SECONDS_PER_DAY
from scrapy_imgpipe.stores import FileSystemStore

if TYPE_CHECKING:
    from scrapy_imgpipe.commands.console import Console
    from scrapy_imgpipe.commands.place import Place
    from scrapy_imgpipe.records import ImageRecord
    from scrapy_imgpipe.stores import Stat

#: Paths that the index is asked for at a time.
_PATHS = 500

#: Records that one transaction forgets.
_RECORDS = 256

_MEGA = 1_000_000


def prune(place: Place, console: Console, *, delete: bool = False, min_age_days: float = 1) -> int:
    """List what belongs to no image, and images without a file; return the exit status.

    Args:
        place: whose files and records they are.
        console: gets a line for each, and the totals.
        delete: delete these files, and forget these images.
        min_age_days: younger files are passed over, and so are those that are older than
            the index, which may just not have been told of them.

    Raises:
        IndexFailed: the index has no records; everything would go.
        StoreFailed: the store cannot be read, is empty, or nobody knows what belongs to
            its images.
    """
    place.index.close()  # what refers to what is as old as its opening
    _require_certainty(place)
    before = time.time() - min_age_days * SECONDS_PER_DAY
    since = place.index.since()
    tally: Counter[str] = Counter()
    for path, size, modified in _unknown(place, console, before, tally):
        if modified < since:
            tally["older"] += 1
            continue
        tally["files"] += 1
        tally["bytes"] += size
        console.line(path, "belongs to no image", f"{size} bytes")
        if delete:
            place.store.delete(path)
    for some in chunks(_gone(place, console), _RECORDS):
        tally["gone"] += len(some)
        if delete:
            place.index.forget(list(still_known(place, some)))
    if delete and isinstance(place.store, FileSystemStore):
        tally["temporary"] = place.store.sweep()
    _sum_up(tally, console, delete=delete)
    return 0


def _require_certainty(place: Place) -> None:
    """Refuse where what belongs to no image cannot be told.

    Raises:
        IndexFailed: the index has no records.
        StoreFailed: the store is empty, or overridden methods write files by themselves.
    """
    require_records(place)
    if place.rules.any_thumbs:
        name = type(place.pipeline).__name__
        raise StoreFailed(f"{name} decides itself what it stores, so nobody knows what to prune")
    if next(place.store.list(), None) is None:
        raise StoreFailed(
            "The store is empty, though the index knows of images: is it the right one?"
        )


def _unknown(
    place: Place, console: Console, before: float, tally: Counter[str]
) -> Iterator[tuple[str, int, float]]:
    """Yield path, bytes and time of files that no record refers to."""
    for paths in chunks(place.store.list(), _PATHS):
        console.seen(len(paths))
        tally["all"] += len(paths)
        known = place.index.refers_to(paths)
        unknown = [path for path in paths if path not in known and not place.is_left_alone(path)]
        if unknown:
            # Damage in its file is found while it is read, and then the index is begun anew.
            require_records(place)
        with closing(in_threads(_stat_at(place), unknown, place.threads)) as looked:
            for path, stat in looked:
                if stat is not None and stat.modified < before:
                    yield path, stat.bytes, stat.modified


def _stat_at(place: Place) -> Callable[[str], tuple[str, Stat | None]]:
    return lambda path: (path, place.store.stat(path))


def _gone(place: Place, console: Console) -> Iterator[ImageRecord]:
    """Yield, and tell of, the records whose full image is not there."""

    def path_if_gone(record: ImageRecord) -> tuple[ImageRecord, str]:
        full = record.full
        is_gone = full is not None and place.store.stat(full.path) is None
        return record, full.path if full is not None and is_gone else ""

    with closing(in_threads(path_if_gone, place.index.records(), place.threads)) as looked:
        for record, path in looked:
            console.seen()
            if path:
                console.line(path, "is gone", record.url)
                yield record


def _sum_up(tally: Counter[str], console: Console, *, delete: bool) -> None:
    console.line(
        f"{tally['files']:,} of {tally['all']:,} files, {tally['bytes'] / _MEGA:,.1f} MB,"
        f" {'deleted' if delete else 'belong to no image'};"
        f" {tally['gone']:,} images {'forgotten' if delete else 'gone'}"
        f"{_rest(tally, delete=delete)}"
    )
    if tally["older"]:
        console.line(
            f"{tally['older']:,} files are older than the index, which may just not have been told"
            " of them: run 'scrapy imgpipe import' first"
        )


def _rest(tally: Counter[str], *, delete: bool) -> str:
    if delete:
        left = tally["temporary"]
        return f"; {left:,} left-over temporary files deleted" if left else ""
    found = tally["files"] or tally["gone"]
    return " (nothing was changed: that takes --delete)" if found else ""
