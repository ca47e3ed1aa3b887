"""Bytes and a plan in, renditions out.

A JPEG that a browser would show as it is passes through untouched, once a decode to
its end has shown it whole. Everything else becomes a JPEG in sRGB, upright, opaque.
The source is decoded once, at the smallest scale that serves.

No state: any number of threads may render at the same time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

from PIL import Image, JpegImagePlugin

from scrapy_imgpipe.imaging.colour import flatten
from scrapy_imgpipe.imaging.completeness import refuse_hole
from scrapy_imgpipe.imaging.decode import QUARTER_TURNS, open_image, turn_of, upright
from scrapy_imgpipe.imaging.encode import encode_jpeg
from scrapy_imgpipe.imaging.failures import sealed
from scrapy_imgpipe.imaging.icc import to_srgb
from scrapy_imgpipe.imaging.measures import is_uniform
from scrapy_imgpipe.imaging.plan import FULL, Picture, Plan, Variant, check_size
from scrapy_imgpipe.imaging.planes import WORTHWHILE, Planes, has_planes
from scrapy_imgpipe.imaging.resize import REDUCING_GAP, Base, Flat, descend, fit_inside

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

# A comment of the source is not ours to spread, and one above 64 KB would not encode.
_NO_COMMENT: dict[str, Any] = {"comment": b""}


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
    wanted = [fit_inside(size, (variant.width, variant.height)) for variant in variants]
    least = [int(max(side) * REDUCING_GAP) for side in zip(*wanted, strict=True)]
    if turn in QUARTER_TURNS:
        least.reverse()
    longest = max(map(max, wanted))
    apart = has_planes(image) and longest >= WORTHWHILE
    drafted = image.draft("YCbCr" if apart else None, (least[0], least[1]))
    image.load()
    box = drafted[1] if drafted else (0, 0, *image.size)
    if image.mode == "YCbCr" and _is_jpeg(image):
        planes = Planes.of(image, full, box, longest)
        return Base(planes, size, turn, image.info.get("icc_profile"))
    flat = flatten(image, background)
    return Base(Flat(flat, box), size, turn, flat.info.get("icc_profile"))


def _decode_whole(image: Image.Image, background: Any) -> Image.Image:
    """Decode *image* at full scale, upright and opaque; *image* itself may be closed."""
    straight = upright(image)
    if straight is not image:
        image.close()  # its pixels are no longer needed, and they are many
    flat = flatten(straight, background)
    if flat is not straight:
        straight.close()
    return flat


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


def _passes_through(image: Image.Image, plan: Plan) -> bool:
    """Say whether *image* is good as it came; a JPEG's size is checked before its pixels.

    Raises:
        SourceRejected: ``too-small``.
    """
    if not _is_jpeg(image):
        return False
    turn = turn_of(image)
    width, height = image.size[::-1] if turn in QUARTER_TURNS else image.size
    check_size(width, height, plan.min_width, plan.min_height)
    return image.mode == "RGB" and turn is None


def _full(data: bytes, image: Image.Image, plan: Plan) -> tuple[Picture, Base]:
    """Make the full image, and the pixels that variants are to be made from."""
    if _passes_through(image, plan):
        refuse_hole(data)
        base = _decode_scaled(image, plan.variants, plan.background)
        uniform = is_uniform(base.pixels.picture) and _is_uniform_whole(data, plan)
        return Picture(FULL, data, *base.size, "JPEG", uniform), base
    options = _tables_of(image)
    flat = _decode_whole(image, plan.background)
    check_size(*flat.size, plan.min_width, plan.min_height)
    flat = to_srgb(flat, flat.info.get("icc_profile"))
    encoded = encode_jpeg(flat, **options, **_NO_COMMENT)
    base = Base(Flat(flat), flat.size)
    return Picture(FULL, encoded, *flat.size, "JPEG", is_uniform(flat)), base


def _is_uniform_whole(data: bytes, plan: Plan) -> bool:
    """Look at every pixel and all colours of what seems uniform, decoded smaller or grey."""
    with open_image(data, plan.formats) as image:
        image.load()
        return is_uniform(image)


def _variants(
    base: Base, variants: Sequence[Variant], only: Collection[str] | None = None
) -> list[Picture]:
    """Make *variants* of *base*, in their order; equal sizes share one encoding.

    Those not in *only* are left out, but still shrunk: the others are made from
    them, and come out the same whether made alone or all together.
    """
    sizes = [
        (variant.name, fit_inside(base.size, (variant.width, variant.height)))
        for variant in variants
    ]
    chosen = [(name, size) for name, size in sizes if only is None or name in only]
    wanted = {size for _, size in chosen}
    encoded: dict[tuple[int, int], bytes] = {}
    for size, small in descend(base, (size for _, size in sizes)):
        if size not in wanted:
            continue
        turned = small.picture if base.turn is None else small.picture.transpose(base.turn)
        encoded[size] = encode_jpeg(to_srgb(turned, base.profile), **_NO_COMMENT)
    return [Picture(name, encoded[size], *size, "JPEG") for name, size in chosen]


@sealed
def render(data: bytes, plan: Plan, *, only: Collection[str] | None = None) -> list[Picture]:
    """Make the renditions of one image.

    A JPEG (``MPO``, too) in three colours and upright passes through as the object it
    came in. What is encoded has no EXIF, no comment and no profile, and is sRGB; a
    turned or grey JPEG keeps its quantisation tables and chroma subsampling. Of several
    frames, the first is taken.

    Args:
        data: a whole image file.
        plan: what to make of it.
        only: names of variants to make of an original that is in the store already;
            then there is no full image, and the minimum size does not apply. Of a
            JPEG that had passed through they are the same bytes as at first.

    Returns:
        The full image first, then the variants in the plan's order.

    Raises:
        SourceRejected: ``not-an-image``, ``format-not-allowed``, ``too-many-pixels`` or
            ``too-small``.
        ImageBroken: the bytes do not decode to their end.
    """
    image = open_image(data, plan.formats)
    try:
        if only is None:
            full, base = _full(data, image, plan)
            return [full, *_variants(base, plan.variants)]
        if _is_jpeg(image):
            base = _decode_scaled(image, plan.variants, plan.background)
        else:
            flat = _decode_whole(image, plan.background)
            base = Base(Flat(flat), flat.size, profile=flat.info.get("icc_profile"))
        return _variants(base, plan.variants, only)
    finally:
        image.close()
