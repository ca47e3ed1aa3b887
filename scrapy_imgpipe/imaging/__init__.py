"""Pillow, and nothing but Pillow: bytes and a plan become renditions.

No Scrapy, no Twisted, no asyncio, no network, no files but unnamed ones in memory.
Every function may be called from any thread. What goes wrong with the bytes is a
:class:`~scrapy_imgpipe.errors.SourceRejected` or
:class:`~scrapy_imgpipe.errors.ImageBroken` that keeps neither body nor bitmap alive.
"""

from __future__ import annotations

from scrapy_imgpipe.imaging.arrays import check_array, is_array, pixels_of
from scrapy_imgpipe.imaging.colour import flatten
from scrapy_imgpipe.imaging.completeness import inspect
from scrapy_imgpipe.imaging.decode import (
    check_head,
    format_of,
    open_image,
    unknown_formats,
    upright,
)
from scrapy_imgpipe.imaging.encode import encode_jpeg
from scrapy_imgpipe.imaging.exif import exif
from scrapy_imgpipe.imaging.geometry import Layout, fit_inside, layout, size_of
from scrapy_imgpipe.imaging.given import encode_image
from scrapy_imgpipe.imaging.greys import usual
from scrapy_imgpipe.imaging.icc import to_srgb
from scrapy_imgpipe.imaging.limits import check_early, check_header
from scrapy_imgpipe.imaging.measures import is_uniform, measure
from scrapy_imgpipe.imaging.metadata import end_of_image, strip, trailing_bytes
from scrapy_imgpipe.imaging.metadata.datamining import data_mining
from scrapy_imgpipe.imaging.plan import (
    DEFAULT_FORMATS,
    FULL,
    Inspection,
    Picture,
    Plan,
    check_size,
    extension_of,
    media_type_of,
)
from scrapy_imgpipe.imaging.ready import READY, Measure, hamming, phash
from scrapy_imgpipe.imaging.render import render
from scrapy_imgpipe.imaging.resize import shrink
from scrapy_imgpipe.imaging.steps import STEPS
from scrapy_imgpipe.imaging.weight import rendering_bytes
from scrapy_imgpipe.imaging.wishes import step_of
from scrapy_imgpipe.variants import Variant

__all__ = [
    "DEFAULT_FORMATS",
    "FULL",
    "READY",
    "STEPS",
    "Inspection",
    "Layout",
    "Measure",
    "Picture",
    "Plan",
    "Variant",
    "check_array",
    "check_early",
    "check_head",
    "check_header",
    "check_size",
    "data_mining",
    "encode_image",
    "encode_jpeg",
    "end_of_image",
    "exif",
    "extension_of",
    "fit_inside",
    "flatten",
    "format_of",
    "hamming",
    "inspect",
    "is_array",
    "is_uniform",
    "layout",
    "measure",
    "media_type_of",
    "open_image",
    "phash",
    "pixels_of",
    "render",
    "rendering_bytes",
    "shrink",
    "size_of",
    "step_of",
    "strip",
    "to_srgb",
    "trailing_bytes",
    "unknown_formats",
    "upright",
    "usual",
]
