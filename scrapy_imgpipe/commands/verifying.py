"""``verify``: every record of the index against its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from scrapy_imgpipe.commands.checking import Check, Compared
from scrapy_imgpipe.commands.parallel import chunks, in_threads
from scrapy_imgpipe.errors import IndexFailed
from scrapy_imgpipe.index import Key
from scrapy_imgpipe.index.rows import key_of

if TYPE_CHECKING:
    from scrapy_imgpipe.commands.console import Console
    from scrapy_imgpipe.commands.place import Place
    from scrapy_imgpipe.records import ImageRecord

#: Records that one transaction takes.
_RECORDS = 256


def verify(place: Place, console: Console, *, fast: bool = False, repair: bool = False) -> int:
    """Compare what the index of *place* knows with its files; return the exit status.

    Args:
        place: whose they are.
        console: gets a line for each problem, and the totals.
        fast: read no file.
        repair: mend what can be mended; the rest is downloaded by the next crawl.

    Raises:
        IndexFailed: it has no records, from the start or because its file was damaged.
    """
    require_records(place)
    tally: Counter[str] = Counter()
    check = Check(place, fast=fast, repair=repair)
    with closing(in_threads(check.of, place.index.records(), place.threads)) as compared:
        for some in chunks(_changed(compared, tally, console, repair=repair), _RECORDS):
            known = still_known(place, [one.record for one in some])
            place.index.put([one.now for one in some if key_of(one.record) in known])
    # Damage in its file is found while it is read, and then the index is begun anew.
    require_records(place)
    _sum_up(tally, console, fast=fast, repair=repair)
    return 1 if tally["problems"] else 0


def require_records(place: Place) -> None:
    """Refuse an index that knows of no stored image.

    Raises:
        IndexFailed: so it is.
    """
    if not any(record.full is not None for record in place.index.records()):
        raise IndexFailed(
            "The index knows of no image in this store: run 'scrapy imgpipe import' first"
        )


def still_known(place: Place, records: Sequence[ImageRecord]) -> set[Key]:
    """Return the keys of those of *records* that no crawl has changed meanwhile."""
    keys = [key_of(record) for record in records]
    found = zip(keys, place.index.get(keys), records, strict=True)
    return {key for key, now, before in found if now == before}


def _changed(
    compared: Iterator[Compared], tally: Counter[str], console: Console, *, repair: bool
) -> Iterator[Compared]:
    """Tell of each, and yield those whose record is to be another."""
    for one in compared:
        record = one.record
        console.seen(len(record.files))
        tally["images"] += record.full is not None
        tally["thumbs"] += len(record.renditions)
        tally["times"] += one.times
        tally["made"] += len(one.made)
        tally["forgotten"] += one.is_forgotten
        for path, what in one.problems():
            tally["problems"] += 1
            console.line(path, what, record.url)
        if repair and one.now != record:
            yield one


def _sum_up(tally: Counter[str], console: Console, *, fast: bool, repair: bool) -> None:
    looked = f"{tally['images']:,} images and {tally['thumbs']:,} thumbnails looked at"
    done = ""
    if repair:
        done = (
            f"; {tally['made']:,} thumbnails made again,"
            f" {tally['forgotten']:,} images to be downloaded again"
        )
    if tally["times"]:
        known = "recorded now" if repair else "with the right bytes"
        known = "not read" if fast else known
        done += f"; {tally['times']:,} files have another time than was recorded ({known})"
    console.line(f"{looked}: {tally['problems']:,} problems{done}")
