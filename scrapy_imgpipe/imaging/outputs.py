"""Decoded pixels become encoded variants.

Nothing is decoded here. Equal looks share their pixels, and equal outputs their bytes.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image
from PIL.ExifTags import Base as Tag

from scrapy_imgpipe.imaging.colour import flatten
from scrapy_imgpipe.imaging.encode import MOST_AREA, MOST_SIDE, encode
from scrapy_imgpipe.imaging.entropy import busiest, small_copy
from scrapy_imgpipe.imaging.exif import RIGHTS, fields_of
from scrapy_imgpipe.imaging.geometry import Layout, Size, layout
from scrapy_imgpipe.imaging.icc import colour_in, is_of_rgb, to_srgb
from scrapy_imgpipe.imaging.plan import Picture, Plan
from scrapy_imgpipe.imaging.planes import Planes
from scrapy_imgpipe.imaging.resize import KERNELS, Base, Flat, Look, descend
from scrapy_imgpipe.imaging.steps import is_before_resize, taken
from scrapy_imgpipe.variants import COPYRIGHT, ENTROPY, OUTPUTS, Variant, output_format

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from scrapy_imgpipe.imaging.resize import Pixels
    from scrapy_imgpipe.variants import Step

# Formats whose writers take each: Pillow's of PNG writes no XMP, GIF has no profile.
_WITH_XMP = frozenset({"JPEG", "WEBP", "AVIF"})
_WITH_PROFILE = frozenset({"JPEG", "PNG", "WEBP", "AVIF"})

# Most bytes that fit into a segment of a JPEG, behind its name (XMP specification, part 3, 1.1.3).
_MOST_EXIF, _MOST_XMP = 65_527, 65_502

# Which side is up, in XMP: it is applied.
_TURN_IN_XMP = re.compile(
    rb"tiff:Orientation\s*=\s*(?:\"[^\"]*\"|'[^']*')"
    rb"|<tiff:Orientation>[^<]*</tiff:Orientation>"
)


@dataclass(frozen=True, slots=True)
class Origin:
    """What renditions need to know of their source beside its pixels.

    Attributes:
        format: in Pillow's spelling.
        profile: ICC profile of the pixels as they were stored, where they are red, green
            and blue, and it is for such.
        exif: as read.
        xmp: as read.
        data: the whole file, for what moves.
    """

    format: str
    profile: bytes | None = None
    exif: Image.Exif | None = None
    xmp: bytes | None = None
    data: bytes = field(default=b"", repr=False)

    @classmethod
    def of(cls, image: Image.Image, variants: Sequence[Variant], data: bytes) -> Origin:
        """Return what *variants* need to know of *image*, which is not decoded for it."""
        form = str(image.format)
        if all(variant.metadata == "none" for variant in variants):
            return cls(form, data=data)
        try:
            exif = image.getexif()
        except Exception:  # noqa: BLE001 - free-form; a bad one is no reason to lose a photo
            exif = None
        profile, xmp = image.info.get("icc_profile"), image.info.get("xmp")
        if image.mode not in {"RGB", "RGBA", "P"} or not is_of_rgb(profile):
            profile = None  # it is for pixels that none gets
        return cls(form, profile, exif, xmp if isinstance(xmp, bytes) else None, data)

    def keeps_profile(self, variant: Variant) -> bool:
        """Return whether *variant* has the colours of :attr:`profile`, and says so."""
        wanted = bool(self.profile) and keeps_colours(variant)
        return wanted and output_format(self.format, variant.format) in _WITH_PROFILE

    def kept(self, variant: Variant, form: str) -> dict[str, Any]:
        """Return what *variant* keeps of the metadata, as Pillow's writer of *form* is told."""
        told: dict[str, Any] = {}
        if self.keeps_profile(variant):
            told["icc_profile"] = self.profile
        if variant.metadata in {COPYRIGHT, "all"} and self.exif:
            exif = self._exif(everything=variant.metadata == "all")
            if form == "JPEG" and len(exif) > _MOST_EXIF:
                exif = self._exif(everything=False)
            told["exif"] = b"" if form == "JPEG" and len(exif) > _MOST_EXIF else exif
        if variant.metadata == "all" and self.xmp and form in _WITH_XMP:
            xmp = _TURN_IN_XMP.sub(b"", self.xmp)
            told["xmp"] = b"" if form == "JPEG" and len(xmp) > _MOST_XMP else xmp
        return {key: value for key, value in told.items() if value}

    def _exif(self, *, everything: bool) -> bytes:
        if self.exif is None:
            return b""
        stays = Tag.Orientation.__ne__ if everything else RIGHTS.__contains__
        kept = fields_of(self.exif, stays)
        try:
            return kept.tobytes() if len(kept) else b""
        except Exception:  # noqa: BLE001 - values that nobody can write
            return b""


