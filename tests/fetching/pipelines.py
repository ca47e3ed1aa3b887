"""Pipelines and steps of a user, which the processes of a fetch import from here."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from PIL import Image
from scrapy.exceptions import DropItem

from scrapy_imgpipe import ImagesPipeline

#: Width of a picture that :func:`deadly` dies of.
DEADLY_WIDTH = 77


def deadly(image: Image.Image) -> Image.Image:
    """End the process that it is called in, as a decoder does that crashes."""
    if image.width == DEADLY_WIDTH:
        os._exit(9)
    return image


class BySku(ImagesPipeline):
    """Files are named by a column of the list."""

    def file_path(
        self, request: Any, response: Any = None, info: Any = None, *, item: Any = None
    ) -> str:
        return f"{item['shelf']}/{item['sku']}.jpg"


class ByProcess(ImagesPipeline):
    """Files are named by the process that crawled them."""

    def file_path(
        self, request: Any, response: Any = None, info: Any = None, *, item: Any = None
    ) -> str:
        return f"{os.getpid()}/{item['imgpipe_line']}.jpg"


class ManyRequests(ImagesPipeline):
    """Asks as often for each line as its column ``times`` says."""

    def get_media_requests(self, item: Any, info: Any) -> Any:
        (request,) = super().get_media_requests(item, info)
        for number in range(int(item["times"])):
            yield request.replace(url=f"{request.url}?{number}")


class OddEnds(ImagesPipeline):
    """Items end as their column ``end`` says, and give back what nobody knows."""

    def get_media_requests(self, item: Any, info: Any) -> Any:
        if item["end"] == "no requests":
            raise ValueError("no requests")
        return super().get_media_requests(item, info)

    def item_completed(self, results: Any, item: Any, info: Any) -> Any:
        if item["end"] == "dropped":
            raise DropItem("not wanted")
        if item["end"] == "failed":
            raise RuntimeError("a hook of the user's")
        return {"another": "item"} if item["end"] == "another" else None


class DiesOnce(ImagesPipeline):
    """The process of its crawl is killed when a line has a column ``deadly``: once."""

    def get_media_requests(self, item: Any, info: Any) -> Any:
        if item.get("deadly"):
            mark = Path(item["deadly"])
            if not mark.exists():
                mark.touch()
                os._exit(9)
        return super().get_media_requests(item, info)


class DiesAlways(ImagesPipeline):
    """The process of its crawl cannot live through a line with a column ``deadly``."""

    def get_media_requests(self, item: Any, info: Any) -> Any:
        if item.get("deadly"):
            sys.stdout.write("That was it\n")
            sys.stdout.flush()
            os._exit(9)
        return super().get_media_requests(item, info)


class Unbuildable(ImagesPipeline):
    """Cannot be built in the process of a crawl."""

    def open_spider(self, *_: Any) -> None:
        raise ZeroDivisionError("of the user's own")
