"""A pipeline whose files are named by the lines of a list, for who takes them on at once."""

from __future__ import annotations

from typing import Any

from scrapy_imgpipe.fetching.wires import NUMBER
from scrapy_imgpipe.pipeline import ImagesPipeline
from scrapy_imgpipe.variants import Variant


def numbered(kind: type[ImagesPipeline]) -> type[ImagesPipeline]:
    """Return a class derived from *kind*, of the same name, whose paths are numbers."""

    def file_path(
        self: Any, request: Any, response: Any = None, info: Any = None, *, item: Any = None
    ) -> str:
        return f"{item[NUMBER]}{self._extension(self.full_image, response)}"

    def thumb_path(
        self: Any,
        request: Any,
        thumb_id: str,
        response: Any = None,
        info: Any = None,
        *,
        item: Any = None,
    ) -> str:
        variant: Variant | None = self.renditions.get(thumb_id)
        extension = ".jpg" if variant is None else self._extension(variant, response)
        return f"{item[NUMBER]}.{thumb_id}{extension}"

    hooks = {"file_path": file_path, "thumb_path": thumb_path}
    return type(kind.__name__, (kind,), {**hooks, "__module__": kind.__module__})
