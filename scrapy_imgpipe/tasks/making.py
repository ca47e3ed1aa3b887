"""Bytes in, files in the store and a word about them out."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from scrapy_imgpipe.errors import ImageBroken, Overtaken, SourceRejected, StoreFailed
from scrapy_imgpipe.imaging import data_mining, measure, render
from scrapy_imgpipe.records import checksum, stamp
from scrapy_imgpipe.stores import Linking
from scrapy_imgpipe.tasks.kinds import Seen, alike, kind_of, kind_of_record
from scrapy_imgpipe.tasks.looking import is_as_recorded
from scrapy_imgpipe.tasks.outputs import Output, Saved, file_of, output_of, stored_file

if TYPE_CHECKING:
    from scrapy_imgpipe.leases import Lease
    from scrapy_imgpipe.records import ImageRecord, Rendition
    from scrapy_imgpipe.stores import Stat, Store
    from scrapy_imgpipe.tasks.rules import Rules

#: Digests by the number of their hexadecimal digits.
_DIGESTS: Mapping[int, str] = {32: "md5", 40: "sha1", 64: "sha256", 96: "sha384", 128: "sha512"}

#: Most records of equal bytes that are looked at.
_MOST_ALIKE = 64


@dataclass(frozen=True, slots=True)
class Source:
    """What is to be made of one source.

    Attributes:
        url: of the request.
        full: path of the full image.
        thumbs: path of each thumbnail by name.
        content: MD5 of its bytes, where that is known already.
        urls: how many URLs of its host have had these bytes in this crawl.
        lease: without which nothing of it may be written.
    """

    url: str
    full: str = ""
    thumbs: Mapping[str, str] = field(default_factory=dict)
    content: str = ""
    urls: int = 0
    lease: Lease | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is rendered and not yet stored: the outputs, full image first, and a word on them."""

    outputs: list[Output]
    saved: Saved


def make_and_save(data: bytes, source: Source, rules: Rules) -> Saved:
    """Render *data* and write it, or link it to equal bytes that are stored.

    Raises:
        SourceRejected: what rendering raises, and ``placeholder``.
        ImageBroken: as rendering.
        StoreFailed: when it could not be written.
        Overtaken: when another crawl may have it.
    """
    assert rules.store is not None  # noqa: S101 - the pipeline knows
    if rules.dedupe:
        source = replace(source, content=source.content or checksum(data))
        linked = _linked(source, rules)
        if linked is not None:
            return linked
    return save(keep(data, source, rules), rules.store, source.lease)


def check_permission(data: bytes) -> None:
    """Refuse an image whose metadata prohibits data mining.

    Raises:
        SourceRejected: ``opted-out``.
    """
    said = data_mining(data)
    if said is not None:
        raise SourceRejected(f"Not for us: its metadata says {said}", "opted-out")


def check_hash(data: bytes, expected: object) -> None:
    """Refuse *data* where its digest is not *expected*, whose length tells which one.

    Args:
        data: what was downloaded.
        expected: MD5, SHA-1, SHA-256, SHA-384 or SHA-512, in hexadecimal digits.

    Raises:
        ImageBroken: ``hash-mismatch``, also where *expected* is none of these.
    """
    digest = str(expected).strip().lower()
    kind = _DIGESTS.get(len(digest))
    if kind is None:
        reason = f"Expected the digits of an MD5, SHA-1 or SHA-2 but received {digest[:200]!r}"
        raise ImageBroken(reason, "hash-mismatch")
    found = hashlib.new(kind, data, usedforsecurity=False).hexdigest()
    if found != digest:
        raise ImageBroken(f"Its {kind} is {found}, not {digest}", "hash-mismatch")


def keep(data: bytes, source: Source, rules: Rules) -> Prepared:
    """Render *data*; nothing is written yet."""
    began = time.perf_counter()
    pictures = render(data, rules.plan)
    outputs = [output_of(picture, source.full, source.thumbs) for picture in pictures]
    return prepare(outputs, data, source, rules, began)


