"""Decoded pixels become encoded variants.

Nothing is decoded here. Equal looks share their pixels, and equal outputs their bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image
from PIL.ExifTags import Base as Tag

from scrapy_imgpipe.imaging.colour import flatten
from scrapy_imgpipe.imaging.encode import MOST_SIDE, encode
from scrapy_imgpipe.imaging.entropy import busiest, small_copy
from scrapy_imgpipe.imaging.exif import RIGHTS, fields_of
from scrapy_imgpipe.imaging.geometry import Size, layout
from scrapy_imgpipe.imaging.icc import to_srgb
from scrapy_imgpipe.imaging.plan import Picture, Plan
from scrapy_imgpipe.imaging.planes import Planes
from scrapy_imgpipe.imaging.resize import KERNELS, Base, Flat, Look, descend
from scrapy_imgpipe.imaging.steps import is_before_resize, taken
from scrapy_imgpipe.variants import COPYRIGHT, ENTROPY, OUTPUTS, Variant, output_format

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from scrapy_imgpipe.imaging.resize import Pixels

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
        profile: ICC profile, of the pixels as they were stored.
        exif: as read.
        xmp: as read.
    """

    format: str
    profile: bytes | None = None
    exif: Image.Exif | None = None
    xmp: bytes | None = None

    @classmethod
    def of(cls, image: Image.Image, variants: Sequence[Variant]) -> Origin:
        """Return what *variants* need to know of *image*, which is not decoded for it."""
        form = str(image.format)
        if all(variant.metadata == "none" for variant in variants):
            return cls(form)
        try:
            exif = image.getexif()
        except Exception:  # noqa: BLE001 - free-form; a bad one is no reason to lose a photo
            exif = None
        profile, xmp = image.info.get("icc_profile"), image.info.get("xmp")
        if image.mode not in {"RGB", "RGBA", "P"}:  # it is for pixels that none gets
            profile = None
        return cls(form, profile, exif, xmp if isinstance(xmp, bytes) else None)

    def keeps_profile(self, variant: Variant) -> bool:
        """Return whether *variant* has the colours of :attr:`profile`, and says so."""
        wanted = bool(self.profile) and variant.metadata in {"profile", "all"}
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
        and variant.kernel == "lanczos"
    )


def keeps_alpha(variant: Variant, source: str) -> bool:
    """Return whether *variant* keeps what is transparent in a source of format *source*."""
    form = output_format(source, variant.format)
    return variant.background is None and OUTPUTS[form].transparent


def wants_alpha(variant: Variant, plan: Plan, source: str) -> bool:
    """Return whether *variant* cannot be made of pixels over the plan's background."""
    return keeps_alpha(variant, source) or variant.background not in {None, plan.background}


def needs_whole(variant: Variant) -> bool:
    """Return whether *variant* can only be made of the picture at full scale."""
    return any(map(is_before_resize, variant.steps))


def make_variants(
    base: Base,
    variants: Sequence[Variant],
    origin: Origin,
    plan: Plan,
    only: Collection[str] | None = None,
) -> list[Picture]:
    """Make *variants* of *base*, in their order.

    Those not in *only* are left out, but still shrunk: the others are made from
    them, and come out the same whether made alone or all together.
    """
    made: dict[Variant, Picture] = {}
    nameless = [replace(each, name="") for each in variants]
    wanted = [
        (each.name, same)
        for each, same in zip(variants, nameless, strict=True)
        if only is None or each.name in only
    ]
    chosen = {same for _, same in wanted}
    for group, pixels in _groups(base, nameless):
        looks = {each: look_of(base, each, origin) for each in group}
        for look, small in descend(replace(base, pixels=pixels), looks.values()):
            for variant, own in looks.items():
                if own == look and variant in chosen:
                    making = Making(origin, plan, base.profile, look[0].canvas)
                    made[variant] = _encoded(_upright(small.picture, base), variant, making)
    for variant in chosen - made.keys():
        made[variant] = _of_whole(base, variant, origin, plan)
    return [replace(made[same], name=name) for name, same in wanted]


