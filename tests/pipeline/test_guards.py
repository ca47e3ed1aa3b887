"""Guards in the pipeline: hosts, bytes and shapes are refused with one outcome each."""

from __future__ import annotations

import json
import logging
from ipaddress import ip_address

import pytest
from scrapy import Request, signals
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Headers, Response
from scrapy.http.request import NO_CALLBACK

from scrapy_imgpipe import ImagesPipeline
from tests.fakes import Crawl
from tests.pictures import encoded, jpeg, noise

LONG = encoded(noise((50, 10)), "PNG")
PRIVATE, PUBLIC = "http://127.0.0.1/a.jpg", "http://93.184.216.34/a.jpg"


def page(crawl: Crawl, url: str, address: str | None = None, **request) -> None:
    """Let a page of the crawl come from *address*."""
    response = Response(url, ip_address=ip_address(address) if address else None)
    crawl.crawler.signals.send_catch_log(
        signals.response_received, response=response, request=Request(url, **request), spider=None
    )


def outcome(crawl: Crawl, url: str) -> str:
    """Ask for *url* alone, and return how that ended."""
    before = dict(crawl.outcomes())
    crawl.images(url)
    (found,) = [code for code, count in crawl.outcomes().items() if count != before.get(code)]
    return found


# --- addresses ---


def test_private_addresses_may_be_asked_until_a_page_is_public(tmp_path):
    others = [f"http://127.0.0.1/{name}.jpg" for name in "bcd"]
    with Crawl(tmp_path, dict.fromkeys([PRIVATE, *others], jpeg())) as crawl:
        assert outcome(crawl, PRIVATE) == "stored"
        page(crawl, "http://intranet.example/", "10.0.0.1")
        assert outcome(crawl, others[0]) == "stored"
        page(crawl, "http://shop.example/robots.txt", "8.8.8.8", callback=NO_CALLBACK)
        assert outcome(crawl, others[1]) == "stored"
        page(crawl, "http://shop.example/", "8.8.8.8")
        assert outcome(crawl, others[2]) == "address-not-allowed"
        assert len(crawl.site.asked) == 3


@pytest.mark.parametrize(
    ("url", "address", "request_"),
    [
        ("http://93.184.216.34/", None, {}),  # from a cache: nobody knows its address
        ("http://no-such-host.invalid/", None, {}),
        ("http://shop.example/", "10.0.0.1", {"meta": {"proxy": "http://10.0.0.1:3128"}}),
    ],
    ids=["cached", "cached-and-gone", "proxied"],
)
def test_pages_that_count_as_public(tmp_path, url, address, request_):
    with Crawl(tmp_path, {PRIVATE: jpeg()}) as crawl:
        page(crawl, url, address, **request_)
        assert outcome(crawl, PRIVATE) == "address-not-allowed"


@pytest.mark.parametrize(
    ("url", "address", "request_"),
    [
        ("http://127.0.0.1/", None, {}),
        ("http://localhost/", None, {}),
        ("http://intranet/", "10.0.0.1", {"meta": {"proxy": "http://8.8.8.8:3128"}}),
        ("data:text/html,x", None, {}),
    ],
    ids=["literal", "localhost", "proxied", "data"],
)
def test_pages_that_do_not(tmp_path, url, address, request_):
    with Crawl(tmp_path, {PRIVATE: jpeg()}) as crawl:
        page(crawl, url, address, **request_)
        assert outcome(crawl, PRIVATE) == "stored"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "[::1]",
     "[::ffff:7f00:1]", "[2002:7f00:1::]", "[64:ff9b::7f00:1]", "169.254.169.254",
     "0", "user:pw@127.0.0.1", "127.0.0.1:8080"],
)  # fmt: skip
def test_private_addresses_in_all_their_forms(tmp_path, host):
    url = f"http://{host}/a.jpg"
    with Crawl(tmp_path, {url: jpeg()}, IMGPIPE_PRIVATE_ADDRESSES="deny") as crawl:
        assert outcome(crawl, url) == "address-not-allowed"
        assert not crawl.site.asked


def test_allowed_addresses(tmp_path):
    with Crawl(tmp_path, {PRIVATE: jpeg()}, IMGPIPE_PRIVATE_ADDRESSES="allow") as crawl:
        page(crawl, "http://shop.example/", "8.8.8.8")
        assert outcome(crawl, PRIVATE) == "stored"


