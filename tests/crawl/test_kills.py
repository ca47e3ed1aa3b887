"""Killed again and again, at random moments; one clean crawl later nobody can tell."""

from __future__ import annotations

import os
import random
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.crawl.crawls import Crawl, crawl, files
from tests.crawl.site import Answer
from tests.pictures import encoded, jpeg, noise

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crawl.site import Site

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="signals of POSIX"),
    pytest.mark.timeout(300),  # fifty crawls, each of which has to import Scrapy
]

KILLS = 50
SETTINGS: dict[str, Any] = {
    "IMAGES_THUMBS": {"small": [50, 50]},
    "IMGPIPE_RENDITIONS": {"card": {"width": 120, "format": "WEBP"}},
    # More than there are images: those that are held back keep no other waiting.
    "CONCURRENT_REQUESTS": 32,
    "CONCURRENT_REQUESTS_PER_DOMAIN": 32,
}
IMAGES = [f"/{number}.{'png' if number % 3 == 0 else 'jpg'}" for number in range(18)]
#: Seconds from the moment that the last answer is allowed to the kill: up to as long as
#: rendering it takes.
MOST_SECONDS = 0.15


@pytest.fixture(scope="module")
def page(site: Site) -> str:
    for path in IMAGES:
        picture = jpeg((300, 200)) if path.endswith("jpg") else encoded(noise((90, 60)), "PNG")
        site.answers[path] = picture
    return site.add_page("/page.html", IMAGES)


def test_fifty_kills_and_a_clean_crawl_are_as_one_crawl(
    site: Site, folder: Path, page: str
) -> None:
    undisturbed = folder / "undisturbed"
    options = {**SETTINGS, "IMGPIPE_INDEX": str(folder / "undisturbed-index")}
    crawl(folder, page, store=undisturbed, **options).went_well()
    wanted = files(undisturbed)
    assert len(wanted) == 3 * len(IMAGES)

    # Seeded, so that a failure names its moments; they are random all the same.
    chance = random.Random(50)
    store = folder / "killed"
    options = {**SETTINGS, "IMGPIPE_INDEX": str(folder / "index")}
    whole, held = dict(site.answers), threading.Event()
    seen: list[int] = []
    for kill in range(KILLS):
        # One image more every few kills; the others never come, so that no crawl is over
        # before it is killed.
        answered = 1 + kill * (len(IMAGES) - 2) // KILLS
        site.answers |= {path: Answer(gate=held) for path in IMAGES[answered:]}
        site.forget()
        running = Crawl(folder, page, store=store, **options)
        # What is stored is not asked for again, but what is not always is.
        assert site.wait_for(chance.randint(1, len(IMAGES) - answered), "g")
        running.is_over_after(chance.random() * MOST_SECONDS)
        running.process.kill()
        assert running.end().code == -signal.SIGKILL
        site.answers |= whole
        left = files(store)
        complete = {path: data for path, data in left.items() if ".imgpipe-" not in path}
        assert complete == {path: wanted[path] for path in complete}
        seen.append(len(complete))
    held.set()
    assert seen == sorted(seen), "what was stored stays"
    assert len(set(seen)) > KILLS // 10, "the kills did not hit it at many moments"

    site.forget()
    crawled = crawl(folder, page, store=store, **options).went_well()
    assert files(store) == wanted
    assert sum(crawled.outcomes.values()) == len(IMAGES)
    assert crawled.outcomes.keys() <= {"stored", "up-to-date"}

    # The index has not suffered either: all is known, and nothing is asked for.
    site.forget()
    crawled = crawl(folder, page, store=store, **options).went_well()
    assert crawled.outcomes == {"up-to-date": len(IMAGES)}
    assert not site.asked("g")
    assert files(store) == wanted
