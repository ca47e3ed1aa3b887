"""Bytes and a plan in, renditions out.

A JPEG that a browser would show as it is passes through untouched, once a decode to
its end has shown it whole. Everything else becomes a JPEG in sRGB, upright, opaque.
The source is decoded once, at the smallest scale that serves.

No state: any number of threads may render at the same time.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeGuard

from PIL import Image, JpegImagePlugin

from scrapy_imgpipe.errors import ImageBroken
from scrapy_imgpipe.imaging.animation import animate, moves
from scrapy_imgpipe.imaging.colour import flatten, has_transparency, with_alpha
from scrapy_imgpipe.imaging.completeness import refuse_hole, refuse_missing_frames
from scrapy_imgpipe.imaging.decode import ANY, open_image, turn_of, upright
from scrapy_imgpipe.imaging.encode import MOST_SIDE, encode_jpeg
from scrapy_imgpipe.imaging.failures import sealed
from scrapy_imgpipe.imaging.geometry import QUARTER_TURNS, layout
from scrapy_imgpipe.imaging.icc import to_srgb
from scrapy_imgpipe.imaging.limits import check_header, check_shape
from scrapy_imgpipe.imaging.measures import is_uniform
from scrapy_imgpipe.imaging.metadata import stripped, trailing_bytes
from scrapy_imgpipe.imaging.outputs import (
    Origin,
    keeps_colours,
    make_variants,
    needs_whole,
    wants_alpha,
)
from scrapy_imgpipe.imaging.plan import FULL, JPEG, Picture, Plan, check_size
from scrapy_imgpipe.imaging.planes import WORTHWHILE, Planes, has_planes
from scrapy_imgpipe.imaging.resize import REDUCING_GAP, Base, Flat, shrink
from scrapy_imgpipe.imaging.saving import saved_again
from scrapy_imgpipe.imaging.truncated import repaired
from scrapy_imgpipe.variants import COPYRIGHT, SOURCE, Variant

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


def _is_jpeg(image: Image.Image) -> TypeGuard[JpegImagePlugin.JpegImageFile]:
    return isinstance(image, JpegImagePlugin.JpegImageFile)


def _decode_scaled(image: Image.Image, variants: Sequence[Variant], background: Any) -> Base:
    """Decode a JPEG to its end, no larger than *variants* need, and do not turn it."""
    turn, full = turn_of(image), image.size
    size = full[::-1] if turn in QUARTER_TURNS else full
    if not variants:
        # Only the end matters, not the pixels; colours need not even be computed.
        image.draft("L" if has_planes(image) else None, (1, 1))
        image.load()
        return Base(Flat(image), size)
    frames = [layout(size, variant).frame(size) for variant in variants]
    least = [int(max(side) * REDUCING_GAP) for side in zip(*frames, strict=True)]
    if any(map(needs_whole, variants)):
        least = list(size)
    if turn in QUARTER_TURNS:
        least.reverse()
    longest = math.ceil(max(map(max, frames)))
    apart = has_planes(image) and longest >= WORTHWHILE
    drafted = image.draft("YCbCr" if apart else None, (least[0], least[1]))
    image.load()
    box = drafted[1] if drafted else (0, 0, *image.size)
    if image.mode == "YCbCr" and _is_jpeg(image):
        planes = Planes.of(image, full, box, longest)
        return Base(planes, size, turn, image.info.get("icc_profile"))
    flat = flatten(image, background)
    return Base(Flat(flat, box), size, turn, flat.info.get("icc_profile"))


def _tables_of(image: Image.Image) -> dict[str, Any]:
    """Return the options that lose least when a JPEG is encoded once more."""
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or image.mode == "CMYK":
        return {}
    tables = [image.quantization.get(layer[3]) for layer in image.layer[:2]]
    if not all(tables):
        return {}
    sampling = JpegImagePlugin.get_sampling(image)
    if sampling < 0 and len(image.layer) > 1:
        sampling = 0  # one that Pillow cannot write: rather too much colour than too little
    return {"qtables": tables, "subsampling": sampling}


def _check_early(image: Image.Image, plan: Plan) -> None:
    """Check the size of a JPEG by its header: its pixels may be decoded smaller, or many.

    Raises:
        SourceRejected: ``too-small``.
    """
    if _is_jpeg(image):
        size = image.size[::-1] if turn_of(image) in QUARTER_TURNS else image.size
        check_size(*size, plan.min_width, plan.min_height)


def _passes_through(image: Image.Image, plan: Plan) -> bool:
    """Return whether *image* is good as it came."""
    if plan.full == SOURCE:
        return True
    is_good = _is_jpeg(image) and image.mode == "RGB" and turn_of(image) is None
    return is_good and plan.full == JPEG


def _full(data: bytes, image: Image.Image, plan: Plan) -> tuple[Picture, Base]:
    """Make the full image, and the pixels that variants are to be made from."""
    if _passes_through(image, plan):
        return _passed(data, image, plan)
    options = _tables_of(image)
    straight = upright(image)
    check_size(*straight.size, plan.min_width, plan.min_height)
    base = _base_of(image, straight, plan)
    picture = to_srgb(base.pixels.picture, base.profile)
    if not any(map(keeps_colours, plan.variants)):  # the others are as good as gone
        base = replace(base, pixels=Flat(picture), profile=None)
    flat = flatten(picture, plan.background)
    if max(flat.size) > MOST_SIDE["JPEG"]:
        flat = shrink(flat, (MOST_SIDE["JPEG"], MOST_SIDE["JPEG"]))
    encoded = encode_jpeg(flat, **options)
    return Picture(FULL, encoded, *flat.size, "JPEG", is_uniform(flat)), base


def _passed(data: bytes, image: Image.Image, plan: Plan) -> tuple[Picture, Base]:
    """Keep *data* as it came, decoded to its end."""
    if _is_jpeg(image):
        refuse_hole(data)
        base = _decode_scaled(image, plan.variants, plan.background)
        uniform = is_uniform(base.pixels.picture) and _is_uniform_whole(data, plan)
        return Picture(FULL, _stripped(data, image, plan), *base.size, "JPEG", uniform), base
    image.load()
    refuse_missing_frames(data, image)
    uniform, form = is_uniform(image), str(image.format)
    straight = upright(image)
    check_size(*straight.size, plan.min_width, plan.min_height)
    full = Picture(FULL, _stripped(data, image, plan), *straight.size, form, uniform)
    return full, _base_of(image, straight, plan)


def _stripped(data: bytes, image: Image.Image, plan: Plan) -> bytes:
    """Return *data*, opened as *image*, without the metadata that *plan* does not want."""
    if not plan.strip:
        return data
    rights, turn = plan.strip == COPYRIGHT, turn_of(image)
    bare = stripped(data, copyright=rights)
    if bare is not None:
        if turn is None:
            return bare
        with open_image(bare, plan.formats, ANY) as again:
            if again.format == "PNG":
                again.load()  # its EXIF may stand behind the pixels
            if turn_of(again) == turn:  # else it stood in XMP only
                return bare
    with open_image(data, plan.formats, ANY) as again:
        return saved_again(again, rights=rights)


def _pixels(image: Image.Image, variants: Sequence[Variant], plan: Plan) -> Base:
    """Return as many pixels of *image* as *variants* need."""
    if _is_jpeg(image):
        return _decode_scaled(image, variants, plan.background)
    return _base_of(image, upright(image), plan)


def _base_of(image: Image.Image, straight: Image.Image, plan: Plan) -> Base:
    """Return all pixels, opaque unless a variant wants them transparent.

    What has a profile stays transparent as well: backgrounds are sRGB.

    Args:
        image: as opened; closed here where *straight* is another one.
        straight: it upright.
        plan: whose variants count.
    """
    form = str(image.format)
    alpha = has_transparency(straight) and (
        bool(straight.info.get("icc_profile"))
        or any(wants_alpha(variant, plan, form) for variant in plan.outputs)
    )
    if straight is not image:
        image.close()  # its pixels are no longer needed, and they are many
    flat = with_alpha(straight) if alpha else flatten(straight, plan.background)
    if flat is not straight:
        straight.close()
    return Base(Flat(flat), flat.size, profile=flat.info.get("icc_profile"))


def _is_uniform_whole(data: bytes, plan: Plan) -> bool:
    """Look at every pixel and all colours of what seems uniform, decoded smaller or grey."""
    with open_image(data, plan.formats, ANY) as image:
        image.load()
        return is_uniform(image)


def _made(data: bytes, image: Image.Image, plan: Plan) -> list[Picture]:
    """Make a full image of the plan's own description, and the variants with it."""
    origin = Origin.of(image, plan.outputs, data)
    _check_early(image, plan)
    if _is_jpeg(image):
        refuse_hole(data)
    base = _pixels(image, plan.outputs, plan)
    check_size(*base.size, plan.min_width, plan.min_height)
    uniform = is_uniform(base.pixels.picture)
    full, *others = _variants(base, plan.outputs, origin, plan)
    full = replace(full, name=FULL, uniform=uniform, trailing=trailing_bytes(data))
    return [full, *others]


