"""What a name resolves to, asked of the resolver that the downloader will ask.

With a reactor that is the one of ``DNS_RESOLVER``, and the answer is in Scrapy's cache
when the downloader connects (``DNSCACHE_ENABLED``); without one, asyncio's.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from scrapy.exceptions import CannotResolveHostError
from scrapy.utils.reactor import is_reactor_installed

from scrapy_imgpipe.promises import Promise, keep, new_promise

if TYPE_CHECKING:
    from scrapy_imgpipe.guards import Address


class _Receiver:
    """Gathers what a resolver of Twisted finds, and keeps a promise with it.

    An ``IResolutionReceiver`` (``twisted.internet.interfaces``).
    """

    def __init__(self) -> None:
        self.found: Promise = new_promise()
        self._hosts: list[str] = []

    def resolutionBegan(self, resolutionInProgress: object) -> None:  # noqa: N802, N803 - Twisted's
        """Do nothing."""

    def addressResolved(self, address: Any) -> None:  # noqa: N802
        self._hosts.append(address.host)

    def resolutionComplete(self) -> None:  # noqa: N802
        keep(self.found, self._hosts)


async def addresses_of(host: str) -> tuple[Address, ...]:
    """Return all addresses of *host*, a name.

    Raises:
        CannotResolveHostError: it has none. The downloader says the same of such a host,
            and Scrapy tries again.
    """
    try:
        hosts = await _hosts_of(host)
    except (OSError, UnicodeError):
        hosts = []
    if not hosts:
        raise CannotResolveHostError(f"DNS lookup failed: {host}")
    return tuple(ip_address(found) for found in dict.fromkeys(hosts))


async def _hosts_of(host: str) -> list[str]:
    if not is_reactor_installed():
        loop = asyncio.get_running_loop()
        answers = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return [str(address[0]) for *_, address in answers]
    from twisted.internet import reactor  # noqa: PLC0415 - importing it installs one

    receiver = _Receiver()
    resolver: Any = reactor.nameResolver
    resolver.resolveHostName(receiver, host)
    hosts: list[str] = await receiver.found
    return hosts
