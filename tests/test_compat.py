"""Facts about Scrapy, and what is built on them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scrapy.http import Request, Response
from scrapy.pipelines.images import ImageException
from scrapy.settings import Settings
from scrapy.utils.request import RequestFingerprinter, fingerprint
from twisted.python.failure import Failure

from scrapy_imgpipe import compat, errors
from scrapy_imgpipe.compat import FileException, lean_failure, translate, without_bodies
from scrapy_imgpipe.compat.fingerprints import fingerprints_of

ERRORS = [
    errors.SourceRejected("no", "too-small"),
    errors.SourceRejected("no", "filtered"),
    errors.DownloadFailed("no", "http-status"),
    errors.ImageBroken("no"),
    errors.StoreFailed("no", "bad-path"),
    errors.HookFailed("no"),
]


PLAIN_PARTS = st.text("abcXYZ019._-~%/:@?&=;+ é", max_size=12)
HOSTS = st.sampled_from(
    [
        "a.example",
        "A.example",
        "127.0.0.1",
        "a-b.example:8000",
        "a.example:80",
        "[::1]",
        "a..b",
        "é.example",
    ]
)


@given(st.sampled_from(["http", "https", "HTTP", "ftp"]), HOSTS, st.lists(PLAIN_PARTS, max_size=4))
@example("http", "a.example", ["full", "a.jpg"])
@example("https", "a.example:443", ["a", "..", "b.jpg"])
@example("http", "a.example", ["a;b", "c.jpg?x=1#y"])
def test_fingerprints_are_scrapys(scheme, host, parts):
    url = f"{scheme}://{host}/{'/'.join(parts)}"
    try:
        request = Request(url)
    except ValueError:
        assume(False)
    assert fingerprints_of(RequestFingerprinter())(request) == fingerprint(request)


ARGUMENTS = st.lists(st.text("abAB09_.-", min_size=1, max_size=3), min_size=2, max_size=2)


@given(st.lists(ARGUMENTS, min_size=1, max_size=5))
@example([["a", "1"], ["a-b", "2"], ["a", "0"], ["a.", "3"]])
def test_fingerprints_do_not_depend_on_the_order_of_arguments(arguments):
    query = "&".join("=".join(argument) for argument in arguments)
    request = Request(f"https://a.example/b.jpg?{query}")
    assert fingerprints_of(RequestFingerprinter())(request) == fingerprint(request)
    turned = "&".join("=".join(argument) for argument in reversed(arguments))
    other = Request(f"https://a.example/b.jpg?{turned}")
    assert fingerprints_of(RequestFingerprinter())(other) == fingerprint(request)


@pytest.mark.parametrize(
    "changes",
    [{"method": "POST"}, {"body": b"x"}, {"meta": {"verbatim_url": True}}, {"headers": {"A": "b"}}],
)
def test_fingerprints_of_other_requests_are_scrapys_too(changes):
    request = Request("http://a.example/b.jpg", **changes)
    assert fingerprints_of(RequestFingerprinter())(request) == fingerprint(request)


def test_another_fingerprinter_is_asked_itself():
    class Mine:
        def fingerprint(self, request):
            return b"mine"

    assert fingerprints_of(Mine())(Request("http://a.example/b.jpg")) == b"mine"


def test_a_scrapy_with_other_fingerprints_is_asked_itself(monkeypatch):
    monkeypatch.setattr("scrapy_imgpipe.compat.fingerprints.fingerprint", lambda _: b"other")
    known = RequestFingerprinter()
    assert fingerprints_of(known) == known.fingerprint


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_each_error_becomes_one_that_scrapy_users_know(error):
    known = translate(error)
    assert isinstance(known, type(error))
    assert isinstance(known, FileException)
    assert (known.code, known.reason, str(known)) == (error.code, error.reason, "no")
    assert type(known).__name__ == type(error).__name__
    assert translate(known) is known


def test_image_errors_are_image_exceptions():
    assert isinstance(translate(errors.ImageBroken("x")), ImageException)
    assert isinstance(translate(errors.SourceRejected("x", "too-small")), ImageException)
    assert not isinstance(translate(errors.StoreFailed("x")), ImageException)


def test_the_base_error_cannot_be_raised_and_codes_are_checked():
    with pytest.raises(TypeError, match="base class"):
        errors.ImagePipeError("x")
    with pytest.raises(ValueError, match="no outcome code"):
        errors.StoreFailed("x", "too-small")


def test_a_lean_failure_has_lost_its_past():
    try:
        try:
            raise KeyError("first")
        except KeyError as first:
            raise ValueError("second") from first
    except ValueError as error:
        failure = lean_failure(error)
        first = error
    assert failure.value is first
    assert (first.__traceback__, first.__cause__, first.__context__) == (None, None, None)
    assert failure.getTracebackObject() is None


def test_a_failure_with_frames_is_made_lean_in_place():
    try:
        raise ValueError("x")
    except ValueError:
        failure = Failure()
    assert failure.frames
    compat.make_lean(failure)
    assert not failure.frames


def test_an_error_without_a_response_is_kept_itself():
    error = ValueError("x", 1)
    assert without_bodies(error) is error


def test_responses_in_an_error_lose_their_bodies_in_the_kept_copy():
    class Mine(FileException):
        def __init__(self, response):
            super().__init__("mine", response)
            self.response = response

    response = Response("http://x", status=404, body=b"long", headers={"A": "b"})
    error = Mine(response)
    kept = without_bodies(error)
    assert kept is not error
    assert type(kept) is Mine
    assert kept.response.body == kept.args[1].body == b""
    assert (kept.response.status, kept.response.headers["A"]) == (404, b"b")
    assert error.response.body == b"long"


def test_gather_keeps_the_order():
    gate = None

    async def late():
        await gate.wait()
        return "late"

    async def early():
        gate.set()
        return "early"

    async def main():
        nonlocal gate
        gate = asyncio.Event()
        return await compat.gather([late(), early()])

    assert asyncio.run(main()) == ["late", "early"]


def test_the_page_of_an_item_is_known_while_it_is_processed():
    seen = []

    class Scraper:
        async def start_itemproc_async(self, item, *, response):
            await asyncio.sleep(0)
            seen.append((item, compat.current_page.get()))

    scraper = Scraper()
    crawler = SimpleNamespace(engine=SimpleNamespace(scraper=scraper))
    compat.watch_pages(crawler)
    watching = scraper.start_itemproc_async
    compat.watch_pages(crawler)
    assert scraper.start_itemproc_async is watching

    async def main():
        await asyncio.gather(
            scraper.start_itemproc_async(1, response=Response("http://a.example/")),
            scraper.start_itemproc_async(2, response=Response("http://b.example/")),
            scraper.start_itemproc_async(3, response=None),
        )

    asyncio.run(main())
    assert sorted(seen) == [(1, "http://a.example/"), (2, "http://b.example/"), (3, None)]
    assert compat.current_page.get() is None


def test_without_that_method_pages_are_unknown_and_nothing_breaks():
    compat.watch_pages(SimpleNamespace(engine=SimpleNamespace(scraper=None)))
    compat.watch_pages(SimpleNamespace(engine=None))


@pytest.mark.parametrize(
    ("page", "url", "sent"),
    [
        ("http://a.example/p?q#f", "http://b.example/i.jpg", "http://a.example/p?q"),
        ("https://a.example/p", "https://b.example/i.jpg", "https://a.example/p"),
        ("https://a.example/p", "http://b.example/i.jpg", None),
        ("http://user:secret@a.example/p", "http://b.example/i.jpg", "http://a.example/p"),
        ("file:///home/p.html", "http://b.example/i.jpg", None),
    ],
)
def test_the_referer_follows_scrapys_default_policy(page, url, sent):
    assert compat.referrer_policy(Settings()).referrer(page, url) == sent


def test_the_referer_follows_the_policy_of_the_settings():
    policy = compat.referrer_policy(Settings({"REFERRER_POLICY": "same-origin"}))
    assert policy.referrer("http://a.example/p", "http://b.example/i.jpg") is None
    assert policy.referrer("http://a.example/p", "http://a.example/i.jpg") == "http://a.example/p"