def _variants(
    base: Base,
    variants: Sequence[Variant],
    origin: Origin,
    plan: Plan,
    only: Collection[str] | None = None,
) -> list[Picture]:
    """Return *variants* in their order; those not named in *only* are left out."""
    made: dict[int, Picture] = {}
    wanted = [place for place, each in enumerate(variants) if only is None or each.name in only]
    for place in wanted:
        if moves(variants[place], origin.format):
            moving = animate(variants[place], origin, plan)
            if moving is not None:
                made[place] = moving
    still = [place for place in wanted if place not in made]
    made.update(zip(still, make_variants(base, variants, origin, plan, still), strict=True))
    return [made[place] for place in wanted]


@sealed
def render(data: bytes, plan: Plan, *, only: Collection[str] | None = None) -> list[Picture]:
    """Make the renditions of one image.

    Where the plan does not say otherwise, a JPEG (``MPO``, too) in three colours and
    upright passes through as the object it came in, and everything else becomes a JPEG.
    What is encoded has no EXIF, no comment and no profile unless a variant keeps them, and
    is sRGB; a turned or grey JPEG keeps its quantisation tables and chroma subsampling. Of
    several frames, the first is taken. What is larger than its format can be is shrunk.

    Args:
        data: a whole image file.
        plan: what to make of it.
        only: names of variants to make of an original that is in the store already;
            then there is no full image, and the minimum size does not apply. Of a
            JPEG that had passed through they are the same bytes as at first.

    Returns:
        The full image first, then the variants in the plan's order.

    Raises:
        SourceRejected: ``not-an-image``, ``format-not-allowed``, ``too-many-pixels``,
            ``too-small`` or ``aspect-ratio``.
        ImageBroken: the bytes do not decode to their end; where the plan keeps what is
            there, not to a single pixel.
        HookFailed: a step failed.
    """
    try:
        return _rendered(data, plan, only)
    except ImageBroken as error:
        if error.code != "broken":  # it lacked memory, and may be whole
            raise
        whole = repaired(data, plan.formats) if plan.truncated else None
        if whole is None:
            raise
        made = _rendered(whole, plan, only)
        if only is None and made[0].uniform:  # nothing of it was there
            raise
    return [replace(made[0], truncated=only is None), *made[1:]]


@sealed
def _rendered(data: bytes, plan: Plan, only: Collection[str] | None) -> list[Picture]:
    most = check_header(data, plan) if only is None else ANY
    image = open_image(data, plan.formats, most)
    try:
        if only is None:
            check_shape(image.size, plan)
        if only is None and isinstance(plan.full, Variant):
            return _made(data, image, plan)
        origin = Origin.of(image, plan.variants, data)
        if only is not None:
            base = _pixels(image, plan.variants, plan)
            return _variants(base, plan.variants, origin, plan, only)
        _check_early(image, plan)
        full, base = _full(data, image, plan)
        full = replace(full, trailing=trailing_bytes(data))
        return [full, *_variants(base, plan.variants, origin, plan)]
    finally:
        image.close()
