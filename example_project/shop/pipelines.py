"""A pipeline of the project's own, on top of the library's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from itemadapter import ItemAdapter
from scrapy import Request
from scrapy.exceptions import DropItem

from scrapy_imgpipe import ImagesPipeline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrapy.pipelines.media import MediaPipeline


class MyImagesPipeline(ImagesPipeline):
    """The custom images pipeline of Scrapy's documentation; only the import differs.

    Puts the paths of the stored images into `image_paths` and drops an item of
    which no image could be stored.
    """

    def get_media_requests(  # type: ignore[override]  # Scrapy takes a generator, its types do not
        self,
        item: Any,
        info: MediaPipeline.SpiderInfo,  # noqa: ARG002
    ) -> Iterator[Request]:
        """Ask for every URL in `image_urls`."""
        for url in ItemAdapter(item)["image_urls"]:
            yield Request(url)

    def item_completed(
        self,
        results: list[Any],
        item: Any,
        info: MediaPipeline.SpiderInfo,  # noqa: ARG002
    ) -> Any:
        """Keep the paths of what was stored, or drop the item."""
        paths = [result["path"] for stored, result in results if stored]
        if not paths:
            message = "None of its images could be stored"
            raise DropItem(message)
        ItemAdapter(item)["image_paths"] = paths
        return item
