"""Encode pictures while other threads run.

Pillow releases the interpreter lock when it writes a JPEG into a real file, and holds it
when it writes into a ``BytesIO`` (``benchmarks/locks.py`` prints both). So larger
images go through a file that lives in memory.
"""

from __future__ import annotations

import io
import os
import tempfile
from typing import IO, TYPE_CHECKING, Any

from PIL import Image, ImageChops, ImageStat

from scrapy_imgpipe.imaging.failures import sealed
from scrapy_imgpipe.variants import MOST_EFFORT, OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scrapy_imgpipe.variants import Variant

#: Images of at most this many pixels are encoded into a ``BytesIO``: they hold the
#: lock so shortly that a file would cost more.
SMALL_PIXELS = 256 * 256

#: Quality where nobody says which: of JPEG and AVIF Pillow's own defaults, of WEBP too.
DEFAULT_QUALITY = {"JPEG": 75, "WEBP": 80, "AVIF": 75}

#: Lowest quality that is tried for a target in bytes; below, blocks are all that is left.
LEAST_QUALITY = 5

#: Longest side of each format in pixels: libjpeg's JPEG_MAX_DIMENSION (jmorecfg.h),
#: 14 bits of VP8 (RFC 6386, 9.1), 16 bits of GIF89a, and what libavif reads again:
#: AVIF_DEFAULT_IMAGE_DIMENSION_LIMIT (https://github.com/AOMediaCodec/libavif, avif.h).
MOST_SIDE = {"JPEG": 65_500, "WEBP": 16_383, "GIF": 65_535, "AVIF": 32_768, "PNG": 2**31 - 1}

#: Most pixels of formats that have such a limit: AVIF_DEFAULT_IMAGE_SIZE_LIMIT, as above.
MOST_AREA = {"AVIF": 16_384 * 16_384}

# What our options are called in Pillow's writers; empty where we do it ourselves.
_NAMES = {
    "optimise": "optimize",
    "colours": "",
    "effort": {"PNG": "compress_level", "WEBP": "method", "AVIF": "speed"},
}

_OPAQUE = 128  # a palette has one colour that is transparent: what has less alpha than this

# Modes that each format takes as they are.
_MODES = {
    "JPEG": {"RGB", "L", "YCbCr"},
    "PNG": {"RGB", "RGBA", "L", "LA", "P", "1", "I;16"},
    "WEBP": {"RGB", "RGBA"},
    "AVIF": {"RGB", "RGBA"},
    "GIF": {"RGB", "RGBA", "L", "P", "1"},
}


def _memory_file() -> IO[bytes]:
    """Open a file without a name, in memory where the system has such.

    One per image, closed at once: keeping one per thread would save little and cost
    the care for threads that end and for processes that fork.
    """
    try:
        if hasattr(os, "memfd_create"):
            return os.fdopen(os.memfd_create("imgpipe"), "w+b", buffering=0)
        return tempfile.TemporaryFile(buffering=0)
    except OSError:  # out of descriptors, or forbidden: slower is better than lost
        return io.BytesIO()


@sealed
def encode_jpeg(image: Image.Image, **save_options: Any) -> bytes:
    """Return *image* as JPEG, the same bytes as ``image.save(BytesIO(), "JPEG")``.

    Only its comment is left out: it is not ours to spread, and one above 64 KB would not
    encode.

    Args:
        image: a mode that JPEG has: ``RGB``, ``YCbCr``, ``L``, ``CMYK``; not modified.
        **save_options: those of Pillow's JPEG writer.

    Raises:
        ImageBroken: Pillow could not encode it.
    """
    small = image.width * image.height <= SMALL_PIXELS
    with io.BytesIO() if small else _memory_file() as file:
        image.save(file, "JPEG", **{"comment": b"", **save_options})
        file.seek(0)
        return file.read()


