"""What a crawl keeps in memory, and what it does on the thread of the event loop."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tests.crawl.crawls import crawl
from tests.pictures import encoded, jpeg, noise

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crawl.site import Site


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the memory in use")
def test_forty_broken_photos_leave_under_100_megabytes_behind(
    site: Site, folder: Path, record_property: pytest.RecordProperty
) -> None:
    whole = jpeg((4000, 3000), quality=60)
    broken = {f"/{n}.jpg": whole[: len(whole) * (55 + n) // 100] for n in range(40)}
    assert sum(map(len, broken.values())) > 100_000_000, "the bodies alone would be too much"
    site.answers |= broken
    page = site.add_page("/broken.html", broken)
    crawled = crawl(folder, page, store=folder / "broken", task={"weigh": True}).went_well()
    assert crawled.outcomes == {"broken": 40}
    report = crawled.report["crawls"][-1]
    record_property("megabytes left behind", report["megabytes"])
    assert report["heavy_failures"] == []
    assert report["megabytes"] < 100


def test_nothing_heavy_happens_on_the_thread_of_the_event_loop(site: Site, folder: Path) -> None:
    site.answers["/photo.jpg"] = jpeg((3000, 2000))
    site.answers["/clear.png"] = encoded(
        noise((1500, 1000), "RGBA").resize((3000, 2000), Image.Resampling.NEAREST), "PNG"
    )
    page = site.add_page("/heavy.html", ["/photo.jpg", "/clear.png"])
    crawled = crawl(
        folder,
        page,
        store=folder / "heavy",
        how="asyncio.run",
        mode="none",
        task={"watch_threads": True, "crawls": 2},  # the second looks up what the first stored
        IMAGES_THUMBS={"big": [270, 270]},
    ).went_well()
    assert [image["status"] for image in crawled.images] == ["uptodate"] * 2
    touched = crawled.report["crawls"][-1]["touched"]
    kinds = {"open", "os.mkdir", "os.rename", "Image.open", "decode", "resize", "encode", "hash"}
    assert set(touched["elsewhere"]) >= kinds, "or the watch is blind"
    assert touched["main"] == []
