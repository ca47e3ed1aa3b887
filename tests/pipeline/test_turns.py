"""Turns in the pipeline: order, hosts, memory and kept results, without a real downloader."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest

from scrapy_imgpipe import ImagesPipeline, tasks
from tests.fakes import Crawl
from tests.pictures import encoded, jpeg, noise

SITE = "http://site.example"


class ByName(ImagesPipeline):
    """The priority of a source is the number in its URL."""

    def get_media_requests(self, item, info):
        for request in super().get_media_requests(item, info):
            yield request.replace(priority=int(request.url.rpartition("/")[2].split(".")[0]))


class Meter:
    """Answers with *body* and counts how many downloads of each host are under way."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    async def __call__(self, request):
        host = request.url.split("/")[2]
        for key in (host, "all"):
            self.now[key] += 1
            self.most[key] = max(self.most[key], self.now[key])
        await asyncio.sleep(0.001)
        for key in (host, "all"):
            self.now[key] -= 1
        return await answer(request, self.body)


async def answer(request, body):
    from scrapy.http import Response

    return Response(request.url, body=body, request=request)


def urls(count: int, host: str = "site.example") -> list[str]:
    return [f"http://{host}/{number}.jpg" for number in range(count)]


async def all_wait(crawl: Crawl, count: int) -> None:
    while crawl.pipeline.turns.admission.waiting < count:  # noqa: ASYNC110 - nobody tells of it
        await asyncio.sleep(0)


def is_idle(crawl: Crawl) -> bool:
    admission = crawl.pipeline.turns.admission
    return (admission.waiting, admission.under_way, admission.memory.in_use) == (0, 0, 0)


def test_of_what_waits_the_highest_priority_is_downloaded_first(tmp_path):
    names = [3, 9, 0, 7, 1, 8, 2, 6, 5, 4]
    asked = [f"{SITE}/{name}.jpg" for name in names]

    async def when_all_wait(request):
        if len(crawl.site.asked) == 1:
            await all_wait(crawl, 9)
        return await answer(request, jpeg())

    site = dict.fromkeys(asked, when_all_wait)
    with Crawl(tmp_path, site, ByName, CONCURRENT_REQUESTS=1) as crawl:
        images = crawl.images(*asked)
    assert [image["url"] for image in images] == asked
    first, *others = (int(url[len(SITE) + 1 : -4]) for url in crawl.site.urls)
    assert others == sorted(others, reverse=True), first


class OfItem(ImagesPipeline):
    """The priority of a source is its item's."""

    def get_media_requests(self, item, info):
        for request in super().get_media_requests(item, info):
            yield request.replace(priority=item["priority"])


def test_who_joins_lends_its_priority_also_while_the_first_is_looked_up(tmp_path):
    asked = urls(10)
    items = [{"image_urls": asked, "priority": 0}, {"image_urls": asked[7:9], "priority": 1}]
    with Crawl(tmp_path, dict.fromkeys(asked, jpeg()), OfItem, CONCURRENT_REQUESTS=1) as crawl:
        first, second = crawl.process(*items)
        assert not crawl.pipeline.priorities._lent
    assert len(first["images"]) == 10
    assert len(second["images"]) == 2
    assert {asked[7], asked[8]} <= set(crawl.site.urls[:4])  # two may have been on their way


@pytest.mark.parametrize(("priority", "place"), [(1, 1), (-1, 7)])
def test_who_joins_lends_its_priority_where_that_is_higher(tmp_path, priority, place):
    asked = urls(10)

    async def run():
        joined = asyncio.Event()

        async def when_joined(request):
            await joined.wait()
            return await answer(request, jpeg())

        crawl.site.answers = dict.fromkeys(asked, when_joined)
        item = {"image_urls": asked, "priority": 0}
        first = asyncio.ensure_future(crawl.pipeline.process_item(item))
        await all_wait(crawl, 9)
        again = {"image_urls": asked[7:8], "priority": priority}
        second = asyncio.ensure_future(crawl.pipeline.process_item(again))
        waiting = crawl.pipeline.spiderinfo.waiting
        while max(map(len, waiting.values())) < 2:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0)
        joined.set()
        return await first, await second

    with Crawl(tmp_path, {}, OfItem, CONCURRENT_REQUESTS=1) as crawl:
        first, second = asyncio.run(run())
        assert not crawl.pipeline.priorities._tickets
    assert [image["url"] for image in first["images"]] == asked
    assert [image["url"] for image in second["images"]] == asked[7:8]
    assert crawl.site.urls.index(asked[7]) == place


