"""What to make of an image, and what came out: frozen records, no pixels touched.

No Pillow, no I/O. Pillow's spelling is used for format names (``JPEG``).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from scrapy_imgpipe.errors import SourceRejected
from scrapy_imgpipe.records import digest
from scrapy_imgpipe.variants import ENGINE, FORMATS, MOST_DECODED, OUTPUTS, Variant

#: What the full image is unless a plan describes it: a JPEG, passed through where it is one.
JPEG: Final = "jpeg"

#: :attr:`Picture.name` of the full image; a variant has its own name instead.
FULL: Final = None

#: Formats that are opened unless a plan says otherwise; see there why others are not.
DEFAULT_FORMATS: Final = FORMATS


@dataclass(frozen=True, slots=True)
class Plan:
    """The renditions to make of every image.

    Attributes:
        variants: made besides the full image, and delivered in this order.
        min_width: of the upright image, in pixels; less is refused.
        min_height: of the upright image, in pixels; less is refused.
        background: what shows through transparency; red, green, blue of sRGB, 0-255 each.
        formats: what may be opened, in Pillow's spelling. ``MPO`` and ``JPEG``
            are one; a name that this Pillow cannot open is as if left out.
        strip: metadata of a full image that passes through: empty keeps it, ``all`` removes
            it, ``copyright`` removes all but who made it.
        max_pixels: that are decoded; more are refused, 0 for any number. A baseline JPEG in
            colour that is decoded at a fraction of its size counts with that.
        max_frames: of an animation, or pages; more are refused, 0 for any number.
        max_aspect_ratio: of the longer side to the shorter; 0 for any.
        min_side: of either side, in pixels; less is refused.
        truncated: whether an image that was cut off is rendered as far as it goes, where its
            format allows: JPEG, PNG, GIF, BMP, TIFF. Its full image is a whole file then.
        full: what the full image is to be: :data:`JPEG`; ``source``, which keeps every
            format as it came; or a variant, whose name does not matter.
        outputs: all that has to be encoded by description: the full image, if so, and
            variants.
    """

    variants: tuple[Variant, ...] = ()
    min_width: int = 0
    min_height: int = 0
    background: tuple[int, int, int] = (255, 255, 255)
    formats: tuple[str, ...] = DEFAULT_FORMATS
    full: Variant | str = JPEG
    strip: str = ""
    truncated: bool = False
    max_pixels: int = MOST_DECODED
    max_frames: int = 0
    max_aspect_ratio: float = 0
    min_side: int = 0
    outputs: tuple[Variant, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        made = (replace(self.full, name=""),) if isinstance(self.full, Variant) else ()
        object.__setattr__(self, "outputs", (*made, *self.variants))

    @property
    def full_digest(self) -> str:
        """What tells a full image that was made by this plan from one of another.

        Begins with two letters for the kind of full image: what passed through by one kind
        is not what another would make.
        """
        if isinstance(self.full, Variant):
            return f"v{self.full.digest}"
        return f"{self.full[0]}{self.strip[:1] or '-'}{digest(ENGINE, self.background)}"

    @property
    def full_is_jpeg(self) -> bool:
        """Whether the full image is what Scrapy stores."""
        return self.full == JPEG

    @property
    def full_is_complete(self) -> bool:
        """Whether the full image is as good as what was downloaded to make variants of."""
        return isinstance(self.full, str)

    @property
    def digest(self) -> str:
        """What tells all the renditions of this plan from those of another."""
        variants = [(variant.name, variant.digest) for variant in self.variants]
        return f"{self.full_digest}.{digest(variants)}"


@dataclass(frozen=True, slots=True)
class Picture:
    """One encoded rendition.

    Attributes:
        name: the variant's name, or :data:`FULL`.
        data: the encoded bytes; the very object that came in when passed through.
        width: as a viewer shows it, in pixels, 1 or more.
        height: as a viewer shows it, in pixels, 1 or more.
        format: of *data*; ``JPEG``, also for an ``MPO`` that passed through.
        uniform: whether it is of one colour; only told of the full image.
        trailing: bytes that followed the image in its file, and are none of it; only told
            of the full image, and not where it came as TIFF or JPEG XL.
        truncated: whether a part of it was not there; only told of the full image.
    """

    name: str | None
    data: bytes
    width: int
    height: int
    format: str
    uniform: bool = False
    trailing: int = 0
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a stored file turned out to be.

    Attributes:
        width: of the stored pixels, before any orientation tag.
        height: of the stored pixels, before any orientation tag.
        format: in Pillow's spelling.
    """

    width: int
    height: int
    format: str


def check_size(width: int, height: int, min_width: int, min_height: int) -> None:
    """Refuse an image that is smaller than the minimum on either side.

    Raises:
        SourceRejected: ``too-small``, in the words of Scrapy's ImagesPipeline.
    """
    if width < min_width or height < min_height:
        msg = f"Image too small ({width}x{height} < {min_width}x{min_height})"
        raise SourceRejected(msg, "too-small")


# Formats that are kept but not written.
_MORE_EXTENSIONS: Final = {"MPO": ".jpg", "TIFF": ".tif", "JPEG2000": ".jp2"}
_MORE_TYPES: Final = {
    "MPO": "image/jpeg",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "ICO": "image/vnd.microsoft.icon",
    "PPM": "image/x-portable-anymap",
    "JPEG2000": "image/jp2",
    "HEIF": "image/heif",
    "JXL": "image/jxl",
}


def extension_of(form: str) -> str:
    """Return the extension of files of the format *form*, with the dot."""
    if form in OUTPUTS:
        return OUTPUTS[form].extension
    return _MORE_EXTENSIONS.get(form, f".{form.lower()}")


def media_type_of(form: str) -> str:
    """Return the media type of the format *form*."""
    if form in OUTPUTS:
        return OUTPUTS[form].media_type
    return _MORE_TYPES.get(form, "application/octet-stream")
