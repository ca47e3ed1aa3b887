"""Hostile answers in real crawls: where redirects lead, and what is stopped half-way."""

from __future__ import annotations

import gzip
import random
import socket
from urllib.parse import quote

import pytest

from tests.crawl.crawls import MODES, crawl
from tests.crawl.site import Answer, Site
from tests.pictures import encoded, jpeg, noise

PICTURE = jpeg((64, 48))
NOISE = random.Random(7).randbytes(900_000)
BOMB = gzip.compress(b"\xff\xd8\xff" + bytes(300_000_000), 9)


def large_png() -> bytes:
    """Return what begins as a PNG of 400 million pixels, and goes on for long."""
    data = encoded(noise((10, 10)), "PNG")
    return data[:16] + (20_000).to_bytes(4, "big") * 2 + data[24:33] + NOISE


def elsewhere(url: str) -> Answer:
    return Answer(status=302, headers={"Location": url})


def refreshed(url: str) -> Answer:
    """Return a page that leads elsewhere."""
    page = f'<html><head><meta http-equiv="refresh" content="0; url={url}"></head></html>'
    return Answer(page.encode(), headers={"Content-Type": "text/html"})


def page_of(*images: str) -> str:
    """Return a page that comes from no host, so that there is no robots.txt of its own."""
    return "data:text/html," + quote("".join(f'<img src="{image}">' for image in images))


@pytest.fixture(scope="module", params=MODES)
def crawled(request, site, folder):
    """Crawl the hostile page once in each mode."""
    slow = {"drips": 30}
    site.answers.update(
        {
            "/good.jpg": PICTURE,
            "/to-blocked.jpg": Answer(
                status=302, headers={"Location": site.url("/x.jpg", "localhost")}
            ),
            "/to-private.jpg": Answer(
                status=301, headers={"Location": site.url("/x.jpg", "127.0.0.2")}
            ),
            "/to-file.jpg": Answer(status=302, headers={"Location": "file:///etc/hostname"}),
            "/to-good.jpg": Answer(status=302, headers={"Location": site.url("/good.jpg")}),
            "/to-secret.jpg": elsewhere(f"http://user:password@127.0.0.1:{site.port}/good.jpg"),
            "/refresh.jpg": refreshed(f"http://user:password@127.0.0.1:{site.port}/good.jpg"),
            "/to-odd.jpg": elsewhere("http://user:password/x@127.0.0.1/good.jpg"),
            "/gimp.jpg": Answer(b"P6\n# Created by GIMP\n500 400\n255\n" + NOISE[:600_000], **slow),
            "/round.jpg": Answer(status=302, headers={"Location": site.url("/round.jpg")}),
            "/page.jpg": Answer(b"<!doctype html>" + b"<p>text</p>" * 60_000, **slow),
            "/large.png": Answer(large_png(), **slow),
            "/noise.jpg": Answer(NOISE, **slow),
            "/art.jpg": Answer(NOISE, headers={"X-Robots-Tag": "noai"}, **slow),
            "/small-art.jpg": Answer(PICTURE, headers={"X-Robots-Tag": "Scrapy: noai"}),
            "/short.jpg": b"<!doctype html><p>text</p>",
            "/gone.jpg": Answer(b"<!doctype html>" + b"<p>gone</p>" * 60_000, status=404, **slow),
            "/bomb.jpg": Answer(BOMB, headers={"Content-Encoding": "gzip"}),
            "/packed.jpg": Answer(gzip.compress(PICTURE), headers={"Content-Encoding": "gzip"}),
        }
    )
    paths = [path for path in site.answers if path.endswith(("jpg", "png"))]
    with_password = f"http://user:password@127.0.0.1:{site.port}/good.jpg"
    page = site.add_page("/hostile", [*paths, with_password])
    site.forget()
    settings = {
        "IMGPIPE_PRIVATE_ADDRESSES": "deny",
        "IMGPIPE_ALLOWED_HOSTS": ["127.0.0.1"],
        "IMGPIPE_BLOCKED_HOSTS": ["localhost"],
        "IMGPIPE_KEEP_FAILED": True,
        "IMGPIPE_OPT_OUT": ["noai"],
        "MEDIA_ALLOW_REDIRECTS": True,
    }
    store = folder / f"store-{request.param}"
    done = crawl(folder / request.param, page, store=store, mode=request.param, **settings)
    done.went_well()
    ended = dict(zip([*paths, with_password], done.images, strict=True))
    return done, {path: image.get("outcome", image["status"]) for path, image in ended.items()}