def _groups(base: Base, variants: Sequence[Variant]) -> Iterator[tuple[list[Variant], Pixels]]:
    """Yield variants that are made from the same pixels, and these."""
    plain = [each for each in variants if is_plain(each)]
    rest = [each for each in variants if not is_plain(each) and not needs_whole(each)]
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
    most = MOST_SIDE[output_format(origin.format, variant.format)]
    if max(found.canvas or found.size) > most:
        width, height = (side and min(side, most) for side in (variant.width, variant.height))
        found = layout(base.size, replace(variant, width=width, height=height))
    if max(found.canvas or found.size) > most:  # the side that was not said
        found = layout(base.size, Variant("", most, most))
    return found, KERNELS[variant.kernel]


def _upright(image: Image.Image, base: Base) -> Image.Image:
    return image if base.turn is None else image.transpose(base.turn)


def _of_whole(base: Base, variant: Variant, origin: Origin, plan: Plan) -> Picture:
    """Make a variant whose steps want the picture at full scale, which *base* must have."""
    image = _upright(base.pixels.picture, base)
    image = image.copy() if image.mode in {"RGB", "RGBA"} else image.convert("RGB")
    early = [step for step in variant.steps if is_before_resize(step)]
    image = taken(image, early, variant.background or plan.background)
    base = Base(Flat(image), image.size, None, base.profile)
    place, kernel = look_of(base, variant, origin)
    small = base.pixels.shrunk(base.cut(place, kernel)).picture
    return _encoded(small, variant, Making(origin, plan, base.profile, place.canvas))


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


def _encoded(image: Image.Image, variant: Variant, making: Making) -> Picture:
    """Bring a resized *image* to its colours, canvas and steps, and encode it."""
    form = output_format(making.origin.format, variant.format)
    image = finished(image, variant, making)
    data = encode(image, variant, form, **making.origin.kept(variant, form))
    return Picture("", data, *image.size, form)


def finished(image: Image.Image, variant: Variant, making: Making) -> Image.Image:
    """Return a resized *image* in its colours, on its canvas, behind its steps."""
    if image.mode == "YCbCr" and not (is_plain(variant) and making.canvas is None):
        image = image.convert("RGB")
    if not making.origin.keeps_profile(variant):
        image = to_srgb(image, making.profile)
    background = variant.background or making.plan.background
    alpha = keeps_alpha(variant, making.origin.format)
    image = _opaque(image, background, alpha=alpha)
    if making.canvas is not None:
        image = _on_canvas(image, making.canvas, variant, None if alpha else background)
    late = [step for step in variant.steps if not is_before_resize(step)]
    if late:  # it is lent: others are made of the same pixels
        image = taken(image.copy(), late, background)
    if making.origin.keeps_profile(variant) and image.mode in {"L", "LA", "1"}:
        image = image.convert("RGBA" if image.mode == "LA" else "RGB")  # as the profile has them
    return _opaque(image, background, alpha=alpha)


def _opaque(image: Image.Image, background: tuple[int, int, int], *, alpha: bool) -> Image.Image:
    if alpha or image.mode not in {"RGBA", "LA"}:
        return image
    profile = image.info.get("icc_profile")
    flat = flatten(image, background)
    flat.info = {} if profile is None else {"icc_profile": profile}
    return flat


def _on_canvas(
    image: Image.Image, size: Size, variant: Variant, background: tuple[int, int, int] | None
) -> Image.Image:
    """Put *image* on a canvas of *size*; a transparent one where *background* is None."""
    x, y = (0.5, 0.5) if isinstance(variant.gravity, str) else variant.gravity
    left, top = round((size[0] - image.width) * x), round((size[1] - image.height) * y)
    if background is None:
        canvas = Image.new("RGBA", size)
        canvas.paste(image.convert("RGBA"), (left, top))
    else:
        canvas = Image.new("RGB", size, background)
        canvas.paste(image.convert("RGB"), (left, top))
    return canvas
