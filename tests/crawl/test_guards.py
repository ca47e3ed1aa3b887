"""Hostile answers in real crawls: where redirects lead, and what is stopped half-way."""

from __future__ import annotations

import gzip
import random

import pytest

from tests.crawl.crawls import MODES, crawl
from tests.crawl.site import Answer
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
