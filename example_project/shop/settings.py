"""Scrapy settings of the example."""

from __future__ import annotations

import os
from pathlib import Path

BOT_NAME = "shop"
SPIDER_MODULES = ["shop.spiders"]
USER_AGENT = "scrapy-imgpipe-example (a Scrapy project that stores images)"

# Live sites are asked gently; the example's own site on loopback needs no mercy.
ROBOTSTXT_OBEY = True
DOWNLOAD_DELAY = 0.5
CONCURRENT_REQUESTS_PER_DOMAIN = 2
DOWNLOAD_SLOTS = {"127.0.0.1": {"delay": 0, "concurrency": 8}}
TELNETCONSOLE_ENABLED = False

OUTPUT = Path(os.environ.get("EXAMPLE_OUTPUT") or Path(__file__).resolve().parents[1] / "output")
"""Where results go. Each spider keeps its images in a folder of its own name below."""

FEEDS = {str(OUTPUT / "%(name)s.jsonl"): {"format": "jsonlines", "overwrite": True}}
FEED_EXPORT_ENCODING = "utf-8"
EXTENSIONS = {"shop.extensions.StatsFile": 500}

# A row for every image that an item asked for: see `scrapy imgpipe report --help`.
IMGPIPE_REPORT = str(OUTPUT / "%(name)s.report.csv")

# Pixels. Icons and swatches are not worth keeping.
IMAGES_MIN_WIDTH = 100
IMAGES_MIN_HEIGHT = 100
