"""Encoded renditions on their way into the store, from our renderer or a user's hooks."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any

from scrapy_imgpipe.errors import ImagePipeError, SourceRejected
from scrapy_imgpipe.imaging import (
    DEFAULT_FORMATS,
    Picture,
    encode_jpeg,
    flatten,
    is_uniform,
    media_type_of,
    open_image,
    shrink,
    upright,
)
from scrapy_imgpipe.records import Rendition, checksum, stamp
from scrapy_imgpipe.stores import Facts, File

if TYPE_CHECKING:
    from PIL import Image

    from scrapy_imgpipe.stores import Stat


@dataclass(frozen=True, slots=True)
class Output:
    """One encoded rendition and where it goes; ``name`` is None for the full image."""

    path: str
    name: str | None
    data: bytes
    width: int
    height: int
    format: str
    uniform: bool = False
    trailing: int = 0
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Saved:
    """What is in the store for one source that was just made.

    Attributes:
        checksum: MD5 of the full image.
        full: the full image; None where a user's hook stored it.
        format: of the full image.
        renditions: its thumbnails.
        content: MD5 of the bytes that were downloaded.
        placeholder: which kind of one it is, if any.
        measured: what record functions said of it.
        written: bytes put into the store.
        files: files put into the store.
        rendering: seconds that took.
        storing: seconds that took.
    """

    checksum: str
    full: Rendition | None = None
    format: str = ""
    renditions: tuple[Rendition, ...] = ()
    content: str = ""
    placeholder: str = ""
    measured: Mapping[str, Any] = field(default_factory=dict)
    written: int = 0
    files: int = 0
    rendering: float = 0
    storing: float = 0


def output_of(picture: Picture, full: str, thumbs: Mapping[str, str]) -> Output:
    """Return *picture* with the path it goes to."""
    path = full if picture.name is None else thumbs[picture.name]
    return Output(
        path,
        picture.name,
        picture.data,
        picture.width,
        picture.height,
        picture.format,
        picture.uniform,
        picture.trailing,
        picture.truncated,
    )


def file_of(output: Output, checksum: str = "") -> File:
    """Return *output* as a store takes it; *checksum* is the MD5 of its bytes, if it is known."""
    kind = media_type_of(output.format)
    return File(output.path, output.data, Facts(kind, output.width, output.height, checksum))


def stored_file(
    output: Output, stat: Stat | None, digests: Mapping[str, str], digest: str = ""
) -> Rendition:
    """Return what the index knows of *output*.

    Args:
        output: as it was written.
        stat: what the store said of it, if it did.
        digests: of what each thumbnail is to be, by name.
        digest: MD5 of its bytes, where that is known already.
    """
    return Rendition(
        "" if output.name is None else output.name or output.path,
        output.path,
        output.width,
        output.height,
        len(output.data),
        stamp(stat.modified) if stat else 0,
        digest or checksum(output.data),
        digests.get(output.name or "", ""),
        "" if output.name is None else output.format,
    )


def snapshot(image: Any) -> tuple[Any, Any, BytesIO]:
    """Return what ``get_images`` gave, with its own copy of the bytes.

    Its buffer may be used again for the next image.
    """
    path, picture, buffer, *_ = image
    return path, picture, BytesIO(buffer.getvalue())


def collect(images: Iterable[Any], formats: Collection[str]) -> list[Output]:
    """Run a user's ``get_images`` to its end and take the bytes of each image.

    Items beyond path, image and buffer are passed over. All of it is rendered
    before anything is written, so an error half-way leaves nothing behind.

    Raises:
        SourceRejected: code ``not-an-image`` where it gave no image at all.
    """
    outputs: list[Output] = []
    for path, image, buffer, *_ in images:
        name = _thumb_name(os.fspath(path)) if outputs else None
        outputs.append(taken(path, name, image, buffer, formats))
    if not outputs:
        raise SourceRejected("get_images gave no image", "not-an-image")
    return outputs


def taken(
    path: str,
    name: str | None,
    image: Image.Image,
    buffer: BytesIO,
    formats: Collection[str] = DEFAULT_FORMATS,
) -> Output:
    """Return what a user's hook made, with the bytes as they are at this moment."""
    data = buffer.getvalue()
    form = _format(data, image, formats)
    return Output(os.fspath(path), name, data, *image.size, form, name is None and _flat(image))


def convert(
    image: Image.Image,
    box: tuple[int, int] | None,
    body: BytesIO,
    background: tuple[int, int, int],
) -> tuple[Image.Image, BytesIO]:
    """Return *image* flattened and encoded as JPEG, shrunk into *box* where there is one.

    A JPEG that needs neither comes back with *body* itself, decoded to its end.
    """
    flat = flatten(image, background)
    if box is None and flat is image and image.format in {"JPEG", "MPO"}:
        return upright(image), body
    if box is not None:
        flat = shrink(flat, box)
    return flat, BytesIO(encode_jpeg(flat))


def _flat(image: Image.Image) -> bool:
    try:
        return is_uniform(image)
    except (OSError, ValueError):  # closed by the hook; its bytes are what counts
        return False


def _thumb_name(path: str) -> str:
    parts = path.split("/")
    return parts[1] if parts[0] == "thumbs" and len(parts) > 2 else path  # noqa: PLR2004


def _format(data: bytes, image: Any, formats: Collection[str]) -> str:
    with suppress(ImagePipeError), open_image(data, tuple(formats)) as opened:
        return str(opened.format)
    return str(getattr(image, "format", None) or "")
