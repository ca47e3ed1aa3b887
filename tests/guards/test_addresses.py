"""Which addresses are public, in whatever form they are written."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrapy_imgpipe.guards import address_in, is_public


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.0.0.1",
        "128.0.0.1", "169.253.0.1", "172.15.255.255", "172.32.0.0", "192.167.1.1", "198.20.0.1",
        "223.255.255.255", "2606:4700::1111", "2a00:1450:4001::1", "3ffe::1",
        "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1", "::ffff:0:808:808",
        "2001:0:808:808:0:0:f7f7:f7f7", "2a00::5efe:808:808", "2a00::200:5efe:808:808",
    ],
)  # fmt: skip
def test_public(address):
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1",
        "127.255.255.255", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1",
        "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
        "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "fec0::1", "ff02::1",
        "2001:db8::1", "3fff::1", "2001:2::1", "2001:20::1", "100::1", "5f00::1",
        "64:ff9b:1::8.8.8.8", "::8.8.8.8",
        "::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::10.0.0.1", "2002:7f00:1::",
        "2002:a00:1::8.8.8.8", "::ffff:0:7f00:1",
        "2001:0:7f00:1:0:0:f7f7:f7f7",  # its server
        "2001:0:808:808:0:0:80ff:fffe",  # its client, 127.0.0.1 inverted
        "2a00::5efe:10.0.0.1", "2a00::200:5efe:127.0.0.1",
    ],
)  # fmt: skip
def test_not_public(address):
    assert not is_public(ip_address(address))


@given(st.integers(0, 2**32 - 1))
def test_an_address_inside_of_another_is_as_public_as_it_is_alone(number):
    inside = IPv4Address(number)
    for prefix in ("::ffff:0:0", "64:ff9b::"):
        assert is_public(IPv6Address(int(IPv6Address(prefix)) | number)) == is_public(inside)
    assert is_public(IPv6Address(0x2002 << 112 | number << 80)) == is_public(inside)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0X7F.1", "127.0.0.1"),
        ("0177.0.0.01", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("127.0.1", "127.0.0.1"),
        ("10.65535", "10.0.255.255"),
        ("0", "0.0.0.0"),
        ("0x", "0.0.0.0"),
        ("0xA9FEA9FE", "169.254.169.254"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("[::FFFF:7f00:1]", "::ffff:127.0.0.1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
    ],
)
def test_addresses_in_all_their_forms(host, address):
    assert address_in(host) == ip_address(address)


@pytest.mark.parametrize(
    "host",
    [
        "", ".", "example.com", "1.example", "1.2.3.4.5", "256.1", "1.256.1.1", "1.2.3.256",
        "4294967296", "08", "0x1g", "-1", "1..2", "a", "1e3", "0" * 65, "\u0663", "[v1.x]",
    ],
)  # fmt: skip
def test_names(host):
    assert address_in(host) is None


@given(st.lists(st.integers(0, 2**33), min_size=1, max_size=5), st.data())
def test_what_the_system_takes_for_an_address_is_one(numbers, data):
    forms = [data.draw(st.sampled_from([str, hex, lambda n: f"0{n:o}"]))(n) for n in numbers]
    host = ".".join(forms)
    try:
        known = socket.inet_aton(host)
    except OSError:
        return
    assert address_in(host) == IPv4Address(known)


@given(st.text(max_size=40))
def test_any_text(text):
    address_in(text)
