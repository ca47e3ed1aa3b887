"""Whole crawls into real servers: twice, and killed and continued."""

from __future__ import annotations

import random
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from scrapy_imgpipe.stores import Access, Store, open_store
from tests.crawl.crawls import MODES, Crawl, crawl
from tests.crawl.site import Answer, Site
from tests.integration import azure_server, ftp_server, gcs_server, s3_server
from tests.pictures import encoded, jpeg, noise

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

THUMBS = {"small": [50, 50], "big": [270, 270]}
PHOTOS = [f"/{number}.jpg" for number in range(16)]
CLEAR = [f"/{number}.png" for number in range(16)]
IMAGES = [path for pair in zip(PHOTOS, CLEAR, strict=True) for path in pair]
KILLS = 5


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        site.answers |= {path: jpeg((600, 450)) for path in PHOTOS}
        site.answers |= {path: encoded(noise((400, 300), "RGBA"), "PNG") for path in CLEAR}
        yield site


@pytest.fixture(scope="module")
def page(site: Site) -> str:
    return site.add_page("/page.html", IMAGES)


def s3_settings(endpoint: str, client: str) -> dict[str, Any]:
    return {
        "AWS_ACCESS_KEY_ID": s3_server.KEY,
        "AWS_SECRET_ACCESS_KEY": s3_server.SECRET,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION_NAME": "us-east-1",
        "IMGPIPE_OBJECT_STORE": client,
    }


def s3_store(endpoint: str, uri: str) -> Store:
    access = Access(
        aws_access_key_id=s3_server.KEY,
        aws_secret_access_key=s3_server.SECRET,
        aws_endpoint_url=endpoint,
        aws_region="us-east-1",
    )
    return open_store(uri, access)


def contents(store: Store) -> dict[str, bytes | None]:
    return {path: store.get(path) for path in store.list()}


def goes_well_twice(page: str, site: Site, folder: Path, uri: str, **settings: Any) -> None:
    """Crawl twice, with another thumbnail the second time, and make sure of both."""
    settings |= {"store": uri, "IMGPIPE_INDEX": str(folder / "index.sqlite")}
    first = crawl(folder, page, IMAGES_THUMBS=THUMBS, **settings).went_well()
    assert first.outcomes == {"stored": len(IMAGES)}
    site.forget()
    again = crawl(folder, page, IMAGES_THUMBS={**THUMBS, "tiny": [20, 20]}, **settings).went_well()
    assert not site.asked("g")
    assert again.outcomes == {"up-to-date": len(IMAGES)}
    assert again.stats["imgpipe/renditions/restored"] == len(IMAGES)
    for before, now in zip(first.images, again.images, strict=True):
        assert now["renditions"][:2] == before["renditions"]
        assert now["checksum"] == before["checksum"]


@pytest.mark.parametrize(
    ("mode", "client"), [(MODES[0], "botocore"), *((mode, "obstore") for mode in MODES)]
)
def test_into_s3(s3: str, page: str, site: Site, tmp_path: Path, mode: str, client: str) -> None:
    uri = f"s3://{s3_server.BUCKET}/crawls/{mode}-{client}"
    goes_well_twice(page, site, tmp_path, uri, mode=mode, **s3_settings(s3, client))
    stored = contents(s3_store(s3, uri))
    assert len(stored) == 4 * len(IMAGES)
    originals = {site.answers[path] for path in PHOTOS}
    assert originals <= set(stored.values())