def test_lists_of_hosts(tmp_path):
    settings = {
        "IMGPIPE_ALLOWED_HOSTS": "127.0.0.0/8, shop.example",
        "IMGPIPE_BLOCKED_HOSTS": ["127.0.0.2", "ads.shop.example"],
        "IMGPIPE_PRIVATE_ADDRESSES": "deny",
    }
    other = "http://127.0.0.2/a.jpg"
    with Crawl(tmp_path, {PRIVATE: jpeg()}, **settings) as crawl:
        assert outcome(crawl, PRIVATE) == "stored"
        assert outcome(crawl, other) == "address-not-allowed"
        assert outcome(crawl, PUBLIC) == "address-not-allowed"
        assert outcome(crawl, "http://ads.shop.example/a.jpg") == "url-not-allowed"
        assert len(crawl.site.asked) == 1


def test_an_answer_from_a_private_address_is_thrown_away(tmp_path):
    def rebound(request):
        return Response(request.url, body=jpeg(), ip_address=ip_address("127.0.0.1"))

    with Crawl(tmp_path, {PUBLIC: rebound}, IMGPIPE_PRIVATE_ADDRESSES="deny") as crawl:
        assert outcome(crawl, PUBLIC) == "address-not-allowed"
        assert not [path for path in crawl.files() if path.endswith(".jpg")]


def test_behind_a_proxy_addresses_are_not_looked_at_and_that_is_said_once(tmp_path, caplog):
    class Proxied(ImagesPipeline):
        def get_media_requests(self, item, info):
            for request in super().get_media_requests(item, info):
                request.meta["proxy"] = "http://10.0.0.1:3128"
                yield request

    urls = [PRIVATE, "http://127.0.0.1/b.jpg", "http://ads.example/c.jpg"]
    settings = {
        "IMGPIPE_PRIVATE_ADDRESSES": "deny",
        "IMGPIPE_BLOCKED_HOSTS": ["ads.example"],
    }

    def proxied(request):
        return Response(request.url, body=jpeg(), ip_address=ip_address("10.0.0.1"))

    with Crawl(tmp_path, dict.fromkeys(urls, proxied), Proxied, **settings) as crawl:
        assert [outcome(crawl, url) for url in urls] == ["stored", "stored", "url-not-allowed"]
    said = [r for r in caplog.records if "behind a proxy" in r.getMessage()]
    assert [r.levelno for r in said] == [logging.WARNING]


def test_a_host_without_an_address_is_a_failed_download(tmp_path):
    url = "http://no-such-host.invalid/a.jpg"
    with Crawl(tmp_path, IMGPIPE_PRIVATE_ADDRESSES="deny") as crawl:
        assert outcome(crawl, url) == "download-failed"
        assert not crawl.site.asked


@pytest.mark.parametrize(
    "url",
    [
        "s3://127.0.0.1\\x/latest",
        "s3://bucket@127.0.0.1/x",
        "ftp://x%0d%0aMAIL%20FROM:pw@mail.example/x",
        "ftp://mail.example/x%0D%0AQUIT",
    ],
)
def test_urls_that_scrapys_handlers_would_make_another_host_or_command_of(tmp_path, url):
    with Crawl(tmp_path, {url: jpeg()}) as crawl:
        assert outcome(crawl, url) == "bad-url"
        assert not crawl.site.asked


def test_lists_of_hosts_count_for_buckets(tmp_path):
    url = "s3://pictures/a.jpg"
    with Crawl(tmp_path, {url: jpeg()}, IMGPIPE_ALLOWED_HOSTS="shop.example") as crawl:
        assert outcome(crawl, url) == "url-not-allowed"
    allowed = "pictures.s3.amazonaws.com"
    with Crawl(tmp_path, {url: jpeg()}, IMGPIPE_ALLOWED_HOSTS=allowed) as crawl:
        assert outcome(crawl, url) == "stored"


def test_while_one_waits_for_the_address_of_a_page_nobody_slips_through(tmp_path):
    urls = [f"http://127.0.0.1/{n}.jpg" for n in range(5)]
    with Crawl(tmp_path, dict.fromkeys(urls, jpeg())) as crawl:
        page(crawl, "http://no-such-host.invalid/")
        crawl.images(*urls)
        assert crawl.outcomes() == {"address-not-allowed": 5}


# --- what nobody else needs to know ---


