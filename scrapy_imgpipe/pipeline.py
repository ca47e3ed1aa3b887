"""``ImagesPipeline``: Scrapy's hooks wired to our parts; no algorithm of its own.

What runs where: hooks that users override are called on the event loop, except
``get_images`` and ``convert_image``, which decode and encode and are therefore
called in a worker, one chain at a time. Everything of our own that decodes,
encodes, hashes or touches files runs in workers.
"""

from __future__ import annotations

import functools
import inspect
import logging
import os
import threading
import time
from collections.abc import Awaitable, Iterable, Iterator
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

from itemadapter import ItemAdapter
from scrapy import signals
from scrapy.http import Request, Response
from scrapy.pipelines.files import FilesPipeline
from scrapy.utils.defer import deferred_from_coro, ensure_awaitable
from scrapy.utils.request import referer_str

from scrapy_imgpipe import imaging, options, paths, stats, tasks
from scrapy_imgpipe.compat import translate, watch_pages
from scrapy_imgpipe.errors import DownloadFailed, ImagePipeError, SettingError
from scrapy_imgpipe.flow import SourceFlow, outcome_of
from scrapy_imgpipe.hooks import call, is_overridden
from scrapy_imgpipe.records import ImageRecord, failed_result
from scrapy_imgpipe.store_adapter import FileSystemFilesStore, native_store
from scrapy_imgpipe.workers import Workers

if TYPE_CHECKING:
    from os import PathLike

    from PIL import Image
    from scrapy.crawler import Crawler
    from scrapy.pipelines.files import FilesStoreProtocol
    from scrapy.pipelines.media import FileInfo, FileInfoOrError, MediaPipeline
    from scrapy.settings import Settings
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

logger = logging.getLogger(__name__)

_REDIRECTS = range(300, 400)


