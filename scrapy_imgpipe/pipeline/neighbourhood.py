"""Where hosts are: their addresses, and whether the crawl's pages are public or private.

One per crawl. Browsers keep public sites out of private networks
(wicg.github.io/local-network-access); so does a crawl, as soon as one of its pages has come
from a public address.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from scrapy import signals
from scrapy.exceptions import CannotResolveHostError
from scrapy.http.request import NO_CALLBACK

from scrapy_imgpipe.compat.downloader import TICKET
from scrapy_imgpipe.compat.resolving import addresses_of
from scrapy_imgpipe.guards import Address, HostRules, address_in, is_public
from scrapy_imgpipe.pipeline.latest import LatestResults

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scrapy.crawler import Crawler
    from scrapy.http import Request, Response

#: How long the addresses of a host are remembered, in seconds, and of how many hosts.
#: Long enough that a page of images asks once, short enough for who moves.
REMEMBERED_SECONDS = 60.0
REMEMBERED_HOSTS = 10_000

#: Of how many hosts whose pages have no address (they came from a cache) one is looked for.
_MOST_UNKNOWN = 100

_logger = logging.getLogger(__name__)


class Neighbourhood:
    """Answers whether a host may be asked, from one crawl.

    Args:
        crawler: whose pages count.
    """

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._known: LatestResults[str, tuple[float, tuple[Address, ...]]] = LatestResults(
            REMEMBERED_HOSTS
        )
        self._unknown: dict[str, None] = {}  # hosts of pages without an address, in order
        self._is_public = self._said = False
        #: Whether images count as pages do: a list has none.
        self.counts_sources = False
        crawler.signals.connect(self._page_came, signals.response_received)

    def _page_came(self, response: Response, request: Request) -> None:
        is_page = TICKET not in request.meta and request.callback is not NO_CALLBACK
        if self._is_public or not (is_page or self.counts_sources):
            return
        host = urlsplit(response.url).hostname
        if host is None:  # data:, file:
            return
        address: Any = address_in(host) or response.ip_address
        if request.meta.get("proxy"):  # that address is the proxy's
            self._is_public = is_public(address) if address_in(host) else "." in host
        elif address is not None:
            self._is_public = is_public(address)
        elif len(self._unknown) < _MOST_UNKNOWN:
            self._unknown[host] = None

    async def check(self, url: str, meta: Mapping[str, Any], rules: HostRules) -> None:
        """Look up the host of *url*, and refuse it by name or address.

        Args:
            url: that is about to be asked for.
            meta: of the request; behind a proxy names decide alone.
            rules: for hosts.

        Raises:
            SourceRejected: ``url-not-allowed`` or ``address-not-allowed``.
            CannotResolveHostError: it has no address.
        """
        host = urlsplit(url).hostname or ""
        if url.startswith("s3:"):  # the host that Scrapy's handler makes of it
            rules.check_name(f"{host}.s3.amazonaws.com", resolved=False)
            return
        proxied = bool(meta.get("proxy"))
        rules.check_name(host, resolved=not proxied)
        if self._all_go(rules):
            return
        if proxied:
            self._say_proxied(rules)
            return
        literal = address_in(host)
        addresses = await self._addresses_of(host) if literal is None else (literal,)
        await self._judge(host, addresses, rules)

    async def check_answer(self, response: Response, request: Request, rules: HostRules) -> None:
        """Refuse a *response* that came from where nobody was to ask.

        Raises:
            SourceRejected: ``address-not-allowed``.
        """
        address: Any = response.ip_address
        if address is None or request.meta.get("proxy") or self._all_go(rules):
            return
        await self._judge(urlsplit(request.url).hostname or "", (address,), rules)

    def _all_go(self, rules: HostRules) -> bool:
        """Return whether no address would be refused just now."""
        if rules.private == "auto" and not (rules.allowed or rules.blocked):
            return not (self._is_public or self._unknown)
        return not rules.need_addresses

    async def _judge(self, host: str, addresses: tuple[Address, ...], rules: HostRules) -> None:
        private = rules.private == "allow" or all(map(is_public, addresses))
        if not private and rules.private == "auto":
            private = not await self._pages_are_public()
        rules.check_addresses(host, addresses, private=private)

    async def _pages_are_public(self) -> bool:
        """Return whether a page has come from a public address.

        Of pages from a cache nobody knows where they came from; one whose host has no
        address any more counts as public.
        """
        for host in list(self._unknown):  # others may look for the same meanwhile
            try:
                public = any(map(is_public, await self._addresses_of(host)))
            except CannotResolveHostError:
                public = "." in host
            self._is_public = self._is_public or public
            self._unknown.pop(host, None)
        return self._is_public

    async def _addresses_of(self, host: str) -> tuple[Address, ...]:
        now = time.monotonic()
        until, addresses = self._known.get(host, (0.0, ()))
        if until < now:
            addresses = await addresses_of(host)
            self._known[host] = now + REMEMBERED_SECONDS, addresses
        return addresses

    def _say_proxied(self, rules: HostRules) -> None:
        asked = rules.private == "deny" or rules.allowed or rules.blocked
        if not self._said:
            self._said = True
            _logger.log(
                logging.WARNING if asked else logging.INFO,
                "Addresses of images are not checked behind a proxy: it resolves them",
                extra={"spider": self._crawler.spider},
            )
