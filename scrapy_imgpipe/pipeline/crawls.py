"""What there is one of in each crawl, whatever number of pipelines it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar
from weakref import WeakKeyDictionary, ref

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrapy.crawler import Crawler

_T = TypeVar("_T")


class OfCrawl(Generic[_T]):
    """Keeps one for each crawl, for as long as one of its pipelines does."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Crawler, ref[_T]] = WeakKeyDictionary()

    def get(self, crawler: Crawler, make: Callable[[], _T]) -> _T:
        """Return the one of *crawler*, which *make* makes where there is none."""
        known = self._known.get(crawler)
        one = known() if known is not None else None
        if one is None:
            one = make()
            self._known[crawler] = ref(one)
        return one
