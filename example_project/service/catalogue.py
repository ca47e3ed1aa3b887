"""What is stored, and what the index knows of it. All of it blocks: threads call this."""

from __future__ import annotations

import logging
import threading
import time
from bisect import insort
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from scrapy_imgpipe import ImageRecord, IndexFailed, Rendition
from scrapy_imgpipe.imaging import size_of
from scrapy_imgpipe.index import Key
from service import layout
from service.layout import Found, Look
from service.settings import ORIGINAL
from service.wire import ImageInfo, ListedImage, Page, VariantInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scrapy_imgpipe import Plan, Variant
    from scrapy_imgpipe.index import Index
    from scrapy_imgpipe.stores import Stat, Store

_logger = logging.getLogger(__name__)

#: How much older than its full image a variant may be, in seconds: a crawl puts the full
#: image behind its thumbnails. Where a slow store takes longer, they are made once more.
_SLACK_SECONDS: Final = 10

#: Files whose headers are remembered: to read one, a store elsewhere sends all of it.
_LOOKS: Final = 4096

#: Records that are looked at for names of a crawl's thumbnails, and for how long that holds.
_SOME: Final = 500
_SOME_SECONDS: Final = 60.0


class Catalogue:
    """The images of *store* by identifier.

    All methods raise StoreFailed where the store cannot tell.

    Args:
        store: of uploads, of a crawl, or of both.
        index: of that store, if there is one.
        plan: what is made of every image.
    """

    def __init__(self, store: Store, index: Index | None, plan: Plan) -> None:
        self.store = store
        self._index = index
        self._plan = plan
        self._variants = {variant.name: variant for variant in plan.variants}
        self._noting = threading.Lock()
        self._look = lru_cache(_LOOKS)(self._look_into)
        self._others: tuple[float, set[str]] = (float("-inf"), set())

    def full(self, image_id: str) -> Found | None:
        """Return the full image; None where there is none."""
        return layout.find_full(self.store, image_id)

    def variant(self, image_id: str, name: str) -> Found | None:
        """Return a variant that is there, and is one of the full image as it is.

        One that is older than its full image, or that the index knows to be of other
        settings, is not there. Others than those of the plan are a crawl's own business.
        """
        full = self.full(image_id)
        if full is None or name == ORIGINAL:
            return full
        variant = self._variants.get(name)
        if variant is None:
            return layout.find_thumb(self.store, image_id, name)
        return self._current(image_id, variant, full, _files_of(self._record(full.path)))

    def is_complete(self, image_id: str) -> bool:
        """Return whether the image and all variants of the plan are there."""
        full = self.full(image_id)
        if full is None:
            return False
        known = _files_of(self._record(full.path))
        return None not in (
            self._current(image_id, each, full, known) for each in self._plan.variants
        )

    def info(self, image_id: str) -> ImageInfo | None:
        """Return what is known of an image; None where there is none."""
        full = self.full(image_id)
        if full is None:
            return None
        record = self._record(full.path)
        known = _files_of(record)
        look = self._as_known(full, known.get(""), "" if record is None else record.format)
        variants = [VariantInfo(ORIGINAL, url_of(image_id, ORIGINAL), True, *look)]
        for variant in self._plan.variants:
            found = self._current(image_id, variant, full, known)
            if found is not None:
                looks = self._as_known(found, known.get(variant.name), variant.format)
            else:
                looks = _look_to_be(variant, look)
            url = url_of(image_id, variant.name)
            variants.append(VariantInfo(variant.name, url, found is not None, *looks))
        for name in self._names_of_crawl(known):
            found = layout.find_thumb(self.store, image_id, name)
            if found is not None:
                looks = self._as_known(found, known.get(name))
                variants.append(VariantInfo(name, url_of(image_id, name), True, *looks))
        return ImageInfo(image_id, url_of(image_id), *look[:3], full.stat.bytes, variants)

    def page(self, after: str, limit: int) -> Page:
        """Return up to *limit* images whose identifiers come behind *after*.

        From the index, where there is one, else from the names of files. All of them are
        gone through, in bounded memory: neither has them in order.

        Raises:
            IndexFailed: it cannot be read.
        """
        best: list[str] = []
        listed: dict[str, ListedImage] = {}
        for one in self._listed():
            if one.id <= after or one.id in listed:
                continue
            if len(best) > limit:
                if one.id > best[-1]:
                    continue
                del listed[best.pop()]
            insort(best, one.id)
            listed[one.id] = one
        page = [listed[each] for each in best[:limit]]
        return Page(page, page[-1].id if len(best) > limit else None)

    def note(self, record: ImageRecord) -> None:
        """Tell the index of an image."""
        with self._noting:
            self._put(record)

    def note_variant(self, full_path: str, made: Rendition) -> None:
        """Tell the index of a variant, where it knows the image."""
        with self._noting:  # two variants of one image may be made at the same time
            record = self._record(full_path)
            if record is not None:
                others = [file for file in record.renditions if file.name != made.name]
                self._put(record._replace(renditions=(*others, made)))

    def _current(
        self, image_id: str, variant: Variant, full: Found, known: Mapping[str, Rendition]
    ) -> Found | None:
        found = layout.find(self.store, layout.variant_path(image_id, variant))
        if found is None or full.stat.modified - found.stat.modified > _SLACK_SECONDS:
            return None
        file = known.get(variant.name)
        if file is None or file.bytes != found.stat.bytes:
            return found
        return found if file.plan in {"", variant.digest} else None

    def _as_known(self, found: Found, known: Rendition | None, form: str = "") -> Look:
        """Return what a file looks like, as the index has it, or else by its header."""
        form = form or ("" if known is None else known.format)
        if known is not None and known.bytes == found.stat.bytes and known.width and form:
            return Look(known.width, known.height, form, known.bytes)
        return self._look(*found)

    def _look_into(self, path: str, stat: Stat) -> Look:
        return layout.look_of(self.store.get(path) or b"")._replace(bytes=stat.bytes)

    def _record(self, path: str) -> ImageRecord | None:
        """Return the record of an upload or an import; a crawl's are not found by path."""
        if self._index is None:
            return None
        try:
            return self._index.get([Key("", path)])[0]
        except IndexFailed:  # the file itself tells as much
            return None

    def _put(self, record: ImageRecord) -> None:
        if self._index is None:
            return
        try:
            self._index.put([record])
        except IndexFailed as error:  # the files are there, and tell as much
            _logger.warning("%s", error)

    def _names_of_crawl(self, known: Mapping[str, Rendition]) -> list[str]:
        """Return names of thumbnails that a crawl makes, and the plan does not.

        A record says them, or some other records do: they are the same for all images.
        """
        now = time.monotonic()
        if self._index is not None and now - self._others[0] > _SOME_SECONDS:
            try:
                some = list(islice(self._index.records(), _SOME))
            except IndexFailed:
                some = []
            files = (file for record in some for file in record.renditions)
            self._others = now, {layout.name_in(file.path) for file in files}
        names = {layout.name_in(file.path) for file in known.values()} | self._others[1]
        return sorted(names - {"", ORIGINAL, *self._variants})

    def _listed(self) -> Iterator[ListedImage]:
        if self._index is None:
            for path in self.store.list("full/"):
                if image_id := layout.id_in(path):
                    yield ListedImage(image_id, url_of(image_id), path)
            return
        for record in self._index.records():
            full = record.full
            if full is not None and (image_id := layout.id_in(full.path)):
                sizes = {"width": full.width, "height": full.height, "bytes": full.bytes}
                known: dict[str, Any] = {key: size for key, size in sizes.items() if size}
                known["format"] = record.format
                yield ListedImage(image_id, url_of(image_id), full.path, record.url, **known)


def _files_of(record: ImageRecord | None) -> dict[str, Rendition]:
    return {} if record is None else {file.name: file for file in record.files}


def _look_to_be(variant: Variant, full: Look) -> Look:
    """Return what a variant of *full* will look like, as far as that is known."""
    size = size_of((full.width, full.height), variant) if full.width and full.height else None
    width, height = size or (None, None)
    return Look(width, height, variant.format, None)


def url_of(image_id: str, *name: str) -> str:
    """Return where an image, or its variant of that name, is had."""
    return quote("/".join(("/images", image_id, *name)))
