"""The early no. Never to a URL that Scrapy would download."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scrapy import Request
from w3lib.url import safe_url_string

from scrapy_imgpipe.errors import SourceRejected
from scrapy_imgpipe.guards import check_entry, check_url

ALLOWED = frozenset({"http", "https"})


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a.jpg",
        "https://example.com",
        "https://example.com?a=b",
        "https://example.com#a",
        "HTTP://EXAMPLE.com/a.jpg",
        "http://localhost:8998/a.jpg",
        "http://h:1/",
        "http://h:65535/",
        "http://h:00080/",
        "http://h:/a.jpg",
        "http://user:p%40ss@h:80/a.jpg",
        "http://user@name@h/a.jpg",
        "http://127.0.0.1/a.jpg",
        "http://[::1]/a.jpg",
        "http://[2001:db8::1]:8080/a.jpg",
        "http://[fe80::1%25eth0]/a.jpg",
        "http://[v1.x]/a.jpg",
        "http://under_score.example/a.jpg",
        "http://exämple.com/bild ü.jpg",
        "http://example.com/a b[1].jpg?x={y}|z",
        "http://example.com/?next=//x:y@z",
        " http://example.com/a.jpg\r\n",
        "\x00\x1fhttp://example.com/a.jpg",
        "ht\ntp://exam\tple.com/a.jpg",
        "http:\\\\example.com\\a.jpg",
        "http://example.com\\a.jpg",
    ],
)
def test_passes_what_scrapy_would_download(url: str) -> None:
    check_url(url, ALLOWED)
    check_url(Request(url).url, ALLOWED)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", "an absolute URL"),
        ("  \n", "an absolute URL"),
        ("a.jpg", "an absolute URL"),
        ("/a.jpg", "an absolute URL"),
        ("//cdn.example.com/a.jpg", "an absolute URL"),
        ("?a=http://x/", "an absolute URL"),
        ("example.com/a.jpg", "an absolute URL"),
        ("example.com:8080/a.jpg", "an absolute URL"),
        ("localhost:8080/a.jpg", "an absolute URL"),
        ("\xa0http://example.com/", "an absolute URL"),
        ("\ufeffhttp://example.com/", "an absolute URL"),
        ("http ://example.com/", "an absolute URL"),
        ("http:a.jpg", "'//' and a host after the scheme"),
        ("http:/example.com/a.jpg", "'//' and a host after the scheme"),
        ("http:a?b=http://x/", "'//' and a host after the scheme"),
        ("http://", "a host"),
        ("http:///a.jpg", "a host"),
        ("http://?a", "a host"),
        ("http://#a", "a host"),
        ("http://:80/a.jpg", "a host"),
        ("http://user@/a.jpg", "a host"),
        ("http://user@:80/a.jpg", "a host"),
        ("http://h:0/", "a port between 1 and 65535"),
        ("http://h:000/", "a port between 1 and 65535"),
        ("http://h:65536/", "a port between 1 and 65535"),
        ("http://h:" + "9" * 40, "a port between 1 and 65535"),
        ("http://h:-1/", "a port between 1 and 65535"),
        ("http://h:8o/", "a port between 1 and 65535"),
        ("http://h:80:80/", "a port between 1 and 65535"),
        ("http://h:٣/", "a port between 1 and 65535"),
        ("http://::1/a.jpg", "a host"),
        ("http://[::1/a.jpg", "an IPv6 address in brackets"),
        ("http://::1]/a.jpg", "an IPv6 address in brackets"),
        ("http://[]/a.jpg", "an IPv6 address in brackets"),
        ("http://[1.2.3.4]/a.jpg", "an IPv6 address in brackets"),
        ("http://[::1]x/a.jpg", "an IPv6 address in brackets"),
        ("http://x[::1]/a.jpg", "an IPv6 address in brackets"),
        ("http://h h/a.jpg", "a host without spaces and control characters"),
        ("http:// /a.jpg", "a host without spaces and control characters"),
        ("http://h\x00h/a.jpg", "a host without spaces and control characters"),
        ("http://h\x7fh/a.jpg", "a host without spaces and control characters"),
        ("http://h\u3000h/a.jpg", "a host without spaces and control characters"),
        ("http://example.com\uff0fevil/", "a host that stays the same when normalised"),
        ("http://\u2100.com/", "a host that stays the same when normalised"),
        ("http://example.com/\ud800.jpg", "a URL that UTF-8 can express"),
    ],
)
def test_refuses_what_cannot_be_asked_for(url: str, expected: str) -> None:
    with pytest.raises(SourceRejected) as caught:
        check_url(url, ALLOWED)
    assert caught.value.code == "bad-url"
    assert str(caught.value).startswith(f"Expected {expected} but received ")
    assert str(caught.value).endswith(" of type str")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("url", "scheme"),
    [
        ("file:///etc/passwd", "file"),
        ("FILE:///etc/passwd", "file"),
        (" fi\tle:/etc/passwd", "file"),
        ("file:\\etc\\passwd", "file"),
        ("data:image/png;base64,AAAA", "data"),
        ("ftp://example.com/a.jpg", "ftp"),
        ("s3://bucket/a.jpg", "s3"),
        ("javascript:alert(1)", "javascript"),
        ("about:blank", "about"),
        ("gopher://h:70/", "gopher"),
        ("example.com://x", "example.com"),
    ],
)
def test_refuses_other_schemes(url: str, scheme: str) -> None:
    with pytest.raises(SourceRejected) as caught:
        check_url(url, ALLOWED)
    assert caught.value.code == "url-not-allowed"
    assert (
        str(caught.value) == f"The scheme {scheme!r} of {url!r} is not in IMGPIPE_ALLOWED_SCHEMES"
    )


def test_the_allowed_schemes_are_the_users() -> None:
    with pytest.raises(SourceRejected, match="scheme 'http' of"):
        check_url("http://example.com/a.jpg", {"https"})
    check_url("data:image/png;base64,AAAA", {"data"})
    check_url("file:///srv/a.jpg", {"file"})
    check_url("s3://bucket/a.jpg", {"s3"})
    check_url("mine:///key", {"mine"})
    with pytest.raises(SourceRejected, match="Expected a host"):
        check_url("s3:///a.jpg", {"s3"})
    with pytest.raises(SourceRejected, match="Expected an absolute URL"):
        check_url("mine:key", {"mine"})


def test_a_long_url_is_not_repeated_whole() -> None:
    with pytest.raises(SourceRejected) as caught:
        check_url("data:" + "A" * 10_000_000, ALLOWED)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        (None, "None of type NoneType"),
        (5, "5 of type int"),
        (b"http://example.com/", "b'http://example.com/' of type bytes"),
        (["http://example.com/"], "['http://example.com/'] of type list"),
        ({"url": "x"}, "{'url': 'x'} of type dict"),
        ("", "'' of type str"),
        (" \n", "' \\n' of type str"),
    ],
)
def test_refuses_an_entry_that_is_no_url(entry: object, shown: str) -> None:
    with pytest.raises(SourceRejected) as caught:
        check_entry(entry)
    assert caught.value.code == "bad-url"
    assert str(caught.value) == f"Expected an absolute URL but received {shown}"


def test_returns_an_entry_as_it_is() -> None:
    assert check_entry(" http://example.com/a.jpg ") == " http://example.com/a.jpg "


PIECES = ["http:", "https:", "//", "/", "\\", "h", "ü", ".", ":", "80", "0", "@", "[", "]", "::1"]
PIECES += [
    "?",
    "#",
    " ",
    "\t",
    "\x00",
    "\x7f",
    "\u3000",
    "\uff0f",
    "\u2100",
    "\xad",
    "%41",
    "\ud800",
]


@settings(max_examples=500, deadline=None)
@given(st.text() | st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
@example("http://h:80@h:0/")
@example("http://[::1]:80:/")
def test_agrees_with_scrapy(url: str) -> None:
    try:
        check_url(url, ALLOWED)
    except SourceRejected:
        return
    # No surprise for who makes the request, and no other verdict on what is sent.
    request = Request(url)
    check_url(request.url, ALLOWED)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_refuses_only_what_has_no_usable_host(rest: str) -> None:
    try:
        safe = safe_url_string(f"http://{rest}")
    except ValueError:
        with pytest.raises(SourceRejected):
            check_url(f"http://{rest}", ALLOWED)
        return
    authority = safe.removeprefix("http://").partition("/")[0].partition("?")[0].partition("#")[0]
    host, _, port = authority.rpartition("@")[2].rpartition("]")[2].partition(":")
    host = host or authority.rpartition("@")[2].rpartition("]")[0]
    usable = host and not set(host) & set(" \x00\x7f\u3000") and (not port or int(port) > 0)
    if usable:
        check_url(f"http://{rest}", ALLOWED)


def test_long_urls_take_no_time():
    """Each took minutes with a step back at each character."""
    for url in ("x:" + "." * 1_000_000 + "/://", "a" * 1_000_000, "http:" + "/" * 1_000_000 + "@"):
        with pytest.raises(SourceRejected):
            check_url(url, ALLOWED)
