"""Making from a stored full image what is lacking beside it, without network."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scrapy_imgpipe.errors import ImageBroken, SourceRejected, StoreFailed
from scrapy_imgpipe.imaging import exif, measure, render
from scrapy_imgpipe.records import MARKS, ImageRecord, Rendition, checksum, stamp
from scrapy_imgpipe.tasks.outputs import Output, file_of, output_of, stored_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scrapy_imgpipe.stores import Store
    from scrapy_imgpipe.tasks.looking import Found
    from scrapy_imgpipe.tasks.rules import Rules


@dataclass(frozen=True, slots=True)
class Mended:
    """What :func:`mend` did.

    Attributes:
        record: what is there now.
        files: thumbnails that were made.
        written: bytes put into the store.
        rendering: seconds that took.
        storing: seconds that took.
        trouble: why thumbnails are still missing, where they could not be written.
    """

    record: ImageRecord
    files: int = 0
    written: int = 0
    rendering: float = 0
    storing: float = 0
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Remade:
    """What was made of a stored full image and is not stored yet.

    Attributes:
        record: of the source, with what is said of its picture now.
        outputs: its new thumbnails.
        rendering: seconds that took.
    """

    record: ImageRecord
    outputs: list[Output]
    rendering: float


def mend(
    found: Found,
    rules: Rules,
    remake: Callable[[bytes, str], Output] | None = None,
) -> Mended | None:
    """Make what *found* lacks; None where the full image is not good enough for it.

    Args:
        found: what :func:`look_up` found.
        rules: what counts.
        remake: makes one thumbnail, by name, from the stored full image, where
            an overridden method decides how it looks.
    """
    record, store = found.record, rules.store
    data = store.get(record.full.path) if record and record.full and store else None
    remade = None if data is None else remade_of(data, found, rules, remake)
    return None if remade is None or store is None else put_remade(remade, found, rules, store)


def remade_of(
    data: bytes,
    found: Found,
    rules: Rules,
    remake: Callable[[bytes, str], Output] | None = None,
) -> Remade | None:
    """Make what *found* lacks from the stored full image *data*; nothing is written yet.

    Args:
        data: as it was read.
        found: as for :func:`mend`.
        rules: as for :func:`mend`.
        remake: as for :func:`mend`.
    """
    record = found.record
    if record is None or record.full is None:
        return None
    if remake is None and not rules.can_mend(record, found.missing):
        return None
    if checksum(data) != record.full.checksum:
        return None
    began = time.perf_counter()
    try:
        made = _made(data, found.thumbs, found.missing, rules, remake)
        if rules.measures:
            record = record._replace(measured=_measured(data, record, rules))
    except (ImageBroken, SourceRejected):
        return None
    return Remade(record, made, time.perf_counter() - began)


def put_remade(remade: Remade, found: Found, rules: Rules, store: Store) -> Mended:
    """Write what was made; where it cannot be, what is there stays good."""
    record, made = remade.record, remade.outputs
    began = time.perf_counter()
    new = [stored_file(output, None, rules.digests) for output in made]
    files = [file_of(output, file.checksum) for output, file in zip(made, new, strict=True)]
    try:
        stats = store.put_all(files)
    except StoreFailed as error:
        return Mended(record, trouble=error.reason)
    known: dict[str, Rendition] = {file.name: file for file in record.renditions}
    for file, stat in zip(new, stats, strict=True):
        known[file.name] = file._replace(modified=stamp(stat.modified))
    return Mended(
        record._replace(renditions=tuple(known[name] for name in found.thumbs)),
        len(made),
        sum(len(output.data) for output in made),
        remade.rendering,
        time.perf_counter() - began,
    )


def _measured(data: bytes, record: ImageRecord, rules: Rules) -> dict[str, Any]:
    """Return what is said of *data*; what only the download told stays as it is known."""
    told = (*MARKS, exif.__name__) if exif in rules.measures else MARKS
    known = {name: value for name, value in record.measured.items() if name in told}
    return {**known, **measure(data, rules.measures, rules.plan.formats)}


def _made(
    data: bytes,
    thumbs: Mapping[str, str],
    missing: tuple[str, ...],
    rules: Rules,
    remake: Callable[[bytes, str], Output] | None,
) -> list[Output]:
    if not missing:
        return []
    if remake is not None:
        return [remake(data, name) for name in missing]
    return [output_of(one, "", thumbs) for one in render(data, rules.plan, only=set(missing))]
