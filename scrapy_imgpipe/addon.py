"""The add-on: ``ADDONS = {"scrapy_imgpipe.Addon": 500}`` and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrapy.pipelines import images
from scrapy.utils.misc import load_object

from scrapy_imgpipe.pipeline import ImagesPipeline

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

#: Where ours goes when no image pipeline is there yet; first, so that later
#: pipelines see the ``images`` field.
ORDER = 1


class Addon:
    """Puts our pipeline where Scrapy's ``ImagesPipeline`` stood, or adds it.

    A project whose ``ITEM_PIPELINES`` already names ours or a subclass of ours
    is left as it is. One that switched Scrapy's off (order None) gets ours.
    """

    def update_settings(self, settings: BaseSettings) -> None:
        """Change ``ITEM_PIPELINES`` in *settings*."""
        pipelines = settings.getdict("ITEM_PIPELINES")
        enabled = {key: load_object(key) for key, order in pipelines.items() if order is not None}
        if images.ImagesPipeline in enabled.values():
            settings.replace_in_component_priority_dict(
                "ITEM_PIPELINES", images.ImagesPipeline, ImagesPipeline
            )
        elif not any(_is_ours(component) for component in enabled.values()):
            settings.setdefault_in_component_priority_dict("ITEM_PIPELINES", ImagesPipeline, ORDER)


def _is_ours(component: object) -> bool:
    return isinstance(component, type) and issubclass(component, ImagesPipeline)
