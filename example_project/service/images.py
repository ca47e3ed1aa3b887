"""The images of one store: made when they come, or when somebody asks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from scrapy_imgpipe import ImageBroken, ImageRecord, Rendition, SourceRejected
from scrapy_imgpipe.imaging import Picture, check_head, check_header, media_type_of
from scrapy_imgpipe.records import checksum
from scrapy_imgpipe.stores import Facts, File
from service import layout

if TYPE_CHECKING:
    from scrapy_imgpipe import Plan, Variant
    from scrapy_imgpipe.stores import Stat, Store
    from service.catalogue import Catalogue
    from service.engine import Engine
    from service.layout import Found
    from service.turns import Turns

#: Full images that do not decode which are remembered, and for how long, in seconds: what
#: was no fault of theirs passes.
_MOST_BROKEN: Final = 1000
_BROKEN_SECONDS: Final = 600.0


class Images:
    """Makes images and their variants.

    Args:
        catalogue: what is there, and where.
        plan: what is made of every image.
        engine: who does the work.
        reads: turns at having a full image in memory.
    """

    def __init__(self, catalogue: Catalogue, plan: Plan, engine: Engine, reads: Turns) -> None:
        self.catalogue = catalogue
        self.store: Store = catalogue.store
        self._plan = plan
        self._engine = engine
        self._reads = reads
        self._variants = {variant.name: variant for variant in plan.variants}
        self._broken: dict[Found, tuple[float, SourceRejected | ImageBroken]] = {}

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
        if await self._engine.run(self.catalogue.full, image_id) is not None:
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
        await self._engine.run(self.catalogue.note, record)
        return True

    def check(self, data: bytes) -> None:
        """Refuse what cannot become an image, by its header; nothing is decoded.

        Raises:
            SourceRejected: it is no image, or a larger one than is taken here.
            ImageBroken: its header does not hold together.
        """
        check_head(data, self._plan.formats)
        check_header(data, self._plan)

    async def variant(self, image_id: str, name: str) -> str | None:
        """Return the path of a variant, which is made if it is not there.

        None where there is no such image, or no variant of that name. Of two calls at once
        for one variant, one makes it.

        Raises:
            SourceRejected, ImageBroken: what is stored does not decode.
            StoreFailed: the store cannot tell, or take it.
            Busy: too many wait for a turn.
        """
        found = await self._engine.run(self.catalogue.variant, image_id, name)
        if found is not None:
            return found.path
        if name not in self._variants:
            return None
        return await self._engine.once(
            (image_id, name), lambda: self._make_variant(image_id, self._variants[name])
        )

    async def _make_variant(self, image_id: str, variant: Variant) -> str | None:
        run = self._engine.run
        async with self._reads.taken():
            full = await run(self.catalogue.full, image_id)
            found = await run(self.catalogue.variant, image_id, variant.name)
            if full is None or found is not None:  # made since somebody looked
                return None if found is None else found.path
            self._refuse_broken(full)
            data = await run(self.store.get, full.path)
            if data is None:
                return None
            try:
                (picture,) = await self._engine.render(data, self._plan, (variant.name,))
            except (SourceRejected, ImageBroken) as error:
                self._remember(full, error)
                raise
            del data
        file = self._file(image_id, picture)
        stat = await run(self.store.put, *file)
        if await run(self.catalogue.full, image_id) != full:  # a crawl replaced it meanwhile
            await run(self.store.delete, file.path)
            return await self._make_variant(image_id, variant)
        made = self._rendition(picture, file, stat)
        await run(self.catalogue.note_variant, full.path, made)
        return file.path

    def _refuse_broken(self, full: Found) -> None:
        """Refuse at once what was tried in vain, and has not changed since."""
        until, error = self._broken.get(full, (0, None))
        if error is not None and time.monotonic() < until:
            raise type(error)(error.reason, error.code)

    def _remember(self, full: Found, error: SourceRejected | ImageBroken) -> None:
        self._broken.pop(full, None)
        if len(self._broken) >= _MOST_BROKEN:
            del self._broken[next(iter(self._broken))]
        kept = type(error)(error.reason, error.code)  # without the frames that hold the image
        self._broken[full] = time.monotonic() + _BROKEN_SECONDS, kept

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
