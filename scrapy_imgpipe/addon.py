"""The add-on: ``ADDONS = {"scrapy_imgpipe.Addon": 500}`` and nothing else."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from scrapy.pipelines import images
from scrapy.utils.misc import load_object
from scrapy.utils.python import global_object_name

from scrapy_imgpipe.pipeline import ImagesPipeline

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

#: Where ours goes when no image pipeline is there yet; first, so that later
#: pipelines see the ``images`` field.
ORDER = 1


_MOVE_OVER = (
    "%s derives from Scrapy's ImagesPipeline and stays as it is; import ImagesPipeline"
    " from scrapy_imgpipe there to move it over"
)

_logger = logging.getLogger(__name__)


class Addon:
    """Puts our pipeline where Scrapy's ``ImagesPipeline`` stood, or adds it.

    A project whose ``ITEM_PIPELINES`` already names ours or a subclass of ours
    is left as it is. So is one that has its own subclass of Scrapy's: a second
    pipeline over the same field would download everything twice, so a warning
    says how to move over. One that switched Scrapy's off (order None) gets ours.
    """

    def update_settings(self, settings: BaseSettings) -> None:
        """Change ``ITEM_PIPELINES`` in *settings*."""
        pipelines = settings.getdict("ITEM_PIPELINES")
        enabled = {key: load_object(key) for key, order in pipelines.items() if order is not None}
        if images.ImagesPipeline in enabled.values():
            settings.replace_in_component_priority_dict(
                "ITEM_PIPELINES", images.ImagesPipeline, ImagesPipeline
            )
        elif theirs := [c for c in enabled.values() if _is_kind_of(c, images.ImagesPipeline)]:
            for component in theirs:
                if not _is_kind_of(component, ImagesPipeline):
                    _logger.warning(_MOVE_OVER, global_object_name(component))
        else:
            settings.setdefault_in_component_priority_dict("ITEM_PIPELINES", ImagesPipeline, ORDER)


def _is_kind_of(component: object, kind: type) -> bool:
    return isinstance(component, type) and issubclass(component, kind)