def test_each_ends_as_what_it_is(crawled):
    _, outcomes = crawled
    outcomes = {path: outcome for path, outcome in outcomes.items() if "@" not in path}
    assert outcomes == {
        "/good.jpg": "downloaded",
        "/to-blocked.jpg": "url-not-allowed",
        "/to-private.jpg": "address-not-allowed",
        "/to-file.jpg": "url-not-allowed",
        "/to-good.jpg": "downloaded",
        "/to-secret.jpg": "downloaded",
        "/refresh.jpg": "downloaded",
        "/to-odd.jpg": "download-failed",
        "/gimp.jpg": "downloaded",
        "/round.jpg": "filtered",
        "/page.jpg": "not-an-image",
        "/large.png": "too-many-pixels",
        "/noise.jpg": "not-an-image",
        "/art.jpg": "opted-out",
        "/small-art.jpg": "opted-out",
        "/short.jpg": "not-an-image",
        "/gone.jpg": "http-status",
        "/bomb.jpg": "too-many-bytes",
        "/packed.jpg": "downloaded",
    }


def test_what_cannot_become_an_image_is_stopped(crawled):
    done, _ = crawled
    assert done.stats["imgpipe/downloads/stopped"] == 4
    assert done.stats["imgpipe/bytes/spared"] > 1_000_000
    said = {image["reason"] for image in done.images if image["status"] == "failed"}
    assert "Not an image, but HTML" in said
    assert "Its Content-Encoding makes more of it than any picture needs" in said


def test_a_url_with_a_password_is_downloaded_and_never_shown(crawled):
    done, outcomes = crawled
    assert [outcome for path, outcome in outcomes.items() if "@" in path] == ["downloaded"]
    said = [image.get("reason") or "" for image in done.images]
    # Without a reactor Scrapy 2.16 downloads with httpx, which finds it first.
    odd = "It redirects to what is no URL: http://127.0.0.1/good.jpg"
    assert odd in said or any(reason.endswith("Invalid URL in location header") for reason in said)
    assert not [reason for reason in said if "password" in reason]
    lines = done.log.splitlines()  # one that begins with a brace is an item, as Scrapy shows it
    assert not [line for line in lines if "password" in line and not line.startswith("{")]


@pytest.mark.parametrize("mode", MODES)
def test_a_robots_txt_of_a_refused_host_is_not_asked_for(site, tmp_path, mode):
    site.answers |= {"/good.jpg": PICTURE, "/away.jpg": elsewhere(site.url("/x.jpg", "localhost"))}
    page = site.add_page("/page", ["/good.jpg", "/away.jpg", site.url("/x.jpg", "localhost")])
    site.forget()
    settings = {
        "IMGPIPE_BLOCKED_HOSTS": ["localhost"],
        "MEDIA_ALLOW_REDIRECTS": True,
        "ROBOTSTXT_OBEY": True,
    }
    done = crawl(tmp_path, page, store=tmp_path / "s", mode=mode, **settings).went_well()
    assert done.outcomes == {"stored": 1, "url-not-allowed": 2}
    assert site.asked("robots.txt") == {"/robots.txt": 1}


def test_a_bomb_from_the_http_cache_is_bounded_as_well(site, tmp_path):
    site.answers["/bomb.jpg"] = Answer(BOMB, headers={"Content-Encoding": "gzip"})
    page = site.add_page("/page", ["/bomb.jpg"])
    settings = {"HTTPCACHE_ENABLED": True, "HTTPCACHE_DIR": str(tmp_path / "cache")}
    for _ in range(2):
        done = crawl(tmp_path, page, store=tmp_path / "s", **settings).went_well()
        assert done.outcomes == {"too-many-bytes": 1}
        assert done.lines("Content-Encoding makes more of it")


