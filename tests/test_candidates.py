"""Several addresses of one picture. Never made of what is one plain URL."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scrapy_imgpipe.candidates import candidates_of

LONG = 1_000_000


@pytest.mark.parametrize(
    "entry",
    [
        "",
        " ",
        ",",
        " , ",
        "http://x/a.jpg",
        " http://x/a.jpg ",
        "\r\nhttp://x/a.jpg\r\n",
        "http://x/a.jpg,",
        "http://x/a.jpg, ",
        "http://x/a.jpg ,",
        "a.jpg",
        "http://x/a,b,c.jpg",
        "http://x/a.jpg,http://x/b.jpg",
        "http://x/w_200,h_100,c_fill/a.jpg",
        "data:image/png;base64,AAAA",
        "data:image/svg+xml,<svg width='1' viewBox='0 0 1 1'> <a/>, <b/> </svg>",
        "http://x/my photo 2x.jpg",
        "http://x/my photo 2x",
        "http://x/photo 2x 3",
        "http://x/my photo, 2x",
        "http://x/photo, 2x",
        "http://x/photo,2x",
        "http://x/a (2x).jpg",
        "http://x/a (1) 2x",
        "http://x/Paris, France.jpg",
        "http://x/Paris, France 2x",
        "http://x/Paris, rue de Rivoli, 5.jpg",
        "http://x/Paris, http France",
        "http://x/a, data.jpg",
        "http://x/a?size=1, 2, 3",
        "a.jpg, b.jpg",
        "http://x/a.jpg, b.jpg",
        "a.jpg, http://x/b.jpg",
        "//x/a, /b",
        "http://x/a\xa02x",
        "http://x/a\u20032x",
        "http://x/a\x0b2x",
        "ht\ntp://ex\tample.com/a.jpg",
        # not all of it can be read
        "http://x/a.jpg 2x, http://x/b.jpg large",
        "http://x/a.jpg 2x,, http://x/b.jpg 3x",
        "http://x/a.jpg,, http://x/b.jpg 3x",
        "http://x/a.jpg, , http://x/b.jpg",
        ", http://x/a.jpg 2x",
        ",http://x/a.jpg 2x",
    ],
)
def test_a_plain_url_is_no_candidates(entry):
    assert candidates_of(entry) is None


@pytest.mark.parametrize(
    "entry",
    [None, b"http://x/a.jpg 2x", 5, 1.5, True, {"url": "http://x/a.jpg"}, {"a"}, object()],
)
def test_what_is_neither_text_nor_list_is_no_candidates(entry):
    assert candidates_of(entry) is None


def test_a_generator_is_not_eaten():
    urls = iter(["http://x/a.jpg"])
    assert candidates_of(urls) is None
    assert list(urls) == ["http://x/a.jpg"]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("http://x/a.jpg 2x", ["http://x/a.jpg"]),
        ("http://x/a.jpg 100w", ["http://x/a.jpg"]),
        ("  http://x/a.jpg\t\f\r\n2x  ", ["http://x/a.jpg"]),
        ("http://x/a.jpg 2x,", ["http://x/a.jpg"]),
        ("http://x/a.jpg 2x , ", ["http://x/a.jpg"]),
        ("/1 1x, /3 3x, /2 2x", ["/3", "/2", "/1"]),
        ("/1 1x,/3 3x,/2 2x", ["/3", "/2", "/1"]),
        ("/1 1x ,/3 3x\n,\n/2 2x", ["/3", "/2", "/1"]),
        ("/9 9w, /10 10w, /100 100w", ["/100", "/10", "/9"]),
        ("/big 2000w 10h, /high 10w 2000h", ["/big", "/high"]),
        ("/big 10h 2000w, /high 2000h 10w", ["/big", "/high"]),
        # no descriptor is 1x
        ("/half .5x, /one, /more 1.5x", ["/more", "/one", "/half"]),
        ("/a, /b 1x, /c 1.0x, /d 10e-1x", ["/a", "/b", "/c", "/d"]),
        ("/none 0x, /minus -0x, /some 1E-3x", ["/some", "/none", "/minus"]),
        ("/long 00000000000000000002w, /short 1w", ["/long", "/short"]),
        # a width says more than a density
        ("/x 9x, /w 2w, /bare", ["/w", "/x", "/bare"]),
        # commas belong to a URL, but for one at its end
        ("/a,b 1x, /c,,d 2x", ["/c,,d", "/a,b"]),
        ("/a,/b 2x", ["/a,/b"]),
        ("data:image/png;base64,AA,BB 1x, data:,c 2x", ["data:,c", "data:image/png;base64,AA,BB"]),
        # twice
        ("/a 1x, /b 2x, /a 3x", ["/a", "/b"]),
        ("/a 1x, /a 1x", ["/a"]),
        # no descriptors, but addresses without a doubt
        ("http://x/a.jpg, http://x/b.jpg", ["http://x/a.jpg", "http://x/b.jpg"]),
        ("http://x/a.jpg ,https://x/b.jpg", ["http://x/a.jpg", "https://x/b.jpg"]),
        ("//x/a.jpg,\n //x/b.jpg,", ["//x/a.jpg", "//x/b.jpg"]),
        ("DATA:,a, s3://bucket/b", ["DATA:,a", "s3://bucket/b"]),
        # relative ones as well: the caller says why they cannot be had
        ("small 1x, large 2x", ["large", "small"]),
        ("http://x/a.jpg 1x, b.jpg 2x", ["b.jpg", "http://x/a.jpg"]),
    ],
)
def test_a_srcset_is_ordered_best_first(entry, expected):
    assert candidates_of(entry) == expected


@pytest.mark.parametrize(
    "descriptors",
    [
        *("2", "x", "w", "2X", "2W", "2px", "2 x", "w2", "x2"),
        *("0w", "-1w", "+1w", "1.5w", "1e3w", "00w", "1w 0h"),
        *(
            "-1x",
            "+1x",
            "1.x",
            ".x",
            "-x",
            "1e",
            "1ex",
            "1e+x",
            "e1x",
            "1_0x",
            "0x2x",
            "nanx",
            "infx",
        ),
        *("1e999x", "9" * 400 + "w", "9" * 400 + "x"),
        *("\u0661x", "\u0661w", "\uff11w", "1\u00b2x"),
        *("1w 2w", "1x 2x", "1w 1x", "1x 1w", "1x 1h", "1h 1x", "1w 1h 1h", "1w 1h 1x"),
        *("1h", "1h 1h", "(2x)", "2x (a", "2x()", "(2x, 3x)", "2x;"),
    ],
)
def test_one_wrong_descriptor_makes_it_a_plain_url(descriptors):
    assert candidates_of(f"http://x/a.jpg {descriptors}") is None
    assert candidates_of(f"http://x/b.jpg 2x, http://x/a.jpg {descriptors}") is None
    assert candidates_of(f"http://x/a.jpg {descriptors}, http://x/b.jpg 2x") is None


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_list_stays_in_its_order(kind):
    assert candidates_of(kind()) == []
    assert candidates_of(kind(["/b", "/a", "/b", "/c"])) == ["/b", "/a", "/c"]
    assert candidates_of(kind([" http://x/my photo 2x.jpg "])) == [" http://x/my photo 2x.jpg "]


def test_a_srcset_in_a_list_is_replaced_by_its_candidates():
    entry = ["/first", "/s 1x, /l 2x, /first 3x", "/last", "/l", ["/s 1x, /l 2x"]]
    assert candidates_of(entry) == ["/first", "/l", "/s", "/last", ["/s 1x, /l 2x"]]


def test_elements_that_are_no_text_are_the_callers_business():
    class Odd:
        def __eq__(self, other):
            raise AssertionError

        __hash__ = None

    odd = [Odd(), None, None, {}, 1.5, b"/a 2x", ("/a",)]
    found = candidates_of([*odd, "", ""])
    assert found is not None
    assert all(one is other for one, other in zip(found, odd, strict=False))
    assert found[len(odd) :] == [""]


def test_the_entry_is_not_changed():
    entry = ["/a", "/a", "/b 2x"]
    found = candidates_of(entry)
    assert found == ["/a", "/b"]
    assert entry == ["/a", "/a", "/b 2x"]
    assert candidates_of([]) is not candidates_of([])


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a" * LONG, None),
        (" " * LONG, None),
        ("," * LONG, None),
        ("a" + "," * LONG + " b 2x", None),
        (" ," * (LONG // 2), None),
        ("a " * (LONG // 2), None),
        ("a, " * (LONG // 3), None),
        ("a," * (LONG // 2) + "a 2x", 1),
        ("a " + "(" * LONG, None),
        ("a " + "(," * (LONG // 2), None),
        ("a " + "1" * LONG + "w", None),
        ("a " + "0" * LONG + "1w", 1),
        ("a " + "1" * LONG, None),
        ("a " + "1." * (LONG // 2) + "x", None),
        ("a ." + "1" * LONG + "x", 1),
        ("a 1e" + "1" * LONG + "x", None),
        ("a 1e-" + "1" * LONG + "x", 1),
        ("a 1w " + "1h " * (LONG // 3), None),
        ("a" * LONG + " 2x, " + "a" * LONG + ":, b 1x", 3),
        ("a:" * (LONG // 2) + ", //b", None),
        ("data:," + "a" * LONG + " 2x", 1),
        ("a 1x, " * (LONG // 6), 1),
        ("//a, " * (LONG // 5), 1),
        ("a 1x" + " " * LONG + ", b 2x", 2),
        (", ".join(f"{number} {number + 1}w" for number in range(50_000)), 50_000),
    ],
    ids=lambda value: str(value)[:12],
)
def test_hostile_text_is_read_to_its_end(text, count):
    found = candidates_of(text)
    assert found is None if count is None else len(found) == count
    assert len(candidates_of([text])) == (count or 1)


PIECES = ["http://x/a", "//x", "data:,", "b.jpg", "c", ",", ",", " ", " ", "\n", "\xa0"]
PIECES += [
    "1x",
    "2x",
    "-1x",
    ".5x",
    "1.x",
    "1e1x",
    "30w",
    "7w",
    "0w",
    "9h",
    "(",
    ")",
    "w",
    "x",
    "-",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


def tokens(text, place):
    """Return the descriptors from *place* on, and where they end: the standard's step 8."""
    found, current, state = [], "", "in"
    while place < len(text):
        letter = text[place]
        if state == "parens":
            current += letter
            state = "in" if letter == ")" else state
        elif letter in "\t\n\f\r ":
            found, current = [*found, current], ""
        elif letter == ",":
            return [*filter(None, [*found, current])], place + 1
        else:
            current += letter
            state = "parens" if letter == "(" else state
        place += 1
    return [*filter(None, [*found, current])], place


