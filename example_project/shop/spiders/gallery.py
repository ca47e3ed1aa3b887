"""Collects the images of web pages with the library's pipeline as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shop.items import PageItem
from shop.settings import OUTPUT
from shop.site.server import DEFAULT_PORT, HOST
from shop.spiders.paged import PagedSpider, image_urls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrapy.http import HtmlResponse


class GallerySpider(PagedSpider):
    """One item per page, with every image the page shows or links to."""

    name = "gallery"
    default_start_url = f"http://{HOST}:{DEFAULT_PORT}/gallery/index.html"
    custom_settings = {  # noqa: RUF012 (Scrapy's own way)
        "ITEM_PIPELINES": {"scrapy_imgpipe.ImagesPipeline": 1},
        "IMAGES_STORE": OUTPUT / "gallery",
        "IMGPIPE_INDEX": OUTPUT / "gallery.index.sqlite",
        "IMGPIPE_RECORD": ["mean_brightness"],
        "IMAGES_THUMBS": {"small": (50, 50), "big": (270, 270)},
    }

    def items(self, response: HtmlResponse) -> Iterator[Any]:
        """Yield one item, or none for a page without images."""
        urls = image_urls(response, response.selector)
        if urls:
            title = response.css("title::text").get("").strip()
            yield PageItem(url=response.url, title=title, image_urls=urls)
