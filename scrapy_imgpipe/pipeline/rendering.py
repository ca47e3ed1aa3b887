"""Between the hooks and the workers: find, render, save, and what the item gets to know.

Nothing here is a hook; hooks are called through :mod:`.hooks`. This file decides
what runs in a worker and what on the event loop, and does neither by itself.
"""

from __future__ import annotations

import functools
import inspect
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from scrapy.utils.defer import ensure_awaitable
from scrapy.utils.request import referer_str

from scrapy_imgpipe import imaging, stats, tasks
from scrapy_imgpipe.errors import ImageBroken, StoreFailed
from scrapy_imgpipe.pipeline.answers import refusal
from scrapy_imgpipe.pipeline.failures import one_line
from scrapy_imgpipe.pipeline.flow import SourceFlow
from scrapy_imgpipe.pipeline.hooks import call, checked, is_overridden
from scrapy_imgpipe.pipeline.log import is_heard
from scrapy_imgpipe.probe import probe
from scrapy_imgpipe.records import ImageRecord
from scrapy_imgpipe.store_adapter import native_store

if TYPE_CHECKING:
    from scrapy.http import Request, Response
    from scrapy.pipelines.media import FileInfo, MediaPipeline

    from scrapy_imgpipe.workers import Workers

_logger = logging.getLogger(__name__)


