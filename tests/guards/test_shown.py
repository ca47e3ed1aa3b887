"""What people see of URLs: no user and no password, and all else as it is."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scrapy import Request

from scrapy_imgpipe.guards import (
    credentials_in,
    shown_entry,
    shown_text,
    shown_url,
    shown_value,
    without_credentials,
)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://a.example/b.jpg", "http://a.example/b.jpg"),
        ("http://user:p%40ss@a.example/b.jpg?c=@d", "http://a.example/b.jpg?c=@d"),
        ("https://user@a.example:8443/", "https://a.example:8443/"),
        ("http://a.example/b@c.jpg", "http://a.example/b@c.jpg"),
        ("http://u:p@w:x@a.example/", "http://a.example/"),
        ("http:\\\\u:p@a.example/", "http:\\\\a.example/"),
        ("data:,a", "data:,a"),
        ("DATA:" + "x" * 1000, "DATA:" + "x" * 59 + "...sha1="),
    ],
)
def test_shown_without_what_is_nobody_elses_business(url, shown):
    assert shown_url(url).startswith(shown)
    assert len(shown_url(url)) == len(shown) + (40 if "sha1=" in shown else 0)


def test_credentials_of_a_url():
    assert credentials_in("http://user:p%40ss@a.example/") == ("user", "p@ss")
    assert credentials_in("http://user@a.example/") == ("user", "")
    assert credentials_in("http://a.example/b@c") is None
    assert credentials_in("data:,a@b") is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://h/?u=http://us:pw@a.example/b", "http://h/?u=http://a.example/b"),
        ("http://h/?u=http://us:p'w@a.example/b", "http://h/?u=http://a.example/b"),
        ("http://h/?u=http://us:p%20w@a.example/", "http://h/?u=http://a.example/"),
    ],
)
def test_a_url_inside_of_another_one(url, shown):
    assert shown_url(url) == shown_entry(url) == shown


GOOD = [
    "http://h/@user/img@2x.jpg",
    "https://h:8080/@user/img@2x.jpg",
    "http://[::1]:80/@user/img@2x.jpg",
    "http://h/a//b@c.jpg",
    "http://h/a b@2x.jpg",
    "http://h/?a=b:c@d",
    "http://h/?next=//x:y@z",
    "http://h/?url=http://b.example&mail=me@x.example",
    "http://web.archive.org/web/2020/https://medium.com/@user/img@2x.jpg",
]
UNUSABLE = [
    "//h/@user/img@2x.jpg",
    "/a/img@2x.jpg",
    "img@2x.jpg",
    "localhost:8080/@user/img@2x.jpg",
    "C:\\Users\\me@home\\a.jpg",
    "cid:image001@mail.example",
    "mailto:me@x.example",
    "{'src': 'http://h/@user/img@2x.jpg'}",
    " \n",
]


@pytest.mark.parametrize("text", GOOD + UNUSABLE)
def test_what_has_no_password_stays_as_it_is(text):
    assert shown_entry(text) == text
    assert shown_text(text) == text
    if text in GOOD:
        assert shown_url(text) == text


@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        ("http://us:p w@h/x.jpg", "http://h/x.jpg"),
        ("http://us:p'w@h:99999/x.jpg", "http://h:99999/x.jpg"),
        ("http://us:p w@h:99999/x.jpg", "http://h:99999/x.jpg"),
        ('gopher://us:p"w@h/x.jpg', "gopher://h/x.jpg"),
        ("//us:p w@h/x.jpg", "//h/x.jpg"),
        ("us:pw@h/x.jpg", "h/x.jpg"),
        ("us:p/w@h/x.jpg", "h/x.jpg"),
        ("http:us:pw@h/x.jpg", "http:h/x.jpg"),
        ("http:/us:pw@h/x.jpg", "http:/h/x.jpg"),
        ("gopher:/us:pw@h/x.jpg", "gopher:/h/x.jpg"),
        ("http:///us:pw@h/x.jpg", "http:///h/x.jpg"),
        ("http://us:p/w@h/x.jpg", "http://h/x.jpg"),
        ("http://us:p?w@h/x.jpg", "http://h/x.jpg"),
        ("http://us:p#w@h/x.jpg", "http://h/x.jpg"),
        ("http://us:p\\w@h/x.jpg", "http://h/x.jpg"),
        ("http://us:99999/w@h/x.jpg", "http://h/x.jpg"),
        ("http://us:p[w@h/x.jpg", "http://h/x.jpg"),
        ("http://us:p\uff20w@h/x.jpg", "http://h/x.jpg"),
        ("\xa0http://us:pw@h/x.jpg", "\xa0http://h/x.jpg"),
        ("http:\u2003//us:pw@h/x.jpg", "http:\u2003//h/x.jpg"),
        (" ht\ttp:/\n/us:pw@h/x.jpg", "http://h/x.jpg"),
        ("http://us:pw@h/1 1x, //us:pw@h/2 2x", "http://h/1 1x, //h/2 2x"),
        ("{'src': 'http://us:pw@h/x.jpg'}", "{'src': 'http://h/x.jpg'}"),
        ("{'src': 'us:pw@h/x.jpg'}", "{'src': 'h/x.jpg'}"),
    ],
)
def test_what_may_be_a_password_in_an_entry_is_not_shown(entry, shown):
    assert shown_entry(entry) == shown


def test_texts_inside_of_another_value():
    value = {"src": "http://us:p w@h/", "more": [("us:p/w@h/x.jpg", b"http://us:pw@h/")], "n": 1}
    assert shown_value(value, 500) == str(
        {"src": "http://h/", "more": [("h/x.jpg", b"http://h/")], "n": 1}
    )
    assert shown_value(Request("http://us:pw@h/"), 500) == "<GET http://h/>"
    assert shown_value("a" * 30, 10) == "'aaaaaaaaa..."


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("invalid hostname: us:pw@127.0.0.1", "invalid hostname: 127.0.0.1"),
        ("netloc 'us:pw\uff20q@h:1' contains", "netloc 'h:1' contains"),
        ("no answer from <GET http://us:pw@h/x>", "no answer from <GET http://h/x>"),
        ("(see //us:pw@h/x)", "(see //h/x)"),
        ("mail me@x.example: http://h/@x is down", "mail me@x.example: http://h/@x is down"),
        ("at 12:30 ask me@x.example", "at 12:30 ask me@x.example"),
        ("'http://h' and 'a@b'", "'http://h' and 'a@b'"),
    ],
)
def test_sentences_of_others(sentence, shown):
    assert shown_text(sentence) == shown


SECRET = st.text("aZ0 '\"/?#\\[]&=%,;\u2003", min_size=1).map(lambda text: f"k7{text}9q")


@given(
    st.sampled_from(
        ["http://", "//", "ftp://", "http:", "\xa0http://", "gopher://", "\ufeffhttp://", ""]
    ),
    SECRET,
    st.sampled_from(["h/x.jpg", "h:99999/", "[::1]/", "h h/"]),
)
def test_no_password_is_shown(before, secret, behind):
    entry = f"{before}us:{secret}@{behind}"
    assert "k7" not in shown_entry(entry)
    assert "k7" not in shown_value([entry], 500)


@given(st.text("aZ/:@?#&=. \\'\"[]{}\n\t"))
def test_what_is_shown_is_stable(text):
    for show in (shown_url, shown_entry, shown_text):
        assert len(show(text)) <= len(text)
    assert without_credentials(text) == text or "@" in text


@pytest.mark.parametrize("show", [shown_url, shown_entry, shown_text])
def test_long_texts_take_no_time(show):
    """Each took minutes with a step back, or a new start, at each character."""
    pieces = ["http:", "/", "//", " //", "(a:", "[", "&a", ":", "'http:", "a:", "http://", "=//"]
    begun = time.process_time()
    for piece in pieces:
        show(piece * (600_000 // len(piece)) + "@")
        show("http:" + piece * (600_000 // len(piece)) + "x@")
        show("@" + piece * (600_000 // len(piece)))
    assert time.process_time() - begun < 20