def test_a_host_that_does_not_answer_holds_up_no_other(tmp_path):
    slow, quick = urls(20, "slow.example"), urls(20, "quick.example")

    async def run():
        held = asyncio.Event()

        async def hang(request):
            await held.wait()
            return await answer(request, jpeg())

        crawl.site.answers = dict.fromkeys(slow, hang) | dict.fromkeys(quick, jpeg())
        first = asyncio.ensure_future(crawl.pipeline.process_item({"image_urls": slow}))
        second = await crawl.pipeline.process_item({"image_urls": quick})
        assert not first.done()
        held.set()
        return await first, second

    limits = {"CONCURRENT_REQUESTS": 16, "CONCURRENT_REQUESTS_PER_DOMAIN": 16}
    with Crawl(tmp_path, **limits) as crawl:
        first, second = asyncio.run(run())
    assert len(first["images"]) == len(second["images"]) == 20


@pytest.mark.parametrize("hosts", [1, 3])
def test_the_limits_of_the_settings_hold_where_there_is_no_downloader_to_ask(tmp_path, hosts):
    asked = [url for number in range(hosts) for url in urls(30, f"h{number}.example")]
    meter = Meter(jpeg())
    limits = {"CONCURRENT_REQUESTS": 6, "CONCURRENT_REQUESTS_PER_DOMAIN": 4}
    with Crawl(tmp_path, dict.fromkeys(asked, meter), **limits) as crawl:
        assert len(crawl.images(*asked)) == 30 * hosts
        assert is_idle(crawl)
    assert meter.most.pop("all") == min(6, 4 * hosts)
    assert max(meter.most.values()) <= 4


def test_two_pipelines_of_a_crawl_share_its_limits(tmp_path):
    asked = urls(20)
    meter = Meter(jpeg())
    with Crawl(tmp_path, dict.fromkeys(asked, meter), CONCURRENT_REQUESTS_PER_DOMAIN=3) as crawl:
        other = ImagesPipeline.from_crawler(crawl.crawler)
        other.open_spider()

        async def run():
            item, same = {"image_urls": asked[:10]}, {"image_urls": asked[10:]}
            await asyncio.gather(crawl.pipeline.process_item(item), other.process_item(same))

        asyncio.run(run())
    assert meter.most["all"] == 3


