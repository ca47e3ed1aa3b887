"""What the spiders bring home."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class PageItem:
    """One web page with its images."""

    url: str
    title: str
    image_urls: list[str]
    images: list[dict[str, Any]] = field(default_factory=list)
    """Filled by the images pipeline: a record per stored image, in the order of the URLs."""


@dataclass
class ProductItem:
    """One product of a shop."""

    url: str
    name: str
    price: str
    """As the page has it; empty when it names none."""
    image_urls: list[str]
    image_paths: list[str] = field(default_factory=list)
    """Filled by the project's own pipeline; relative to `IMAGES_STORE`."""
