"""What both spiders share: a start URL, the way from page to page, image URLs.

Nothing here knows the example's own site: the same rules serve any shop or
gallery whose pages are plain HTML.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from scrapy import Spider
from scrapy.http import HtmlResponse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parsel import Selector
    from scrapy import Request
    from scrapy.http import Response

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif")


class PagedSpider(Spider):
    """Visits a page and those that follow it on the same host.

    Args:
        start_url: the first page; a live site's, or one of the example's own.
        max_pages: where to stop; a whole number as text, as Scrapy's `-a` gives it.
    """

    default_start_url = ""

    def __init__(self, start_url: str = "", max_pages: str = "50", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start_urls = [start_url or self.default_start_url]
        self.max_pages = int(max_pages)

    def parse(self, response: Response, page: int = 1) -> Iterator[Any]:
        """Yield the items of a page, then the request for the next one."""
        if not isinstance(response, HtmlResponse):
            self.logger.warning("%s is not an HTML page; nothing to see there", response.url)
            return
        yield from self.items(response)
        if page < self.max_pages:
            yield from next_page(response, page + 1)

    def items(self, response: HtmlResponse) -> Iterator[Any]:
        """Yield what one page shows."""
        raise NotImplementedError


def next_page(response: HtmlResponse, number: int) -> Iterator[Request]:
    """Yield the request for the page that *response* names as its next, if it is on this host."""
    link = response.css("link[rel~=next], a[rel~=next], a.next, .next a").attrib.get("href", "")
    for url in absolute(response, [link] if link else []):
        if urlsplit(url).netloc == urlsplit(response.url).netloc:
            yield response.follow(url, cb_kwargs={"page": number})


def image_urls(response: HtmlResponse, scope: Selector) -> list[str]:
    """Return the URLs of the images shown or linked in *scope*, a part of *response*.

    Each once, in the order of the page; `data:` images are left out.
    """
    links = []
    for element in scope.css("img[src], a[href]"):
        shown, linked = element.attrib.get("src"), element.attrib.get("href", "")
        if shown:
            links.append(shown)
        elif linked.lower().partition("?")[0].endswith(IMAGE_SUFFIXES):
            links.append(linked)
    return absolute(response, links)


def absolute(response: HtmlResponse, links: list[str]) -> list[str]:
    """Return *links* as absolute HTTP URLs, each once; what is no URL is left out."""
    urls: dict[str, None] = {}
    base = response.urljoin("")
    for link in links:
        try:
            url = urljoin(base, link.strip())
        except ValueError:
            continue
        if url.startswith(("http://", "https://")):
            urls[url] = None
    return list(urls)