def save_options(form: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return *options* of ours as Pillow's writer of *form* calls them.

    Args:
        form: in Pillow's spelling.
        options: see :data:`~scrapy_imgpipe.variants.OUTPUTS`; those of other formats
            are left out.
    """
    found: dict[str, Any] = {}
    for name in OUTPUTS[form].options.keys() & options.keys():
        known: Any = _NAMES.get(name, name)
        known = known[form] if isinstance(known, dict) else known
        if known:
            found[known] = options[name]
            if name == "effort":  # that of a source of another format goes further
                found[known] = min(found[known], MOST_EFFORT[form])
    if "speed" in found:
        found["speed"] = MOST_EFFORT["AVIF"] - found["speed"]
    return found


@sealed
def encode(image: Image.Image, variant: Variant, form: str, **extra: Any) -> bytes:
    """Return *image* encoded as *variant* asks for.

    Args:
        image: upright; any mode; one without transparency where *form* has none. Not
            modified.
        variant: whose options and target count.
        form: one of :data:`~scrapy_imgpipe.variants.OUTPUTS`.
        **extra: what else Pillow's writer is to be told: ``exif``, ``icc_profile``.

    Returns:
        The bytes, of the best quality that stays within ``variant.target_bytes`` where
        there is a target, of the lowest quality where none does. In a lossless format
        the target has no effect.

    What the picture brings along in ``info`` (comment, profile) is left out.

    Raises:
        ImageBroken: Pillow could not encode it.
    """
    options = dict(variant.options)
    ready = in_mode_of(image, form, options.get("colours"))
    told = {**save_options(form, options), **extra}
    best = told.setdefault("quality", DEFAULT_QUALITY[form]) if form in DEFAULT_QUALITY else None
    if not variant.target_bytes or best is None or told.get("lossless"):
        return _saved(ready, form, told)
    return _within(ready, form, told, variant.target_bytes)


def _within(image: Image.Image, form: str, told: dict[str, Any], target: int) -> bytes:
    """Return *image* in the best quality of at most *target* bytes, by halving."""
    low, high = LEAST_QUALITY, told["quality"]
    data = _saved(image, form, told)
    if len(data) <= target:
        return data
    fitting = b""
    while low < high:  # high is too large; low may fit
        quality = (low + high) // 2
        data = _saved(image, form, {**told, "quality": quality})
        if len(data) <= target:
            fitting, low = data, quality + 1
        else:
            high = quality
    return fitting or data


def _saved(image: Image.Image, form: str, told: Mapping[str, Any]) -> bytes:
    if form == "JPEG":
        return encode_jpeg(image, **told)
    info, image.info = image.info, pixel_info(image)
    try:
        with io.BytesIO() as file:
            image.save(file, form, **told)
            return file.getvalue()
    finally:
        image.info = info


def pixel_info(image: Image.Image) -> dict[str | tuple[int, int], Any]:
    """Return what ``info`` says of the pixels; all else in it is metadata."""
    return {name: value for name, value in image.info.items() if name == "transparency"}


def in_mode_of(image: Image.Image, form: str, colours: int | None) -> Image.Image:
    """Return *image* in a mode that *form* takes, of no more than *colours* in a palette."""
    if colours is not None and form in {"PNG", "GIF"}:
        method = Image.Quantize.FASTOCTREE if "A" in image.mode else Image.Quantize.MEDIANCUT
        whole = image if image.mode in {"RGB", "RGBA"} else image.convert(_full_mode(image))
        if form == "GIF" and whole.mode == "RGBA":
            return _gif_palette(whole, colours)
        return whole.quantize(colours, method)
    if image.mode in _MODES[form]:
        return image
    mode = _full_mode(image)
    return image.convert(mode if mode in _MODES[form] else "RGB")


def _gif_palette(image: Image.Image, colours: int) -> Image.Image:
    """Return *image* (``RGBA``) with a palette, one entry of it transparent where needed."""
    clear = image.getchannel("A").point(lambda alpha: 0 if alpha >= _OPAQUE else 255)
    opaque = image.convert("RGB")
    if clear.getbbox() is None:
        return opaque.quantize(colours, Image.Quantize.MEDIANCUT)
    shown = ImageChops.invert(clear)
    if shown.getbbox() is not None:  # what nobody sees shall take no colours
        mean = ImageStat.Stat(opaque, shown).mean
        opaque.paste(tuple(round(band) for band in mean), mask=clear)
    made = opaque.quantize(colours - 1, Image.Quantize.MEDIANCUT)
    palette = made.getpalette() or []
    place = min(len(palette) // 3, colours - 1)
    made.putpalette([*palette[: 3 * place], 0, 0, 0])
    made.paste(place, mask=clear)
    made.info["transparency"] = place
    return made


def _full_mode(image: Image.Image) -> str:
    return "RGBA" if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} else "RGB"
