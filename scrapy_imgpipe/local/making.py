"""One image through the workers: read, rendered, written. On the event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from scrapy_imgpipe.errors import HookFailed
from scrapy_imgpipe.local.places import missing_of
from scrapy_imgpipe.stores import FileSystemStore
from scrapy_imgpipe.tasks.making import Source
from scrapy_imgpipe.tasks.reading import make_of_file, prepared_of, put, read_file, read_stored

if TYPE_CHECKING:
    from scrapy_imgpipe.local.inputs import Input
    from scrapy_imgpipe.local.places import Paths
    from scrapy_imgpipe.stores import Store
    from scrapy_imgpipe.tasks.outputs import Saved
    from scrapy_imgpipe.tasks.reading import ReadRules
    from scrapy_imgpipe.tasks.rules import Rules
    from scrapy_imgpipe.workers import Workers


class Making:
    """Makes what is missing of images.

    Args:
        rules: what counts; with the store, where that can travel.
        reading: what is looked at before.
        store: where renditions go.
        workers: who does it.
        most: images from or for another machine that may be in memory at once.
    """

    def __init__(
        self, rules: Rules, reading: ReadRules, store: Store, workers: Workers, most: int
    ) -> None:
        self._rules = rules
        self._reading = reading
        self._store = store
        self._workers = workers
        self.is_near: bool = isinstance(store, FileSystemStore)
        self._room = asyncio.Semaphore(most)

    async def made(
        self, one: Input, paths: Paths, missing: tuple[str, ...] | None, *, looks: bool
    ) -> tuple[Saved, int] | None:
        """Return what was stored of *one* and how many bytes were read; None where all is there.

        Args:
            one: of which.
            paths: where renditions go.
            missing: which variants are, where that is known; None makes all.
            looks: whether the store is to be asked what is there.

        Raises:
            OSError: it cannot be read.
            ImagePipeError: it is refused, broken, or cannot be stored.
        """
        if looks:
            missing = await self._workers.run_to_store(missing_of, paths, self._store)
            if missing == ():
                return None
        source = Source(one.label, paths.full, dict(paths.thumbs))
        if self.is_near and one.file:
            rules, reading = self._rules, self._reading
            call: tuple[Any, ...] = (one.file, source, rules, reading, missing)
            return await self._workers.render(make_of_file, None, *call)
        async with self._room:
            if self._workers.halted:  # or all that stand in line would be read
                raise HookFailed(self._workers.halted, "interrupted")
            data = await self._read(one)
            prepared = await self._workers.render(prepared_of, data, source, self._rules, missing)
            write = self._workers.run if self.is_near else self._workers.run_to_store
            return await write(put, prepared, self._store), len(data)

    async def _read(self, one: Input) -> bytes:
        if one.file:
            return await self._workers.run(read_file, one.file, self._reading)
        assert one.store is not None  # noqa: S101 - else it has a file
        return await self._workers.run_to_store(read_stored, one.store, one.label, self._reading)
