"""Which addresses are public: those that anybody on the Internet may be asked at.

A table of our own, because the one of Python's ``ipaddress`` changes with its version, and
knows nothing of an IPv4 address inside of an IPv6 address. From the registries of special
purpose addresses (iana.org/assignments/iana-ipv4-special-registry and
iana-ipv6-special-registry, RFC 6890); what is neither public nor in use counts as private.
"""

from __future__ import annotations

import functools
import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

_PRIVATE = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this host, RFC 791
            "10.0.0.0/8",  # private use, RFC 1918
            "100.64.0.0/10",  # behind a carrier's NAT, RFC 6598
            "127.0.0.0/8",  # loopback, RFC 1122
            "169.254.0.0/16",  # link-local, RFC 3927; clouds' metadata
            "172.16.0.0/12",  # private use
            "192.0.0.0/24",  # protocol assignments, RFC 6890
            "192.0.2.0/24",  # documentation, RFC 5737
            "192.88.99.0/24",  # relays of 6to4, RFC 7526
            "192.168.0.0/16",  # private use
            "198.18.0.0/15",  # benchmarks, RFC 2544
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast, RFC 5771
            "240.0.0.0/4",  # reserved, RFC 1112; broadcast
        ),
    )
)

_GLOBAL = IPv6Network("2000::/3")  # all that is given out, RFC 4291
_NOT_GLOBAL = (
    IPv6Network("2001::/23"),  # protocol assignments, RFC 2928
    IPv6Network("2001:db8::/32"),  # documentation, RFC 3849
    IPv6Network("3fff::/20"),  # documentation, RFC 9637
)
_MAPPED = IPv6Network("::ffff:0:0/96")  # RFC 4291, 2.5.5.2
_TRANSLATED = IPv6Network("::ffff:0:0:0/96")  # RFC 2765
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")  # RFC 8215
_COMPATIBLE = IPv6Network("::/96")  # RFC 4291, 2.5.5.1
_6TO4 = IPv6Network("2002::/16")  # RFC 3056
_TEREDO = IPv6Network("2001::/32")  # RFC 4380
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})  # RFC 5214, 6.1

_NUMBER = re.compile(r"(0[xX])?([0-9a-fA-F]*)")
_PARTS = 4


@functools.lru_cache(maxsize=4096)
def is_public(address: Address) -> bool:
    """Return whether *address* is one of the Internet.

    An IPv6 address that carries an IPv4 address (mapped, translated, NAT64, 6to4, Teredo,
    ISATAP) is as public as that.
    """
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _PRIVATE)
    inside, whole = _inside(address)
    if not whole and (address not in _GLOBAL or any(address in net for net in _NOT_GLOBAL)):
        return False
    return all(map(is_public, inside))


def _inside(address: IPv6Address) -> tuple[tuple[IPv4Address, ...], bool]:
    """Return the IPv4 addresses in *address*, and whether they are all that counts."""
    number = int(address)
    low = IPv4Address(number & 0xFFFFFFFF)
    if any(address in network for network in (_MAPPED, _TRANSLATED, _NAT64)):
        return (low,), True
    if address in _6TO4:
        return (IPv4Address(number >> 80 & 0xFFFFFFFF),), True
    if address in _TEREDO:  # the client's is written inverted
        return (IPv4Address(number >> 64 & 0xFFFFFFFF), IPv4Address(int(low) ^ 0xFFFFFFFF)), True
    return ((low,) if number >> 32 & 0xFFFFFFFF in _ISATAP else ()), False


def carried_by(address: Address) -> tuple[IPv4Address, ...]:
    """Return the IPv4 addresses that *address* carries, or may carry.

    Who connects to it may reach them. Where a network chooses their place in it, each place
    of RFC 6052, 2.2, is read.
    """
    if isinstance(address, IPv4Address):
        return ()
    number = int(address)
    if address in _COMPATIBLE:
        return (IPv4Address(number),)
    if address not in _LOCAL_NAT64:
        return _inside(address)[0]
    behind = (  # a prefix of 96 bits, of 64, 56 and 48; byte 8 is never used
        number,
        number >> 24,
        (number >> 64 & 0xFF) << 24 | number >> 32 & 0xFFFFFF,
        (number >> 64 & 0xFFFF) << 16 | number >> 40 & 0xFFFF,
    )
    return tuple(IPv4Address(each & 0xFFFFFFFF) for each in behind)


def address_in(host: str) -> Address | None:
    """Return the address that *host* is, or None where it is a name.

    Knows the forms that resolvers take for an IPv4 address as well: one number, fewer than
    four, octal and hexadecimal ones (the URL living standard's IPv4 parser; inet_aton(3)).

    Args:
        host: of a URL, brackets and a dot at its end allowed.
    """
    host = host.removeprefix("[").removesuffix("]")
    try:
        return ip_address(host)
    except ValueError:
        return _of_numbers(host.removesuffix("."))


def _of_numbers(host: str) -> IPv4Address | None:
    parts = host.split(".")
    if not host or len(parts) > _PARTS:
        return None
    numbers = [_number(part) for part in parts]
    *firsts, last = numbers
    if last is None or last >= 256 ** (_PARTS - len(firsts)):
        return None
    value = last
    for place, first in enumerate(firsts):
        if first is None or first > 0xFF:  # noqa: PLR2004 - a byte
            return None
        value += first << 8 * (_PARTS - 1 - place)
    return IPv4Address(value)


def _number(text: str) -> int | None:
    found = _NUMBER.fullmatch(text)
    if found is None or not text or len(text) > 64:  # noqa: PLR2004 - no IPv4 number is as long
        return None
    prefix, digits = found.groups()
    base = 16 if prefix else 8 if len(digits) > 1 and digits[0] == "0" else 10
    try:
        return int(digits or "0", base) if digits or prefix else None
    except ValueError:
        return None
