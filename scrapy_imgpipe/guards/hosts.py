"""Which hosts may be asked: by their name, and by what it resolves to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, TypeAlias

from scrapy_imgpipe.errors import SourceRejected
from scrapy_imgpipe.guards.addresses import Address, address_in, carried_by, is_public

if TYPE_CHECKING:
    from collections.abc import Iterable

Network: TypeAlias = IPv4Network | IPv6Network

_NAME = re.compile(r"(?!-)[a-z0-9_-]+(\.[a-z0-9_-]+)*")


def network_or_name(entry: str) -> Network | str:
    """Return what *entry* of a list of hosts means: a network, or a name with all below it.

    An address is a network of one. A name may begin with ``*.`` or a dot and means the
    same then; other alphabets are allowed.

    Raises:
        ValueError: it is neither.
    """
    text = entry.strip().lower().removeprefix("[").removesuffix("]")
    address = address_in(text)
    if address is not None:
        return ip_network(address)
    if "/" in text:
        return ip_network(text)
    text = text.removeprefix("*").removeprefix(".").removesuffix(".")
    if not text.isascii():
        text = text.encode("idna").decode()
    if _NAME.fullmatch(text) is None:
        raise ValueError(entry)
    return text


@dataclass(frozen=True, slots=True)
class HostRules:
    """What the settings say of hosts.

    Attributes:
        allowed: nothing else is asked; empty allows all. A network in it may be private.
        blocked: never asked; an IPv4 address neither where an IPv6 address carries it.
        private: what about private addresses: ``allow``, ``deny``, or ``auto``, which is
            allow until a page has come from a public address.
    """

    allowed: tuple[Network | str, ...] = ()
    blocked: tuple[Network | str, ...] = ()
    private: str = "allow"

    @property
    def need_addresses(self) -> bool:
        """Whether the name of a host is not enough to decide."""
        entries = (*self.allowed, *self.blocked)
        return self.private != "allow" or any(not isinstance(entry, str) for entry in entries)

    def check_name(self, host: str, *, resolved: bool = True) -> None:
        """Refuse *host* where its name decides.

        Args:
            host: of a URL.
            resolved: whether :meth:`check_addresses` follows; it does not behind a proxy.

        Raises:
            SourceRejected: ``url-not-allowed``.
        """
        host = host.lower().rstrip(".")
        literal = None if resolved else address_in(host)
        if _names(self.blocked, host) or (literal is not None and _reach(literal, self.blocked)):
            raise _refused(host, "is in IMGPIPE_BLOCKED_HOSTS", "url-not-allowed")
        if resolved:  # its address may be in a network of them
            undecided = any(not isinstance(entry, str) for entry in self.allowed)
        else:
            undecided = literal is not None and _has(self.allowed, literal)
        if self.allowed and not undecided and not _names(self.allowed, host):
            raise _refused(host, "is not in IMGPIPE_ALLOWED_HOSTS", "url-not-allowed")

    def check_addresses(self, host: str, addresses: Iterable[Address], *, private: bool) -> None:
        """Refuse *host* where one of *addresses*, to which it resolves, decides.

        Args:
            host: as in the URL.
            addresses: all that may be connected to.
            private: whether private addresses are allowed just now.

        Raises:
            SourceRejected: ``address-not-allowed``.
        """
        named = not self.allowed or _names(self.allowed, host.lower().rstrip("."))
        for address in addresses:
            listed = _has(self.allowed, address)
            if _reach(address, self.blocked):
                raise _at(host, address, "is in IMGPIPE_BLOCKED_HOSTS")
            if not named and not listed:
                raise _at(host, address, "is not in IMGPIPE_ALLOWED_HOSTS")
            if not private and not listed and not is_public(address):
                raise _at(host, address, "is private (IMGPIPE_PRIVATE_ADDRESSES)")


def _names(entries: Iterable[Network | str], host: str) -> bool:
    return any(
        host == entry or host.endswith(f".{entry}") for entry in entries if isinstance(entry, str)
    )


def _has(entries: Iterable[Network | str], address: Address) -> bool:
    mapped = getattr(address, "ipv4_mapped", None)
    return any(
        address in entry or (mapped is not None and mapped in entry)
        for entry in entries
        if not isinstance(entry, str)
    )


def _reach(address: Address, entries: Iterable[Network | str]) -> bool:
    """Return whether who connects to *address* may reach one of *entries*."""
    return any(_has(entries, each) for each in (address, *carried_by(address)))


def _at(host: str, address: Address, why: str) -> SourceRejected:
    same = address_in(host) == address and str(address) == host
    return _refused(host if same else f"{host}, at {address},", why, "address-not-allowed")


def _refused(host: str, why: str, code: str) -> SourceRejected:
    return SourceRejected(f"Host {host} {why}", code)
