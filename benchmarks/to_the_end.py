"""Our pipeline without its early stops: everything is downloaded to its end."""

from __future__ import annotations

import sys

import scrapy_imgpipe
from scrapy_imgpipe.pipeline import hops

hops.WORTH_STOPPING = sys.maxsize


class ImagesPipeline(scrapy_imgpipe.ImagesPipeline):
    """Of the same name, so that the settings are the same."""
