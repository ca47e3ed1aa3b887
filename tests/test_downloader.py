"""What the downloader's slots allow, asked of a downloader that is in the wanted state."""

from __future__ import annotations

from math import inf
from types import SimpleNamespace

import pytest
from scrapy.core.downloader import Downloader as ScrapysDownloader
from scrapy.http import Request
from scrapy.utils.test import get_crawler

from scrapy_imgpipe.compat.downloader import LOOK_AGAIN_SECONDS, TICKET, Downloader

A = "http://shop.example/a.jpg"
#: Nothing is sent, and a handler would want an event loop.
NO_HANDLERS = {"DOWNLOAD_HANDLERS": {"http": None, "https": None}}


class Asked:
    """A real downloader, as a crawl's engine has it, and ours beside it."""

    def __init__(self, **settings):
        limits = {"CONCURRENT_REQUESTS_PER_DOMAIN": 3, **settings}
        crawler = get_crawler(settings_dict=NO_HANDLERS | limits)
        crawler.spider = crawler._create_spider()
        self.real = ScrapysDownloader(crawler)
        self.real._start_slot_gc = lambda: None  # wants an event loop, too
        crawler.engine = SimpleNamespace(downloader=self.real)
        self.own: dict[int, Request] = {}
        self.ours = Downloader(crawler, self.own.keys(), lambda _: len(self.own))

    def begin(self, *, reaches_slot=False, own=True, **meta):
        request = Request(A, meta=meta)
        if own:
            request.meta[TICKET] = len(self.own) + 1
            self.own[len(self.own) + 1] = request
        if reaches_slot:
            self.real._get_slot(request)[1].active.add(request)
        return request

    def wait(self, **meta):
        return self.ours.wait_of(self.ours.key_of(Request(A, meta=meta)))


def test_before_the_first_has_reached_its_slot_as_many_go_as_it_will_allow():
    asked = Asked()
    for _ in range(3):
        assert asked.wait() == 0
        asked.begin()
    assert asked.wait() == inf
    assert not asked.real.slots


@pytest.mark.filterwarnings("ignore:The CONCURRENT_REQUESTS_PER_IP setting")
@pytest.mark.parametrize(
    ("settings", "places"),
    [
        ({"DOWNLOAD_SLOTS": {"shop.example": {"concurrency": 2}}}, 2),
        ({"CONCURRENT_REQUESTS_PER_IP": 5}, 5),
    ],
)
def test_the_slot_that_is_to_come_has_settings_of_its_own(settings, places):
    asked = Asked(**settings)
    while not asked.wait():
        asked.begin()
    assert len(asked.own) == places


def test_where_the_slot_to_come_has_a_delay_one_goes_first():
    asked = Asked(DOWNLOAD_DELAY=3)
    assert asked.wait() == 0
    asked.begin()
    assert asked.wait() == LOOK_AGAIN_SECONDS


def test_a_slot_may_be_named_by_anything():
    asked = Asked()
    for _ in range(3):
        assert asked.wait(download_slot=7) == 0
        asked.begin(reaches_slot=True, download_slot=7)
    assert list(asked.real.slots) == [7]
    assert asked.wait(download_slot=7) == inf


def test_where_others_are_in_the_way_it_is_asked_again_soon():
    asked = Asked()
    for _ in range(3):
        asked.begin(reaches_slot=True, own=False)
    assert asked.wait() == LOOK_AGAIN_SECONDS


def test_a_slot_counts_a_transfer_as_soon_as_it_leaves_the_queue():
    asked = Asked()
    asked.ours.count_at_once()
    asked.ours.count_at_once()  # once is enough
    request = asked.begin(reaches_slot=True)
    slot = asked.real.slots["shop.example"]
    asked.real._wait_for_download(slot, request, None).close()
    assert slot.transferring == {request}
