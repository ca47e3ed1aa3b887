"""What counts for all sources of one pipeline, as workers get to know it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scrapy_imgpipe.records import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import Any

    from PIL import Image

    from scrapy_imgpipe.freshness import Policy
    from scrapy_imgpipe.imaging import Plan
    from scrapy_imgpipe.index import Index
    from scrapy_imgpipe.records import ImageRecord
    from scrapy_imgpipe.stores import Store


@dataclass(frozen=True, slots=True)
class PlaceholderRules:
    """Which pictures stand for one that is not there.

    Attributes:
        sought: whether they are looked for at all.
        refused: whether they end as a failure.
        digests: MD5 of known ones, as downloaded or as stored.
        urls: behind how many URLs of one host the same bytes make one; 0 for no number.
    """

    sought: bool = True
    refused: bool = False
    digests: frozenset[str] = frozenset()
    urls: int = 0


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts for all sources of one pipeline.

    Attributes:
        plan: which renditions there should be.
        policy: how long what is known is believed.
        store: where they are kept; None where a worker does not reach it.
        gives_back: whether the event loop has somebody who reads what is stored, where
            *store* is None: one of our stores on another machine, not a user's.
        index: what is known; None where nothing is.
        any_content: whether files that are no image are good as well, because
            overridden methods decide what is stored.
        any_size: whether a thumbnail's size does not matter, as above.
        any_thumbs: whether nobody knows which thumbnails there should be, as above.
        dedupe: whether equal bytes are stored once.
        placeholders: what makes one.
        measures: record functions, called with each picture.
        digest: of all that is made of a source; see :attr:`ImageRecord.plan`.
        digests: of each thumbnail, by name.
    """

    plan: Plan
    policy: Policy
    store: Store | None = None
    index: Index | None = None
    any_content: bool = False
    any_size: bool = False
    any_thumbs: bool = False
    dedupe: bool = False
    placeholders: PlaceholderRules = PlaceholderRules()
    measures: tuple[Callable[[Image.Image], Mapping[str, Any]], ...] = ()
    gives_back: bool = False
    digest: str = field(init=False)
    digests: Mapping[str, str] = field(init=False)

    def can_mend(self, record: ImageRecord, names: Collection[str]) -> bool:
        """Return whether the stored full image of *record* is as good as its source was.

        Only then can what is missing be made of it. One that passed through is. One that
        was encoded has lost what was transparent, and its metadata.
        """
        if not self.plan.full_is_complete:
            return False
        if record.full is not None and record.content == record.full.checksum:
            return True
        plain = {variant.name for variant in self.plan.variants if variant.needs_pixels_only}
        return plain.issuperset(names)

    def __post_init__(self) -> None:
        names = [f"{measure.__module__}.{measure.__qualname__}" for measure in self.measures]
        object.__setattr__(self, "digest", f"{self.plan.digest}.{digest(names)}")
        digests = {variant.name: variant.digest for variant in self.plan.variants}
        object.__setattr__(self, "digests", digests)
