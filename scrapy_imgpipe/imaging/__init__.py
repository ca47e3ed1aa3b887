"""Pillow, and nothing but Pillow: bytes and a plan become renditions.

No Scrapy, no Twisted, no asyncio, no network, no files but unnamed ones in memory.
Every function may be called from any thread. What goes wrong with the bytes is a
:class:`~scrapy_imgpipe.errors.SourceRejected` or
:class:`~scrapy_imgpipe.errors.ImageBroken` that keeps neither body nor bitmap alive.
"""

from __future__ import annotations

from scrapy_imgpipe.imaging.colour import flatten
from scrapy_imgpipe.imaging.completeness import inspect
from scrapy_imgpipe.imaging.decode import open_image, unknown_formats, upright
from scrapy_imgpipe.imaging.encode import encode_jpeg
from scrapy_imgpipe.imaging.icc import to_srgb
from scrapy_imgpipe.imaging.measures import READY, Measure, is_uniform, measure
from scrapy_imgpipe.imaging.plan import (
    DEFAULT_FORMATS,
    FULL,
    Inspection,
    Picture,
    Plan,
    Variant,
    check_size,
)
from scrapy_imgpipe.imaging.render import render
from scrapy_imgpipe.imaging.resize import fit_inside, shrink
from scrapy_imgpipe.imaging.weight import rendering_bytes

__all__ = [
    "DEFAULT_FORMATS",
    "FULL",
    "READY",
    "Inspection",
    "Measure",
    "Picture",
    "Plan",
    "Variant",
    "check_size",
    "encode_jpeg",
    "fit_inside",
    "flatten",
    "inspect",
    "is_uniform",
    "measure",
    "open_image",
    "render",
    "rendering_bytes",
    "shrink",
    "to_srgb",
    "unknown_formats",
    "upright",
]