@pytest.mark.parametrize(
    "entry",
    [
        "//user:secret@127.0.0.1/x.jpg",
        "http://user:secret@127.0.0.1:99999/a.jpg",
        "http://user:secret@127.0.0.1/x y 1.jpg 1x, http://user:secret@127.0.0.1/2.jpg 2x",
        "http:user:secret@127.0.0.1/a.jpg",
        "http:\t//user:secret@127.0.0.1/a.jpg",
        "http://user:secret's@127.0.0.1:99999/a.jpg",
        "http://user:secret s@127.0.0.1/a.jpg",
        "gopher://user:secret s@127.0.0.1/a.jpg",
        "http://user:secret/s@127.0.0.1/a.jpg",
        "http://user:secret\uff20s@127.0.0.1/a.jpg",
        "http:\u2003//user:secret@127.0.0.1/a.jpg",
        "user:secret@127.0.0.1/a.jpg",
        {"src": "http://user:secret@127.0.0.1/a.jpg"},
        " data:image/png;base64," + "secret" * 1000,
        "secret " * 50_000,
    ],
)
def test_odd_entries_are_not_told_either(tmp_path, caplog, entry):
    settings = {"IMGPIPE_REPORT": str(tmp_path / "r.jsonl"), "IMGPIPE_INDEX": str(tmp_path / "i")}
    with caplog.at_level(logging.DEBUG), Crawl(tmp_path / "s", {}, **settings) as crawl:
        crawl.images(entry)
    files = [tmp_path / "r.jsonl", *tmp_path.glob("i*")]
    for text in (caplog.text, *(file.read_bytes().decode("latin-1") for file in files)):
        assert "user:secret" not in text
        assert "cast to integer value as secret" not in text
        assert len(text) < 200_000
        assert "secret" * 20 not in text


@pytest.mark.parametrize("error", [ValueError, IgnoreRequest])
def test_the_errors_of_others_are_not_told_with_a_password(tmp_path, caplog, error):
    answers = {PUBLIC: error("invalid hostname: user:secret@127.0.0.1")}
    settings = {"IMGPIPE_INDEX": str(tmp_path / "i"), "IMGPIPE_KEEP_FAILED": True}
    with Crawl(tmp_path / "s", answers, **settings) as crawl, caplog.at_level(logging.DEBUG):
        (image,) = crawl.images(PUBLIC)
    assert image["reason"].endswith("invalid hostname: 127.0.0.1")
    for told in (caplog.text.encode(), *(path.read_bytes() for path in tmp_path.glob("i*"))):
        assert b"secret" not in told


def test_the_url_of_an_image_is_exact_in_the_report(tmp_path):
    entry = "http://127.0.0.1/@user/a b@2x.jpg"
    settings = {"IMGPIPE_REPORT": str(tmp_path / "r.jsonl")}
    with Crawl(tmp_path / "s", {entry.replace(" ", "%20"): jpeg()}, **settings) as crawl:
        assert outcome(crawl, entry) == "stored"
    assert json.loads((tmp_path / "r.jsonl").read_text())["url"] == entry


def test_a_copy_that_a_middleware_makes_of_a_request_has_no_password_in_its_url(tmp_path):
    """As ``MetaRefreshMiddleware`` does, before it says so in its log."""

    class Own(Request):
        pass

    class Pipeline(ImagesPipeline):
        def get_media_requests(self, item, info):
            yield Own(PUBLIC)

    with Crawl(tmp_path, {PUBLIC: jpeg()}, Pipeline) as crawl:
        crawl.images(PUBLIC)
        (sent,) = crawl.site.asked
    copy = sent.replace(url="http://user:secret@127.0.0.1/x", cls=None)
    assert isinstance(copy, Own)
    assert copy.url == "http://127.0.0.1/x"
    assert copy.headers["Authorization"] == b"Basic dXNlcjpzZWNyZXQ="
    assert str(sent) == f"<GET {PUBLIC}>"


