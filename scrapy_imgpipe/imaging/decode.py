"""Open image bytes, and turn the picture the way its EXIF says.

No file names, no network: Pillow reads from memory. Which decoders may see the
bytes is the caller's allow-list, and PostScript is not on the default one.
"""

from __future__ import annotations

import re
import struct
import threading
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError
from PIL.Image import Transpose

from scrapy_imgpipe.errors import ImageBroken, ImagePipeError, SourceRejected
from scrapy_imgpipe.guards import text_kind
from scrapy_imgpipe.imaging.failures import as_ours, sealed
from scrapy_imgpipe.imaging.plan import DEFAULT_FORMATS
from scrapy_imgpipe.imaging.reads import Reads
from scrapy_imgpipe.imaging.signalled import signalled
from scrapy_imgpipe.imaging.traps import ICON, check_icon, check_slow

if TYPE_CHECKING:
    from collections.abc import Collection

# How the first bytes of each format look, only to word a refusal or to name a file: Pillow
# alone decides what is opened. Tight on purpose, so that no text page counts as a picture.
_SIGNATURES = {
    name: re.compile(pattern, re.DOTALL)
    for name, pattern in {
        "JPEG": rb"\xff\xd8\xff",
        "PNG": rb"\x89PNG\r\n\x1a\n",
        "GIF": rb"GIF8[79]a",
        "WEBP": rb"RIFF....WEBP",
        "AVIF": rb"....ftypavi[fs]",
        "HEIF": rb"....ftyp(hei[cmsx]|hev[cx]|mif1|msf1)",
        "BMP": rb"BM.{4}\0{4}",
        "TIFF": rb"II[*+]\0|MM\0[*+]",
        "ICO": rb"\x00\x00\x01\x00[^\x00]\x00",
        "PPM": rb"P[1-6]\s+\d",
        "JPEG2000": rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n",
        "JXL": rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n",
        "EPS": rb"\x04?%!PS|\xc5\xd0\xd3\xc6",
        "PSD": rb"8BPS\0",
        "ICNS": rb"icns",
        "DDS": rb"DDS \x7c\0\0\0",
        "QOI": rb"qoif",
        "WMF": rb"\xd7\xcd\xc6\x9a\0\0",
    }.items()
}

#: Bytes by which a format is told, and those of them that Pillow's decoders look at.
_HEAD_BYTES, _PREFIX_BYTES = 64, 16

# EXIF 2.3, tag 274; 1 is upright.
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}

# Where an orientation may be written; none survives the turn, or it would turn again.
_ORIENTED_KEYS = ("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp")

# PNG expands shallow and shortens deep samples; Pillow 13 leaves tRNS as it was written
# (and Pillow 11 did so with one bit, too).
_SAMPLE_SCALES = {"1": 255.0, "L;2": 85.0, "L;4": 17.0, "RGB;16B": 1 / 256}

