"""What a site reserves is honoured, for whom it says, and hostile text costs nothing."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scrapy_imgpipe.optouts import (
    ALL,
    MAX_TDM_BYTES,
    MAX_TDM_RULES,
    TdmRules,
    refused_by_robots_tag,
    refused_by_tdm_header,
    words_of,
)

OURS = "Mozilla/5.0 (compatible; MyBot/2.1; +https://example.com/bot) Scrapy/2.19"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, {"noai", "noimageai", "noml", "tdm", "data-mining"}),
        (False, set()),
        ("", set()),
        ([], set()),
        (["noai", "NoIndex", "tdm"], {"noai", "noindex", "tdm"}),
        ("noai, Data-Mining", {"noai", "data-mining"}),
        ({"no_such_thing"}, {"no_such_thing"}),
    ],
)
def test_words(value, expected):
    assert words_of(value) == expected


@pytest.mark.parametrize("value", [["no ai"], [""], ["a,b"], "noai,", ["max-snippet: 5"], ["né"]])
def test_what_is_no_word(value):
    with pytest.raises(ValueError, match="directives"):
        words_of(value)


@pytest.mark.parametrize("value", [None, 1, [1], [b"noai"], b"noai"])
def test_what_is_no_text(value):
    with pytest.raises(TypeError):
        words_of(value)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["noai"], "noai"),
        (["NoAI"], "noai"),
        (["noindex,nofollow,  noimageai "], "noimageai"),
        (["noindex", "noml"], "noml"),
        (["all", "index, follow"], None),
        (["noaiplease", "no ai", "no-ai"], None),
        ([], None),
        ([""], None),
        # for whom
        (["mybot: noai"], "noai"),
        (["MYBOT:noai"], "noai"),
        (["scrapy: noai"], "noai"),
        (["mybot/1.0: noai"], "noai"),
        (["*: noai"], "noai"),
        (["robots: noai"], "noai"),
        (["otherbot: noai"], None),
        (["bot: noai", "mybo: noai", "mybot2: noai"], None),
        (["otherbot: noindex, noai"], None),
        (["noai, otherbot: noindex"], "noai"),
        (["otherbot: noindex, mybot: nofollow, noai"], "noai"),
        (["mybot: nofollow, otherbot: noai"], None),
        (["otherbot: noindex", "noai"], "noai"),
        (["otherbot:", "otherbot:, noai"], None),
        # colons that are no robot's
        (["unavailable_after: 25 Jun 2010 15:00:00 PST, noai"], "noai"),
        (["unavailable_after: Wed, 03 Dec 2025 13:09:53 GMT, noai"], "noai"),
        (["unavailable_after: Sunday, 06-Nov-94 08:49:37 GMT, noai"], "noai"),
        (["otherbot: unavailable_after: Wed, 03 Dec 2025 13:09:53 GMT, noai"], None),
        (["max-snippet: 5, max-image-preview:none, max-video-preview: -1, noai"], "noai"),
        (["noai: yes"], "noai"),
        (["mybot: noai: yes"], "noai"),
        # what means no and is not written as it should be
        (["noai; noimageai"], "noai"),
        (["noai;"], "noai"),
        (["index;noml"], "noml"),
        (['"noai"', "'noml'"], "noai"),
        (['"index, noimageai"'], "noimageai"),
        (["noai\xa0"], "noai"),
        (["otherbot: noindex; noai"], None),
        # odd
        ([":", ",", ":,:", "::noai", "x: y: noai", "\0", "\ud800: noai"], None),
    ],
)
def test_robots_tag(values, expected):
    assert refused_by_robots_tag(values, ALL, OURS) == expected


@pytest.mark.parametrize(
    ("words", "value", "expected"),
    [
        ({"noindex"}, "none", "none"),
        ({"none"}, "none", "none"),
        ({"noindex"}, "max-image-preview: none", None),
        ({"noai"}, "none", None),
        ({"noimageindex"}, "noindex", None),
        ({"noimageindex"}, "noimageindex", "noimageindex"),
        ({"no_such_thing"}, "no_such_thing", "no_such_thing"),
        ({"tdm", "data-mining"}, "tdm, data-mining", None),
        (set(), "noai", None),
    ],
)
def test_only_what_was_asked_for_refuses(words, value, expected):
    assert refused_by_robots_tag([value], frozenset(words), OURS) == expected


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        ("Scrapy/2.19 (+https://scrapy.org)", "noai"),
        ("a/1 (b; SCRAPY)", "noai"),
        ("+https://scrapy/scrapy", None),
        ("a/scrapy scrapy.org scrapy-like", None),
        ("", None),
        ("(((", None),
        ("\0é", None),
    ],
)
def test_other_user_agents(agent, expected):
    assert refused_by_robots_tag(["scrapy: noai"], ALL, agent) == expected
    assert refused_by_robots_tag(["noai"], ALL, agent) == "noai"


@given(st.lists(st.text() | st.text("noai,:* mybt\t", max_size=40)), st.text())
def test_any_robots_tag(values, agent):
    assert refused_by_robots_tag(values, ALL, agent) in {None, *ALL}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1"], True),
        ([" 1 "], True),
        (["0"], False),
        (["0", "1"], True),
        (["0, 1"], True),
        (["1;"], True),
        (["1; policy=x"], True),
        (['"1"'], True),
        (["0;"], False),
        (["0", "?"], False),
        ([], None),
        ([""], None),
        (["2"], None),
        (["true"], None),
        (["11"], None),
        (["\u0661"], None),
    ],
)
def test_tdm_header(values, expected):
    assert refused_by_tdm_header(values) is expected


def rules(*pairs: tuple[object, object]) -> TdmRules:
    entries = [{"location": place, "tdm-reservation": value} for place, value in pairs]
    return TdmRules.parse(json.dumps(entries).encode())


@pytest.mark.parametrize(
    ("location", "path", "expected"),
    [
        ("/", "/", True),
        ("/", "", True),
        ("/", "/a/b.jpg?c=d", True),
        ("", "/a", True),
        ("*", "/a", True),
        ("/images/", "/images/a.jpg", True),
        ("/images/*", "/images/a.jpg", True),
        ("/images/*", "/images/", True),
        ("/images/", "/images", False),
        ("/images/", "/other/images/", False),
        ("/images", "/images2/a.jpg", True),
        ("/Images/", "/images/a.jpg", False),
        ("images/", "/images/a.jpg", True),
        ("*.jpg", "/images/a.jpg", True),
        ("*/a", "/a", True),
        ("*.jpg", "/images/a.jpg?w=1", True),
        ("*.jpg$", "/images/a.jpg?w=1", False),
        ("/*.jpg$", "/images/a.jpg.jpg", True),
        ("/*.jpg$", "/images/a.jpeg", False),
        ("/*?w=", "/a?w=1", True),
        ("/a$", "/a", True),
        ("/a$", "/ab", False),
        ("$", "/", True),
        ("$", "/a", False),
        ("/*$", "/a", True),
        ("/a*b*c", "/axxbyyczz", True),
        ("/a*b*c", "/axxcyyb", False),
        ("/a*a$", "/a", False),
        ("/ab*ba$", "/aba", False),
        ("/ab*ba$", "/abba", True),
        ("/a**b", "/ab", True),
        ("/*aa*aa", "/aaa", False),
        ("/*aa*aa", "/aaaa", True),
        ("/a$b", "/a$b", True),
        ("/a$b", "/a", False),
        # escapes
        ("/foo-%24", "/foo-$", True),
        ("/foo-%24", "/foo-%24", True),
        ("/foo-%2A", "/foo-*", True),
        ("/foo-%2a", "/foo-x", False),
        ("/%61b", "/ab", True),
        ("/ab", "/%61%62", True),
        ("/a%2fb", "/a%2Fb", True),
        ("/a%2Fb", "/a/b", False),
        ("/é", "/%C3%A9", True),
        ("/%c3%a9", "/é", True),
        ("/a b", "/a%20b", True),
        ("/100%", "/100%/a", True),
    ],
)
def test_location(location, path, expected):
    assert rules((location, 1)).reserved(path) is expected


def test_the_first_match_counts():
    both = [("/images/free/", 0), ("/images/", 1), ("/images/free/not/", 1)]
    assert not rules(*both).reserved("/images/free/not/a.jpg")
    assert rules(*both).reserved("/images/a.jpg")
    assert not rules(*both).reserved("/other/a.jpg")
    assert rules(*reversed(both)).reserved("/images/free/a.jpg")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, True), (True, True), ("1", True), (0, False), ("0", False), (False, False)]
    + [(value, None) for value in (2, -1, None, "yes", "", [1], {}, [[]], 1.5)],
)
def test_reservation(value, expected):
    """What is neither 1 nor 0 makes no rule: the next one is asked."""
    told = (
        rules(("/", value), ("/", 1)).reserved("/a"),
        rules(("/", value), ("/", 0)).reserved("/a"),
    )
    assert told == ((True, False) if expected is None else (expected, expected))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"location": "/", "tdm-reservation": 1}',
        b"1",
        b"null",
        b'[1, null, "/", [], {}]',
        b'[{"location": "/"}]',
        b'[{"tdm-reservation": 1}]',
        b'[{"location": ["/"], "tdm-reservation": 1}]',
        b'[{"location": "/", "TDM-Reservation": 1}]',
        b'[{"location": "/", "tdm-reservation": 1}',
        b"\xff" * 10,
        b"[" * MAX_TDM_BYTES,
        b'{"a":' * 10_000,
        b"1" * 10_000,
    ],
)
def test_no_rules(body):
    assert TdmRules.parse(body) == TdmRules()
    assert not TdmRules.parse(body).reserved("/")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32-be"])
def test_encodings_of_the_file(encoding):
    body = '[{"location": "/é", "tdm-reservation": 1, "tdm-policy": "https://example.com/p"}]'
    assert TdmRules.parse(body.encode(encoding)).reserved("/%C3%A9.jpg")


def test_the_file_is_bounded():
    body = b'[{"location": "/", "tdm-reservation": 1}]'
    assert TdmRules.parse(body.ljust(MAX_TDM_BYTES)).reserved("/")
    assert not TdmRules.parse(body.ljust(MAX_TDM_BYTES + 1)).reserved("/")
    many = [("/a", 0)] * (MAX_TDM_RULES - 1) + [("/1", 1), ("/2", 1)]
    assert rules(*many).reserved("/1")
    assert not rules(*many).reserved("/2")


def test_hostile_patterns_take_linear_time():
    hostile = rules(*[("*a" * 5 + "*b", 1)] * 900, *[("*aab*" + "a" * 9 + "b$", 1)] * 20)
    assert len(hostile.rules) == 920
    long = rules(("*a" * 20_000 + "*b$", 1))
    assert len(long.rules) == 1
    start = time.process_time()
    assert not hostile.reserved("/" + "a" * 1_000_000)
    assert not long.reserved("/" + "a" * 1_000_000)
    assert refused_by_robots_tag(["a:" * 500_000, ":a," * 300_000], ALL, OURS) is None
    assert time.process_time() - start < 5  # backtracking takes years


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


@given(
    st.binary(max_size=60)
    | st.lists(
        JSON
        | st.fixed_dictionaries({"location": JSON | st.text("/a*$%2é"), "tdm-reservation": JSON})
    ).map(lambda told: json.dumps(told).encode()),
    st.text() | st.text("/a*$%2é"),
)
@example(b'[{"location": "\\ud800", "tdm-reservation": 1}]', "/\ud800")
@example(b'[{"location": "/%\\ud8002", "tdm-reservation": 1}]', "/%2")
def test_any_file_and_path(body, path):
    assert TdmRules.parse(body).reserved(path) in {True, False}


def slowly(pattern: str, path: str) -> bool:
    """Match as the text of RFC 9309 has it, with all steps back."""
    if pattern in {"", "$"}:
        return not pattern or not path
    if pattern[0] == "*":
        return any(slowly(pattern[1:], path[at:]) for at in range(len(path) + 1))
    return path[:1] == pattern[0] and slowly(pattern[1:], path[1:])


@given(st.text("ab*", max_size=7), st.booleans(), st.text("ab", max_size=9))
def test_matching_is_that_of_the_standard(pattern, ends, path):
    pattern = f"/{pattern}{'$' * ends}"
    assert rules((pattern, 1)).reserved(f"/{path}") is slowly(pattern, f"/{path}")
