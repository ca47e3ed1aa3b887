"""Collects products with a pipeline of the project's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shop.items import ProductItem
from shop.settings import OUTPUT
from shop.site.server import DEFAULT_PORT, HOST
from shop.spiders.paged import PagedSpider, image_urls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parsel import Selector
    from scrapy.http import HtmlResponse

PRODUCT = '[itemtype$="schema.org/Product"], li.product, article.product_pod'
"""schema.org microdata, then the marks of two widespread kinds of shop pages."""


class ShopSpider(PagedSpider):
    """One item per product; a page without marked products counts as one product."""

    name = "shop"
    default_start_url = f"http://{HOST}:{DEFAULT_PORT}/shop/index.html"
    custom_settings = {  # noqa: RUF012 (Scrapy's own way)
        "ITEM_PIPELINES": {"shop.pipelines.MyImagesPipeline": 1},
        "IMAGES_STORE": OUTPUT / "shop",
        "IMGPIPE_INDEX": OUTPUT / "shop.index.sqlite",
    }

    def items(self, response: HtmlResponse) -> Iterator[Any]:
        """Yield the products of a page that have images."""
        for scope in response.css(PRODUCT) or [response.selector]:
            urls = image_urls(response, scope)
            if urls:
                yield ProductItem(
                    url=response.url,
                    name=product_name(scope),
                    price=product_price(scope),
                    image_urls=urls,
                )


def product_name(scope: Selector) -> str:
    """Return the product's name, or an empty text."""
    for path in ("[itemprop=name]::text", "h3 a::attr(title)", "h1::text, h2::text, h3::text"):
        text = scope.css(path).get("").strip()
        if text:
            return text
    return ""


def product_price(scope: Selector) -> str:
    """Return the price as the page has it, or an empty text."""
    for path in ("[itemprop=price]::attr(content)", "[itemprop=price]::text", ".price_color::text"):
        text = scope.css(path).get("").strip()
        if text:
            return text
    return " ".join("".join(scope.css(".price ::text").getall()).split())
