"""Chromium, a window for each test, and pages to open in it, all from disk."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from scrapy_imgpipe.report.gallery import gallery
from tests.pictures import encoded, jpeg, noise
from tests.report.galleries import put, report_of

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}

#: What a page must never run: it would tell on itself.
EVIL = "<img src=x onerror=\"document.title='evil'\"><script>document.title='evil'</script>"

SIDES = [(900, 600), (400, 600), (600, 600), (1200, 500), (150, 100), (640, 480)]
COUNT = 24


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if path is None:
        pytest.fail("Chromium is not here: apt-get install chromium, or name it with CHROMIUM")
    with sync_playwright() as playwright:
        # Not as root in a sandbox: what it opens is ours.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def window(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Return what opens a page; at the end, nothing may have gone wrong or out in any."""
    contexts, wrong = [], []

    def opened(folder: Path, size: dict[str, int] | None = None, **options: Any) -> Page:
        context = chromium.new_context(viewport=size or DESKTOP, **options)
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: _note(request.url, wrong))
        page.goto((folder / "index.html").as_uri())
        page.wait_for_function(
            "() => !/Reading/.test(document.getElementById('count').textContent)"
        )
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


def _note(url: str, wrong: list[str]) -> None:
    if not url.startswith(("file:", "data:")):
        wrong.append(f"asked for {url}")


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of a crawl: pictures of several kinds, what is damaged, and failures."""
    folder = tmp_path_factory.mktemp("shop")
    rows = []
    for number in range(COUNT):
        width, height = SIDES[number % len(SIDES)]
        form = "PNG" if number % 4 == 0 else "JPEG"
        data = encoded(noise((width, height)), form)
        path = f"full/{number:02} #?%.{form.lower()}"
        put(folder / "store", path, data)
        rows.append(
            {
                "url": f"http://{'ab'[number % 2]}.example/{number}.jpg",
                "page": "http://a.example/page",
                "path": path,
                "width": width,
                "height": height,
                "format": form,
                "outcome": "stored" if number else "cached",
                "finished": f"2026-11-30T12:00:{number:02}.000Z",
                "alt": f"Picture {number}",
            }
        )
    rows[1]["alt"] = EVIL
    rows[2]["url"] = "javascript:document.title='evil'"
    put(folder / "store", "full/damaged.jpg", jpeg((300, 200))[:2000])
    rows.append({"url": "http://a.example/damaged", "path": "full/damaged.jpg"})
    rows.append(rows[3] | {"outcome": "joined"})
    for number in range(120):
        bad = {"url": f"http://b.example/gone/{number}", "status": "failed"}
        rows.append(bad | {"outcome": "http-status", "reason": "HTTP status 404"})
    rows.append({"url": EVIL, "status": "failed", "outcome": "broken", "reason": EVIL})
    report = report_of(folder / "crawl.jsonl", *rows)
    gallery(folder / "store", folder / "page", report=report, title="A shop")
    return folder / "page"


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of a crawl of ten thousand pictures, which are a few by many names."""
    folder = tmp_path_factory.mktemp("many")
    sides = [(240, 160), (160, 240), (300, 120), (200, 200), (120, 300)]
    for number, size in enumerate(sides):
        put(folder / "store", f"full/{number}.jpg", jpeg(size))
    rows = [
        {"url": f"http://a.example/{number}.jpg", "outcome": "stored", "status": "downloaded"}
        | {"path": f"full/{number % len(sides)}.jpg"}
        | {"finished": f"2026-11-30T12:{number // 60 % 60:02}:{number % 60:02}.000Z"}
        for number in range(10_000)
    ]
    report = folder / "crawl.jsonl"
    report.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    gallery(folder / "store", folder / "page", report=report)
    return folder / "page"
