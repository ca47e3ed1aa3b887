"""How large an image may be: refused by its header, before its pixels cost anything.

The numbers are a plan's. What a header says may be a lie; so the size that the decoder
found is checked as well, and it never makes more pixels than that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrapy_imgpipe.errors import SourceRejected
from scrapy_imgpipe.imaging.decode import check_pixels
from scrapy_imgpipe.imaging.metadata import count_frames
from scrapy_imgpipe.imaging.plan import check_size
from scrapy_imgpipe.imaging.weight import scale_of
from scrapy_imgpipe.probe import Probe, Prober, probe

if TYPE_CHECKING:
    from scrapy_imgpipe.imaging.plan import Plan

#: Formats whose header may tell another size than what is shown in the end.
_UNSURE = frozenset({"GIF"})


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
    """Refuse *data* for what its header says of size, shape and frames.

    Args:
        data: a whole file.
        plan: whose limits count.
        whole: whether it is decoded at full scale in any case, as overridden methods do.

    Returns:
        How many pixels it may have when it is opened; 0 for any number.

    Raises:
        SourceRejected: ``too-many-pixels``, ``too-small`` or ``aspect-ratio``.
    """
    seen = probe(data)
    most = plan.max_pixels
    if seen is not None:
        if most and seen.pixels > most and not whole:
            most *= _times_smaller(seen, plan) ** 2
        check_pixels((seen.width, seen.height), most)
        check_shape((seen.width, seen.height), plan)
    check_frames(data, seen, plan)
    return most


def check_early(prober: Prober, plan: Plan, *, whole: bool = False) -> None:
    """Refuse for what is known of a file that is still coming in, and certain.

    Raises:
        SourceRejected: ``format-not-allowed``, or as :func:`check_header`.
    """
    seen = prober.probe
    if seen is None:
        return
    if not {seen.format, "MPO" if seen.format == "JPEG" else ""} & set(plan.formats):
        msg = f"Image format {seen.format} is not allowed"
        raise SourceRejected(msg, "format-not-allowed")
    _refuse_frames(seen.frames or 0, plan)
    if seen.format in _UNSURE:
        return
    most, size = plan.max_pixels, (seen.width, seen.height)
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
