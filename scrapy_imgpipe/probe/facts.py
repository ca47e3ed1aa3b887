"""What can be known of an image, and the contract between who reads and who has bytes.

A reader is a generator, one for each format. It yields (start, length), gets exactly
these bytes sent, and writes what it learns into `Facts`. It never asks for what lies
before its last question, so whoever has the bytes may drop all that came before. It
checks what it computes from the bytes, not that there are enough: if there are not, it
is simply never resumed.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeAlias

#: Where the wanted bytes start, and how many they are.
Question: TypeAlias = tuple[int, int]
Reader: TypeAlias = Generator[Question, bytes, None]


@dataclass(frozen=True, slots=True)
class Probe:
    """What a header says.

    Attributes:
        format: in Pillow's spelling; ``HEIF`` and ``JXL``, which Pillow does not know.
        width: in pixels, as stored, before any turn; of a HEIF, of what is shown of it.
        height: in pixels, as stored, before any turn.
        components: of a JPEG: 1 grey, 3 colour, 4 CMYK; else 0.
        coefficients: of a progressive JPEG, how many a decoder keeps for each pixel:
            1.5 for 4:2:0, 3 for 4:4:4; else 0.
        turned: whether the EXIF of a JPEG asks for a turn.
        mode: what Pillow opens it as; empty where that is not known.
        frames: how many pictures there are, animation or pages; None where the header
            does not tell. A GIF never does, one would have to go through all of it;
            nor does an animated WEBP, nor a HEIF that is no sequence.
        animated: there is more than one picture, or an animation is announced. With
            ``frames`` None: more than one, but not counted. Not known, and False, of a GIF
            that does not say how often it plays, and of a HEIF whose pictures stand side
            by side: the one would have to be read to its second picture, in the other
            thumbnails, tiles and masks would have to be told from pictures.
        orientation: as in EXIF; 1-8; 1 is upright.
        profile: an ICC profile is there, good or bad.
        coding: of PNG, AVIF and HEIF: colour primaries and transfer by the numbers of ITU-T
            H.273, where the header says so beside a profile; else None.
    """

    format: str
    width: int
    height: int
    components: int = 0
    coefficients: float = 0.0
    turned: bool = False
    mode: str = ""
    frames: int | None = None
    animated: bool = False
    orientation: int = 1
    profile: bool = False
    coding: tuple[int, int] | None = None

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height


@dataclass(slots=True)
class Facts:
    """What a reader has learned so far; the fields are those of `Probe`."""

    format: str | None = None
    size: tuple[int, int] | None = None
    components: int = 0
    coefficients: float = 0.0
    mode: str = ""
    frames: int | None = None
    animated: bool = False
    orientation: int = 1
    profile: bool = False
    coding: tuple[int, int] | None = None

    def told(self) -> Probe | None:
        """Return it as a `Probe`, or None before the size is known."""
        if self.format is None or self.size is None:
            return None
        return Probe(
            self.format,
            *self.size,
            self.components,
            self.coefficients,
            self.format == "JPEG" and self.orientation != 1,
            self.mode,
            self.frames,
            self.animated,
            self.orientation,
            self.profile,
            self.coding,
        )
