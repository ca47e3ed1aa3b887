"""What a worker does for one source: render, hash, write, look up.

Blocking; called in worker threads. No event loop, no Scrapy, no user hooks but
the generator that :func:`collect` is given.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

from scrapy_imgpipe.errors import ImageBroken, ImagePipeError, SourceRejected, StoreFailed
from scrapy_imgpipe.freshness import Verdict, judge
from scrapy_imgpipe.imaging import (
    DEFAULT_FORMATS,
    Picture,
    Plan,
    encode_jpeg,
    fit_inside,
    flatten,
    inspect,
    open_image,
    render,
    rendering_bytes,
    shrink,
    upright,
)
from scrapy_imgpipe.probe import probe
from scrapy_imgpipe.records import Rendition, checksum
from scrapy_imgpipe.stores import Stat, Store

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, slots=True)
class Output:
    """One encoded rendition and where it goes; ``name`` is None for the full image."""

    path: str
    name: str | None
    data: bytes
    width: int
    height: int
    format: str


@dataclass(frozen=True, slots=True)
class Saved:
    """What is in the store for one source.

    Attributes:
        details: width, height, format, bytes and renditions for the result.
        modified: when the full image was last written, Unix seconds; None
            where it has just been.
        restored: how many thumbnails were made from the stored full image.
        written: bytes put into the store just now.
        files: files put into the store just now.
        trouble: why thumbnails are still missing, where they could not be written.
    """

    checksum: str
    details: dict[str, Any] = field(default_factory=dict)
    modified: float | None = None
    restored: int = 0
    written: int = 0
    files: int = 0
    trouble: str = ""


def make(data: bytes, plan: Plan, full: str, thumbs: Mapping[str, str]) -> list[Output]:
    """Render *data* into the full image and its thumbnails, full image first."""
    return [_output(picture, full, thumbs) for picture in render(data, plan)]


def save(outputs: list[Output], store: Store) -> Saved:
    """Write all of *outputs*, the full image last: where it is, the others are too."""
    store.put_all([(output.path, output.data) for output in reversed(outputs)])
    return describe(outputs)


def make_and_save(
    data: bytes, plan: Plan, full: str, thumbs: Mapping[str, str], store: Store
) -> Saved:
    """Render and write in one go."""
    return save(make(data, plan, full, thumbs), store)


def describe(outputs: list[Output]) -> Saved:
    """Return what the result says of *outputs*, all of them written."""
    full, *others = outputs
    return Saved(
        checksum=checksum(full.data),
        details=_details(full, others),
        written=sum(len(output.data) for output in outputs),
        files=len(outputs),
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
    return Output(os.fspath(path), name, data, *image.size, _format(data, image, formats))


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


@dataclass(frozen=True, slots=True)
class Lack:
    """What :func:`look_up` answers where a source is stored, but not all of its thumbnails.

    Attributes:
        need: bytes of memory that it takes to make them.
    """

    need: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What there should be in the store for one source.

    Attributes:
        store: where to look.
        plan: which thumbnails there should be.
        full: path of the full image.
        thumbs: path of each thumbnail by name; none where nobody knows them.
        expires: days after which a file is no longer fresh.
        now: Unix seconds.
        any_content: whether files that are no image are good as well, because
            overridden methods decide what is stored.
        any_size: whether a thumbnail's size does not matter, as above.
    """

    store: Store
    plan: Plan
    full: str
    thumbs: Mapping[str, str]
    expires: int
    now: float
    any_content: bool = False
    any_size: bool = False


def is_there(wanted: Wanted) -> Stat | None:
    """Return the full image's stat where it is fresh; a first look, that reads nothing."""
    stat = wanted.store.stat(wanted.full)
    if stat is None or not stat.bytes:
        return None
    fresh = judge(stat.modified, wanted.now, wanted.expires) is Verdict.FRESH
    return stat if fresh else None


def look_up(wanted: Wanted) -> Saved | Lack | None:
    """Return what is stored for a source, or None where it has to be downloaded.

    Where thumbnails are missing, damaged or of another size, :func:`mend` makes them.
    """
    seen = _look(wanted)
    if seen is None:
        return None
    if all(seen.thumbs.values()):
        return seen.saved
    data = seen.full.data
    # who may be asked to convert it is given all of its pixels
    rendering = rendering_bytes(data, probe(data), wanted.plan, whole=wanted.any_size)
    return Lack(len(data) + rendering)


