"""ICC profiles: bring pixels to sRGB.

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

_known: OrderedDict[tuple[bytes, str], ImageCms.ImageCmsTransform | None] = OrderedDict()
_known_lock = threading.Lock()

_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOCACHE


def _sampler() -> Image.Image:
    """Return all 9 x 9 x 9 combinations of evenly spaced channel values."""
    steps = [round(step * 255 / 8) for step in range(9)]
    pixels = bytes(value for r in steps for g in steps for b in steps for value in (r, g, b))
    return Image.frombytes("RGB", (81, 9), pixels)


def _changes_little(transform: ImageCms.ImageCmsTransform) -> bool:
    before = _sampler()
    bands = ImageChops.difference(before, transform.apply(before)).split()
    return all(band.getextrema()[1] <= SRGB_TOLERANCE for band in bands)  # type: ignore[operator]


def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return what :func:`_new_transform` does, from the last few that were made.

    Known by their digest, so that megabytes of profiles are not kept.
    """
    key = (sha1(profile, usedforsecurity=False).digest(), mode)
    with _known_lock:
        if key in _known:
            _known.move_to_end(key)
            return _known[key]
    transform = _new_transform(profile, mode)
    with _known_lock:
        _known[key] = transform
        while len(_known) > KNOWN_TRANSFORMS:
            _known.popitem(last=False)
    return transform


def _new_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return what brings *mode* to sRGB; None when *profile* is sRGB or unusable.

    A profile for other channels than *mode* has is unusable, too: lcms2 says so.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.ImageCmsTransform(
            source,
            ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=_FLAGS,
        )
        if mode == "RGB" and _changes_little(transform):
            return None
    except (OSError, ValueError, TypeError, ImageCms.PyCMSError):
        return None
    return transform


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
    if not isinstance(profile, bytes) or not 0 < len(profile) <= MAX_PROFILE_BYTES:
        return image
    mode = "RGB" if image.mode in {"YCbCr", "RGBA"} else image.mode
    transform = _transform(profile, mode)
    if transform is None:
        return image
    converted = transform.apply(image if image.mode == mode else image.convert(mode))
    del converted.info["icc_profile"]
    if image.mode == "RGBA":
        converted.putalpha(image.getchannel("A"))
    return converted