def described(words):
    """Return width and density, or None: the standard's steps 9 to 14."""
    width = density = height = None
    for word in words:
        number = word[:-1]
        if re.fullmatch("[0-9]+", number) and word[-1] in "wh" and int(number) > 0:
            if word[-1] == "w":
                if width is not None or density is not None:
                    return None
                width = int(number)
            else:
                if height is not None or density is not None:
                    return None
                height = int(number)
        elif word[-1] == "x" and re.fullmatch(r"-?([0-9]*\.)?[0-9]+([eE][-+]?[0-9]+)?", number):
            if (width, density, height) != (None, None, None) or float(number) < 0:
                return None
            density = float(number)
        else:
            return None
    return None if height is not None and width is None else (width, density)


def by_the_standard(text):
    """Return URL, width and density of each candidate, or None where it has an error."""
    found, place = [], 0
    while True:
        while place < len(text) and text[place] in "\t\n\f\r ,":
            if text[place] == ",":
                return None
            place += 1
        if place == len(text):
            return found
        start = place
        while place < len(text) and text[place] not in "\t\n\f\r ":
            place += 1
        url, words = text[start:place], []
        if not url.endswith(","):
            words, place = tokens(text, place)
        elif url.endswith(",,"):
            return None
        sizes = described(words)
        if sizes is None:
            return None
        found.append((url.rstrip(","), *sizes))


