"""The images of one store: made, found and told about."""

from __future__ import annotations

import asyncio
import logging
import time
from bisect import insort
from typing import TYPE_CHECKING

from scrapy_imgpipe import ImageRecord, IndexFailed, Rendition
from scrapy_imgpipe.imaging import Picture, check_head, check_header, media_type_of, size_of
from scrapy_imgpipe.index import Key
from scrapy_imgpipe.records import checksum
from scrapy_imgpipe.stores import Facts, File
from service import layout
from service.settings import ORIGINAL
from service.wire import ImageInfo, ListedImage, Page, VariantInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrapy_imgpipe import Plan, Variant
    from scrapy_imgpipe.index import Index
    from scrapy_imgpipe.stores import Stat, Store
    from service.engine import Engine

_logger = logging.getLogger(__name__)


class Images:
    """Images by identifier, in *store*.

    Args:
        store: of uploads, of a crawl, or of both.
        index: of that store, if there is one: it is told of uploads, and asked for sizes.
        plan: what is made of every image.
        engine: who does the work.
    """

    def __init__(self, store: Store, index: Index | None, plan: Plan, engine: Engine) -> None:
        self.store = store
        self._index = index
        self._plan = plan
        self._engine = engine
        self._variants = {variant.name: variant for variant in plan.variants}
        self._noting = asyncio.Lock()

    async def make(self, image_id: str, data: bytes) -> bool:
        """Store all variants of an upload, the full image last; return whether it is new.

        Of an image that is there already, the missing ones are made. Of two calls at once
        for one image, one works.

        Raises:
            SourceRejected: it is no image that is taken here.
            ImageBroken: it does not decode to its end.
            StoreFailed: it could not be stored; what was there is as it was.
        """
        return await self._engine.once(image_id, lambda: self._make(image_id, data))

    async def _make(self, image_id: str, data: bytes) -> bool:
        found = await self._engine.run(layout.find_full, self.store, image_id)
        if found is not None:
            for name in self._variants:
                await self.variant(image_id, name)
            return False
        pictures = await self._engine.render(data, self._plan)
        files = [self._file(image_id, picture) for picture in pictures]
        stats = await self._engine.run(self.store.put_all, files[::-1])
        stored = zip(pictures, files, stats[::-1], strict=True)
        made = [self._rendition(*each) for each in stored]
        record = ImageRecord(
            "",
            made[0].path,
            "",
            made[0],
            pictures[0].format,
            tuple(made[1:]),
            self._plan.digest,
            content=checksum(data),
            stored_at=time.time(),
            outcome="stored",
        )
        await self._note(record)
        return True

    async def check(self, data: bytes) -> None:
        """Refuse what cannot become an image, by its header; nothing is decoded.

        Raises:
            SourceRejected: it is no image, or a larger one than is taken here.
            ImageBroken: its header does not hold together.
        """
        await self._engine.run(self._check, data)

    async def is_complete(self, image_id: str) -> bool:
        """Return whether the image and all its variants are stored.

        Raises:
            StoreFailed: the store cannot tell.
        """
        return await self._engine.run(self._is_complete, image_id)

    def has_variant(self, name: str) -> bool:
        """Return whether images have a variant of that name, made or not."""
        return name == ORIGINAL or name in self._variants

    async def variant(self, image_id: str, name: str) -> str | None:
        """Return the path of a variant, which is made if it is not there.

        None where there is no such image, or no variant of that name. Of two calls at once
        for one variant, one makes it.

        Raises:
            ImageBroken: what is stored does not decode.
            StoreFailed: the store cannot tell, or take it.
        """
        if name == ORIGINAL:
            found = await self._engine.run(layout.find_full, self.store, image_id)
            return None if found is None else found[0]
        variant = self._variants.get(name)
        if variant is None:
            return None
        path = layout.variant_path(image_id, variant)
        if await self._engine.run(layout.find, self.store, path) is not None:
            return path
        return await self._engine.once(
            (image_id, name), lambda: self._make_variant(image_id, variant)
        )

    async def _make_variant(self, image_id: str, variant: Variant) -> str | None:
        run, path = self._engine.run, layout.variant_path(image_id, variant)
        if await run(layout.find, self.store, path) is not None:  # made since somebody looked
            return path
        found = await run(layout.find_full, self.store, image_id)
        data = await run(self.store.get, found[0]) if found is not None else None
        if found is None or data is None:
            return None
        (picture,) = await self._engine.render(data, self._plan, (variant.name,))
        file = self._file(image_id, picture)
        stat = await run(self.store.put, *file)
        await self._note_variant(found[0], self._rendition(picture, file, stat))
        return path

    async def info(self, image_id: str) -> ImageInfo | None:
        """Return what is known of an image; None where there is none.

        Raises:
            StoreFailed: the store cannot tell.
        """
        found = await self._engine.run(layout.find_full, self.store, image_id)
        if found is None:
            return None
        return await self._engine.run(self._info, image_id, *found)

    async def page(self, after: str, limit: int) -> Page:
        """Return up to *limit* images whose identifiers come behind *after*.

        From the index, where there is one, else from the names of files. All of them are
        gone through, in bounded memory: neither has them in order.

        Raises:
            IndexFailed, StoreFailed: it cannot be read.
        """
        return await self._engine.run(self._page, after, limit)

    # --- what waits for the store or the index ---

    def _check(self, data: bytes) -> None:
        check_head(data, self._plan.formats)
        check_header(data, self._plan)

    def _is_complete(self, image_id: str) -> bool:
        paths = (layout.variant_path(image_id, variant) for variant in self._plan.variants)
        there = (layout.find(self.store, path) for path in paths)
        return layout.find_full(self.store, image_id) is not None and None not in there

    def _info(self, image_id: str, path: str, stat: Stat) -> ImageInfo:
        record = self._record(path)
        known = {} if record is None else {file.name: file for file in record.files}
        form = "" if record is None else record.format
        width, height, form, size = self._look(path, stat, known.get(""), form)
        original = VariantInfo(ORIGINAL, _url(image_id, ORIGINAL), True, width, height, form, size)
        others = [
            self._variant_info(image_id, variant, known.get(variant.name), (width, height))
            for variant in self._plan.variants
        ]
        return ImageInfo(
            image_id, f"/images/{image_id}", width, height, form, size, [original, *others]
        )

    def _variant_info(
        self,
        image_id: str,
        variant: Variant,
        known: Rendition | None,
        full: tuple[int | None, int | None],
    ) -> VariantInfo:
        url = _url(image_id, variant.name)
        path = layout.variant_path(image_id, variant)
        stat = layout.find(self.store, path)
        if stat is not None:
            looks = self._look(path, stat, known, variant.format)
            return VariantInfo(variant.name, url, True, *looks)
        width, height = full
        size = size_of((width, height), variant) if width and height else None
        width, height = size or (None, None)
        return VariantInfo(variant.name, url, False, width, height, variant.format)

    def _look(
        self, path: str, stat: Stat, known: Rendition | None, form: str
    ) -> tuple[int | None, int | None, str, int]:
        """Return width, height, format and bytes of a stored file, as the record has them."""
        if known is not None and known.bytes == stat.bytes and known.width and form:
            return known.width, known.height, form, stat.bytes
        return *layout.look_of(self.store.get(path) or b""), stat.bytes

    def _record(self, path: str) -> ImageRecord | None:
        """Return the record of an upload; the index does not find those of a crawl by path."""
        if self._index is None:
            return None
        try:
            return self._index.get([Key("", path)])[0]
        except IndexFailed:  # the file itself tells as much
            return None

    def _page(self, after: str, limit: int) -> Page:
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

    def _listed(self) -> Iterator[ListedImage]:
        if self._index is None:
            for path in self.store.list("full/"):
                if image_id := layout.id_in(path):
                    yield ListedImage(image_id, f"/images/{image_id}", path)
            return
        for record in self._index.records():
            full = record.full
            if full is not None and (image_id := layout.id_in(full.path)):
                sizes = {"width": full.width, "height": full.height, "bytes": full.bytes}
                known = {key: size for key, size in sizes.items() if size}
                yield ListedImage(
                    image_id,
                    f"/images/{image_id}",
                    full.path,
                    record.url,
                    format=record.format,
                    **known,
                )

    # --- what is kept of what was made ---

    def _file(self, image_id: str, picture: Picture) -> File:
        kind = media_type_of(picture.format)
        facts = Facts(kind, picture.width, picture.height, checksum(picture.data))
        path = layout.full_path(image_id)
        if picture.name is not None:
            path = layout.variant_path(image_id, self._variants[picture.name])
        return File(path, picture.data, facts)

    def _rendition(self, picture: Picture, file: File, stat: Stat) -> Rendition:
        name = picture.name or ""
        return Rendition(
            name,
            file.path,
            picture.width,
            picture.height,
            len(picture.data),
            stat.modified,
            file.facts.checksum,
            self._variants[name].digest if name else "",
            picture.format if name else "",
        )

    async def _note_variant(self, path: str, made: Rendition) -> None:
        async with self._noting:  # two variants of one image may be made at the same time
            record = await self._engine.run(self._record, path)
            if record is not None:
                others = [file for file in record.renditions if file.name != made.name]
                await self._put_record(record._replace(renditions=(*others, made)))

    async def _note(self, record: ImageRecord) -> None:
        async with self._noting:
            await self._put_record(record)

    async def _put_record(self, record: ImageRecord) -> None:
        if self._index is None:
            return
        try:
            await self._engine.run(self._index.put, [record])
        except IndexFailed as error:  # the files are there, and tell as much
            _logger.warning("%s", error)


def _url(image_id: str, name: str) -> str:
    return f"/images/{image_id}/{name}"
