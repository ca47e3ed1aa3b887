"""How large an image may be: refused by its header, before its pixels cost anything.

The numbers are a plan's. What a header says may be a lie; so what the decoder would make of
what is inside is counted as soon as all of it is there, and the size that it found is checked
as well.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from scrapy_imgpipe.errors import ImageBroken, SourceRejected
from scrapy_imgpipe.imaging.decode import check_pixels, is_allowed
from scrapy_imgpipe.imaging.decoded import inside
from scrapy_imgpipe.imaging.metadata import count_frames, segments
from scrapy_imgpipe.imaging.plan import check_size
from scrapy_imgpipe.imaging.weight import scale_of
from scrapy_imgpipe.probe import Probe, Prober, probe

if TYPE_CHECKING:
    from scrapy_imgpipe.imaging.plan import Plan

#: Formats whose header may tell another size than what is shown in the end.
_UNSURE = frozenset({"GIF"})

# libjpeg goes through all blocks of a picture in every scan, also in one that says nothing
# of them: some 6 billion pixels a second (2026-11). Photos have 10 scans.
_MOST_SCANS, _MOST_SCANNED = 50, 5_000_000_000

# A baseline JPEG has 2 bits for each block at least (ITU-T T.81, F.1.2: a difference and
# the end), and 10 blocks for 512 pixels at most; less of it was cut off.
_PIXELS_PER_BYTE = 256

# A scan has a header (ITU-T T.81, B.2.3), and a byte.
_SCAN = b"\xda"
_SCAN_BYTES = 11


def check_shape(size: tuple[int, int], plan: Plan) -> None:
    """Refuse what is too narrow or too long, whichever way it is turned.

    Raises:
        SourceRejected: ``too-small`` or ``aspect-ratio``.
    """
    short, long = sorted(size)
    if short < plan.min_side:
        msg = f"Image too small ({size[0]}x{size[1]}, a side < {plan.min_side})"
        raise SourceRejected(msg, "too-small")
    most = plan.max_aspect_ratio
    if most and long > short * most:
        msg = f"Image too long for its width ({size[0]}x{size[1]}, more than {most:g} to 1)"
        raise SourceRejected(msg, "aspect-ratio")


def check_frames(data: bytes, seen: Probe | None, plan: Plan) -> None:
    """Refuse an animation, or pages, of too many frames.

    Raises:
        SourceRejected: ``too-many-pixels``.
    """
    if not plan.max_frames:
        return
    frames = seen.frames if seen is not None else None
    if frames is None:
        frames = count_frames(data)
    _refuse_frames(frames, plan)


def check_header(data: bytes, plan: Plan, *, whole: bool = False) -> int:
    """Refuse *data* for what its header says of size, shape and frames, and what is inside.

    Args:
        data: a whole file.
        plan: whose limits count.
        whole: whether it is decoded at full scale in any case, as overridden methods do.

    Returns:
        How many pixels it may have when it is opened; 0 for any number.

    Raises:
        SourceRejected: ``too-many-pixels``, ``too-small`` or ``aspect-ratio``.
        ImageBroken: what is inside is another picture than the header says.
    """
    seen = probe(data)
    most = plan.max_pixels
    if seen is not None:
        most = _most_pixels(seen, plan)
        if most and seen.pixels > most and not whole and _is_decoded_by_rows(data, seen):
            most *= _times_smaller(seen, plan) ** 2
        check_pixels((seen.width, seen.height), most)
        check_shape((seen.width, seen.height), plan)
        _check_scans(data, seen)
    _check_inside(data, seen, most)
    check_frames(data, seen, plan)
    return most


def _check_inside(data: bytes, seen: Probe | None, most: int) -> None:
    """Refuse what makes a decoder work on more pixels than the header says.

    Raises:
        SourceRejected: ``too-many-pixels``.
        ImageBroken: not too many, but another picture.
    """
    pixels, fault = inside(data)
    check_pixels((0, 0) if seen is None else (seen.width, seen.height), most, pixels)
    if fault:
        raise ImageBroken(f"Image cannot be decoded: {fault}")


def _most_pixels(seen: Probe, plan: Plan) -> int:
    """Return how many pixels *seen* may have; half as many where libwebp keeps two canvases.

    A WEBP of 144 bytes and 10000x10000 pixels took 1.6 GB (2026-11), twice what others do.
    """
    if plan.max_pixels and seen.format == "WEBP" and seen.animated:
        return max(plan.max_pixels // 2, 1)
    return plan.max_pixels


def _is_decoded_by_rows(data: bytes, seen: Probe) -> bool:
    """Return whether a baseline JPEG is whole enough, and has all colours in one scan.

    One that has not is kept in memory until its last scan, as a progressive one.
    """
    if seen.format != "JPEG" or len(data) < seen.pixels // _PIXELS_PER_BYTE:
        return False
    try:
        scan = next(piece for piece in segments.pieces(data) if piece.kind == _SCAN)
    except (ValueError, IndexError, struct.error, StopIteration):
        return False
    return data[scan.body] == seen.components


def _check_scans(data: bytes, seen: Probe) -> None:
    """Refuse a JPEG of so many scans that it takes seconds to go through them.

    Raises:
        SourceRejected: ``too-many-pixels``.
    """
    if seen.format != "JPEG" or seen.pixels * len(data) // _SCAN_BYTES < _MOST_SCANNED:
        return
    scans = data.count(b"\xff" + _SCAN)
    if scans > _MOST_SCANS and scans * seen.pixels > _MOST_SCANNED:
        msg = f"Image has too many scans ({scans} of {seen.width}x{seen.height} pixels)"
        raise SourceRejected(msg, "too-many-pixels")


def check_early(prober: Prober, plan: Plan, *, whole: bool = False) -> None:
    """Refuse for what is known of a file that is still coming in, and certain.

    Raises:
        SourceRejected: ``format-not-allowed``, or as :func:`check_header`.
    """
    seen = prober.probe
    if seen is None:
        return
    if not is_allowed(seen.format, plan.formats):
        msg = f"Image format {seen.format} is not allowed"
        raise SourceRejected(msg, "format-not-allowed")
    _refuse_frames(seen.frames or 0, plan)
    if seen.format in _UNSURE:
        return
    most, size = _most_pixels(seen, plan), (seen.width, seen.height)
    # A JPEG is progressive or not by the very marker that tells its size.
    if most and seen.pixels > most and not whole:
        most *= _times_smaller(seen, plan) ** 2
    check_pixels(size, most)
    check_shape(size, plan)
    try:
        check_size(*size, plan.min_width, plan.min_height)
    except SourceRejected:
        check_size(*size[::-1], plan.min_width, plan.min_height)  # it may be turned yet


def _times_smaller(seen: Probe, plan: Plan) -> int:
    """Return how many times smaller a JPEG is decoded that is too large in full."""
    baseline = seen.format == "JPEG" and not seen.coefficients
    if not baseline or seen.components != 3 or seen.turned:  # noqa: PLR2004 - colour
        return 1
    return scale_of(seen, plan)


def _refuse_frames(frames: int, plan: Plan) -> None:
    if plan.max_frames and frames > plan.max_frames:
        msg = f"Image has too many frames ({frames} > {plan.max_frames})"
        raise SourceRejected(msg, "too-many-pixels")