def test_passwords_and_long_data_urls_stay_out_of_log_index_and_report(tmp_path, caplog):
    secret = "http://user:pass%20word@127.0.0.1/a.jpg"
    gone = "http://user:pass%20word@127.0.0.1/gone.jpg"
    data = "data:image/jpeg;base64," + "A" * 5000
    settings = {"IMGPIPE_REPORT": str(tmp_path / "report.jsonl"), "IMGPIPE_KEEP_FAILED": True}
    answers = {"http://127.0.0.1/a.jpg": jpeg(), data: b"no image"}
    with (
        caplog.at_level(logging.DEBUG),
        Crawl(tmp_path / "store", answers, IMGPIPE_INDEX=str(tmp_path / "i"), **settings) as crawl,
    ):
        images = crawl.images(secret, gone, data, f"gopher{secret[4:]}")
        headers = [request.headers.get("Authorization") for request in crawl.site.asked]
        shown = [str(request) for request in crawl.site.asked]
    assert [image["url"] for image in images[:3]] == [secret, gone, data]
    assert images[0]["status"] == "downloaded"
    assert headers == [b"Basic dXNlcjpwYXNzIHdvcmQ=", b"Basic dXNlcjpwYXNzIHdvcmQ=", None]
    rows = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    rows.sort(key=lambda row: row["slot"])
    assert [row["url"] for row in rows][:2] == [
        "http://127.0.0.1/a.jpg",
        "http://127.0.0.1/gone.jpg",
    ]
    assert rows[2]["url"].startswith("data:image/jpeg;base64,AAA")
    told = [*shown, caplog.text, json.dumps(rows), images[3]["reason"]]
    told += [file.read_bytes().decode("latin-1") for file in tmp_path.glob("i*")]
    for text in told:
        assert "pass word" not in text
        assert "pass%20word" not in text
        assert "A" * 100 not in text


# --- bytes, pixels, shapes ---


@pytest.mark.parametrize(
    ("code", "settings", "body"),
    [
        ("too-few-bytes", {"IMGPIPE_MIN_BYTES": 10_000}, jpeg()),
        ("too-many-bytes", {"IMGPIPE_MAX_BYTES": 100}, jpeg()),
        ("too-many-pixels", {"IMGPIPE_MAX_PIXELS": 99}, encoded(noise((10, 10)), "PNG")),
        ("too-small", {"IMGPIPE_MIN_SIDE": 11}, LONG),
        ("aspect-ratio", {"IMGPIPE_MAX_ASPECT_RATIO": 4.9}, LONG),
        ("aspect-ratio", {"IMGPIPE_MAX_ASPECT_RATIO": "4.9"}, encoded(noise((10, 50)), "PNG")),
        ("not-an-image", {}, b"<!doctype html><title>Log in</title>"),
    ],
)
@pytest.mark.parametrize("chain", [False, True], ids=["ours", "users-chain"])
def test_limits(tmp_path, code, settings, body, chain):
    class Chained(ImagesPipeline):
        def get_images(self, *args, **kwargs):
            yield from super().get_images(*args, **kwargs)

    kind = Chained if chain else ImagesPipeline
    with Crawl(tmp_path, {PUBLIC: body}, kind, **settings) as crawl:
        assert outcome(crawl, PUBLIC) == code


@pytest.mark.parametrize(
    "settings",
    [
        {"IMGPIPE_MIN_BYTES": len(LONG)},
        {"IMGPIPE_MAX_BYTES": len(LONG)},
        {"IMGPIPE_MAX_PIXELS": 500},
        {"IMGPIPE_MIN_SIDE": 10},
        {"IMGPIPE_MAX_ASPECT_RATIO": 5},
        {"IMGPIPE_MAX_FRAMES": 1},
    ],
)
def test_at_the_limit(tmp_path, settings):
    with Crawl(tmp_path, {PUBLIC: LONG}, **settings) as crawl:
        assert outcome(crawl, PUBLIC) == "stored"


def test_what_it_is_instead_is_said(tmp_path):
    with Crawl(tmp_path, {PUBLIC: b'{"error": 1}'}, IMGPIPE_KEEP_FAILED=True) as crawl:
        (image,) = crawl.images(PUBLIC)
    assert image["reason"] == "Not an image, but JSON"


def test_a_refusal_is_judged_again_under_other_limits(tmp_path):
    known = {"IMGPIPE_INDEX": str(tmp_path / "i"), "IMGPIPE_RETRY_FAILED_AFTER": 7}
    for limit, asked in ((100, 1), (100, 0), (10_000, 1)):
        settings = {**known, "IMGPIPE_MAX_BYTES": limit}
        with Crawl(tmp_path / "store", {PUBLIC: jpeg()}, **settings) as crawl:
            crawl.images(PUBLIC)
            assert len(crawl.site.asked) == asked


