"""What is there already: the index is asked, then the store.

With a record, files are not read: size and time tell whether they are what was recorded.
Without one, or where a file is another than was recorded, it is read and looked into; what
that shows is a new record.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from scrapy_imgpipe.errors import ImageBroken, IndexFailed, SourceRejected
from scrapy_imgpipe.freshness import Policy, Verdict, is_known_failure, judge, judge_record
from scrapy_imgpipe.imaging import rendering_bytes
from scrapy_imgpipe.index import Key
from scrapy_imgpipe.probe import probe
from scrapy_imgpipe.records import ImageRecord, Outcome, Rendition, checksum, stamp
from scrapy_imgpipe.tasks.kinds import kind_of_record
from scrapy_imgpipe.tasks.seeing import record_of_file

if TYPE_CHECKING:
    from scrapy_imgpipe.stores import Stat, Store
    from scrapy_imgpipe.tasks.rules import Rules


_NOWHERE: Mapping[str, str] = {}  # nobody changes it

#: What a pixel takes at most that is decoded and copied once, where nobody has looked.
_BYTES_OF_PIXEL = 8

# How the digest of a full image begins that a plan describes.
_DESCRIBED = "v"


class Wanted(NamedTuple):
    """A source that is looked for.

    Attributes:
        key: of its record; ``asked`` is the path of its full image, empty where nobody
            can tell without a response.
        thumbs: path of each thumbnail by name; None where nobody can tell.
        url: of its request.
    """

    key: Key
    thumbs: Mapping[str, str] | None = _NOWHERE
    url: str = ""


class Found(NamedTuple):
    """What :func:`look_up` found.

    Attributes:
        verdict: what to do.
        record: what is known of the source, from the index or from its files.
        missing: names of thumbnails to be made before it is as it should be.
        thumbs: path of each thumbnail by name, where there is anything to make.
        need: bytes of memory that it takes to make them.
        told: whether the index knows *record* as it is.
        trouble: why the index could not be asked, where it was to be.
    """

    verdict: Verdict = Verdict.FETCH
    record: ImageRecord | None = None
    missing: tuple[str, ...] = ()
    thumbs: Mapping[str, str] = _NOWHERE
    need: int = 0
    told: bool = True
    trouble: str = ""

    def __bool__(self) -> bool:
        """Whether there was anything."""
        return self.verdict is not Verdict.FETCH


def look_up(sought: Sequence[Wanted], rules: Rules) -> list[Found | Exception]:
    """Return for each of *sought* what is there; one question to the index for all."""
    records: list[ImageRecord | None] = [None] * len(sought)
    trouble = ""
    if rules.index is not None:
        try:
            records = rules.index.get([wanted.key for wanted in sought])
        except IndexFailed as error:
            trouble = error.reason
    now = time.time()
    found: list[Found | Exception] = []
    for wanted, record in zip(sought, records, strict=True):
        try:
            one = _with_kind(found_of(wanted, record, rules, now), wanted, rules)
        except Exception as error:  # noqa: BLE001 - raised by who asked
            found.append(error)
        else:
            found.append(one._replace(trouble=trouble) if trouble else one)
    return found


def _with_kind(found: Found, wanted: Wanted, rules: Rules) -> Found:
    """Say which kind of placeholder is there by the rules of today, and refuse it if asked to."""
    record = found.record
    if found.verdict is not Verdict.FRESH or record is None:
        return found
    kind = kind_of_record(record, wanted.url, rules)
    if kind and rules.placeholders.refused:
        reason = f"The picture is a placeholder ({kind})"
        refused = record._replace(outcome=Outcome.PLACEHOLDER, reason=reason, placeholder=kind)
        return Found(Verdict.REFUSE, refused)
    if kind == record.placeholder:
        return found
    return found._replace(record=record._replace(placeholder=kind))


def found_of(wanted: Wanted, record: ImageRecord | None, rules: Rules, now: float) -> Found:
    """Judge one source by its *record* and its files."""
    policy = rules.policy
    if record is not None and record.full is not None:
        if rules.store is None:
            return _judged(wanted, record, rules, now)
        there = rules.store.stat(record.full.path)
        if there is None:
            return _not_there(record, policy, now)
        touched = _touched(record, there, rules.store)
        if touched is not None:
            return _judged(wanted, touched, rules, now, told=touched is record)
    elif record is not None and is_known_failure(record, now, policy):
        return Found(Verdict.REFUSE, record)
    return _seen(wanted, record, rules, now) or Found(Verdict.FETCH, record)


def _touched(record: ImageRecord, there: Stat, store: Store) -> ImageRecord | None:
    """Return *record*, with the time of its file where only that is another; None for others.

    A copied store has new times, for example. An older one makes the image older, too.
    """
    full = record.full
    same = None if full is None else _same(full, there, store)
    if full is None or same is None:
        return None
    return record if same is full else with_time(record, full, same.modified)


def with_time(record: ImageRecord, full: Rendition, modified: float) -> ImageRecord:
    """Return *record*, whose full image *full* has the time *modified* now, and the same bytes.

    An older one makes the image older, too.
    """
    checked = record.checked_at if modified >= full.modified else min(record.checked_at, modified)
    return record._replace(full=full._replace(modified=modified), checked_at=checked)


def _same(file: Rendition, there: Stat | None, store: Store) -> Rendition | None:
    """Return *file* with the time that it has now; None where it has other bytes."""
    if there is None or there.bytes != file.bytes:
        return None
    modified = stamp(there.modified)
    if modified == file.modified:
        return file
    data = store.get(file.path)
    if data is None or checksum(data) != file.checksum:
        return None
    return file._replace(modified=modified)


def is_as_recorded(file: Rendition, store: Store) -> bool:
    """Return whether *file* has the size and the time that it was stored with."""
    there = store.stat(file.path)
    return there is not None and (there.bytes, stamp(there.modified)) == (file.bytes, file.modified)


def are_there(files: Sequence[Rendition], store: Store) -> bool:
    """Return whether all *files* are in a *store* that does not tell of each when it was put."""
    for file in files:
        there = store.stat(file.path)
        if there is None or there.bytes != file.bytes:
            return False
        if there.checksum not in {"", file.checksum}:
            return False
    return True


def _not_there(record: ImageRecord, policy: Policy, now: float) -> Found:
    """The full image is not there, or not to be: only a failure, if it has one, counts."""
    refused = is_known_failure(record, now, policy)
    return Found(Verdict.REFUSE if refused else Verdict.FETCH, record)


def _judged(
    wanted: Wanted, record: ImageRecord, rules: Rules, now: float, *, told: bool = True
) -> Found:
    """Judge by a record whose full image is as it was recorded."""
    if record.plan != rules.digest and _is_outdated(record, rules):
        return Found(Verdict.FETCH, record._replace(etag="", last_modified="", checked_at=0))
    verdict = judge_record(record, now, rules.policy)
    if verdict is not Verdict.FRESH:
        return Found(verdict, record)
    if rules.any_thumbs:
        return Found(verdict, record, told=told)
    if wanted.thumbs is None:  # as they were named when there was a response
        named = {file.name: file.path for file in record.renditions if file.name in rules.digests}
        wanted = wanted._replace(thumbs=named)
    return _with_thumbs(wanted, record, rules, told=told)


def _with_thumbs(wanted: Wanted, record: ImageRecord, rules: Rules, *, told: bool) -> Found:
    """Judge the thumbnails of a record whose full image is fresh."""
    names = wanted.thumbs or {}
    kept = _kept(names, record, rules)
    missing = tuple(name for name in rules.digests if name not in kept)
    files = tuple(kept[name] for name in names if name in kept)
    told = told and bool(record.fingerprint) and record.plan == rules.digest
    if told and not missing and files == record.renditions:
        return Found(Verdict.FRESH, record)
    if missing and not (
        (rules.store is not None or rules.gives_back)
        and all(name in names for name in missing)
        and (rules.any_size or rules.can_mend(record, missing))
    ):
        # its protocol gives nothing back, or nobody knows what they are to be called
        return Found(Verdict.FETCH, record._replace(checked_at=0))
    known = record._replace(renditions=files, plan=rules.digest)
    return _complete(wanted, known, missing, rules, measures=not _has_measures(record, rules))


def _is_outdated(record: ImageRecord, rules: Rules) -> bool:
    """Return whether the full image would come out differently by the plan of today.

    One that passed through as it came would not. Of what an import found nobody knows.
    """
    if not record.plan or record.full is None or not record.content:
        return False
    if rules.any_thumbs:
        return record.plan.split(".")[:2] != rules.digest.split(".")[:2]
    made_by, wanted = record.plan.split(".")[0], rules.plan.full_digest
    if made_by[:2] == wanted[:2] and record.content == record.full.checksum:
        return made_by[:1] == _DESCRIBED and made_by != wanted
    return made_by != wanted


def _has_measures(record: ImageRecord, rules: Rules) -> bool:
    """Return whether *record* was made with the record functions of today."""
    return not rules.measures or record.plan.split(".")[2:] == rules.digest.split(".")[2:]


def _kept(names: Mapping[str, str], record: ImageRecord, rules: Rules) -> dict[str, Rendition]:
    """Return the thumbnails that are as they should be, by name."""
    kept = {}
    for file in record.renditions:
        if names.get(file.name) != file.path or rules.digests.get(file.name) != file.plan:
            continue
        store = rules.store
        same = file if store is None else _same(file, store.stat(file.path), store)
        if same is not None:
            kept[file.name] = same
    return kept


def _complete(
    wanted: Wanted,
    record: ImageRecord,
    missing: tuple[str, ...],
    rules: Rules,
    *,
    measures: bool,
) -> Found:
    """Return *record* as found, and what making its *missing* thumbnails takes."""
    record = record._replace(fingerprint=wanted.key.fingerprint, url=wanted.url or record.url)
    need, thumbs = 0, wanted.thumbs or {}
    if missing or (measures and (rules.store or rules.gives_back)):
        # who may be asked to convert it is given all of its pixels
        need = _need_of(record.full, rules, whole=rules.any_size or measures)
        if not need:
            return Found(Verdict.FETCH, record)
    return Found(Verdict.FRESH, record, missing, thumbs if need else {}, need, told=False)


def _need_of(full: Rendition | None, rules: Rules, *, whole: bool) -> int:
    """Return how many bytes of memory it takes to make something of *full*; 0 where it is gone."""
    if full is None:
        return 0
    if rules.store is None:  # it is not read before its turn comes
        return full.bytes + _BYTES_OF_PIXEL * full.width * full.height
    data = rules.store.get(full.path)
    if data is None:
        return 0
    return len(data) + rendering_bytes(data, probe(data), rules.plan, whole=whole)


def _seen(wanted: Wanted, record: ImageRecord | None, rules: Rules, now: float) -> Found | None:
    """Look into the files themselves; None where the full image is not there or not good."""
    path, store = wanted.key.asked, rules.store
    if not rules.plan.full_is_jpeg:  # nobody can tell by its file how it was made
        store = None
    if store is None or not path or (record is not None and _is_forgotten(record, path)):
        return None
    stat = store.stat(path)
    if stat is None or not stat.bytes:
        return None
    if judge(stat.modified, now, rules.policy.expires_days) is not Verdict.FRESH:
        return None
    try:
        seen = record_of_file(wanted, store.get(path), stat, rules)
    except (SourceRejected, ImageBroken):
        return None
    if wanted.thumbs is None:  # nobody knows where they are
        return Found(Verdict.FRESH, seen)
    kept = {file.name for file in seen.renditions}
    missing = tuple(name for name in wanted.thumbs if name not in kept)
    return _complete(wanted, seen, missing, rules, measures=bool(rules.measures))


def _is_forgotten(record: ImageRecord, path: str) -> bool:
    """Return whether *record* says that what is under *path* has to be fetched again."""
    return record.full is not None and record.full.path == path and not record.checked_at
