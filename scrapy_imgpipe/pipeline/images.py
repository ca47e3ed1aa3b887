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
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar

from itemadapter import ItemAdapter
from scrapy import signals
from scrapy.http import Request, Response
from scrapy.pipelines.files import FilesPipeline
from scrapy.utils.defer import deferred_from_coro, ensure_awaitable
from twisted.python.failure import Failure

from scrapy_imgpipe import imaging, options, paths, stats, stores, tasks, values
from scrapy_imgpipe.compat import translate, watch_pages
from scrapy_imgpipe.errors import ImagePipeError
from scrapy_imgpipe.parsers import parse
from scrapy_imgpipe.pipeline.asking import slot_of
from scrapy_imgpipe.pipeline.hooks import OURS, call
from scrapy_imgpipe.pipeline.hops import Hops
from scrapy_imgpipe.pipeline.knowledge import Knowledge
from scrapy_imgpipe.pipeline.latest import LatestResults
from scrapy_imgpipe.pipeline.log import is_heard, referrer, shown
from scrapy_imgpipe.pipeline.priorities import Priorities
from scrapy_imgpipe.pipeline.rendering import Rendering
from scrapy_imgpipe.pipeline.reporting import Reporting
from scrapy_imgpipe.pipeline.retries import Retries
from scrapy_imgpipe.pipeline.sharing import Sharing
from scrapy_imgpipe.pipeline.turns import Turns
from scrapy_imgpipe.pipeline.watching import Watching
from scrapy_imgpipe.store_adapter import FarFilesStore, FileSystemFilesStore
from scrapy_imgpipe.stores import Access
from scrapy_imgpipe.workers import Workers

if TYPE_CHECKING:
    from PIL import Image
    from scrapy.crawler import Crawler
    from scrapy.pipelines.files import FilesStoreProtocol
    from scrapy.pipelines.media import FileInfo, FileInfoOrError, MediaPipeline
    from twisted.internet.defer import Deferred

_logger = logging.getLogger(__name__)