def prepare(
    outputs: list[Output], data: bytes, source: Source, rules: Rules, began: float
) -> Prepared:
    """Say what *outputs* are: checksums, placeholder, measures; they may be a user's.

    Args:
        outputs: the full image first.
        data: what was downloaded.
        source: whose it is.
        rules: what counts.
        began: when rendering began, ``time.perf_counter()``.

    Raises:
        SourceRejected: ``placeholder``, where they are refused.
    """
    full = outputs[0]
    content = source.content or checksum(data)
    digest = content if full.data is data else checksum(full.data)
    seen = ("1x1" if full.width == full.height == 1 else "") or full.uniform * "one-colour"
    kind = kind_of(Seen(content, digest, source.url, seen, source.urls), rules)
    if kind and rules.placeholders.refused:
        raise SourceRejected(f"The picture is a placeholder ({kind})", "placeholder")
    measured = _marks(full)
    if rules.measures:
        measured.update(measure(full.data, rules.measures, rules.plan.formats, data))
    files = [
        stored_file(output, None, rules.digests, digest if output is full else "")
        for output in outputs
    ]
    saved = Saved(
        digest,
        files[0],
        full.format,
        tuple(files[1:]),
        content,
        kind,
        measured,
        sum(len(output.data) for output in outputs),
        len(outputs),
        rendering=time.perf_counter() - began,
    )
    return Prepared(outputs, saved)


def _marks(full: Output) -> dict[str, Any]:
    """Return what is to be known of what was downloaded, where it was out of order."""
    marks = {"trailing_bytes": full.trailing, "truncated": full.truncated}
    return {name: value for name, value in marks.items() if value}


def save(prepared: Prepared, store: Store, lease: Lease | None = None) -> Saved:
    """Write all outputs, the full image last: where it is, the others are too.

    Raises:
        StoreFailed: when they could not be written.
        Overtaken: *lease* has ended.
    """
    began = time.perf_counter()
    if lease is not None:
        lease.check()
    known = _files(prepared.saved)
    files = [file_of(one, file.checksum) for one, file in zip(prepared.outputs, known, strict=True)]
    stats = store.put_all(files[::-1])
    return _with_stats(prepared.saved, stats[::-1], time.perf_counter() - began)


def content_of(data: bytes) -> str:
    """Return the MD5 of *data*.

    Nobody can make bytes that have the MD5 of somebody else's picture; a site that makes
    two of its own with one MD5 confuses only these.
    """
    return checksum(data)


def twin_of(source: Source, rules: Rules) -> ImageRecord | None:
    """Return a record of equal bytes, made by the same rules; files are not looked at.

    It says which kind of placeholder *source* is. None also where that is refused.
    """
    records = alike(source.content, _MOST_ALIKE, rules)
    twin = next((record for record in records if _is_as_made_now(record, rules)), None)
    if twin is None:
        return None
    kind = kind_of_record(twin, source.url, rules, source.urls)
    return None if kind and rules.placeholders.refused else twin._replace(placeholder=kind)


def _is_as_made_now(record: ImageRecord, rules: Rules) -> bool:
    """Return whether its bytes would pass today, and give the same renditions, all of them."""
    return (
        record.checked_at > 0
        and not record.failed_at
        and record.plan == rules.digest
        and record.limits == rules.policy.limits
        and {file.name for file in record.renditions} == set(rules.digests)
    )


def _linked(source: Source, rules: Rules) -> Saved | None:
    """Give the files of equal bytes the paths of *source* as well, where there are any."""
    store, began = rules.store, time.perf_counter()
    if store is None or not isinstance(store, Linking):
        return None
    twin = twin_of(source, rules)
    if twin is None or twin.full is None:
        return None
    if not all(is_as_recorded(file, store) for file in twin.files):
        return None
    paths = [source.thumbs.get(file.name, "") for file in twin.renditions]
    if not all(paths):
        return None
    paths.append(source.full)
    files = (*twin.renditions, twin.full)
    try:
        if source.lease is not None:
            source.lease.check()
        pairs = [(path, file.path) for path, file in zip(paths, files, strict=True)]
        stats = store.link_all([pair for pair in pairs if pair[0] != pair[1]])
    except Overtaken:
        raise
    except StoreFailed:  # too many links, or a file system without: it is written then
        return None
    del stats  # a link has the stat of what it links to
    *renditions, full = (file._replace(path=path) for path, file in zip(paths, files, strict=True))
    return Saved(
        full.checksum,
        full,
        twin.format,
        tuple(renditions),
        source.content,
        twin.placeholder,
        twin.measured,
        storing=time.perf_counter() - began,
    )


def _with_stats(saved: Saved, stats: Sequence[Stat], seconds: float) -> Saved:
    files = [
        file._replace(modified=stamp(stat.modified))
        for file, stat in zip(_files(saved), stats, strict=True)
    ]
    return replace(saved, full=files[0], renditions=tuple(files[1:]), storing=seconds)


def _files(saved: Saved) -> list[Rendition]:
    assert saved.full is not None  # noqa: S101 - prepare() gave it
    return [saved.full, *saved.renditions]