def is_plain(variant: Variant) -> bool:
    """Return whether *variant* is a JPEG made of nothing but the resized picture, in 4:2:0."""
    sampling = dict(variant.options).get("subsampling", "4:2:0")
    return (
        variant.format == "JPEG"
        and not variant.steps
        and sampling == "4:2:0"
        and variant.kernel == "lanczos"  # others are done sooner with all bands at once
    )


def stays_coded(variant: Variant) -> bool:
    """Return whether *variant* of a JPEG never has to be RGB."""
    return variant.format == "JPEG" and not variant.steps


def keeps_alpha(variant: Variant, source: str) -> bool:
    """Return whether *variant* keeps what is transparent in a source of format *source*."""
    form = output_format(source, variant.format)
    return variant.background is None and OUTPUTS[form].transparent


def keeps_colours(variant: Variant) -> bool:
    """Return whether *variant* keeps the colours of its source, if their profile says which."""
    return variant.metadata in {"profile", "all"}


def wants_alpha(variant: Variant, plan: Plan, source: str) -> bool:
    """Return whether *variant* cannot be made of pixels over the plan's background."""
    return keeps_alpha(variant, source) or variant.background not in {None, plan.background}


def needs_whole(variant: Variant) -> bool:
    """Return whether *variant* can only be made of the picture at full scale."""
    return any(map(is_before_resize, variant.steps))


#: All of a variant but its name.
_description = attrgetter(*(each.name for each in fields(Variant) if each.name != "name"))


def make_variants(
    base: Base,
    variants: Sequence[Variant],
    origin: Origin,
    plan: Plan,
    only: Collection[int],
) -> list[Picture]:
    """Make those of *variants* of *base* whose places are in *only*, in their order.

    The others are left out, but still shrunk: these are made from them, and come out the
    same whether made alone or all together.
    """
    # Equal ones are made once, the first of them; told by its place, for a step need have no hash.
    described = [_description(each) for each in variants]
    first = [described.index(each) for each in described]
    chosen = {first[place] for place in only}
    made: dict[int, Picture] = {}
    for group, pixels in _groups(base, variants):
        looks = {place: look_of(base, variants[place], origin) for place in group}
        for look, small in descend(replace(base, pixels=pixels), looks.values()):
            for place in chosen & looks.keys():
                if looks[place] == look:
                    making = Making(origin, plan, base.profile, look[0].canvas)
                    upright = _upright(small.picture, base)
                    made[place] = _encoded(upright, variants[place], making)
    for place in chosen - made.keys():
        made[place] = _of_whole(base, variants[place], origin, plan)
    return [replace(made[first[place]], name=variants[place].name) for place in sorted(only)]


def _groups(base: Base, variants: Sequence[Variant]) -> Iterator[tuple[list[int], Pixels]]:
    """Yield the places of variants that are made from the same pixels, and these."""
    plain = [place for place, each in enumerate(variants) if is_plain(each)]
    rest = [
        place for place, each in enumerate(variants) if not is_plain(each) and not needs_whole(each)
    ]
    if not isinstance(base.pixels, Planes):
        plain, rest = [*plain, *rest], []
    if plain:
        yield plain, base.pixels
    if rest and isinstance(base.pixels, Planes):
        yield rest, Flat(base.pixels.picture, base.pixels.box)


def look_of(base: Base, variant: Variant, origin: Origin) -> Look:
    """Return how *variant* shows *base*; where it says ``entropy``, by its pixels."""
    found = layout(base.size, variant)
    if variant.gravity == ENTROPY and found.part is not None:
        left, top, right, bottom = found.part
        share = (right - left) / base.size[0], (bottom - top) / base.size[1]
        where = busiest(_upright(small_copy(base.pixels.picture), base), share)
        found = layout(base.size, replace(variant, gravity=where))
    form = output_format(origin.format, variant.format)
    return _within(found, base.size, variant, form), KERNELS[variant.kernel]


def _within(found: Layout, size: Size, variant: Variant, form: str) -> Layout:
    """Return *found*, how *variant* shows a picture of *size*, no larger than *form* can be."""
    most = MOST_SIDE[form]
    if max(found.canvas or found.size) > most:
        width, height = (side and min(side, most) for side in (variant.width, variant.height))
        found = layout(size, replace(variant, width=width, height=height))
    if max(found.canvas or found.size) > most:  # the side that was not said
        found = layout(size, Variant("", most, most))
    wide, high = found.canvas or found.size
    pixels = MOST_AREA.get(form, wide * high)
    if wide * high > pixels:
        scale = 0.999 * math.sqrt(pixels / (wide * high))  # sides are rounded up, too
        box = max(int(wide * scale), 1), max(int(high * scale), 1)
        found = layout(size, replace(variant, width=box[0], height=box[1]))
    return found


def _upright(image: Image.Image, base: Base) -> Image.Image:
    return image if base.turn is None else image.transpose(base.turn)