class ImagesPipeline(Rendering):
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
        **dict.fromkeys(stores.SCHEMES, FarFilesStore),
    }

    def __init__(
        self,
        store_uri: str | PathLike[str],
        download_func: None = None,
        *,
        crawler: Crawler,
    ) -> None:
        if store_uri and not isinstance(store_uri, (str, PathLike)):
            raise self._unusable_store(store_uri)
        self.options: options.Options = options.Options.read(
            functools.partial(self._look_up_setting, crawler.settings)
        )
        self.access: Access = self._access(crawler.settings)
        super().__init__(store_uri, download_func, crawler=crawler)
        self.thumbs: dict[str, tuple[int, int]] = self.options.thumbs or parse(
            values.THUMBS, f"{type(self).__name__}.THUMBS", self.thumbs
        )
        self._check_names()
        self.renditions: dict[str, imaging.Variant] = self._renditions()
        self.full_image: imaging.Variant | str = self._full_image()
        self._check_found()
        self._hosts, self._opt_out = self._guards()
        self.workers: Workers = self._workers()
        near = self.options.near_duplicates
        self.knowledge: Knowledge = Knowledge(self._index(store_uri), self.workers, near)
        report = self.options.report or ""
        index = self.knowledge.index
        self.sharing: Sharing = Sharing(self._leases(index), index, self.workers, crawler)
        self.reporting: Reporting = Reporting.of(crawler, report, self.options.item_key)
        self._measured_by = self.measures
        self._placeholders = tasks.PlaceholderRules(
            self.options.placeholders != "off",
            self.options.placeholders == "refuse",
            self.options.placeholder_digests,
            self.options.placeholder_urls,
        )
        self._has_http_cache = crawler.settings.getbool("HTTPCACHE_ENABLED")
        self.turns: Turns = Turns.of(crawler, self.options.budget, self.options.most_workers)
        self.retries: Retries = Retries(crawler, self.workers, self.options.retries)
        self.hops: Hops = Hops.of(crawler)
        self.priorities: Priorities = Priorities(self.turns)
        self.watching: Watching = Watching.of(crawler, on_terminal=self.options.progress)
        crawler.signals.connect(self._spider_opened, signals.spider_opened)
        crawler.signals.connect(self._spider_closed, signals.spider_closed)

    # --- start and end ---

    def _spider_opened(self) -> None:
        watch_pages(self.crawler)
        self.turns.spider_opened()
        self.hops.spider_opened()
        self.spiderinfo.downloaded = LatestResults(self.options.cache_size)

    async def _spider_closed(self) -> None:
        """End the workers and sum up; a signal, since subclasses own ``close_spider``."""
        await self.reporting.close()
        await self.knowledge.drained()
        await self.sharing.close()
        index = self.knowledge.index
        await self.workers.close(index.close if index is not None else None)
        self.watching.sum_up()

    # --- is it stored already? ---

    def media_to_download(
        self, request: Request, info: MediaPipeline.SpiderInfo, *, item: Any = None
    ) -> Deferred[FileInfo | None]:
        """Find *request* in the store; None means download.

        Thumbnails that are missing are made from the stored full image, without
        network. A file that is empty, cut off or no image is not found.
        """
        return deferred_from_coro(self._find(request, info, item))

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
        if is_heard(_logger, logging.DEBUG):
            _logger.debug(
                "File (%(status)s): Downloaded file from %(request)s referred in <%(referer)s>",
                {"status": status, "request": shown(request), "referer": referrer(request)},
                extra={"spider": info.spider},
            )
        self.inc_stats(status)
        self.crawler.stats.inc_value(stats.BYTES_IN, len(response.body))
        try:
            work = self._work(request)
            work.path = await self._full_path(request, response, info, item)
            if inspect.iscoroutinefunction(self.thumb_path):
                work.thumbs = await self._thumb_paths(request, response, info, item)
            checksum = await ensure_awaitable(
                call(self.file_downloaded, response, request, info, item=item)
            )
        except ImagePipeError as error:
            raise translate(error) from None
        return self._result(request, work, status, checksum)

    async def file_downloaded(
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
        self._count_written(saved.files, saved.written)
        work = self._work(request)
        work.saved, work.written = saved, saved.written
        work.rendering, work.storing = saved.rendering, saved.storing
        return saved.checksum

    # --- the chain that users override ---

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
            path = self._path_for_chain(request, response, info, item)
            most = imaging.check_header(response.body, self._plan(), whole=True)
            with imaging.open_image(response.body, self.options.formats, most) as opened:
                image = imaging.upright(opened)
                if image is opened:  # users get a plain image, as from Scrapy, not a file's
                    image = opened.copy()
                    image.format = opened.format
                imaging.check_size(*image.size, self.min_width, self.min_height)
                image, buffer = self._finished(
                    self.convert_image(image, response_body=BytesIO(response.body))
                )
                yield path, image, buffer
                for name, size in self.thumbs.items():
                    path = self._path_for_chain(request, response, info, item, name)
                    made = self._finished(self.convert_image(image, size, response_body=buffer))
                    yield path, *made
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
        """Return where the full image goes: ``full/<SHA-1 of the URL>.jpg``.

        Where it is no JPEG, it has the extension of its format; of one that the source
        decides, once there is a response.
        """
        return paths.image_path(request.url, self._extension(self.full_image, response))

    def thumb_path(
        self,
        request: Request,
        thumb_id: str,
        response: Response | None = None,
        info: MediaPipeline.SpiderInfo | None = None,
        *,
        item: Any = None,
    ) -> str:
        """Return where a thumbnail goes: ``thumbs/<thumb_id>/<SHA-1 of the URL>.jpg``.

        A rendition in another format has the extension of that.
        """
        variant = self.renditions.get(thumb_id)
        extension = ".jpg" if variant is None else self._extension(variant, response)
        return paths.thumb_path(request.url, thumb_id, extension)

    def item_completed(
        self, results: list[FileInfoOrError], item: Any, info: MediaPipeline.SpiderInfo
    ) -> Any:
        """Put the results into the item's field, in the order of its URLs.

        Failed ones are left out; with ``IMGPIPE_KEEP_FAILED`` each leaves a slot
        with its outcome code and reason.
        """
        keep = self.options.keep_failed
        images: list[Any] = [
            slot_of(value, getattr(value, "imgpipe_url", ""))
            if isinstance(value, Failure)
            else value
            for ok, value in results
            if ok or keep
        ]
        with suppress(KeyError):
            ItemAdapter(item)[self.images_result_field] = images
        return item


for _name in OURS:
    OURS[_name] = getattr(ImagesPipeline, _name)
