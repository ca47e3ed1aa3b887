"""Shrink a JPEG as it is coded: its brightness in full, its colours at half the width.

A JPEG is brightness and two colour planes, and ours are written with colours at half
the width and height (4:2:0). So colours are not computed finer than that, nor ever
turned into RGB and back. ``benchmarks/resizing.py`` prints what that saves, and how
little it changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, JpegImagePlugin
from PIL.Image import Resampling

from scrapy_imgpipe.imaging.geometry import Box, Size
from scrapy_imgpipe.imaging.resize import REDUCING_GAP, Cut, Flat, Pixels, part_of

if TYPE_CHECKING:
    from typing import Self

#: Long side in pixels from which colours are halved: in a smaller picture that would
#: show more, and save less.
WORTHWHILE = 96

# How many times smaller a picture must be made for every second colour to be as good as
# all: they are mixed with those beside them.
_SHARP_FROM = 1.5

# Luma's columns and rows of samples for one of each colour in 4:2:0 (T.81, A.1.1).
_HALVED = (2, 2)


def has_planes(image: Image.Image) -> bool:
    """Say whether *image* is surely a JPEG in YCbCr; one in RGB would not decode to it.

    Must be asked before ``draft()``. Where libjpeg would have to guess, the answer is
    no; so it is where an Adobe marker says RGB, whatever else is said; where the colours
    would have to be stretched by a fraction, which libjpeg refuses unless it may leave
    them out; and without quantisation, for a lossless JPEG is of one colour space only.
    """
    return (
        isinstance(image, JpegImagePlugin.JpegImageFile)
        and image.mode == "RGB"
        and [layer[0] for layer in image.layer] == [1, 2, 3]  # as JFIF numbers them
        and all(layer[1:3] == (1, 1) for layer in image.layer[1:])
        and image.info.get("adobe_transform", 1) == 1
        and bool(image.quantization)
    )


def _every_second(image: Image.Image) -> tuple[Image.Image, Box]:
    """Take every second pixel of every second row, from the first on.

    Returns:
        These pixels, and the part of them that is the picture: each stands for four,
        but for the place of the first of them.
    """
    columns, rows = (image.width + 1) // 2, (image.height + 1) // 2
    stretch = (0, 0, 2 * columns - 1, 2 * rows - 1)
    taken = image.resize((columns, rows), Resampling.NEAREST, stretch)
    right, bottom = image.width / 2 + 0.25, image.height / 2 + 0.25
    return taken, (0.25, 0.25, min(right, columns), min(bottom, rows))


def _halves(size: Size) -> Size:
    """Halve the even ones of *size*; an odd one would shift the colours to its end."""
    width, height = (side if side % 2 else side // 2 for side in size)
    return width, height


@dataclass(frozen=True, slots=True)
class Planes:
    """A picture in YCbCr, and its colours once more, maybe fewer of them.

    Attributes:
        picture: ``YCbCr``; its brightness is what is shrunk in full.
        box: the part of it that is picture; None for all.
        colours: ``YCbCr`` of any size; its brightness is not used.
        colours_box: the part of it that is picture; None for all.
    """

    picture: Image.Image
    box: Box | None
    colours: Image.Image
    colours_box: Box | None

    @classmethod
    def of(cls, image: JpegImagePlugin.JpegImageFile, full: Size, box: Box, longest: int) -> Self:
        """Take apart *image*, decoded to ``YCbCr``.

        Args:
            image: not modified.
            full: its size at full scale, before ``draft()``.
            box: the part of it that is picture.
            longest: side of the largest picture to be made of it, in pixels.
        """
        # At full scale the decoder has doubled the colours of 4:2:0, at others it has not.
        doubled = image.size == full and image.layer[0][1:3] == _HALVED
        if doubled and longest * _SHARP_FROM <= max(full):
            return cls(image, box, *_every_second(image))
        return cls(image, box, image, box)

    def shrunk(self, cut: Cut) -> Pixels:
        """Return a part in another size, a small one by its three planes alike."""
        size = cut.size
        if size == self.picture.size and cut.share is None:
            return self
        if max(size) < WORTHWHILE:
            return Flat(self.picture, self.box).shrunk(cut)
        luma = self.picture.convert("L")  # getchannel() would hold the interpreter lock
        box = part_of(self.picture, self.box, cut.share)
        luma = luma.resize(size, cut.kernel, box, REDUCING_GAP)
        colours_box = part_of(self.colours, self.colours_box, cut.share)
        colours = self.colours.resize(_halves(size), Resampling.HAMMING, colours_box, REDUCING_GAP)
        doubled = colours.resize(size, Resampling.NEAREST)  # so that the encoder finds them again
        parts = (luma, doubled.getchannel("Cb"), doubled.getchannel("Cr"))
        return type(self)(Image.merge("YCbCr", parts), None, colours, None)