def _of_whole(base: Base, variant: Variant, origin: Origin, plan: Plan) -> Picture:
    """Make a variant whose steps want the picture at full scale, which *base* must have."""
    making = Making(origin, plan, base.profile, None)
    early, late = _split(variant.steps)
    image = _stepped(_lent(base, variant, making), early, variant, making)
    profile = making.kept_by(variant)
    base = Base(Flat(image), image.size, None, profile)
    place, kernel = look_of(base, variant, origin)
    small = base.pixels.shrunk(base.cut(place, kernel)).picture
    rest = replace(variant, steps=late)
    return _encoded(small, rest, Making(origin, plan, profile, place.canvas))


def _lent(base: Base, variant: Variant, making: Making) -> Image.Image:
    """Return all of *base* in the colours of *variant*, and none that others are made of."""
    image = _upright(base.pixels.picture, base)
    image = image if image.mode in {"RGB", "RGBA"} else image.convert("RGB")
    image = _coloured(image, variant, making)
    return image.copy() if image is base.pixels.picture else image


def _split(steps: Sequence[Step]) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """Return the steps that are called before the resize, and those behind it."""
    last = max((place for place, step in enumerate(steps, 1) if is_before_resize(step)), default=0)
    return tuple(steps[:last]), tuple(steps[last:])


class Making(NamedTuple):
    """What :func:`_encoded` needs beside the pixels and the variant.

    Attributes:
        origin: of the source.
        plan: whose background counts.
        profile: ICC profile of the pixels, where they may not be sRGB.
        canvas: to put the picture on, None where there is none.
    """

    origin: Origin
    plan: Plan
    profile: bytes | None
    canvas: Size | None

    def background_of(self, variant: Variant) -> tuple[int, int, int]:
        """Return what is behind *variant*, in its own colours."""
        background = variant.background or self.plan.background
        return colour_in(background, self.kept_by(variant))

    def kept_by(self, variant: Variant) -> bytes | None:
        """Return the profile in whose colours *variant* is; None for sRGB."""
        return self.origin.profile if self.origin.keeps_profile(variant) else None


def _encoded(image: Image.Image, variant: Variant, making: Making) -> Picture:
    """Bring a resized *image* to its colours, canvas and steps, and encode it."""
    form = output_format(making.origin.format, variant.format)
    image = finished(image, variant, making)
    data = encode(image, variant, form, **making.origin.kept(variant, form))
    return Picture("", data, *image.size, form)


def finished(image: Image.Image, variant: Variant, making: Making) -> Image.Image:
    """Return a resized *image* in its colours, on its canvas, behind its steps."""
    if image.mode == "YCbCr" and not (stays_coded(variant) and making.canvas is None):
        image = image.convert("RGB")
    image = _coloured(image, variant, making)
    if making.canvas is not None:
        image = _on_canvas(image, making.canvas, variant, making)
    if variant.steps:  # it is lent: others are made of the same pixels
        image = _stepped(image.copy(), variant.steps, variant, making)
    if making.kept_by(variant) and image.mode in {"L", "LA", "1"}:
        image = image.convert("RGBA" if image.mode == "LA" else "RGB")  # as the profile has them
    return image


def _coloured(image: Image.Image, variant: Variant, making: Making) -> Image.Image:
    """Bring *image* to the colours of *variant*, and make it opaque where that is to be."""
    if making.kept_by(variant) is None:
        image = to_srgb(image, making.profile)
    return _opaque(image, variant, making)


def _stepped(
    image: Image.Image, steps: Sequence[Step], variant: Variant, making: Making
) -> Image.Image:
    """Return what *steps* make of *image*, opaque where *variant* is to be."""
    image = taken(image, steps, making.background_of(variant), making.kept_by(variant))
    return _opaque(image, variant, making)


def _opaque(image: Image.Image, variant: Variant, making: Making) -> Image.Image:
    if keeps_alpha(variant, making.origin.format) or image.mode not in {"RGBA", "LA"}:
        return image
    profile = image.info.get("icc_profile")
    flat = flatten(image, making.background_of(variant))
    flat.info = {} if profile is None else {"icc_profile": profile}
    return flat


def _on_canvas(image: Image.Image, size: Size, variant: Variant, making: Making) -> Image.Image:
    """Put *image* on a canvas of *size*; a transparent one where *variant* stays so."""
    x, y = (0.5, 0.5) if isinstance(variant.gravity, str) else variant.gravity
    left, top = round((size[0] - image.width) * x), round((size[1] - image.height) * y)
    if keeps_alpha(variant, making.origin.format):
        canvas = Image.new("RGBA", size)
        canvas.paste(image.convert("RGBA"), (left, top))
    else:
        canvas = Image.new("RGB", size, making.background_of(variant))
        canvas.paste(image.convert("RGB"), (left, top))
    return canvas
