"""What stored files show of a source that nothing is known of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrapy_imgpipe.errors import ImageBroken, ImagePipeError, SourceRejected
from scrapy_imgpipe.imaging import inspect, size_of
from scrapy_imgpipe.records import ImageRecord, Outcome, Rendition, stamp
from scrapy_imgpipe.tasks.outputs import Output, stored_file

if TYPE_CHECKING:
    from scrapy_imgpipe.stores import Stat
    from scrapy_imgpipe.tasks.looking import Wanted
    from scrapy_imgpipe.tasks.rules import Rules


def record_of_file(wanted: Wanted, data: bytes | None, stat: Stat, rules: Rules) -> ImageRecord:
    """Return the record of a full image that nothing is known of, with thumbnails that are right.

    Args:
        wanted: what it is called, and its thumbnails.
        data: its bytes.
        stat: what the store says of it.
        rules: what counts.

    Raises:
        SourceRejected: it is no image that may be opened.
        ImageBroken: it is empty or cut off.
    """
    output = _output_of(wanted.key.asked, None, data, rules)
    at = stamp(stat.modified)
    return ImageRecord(
        wanted.key.fingerprint,
        wanted.key.asked,
        wanted.url,
        stored_file(output, stat, rules.digests),
        output.format,
        tuple(_thumbs_seen(wanted, output, rules).values()),
        rules.digest,
        rules.policy.limits,
        stored_at=at,
        checked_at=at,
        outcome=Outcome.STORED,
    )


def _thumbs_seen(wanted: Wanted, full: Output, rules: Rules) -> dict[str, Rendition]:
    """Return the thumbnails that are there, whole and of the right size, by name."""
    variants = {variant.name: variant for variant in rules.plan.variants}
    size = (full.width, full.height)
    found = {}
    for name, path in (wanted.thumbs or {}).items():
        store = rules.store
        output = _output_in_store(path, name, store.get(path) if store else None, rules)
        right = size_of(size, variants[name])
        if output is None or not (
            rules.any_size or not full.format or (output.width, output.height) in {right, None}
        ):
            continue
        found[name] = stored_file(output, store.stat(path) if store else None, rules.digests)
    return found


def _output_in_store(
    path: str, name: str | None, data: bytes | None, rules: Rules
) -> Output | None:
    """Look at stored bytes; None where they are damaged. An unknown format has width 0."""
    try:
        return _output_of(path, name, data, rules)
    except ImagePipeError:
        return None


def _output_of(path: str, name: str | None, data: bytes | None, rules: Rules) -> Output:
    if not data:
        raise ImageBroken("The file is empty")
    try:
        seen = inspect(data, rules.plan.formats)
    except SourceRejected:
        if not rules.any_content:
            raise
        return Output(path, name, data, 0, 0, "")
    return Output(path, name, data, seen.width, seen.height, seen.format)