#: Beyond how many pixels Pillow raises: twice ``PIL.Image.MAX_IMAGE_PIXELS`` as it ships.
PILLOWS_PIXELS = 2 * (1024 * 1024 * 1024 // 4 // 3)

#: In place of a number of pixels: for what has been opened before, or is not decoded.
ANY = 0

#: How many bytes of a file a decoder gets at once. Between two pieces it wants the
#: interpreter lock, which a busy event loop gives back late; of Pillow's 64 KiB, a photo
#: of 2.7 MB has 42.
PIECE_BYTES = 4 << 20

# Formats whose decoders come with other packages (extras heif and jxl), and the function
# of each that tells Pillow, where importing does not do so.
_PLUGINS = {"HEIF": ("pillow_heif", "register_heif_opener"), "JXL": ("pillow_jxl", "")}

# Other words for one format.
_ALIASES = {"MPO": "JPEG", "HEIC": "HEIF"}

_plugins_lock = threading.Lock()


def format_of(data: bytes) -> str:
    """Return which format *data* begins as, in Pillow's spelling; empty where none is known."""
    head = data[:_HEAD_BYTES]
    for name, signature in _SIGNATURES.items():
        if signature.match(head):
            return name
    return ""


def unknown_formats(formats: Collection[str]) -> list[str]:
    """Return those of *formats* that no Pillow opens, misspelt ones above all.

    A format of :data:`DEFAULT_FORMATS` that this Pillow was built without is known, and one
    whose package is not installed is not.
    """
    others = [name for name in formats if name not in DEFAULT_FORMATS]
    if others:  # loading all plug-ins takes a while
        _openable(others)
    return [name for name in others if _ALIASES.get(name, name) not in Image.OPEN]


def _openable(formats: Collection[str]) -> tuple[str, ...]:
    """Return *formats* as ``Image.open`` takes them, with their plug-ins loaded."""
    names = [_ALIASES.get(name.upper(), name.upper()) for name in formats]
    with _plugins_lock:
        Image.preinit()
        if not Image.OPEN.keys() >= set(names):
            Image.init()
            for name in _PLUGINS.keys() & set(names) - Image.OPEN.keys():
                _load_plugin(*_PLUGINS[name])
    return tuple(name for name in dict.fromkeys(names) if name in Image.OPEN)


def _load_plugin(module: str, function: str) -> None:
    with suppress(ImportError):  # not installed: the format stays unknown
        plugin = import_module(module)
        if function:
            getattr(plugin, function)()


def _refusal(error: Exception, data: bytes, allowed: Collection[str]) -> ImagePipeError:
    """Return the error for bytes that no allowed decoder could open."""
    ours = as_ours(error)
    if ours.code == "too-many-pixels":
        return ours
    name = format_of(data)
    if not name or name not in allowed:
        return _not_allowed(name, text_kind(data))
    if isinstance(error, UnidentifiedImageError):
        return ImageBroken(f"Image cannot be decoded: unreadable {name} header")
    return ours


def _opened(data: bytes, formats: Collection[str]) -> ImageFile.ImageFile:
    """Do what ``Image.open`` does, but for its limit of pixels, which warns and raises."""
    file = Reads(data)
    for name in formats:
        factory, _ = Image.OPEN[name]
        if _accepts(name, data) is False:
            continue
        file.seek(0)
        with suppress(SyntaxError, IndexError, TypeError, struct.error):  # not of this format
            image = factory(file, "")
            file.is_opened_as(image)
            return image
    raise UnidentifiedImageError


def check_pixels(size: tuple[int, int], most: int, decoded: int = 0) -> None:
    """Refuse more than *most* pixels, of *size* or *decoded* to show it; 0 for no limit.

    Whoever has set ``PIL.Image.MAX_IMAGE_PIXELS`` lower than Pillow does means it: twice
    that is a limit, too, as it is in Pillow.

    Raises:
        SourceRejected: ``too-many-pixels``.
    """
    pixels = max(size[0] * size[1], decoded)
    users = 2 * Image.MAX_IMAGE_PIXELS if Image.MAX_IMAGE_PIXELS is not None else PILLOWS_PIXELS
    if users < PILLOWS_PIXELS and (not most or users < most):
        most = users
    if most and pixels > most:
        inside = " decoded" if decoded == pixels else ""
        msg = f"Image has too many pixels ({size[0]}x{size[1]}, {pixels}{inside} > {most})"
        raise SourceRejected(msg, "too-many-pixels")


def check_head(head: bytes, formats: Collection[str]) -> None:
    """Refuse what begins with *head* where no allowed decoder could open it, for certain.

    Raises:
        SourceRejected: ``not-an-image`` or ``format-not-allowed``.
    """
    answers = [_accepts(name, head) for name in _openable(formats)]
    name, kind = format_of(head), text_kind(head)
    if True not in answers and (name or kind or None not in answers):
        raise _not_allowed(name, kind)


def is_allowed(form: str, formats: Collection[str]) -> bool:
    """Return whether a file of *form* may be opened where *formats* are allowed."""
    return _ALIASES.get(form, form) in _openable(formats)


def _accepts(name: str, head: bytes) -> bool | None:
    """Return whether a decoder takes what begins with *head*; None where it cannot tell."""
    accept = Image.OPEN[name][1]
    # A text says why this Pillow cannot open what it would be.
    return None if accept is None else accept(head[:_PREFIX_BYTES]) is True


def _not_allowed(name: str, kind: str) -> SourceRejected:
    if name:
        return SourceRejected(f"Image format {name} is not allowed", "format-not-allowed")
    what = f"Not an image, but {kind}" if kind else "Not an image of any known format"
    return SourceRejected(what, "not-an-image")


def _mend_transparency(image: Image.Image) -> None:
    """Bring the transparent colour of a PNG to the scale of the decoded samples."""
    transparent = image.info.get("transparency")
    if image.format != "PNG" or transparent is None or not getattr(image, "tile", None):
        return
    scale = _SAMPLE_SCALES.get(str(image.tile[0].args))  # type: ignore[attr-defined]
    if scale is not None and isinstance(transparent, int):
        image.info["transparency"] = min(int(transparent * scale), 255)
    elif scale is not None and isinstance(transparent, tuple):
        image.info["transparency"] = tuple(int(value * scale) for value in transparent)


def _mend_colours(image: Image.Image, data: bytes) -> None:
    """Give *image* the profile that its file describes without having it."""
    if not image.info.get("icc_profile"):
        profile = signalled(data, image)
        if profile is not None:
            image.info["icc_profile"] = profile


@sealed
def open_image(
    data: bytes,
    formats: Collection[str] = DEFAULT_FORMATS,
    most_pixels: int = PILLOWS_PIXELS,
) -> Image.Image:
    """Open *data* without decoding its pixels yet.

    Closing the image gives its memory back; no file is involved. Where the file tells of
    its colours in other ways than by an ICC profile, ``info`` has one all the same.

    Args:
        data: a whole image file.
        formats: the only decoders that see *data*; ``MPO`` and ``JPEG`` are one.
        most_pixels: that it may have; 0 for any number. Unless told, as many as Pillow
            allows. ``PIL.Image.MAX_IMAGE_PIXELS`` stays as it is, and counts, too, where
            somebody has set it lower than Pillow does.

    Raises:
        SourceRejected: ``not-an-image``, ``format-not-allowed`` or ``too-many-pixels``.
        ImageBroken: an allowed format whose header cannot be read.
    """
    allowed = _openable(formats)
    try:
        if "ICO" in allowed and data.startswith(ICON):
            check_icon(data)
        image = _opened(data, allowed)
        check_slow(image, data)
        check_pixels(image.size, most_pixels)
    except Exception as error:  # noqa: BLE001 - plug-ins raise anything on hostile headers
        refusal = _refusal(error, data, allowed)
    else:
        _mend_transparency(image)
        _mend_colours(image, data)
        if len(image.tile) == 1:  # a hostile TIFF has thousands, and a piece for each
            image.decodermaxblock = PIECE_BYTES
        return image
    raise refusal


def turn_of(image: Image.Image) -> Transpose | None:
    """Return the turn that makes *image* upright, or None when it is or cannot be told.

    A PNG may carry its EXIF behind the pixels: load it first.
    """
    try:
        return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - EXIF is free-form; a bad one is no reason to lose a photo
        return None


@sealed
def upright(image: Image.Image) -> Image.Image:
    """Turn *image* as its EXIF orientation says.

    Args:
        image: any mode; decoded now if it was not, and not modified.

    Returns:
        *image* itself, with its ``format``, when there is nothing to turn; else a new
        image that carries no EXIF or XMP, so that it cannot be turned twice.

    Raises:
        ImageBroken: the pixels do not decode to their end.
    """
    image.load()
    turn = turn_of(image)
    if turn is None:
        return image
    turned = image.transpose(turn)
    for key in _ORIENTED_KEYS:
        turned.info.pop(key, None)
    return turned