def mend(wanted: Wanted, remake: Callable[[bytes, str], Output] | None = None) -> Saved | None:
    """As :func:`look_up`, and make from the stored full image what is lacking.

    None where the full image is not good enough for it.

    Args:
        wanted: as for :func:`look_up`.
        remake: makes one thumbnail, by name, from the stored full image, where
            an overridden method decides how it looks.
    """
    seen = _look(wanted)
    if seen is None:
        return None
    if all(seen.thumbs.values()):
        return seen.saved
    missing = {name for name, output in seen.thumbs.items() if output is None}
    try:
        if remake is not None:
            restored = [remake(seen.full.data, name) for name in seen.thumbs if name in missing]
        else:
            pictures = render(seen.full.data, wanted.plan, only=missing)
            restored = [_output(picture, "", wanted.thumbs) for picture in pictures]
    except (ImageBroken, SourceRejected):
        return None
    try:
        wanted.store.put_all([(output.path, output.data) for output in restored])
    except StoreFailed as error:  # what is there stays good
        return replace(seen.saved, trouble=error.reason)
    outputs = seen.thumbs | {output.name or "": output for output in restored}
    return replace(
        seen.saved,
        details=_details(seen.full, outputs.values()),
        restored=len(restored),
        written=sum(len(output.data) for output in restored),
        files=len(restored),
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a look into the store found; a thumbnail that is not good is None."""

    full: Output
    thumbs: dict[str, Output | None]
    saved: Saved


def _look(wanted: Wanted) -> _Seen | None:
    stat = is_there(wanted)
    if stat is None:
        return None
    store, plan, any_content = wanted.store, wanted.plan, wanted.any_content
    data = store.get(wanted.full)
    full = _output_of(wanted.full, None, data, plan, any_content=any_content)
    if full is None:
        return None
    thumbs = {
        name: _output_of(path, name, store.get(path), plan, any_content=any_content)
        for name, path in wanted.thumbs.items()
    }
    sizes = _sizes(full, plan) if full.format and not wanted.any_size else {}
    for name, output in thumbs.items():
        if output is not None and sizes and (output.width, output.height) != sizes[name]:
            thumbs[name] = None
    details = _details(full, thumbs.values())
    return _Seen(full, thumbs, Saved(checksum(full.data), details, stat.modified))


def _sizes(full: Output, plan: Plan) -> dict[str, tuple[int, int]]:
    """Return the size that each thumbnail of *full* has, if the plan made it."""
    size = (full.width, full.height)
    return {thumb.name: fit_inside(size, (thumb.width, thumb.height)) for thumb in plan.variants}


def _output_of(
    path: str, name: str | None, data: bytes | None, plan: Plan, *, any_content: bool
) -> Output | None:
    """Look at stored bytes; None where they are damaged. An unknown format has width 0."""
    if not data:
        return None
    try:
        seen = inspect(data, plan.formats)
    except SourceRejected:
        return Output(path, name, data, 0, 0, "") if any_content else None
    except ImagePipeError:
        return None
    return Output(path, name, data, seen.width, seen.height, seen.format)


def _output(picture: Picture, full: str, thumbs: Mapping[str, str]) -> Output:
    path = full if picture.name is None else thumbs[picture.name]
    return Output(path, picture.name, picture.data, picture.width, picture.height, picture.format)


def _rendition(output: Output) -> Rendition:
    name = output.name or output.path
    return Rendition(name, output.path, output.width, output.height, len(output.data))


def _details(full: Output, others: Iterable[Output | None]) -> dict[str, Any]:
    if not full.format:
        return {}
    return {
        "width": full.width,
        "height": full.height,
        "format": full.format,
        "bytes": len(full.data),
        "renditions": tuple(_rendition(output) for output in others if output is not None),
    }


def _thumb_name(path: str) -> str:
    parts = path.split("/")
    return parts[1] if parts[0] == "thumbs" and len(parts) > 2 else path  # noqa: PLR2004


def _format(data: bytes, image: Any, formats: Collection[str]) -> str:
    with suppress(ImagePipeError), open_image(data, tuple(formats)) as opened:
        return str(opened.format)
    return str(getattr(image, "format", None) or "")
