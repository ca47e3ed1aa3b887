"""An entry may be several URLs for one picture: the best first, one result for all."""

from __future__ import annotations

import pytest

from scrapy_imgpipe import ImagesPipeline
from tests.fakes import Crawl
from tests.pictures import jpeg

BEST, GOOD, POOR = (f"http://shop.example/{name}.jpg" for name in ("best", "good", "poor"))
OTHER = "http://shop.example/other.jpg"
SRCSET = f"{POOR} 300w, {BEST} 1200w, {GOOD} 600w"

ENTRIES = {
    "list": [BEST, GOOD, POOR],
    "tuple": (BEST, GOOD, POOR),
    "srcset": SRCSET,
    "srcset by density": f"{POOR}, {GOOD} 2x, {BEST} 3x",
    "list with a srcset": [f"{GOOD} 600w, {BEST} 1200w", POOR],
    "list with what is no URL": [None, BEST, "", "//x/y.jpg", GOOD, POOR],
}
of_entries = pytest.mark.parametrize("entry", ENTRIES.values(), ids=list(ENTRIES))


@of_entries
def test_the_best_one_is_taken_and_the_others_are_not_asked_for(tmp_path, entry):
    answers = dict.fromkeys([BEST, GOOD, POOR, OTHER], jpeg())
    with Crawl(tmp_path, answers) as crawl:
        images = crawl.images(entry, OTHER)
    assert [image["url"] for image in images] == [BEST, OTHER]
    assert sorted(crawl.site.urls) == sorted([BEST, OTHER])
    assert crawl.outcomes() == {"stored": 2}


@of_entries
def test_where_one_fails_the_next_one_is_asked_for(tmp_path, entry):
    answers = {BEST: 404, GOOD: b"<html>", POOR: jpeg()}
    with Crawl(tmp_path, answers) as crawl:
        images = crawl.images(entry)
    assert [image["url"] for image in images] == [POOR]
    assert crawl.site.urls == [BEST, GOOD, POOR]
    assert crawl.outcomes() == {"stored": 1}


@of_entries
def test_where_all_fail_there_is_one_failure(tmp_path, entry, caplog):
    with Crawl(tmp_path, {GOOD: 503}, IMGPIPE_KEEP_FAILED=True) as crawl:
        images = crawl.images(OTHER, entry)
    assert [(image["url"], image["outcome"]) for image in images] == [
        (OTHER, "http-status"),
        (POOR, "http-status"),
    ]
    assert crawl.outcomes() == {"http-status": 2}


@pytest.mark.parametrize("entry", [[], [None], ["x.jpg", ""], [[BEST]]])
def test_an_entry_without_a_usable_candidate_is_a_bad_url(tmp_path, entry):
    with Crawl(tmp_path, {BEST: jpeg()}, IMGPIPE_KEEP_FAILED=True) as crawl:
        (image,) = crawl.images(entry)
    assert (image["outcome"], crawl.site.asked) == ("bad-url", [])
    assert image["reason"].startswith("Expected ")


def test_the_next_one_has_what_the_user_gave_the_first_and_nothing_of_its_way(tmp_path):
    class Mine(ImagesPipeline):
        def get_media_requests(self, item, info):
            for request in super().get_media_requests(item, info):
                request.headers["X-Mine"] = "1"
                request.meta["mine"] = [1]
                request.priority = 7
                yield request

    async def slow_slot(request):
        request.meta["download_slot"] = "the first one's"
        return 404

    with Crawl(tmp_path, {BEST: 404, GOOD: jpeg()}, Mine) as crawl:
        crawl.images([BEST, GOOD])
    first, second = crawl.site.asked
    assert second.headers["X-Mine"] == b"1"
    assert second.meta["mine"] == [1]
    assert second.priority == 7
    assert first.meta is not second.meta


def test_an_errback_is_called_once_when_none_is_left(tmp_path):
    called = []

    class Mine(ImagesPipeline):
        def get_media_requests(self, item, info):
            for request in super().get_media_requests(item, info):
                yield request.replace(errback=called.append)

    with Crawl(tmp_path, {BEST: 404, GOOD: 404, POOR: 503, OTHER: 404}, Mine) as crawl:
        crawl.images(SRCSET)
        assert len(called) == 1
    with Crawl(tmp_path, {BEST: 404, GOOD: jpeg()}, Mine) as crawl:
        crawl.images(SRCSET)
    assert len(called) == 1


def test_a_candidate_that_somebody_else_asked_for_is_joined(tmp_path):
    with Crawl(tmp_path, {BEST: 404, GOOD: jpeg()}) as crawl:
        images = crawl.images([BEST, GOOD], [BEST, GOOD], GOOD)
    assert [image["url"] for image in images] == [GOOD] * 3
    assert sorted(crawl.site.urls) == sorted([BEST, GOOD])
    assert sum(crawl.outcomes().values()) == 3


def test_what_is_stored_of_the_best_is_not_asked_for_again(tmp_path):
    with Crawl(tmp_path, {BEST: jpeg()}) as crawl:
        crawl.images(SRCSET)
    with Crawl(tmp_path) as crawl:
        (image,) = crawl.images(SRCSET)
    assert (image["status"], image["url"], crawl.site.asked) == ("uptodate", BEST, [])