def test_into_gcs(page: str, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with gcs_server.serving(gcs_server.BUCKET) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        goes_well_twice(page, site, tmp_path, f"gs://{gcs_server.BUCKET}/crawls")


def test_into_ftp(page: str, site: Site, tmp_path: Path) -> None:
    with ftp_server.ftp_server(tmp_path / "root") as server:
        settings = {"FTP_USER": ftp_server.USER, "FTP_PASSWORD": ftp_server.PASSWORD}
        goes_well_twice(page, site, tmp_path, f"ftp://{server.address}/crawls", **settings)
        assert server.logins <= 40
        assert len(server.files()) == 4 * len(IMAGES)


def test_into_azure(azure: str, page: str, site: Site, tmp_path: Path) -> None:
    settings = {
        "IMGPIPE_AZURE_ACCOUNT": azure_server.ACCOUNT,
        "IMGPIPE_AZURE_KEY": azure_server.KEY,
        "IMGPIPE_AZURE_ENDPOINT_URL": azure,
    }
    goes_well_twice(page, site, tmp_path, f"az://{azure_server.CONTAINER}/crawls", **settings)


def test_scrapys_own_store_goes_on_working(s3: str, page: str, site: Site, tmp_path: Path) -> None:
    """Its second crawl asks once for each image, and its commands say what it cannot do."""
    settings = s3_settings(s3, "auto") | {"AWS_USE_SSL": False}
    uri = f"s3://{s3_server.BUCKET}/scrapys/"
    settings |= {"store": uri, "pipelines": {"__main__.WithScrapysStore": 1}}
    settings["IMGPIPE_INDEX"] = str(tmp_path / "index.sqlite")
    first = crawl(tmp_path, page, IMAGES_THUMBS=THUMBS, **settings).went_well()
    assert first.outcomes == {"stored": len(IMAGES)}
    assert len(contents(s3_store(s3, uri))) == 3 * len(IMAGES)
    site.forget()
    again = crawl(tmp_path, page, IMAGES_THUMBS=THUMBS, **settings).went_well()
    assert again.outcomes == {"up-to-date": len(IMAGES)}
    assert not site.asked("g")


def test_what_scrapy_has_stored_is_up_to_date_in_ours(
    s3: str, page: str, site: Site, tmp_path: Path
) -> None:
    settings = s3_settings(s3, "obstore") | {"AWS_USE_SSL": False}
    settings["store"] = f"s3://{s3_server.BUCKET}/moved/"
    scrapys = {"scrapy.pipelines.images.ImagesPipeline": 1}
    crawl(tmp_path, page, pipelines=scrapys, **settings)
    site.forget()
    ours = crawl(tmp_path, page, IMGPIPE_INDEX=str(tmp_path / "index"), **settings).went_well()
    assert ours.outcomes == {"up-to-date": len(IMAGES)}
    assert not site.asked("g")
    assert all(image["checksum"] for image in ours.images)


@pytest.mark.parametrize("mode", MODES)
def test_a_store_that_forbids_everything_closes_the_spider(
    s3: str, site: Site, tmp_path: Path, mode: str
) -> None:
    pages = [
        site.add_page(f"/forbidden-{number}.html", [f"/{number}-{each}.jpg" for each in range(8)])
        for number in range(30)
    ]
    settings = s3_settings(s3, "obstore") | {"AWS_SECRET_ACCESS_KEY": "wrong"}
    settings |= {"IMGPIPE_CLOSE_ON_STORE_ERRORS": 5, "CONCURRENT_REQUESTS": 4}
    uri = f"s3://{s3_server.BUCKET}/forbidden-{mode}"
    crawled = crawl(tmp_path, *pages, store=uri, mode=mode, **settings).went_well()
    assert crawled.lines("Closing spider (imgpipe_store_errors)", "scrapy")
    assert crawled.lines("Closing the spider: the store failed 5 times in a row")
    assert crawled.outcomes["store-failed"] >= 5
    assert len(crawled.items) < 20
    assert not site.asked("-0.jpg")


@pytest.mark.parametrize("client", ["botocore", "obstore"])
def test_killed_and_continued_equals_an_undisturbed_one(
    s3: str, page: str, site: Site, tmp_path: Path, client: str
) -> None:
    settings = {**s3_settings(s3, client), "IMAGES_THUMBS": THUMBS}
    uris = [f"s3://{s3_server.BUCKET}/{name}-{client}" for name in ("undisturbed", "killed")]
    crawl(tmp_path / "undisturbed", page, store=uris[0], **settings).went_well()
    undisturbed, killed = (s3_store(s3, uri) for uri in uris)
    wanted = contents(undisturbed)
    assert len(wanted) == 3 * len(IMAGES)
    chance, held, whole = random.Random(7), threading.Event(), dict(site.answers)
    left: list[int] = []
    settings |= {"store": uris[1], "IMGPIPE_INDEX": str(tmp_path / "index.sqlite")}
    for number in range(KILLS):
        # The others never come, so that no crawl is over before it is killed.
        answered = len(IMAGES) * (number + 1) // (KILLS + 1)
        site.answers |= {path: Answer(gate=held) for path in IMAGES[answered:]}
        before = len(list(killed.list()))
        running = Crawl(tmp_path / "killed", page, **settings)
        while len(list(killed.list())) == before and not running.is_over_after(0.02):
            pass
        running.is_over_after(chance.random() / 10)
        running.process.kill()
        assert running.end().code == -signal.SIGKILL
        site.answers |= whole
        there = contents(killed)
        left.append(len(there))
        assert there == {path: wanted[path] for path in there}
        for path in there:
            if path.startswith("full/"):
                name = path.removeprefix("full/")
                assert {f"thumbs/small/{name}", f"thumbs/big/{name}"} <= there.keys()
    held.set()
    assert any(count % 3 for count in left), "nobody was killed in the middle of an image"
    last = crawl(tmp_path / "killed", page, **settings).went_well()
    assert sum(last.outcomes.values()) == len(IMAGES)
    assert contents(killed) == wanted
