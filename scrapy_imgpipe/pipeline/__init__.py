"""The pipeline itself, where hooks meet parts.

``flow`` turns items into results, ``rendering`` decides what workers do,
``images`` is the class that users name and whose methods they override.
"""

from scrapy_imgpipe.pipeline.images import ImagesPipeline

__all__ = ["ImagesPipeline"]