STRICT = {
    "IMGPIPE_BLOCKED_HOSTS": ["localhost"],
    "MEDIA_ALLOW_REDIRECTS": True,
    "ROBOTSTXT_OBEY": True,
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("leading", [elsewhere, refreshed])
def test_a_robots_txt_leads_to_no_refused_host(tmp_path, mode, leading):
    with Site() as site:
        secret = site.url("/secret", "localhost")
        site.answers |= {"/good.jpg": PICTURE, "/robots.txt": leading(secret)}
        page = page_of(site.url("/good.jpg"))
        done = crawl(tmp_path, page, store=tmp_path / "s", mode=mode, **STRICT).went_well()
        assert done.outcomes == {"stored": 1}
        assert site.asked() == {"/robots.txt": 1, "/good.jpg": 1}


@pytest.mark.parametrize("mode", MODES)
def test_a_robots_txt_may_lead_to_an_allowed_host(tmp_path, mode):
    with Site() as site:
        secret = f"http://user:password@127.0.0.1:{site.port}/rules"
        rules = b"User-agent: *\nDisallow: /private/"
        site.answers |= {"/robots.txt": elsewhere(secret), "/rules": rules}
        page = page_of(site.url("/private/a.jpg"))
        done = crawl(tmp_path, page, store=tmp_path / "s", mode=mode, **STRICT).went_well()
        assert done.outcomes == {"filtered": 1}
        assert site.asked() == {"/robots.txt": 1, "/rules": 1}
        assert "password" not in done.log


@pytest.mark.parametrize("mode", MODES)
def test_where_a_page_leads_an_image_no_robots_txt_of_a_refused_host_is_asked_for(tmp_path, mode):
    with Site() as site:
        site.answers["/away.jpg"] = refreshed(site.url("/x.jpg", "localhost"))
        page = page_of(site.url("/away.jpg"))
        done = crawl(tmp_path, page, store=tmp_path / "s", mode=mode, **STRICT).went_well()
        assert done.outcomes == {"url-not-allowed": 1}
        assert site.asked() == {"/robots.txt": 1, "/away.jpg": 1}


def test_a_redirect_from_the_http_cache_asks_no_refused_host_either(tmp_path):
    cached = {
        "HTTPCACHE_ENABLED": True,
        "HTTPCACHE_DIR": str(tmp_path / "cache"),
        "HTTPCACHE_IGNORE_HTTP_CODES": [404],  # no redirect's target is in it
    }
    with Site() as site:
        site.answers |= {
            "/robots.txt": elsewhere(site.url("/secret", "localhost")),
            "/away.jpg": elsewhere(site.url("/x.jpg", "localhost")),
        }
        page = page_of(site.url("/away.jpg"))
        for blocked in ([], ["localhost"]):
            site.forget()
            settings = {**STRICT, **cached, "IMGPIPE_BLOCKED_HOSTS": blocked}
            done = crawl(tmp_path, page, store=tmp_path / "s", **settings).went_well()
        assert done.outcomes == {"url-not-allowed": 1}
        assert not site.asked()


RULES = b"User-agent: *\n" + b"Disallow: /good.jpg\n" * 30_000  # 600 KB


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "answer",
    [
        Answer(gzip.compress(RULES * 16), headers={"Content-Encoding": "gzip"}),
        Answer(RULES),
        Answer(raw=b"HTTP/1.1 200 OK\r\n\r\n" + RULES),
    ],
    ids=["gzip", "long", "unannounced"],
)
def test_a_robots_txt_of_an_image_that_is_too_long_forbids_nothing(tmp_path, mode, answer):
    with Site() as site:
        site.answers |= {"/robots.txt": answer, "/good.jpg": PICTURE}
        page = page_of(site.url("/good.jpg"))
        done = crawl(tmp_path, page, store=tmp_path / "s", mode=mode, **STRICT).went_well()
    assert done.outcomes == {"stored": 1}  # and not "filtered"


def test_a_robots_txt_of_an_image_may_have_500_kibibytes(tmp_path):
    with Site() as site:
        site.answers["/robots.txt"] = RULES[: 500 << 10]
        page = page_of(site.url("/good.jpg"))
        done = crawl(tmp_path, page, store=tmp_path / "s", **STRICT).went_well()
    assert done.outcomes == {"filtered": 1}


@pytest.mark.parametrize("mode", MODES)
def test_sites_are_asked_what_they_reserve_where_their_place_is_taken_by_who_leads_there(
    tmp_path, mode
):
    """With one place for each host, the redirect must not have it while its target is asked."""
    with Site() as site, Site() as other:
        reserved = b'[{"location": "/art", "tdm-reservation": 1}]'
        other.answers |= {"/good.jpg": PICTURE, "/.well-known/tdmrep.json": reserved}
        leading = {"/1.jpg": elsewhere, "/2.jpg": refreshed}
        for path, lead in leading.items():
            site.answers[path] = lead(other.url("/good.jpg"))
            site.answers[f"/art{path[1:]}"] = lead(other.url("/art.jpg"))
        settings = {
            "CONCURRENT_REQUESTS_PER_DOMAIN": 1,
            "IMGPIPE_OPT_OUT": ["tdm"],
            "MEDIA_ALLOW_REDIRECTS": True,
        }
        page = page_of(*map(site.url, ["/1.jpg", "/art1.jpg", "/2.jpg", "/art2.jpg"]))
        done = crawl(tmp_path, page, store=tmp_path / "s", mode=mode, **settings).went_well()
        assert done.outcomes == {"stored": 2, "opted-out": 2}
        assert other.asked() == {"/good.jpg": 2, "/.well-known/tdmrep.json": 1}


@pytest.mark.parametrize("mode", ["asyncio", "select"])  # Scrapy has no FTP without a reactor
def test_an_ftp_server_that_says_nothing_is_given_up(tmp_path, mode):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        page = page_of(f"ftp://127.0.0.1:{silent.getsockname()[1]}/a.jpg")
        settings = {"DOWNLOAD_TIMEOUT": 0.1, "IMGPIPE_KEEP_FAILED": True}
        done = crawl(tmp_path, page, store=tmp_path / "s", mode=mode, **settings).went_well()
    (image,) = done.images
    assert image["outcome"] == "download-failed"
    assert image["reason"] == "DownloadTimeoutError: FTP took longer than 0.1 seconds"
