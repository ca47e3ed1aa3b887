"""A pipeline of a user, which workers import from here."""

from __future__ import annotations

import os
from typing import Any

from scrapy_imgpipe import ImagesPipeline


class Deadly(ImagesPipeline):
    """Ends the process that is to ask a certain host."""

    def get_media_requests(self, item: Any, info: Any) -> Any:
        if "deadly" in item["image_urls"][0]:
            os._exit(9)
        return super().get_media_requests(item, info)