@settings(max_examples=1000, deadline=None)
@given(TEXTS | st.text(st.sampled_from("a:/. ,1wxh(")) | st.text())
@example("a ( , b 1x, ), c")
@example("//x ,//x 1x")
def test_agrees_with_the_standard(text):
    expected = by_the_standard(text)
    found = candidates_of(text)
    if found is None:
        if not expected:
            return
        bare = all(width is None and density is None for _, width, density in expected)
        urls = [url for url, _, _ in expected]
        absolute = [url.lower().startswith(("http:", "//", "data:")) for url in urls]
        if bare:
            assert len(urls) == 1 or not all(absolute)
        else:
            assert absolute[0]
            assert not all(absolute)
        return
    assert expected
    ranks = {}
    for url, width, density in expected:
        rank = (width or 0, 1 if density is None else density)
        ranks[url] = max(ranks.get(url, rank), rank)
    assert sorted(found) == sorted(ranks)
    assert [ranks[url] for url in found] == sorted(ranks.values(), reverse=True)


URLS = st.text(st.sampled_from("aZ09/.,:?=&%#~()é\x00"), max_size=12).map(
    lambda rest: f"http://x/{rest}a"
)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(URLS, st.integers(1, 10**9)),
        min_size=1,
        unique_by=(lambda e: e[0], lambda e: e[1]),
    )
)
def test_what_a_page_wrote_comes_back(written):
    best = [url for url, _ in sorted(written, key=lambda each: -each[1])]
    assert candidates_of(", ".join(f"{url} {width}w" for url, width in written)) == best
    assert candidates_of(",\n".join(f"{url} {width / 8}x" for url, width in written)) == best
    assert candidates_of(best) == best


@settings(deadline=None)
@given(URLS, st.text(st.characters(exclude_characters="\t\n\f\r ")))
def test_text_without_blanks_is_a_plain_url(url, text):
    assert candidates_of(url) is None
    assert candidates_of(text) is None
    assert candidates_of([url]) == [url]


@settings(deadline=None)
@given(st.lists(TEXTS | st.none() | st.integers(), max_size=5))
def test_candidates_of_a_list_name_nothing_twice(entry):
    found = candidates_of(entry)
    texts = [url for url in found if isinstance(url, str)]
    assert len(texts) == len(set(texts))
    assert sum(not isinstance(each, str) for each in entry) == len(found) - len(texts)
