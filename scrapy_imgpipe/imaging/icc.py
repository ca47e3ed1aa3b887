"""ICC profiles: bring pixels to sRGB, and colours of ours to where pixels stay.

A profile comes from the page, so it may be hostile, huge or nonsense: then it counts
as missing. Transforms are cached, bounded, and shared between threads: lcms2 allows
that once its one-pixel cache is off.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from hashlib import sha1

from PIL import Image, ImageChops, ImageCms

#: Longest profile that is looked at, in bytes. Press profiles reach about 3 MB.
MAX_PROFILE_BYTES = 4 * 1024 * 1024

#: Largest difference, of 255, by which a profile still counts as sRGB: the many
#: makers of sRGB round differently. Gamma 2.2 and Display P3 are off by more.
SRGB_TOLERANCE = 3

#: How many transforms are kept for the images that follow.
KNOWN_TRANSFORMS = 16

_known: OrderedDict[tuple[bytes, str, bool], ImageCms.ImageCmsTransform | None] = OrderedDict()
_known_lock = threading.Lock()

_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOCACHE


def _sampler() -> Image.Image:
    """Return all 9 x 9 x 9 combinations of evenly spaced channel values."""
    steps = [round(step * 255 / 8) for step in range(9)]
    pixels = bytes(value for r in steps for g in steps for b in steps for value in (r, g, b))
    return Image.frombytes("RGB", (81, 9), pixels)


def _changes_little(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    before = _sampler().convert(mode)
    bands = ImageChops.difference(before, transform.apply(before)).split()
    return all(band.getextrema()[1] <= SRGB_TOLERANCE for band in bands)  # type: ignore[operator]


def _transform(
    profile: bytes, mode: str, *, back: bool = False
) -> ImageCms.ImageCmsTransform | None:
    """Return what :func:`_new_transform` does, from the last few that were made.

    Known by their digest, so that megabytes of profiles are not kept.
    """
    if not isinstance(profile, bytes) or not 0 < len(profile) <= MAX_PROFILE_BYTES:
        return None
    key = (sha1(profile, usedforsecurity=False).digest(), mode, back)
    with _known_lock:
        if key in _known:
            _known.move_to_end(key)
            return _known[key]
    transform = _new_transform(profile, mode, back=back)
    with _known_lock:
        _known[key] = transform
        while len(_known) > KNOWN_TRANSFORMS:
            _known.popitem(last=False)
    return transform


def _new_transform(profile: bytes, mode: str, *, back: bool) -> ImageCms.ImageCmsTransform | None:
    """Return what brings *mode* to sRGB, or *back*; None when *profile* is sRGB or unusable.

    A profile for other channels than *mode* has is unusable, too: lcms2 says so.
    """
    written = "RGBA" if mode == "RGBA" else "RGB"  # lcms2 leaves alpha alone, Pillow copies it
    try:
        ends = [
            (ImageCms.ImageCmsProfile(io.BytesIO(profile)), mode),
            (ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")), written),
        ]
        (source, taken), (target, given) = ends[::-1] if back else ends
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        transform = ImageCms.ImageCmsTransform(source, target, taken, given, intent, flags=_FLAGS)
        if mode in {"RGB", "RGBA"} and _changes_little(transform, mode):
            return None
    except (OSError, ValueError, TypeError, ImageCms.PyCMSError):
        return None
    return transform


def is_of_rgb(profile: object) -> bool:
    """Return whether *profile* says that it is for red, green and blue (ICC.1:2022, 7.2.6)."""
    return isinstance(profile, bytes) and profile[16:20] == b"RGB "


def from_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Bring *image*, which is sRGB, to where pixels with an ICC *profile* are.

    Args:
        image: ``RGB`` or ``RGBA``; not modified.
        profile: of other pixels; may be broken.

    Returns:
        A new image of the same mode; or *image* itself when the profile is missing, sRGB,
        or cannot be converted to.
    """
    transform = None if profile is None else _transform(profile, image.mode, back=True)
    if transform is None:
        return image
    converted = transform.apply(image)
    del converted.info["icc_profile"]
    return converted


def colour_in(colour: tuple[int, int, int], profile: bytes | None) -> tuple[int, int, int]:
    """Return what *colour*, which is sRGB, is called where pixels have an ICC *profile*."""
    if profile is None:
        return colour
    red, green, blue = from_srgb(Image.new("RGB", (1, 1), colour), profile).getpixel((0, 0))  # type: ignore[misc]
    return int(red), int(green), int(blue)


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert *image* from its ICC *profile* to sRGB, relative colorimetric.

    Args:
        image: ``RGB``, ``RGBA``, ``L``, ``CMYK`` (0 is no ink), or ``YCbCr`` that stands
            for ``RGB``; not modified.
        profile: as found in the file; may be of another colour space or broken.

    Returns:
        A new ``RGB`` image, ``RGBA`` of one, without a profile; or *image* itself when the
        profile is missing, unusable, sRGB already, or one for other channels.
    """
    if profile is None:
        return image
    mode = "RGB" if image.mode == "YCbCr" else image.mode
    transform = _transform(profile, mode)
    if transform is None:
        return image
    converted = transform.apply(image if image.mode == mode else image.convert(mode))
    del converted.info["icc_profile"]
    return converted
