"""A crawler that will never crawl: for commands, which want what a crawl would build."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrapy.crawler import Crawler
from scrapy.utils.reactor import is_reactor_installed
from scrapy.utils.spider import DefaultSpider

if TYPE_CHECKING:
    from scrapy.settings import Settings


def crawler_at_rest(settings: Settings) -> Crawler:
    """Return a crawler of *settings* that can build components.

    Its settings are as add-ons make them; extensions are not built, and no reactor is
    installed. ``Crawler._apply_settings`` does that, which Scrapy's own ``get_crawler``
    (``scrapy.utils.test``) calls as well; nothing public does it without a crawl.
    """
    settings = settings.copy()
    without: dict[str, Any] = {
        "EXTENSIONS": {},
        "EXTENSIONS_BASE": {},
        "TWISTED_REACTOR": None,  # any will do
        "TWISTED_REACTOR_ENABLED": is_reactor_installed(),
    }
    settings.setdict(without, priority="cmdline")
    crawler = Crawler(DefaultSpider, settings)
    crawler._apply_settings()  # noqa: SLF001 - see above
    return crawler
