"""What the log says of a crawl meanwhile, and when it says nothing."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager

from scrapy.utils.misc import build_from_crawler

from scrapy_imgpipe import ImagesPipeline
from tests.fakes import Crawl
from tests.pictures import jpeg

SITE = "http://site.example"
NAME = "scrapy_imgpipe.pipeline.watching"


@contextmanager
def said(caplog):
    """Collect what the log says meanwhile of how far the crawl is."""
    caplog.clear()
    lines = []
    with caplog.at_level(logging.INFO):
        yield lines
    lines += [each.getMessage() for each in caplog.records if each.name == NAME]


def test_the_line_says_what_has_ended_and_what_waits(tmp_path, caplog):
    gate = asyncio.Event()

    async def held(request):
        await gate.wait()
        return 404

    answers = {f"{SITE}/a.jpg": jpeg(), f"{SITE}/held.jpg": held}
    urls = [f"{SITE}/a.jpg", f"{SITE}/known.jpg", f"{SITE}/gone.jpg", "no url"]
    with Crawl(tmp_path, {f"{SITE}/known.jpg": jpeg()}) as crawl:
        crawl.images(f"{SITE}/known.jpg")
    with said(caplog) as lines, Crawl(tmp_path, answers, LOGSTATS_INTERVAL=30) as crawl:
        crawl.images(*urls)

        async def run():
            asked = asyncio.ensure_future(
                crawl.pipeline.process_item({"image_urls": [f"{SITE}/held.jpg"]})
            )
            while f"{SITE}/held.jpg" not in crawl.site.urls:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
            crawl.pipeline.watching._say()
            crawl.pipeline.watching._say()
            gate.set()
            await asked

        asyncio.run(run())
    megabytes = f"{len(answers[f'{SITE}/a.jpg']) / 1e6:.1f} MB in"
    assert lines[:-1] == [
        f"Images: 4 (at 8 images/min), {megabytes}, 1 waiting, 1 up to date, 2 failed",
        f"Images: 4 (at 0 images/min), {megabytes}, 1 waiting, 1 up to date, 2 failed",
    ]
    assert lines[-1].startswith("Images: 1 stored, 1 up to date, 3 failed (")


def test_several_pipelines_of_a_crawl_have_one_line(tmp_path, caplog):
    class Other(ImagesPipeline):
        pass

    with said(caplog) as lines, Crawl(tmp_path, {f"{SITE}/a.jpg": jpeg()}) as crawl:
        other = build_from_crawler(Other, crawl.crawler)
        other.open_spider()
        assert other.watching is crawl.pipeline.watching
        crawl.images(f"{SITE}/a.jpg")
        assert len(crawl.pipeline.watching._timers) == 1
    assert len(lines) == 1  # which sums up


def test_where_no_image_was_asked_for_nothing_is_said(tmp_path, caplog):
    with said(caplog) as lines, Crawl(tmp_path) as crawl:
        crawl.images()
        crawl.pipeline.watching._say()
    assert lines == []


def test_who_collects_no_stats_is_told_nothing(tmp_path, caplog):
    dummy = "scrapy.statscollectors.DummyStatsCollector"
    with said(caplog) as lines, Crawl(tmp_path, STATS_CLASS=dummy) as crawl:
        crawl.images(f"{SITE}/a.jpg")
        crawl.pipeline.watching._say()
    assert lines == []


def test_an_interval_of_0_is_off(tmp_path):
    with Crawl(tmp_path, LOGSTATS_INTERVAL=0) as crawl:
        assert crawl.pipeline.watching._timers == []
    with Crawl(tmp_path) as crawl:
        assert len(crawl.pipeline.watching._timers) == 1
    assert crawl.pipeline.watching._timers == []
