"""Which pictures stand for one that is not there, by the rules of today."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from scrapy_imgpipe.errors import IndexFailed

if TYPE_CHECKING:
    from scrapy_imgpipe.records import ImageRecord
    from scrapy_imgpipe.tasks.rules import Rules

LISTED = "listed"
MANY_URLS = "many-urls"

#: Most records of equal bytes that are looked at, beyond those that have to be counted.
_MOST_ALIKE = 64


class Seen(NamedTuple):
    """What tells a placeholder.

    Attributes:
        content: MD5 of what was downloaded; empty where nobody knows.
        checksum: MD5 of the stored full image.
        url: of the source.
        kind: what its pixels say: ``1x1``, ``one-colour`` or nothing.
        urls: how many URLs of its host have had these bytes in this crawl.
    """

    content: str
    checksum: str
    url: str
    kind: str
    urls: int = 0


def kind_of(seen: Seen, rules: Rules) -> str:
    """Return which kind of placeholder *seen* is, or nothing."""
    sought = rules.placeholders
    if not sought.sought:
        return ""
    if sought.digests and not sought.digests.isdisjoint({seen.content, seen.checksum}):
        return LISTED
    return seen.kind or (MANY_URLS if _has_many_urls(seen, rules) else "")


def kind_of_record(record: ImageRecord, url: str, rules: Rules, urls: int = 0) -> str:
    """Return which kind of placeholder *url* is, when its bytes are those of *record*."""
    kind = "" if record.placeholder in {LISTED, MANY_URLS} else record.placeholder
    checksum = record.full.checksum if record.full is not None else ""
    return kind_of(Seen(record.content, checksum, url, kind, urls), rules)


def alike(content: str, most: int, rules: Rules) -> list[ImageRecord]:
    """Return what came as equal bytes; nothing where the index fails, which others say."""
    try:
        return rules.index.alike(content, most) if rules.index and content else []
    except IndexFailed:
        return []


def _has_many_urls(seen: Seen, rules: Rules) -> bool:
    least = rules.placeholders.urls
    if not least or seen.urls >= least:
        return bool(least)
    host = urlsplit(seen.url).hostname
    records = alike(seen.content, _MOST_ALIKE + least, rules)
    others = {record.url for record in records if urlsplit(record.url).hostname == host}
    return len(others | {seen.url}) >= least
