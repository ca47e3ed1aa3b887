"""Variants that are made in the background, and survive the death of this process.

The raw upload is the job: it is in the store before anybody is told that it was accepted,
and is removed once all variants are. What is found there at the start is taken up. Beside
it is a small file that says how it ended.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from scrapy_imgpipe import ImagePipeError
from service import layout
from service.problems import Busy
from service.wire import Job, Status

if TYPE_CHECKING:
    from scrapy_imgpipe.stores import Store
    from service.engine import Engine
    from service.images import Images

_logger = logging.getLogger(__name__)

_UNFINISHED = frozenset({Status.PENDING, Status.PROCESSING})

#: The store was away, not the image at fault.
_STORE_FAILED = "store-failed"


class Jobs:
    """What is to be made, in the order in which it came.

    Args:
        images: who makes it.
        engine: who reads and writes.
        most: that may wait, or be worked on, at once.
        workers: jobs that are worked on at once, so many uploads are in memory.
    """

    def __init__(self, images: Images, engine: Engine, most: int, workers: int) -> None:
        self._images = images
        self._engine = engine
        self._store: Store = images.store
        self._most = most
        self._open: dict[str, Job] = {}
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._workers = workers
        self._tasks: list[asyncio.Task[None]] = []

    def __len__(self) -> int:
        return len(self._open)

    async def start(self) -> None:
        """Begin to work, and take up what an earlier process left.

        Raises:
            StoreFailed: the store cannot be listed.
        """
        self._tasks = [asyncio.create_task(self._work()) for _ in range(self._workers)]
        prefix = layout.upload_path("")
        for path in await self._engine.run(lambda: list(self._store.list(prefix))):
            image_id = path.removeprefix(prefix)
            job = await self._read(image_id)
            if job is not None and job.status is Status.COMPLETE:
                await self._engine.run(self._store.delete, path)
            elif job is None or job.status in _UNFINISHED or job.code == _STORE_FAILED:
                self._take(image_id)

    async def close(self) -> None:
        """Stop; what is not finished stays in the store for the next process."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def accept(self, image_id: str, data: bytes) -> Job:
        """Keep an upload until its variants are made; return its job.

        Raises:
            Busy: too many wait.
            StoreFailed: it cannot be kept.
        """
        if image_id in self._open:
            return self._open[image_id]
        if len(self._open) >= self._most:
            raise Busy(f"{self._most} jobs wait already")
        job = self._open[image_id] = _job(image_id, Status.PENDING)
        try:
            # Without the raw upload, a job would be a promise that nobody can keep.
            await self._engine.run(self._store.put, layout.upload_path(image_id), data)
            await self._write(job)
        except BaseException:
            del self._open[image_id]
            raise
        self._queue.put_nowait(image_id)
        return job

    async def get(self, image_id: str) -> Job | None:
        """Return how far a job is; None where there never was one.

        Raises:
            StoreFailed: the store cannot tell.
        """
        return self._open.get(image_id) or await self._read(image_id)

    async def upload(self, image_id: str) -> bytes | None:
        """Return the upload of a job that is not finished; None where there is none.

        Raises:
            StoreFailed: the store cannot tell.
        """
        if image_id not in self._open:
            return None
        return await self._engine.run(self._store.get, layout.upload_path(image_id))

    def _take(self, image_id: str) -> None:
        if image_id not in self._open:
            self._open[image_id] = _job(image_id, Status.PENDING)
            self._queue.put_nowait(image_id)

    async def _work(self) -> None:
        while True:
            image_id = await self._queue.get()
            try:
                await self._do(image_id)
            except Exception:  # the store is away: what is kept is taken up at the next start
                _logger.exception("Job %s is left for the next start", image_id)
            finally:
                self._open.pop(image_id, None)

    async def _do(self, image_id: str) -> None:
        self._open[image_id] = _job(image_id, Status.PROCESSING)
        raw = layout.upload_path(image_id)
        data = await self._engine.run(self._store.get, raw)
        if data is None:
            return
        try:
            await self._images.make(image_id, data)
        except ImagePipeError as error:
            _logger.warning("Job %s failed: %s", image_id, error)
            await self._write(_job(image_id, Status.FAILED, error.reason, error.code))
            return
        del data
        await self._write(_job(image_id, Status.COMPLETE))
        await self._engine.run(self._store.delete, raw)

    async def _write(self, job: Job) -> None:
        data = msgspec.json.encode(job)
        await self._engine.run(self._store.put, layout.job_path(job.id), data)

    async def _read(self, image_id: str) -> Job | None:
        data = await self._engine.run(self._store.get, layout.job_path(image_id))
        with suppress(msgspec.DecodeError):  # what is damaged says nothing
            return None if data is None else msgspec.json.decode(data, type=Job)
        return None


def _job(image_id: str, status: Status, reason: str = "", code: str = "") -> Job:
    return Job(image_id, status, f"/images/{image_id}", reason, code)
