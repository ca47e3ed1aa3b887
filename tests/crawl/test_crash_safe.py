"""Nothing under a final name is ever incomplete, and the next crawl mends what is missing."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.crawl.crawls import Crawl, Crawled, crawl, files, name_of
from tests.crawl.site import Answer
from tests.pictures import encoded, jpeg, noise, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.crawl.site import Site

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")

THUMBS = {"small": [50, 50], "big": [270, 270]}
PHOTOS = [f"/{number}.jpg" for number in range(12)]
CLEAR = [f"/{number}.png" for number in range(12)]
IMAGES = [path for pair in zip(PHOTOS, CLEAR, strict=True) for path in pair]


@pytest.fixture(scope="module")
def page(site: Site) -> str:
    site.answers |= {path: jpeg((600, 450)) for path in PHOTOS}
    site.answers |= {path: encoded(noise((400, 300), "RGBA"), "PNG") for path in CLEAR}
    return site.add_page("/page.html", IMAGES)


@pytest.fixture(scope="module")
def undisturbed(page: str, folder: Path) -> dict[str, bytes]:
    """Return the store of a crawl that nobody disturbed."""
    store = folder / "undisturbed"
    crawled = crawl(folder, page, store=store, IMAGES_THUMBS=THUMBS).went_well()
    assert crawled.outcomes == {"stored": len(IMAGES)}
    return files(store)


@pytest.fixture(scope="module")
def killed(page: str, folder: Path, site: Site) -> Path:
    """Return a store that six crawls were killed over, three of them with a file half made."""
    store = folder / "killed"
    # Seeded, so that a failure names its moments; they are random all the same.
    chance = random.Random(7)

    def start(**task: Any) -> Crawl:
        site.forget()
        return Crawl(folder, page, store=store, task=task, IMAGES_THUMBS=THUMBS)

    whole, held = dict(site.answers), threading.Event()
    for answered in (3, 6, 9):
        # The others never come, so that no crawl is over before it is killed.
        site.answers |= {path: Answer(gate=held) for path in IMAGES[answered:]}
        running = start()
        assert site.wait_for(chance.randint(1, answered), "g")
        running.is_over_after(chance.random() / 5)
        running.process.kill()
        assert running.end().code == -signal.SIGKILL
        site.answers |= whole
    held.set()
    # Each image is three files, one after the other: three are written, then renamed.
    for event in ("open", "os.rename", "os.rename"):
        ended = start(die_at={"event": event, "count": chance.randint(2, 7)}).end()
        assert ended.code == -signal.SIGKILL
    return store


def test_killed_at_any_moment_leaves_whole_files_only(
    killed: Path, undisturbed: dict[str, bytes]
) -> None:
    left = files(killed)
    temporary = [path for path in left if ".imgpipe-" in path]
    assert temporary, "nobody was killed in the middle of it"
    whole = {path: data for path, data in left.items() if path not in temporary}
    assert 0 < len(whole) < len(undisturbed)
    assert whole == {path: undisturbed[path] for path in whole}


def test_a_full_image_is_there_after_its_thumbnails_only(killed: Path) -> None:
    left = files(killed)
    for path in left:
        if path.startswith("full/") and ".imgpipe-" not in path:
            name = path.removeprefix("full/")
            assert {f"thumbs/small/{name}", f"thumbs/big/{name}"} <= left.keys()


def test_the_next_crawl_mends_everything_and_sweeps(
    killed: Path, page: str, folder: Path, site: Site, undisturbed: dict[str, bytes]
) -> None:
    there = sum(path.startswith("full/") and ".imgpipe-" not in path for path in files(killed))
    site.forget()
    crawled = crawl(folder, page, store=killed, IMAGES_THUMBS=THUMBS).went_well()
    assert files(killed) == undisturbed
    assert crawled.outcomes == {"stored": len(IMAGES) - there, "up-to-date": there}
    assert sum(site.asked("g").values()) == len(IMAGES) - there


DAMAGED = {"/0.jpg": b"", "/1.jpg": b"<!doctype html><p>Log in"}
CUT = ("/2.jpg", "/0.png")
WITHOUT_THUMBS = ("/3.jpg", "/1.png")


@pytest.fixture(scope="module")
def mended(
    page: str, folder: Path, site: Site, undisturbed: dict[str, bytes]
) -> tuple[Crawled, dict[str, bytes], dict[str, int]]:
    """Damage the full images of two sources, cut two, take and break thumbnails, add a size."""
    store = folder / "undisturbed"

    def stored(kind: str, path: str) -> Path:
        return store / kind / name_of(site.url(path))

    for path, data in DAMAGED.items():
        stored("full", path).write_bytes(data)
    for path in CUT:
        whole = stored("full", path).read_bytes()
        stored("full", path).write_bytes(whole[: len(whole) * 2 // 3])
    for path in WITHOUT_THUMBS:
        stored("thumbs/small", path).unlink()
        thumb = stored("thumbs/big", path).read_bytes()
        stored("thumbs/big", path).write_bytes(thumb[: len(thumb) // 2])
    site.forget()
    crawled = crawl(folder, page, store=store, IMAGES_THUMBS={**THUMBS, "tiny": [20, 20]})
    return crawled.went_well(), files(store), site.asked()


def test_a_stored_file_that_is_empty_or_cut_or_no_image_is_downloaded_again(
    mended: tuple[Crawled, dict[str, bytes], dict[str, int]],
) -> None:
    crawled, _, asked = mended
    assert asked == dict.fromkeys(["/page.html", *DAMAGED, *CUT], 1)
    assert crawled.outcomes == {"stored": 4, "up-to-date": len(IMAGES) - 4}


def test_missing_broken_and_new_thumbnails_are_made_from_the_stored_image(
    mended: tuple[Crawled, dict[str, bytes], dict[str, int]],
    undisturbed: dict[str, bytes],
    site: Site,
) -> None:
    crawled, now, _ = mended
    # Made of the stored JPEG: the same bytes where that is what came, the same size at least.
    for path in WITHOUT_THUMBS:
        for kind in THUMBS:
            thumb = f"thumbs/{kind}/{name_of(site.url(path))}"
            assert opened(now[thumb]).size == opened(undisturbed[thumb]).size
            assert now[thumb] == undisturbed[thumb] or path.endswith(".png")
            undisturbed = {**undisturbed, thumb: now[thumb]}
    tiny = {path: data for path, data in now.items() if path.startswith("thumbs/tiny/")}
    assert {path: data for path, data in now.items() if path not in tiny} == undisturbed
    assert len(tiny) == len(IMAGES)
    assert {max(opened(data).size) for data in tiny.values()} == {20}
    restored = len(IMAGES) - 4 + 2 * len(WITHOUT_THUMBS)
    assert crawled.stats["imgpipe/renditions/restored"] == restored
    assert crawled.stats["imgpipe/renditions"] == restored + 4 * 4


def test_a_result_tells_of_the_thumbnails_that_were_mended(
    mended: tuple[Crawled, dict[str, bytes], dict[str, int]],
) -> None:
    crawled, now, _ = mended
    for image in crawled.images:
        assert [made["name"] for made in image["renditions"]] == ["small", "big", "tiny"]
        assert all(made["bytes"] == len(now[made["path"]]) for made in image["renditions"])


# --- a disk that is full ---

DISK_BYTES = 256 * 1024
TOO_BIG = ("/big-1.jpg", "/big-2.jpg", "/big-3.jpg")
BLOCKED = "/blocked.jpg"
FITS = "/fits.jpg"


@contextmanager
def small_disk(store: Path) -> Iterator[dict[str, int]]:
    """Make *store* a disk of its own; where that is not allowed, limit the files instead."""
    mounted = sys.platform == "linux" and os.getuid() == 0
    if mounted:
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(store)]
        mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0
    try:
        yield {} if mounted else {"limit_bytes": DISK_BYTES}
    finally:
        if mounted:
            subprocess.run(["umount", str(store)], check=True)


@pytest.fixture(scope="module")
def full_disk(
    site: Site, folder: Path
) -> tuple[Crawled, dict[str, bytes], dict[str, bytes], dict[str, str]]:
    """Refresh old copies with images that do not fit; return crawl, files before and after."""
    store = folder / "disk"
    store.mkdir()
    paths = (*TOO_BIG, BLOCKED, FITS)
    site.answers |= {path: jpeg((800, 600), quality=95) for path in TOO_BIG}
    site.answers |= {path: jpeg() for path in (BLOCKED, FITS)}
    assert all(len(site.answers[path]) > DISK_BYTES for path in TOO_BIG)
    page = site.add_page("/disk.html", (*TOO_BIG, BLOCKED))
    page_that_fits = site.add_page("/fits.html", [FITS])
    names = {path: name_of(site.url(path)) for path in paths}
    with small_disk(store) as task:
        for kind in ("full", "thumbs/small"):
            (store / kind).mkdir(parents=True)
            for path in (*TOO_BIG, BLOCKED):
                (store / kind / names[path]).write_bytes(jpeg((30, 20)))
        # A thumbnail that cannot be put in its place: a directory is there.
        (store / "thumbs/small" / names[BLOCKED]).unlink()
        (store / "thumbs/small" / names[BLOCKED]).mkdir()
        before = files(store)
        thumbs = {"small": [50, 50]}
        settings = {"store": store, "task": task, "IMAGES_THUMBS": thumbs, "IMAGES_EXPIRES": 0}
        crawled = crawl(folder, page, **settings).went_well()
        # Alone: beside the others it may find the disk full of what they have begun.
        assert crawl(folder, page_that_fits, **settings).went_well().outcomes == {"stored": 1}
        after = files(store)
    return crawled, before, after, names


def test_a_full_disk_leaves_old_copies_as_they_were(
    full_disk: tuple[Crawled, dict[str, bytes], dict[str, bytes], dict[str, str]],
) -> None:
    crawled, before, after, names = full_disk
    new = {f"full/{names[FITS]}", f"thumbs/small/{names[FITS]}"}
    assert set(after) == {*before, *new}, "and no temporary file"
    assert {path: after[path] for path in before} == before
    assert not crawled.images


def test_a_store_failure_is_one_error_line_and_one_outcome(
    full_disk: tuple[Crawled, dict[str, bytes], dict[str, bytes], dict[str, str]], site: Site
) -> None:
    crawled = full_disk[0]
    assert crawled.outcomes == {"store-failed": 4}
    for path in (*TOO_BIG, BLOCKED):
        lines = crawled.lines(site.url(path))
        ((level, message),) = [line for line in lines if "File (downloaded)" not in line[1]]
        assert level == "ERROR"
        assert "Could not write" in message


def test_a_broken_refresh_leaves_the_old_copy(
    undisturbed: dict[str, bytes], page: str, folder: Path, site: Site
) -> None:
    store, chosen = folder / "refreshed", CLEAR[:2]
    for path in PHOTOS[:4]:
        (store / "full").mkdir(parents=True, exist_ok=True)
        name = name_of(site.url(path))
        (store / "full" / name).write_bytes(undisturbed[f"full/{name}"])
    before = files(store)
    good = {path: site.answers[path] for path in PHOTOS}
    try:
        site.answers[PHOTOS[0]] = good[PHOTOS[0]][:9000]
        site.answers[PHOTOS[1]] = Answer(good[PHOTOS[1]], cut=9000)
        site.answers[PHOTOS[2]] = b"<!doctype html>"
        site.answers[PHOTOS[3]] = Answer(status=503)
        again = site.add_page("/refresh.html", [*PHOTOS[:4], *chosen])
        crawled = crawl(folder, again, store=store, IMAGES_EXPIRES=0).went_well()
    finally:
        site.answers |= good
    assert {path: data for path, data in files(store).items() if path in before} == before
    assert crawled.outcomes == {
        "broken": 1,
        "download-failed": 1,
        "not-an-image": 1,
        "http-status": 1,
        "stored": 2,
    }


def test_left_over_files_of_another_host_go_after_a_day(
    undisturbed: dict[str, bytes], page: str, folder: Path, site: Site
) -> None:
    store = folder / "foreign"
    shutil.rmtree(store, ignore_errors=True)
    (store / "full").mkdir(parents=True)
    old, young = store / "full/.imgpipe-elsewhere-1-1-1.tmp", store / "full/.imgpipe-x-1-1-1.tmp"
    for path, age in ((old, 25 * 60 * 60), (young, 60)):
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age,) * 2)
    again = site.add_page("/foreign.html", PHOTOS[:1])
    crawl(folder, again, store=store).went_well()
    assert not old.exists()
    assert young.exists()