def test_a_download_is_stopped_by_what_its_headers_tell(tmp_path):
    from scrapy.exceptions import StopDownload

    async def announced(request):
        told = {"Content-Length": "500000"}
        for signal, more in (
            (signals.headers_received, {"headers": Headers(told), "body_length": 500_000}),
            (signals.bytes_received, {"data": b"x"}),
        ):
            answers = crawl.crawler.signals.send_catch_log(
                signal, request=request, spider=None, dont_log=StopDownload, **more
            )
            if any(isinstance(getattr(a, "value", None), StopDownload) for _, a in answers):
                return Response(request.url, headers=told, flags=["download_stopped"])
        return Response(request.url, body=jpeg())

    with Crawl(tmp_path, {PUBLIC: announced}, IMGPIPE_MAX_BYTES=499_999) as crawl:
        assert outcome(crawl, PUBLIC) == "too-many-bytes"
        assert crawl.stats["imgpipe/downloads/stopped"] == 1
        assert crawl.stats["imgpipe/bytes/spared"] == 500_000


@pytest.mark.parametrize("users", [{}, {"download_maxsize": 30_000_000}], ids=["none", "users"])
def test_what_an_encoded_redirect_may_grow_to_is_no_limit_for_the_next_hop(tmp_path, users):
    """The first answer is decoded by a middleware, the second one is another download."""
    limits = []

    class Limited(ImagesPipeline):
        def get_media_requests(self, item, info):
            yield from (
                request.replace(meta=users) for request in super().get_media_requests(item, info)
            )

    with Crawl(tmp_path, {PUBLIC: jpeg()}, Limited) as crawl:
        around = crawl.pipeline.hops._around

        async def redirected(request):
            async def encoded(hop):
                limits.append(hop.meta.get("download_maxsize"))
                return Response(hop.url, status=302, headers={"Content-Encoding": "gzip"})

            await around(encoded, request)
            limits.append(request.meta["download_maxsize"])
            await around(encoded, request.copy())
            return Response(request.url, body=jpeg())

        crawl.site.answers[PUBLIC] = redirected
        crawl.images(PUBLIC)
    own = users.get("download_maxsize")
    assert limits == [own, 16 << 20, own]


# --- who does not want it ---

NOAI = "http://93.184.216.34/noai.jpg"