class ImagesPipeline(SourceFlow):
    """Scrapy's ``ImagesPipeline``, only right, off the event loop and crash-safe.

    Every hook, setting, stat and result key of Scrapy's class means what it
    means there; see the README for ours.

    Raises:
        NotConfigured: when ``IMAGES_STORE`` is not set; the pipeline is off then.
        SettingError: when any other setting cannot be used.
    """

    STORE_SCHEMES: ClassVar[dict[str, type[FilesStoreProtocol]]] = {
        **FilesPipeline.STORE_SCHEMES,
        "": FileSystemFilesStore,
        "file": FileSystemFilesStore,
    }

    def __init__(
        self,
        store_uri: str | PathLike[str],
        download_func: None = None,
        *,
        crawler: Crawler,
    ) -> None:
        self.options = options.Options.read(
            functools.partial(self._look_up_setting, crawler.settings)
        )
        super().__init__(store_uri, download_func, crawler=crawler)
        if self.options.thumbs is not None:  # given as JSON on the command line
            self.thumbs = self.options.thumbs
        options.parse(options.THUMBS, f"{type(self).__name__}.THUMBS", self.thumbs)
        self.workers = Workers(self.options.workers or options.usable_cpus())
        self._saved: WeakKeyDictionary[Request, tasks.Saved] = WeakKeyDictionary()
        self._paths: WeakKeyDictionary[Request, str] = WeakKeyDictionary()
        self._one_chain = threading.Lock()
        self._redirect_hinted = False
        crawler.signals.connect(self._spider_opened, signals.spider_opened)
        crawler.signals.connect(self._spider_closed, signals.spider_closed)

    def _look_up_setting(self, settings: Settings, name: str) -> tuple[str, object]:
        key = self._key_for_pipe(name, base_class_name="ImagesPipeline", settings=settings)
        return key, settings.get(key)

    def _key_for_pipe(
        self,
        key: str,
        base_class_name: str | None = None,
        settings: Settings | None = None,
    ) -> str:
        """Return the name under which a setting of this class is found.

        ``MYPIPELINE_IMAGES_EXPIRES`` counts for a class MyPipeline when it is
        set at all: also to 0, an empty dict or False, which Scrapy ignores.
        """
        name = type(self).__name__
        own = f"{name.upper()}_{key}"
        if not base_class_name or name == base_class_name:
            return key
        return own if settings is None or settings.get(own) is not None else key

    def _get_store(self, uri: str) -> FilesStoreProtocol:
        """Return the store for *uri*.

        Raises:
            SettingError: for an unknown scheme or a URI that its store cannot use.
        """
        try:
            return super()._get_store(uri)
        except (KeyError, ValueError, AssertionError, OSError) as error:
            schemes = ", ".join(repr(scheme) for scheme in sorted(self.STORE_SCHEMES) if scheme)
            reason = f" ({error})" if isinstance(error, OSError) else ""
            msg = (
                f"Expected a directory or a complete URI with a scheme of {schemes} for"
                f" IMAGES_STORE but received {uri!r} of type {type(uri).__name__}{reason}"
            )
            raise SettingError(msg) from error

    # --- start and end ---

    def _spider_opened(self) -> None:
        watch_pages(self.crawler)

    def _spider_closed(self) -> None:
        """End the workers and sum up; a signal, since subclasses own ``close_spider``."""
        self.workers.close()
        seconds = time.monotonic() - (self._first_ask or time.monotonic())
        line = stats.summary(self.crawler.stats.get_stats(), seconds)
        if line is not None:
            logger.info(line, extra={"spider": self.crawler.spider})

    # --- is it stored already? ---

    def media_to_download(
        self, request: Request, info: MediaPipeline.SpiderInfo, *, item: Any = None
    ) -> Deferred[FileInfo | None]:
        """Find *request* in the store; None means download.

        Thumbnails that are missing are made from the stored full image, without
        network. A file that is empty, cut off or no image is not found.
        """
        return deferred_from_coro(self._find(request, info, item))

    async def _stored(
        self, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> FileInfo | None:
        if self._overridden("media_to_download"):
            return await super()._stored(request, info, item)
        return await self._find(request, info, item)  # one task fewer

    async def _find(
        self, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> FileInfo | None:
        path = await self._full_path(request, None, info, item)
        store = native_store(self.store)
        if store is None:
            return await self._find_in_foreign_store(path, request, info)
        custom = self._overridden("file_downloaded", "image_downloaded", "get_images")
        thumbs = {} if custom else await self._thumb_paths(request, None, info, item)
        found = await self.workers.run(
            tasks.look_up,
            store,
            self._plan(),
            path,
            thumbs,
            expires=self.expires,
            now=time.time(),
            any_content=custom or self._overridden("convert_image"),
        )
        if found is None:
            return None
        stat = {"last_modified": found.modified, "checksum": found.checksum}
        result = self._onsuccess(stat, request, info, path)  # type: ignore[arg-type]
        if result:
            self._count_written(found)
            return self._result(request, path, found, result["status"])
        return None

    async def _find_in_foreign_store(
        self, path: str, request: Request, info: MediaPipeline.SpiderInfo
    ) -> FileInfo | None:
        try:
            stat = await ensure_awaitable(self.store.stat_file(path, info))
        except Exception as error:  # noqa: BLE001 - many stores raise for what is not there
            logger.debug(
                "File (stat-error): %(path)s is downloaded, the store does not tell of it: %(error)s",
                {"path": path, "error": error},
                extra={"spider": info.spider},
            )
            return None
        return self._onsuccess(stat, request, info, path)

    # --- a response came ---

    async def media_downloaded(
        self,
        response: Response,
        request: Request,
        info: MediaPipeline.SpiderInfo,
        *,
        item: Any = None,
    ) -> FileInfo:
        """Store the image in *response* and return what the item gets to know of it.

        Raises:
            FileException: our error with its ``code`` for a wrong status, an
                empty body, or whatever rendering and storing raise.
        """
        self._check_response(response)
        status = "cached" if "cached" in response.flags else "downloaded"
        logger.debug(
            "File (%(status)s): Downloaded file from %(request)s referred in <%(referer)s>",
            {"status": status, "request": request, "referer": referer_str(request)},
            extra={"spider": info.spider},
        )
        self.inc_stats(status)
        self.crawler.stats.inc_value(stats.BYTES_IN, len(response.body))
        try:
            path = await self._full_path(request, response, info, item)
            self._paths[request] = path
            checksum = await ensure_awaitable(
                call(self.file_downloaded, response, request, info, item=item)
            )
        except ImagePipeError as error:
            raise translate(error) from None
        saved = self._saved.pop(request, None) or tasks.Saved(checksum)
        return self._result(request, path, saved, status, checksum)

    def _check_response(self, response: Response) -> None:
        if response.status not in self.options.statuses:
            redirect = response.status in _REDIRECTS and "Location" in response.headers
            reason = f"download-error: HTTP status {response.status}"
            if redirect and not self._redirect_hinted:
                self._redirect_hinted = True
                reason += " (set MEDIA_ALLOW_REDIRECTS = True to follow redirects)"
            code = "redirect-refused" if redirect else "http-status"
            raise _download_failed(reason, code, f"code: {response.status}", "Error downloading file")
        if not response.body:
            raise _download_failed(
                "empty-content: no bytes came", "download-failed", "empty-content", "Empty file"
            )

    async def file_downloaded(  # type: ignore[override]
        self,
        response: Response,
        request: Request,
        info: MediaPipeline.SpiderInfo,
        *,
        item: Any = None,
    ) -> str:
        """Store the image in *response* and return the MD5 of the stored full image."""
        checksum: str = await ensure_awaitable(
            call(self.image_downloaded, response, request, info, item=item)
        )
        return checksum

    async def image_downloaded(
        self,
        response: Response,
        request: Request,
        info: MediaPipeline.SpiderInfo,
        *,
        item: Any = None,
    ) -> str:
        """Render and store the image in *response*; return the MD5 of the full image.

        Nothing is written before all of it is rendered, and the full image is
        written last: where it is, its thumbnails are too.

        Raises:
            FileException: our error with its ``code``.
        """
        try:
            saved = await self._render_and_save(response, request, info, item)
        except ImagePipeError as error:
            raise translate(error) from None
        self._count_written(saved)
        self._saved[request] = saved
        return saved.checksum

    async def _render_and_save(
        self, response: Response, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> tasks.Saved:
        store = native_store(self.store)
        if self._overridden("get_images", "convert_image"):
            outputs = await self._run_users_chain(response, request, info, item)
        else:
            path = self._paths.pop(request, None)
            path = path or await self._full_path(request, response, info, item)
            thumbs = await self._thumb_paths(request, response, info, item)
            work = (response.body, self._plan(), path, thumbs)
            if store is not None:
                return await self.workers.run(tasks.make_and_save, *work, store)
            outputs = await self.workers.run(tasks.make, *work)
        if store is not None:
            return await self.workers.run(tasks.save, outputs, store)
        for output in reversed(outputs):  # the full image last, as everywhere
            size = {"width": output.width, "height": output.height}
            headers = {"Content-Type": "image/jpeg"}
            buffer = BytesIO(output.data)
            await ensure_awaitable(
                self.store.persist_file(output.path, buffer, info, meta=size, headers=headers)
            )
        return await self.workers.run(tasks.describe, outputs)

    # --- the chain that users override ---

    async def _run_users_chain(
        self, response: Response, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> list[tasks.Output]:
        images: Any = call(self.get_images, response, request, info, item=item)
        if inspect.isasyncgen(images):
            images = [tasks.taken(image) async for image in images]
        elif isinstance(images, Awaitable):
            images = await images
        return await self.workers.run(self._collect, images)

    def _collect(self, images: Iterable[Any]) -> list[tasks.Output]:
        with self._one_chain:  # the user's code was written for one thread
            outputs = tasks.collect(images, self.options.formats)
        for output in outputs:
            _checked(output.path)
        return outputs

    def get_images(
        self,
        response: Response,
        request: Request,
        info: MediaPipeline.SpiderInfo,
        *,
        item: Any = None,
    ) -> Iterator[tuple[str, Image.Image, BytesIO]]:
        """Yield path, image and encoded bytes of the full image, then of each thumbnail.

        Only called where this method or ``convert_image`` is overridden, then
        in a worker; otherwise all renditions are made in one go.

        Raises:
            ImageException: our error with its ``code``.
        """
        try:
            path = self._finished(call(self.file_path, request, response=response, info=info, item=item))
            with imaging.open_image(response.body, self.options.formats) as opened:
                image = imaging.upright(opened)
                imaging.check_size(*image.size, self.min_width, self.min_height)
                image, buffer = self._finished(
                    self.convert_image(image, response_body=BytesIO(response.body))
                )
                yield path, image, buffer
                for name, size in self.thumbs.items():
                    path = self._finished(
                        call(self.thumb_path, request, name, response=response, info=info, item=item)
                    )
                    yield path, *self._finished(
                        self.convert_image(image, size, response_body=buffer)
                    )
        except ImagePipeError as error:
            raise translate(error) from None

    def convert_image(
        self,
        image: Image.Image,
        size: tuple[int, int] | None = None,
        *,
        response_body: BytesIO,
    ) -> tuple[Image.Image, BytesIO]:
        """Return *image* as an RGB JPEG, shrunk to fit inside *size* where it is given.

        An upright RGB JPEG that keeps its size comes back with *response_body*
        itself, after a decode to its end.

        Raises:
            ImageException: code ``broken`` when the image does not decode.
        """
        try:
            return tasks.convert(image, size, response_body, self.options.background)
        except ImagePipeError as error:
            raise translate(error) from None

    # --- names and results ---

    def file_path(
        self,
        request: Request,
        response: Response | None = None,
        info: MediaPipeline.SpiderInfo | None = None,
        *,
        item: Any = None,
    ) -> str:
        """Return where the full image goes: ``full/<SHA-1 of the URL>.jpg``."""
        return paths.image_path(request.url)

    def thumb_path(
        self,
        request: Request,
        thumb_id: str,
        response: Response | None = None,
        info: MediaPipeline.SpiderInfo | None = None,
        *,
        item: Any = None,
    ) -> str:
        """Return where a thumbnail goes: ``thumbs/<thumb_id>/<SHA-1 of the URL>.jpg``."""
        return paths.thumb_path(request.url, thumb_id)

    def item_completed(
        self, results: list[FileInfoOrError], item: Any, info: MediaPipeline.SpiderInfo
    ) -> Any:
        """Put the results into the item's field, in the order of its URLs.

        Failed ones are left out; with ``IMGPIPE_KEEP_FAILED`` each leaves a slot
        with its outcome code and reason.
        """
        keep = self.options.keep_failed
        images = [
            value if ok else _slot(value)
            for ok, value in results
            if ok or keep
        ]
        with suppress(KeyError):
            ItemAdapter(item)[self.images_result_field] = images
        return item

    # --- small parts ---

    def _overridden(self, *names: str) -> bool:
        return is_overridden(self, ImagesPipeline, *names)

    def _plan(self) -> imaging.Plan:
        return _plan(
            tuple(self.thumbs.items()),
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
        return _checked(await path if inspect.isawaitable(path) else path)

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
            found[str(name)] = _checked(await path if inspect.isawaitable(path) else path)
        return found

    def _finished(self, value: Any) -> Any:
        """Return *value*, or what it gives when a user's hook is ``async``; in a worker."""
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
    thumbs: tuple[tuple[str, tuple[int, int]], ...],
    min_width: int,
    min_height: int,
    background: tuple[int, int, int],
    formats: tuple[str, ...],
) -> imaging.Plan:
    variants = tuple(imaging.Variant(str(name), *size) for name, size in thumbs)
    return imaging.Plan(variants, min_width, min_height, background, formats)


def _checked(path: object) -> str:
    return paths.checked_path(path, windows=os.name == "nt")


def _slot(failure: Failure) -> dict[str, Any]:
    url = getattr(failure, "imgpipe_url", "")
    return failed_result(url, outcome_of(failure.value), str(failure.value))


def _download_failed(reason: str, code: str, *words: str) -> Exception:
    error = translate(DownloadFailed(reason, code))
    error.imgpipe_words = words  # type: ignore[attr-defined]  # what Scrapy's log line says
    return error
