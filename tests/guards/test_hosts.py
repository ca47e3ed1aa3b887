"""Lists of hosts: names, addresses, networks."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from scrapy_imgpipe.errors import SourceRejected
from scrapy_imgpipe.guards import HostRules, network_or_name


def rules(allowed=(), blocked=(), private="allow"):
    return HostRules(
        tuple(map(network_or_name, allowed)), tuple(map(network_or_name, blocked)), private
    )


def refused(rules: HostRules, host: str, *addresses: str, private: bool = True) -> str:
    try:
        rules.check_name(host)
        rules.check_addresses(host, map(ip_address, addresses), private=private)
    except SourceRejected as error:
        refusal = error
    else:
        return ""
    assert host.lower().rstrip(".") in str(refusal).lower()
    return refusal.code


@pytest.mark.parametrize(
    ("entry", "meaning"),
    [
        ("Shop.Example", "shop.example"),
        ("*.shop.example", "shop.example"),
        (".shop.example.", "shop.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("localhost", "localhost"),
        ("10.0.0.0/8", ip_network("10.0.0.0/8")),
        ("10.0.0.1", ip_network("10.0.0.1/32")),
        ("2130706433", ip_network("127.0.0.1/32")),
        ("[::1]", ip_network("::1/128")),
        ("fd00::/8", ip_network("fd00::/8")),
    ],
)
def test_entries(entry, meaning):
    assert network_or_name(entry) == meaning


@pytest.mark.parametrize("entry", ["", "*", "a b", "http://a", "a/b", "10.0.0.1/8", "a..b", "-a"])
def test_no_entries(entry):
    with pytest.raises(ValueError):  # noqa: PT011 - each says it in its own words
        network_or_name(entry)


def test_without_lists_all_public_hosts_are_asked():
    assert not refused(rules(), "shop.example", "8.8.8.8")
    assert not rules().need_addresses
    assert not rules(blocked=["ads.example"]).need_addresses
    assert rules(blocked=["10.0.0.0/8"]).need_addresses
    assert rules(private="auto").need_addresses


@pytest.mark.parametrize("host", ["ads.example", "cdn.ads.example", "ADS.example", "ads.example.."])
def test_blocked_names_and_all_below_them(host):
    assert refused(rules(blocked=["ads.example"]), host) == "url-not-allowed"
    assert not refused(rules(blocked=["ads.example"]), "my-ads.example")


def test_only_allowed_names_and_all_below_them():
    allowed = rules(allowed=["shop.example"])
    assert not refused(allowed, "shop.example")
    assert not refused(allowed, "img.shop.example.")
    assert refused(allowed, "shop.example.evil.example") == "url-not-allowed"
    assert refused(allowed, "evilshop.example") == "url-not-allowed"


def test_networks_count_for_what_a_name_resolves_to():
    lists = rules(allowed=["10.0.0.0/8"], blocked=["10.1.0.0/16"])
    assert not refused(lists, "cdn.example", "10.2.0.1", private=False)
    assert refused(lists, "cdn.example", "10.1.0.1") == "address-not-allowed"
    assert refused(lists, "cdn.example", "8.8.8.8") == "address-not-allowed"
    assert refused(lists, "cdn.example", "10.2.0.1", "8.8.8.8") == "address-not-allowed"
    assert not refused(lists, "cdn.example", "::ffff:10.2.0.1", private=False)


@pytest.mark.parametrize(
    "address",
    [
        "::ffff:10.0.0.1",
        "::ffff:0:a00:1",
        "64:ff9b::a00:1",
        "64:ff9b:1::a00:1",
        "64:ff9b:1:a00:0:100::",  # RFC 6052, 2.2: a prefix of 48 bits, of 56 and of 64
        "64:ff9b:1:a:0:1::",
        "64:ff9b:1:0:a:0:100::",
        "2002:a00:1::",
        "2001:0:a00:1::",
        "2001:0:808:808::f5ff:fffe",
        "2606:4700::5efe:a00:1",
        "::10.0.0.1",
    ],
)
def test_a_blocked_network_is_blocked_inside_of_ipv6(address):
    blocked = rules(blocked=["10.0.0.0/8"])
    assert refused(blocked, "cdn.example", address) == "address-not-allowed"
    with pytest.raises(SourceRejected):  # behind a proxy
        blocked.check_name(f"[{address}]", resolved=False)
    assert not refused(rules(blocked=["11.0.0.0/8"]), "cdn.example", address)


@pytest.mark.parametrize("address", ["64:ff9b::a00:1", "2002:a00:1::", "::10.0.0.1"])
def test_an_allowed_network_is_not_allowed_inside_of_ipv6(address):
    allowed = rules(allowed=["10.0.0.0/8"])
    assert refused(allowed, "cdn.example", address, private=False) == "address-not-allowed"


def test_a_name_that_is_allowed_may_not_be_private_by_that_alone():
    named = rules(allowed=["shop.example"])
    assert not refused(named, "shop.example", "8.8.8.8", private=False)
    assert refused(named, "shop.example", "10.0.0.1", private=False) == "address-not-allowed"
    both = rules(allowed=["shop.example", "10.0.0.0/8"])
    assert not refused(both, "shop.example", "10.0.0.1", private=False)


def test_one_private_address_among_others_is_enough():
    strict = rules(private="deny")
    assert not refused(strict, "shop.example", "8.8.8.8", "2606:4700::1", private=False)
    assert refused(strict, "shop.example", "8.8.8.8", "127.0.0.1", private=False)
    assert refused(strict, "127.0.0.1", "127.0.0.1", private=False) == "address-not-allowed"


def test_behind_a_proxy_only_names_and_addresses_in_urls_decide():
    lists = rules(allowed=["shop.example", "10.0.0.0/8"])
    lists.check_name("shop.example", resolved=False)
    lists.check_name("10.0.0.7", resolved=False)
    with pytest.raises(SourceRejected):
        rules(blocked=["10.0.0.0/8"]).check_name("10.0.0.1", resolved=False)
    for host in ("other.example", "8.8.8.8"):
        with pytest.raises(SourceRejected) as caught:
            lists.check_name(host, resolved=False)
        assert caught.value.code == "url-not-allowed"