class Rendering(SourceFlow):
    """The part of the pipeline that finds, renders and stores one source."""

    workers: Workers
    _redirect_hinted = False
    _isolation_hinted = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._saved: WeakKeyDictionary[Request, tasks.Saved] = WeakKeyDictionary()
        self._paths: WeakKeyDictionary[Request, str] = WeakKeyDictionary()
        self._thumbs: WeakKeyDictionary[Request, dict[str, str]] = WeakKeyDictionary()

    async def _stored(
        self, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> FileInfo | None:
        if is_overridden(self, "media_to_download"):
            return await super()._stored(request, info, item)
        return await self._find(request, info, item)  # one task fewer

    async def _find(
        self, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> FileInfo | None:
        path = await self._full_path(request, None, info, item)
        store = native_store(self.store)
        if store is None:
            return await self._find_in_foreign_store(path, request, info)
        custom = is_overridden(self, "file_downloaded", "image_downloaded", "get_images")
        converts = is_overridden(self, "convert_image")
        thumbs = {} if custom else await self._known_thumb_paths(request, info, item)
        wanted = tasks.Wanted(
            store,
            self._plan(),
            path,
            thumbs,
            self.expires,
            time.time(),
            any_content=custom or converts,
            any_size=converts,
        )
        found = await self._looked_for(wanted)
        if found is None:
            return None
        if is_overridden(self, "_onsuccess"):
            stat: Any = {"last_modified": found.modified, "checksum": found.checksum}
            if not self._onsuccess(stat, request, info, path):
                return None
        else:
            self._say_up_to_date(request, info)
        if found.trouble:
            _logger.error(
                "File (error): Error mending thumbnails of %(request)s: %(trouble)s",
                {"request": request, "trouble": found.trouble},
                extra={"spider": info.spider},
            )
        self._count_written(found)
        return self._result(request, path, found, "uptodate")

    async def _looked_for(self, wanted: tasks.Wanted) -> tasks.Saved | None:
        """Return what is in the store; what is lacking is made, which is long work."""
        try:
            found = await self.workers.run_in_batch(tasks.look_up, wanted, sieve=tasks.is_there)
            return await self._mended(wanted, found) if isinstance(found, tasks.Lack) else found
        except ImageBroken:  # a worker process died of what is stored
            return None

    async def _mended(self, wanted: tasks.Wanted, lack: tasks.Lack) -> tasks.Saved | None:
        ticket = self.turns.ticket_to_mend(lack.need)
        try:
            await self.turns.turn_of(ticket)
            if is_overridden(self, "convert_image"):
                remake = functools.partial(self._remake_thumb, wanted.thumbs)
                return await self.workers.run_in_line(functools.partial(tasks.mend, wanted, remake))
            return await self.workers.render(tasks.mend, None, wanted)
        finally:
            self.turns.leave(ticket)

    async def _known_thumb_paths(
        self, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> dict[str, str]:
        """Return where thumbnails are, none where ``thumb_path`` needs a response to tell.

        Scrapy never calls it without one. A real mistake in it shows after the download.
        """
        try:
            return await self._thumb_paths(request, None, info, item)
        except Exception:
            if is_overridden(self, "thumb_path"):
                return {}
            raise

    def _remake_thumb(self, thumbs: Mapping[str, str], data: bytes, name: str) -> tasks.Output:
        """Make one thumbnail of a stored full image as the user's ``convert_image`` does."""
        box = next(size for key, size in self.thumbs.items() if str(key) == name)
        with imaging.open_image(data, self.options.formats) as image:
            made = self._finished(self.convert_image(image, box, response_body=BytesIO(data)))
        return tasks.taken(thumbs[name], name, *made)

    def _say_up_to_date(self, request: Request, info: MediaPipeline.SpiderInfo) -> None:
        if is_heard(_logger, logging.DEBUG):
            _logger.debug(
                "File (uptodate): Downloaded %(medianame)s from %(request)s"
                " referred in <%(referer)s>",
                {"medianame": "image", "request": request, "referer": referer_str(request)},
                extra={"spider": info.spider},
            )
        self.inc_stats("uptodate")

    async def _find_in_foreign_store(
        self, path: str, request: Request, info: MediaPipeline.SpiderInfo
    ) -> FileInfo | None:
        try:
            stat: Any = await ensure_awaitable(self.store.stat_file(path, info))
        except Exception as error:  # noqa: BLE001 - many stores raise for what is not there
            _logger.debug(
                "File (stat-error): Downloading %(path)s, the store cannot tell of it: %(error)s",
                {"path": path, "error": error},
                extra={"spider": info.spider},
            )
            return None
        return self._onsuccess(stat, request, info, path)

    def _check_response(self, response: Response) -> None:
        refused = refusal(response, self.options.statuses)
        if refused is None:
            return
        if refused.redirected and not self.allow_redirects and not self._redirect_hinted:
            self._redirect_hinted = True
            raise refused.error(" (set MEDIA_ALLOW_REDIRECTS = True to follow redirects)")
        raise refused.error()

    def _weights(self, response: Response) -> tuple[int, int]:
        body = getattr(response, "body", b"")  # who overrides media_downloaded takes anything
        if not body or response.status not in self.options.statuses:
            return len(body), 0
        chain = is_overridden(self, "get_images", "convert_image")
        return len(body), imaging.rendering_bytes(body, probe(body), self._plan(), whole=chain)

    async def _render_and_save(
        self, response: Response, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> tasks.Saved:
        store = native_store(self.store)
        if is_overridden(self, "get_images", "convert_image"):
            self._say_who_renders(info)
            made = await self._run_users_chain(response, request, info, item)
            if isinstance(made, tasks.Saved):
                return made
            outputs = made
        else:
            path = self._paths.pop(request, None)
            path = path or await self._full_path(request, response, info, item)
            thumbs = await self._thumb_paths(request, response, info, item)
            work = (response.body, self._plan(), path, thumbs)
            if store is not None:
                return await self.workers.render(tasks.make_and_save, *work, store)
            outputs = await self.workers.render(tasks.make, *work)
        for output in reversed(outputs):  # the full image last, as everywhere
            await self._persist(output, info)
        return await self.workers.run(tasks.describe, outputs)

    def _say_who_renders(self, info: MediaPipeline.SpiderInfo) -> None:
        """Say once that a user's chain, which may do anything here, goes to no other process."""
        if self.workers.isolation == "process" and not self._isolation_hinted:
            self._isolation_hinted = True
            hooks = [name for name in ("get_images", "convert_image") if is_overridden(self, name)]
            _logger.warning(
                "Rendering in this process: %(hooks)s overridden",
                {"hooks": " and ".join(hooks)},
                extra={"spider": info.spider},
            )

    async def _persist(self, output: tasks.Output, info: MediaPipeline.SpiderInfo) -> None:
        """Hand *output* to a store that only Scrapy's protocol reaches, on the event loop."""
        size = {"width": output.width, "height": output.height}
        headers = {"Content-Type": "image/jpeg"}
        buffer = BytesIO(output.data)
        try:
            await ensure_awaitable(
                self.store.persist_file(output.path, buffer, info, meta=size, headers=headers)
            )
        except Exception as error:
            raise StoreFailed(f"Could not store {output.path}: {one_line(error)}") from error

    async def _run_users_chain(
        self, response: Response, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> list[tasks.Output] | tasks.Saved:
        hook = functools.partial(call, self.get_images, response, request, info, item=item)
        if inspect.iscoroutinefunction(self.get_images):
            images = await hook()
            hook = functools.partial(_same, images)
        elif inspect.isasyncgenfunction(self.get_images):
            images = await _drained(hook())
            hook = functools.partial(_same, images)
        return await self.workers.run_in_line(functools.partial(self._collect, hook))

    def _collect(self, make: Callable[[], Any]) -> list[tasks.Output] | tasks.Saved:
        """Run a user's chain to its end, and save what came where a worker may."""
        images = make()
        if inspect.isasyncgen(images):
            images = _drained(images)
        outputs = tasks.collect(self._finished(images), self.options.formats)
        for output in outputs:
            checked(output.path)
        store = native_store(self.store)
        return outputs if store is None else tasks.save(outputs, store)

    def _plan(self) -> imaging.Plan:
        return _plan(
            tuple((str(name), *size) for name, size in self.thumbs.items()),
            self.min_width,
            self.min_height,
            self.options.background,
            self.options.formats,
        )

    async def _full_path(
        self,
        request: Request,
        response: Response | None,
        info: MediaPipeline.SpiderInfo,
        item: Any,
    ) -> str:
        path = call(self.file_path, request, response=response, info=info, item=item)
        return checked(path if isinstance(path, str) else await ensure_awaitable(path))

    async def _thumb_paths(
        self,
        request: Request,
        response: Response | None,
        info: MediaPipeline.SpiderInfo,
        item: Any,
    ) -> dict[str, str]:
        found = {}
        for name in self.thumbs:
            path = call(self.thumb_path, request, name, response=response, info=info, item=item)
            found[str(name)] = checked(
                path if isinstance(path, str) else await ensure_awaitable(path)
            )
        return found

    def _path_for_chain(
        self,
        request: Request,
        response: Response,
        info: MediaPipeline.SpiderInfo,
        item: Any,
        thumb: str | None = None,
    ) -> Any:
        """Return what ``file_path`` or ``thumb_path`` says, to code that cannot ``await``.

        ``async`` ones have been asked before, in ``media_downloaded``.
        """
        known: Any = {None: self._paths.get(request), **self._thumbs.get(request, {})}
        name = None if thumb is None else str(thumb)
        hook, arguments = (self.file_path, ()) if thumb is None else (self.thumb_path, (thumb,))
        if inspect.iscoroutinefunction(hook) and known.get(name):
            return known[name]
        path = call(hook, request, *arguments, response=response, info=info, item=item)
        return self._finished(path)

    def _finished(self, value: Any) -> Any:
        """Return *value*, or what it gives where a user's hook is ``async``."""
        return self.workers.wait_for(value) if inspect.isawaitable(value) else value

    def _count_written(self, saved: tasks.Saved) -> None:
        count = self.crawler.stats.inc_value
        if saved.files:
            count(stats.BYTES_OUT, saved.written)
            count(stats.RENDITIONS, saved.files)
        if saved.restored:
            count(stats.RESTORED, saved.restored)

    def _result(
        self,
        request: Request,
        path: str,
        saved: tasks.Saved,
        status: str,
        checksum: str | None = None,
    ) -> FileInfo:
        checksum = saved.checksum if checksum is None else checksum
        if not saved.details:
            return {"url": request.url, "path": path, "checksum": checksum, "status": status}
        record = ImageRecord(request.url, path, checksum, status, **saved.details)
        return record.as_result()  # type: ignore[return-value]  # FileInfo and more


@functools.lru_cache(maxsize=32)
def _plan(
    thumbs: tuple[tuple[str, int, int], ...],
    min_width: int,
    min_height: int,
    background: tuple[int, int, int],
    formats: tuple[str, ...],
) -> imaging.Plan:
    variants = tuple(imaging.Variant(*thumb) for thumb in thumbs)
    return imaging.Plan(variants, min_width, min_height, background, formats)


def _same(images: Any) -> Any:
    return images


async def _drained(images: AsyncIterator[Any]) -> list[Any]:
    return [tasks.snapshot(image) async for image in images]
