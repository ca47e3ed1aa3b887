"""How sources are named, and by what rules they are made: what hooks and settings say now.

Hooks are called through :mod:`.hooks`. Nothing here is looked for or made.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from scrapy.utils.defer import ensure_awaitable

from scrapy_imgpipe import imaging, tasks
from scrapy_imgpipe.freshness import Policy
from scrapy_imgpipe.pipeline.flow import SourceFlow
from scrapy_imgpipe.pipeline.hooks import call, checked, is_overridden
from scrapy_imgpipe.records import digest
from scrapy_imgpipe.store_adapter import far_store, native_store
from scrapy_imgpipe.variants import SOURCE

if TYPE_CHECKING:
    from scrapy.http import Request, Response
    from scrapy.pipelines.media import MediaPipeline

    from scrapy_imgpipe.pipeline.knowledge import Knowledge
    from scrapy_imgpipe.workers import Workers


class Naming(SourceFlow):
    """The part of the pipeline that knows names and rules."""

    workers: Workers
    knowledge: Knowledge
    _placeholders: tasks.PlaceholderRules
    _measured_by: tuple[imaging.Measure, ...] = ()
    _plan_known: tuple[tuple[Any, ...], imaging.Plan] | None = None
    _rules_known: tuple[tuple[Any, ...], tasks.Rules] | None = None

    def _rules(self) -> tasks.Rules:
        """Return what counts just now; users may change sizes while a crawl runs."""
        custom = is_overridden(self, "file_downloaded", "image_downloaded", "get_images")
        converts = is_overridden(self, "convert_image")
        kind = (self._plan(), self._policy(), self.store, custom, converts)
        if self._rules_known is None or self._rules_known[0] != kind:
            rules = tasks.Rules(
                *kind[:2],
                native_store(self.store),
                self.knowledge.index,
                any_content=custom or converts,
                any_size=converts,
                any_thumbs=custom,
                dedupe=self.options.dedupe == "content",
                placeholders=self._placeholders,
                measures=self._measured_by,
                gives_back=far_store(self.store) is not None,
            )
            self._rules_known = kind, rules
        return self._rules_known[1]

    def _plan(self) -> imaging.Plan:
        """Return what is to be made just now; the renditions stay the same for a crawl."""
        thumbs = tuple((str(name), *size) for name, size in self.thumbs.items())
        kind = (thumbs, self.min_width, self.min_height)
        if self._plan_known is None or self._plan_known[0] != kind:
            variants = (*(imaging.Variant(*thumb) for thumb in thumbs), *self.renditions.values())
            options = self.options
            plan = imaging.Plan(
                variants,
                *kind[1:],
                options.background,
                options.formats,
                self.full_image,
                options.strip_metadata,
                options.truncated == "keep",
                options.max_pixels,
                options.max_frames,
                options.max_aspect_ratio,
                options.min_side,
            )
            self._plan_known = kind, plan
        return self._plan_known[1]

    def _policy(self) -> Policy:
        options = self.options
        limits = _limits(
            self.min_width,
            self.min_height,
            options.formats,
            options.statuses,
            options.truncated,
            options.limits,
        )
        return _policy(self.expires, options.retry_failed_after, limits)

    async def _full_path(
        self,
        request: Request,
        response: Response | None,
        info: MediaPipeline.SpiderInfo,
        item: Any,
    ) -> str:
        path = call(self.file_path, request, response=response, info=info, item=item)
        return checked(path if isinstance(path, str) else await ensure_awaitable(path))

    async def _asked_path(self, request: Request, info: MediaPipeline.SpiderInfo, item: Any) -> str:
        """Return the path of the full image, empty where ``file_path`` needs a response to tell.

        A real mistake in it shows after the download.
        """
        if not is_overridden(self, "file_path"):
            return await self._full_path(request, None, info, item)
        try:
            path = call(self.file_path, request, response=None, info=info, item=item)
            path = path if isinstance(path, str) else await ensure_awaitable(path)
        except (AttributeError, TypeError, KeyError, IndexError):  # what None answers with
            return ""
        return "" if path is None else checked(path)

    async def _thumb_paths(
        self,
        request: Request,
        response: Response | None,
        info: MediaPipeline.SpiderInfo,
        item: Any,
    ) -> dict[str, str]:
        found = {}
        for name in (*self.thumbs, *self.renditions):
            path = call(self.thumb_path, request, name, response=response, info=info, item=item)
            found[str(name)] = checked(
                path if isinstance(path, str) else await ensure_awaitable(path)
            )
        return found

    async def _known_thumb_paths(
        self, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> dict[str, str] | None:
        """Return where thumbnails are; None where ``thumb_path`` needs a response to tell.

        Scrapy never calls it without one. A real mistake in it shows after the download.
        """
        if not is_overridden(self, "thumb_path"):
            if any(variant.format == SOURCE for variant in self.renditions.values()):
                return None
            return await self._thumb_paths(request, None, info, item)
        try:
            return await self._thumb_paths(request, None, info, item)
        except Exception:  # noqa: BLE001 - whatever it raises without one
            return None


@functools.lru_cache(maxsize=32)
def _limits(*limits: object) -> str:
    return digest(*limits)


@functools.lru_cache(maxsize=32)
def _policy(expires: int, retry_failed_after: float, limits: str) -> Policy:
    return Policy(expires, retry_failed_after, limits)
