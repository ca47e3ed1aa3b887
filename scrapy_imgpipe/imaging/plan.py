"""What to make of an image, and what came out: frozen records, no pixels touched.

No Pillow, no I/O. Pillow's spelling is used for format names (``JPEG``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from scrapy_imgpipe.errors import SourceRejected
from scrapy_imgpipe.options import FORMATS
from scrapy_imgpipe.records import digest

#: :attr:`Picture.name` of the full image; a variant has its own name instead.
FULL: Final = None

#: Number of the way renditions are made; another one has them made again.
ENGINE: Final = 1

#: Formats that are opened unless a plan says otherwise; see there why others are not.
DEFAULT_FORMATS: Final = FORMATS


@dataclass(frozen=True, slots=True)
class Variant:
    """A smaller rendition, always JPEG in RGB at Pillow's default quality (75).

    Attributes:
        name: its key in ``IMAGES_THUMBS``.
        width: of the box it must fit inside, in pixels; never enlarged to it.
        height: of the box it must fit inside, in pixels.
    """

    name: str
    width: int
    height: int

    @property
    def digest(self) -> str:
        """What tells a rendition of this variant from one of another size or engine."""
        return digest(ENGINE, self.width, self.height)


@dataclass(frozen=True, slots=True)
class Plan:
    """The renditions to make of every image.

    Attributes:
        variants: made besides the full image, and delivered in this order.
        min_width: of the upright image, in pixels; less is refused.
        min_height: of the upright image, in pixels; less is refused.
        background: what shows through transparency; red, green, blue, 0-255 each.
        formats: what may be opened, in Pillow's spelling. ``MPO`` and ``JPEG``
            are one; a name that this Pillow cannot open is as if left out.
    """

    variants: tuple[Variant, ...] = ()
    min_width: int = 0
    min_height: int = 0
    background: tuple[int, int, int] = (255, 255, 255)
    formats: tuple[str, ...] = DEFAULT_FORMATS

    @property
    def full_digest(self) -> str:
        """What tells a full image that was encoded by this plan from one of another."""
        return digest(ENGINE, self.background)

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
    """

    name: str | None
    data: bytes
    width: int
    height: int
    format: str
    uniform: bool = False


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
