"""Servers that misbehave: each source has its outcome, and the others are stored."""

from __future__ import annotations

import json
import threading

import pytest

from tests.crawl.crawls import MODES, crawl, files
from tests.crawl.site import Answer
from tests.pictures import jpeg

PICTURE = jpeg((300, 200))
HALF = len(PICTURE) // 2


def raw(*lines: str, body: bytes = PICTURE) -> Answer:
    return Answer(raw="\r\n".join((*lines, "", "")).encode() + body)


def faults(held: threading.Event) -> dict[str, tuple[Answer | bytes, str]]:
    """Return what each path answers, and what becomes of it."""
    ok = "HTTP/1.1 200 OK"
    chunked = (ok, "Transfer-Encoding: chunked")
    chunk = f"{len(PICTURE):x}\r\n".encode() + PICTURE + b"\r\n"
    return {
        "/good.jpg": (PICTURE, "stored"),
        "/slow.jpg": (Answer(PICTURE, drips=20), "stored"),
        "/never.jpg": (Answer(PICTURE, gate=held), "download-failed"),
        "/reset.jpg": (Answer(PICTURE, reset=True), "download-failed"),
        "/cut.jpg": (Answer(PICTURE, cut=HALF), "download-failed"),
        "/cut-mended.jpg": (PICTURE[:HALF], "broken"),
        "/told-less.jpg": (raw(ok, f"Content-Length: {HALF}"), "broken"),
        "/told-more.jpg": (raw(ok, "Content-Length: 99999999"), "download-failed"),
        "/told-nothing.jpg": (raw(ok), "stored"),
        "/chunks.jpg": (raw(*chunked, body=chunk + b"0\r\n\r\n"), "stored"),
        "/no-last-chunk.jpg": (
            raw(*chunked, body=chunk),
            "download-failed",
        ),
        "/bad-chunk.jpg": (
            raw(*chunked, body=b"zz\r\n"),
            "download-failed",
        ),
        "/no-http.jpg": (raw("220 ftp.example ready"), "download-failed"),
        "/empty.jpg": (b"", "download-failed"),
        "/204.jpg": (Answer(status=204), "http-status"),
        "/206.jpg": (Answer(PICTURE[:HALF], status=206), "http-status"),
        "/304.jpg": (Answer(status=304), "http-status"),
        "/403.jpg": (Answer(PICTURE, status=403), "http-status"),
        "/429.jpg": (Answer(status=429, headers={"Retry-After": "86400"}), "http-status"),
        "/503.jpg": (Answer(status=503, headers={"Retry-After": "soon"}), "http-status"),
        "/no-gzip.jpg": (Answer(PICTURE, headers={"Content-Encoding": "gzip"}), "download-failed"),
        "/nowhere.jpg": (Answer(status=302), "http-status"),
        "/round.jpg": (Answer(status=302, headers={"Location": "/round.jpg"}), "filtered"),
    }


@pytest.mark.parametrize("mode", MODES)
def test_each_fault_costs_one_source(site, tmp_path, mode):
    held = threading.Event()
    told = faults(held)
    site.answers.update({path: answer for path, (answer, _) in told.items()})
    page = site.add_page("/faults", [*told, site.refusing_url])
    settings = {
        "DOWNLOAD_TIMEOUT": 1,
        "IMGPIPE_KEEP_FAILED": True,
        "IMGPIPE_REPORT": str(tmp_path / "report.jsonl"),
        "MEDIA_ALLOW_REDIRECTS": True,
        "RETRY_ENABLED": True,
        "RETRY_TIMES": 1,
    }
    store = tmp_path / "store"
    done = crawl(tmp_path, page, store=store, mode=mode, **settings).went_well()
    held.set()
    wanted = {site.url(path): code for path, (_, code) in told.items()}
    wanted[site.refusing_url] = "download-failed"
    rows = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    ended = {row["url"]: row["outcome"] for row in rows}
    if mode == "none":  # some versions of httpx take what follows the told length for an error
        assert ended.pop(site.url("/told-less.jpg")) in {"broken", "download-failed"}
        del wanted[site.url("/told-less.jpg")]
    assert ended == wanted
    assert len(rows) == len(done.images) == len(told) + 1
    stored = files(store).values()
    assert [data for data in stored if data[:2] == b"\xff\xd8"] == [PICTURE] * 4
