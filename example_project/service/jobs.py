"""Variants that are made in the background, and survive the death of this process.

The raw upload is the job: it is in the store before anybody is told that it was accepted,
and is removed once all variants are, or once it is known that none can be made of it. What
is found there at the start is taken up. Beside it is a small file that says how it ended.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from scrapy_imgpipe import ImageBroken, ImagePipeError, SourceRejected, StoreFailed
from service import layout
from service.catalogue import url_of
from service.problems import Busy
from service.wire import Job, Status

if TYPE_CHECKING:
    from scrapy_imgpipe.stores import Store
    from service.engine import Engine
    from service.images import Images

_logger = logging.getLogger(__name__)

_UNFINISHED: Final = frozenset({Status.PENDING, Status.PROCESSING})

#: Failures that are no fault of the image: its upload stays, and is tried at the next start.
_OURS: Final = frozenset({"crashed", "timed-out", "internal", "store-failed"})

#: How long it is known how a job ended, in seconds; longer ones go at a start.
_KEPT_SECONDS: Final = 7 * 24 * 3600

#: Longest pause before the store is tried again, in seconds; the first is one second.
_MOST_PAUSE_SECONDS: Final = 60


class Jobs:
    """What is to be made, in the order in which it came.

    StoreFailed is raised where the store cannot tell, or take it.

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
        self._room = asyncio.Semaphore(most)
        self._open: dict[str, Job] = {}
        self._queue: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        self._workers = workers
        self._tasks: list[asyncio.Task[None]] = []

    def __len__(self) -> int:
        return len(self._open)

    def is_open(self, image_id: str) -> bool:
        """Return whether a job waits, or is worked on."""
        return image_id in self._open

    def start(self) -> None:
        """Begin to work, and to take up what an earlier process left."""
        work = [self._work() for _ in range(self._workers)]
        self._tasks = [asyncio.create_task(each) for each in (*work, self._tidy())]

    async def close(self) -> None:
        """Stop; what is not finished stays in the store for the next process."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def accept(self, image_id: str, data: bytes) -> Job:
        """Keep an upload until its variants are made; return its job.

        Of two calls at once for one image, one puts, and both return when it has.

        Raises:
            Busy: too many wait.
        """
        key = ("upload", image_id)
        return await self._engine.once(key, lambda: self._accept(image_id, data))

    async def _accept(self, image_id: str, data: bytes) -> Job:
        if image_id in self._open:
            return self._open[image_id]
        if self._room.locked():
            raise Busy("As many jobs wait as there may be")
        await self._room.acquire()
        job = self._open[image_id] = _job(image_id, Status.PENDING)
        try:
            # Without the raw upload, a job would be a promise that nobody can keep.
            await self._engine.run(self._store.put, layout.upload_path(image_id), data)
            await self._write(job)
        except BaseException:
            self._close(image_id)
            raise
        self._queue.put_nowait((image_id, 0))
        return job

    async def get(self, image_id: str) -> Job | None:
        """Return how far a job is; None where there never was one."""
        job = self._open.get(image_id) or await self._read(image_id)
        if job is None or job.status not in _UNFINISHED or image_id in self._open:
            return job
        path = layout.upload_path(image_id)
        if await self._engine.run(layout.find, self._store, path) is not None:
            return _job(image_id, Status.PENDING)  # it is taken up when its turn comes
        return await self._without_upload(image_id)

    async def upload(self, image_id: str) -> bytes | None:
        """Return the upload of an open job; None where it is gone, or no upload at all."""
        data = await self._engine.run(self._store.get, layout.upload_path(image_id))
        return data if data is not None and layout.id_of(data) == image_id else None

    async def settle(self, image_id: str) -> None:
        """Close the job of an image that is complete, whoever made it, if there is one."""
        if image_id in self._open:  # who works on it finds that out
            return
        try:
            job = await self._read(image_id)
            if job is not None and job.status is not Status.COMPLETE:
                await self._end(_job(image_id, Status.COMPLETE))
        except StoreFailed as error:  # the image is there, that is what matters
            _logger.warning("%s", error)

    # --- the work ---

    async def _work(self) -> None:
        while True:
            image_id, tries = await self._queue.get()
            try:
                await self._do(image_id)
            except Exception as error:  # noqa: BLE001 - the store is away, or whatever it is
                pause = _pause(tries)
                _logger.warning("Job %s waits for %d s: %s", image_id, pause, error)
                self._open[image_id] = _job(image_id, Status.PENDING)
                again = (image_id, tries + 1)
                asyncio.get_running_loop().call_later(pause, self._queue.put_nowait, again)
            else:
                self._close(image_id)

    def _close(self, image_id: str) -> None:
        del self._open[image_id]
        self._room.release()

    async def _do(self, image_id: str) -> None:
        self._open[image_id] = _job(image_id, Status.PROCESSING)
        data = await self._engine.run(self._store.get, layout.upload_path(image_id))
        if data is None:
            await self._write(await self._without_upload(image_id))
        elif layout.id_of(data) != image_id:
            _logger.warning("%s is no upload, and left alone", layout.upload_path(image_id))
        else:
            await self._end(await self._made(image_id, data))

    async def _made(self, image_id: str, data: bytes) -> Job:
        """Make the variants; return how that ended."""
        try:
            await self._images.make(image_id, data)
        except (SourceRejected, ImageBroken) as error:
            _logger.warning("Job %s failed: %s", image_id, error)
            return _job(image_id, Status.FAILED, error.reason, error.code)
        except (StoreFailed, Busy):  # it comes again
            raise
        except Exception:
            _logger.exception("Job %s failed", image_id)
            return _job(image_id, Status.FAILED, "Something went wrong here", "internal")
        return _job(image_id, Status.COMPLETE)

    async def _without_upload(self, image_id: str) -> Job:
        """Return how a job ended of which nobody said so."""
        if await self._engine.run(self._images.catalogue.is_complete, image_id):
            return _job(image_id, Status.COMPLETE)
        return _job(image_id, Status.FAILED, "Its upload is gone", "upload-gone")

    async def _end(self, job: Job) -> None:
        await self._write(job)
        if job.code not in _OURS:
            await self._remove(layout.upload_path(job.id))

    # --- what an earlier process left ---

    async def _tidy(self) -> None:
        tries = 0
        while True:
            try:
                await self._take_up()
                await self._forget()
            except ImagePipeError as error:
                pause = _pause(tries)
                _logger.warning("Taking up waits for %d s: %s", pause, error)
                await asyncio.sleep(pause)
                tries += 1
            else:
                return

    async def _take_up(self) -> None:
        """Queue the uploads that wait, no more at once than may; the others are told about."""
        for image_id in await self._ids("uploads/", ""):
            job = await self._read(image_id)
            if job is not None and job.status is Status.COMPLETE:
                await self._remove(layout.upload_path(image_id))
            elif job is None or job.status in _UNFINISHED or job.code in _OURS:
                if job is not None and job.status is Status.FAILED and await self._is_old(image_id):
                    continue
                await self._room.acquire()
                if image_id in self._open:
                    self._room.release()
                else:
                    self._open[image_id] = _job(image_id, Status.PENDING)
                    self._queue.put_nowait((image_id, 0))

    async def _forget(self) -> None:
        """Remove the jobs that ended long ago, and what is left of their uploads."""
        for image_id in await self._ids("jobs/", ".json"):
            if image_id in self._open:
                continue
            job = await self.get(image_id) if await self._is_old(image_id) else None
            if job is not None and job.status not in _UNFINISHED:
                await self._remove(layout.upload_path(image_id), layout.job_path(image_id))

    async def _ids(self, prefix: str, suffix: str) -> list[str]:
        """Return the identifiers of the files there; others are somebody else's."""
        paths = await self._engine.run(lambda: list(self._store.list(prefix)))
        ids = (path.removeprefix(prefix).removesuffix(suffix) for path in paths)
        return [each for each in ids if re.fullmatch(layout.ID, each)]

    async def _is_old(self, image_id: str) -> bool:
        stat = await self._engine.run(self._store.stat, layout.job_path(image_id))
        return stat is not None and 0 < stat.modified < time.time() - _KEPT_SECONDS

    async def _remove(self, *paths: str) -> None:
        """Tidy up; that it cannot be done, in a store that may only be read, stops nothing."""
        try:
            for path in paths:
                await self._engine.run(self._store.delete, path)
        except StoreFailed as error:
            _logger.warning("%s", error)

    async def _write(self, job: Job) -> None:
        data = msgspec.json.encode(job)
        await self._engine.run(self._store.put, layout.job_path(job.id), data)

    async def _read(self, image_id: str) -> Job | None:
        data = await self._engine.run(self._store.get, layout.job_path(image_id))
        with suppress(msgspec.DecodeError):  # what is damaged says nothing
            return None if data is None else msgspec.json.decode(data, type=Job)
        return None


def _job(image_id: str, status: Status, reason: str = "", code: str = "") -> Job:
    return Job(image_id, status, url_of(image_id), reason, code)


def _pause(tries: int) -> int:
    return min(1 << min(tries, 10), _MOST_PAUSE_SECONDS)