@pytest.mark.parametrize("budget", [1, 200_000, 2_000_000])
def test_downloads_wait_while_bodies_fill_the_budget(tmp_path, budget):
    body = encoded(noise((200, 200)), "BMP")  # 120 KB, and rendering takes 320 KB
    asked = urls(30)
    meter = Meter(body)
    limits = {"CONCURRENT_REQUESTS": 0, "CONCURRENT_REQUESTS_PER_DOMAIN": 99}
    settings = {**limits, "IMGPIPE_MEMORY_BUDGET": budget}
    with Crawl(tmp_path, dict.fromkeys(asked, meter), **settings) as crawl:
        most = 0
        leave = crawl.pipeline.turns.leave

        def watch(ticket):
            nonlocal most
            most = max(most, crawl.pipeline.turns.admission.memory.in_use)
            leave(ticket)

        crawl.pipeline.turns.leave = watch
        assert len(crawl.images(*asked)) == 30
        assert is_idle(crawl)
    # At the beginning nobody knows how large they are: as many go as are expected to fit.
    assert meter.most["all"] <= max(budget // min(budget, 1 << 20), 8)
    assert most <= max(budget, 440_054) + meter.most["all"] * len(body)


@pytest.mark.parametrize("budget", [1, 4_000_000])
def test_what_is_mended_at_once_fits_into_the_budget(tmp_path, budget, monkeypatch):
    asked = urls(8)
    body = jpeg((400, 400))  # for a thumbnail of half the size, it is decoded whole, twice over
    with Crawl(tmp_path, dict.fromkeys(asked, body)) as crawl:
        assert len(crawl.images(*asked)) == 8
    now, most, mend = [], [], tasks.mend

    def slow_mend(found, rules):
        now.append(1)
        most.append(len(now))
        time.sleep(0.02)
        now.pop()
        return mend(found, rules)

    monkeypatch.setattr(tasks, "mend", slow_mend)
    settings = {
        "IMGPIPE_MEMORY_BUDGET": budget,
        "IMGPIPE_WORKERS": 6,
        "IMGPIPE_ISOLATION": "thread",
        "IMAGES_THUMBS": {"half": (200, 200)},
    }
    with Crawl(tmp_path, {}, **settings) as crawl:
        images = crawl.images(*asked)
        assert [len(image["renditions"]) for image in images] == [1] * 8
        assert is_idle(crawl)
    assert max(most) == (1 if budget == 1 else budget // (400 * 400 * 4 * 2 + len(body)))


def test_failures_of_every_kind_give_their_turn_back(tmp_path):
    class Raises(ImagesPipeline):
        def file_path(self, request, response=None, info=None, *, item=None):
            if response is not None and "raise" in request.url:
                msg = "mine"
                raise ValueError(msg)
            return super().file_path(request)

    answers = {
        f"{SITE}/raise.jpg": jpeg(),
        f"{SITE}/error.jpg": RuntimeError("gone"),
        f"{SITE}/404.jpg": 404,
        f"{SITE}/broken.jpg": jpeg()[:300],
        f"{SITE}/empty.jpg": b"",
    }
    with Crawl(tmp_path, answers, Raises, CONCURRENT_REQUESTS=1) as crawl:
        assert crawl.images(*answers) == []
        assert is_idle(crawl)
    assert len(crawl.outcomes()) == 4  # an empty body is a failed download, as is the error


def test_an_item_that_is_given_up_gives_its_turns_back(tmp_path):
    async def run():
        started = asyncio.Event()

        async def hang(request):
            started.set()
            await asyncio.Event().wait()

        crawl.site.answers = dict.fromkeys(urls(9), hang)
        task = asyncio.ensure_future(crawl.pipeline.process_item({"image_urls": urls(9)}))
        await started.wait()
        await all_wait(crawl, 7)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert is_idle(crawl)
        crawl.site.answers = dict.fromkeys(urls(9), jpeg())
        item = await crawl.pipeline.process_item({"image_urls": urls(9)})
        assert len(item["images"]) == 9

    with Crawl(tmp_path, CONCURRENT_REQUESTS=2) as crawl:
        asyncio.run(run())


@pytest.mark.parametrize(("size", "asked_again"), [(0, 3), (2, 1), (3, 0), (10_000, 0)])
def test_as_many_results_are_kept_as_the_setting_says(tmp_path, size, asked_again):
    gone = dict.fromkeys(urls(3), 404)
    with Crawl(tmp_path, gone, MEDIA_CACHE_SIZE=size) as crawl:
        for url in urls(3):
            crawl.images(url)
        assert len(crawl.pipeline.spiderinfo.downloaded) == min(size, 3)
        for url in reversed(urls(3)):
            crawl.images(url)
    assert len(crawl.site.asked) == 3 + asked_again
    assert crawl.outcomes().get("joined", 0) == 3 - asked_again


def test_what_is_used_again_is_kept_longer(tmp_path):
    with Crawl(tmp_path, dict.fromkeys(urls(3), 404), MEDIA_CACHE_SIZE=2) as crawl:
        for name in (0, 1, 0, 2, 0, 1):
            crawl.images(urls(3)[name])
    assert crawl.site.urls == [urls(3)[name] for name in (0, 1, 2, 1)]
