"""Classes derived from a user's pipeline, for what a list needs; they keep its name.

Settings of a class (``MYPIPELINE_IMAGES_EXPIRES``) go by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any

from scrapy.utils.defer import ensure_awaitable

from scrapy_imgpipe.fetching.wires import NUMBER
from scrapy_imgpipe.pipeline import ImagesPipeline
from scrapy_imgpipe.variants import Variant


def followed(
    kind: type[ImagesPipeline], ended: Callable[[ImagesPipeline, Any], None]
) -> type[ImagesPipeline]:
    """Return a class derived from *kind* that tells when an item has ended.

    However it ends: hooks may raise, and may give back an item that nobody knows again.

    Args:
        kind: a pipeline.
        ended: called with it and the number of the item's line, once for each item.
    """
    needs_spider = _needs_spider(kind.process_item)

    async def process_item(self: Any, item: Any, spider: object = None) -> Any:
        number = item[NUMBER]
        given = (item, spider or self.crawler.spider) if needs_spider else (item,)
        try:
            return await ensure_awaitable(kind.process_item(self, *given))
        finally:
            ended(self, number)

    return _derived(kind, {"process_item": process_item})


def numbered(kind: type[ImagesPipeline]) -> type[ImagesPipeline]:
    """Return a class derived from *kind* whose paths are the numbers of lines.

    For who takes the files on at once.
    """

    def file_path(
        self: Any,
        request: Any,  # noqa: ARG001 - as Scrapy calls it; here and below
        response: Any = None,
        info: Any = None,  # noqa: ARG001
        *,
        item: Any = None,
    ) -> str:
        return f"{item[NUMBER]}{self._extension(self.full_image, response)}"

    def thumb_path(  # noqa: PLR0913
        self: Any,
        request: Any,  # noqa: ARG001
        thumb_id: str,
        response: Any = None,
        info: Any = None,  # noqa: ARG001
        *,
        item: Any = None,
    ) -> str:
        variant: Variant | None = self.renditions.get(thumb_id)
        extension = ".jpg" if variant is None else self._extension(variant, response)
        return f"{item[NUMBER]}.{thumb_id}{extension}"

    return _derived(kind, {"file_path": file_path, "thumb_path": thumb_path})


def _derived(kind: type[ImagesPipeline], hooks: Mapping[str, Any]) -> type[ImagesPipeline]:
    return type(kind.__name__, (kind,), {**hooks, "__module__": kind.__module__})


def _needs_spider(hook: Any) -> bool:
    spider = signature(hook).parameters.get("spider")
    return spider is not None and spider.default is Parameter.empty
