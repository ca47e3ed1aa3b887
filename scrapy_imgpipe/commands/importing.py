"""``import``: what is in the store, entered into the index; nothing is downloaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from scrapy_imgpipe.commands.feeds import entries_of
from scrapy_imgpipe.commands.known import Known
from scrapy_imgpipe.commands.parallel import chunks, in_threads
from scrapy_imgpipe.errors import ImagePipeError, IndexFailed
from scrapy_imgpipe.guards import shown_url
from scrapy_imgpipe.imaging import measure
from scrapy_imgpipe.index import Key
from scrapy_imgpipe.records import ImageRecord, stamp
from scrapy_imgpipe.tasks import Wanted, record_of_file, with_time

if TYPE_CHECKING:
    from scrapy_imgpipe.commands.console import Console
    from scrapy_imgpipe.commands.known import About, Stored
    from scrapy_imgpipe.commands.place import Place
    from scrapy_imgpipe.stores import Stat

#: Paths that are looked up at a time.
_PATHS = 500

#: Records that one transaction takes.
_RECORDS = 256

_THUMBS = "thumbs/"

_NEW, _NAMED, _RENEWED, _KNOWN = "new", "with a URL now", "renewed", "known"
_DAMAGED, _OTHER, _THUMB, _GONE = "damaged", "other", "thumbnail", "gone"


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of one path: a kind to count, records to keep, a reason to tell."""

    kind: str
    path: str
    records: tuple[ImageRecord, ...] = ()
    reason: str = ""


def import_store(place: Place, console: Console, feeds: Sequence[str] = ()) -> int:
    """Enter the images of *place* into its index; return the exit status.

    Args:
        place: whose files are looked into.
        console: gets a line for each file that is left out, and the totals.
        feeds: items of earlier crawls.
    """
    name = place.pipeline.images_result_field
    entries = chain.from_iterable([entries_of(feed, name) for feed in feeds])
    tally: Counter[str] = Counter()
    with Known() as known:
        known.add_entries(entries)
        known.add_records(_counted(place.index.records(), console))
        if next(place.index.records(), None) is None:  # its file was damaged, and begun anew
            known.forget_records()
        look = _Look(place)
        with closing(in_threads(look.at, _paths(place, known), place.threads)) as looked:
            for some in chunks(_told(looked, tally, console), _RECORDS):
                place.index.put(some)
    place.index.knows_all()
    _sum_up(tally, console)
    return 0


def _paths(place: Place, known: Known) -> Iterator[tuple[str, About]]:
    paths = (
        path
        for path in place.store.list()
        if not path.startswith(_THUMBS) and not place.is_left_alone(path)
    )
    for some in chunks(paths, _PATHS):
        yield from known.about(some)


def _counted(records: Iterator[ImageRecord], console: Console) -> Iterator[ImageRecord]:
    for record in records:
        yield record
        console.seen()


def _told(looked: Iterator[Looked], tally: Counter[str], console: Console) -> Iterator[ImageRecord]:
    for one in looked:
        console.seen()
        tally[one.kind] += 1
        if one.reason:
            console.line(one.path, one.reason)
        yield from one.records


def _sum_up(tally: Counter[str], console: Console) -> None:
    kinds = (_NEW, _RENEWED, _NAMED, _KNOWN)
    counts = ", ".join(f"{tally[kind]:,} {kind}" for kind in kinds if tally[kind] or kind == _NEW)
    images = sum(tally[kind] for kind in kinds)
    left = f"; {tally[_DAMAGED]:,} damaged files left out" if tally[_DAMAGED] else ""
    other = f"; {tally[_OTHER]:,} files are no images" if tally[_OTHER] else ""
    console.line(f"{images:,} images: {counts}{left}{other}")


class _Look:
    """Looks at files, in worker threads."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def at(self, found: tuple[str, About]) -> Looked:
        """Return what comes of a path, of which something may be known."""
        path, about = found
        if about.is_rendition and not about.stored:
            return Looked(_THUMB, path)
        try:
            stat = self._place.store.stat(path)
            if stat is None:  # deleted meanwhile
                return Looked(_GONE, path)
            return self._there(path, about, stat)
        except IndexFailed:
            raise
        except ImagePipeError as error:
            if error.code == "not-an-image":
                return Looked(_OTHER, path)
            return Looked(_DAMAGED, path, reason=error.reason)

    def _there(self, path: str, about: About, stat: Stat) -> Looked:
        there = (stat.bytes, stamp(stat.modified))
        # a time of 0 says that the store did not tell when it was put
        others = [one for one in about.stored if (one.bytes, one.modified or there[1]) != there]
        if others:
            return self._renewed(path, others, stat)
        return self._named(path, about) if about.stored else self._new(path, about, stat)

    def _new(self, path: str, about: About, stat: Stat) -> Looked:
        likely = self._place.likely_thumbs(path, about.entries[0].url if about.entries else "")
        for entry in about.entries:
            likely.update((name, at) for name, at in entry.thumbs.items() if name in likely)
        record = self._read(Wanted(Key("", path), likely), stat)
        named = self._with_urls(record, about)
        return Looked(_NEW, path, named or (record,))

    def _named(self, path: str, about: About) -> Looked:
        """Give records that have no URL the one that an item tells."""
        nameless = [one.key for one in about.stored if not one.has_url and not one.key.fingerprint]
        if not nameless or not about.entries:
            return Looked(_KNOWN, path)
        found = self._place.index.get(nameless)
        named = [one for record in found if record for one in self._with_urls(record, about)]
        return Looked(_NAMED if named else _KNOWN, path, tuple(named))

    def _with_urls(self, record: ImageRecord, about: About) -> tuple[ImageRecord, ...]:
        """Return *record* once for each URL that items tell of these very bytes."""
        checksum = record.full.checksum if record.full else ""
        return tuple(
            record._replace(
                url=shown_url(entry.url), fingerprint=self._place.fingerprint_of(entry.url)
            )
            for entry in about.entries
            if entry.checksum in {"", checksum}
        )

    def _renewed(self, path: str, others: Sequence[Stored], stat: Stat) -> Looked:
        """Look again at what is another file than was recorded, or has another time."""
        records = []
        for old in self._place.index.get([one.key for one in others]):
            if old is None or old.full is None:
                continue
            thumbs = self._place.likely_thumbs(path, old.url)
            thumbs.update((file.name, file.path) for file in old.renditions if file.name in thumbs)
            seen = self._read(Wanted(Key(old.fingerprint, path), thumbs, old.url), stat)
            assert seen.full is not None  # noqa: S101 - it was just read
            if seen.full.checksum == old.full.checksum:
                files = seen.renditions if thumbs else old.renditions
                seen = with_time(old, old.full, seen.full.modified)._replace(renditions=files)
            records.append(seen._replace(asked=old.asked))
        return Looked(_RENEWED, path, tuple(records))

    def _read(self, wanted: Wanted, stat: Stat) -> ImageRecord:
        """Return the record of a file, measured as in a crawl.

        Raises:
            SourceRejected, ImageBroken, StoreFailed: it is left out.
            HookFailed: a record function failed.
        """
        rules = self._place.rules
        data = self._place.store.get(wanted.key.asked)
        record = record_of_file(wanted, data, stat, rules)
        if not rules.measures or data is None or not record.format:
            return record
        measured = measure(data, rules.measures, rules.plan.formats)
        return record._replace(measured=measured)
