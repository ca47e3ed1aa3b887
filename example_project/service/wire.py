"""What travels: the bodies of answers, and nothing that they are made from."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

Pixels = Annotated[int, Meta(ge=1, description="in pixels, upright")]
Bytes = Annotated[int, Meta(ge=0, description="size of the file")]


class Status(StrEnum):
    """How far a job is."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETE = "complete"
    FAILED = "failed"


class Mode(StrEnum):
    """When variants are made."""

    NOW = "now"
    BACKGROUND = "background"


class Problem(Struct, frozen=True):
    """What went wrong (RFC 9457)."""

    status: Annotated[int, Meta(ge=400, le=599)]
    title: Annotated[str, Meta(description="of the status")]
    detail: Annotated[str, Meta(description="one sentence for people")]
    code: Annotated[str, Meta(description="for programs; stable")]
    type: str = "about:blank"


class VariantInfo(Struct, frozen=True):
    """One variant of an image, made or not."""

    name: str
    url: Annotated[str, Meta(description="where it is had; made on demand")]
    made: bool
    width: Pixels | None = None
    height: Pixels | None = None
    format: str = ""
    bytes: Bytes | None = None


class ImageInfo(Struct, frozen=True):
    """All about one image; its ``original`` is the first of the variants."""

    id: str
    url: str
    width: Pixels | None
    height: Pixels | None
    format: str
    bytes: Bytes
    variants: list[VariantInfo]


class ListedImage(Struct, frozen=True):
    """An image in a list; what the index does not know is not there."""

    id: str
    url: Annotated[str, Meta(description="where all about it is had")]
    path: Annotated[str, Meta(description="in the store")]
    source: Annotated[str, Meta(description="URL that a crawl had it from; empty of uploads")] = ""
    width: Pixels | UnsetType = UNSET
    height: Pixels | UnsetType = UNSET
    format: str = ""
    bytes: Bytes | UnsetType = UNSET


class Page(Struct, frozen=True):
    """A part of a list, in the order of identifiers."""

    images: list[ListedImage]
    after: Annotated[str | None, Meta(description="for the next page; null at the end")] = None


class Job(Struct, frozen=True):
    """Variants that are made in the background; it has the identifier of its image."""

    id: str
    status: Status
    image: Annotated[str, Meta(description="URL of the image, once it is complete")]
    reason: Annotated[str, Meta(description="why it failed")] = ""
    code: Annotated[str, Meta(description="of the failure; stable")] = ""


class Health(Struct, frozen=True):
    """That the service is there, and what it has to do."""

    status: str
    jobs: Annotated[int, Meta(ge=0, description="that wait or are worked on")]
    renders: Annotated[int, Meta(ge=0, description="since the start")]