def answering(**headers):
    """Answer with a picture and *headers*."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: Response(request.url, headers=named, body=jpeg(), request=request)


@pytest.mark.parametrize(
    ("setting", "headers", "code"),
    [
        (False, {"X_Robots_Tag": "noai", "TDM_Reservation": "1"}, "stored"),
        (True, {}, "stored"),
        (True, {"X_Robots_Tag": "noai"}, "opted-out"),
        (True, {"X_Robots_Tag": "noindex"}, "stored"),
        ("noindex", {"X_Robots_Tag": "noindex"}, "opted-out"),
        ("noindex", {"X_Robots_Tag": "noai", "TDM_Reservation": "1"}, "stored"),
        (True, {"X_Robots_Tag": "otherbot: noai"}, "stored"),
        (True, {"X_Robots_Tag": "ourbot: noai"}, "opted-out"),
        (True, {"TDM_Reservation": "1"}, "opted-out"),
        (["tdm"], {"TDM_Reservation": "1"}, "opted-out"),
        (["tdm"], {"TDM_Reservation": "0"}, "stored"),
    ],
)
def test_headers_that_opt_out(tmp_path, setting, headers, code):
    class Ours(ImagesPipeline):
        def get_media_requests(self, item, info):
            for request in super().get_media_requests(item, info):
                yield request.replace(headers={"User-Agent": "ourbot/2.0 (+https://our.example)"})

    with Crawl(tmp_path, {NOAI: answering(**headers)}, Ours, IMGPIPE_OPT_OUT=setting) as crawl:
        assert outcome(crawl, NOAI) == code


def test_reserved_by_a_file_of_the_site_that_is_asked_for_once(tmp_path):
    site = "http://93.184.216.34"
    rules = b'[{"location": "/art/*", "tdm-reservation": 1}]'
    pictures = [f"{site}/{kind}/{n}.jpg" for kind in ("art", "free") for n in range(5)]
    answers = {**dict.fromkeys(pictures, jpeg()), f"{site}/.well-known/tdmrep.json": rules}
    with Crawl(tmp_path, answers, IMGPIPE_OPT_OUT=True) as crawl:
        assert [image["url"] for image in crawl.images(*pictures)] == pictures[5:]
        assert crawl.outcomes() == {"opted-out": 5, "stored": 5}
        assert len(crawl.site.asked) == 6


@pytest.mark.parametrize("answer", [404, OSError("away"), b"no JSON"], ids=repr)
def test_a_site_without_such_a_file_reserves_nothing(tmp_path, answer):
    answers = {PUBLIC: jpeg(), "http://93.184.216.34/.well-known/tdmrep.json": answer}
    with Crawl(tmp_path, answers, IMGPIPE_OPT_OUT="tdm") as crawl:
        assert outcome(crawl, PUBLIC) == "stored"


@pytest.mark.parametrize("chain", [False, True], ids=["ours", "users-chain"])
def test_what_the_image_itself_says(tmp_path, chain):
    class Chained(ImagesPipeline):
        def get_images(self, *args, **kwargs):
            yield from super().get_images(*args, **kwargs)

    packet = (
        b'<x:xmpmeta><rdf:RDF xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/"><rdf:Description '
        b'plus:DataMining="http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED"/></rdf:RDF></x:xmpmeta>'
    )
    answers = {PUBLIC: encoded(noise((10, 10)), "JPEG", xmp=packet), PRIVATE: jpeg()}
    kind = Chained if chain else ImagesPipeline
    with Crawl(tmp_path, answers, kind, IMGPIPE_OPT_OUT=True) as crawl:
        assert (outcome(crawl, PUBLIC), outcome(crawl, PRIVATE)) == ("opted-out", "stored")
    with Crawl(tmp_path, answers, kind, IMGPIPE_OPT_OUT="noai", IMGPIPE_INDEX="off") as crawl:
        assert outcome(crawl, PUBLIC) == "stored"


# --- what comes broken ---

WHOLE = jpeg((200, 150))


def in_turn(*bodies: bytes):
    """Answer with each of *bodies* in turn, and the last one for ever."""
    left = list(bodies)
    return lambda request: Response(
        request.url, body=left.pop(0) if left[1:] else left[0], request=request
    )


@pytest.mark.parametrize(
    ("bodies", "retries", "asked", "code"),
    [
        ([WHOLE[:4000], WHOLE], 2, 2, "stored"),
        ([WHOLE[:4000], WHOLE[:5000], WHOLE], 2, 3, "stored"),
        ([WHOLE[:4000], WHOLE[:5000], WHOLE], 1, 2, "broken"),
        ([WHOLE[:4000], WHOLE], 0, 1, "broken"),
        ([WHOLE[:4000]], 5, 2, "broken"),
        ([b"no image"], 5, 1, "not-an-image"),
    ],
)
def test_what_came_broken_is_downloaded_once_more(tmp_path, bodies, retries, asked, code):
    settings = {"IMGPIPE_RETRIES": retries, "IMGPIPE_REPORT": str(tmp_path / "report.jsonl")}
    with Crawl(tmp_path / "store", {PUBLIC: in_turn(*bodies)}, **settings) as crawl:
        assert outcome(crawl, PUBLIC) == code
        assert len(crawl.site.asked) == asked
        assert crawl.stats.get("imgpipe/retries", 0) == asked - 1
    (row,) = (json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines())
    assert (row["outcome"], row["attempts"]) == (code, 0)  # nothing reached a real downloader


def test_equal_bytes_that_came_broken_hold_up_nobody(tmp_path):
    urls = [f"{PUBLIC}?{number}" for number in range(3)]
    bodies = [WHOLE[:4000], WHOLE]
    settings = {"IMGPIPE_RETRIES": 1, "IMGPIPE_DEDUPE": "content"}
    with Crawl(tmp_path, {url: in_turn(*bodies) for url in urls}, **settings) as crawl:
        assert [image["status"] for image in crawl.images(*urls)] == ["downloaded"] * 3
    assert crawl.stats["imgpipe/retries"] == 3


def test_retries_may_be_switched_off_with_scrapys_setting(tmp_path):
    settings = {"IMGPIPE_RETRIES": 2, "RETRY_ENABLED": False}
    with Crawl(tmp_path, {PUBLIC: in_turn(WHOLE[:4000], WHOLE)}, **settings) as crawl:
        assert outcome(crawl, PUBLIC) == "broken"


def test_a_download_under_way_is_joined_while_it_is_tried_again(tmp_path):
    answers = {PUBLIC: in_turn(WHOLE[:4000], WHOLE)}
    with Crawl(tmp_path, answers, IMGPIPE_RETRIES=1) as crawl:
        items = crawl.process({"image_urls": [PUBLIC]}, {"image_urls": [PUBLIC]})
        assert [len(item["images"]) for item in items] == [1, 1]
        assert crawl.outcomes() == {"stored": 1, "joined": 1}
