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
        "/to-file.jpg": "redirect-refused",
        "/to-good.jpg": "downloaded",
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
    lines = [line for line in done.log.splitlines() if "password" in line]
    assert not [line for line in lines if "scrapy_imgpipe" in line or "<GET" in line], lines
