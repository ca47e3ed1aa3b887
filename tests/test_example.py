"""The example project, run as its user runs it: `run.py` in a process of its own."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from PIL import Image

import scrapy_imgpipe

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = Path(__file__).resolve().parents[1] / "example_project"
PHOTOS = EXAMPLE / "photos"
SHARED = "/images/knit-close-up.jpg"


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, str(EXAMPLE / "run.py"), *map(str, arguments)]


def environment() -> dict[str, str]:
    # The example is to import the same package as these tests, installed or not.
    library = str(Path(scrapy_imgpipe.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": library, "PYTHONUNBUFFERED": "1"}


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


class Results:
    """What one run left in its output folder, read before the next run changes it."""

    def __init__(self, folder: Path, printed: str) -> None:
        self.folder = folder
        self.printed = printed
        account = json.loads((folder / "site.json").read_text())
        self.url: str = account["url"]
        self.requests: dict[str, dict[str, int]] = account["requests"]
        self.files = {
            path.relative_to(folder).as_posix(): path.stat().st_mtime_ns
            for path in folder.rglob("*.jpg")
        }
        self.items = {spider: self._items(spider) for spider in ("gallery", "shop")}
        self.outcomes = {spider: self._outcomes(spider) for spider in ("gallery", "shop")}

    def _items(self, spider: str) -> list[dict[str, Any]]:
        lines = (self.folder / f"{spider}.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def _outcomes(self, spider: str) -> dict[str, int]:
        stats = json.loads((self.folder / f"{spider}.stats.json").read_text())
        prefix = "imgpipe/outcome/"
        return {key.removeprefix(prefix): stats[key] for key in stats if key.startswith(prefix)}

    def stored(self, folder: str, picture: str) -> Path:
        """Return the path of the file made of `/images/<picture>`."""
        name = hashlib.sha1(f"{self.url}images/{picture}".encode()).hexdigest()
        return self.folder / folder / f"{name}.jpg"

    def image_requests(self, spider: str) -> dict[str, int]:
        asked = self.requests[spider]
        return {path: count for path, count in asked.items() if path.startswith("/images/")}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("example") / "site"


@pytest.fixture(scope="module")
def first(site: Path) -> Results:
    output = site.parent / "output"
    done = run("--site", site, "--output", output, "-p", "0")
    assert done.returncode == 0, done.stderr
    return Results(output, done.stdout)


@pytest.fixture(scope="module")
def second(first: Results, site: Path) -> Results:
    port = str(urlsplit(first.url).port)
    done = run("--site", site, "--output", first.folder, "-p", port)
    assert done.returncode == 0, done.stderr
    return Results(first.folder, done.stdout)


def test_a_first_run_stores_every_usable_image(first: Results) -> None:
    assert first.outcomes["gallery"] == {
        "stored": 39,
        "broken": 1,
        "http-status": 1,
        "too-small": 1,
    }
    # Five products share a photo, and two the missing one; each is fetched once.
    assert first.outcomes["shop"] == {
        "stored": 35,
        "joined": 5,
        "broken": 1,
        "http-status": 1,
        "not-an-image": 1,
        "too-small": 1,
    }
    folders = [Path(name).parent.as_posix() for name in first.files]
    assert {folder: folders.count(folder) for folder in folders} == {
        "gallery/full": 39,
        "gallery/thumbs/small": 39,
        "gallery/thumbs/big": 39,
        "shop/full": 35,
    }
    assert "downloaded 74 images; 0 were up to date" in first.printed


def test_it_says_where_things_are(first: Results) -> None:
    for name in ("gallery/full", "gallery/thumbs/big", "shop/full", "gallery.jsonl", "shop.jsonl"):
        assert str(first.folder / name) in first.printed


def test_items_carry_their_images_in_the_order_of_the_page(first: Results) -> None:
    pages = sorted(first.items["gallery"], key=lambda item: item["title"])
    assert [len(page["images"]) for page in pages] == [18, 12, 9]
    for page in pages:
        stored = [image["url"] for image in page["images"]]
        assert stored == [url for url in page["image_urls"] if url in stored]

    products = {item["name"]: item for item in first.items["shop"]}
    assert products["Camel jumper"]["image_paths"] == [
        first.stored("full", picture).relative_to(first.folder).as_posix()
        for picture in ("camel-jumper.jpg", "knit-close-up.jpg")
    ]


def test_a_product_without_a_usable_image_is_dropped(first: Results) -> None:
    names = {item["name"] for item in first.items["shop"]}
    assert len(names) == 20
    assert "Gift card" not in names
    assert "shop: 20 items (1 dropped" in first.printed


def test_each_image_is_fetched_once_by_a_spider(first: Results) -> None:
    assert first.requests["shop"][SHARED] == 1
    for spider in ("gallery", "shop"):
        requests = dict(first.image_requests(spider))
        # What came broken is asked for once more, in case it was the transfer.
        assert requests.pop("/images/dotted-dress-back.jpg") == 2
        assert set(requests.values()) == {1}


def test_a_photo_arrives_untouched(first: Results) -> None:
    photo = (PHOTOS / "clothing" / "plaid-shirt.jpg").read_bytes()
    assert first.stored("gallery/full", "plaid-shirt.jpg").read_bytes() == photo


def test_thumbnails_fit_and_stand_upright(first: Results) -> None:
    for folder, side in (("small", 50), ("big", 270)):
        for path in (first.folder / "gallery" / "thumbs" / folder).iterdir():
            with Image.open(path) as image:
                assert max(image.size) == side
    # This file's pixels are 1000 x 1500; its EXIF orientation turns them.
    with Image.open(first.stored("gallery/thumbs/big", "coffee-turned.jpg")) as image:
        assert image.size == (270, 180)


def test_a_second_run_downloads_nothing_that_is_stored(first: Results, second: Results) -> None:
    assert "downloaded 0 images; 74 were up to date" in second.printed
    assert second.files == first.files
    # By the server's own account; these have no stored copy.
    unusable = {"/images/dotted-dress-swatch.jpg", "/images/dotted-dress-back.jpg"}
    missing = "/images/sold-out.jpg"
    assert set(second.image_requests("gallery")) == {*unusable, missing}
    assert set(second.image_requests("shop")) == {*unusable, missing, "/images/gift-card.jpg"}
    paths = {item["name"]: item["image_paths"] for item in first.items["shop"]}
    assert {item["name"]: item["image_paths"] for item in second.items["shop"]} == paths


def test_a_taken_port_is_one_clear_sentence(site: Path, first: Results) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("--site", site, "--output", first.folder / "unused", "-p", str(port))
    assert done.returncode == 2
    assert done.stderr.startswith(f"Port {port} of 127.0.0.1 is taken:")
    assert done.stderr.count("\n") == 1


@pytest.fixture
def connection(site: Path) -> Iterator[http.client.HTTPConnection]:
    """Connect to the site as `--serve` shows it."""
    with subprocess.Popen(
        command("--site", site, "-p", "0", "--serve"),
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        line = next(line for line in process.stdout if "http://" in line)
        url = next(word for word in line.split() if word.startswith("http://"))
        client = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        try:
            yield client
        finally:
            client.close()
            process.terminate()


def test_the_site_is_served_on_one_open_connection(
    connection: http.client.HTTPConnection,
) -> None:
    kinds = {
        "/robots.txt": "text/plain; charset=utf-8",
        "/shop/page-3.html": "text/html; charset=utf-8",
        "/images/rocket-large.jpg": "image/jpeg",
        "/images/wedge-boots.webp": "image/webp",
        "/images/coffee.avif": "image/avif",
        "/images/tartan-cap.gif": "image/gif",
        "/images/sandals-cut-out.png": "image/png",
    }
    connection.connect()
    opened = connection.sock
    for path, kind in kinds.items():
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.read()
        assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
        assert connection.sock is opened


@pytest.mark.parametrize(
    "path",
    [
        "/images/",
        "/images/sold-out.jpg",
        "/../stamp.json",
        "/%2e%2e/stamp.json",
        "/..%2fstamp.json",
    ],
)
def test_the_server_shows_pages_and_images_only(
    connection: http.client.HTTPConnection, path: str
) -> None:
    connection.request("GET", path)
    assert connection.getresponse().status == 404


@pytest.mark.usefixtures("first")
def test_a_damaged_site_is_made_again_the_same(site: Path) -> None:
    files = {path: path.read_bytes() for path in (site / "www").rglob("*") if path.is_file()}
    assert len([path for path in files if path.parent.name == "images"]) >= 30
    (site / "www" / "images" / "coffee.avif").unlink()
    with subprocess.Popen(
        command("--site", site, "-p", "0", "--serve"),
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("made the web site")
        process.terminate()
    assert {path: path.read_bytes() for path in files} == files


def test_every_photo_has_its_provenance() -> None:
    lines = (PHOTOS / "PROVENANCE.md").read_text(encoding="utf-8").splitlines()
    photos = sorted(path.relative_to(PHOTOS).as_posix() for path in PHOTOS.rglob("*.jpg"))
    assert len(photos) >= 30
    for photo in photos:
        (line,) = [line for line in lines if f"`{photo}`" in line]
        assert "CC0" in line or "public domain" in line
