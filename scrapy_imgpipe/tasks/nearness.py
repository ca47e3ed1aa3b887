"""Pictures that are much like one that is known already: marked, and kept all the same."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from scrapy_imgpipe.index import Near
from scrapy_imgpipe.index.nearness import distance, is_hash
from scrapy_imgpipe.records import NEAR_DISTANCE, NEAR_DUPLICATE

if TYPE_CHECKING:
    from scrapy_imgpipe.index import Index
    from scrapy_imgpipe.records import ImageRecord


def put_marked(records: Sequence[ImageRecord], index: Index, most: int) -> list[ImageRecord]:
    """Have *records* kept, near-duplicates with a mark, and return them as they are kept.

    Compared is with what was put before and has no mark itself: of pictures that are all
    alike the first one stays without. Placeholders are not compared.

    Args:
        records: in the order in which they came.
        index: that keeps them.
        most: bits of two perceptual hashes that may differ, 0 to 11.

    Raises:
        IndexFailed: it could not be asked, or not keep them.
    """
    kept: list[ImageRecord] = []
    originals: list[ImageRecord] = []  # those of this batch
    replaced = {record.fingerprint for record in records}
    for record in records:
        near = None
        if _is_comparable(record):
            near = _nearest(record, originals, index, replaced, most)
            if near is None:
                originals.append(record)
        kept.append(record if near is None else _marked(record, near))
    index.put(kept)
    return kept


def _marked(record: ImageRecord, near: Near) -> ImageRecord:
    marks = {NEAR_DUPLICATE: near.url, NEAR_DISTANCE: near.bits}
    return record._replace(measured={**record.measured, **marks})


def _nearest(
    record: ImageRecord,
    originals: Sequence[ImageRecord],
    index: Index,
    replaced: Collection[str],
    most: int,
) -> Near | None:
    """Return what *record* is a near-duplicate of, among *originals* or in the index."""
    bits = record.measured["phash"]
    near = [
        Near(other.url, distance(bits, other.measured["phash"]))
        for other in originals
        if other.fingerprint != record.fingerprint
    ]
    known = index.near(bits, most, replaced)
    near += [] if known is None else [known]
    return min((one for one in near if one.bits <= most), key=_bits, default=None)


def _is_comparable(record: ImageRecord) -> bool:
    """Return whether it is a picture that has not been found to be like another one."""
    measured = record.measured
    return (
        record.full is not None
        and not record.failed_at
        and not record.placeholder
        and NEAR_DUPLICATE not in measured
        and is_hash(measured.get("phash"))
    )


def _bits(near: Near) -> int:
    return near.bits
