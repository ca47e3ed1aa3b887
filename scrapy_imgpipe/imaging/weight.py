"""How much memory rendering takes, told from the header before anything is decoded.

For planning: rather too much than too little. Nothing is decoded here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scrapy_imgpipe.errors import ImageBroken
from scrapy_imgpipe.imaging.animation import MOST_PIXELS, MOVING
from scrapy_imgpipe.imaging.decode import PIECE_BYTES, format_of
from scrapy_imgpipe.imaging.decoded import inside
from scrapy_imgpipe.imaging.geometry import layout
from scrapy_imgpipe.imaging.outputs import needs_whole
from scrapy_imgpipe.imaging.resize import REDUCING_GAP
from scrapy_imgpipe.imaging.steps import Rotate

if TYPE_CHECKING:
    from scrapy_imgpipe.imaging.plan import Plan
    from scrapy_imgpipe.probe import Probe

#: Bytes of memory for each pixel of an image in Pillow: colour has four, grey is
#: counted alike.
PIXEL_BYTES = 4

#: Bytes that libjpeg keeps for one coefficient of a progressive JPEG, until the last
#: scan is in. 4:2:0 has 1.5 of them for each pixel.
COEFFICIENT_BYTES = 2

#: How many images of full size there are at once while one is flattened, turned or
#: converted: the one before, and the one after.
COPIES = 2

#: What bytes of no known format may grow to when they are decoded, at least.
UNKNOWN_GROWTH = 16


def rendering_bytes(data: bytes, seen: Probe | None, plan: Plan, *, whole: bool = False) -> int:
    """Return how many bytes of memory it takes to render *data*, beside *data* itself.

    Args:
        data: a whole file.
        seen: what its header says; None where that cannot be told.
        plan: what is made of it.
        whole: whether it is decoded at full scale in any case, as overridden
            methods do.
    """
    if seen is None:
        least = UNKNOWN_GROWTH * len(data)
        # A TIFF that does not tell its size as it should may have any that is allowed.
        odd = format_of(data) == "TIFF"
        return max(least, plan.max_pixels * PIXEL_BYTES * COPIES) if odd else least
    kept = int(seen.pixels * seen.coefficients * COEFFICIENT_BYTES) + min(len(data), PIECE_BYTES)
    kept += PIXEL_BYTES * max(_decoded(data) - seen.pixels, 0)  # tiles that reach beyond it
    kept += _enlarged(seen, plan) + _animated(seen, plan) + _stepped(seen, plan)
    if seen.format == "WEBP" and seen.animated:  # libwebp has two canvases of its own
        kept += COPIES * PIXEL_BYTES * seen.pixels
    if whole or seen.components != 3 or seen.turned:  # noqa: PLR2004 - colour, passes through
        return kept + seen.pixels * PIXEL_BYTES * COPIES
    scale = scale_of(seen, plan)
    return kept + COPIES * PIXEL_BYTES * -(-seen.width // scale) * -(-seen.height // scale)


def _decoded(data: bytes) -> int:
    try:
        return inside(data).pixels
    except ImageBroken:  # it will be refused
        return 0


def _enlarged(seen: Probe, plan: Plan) -> int:
    """Return what the largest rendition takes that is larger than its source; 0 for none."""
    size = (max(seen.width, 1), max(seen.height, 1))
    larger = [each for each in plan.outputs if each.enlarge or each.fit == "contain"]
    places = [layout(size, variant) for variant in larger]
    largest = max((math.prod(place.canvas or place.size) for place in places), default=0)
    return COPIES * PIXEL_BYTES * largest if largest > math.prod(size) else 0


def _animated(seen: Probe, plan: Plan) -> int:
    """Return what the frames of the largest moving rendition take; rather too much."""
    if seen.format not in MOVING:
        return 0
    size = (max(seen.width, 1), max(seen.height, 1))
    pixels = [
        math.prod(layout(size, variant).size) * min(variant.frames, MOST_PIXELS // math.prod(size))
        for variant in plan.outputs
        if variant.frames > 1
    ]
    return PIXEL_BYTES * max(pixels, default=0)


def _stepped(seen: Probe, plan: Plan) -> int:
    """Return what steps take at full scale, of which those that cut are left out; 0 for none."""
    largest = 0
    for variant in plan.outputs:
        if needs_whole(variant):
            size = (max(seen.width, 1), max(seen.height, 1))
            largest = max(largest, math.prod(size))
            for step in variant.steps:
                size = step.size_of(size) if isinstance(step, Rotate) else size
                largest = max(largest, math.prod(size))
    return COPIES * PIXEL_BYTES * largest


def scale_of(seen: Probe, plan: Plan) -> int:
    """Return how many times smaller a JPEG is decoded: 1, 2, 4 or 8."""
    if any(map(needs_whole, plan.outputs)):
        return 1
    size = (max(seen.width, 1), max(seen.height, 1))
    frames = [layout(size, variant).frame(size) for variant in plan.outputs]
    scale = 8
    for width, height in frames:
        while scale > 1 and (
            size[0] < width * REDUCING_GAP * scale or size[1] < height * REDUCING_GAP * scale
        ):
            scale //= 2
    return scale
