"""Make the photos the benchmarks crawl.

Everything comes from the small photos of ``example_project/photos``; larger ones
are *upscaled* from them, and a fixed grain is laid over each so that they cost a
codec about what camera photos do (flat or smooth pictures compress too well and
hide the cost). Deterministic for one Pillow version; no network; no clock.
Made once, then found in the cache folder.
"""

from __future__ import annotations

import functools
import hashlib
import os
import random
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageFilter, ImageOps

if TYPE_CHECKING:
    from collections.abc import Callable

PHOTOS = Path(__file__).resolve().parent.parent / "example_project" / "photos" / "clothing"
RECIPE = "recipe-1"
"""Part of the name of the cache's subfolder. Change it whenever a picture below changes."""

GRAIN = 14
"""Amplitude of the grain, in 8-bit levels either way. Chosen so that the 2400 px
set comes to about 1.6 bits a pixel at quality 85-90."""

FINE_GRAIN = 8
"""The same for the 5000 px set: about 1.2 bits a pixel, as sensors of that many have."""

COARSE_GRAIN = 200
"""The same for photos that shall be heavy, 10 bits a pixel, and yet quick to decode."""

TRUNCATED_AT = 0.6
"""Share of the bytes of a truncated photo that is served."""


@dataclass(frozen=True)
class PhotoSet:
    """Some photos of one kind, on disk."""

    name: str
    """Folder in the cache and first part of the URL path."""
    about: str
    """What they are, for the output."""
    files: tuple[Path, ...]

    def urls(self, base: str, sources: int) -> list[str]:
        """Return *sources* distinct URLs under *base*, going round the files."""
        names = [file.name for file in self.files]
        return [
            f"{base}/{self.name}/{names[i % len(names)]}?copy={i // len(names)}"
            for i in range(sources)
        ]

    def describe(self) -> str:
        """Return one line: how many, what, how heavy."""
        kib = sum(file.stat().st_size for file in self.files) / len(self.files) / 1024
        return f"{len(self.files)} distinct, {self.about}, mean {kib:.0f} KiB"


class Studio:
    """Makes photo sets out of the small originals, into one cache folder.

    Raises:
        SystemExit: there are no originals to start from.
    """

    def __init__(self, originals: Path, cache: Path) -> None:
        self.originals = sorted(originals.rglob("*.jpg"))
        if not self.originals:
            raise SystemExit(f"Expected *.jpg photos under {originals} but found none")
        # Other originals make other photos: they get a folder of their own.
        names = "\n".join(f"{file.name} {file.stat().st_size}" for file in self.originals)
        digest = hashlib.sha256(names.encode()).hexdigest()[:8]
        self.folder = cache / f"{RECIPE}-{digest}"

    def small(self, count: int) -> PhotoSet:
        """Return *count* JPEGs whose long side is 500 px."""
        return self._jpegs("long side 500 px", 500, count)

    def medium(self, count: int) -> PhotoSet:
        """Return *count* JPEGs of about 110 KiB."""
        return self._jpegs("upscaled to a long side of 820 px", 820, count)

    def large(self, count: int, *, baseline: bool = False) -> PhotoSet:
        """Return *count* JPEGs whose long side is 2400 px."""
        about = "upscaled to a long side of 2400 px"
        return self._jpegs(about, 2400, count, baseline=baseline)

    def huge(self, count: int, *, baseline: bool = False) -> PhotoSet:
        """Return *count* JPEGs whose long side is 5000 px."""
        about = "upscaled to a long side of 5000 px"
        return self._jpegs(about, 5000, count, FINE_GRAIN, baseline=baseline)

    def tiny(self, count: int) -> PhotoSet:
        """Return *count* JPEGs of 10 to 21 KiB."""
        return self._jpegs("long side 260 px", 260, count)

    def heavy(self, count: int) -> PhotoSet:
        """Return *count* JPEGs of about 5 MB."""
        files = tuple(
            self._made("heavy", f"{i}.jpg", functools.partial(self._heavy, i)) for i in range(count)
        )
        return PhotoSet("heavy", "upscaled to 2300x1725, coarse grain, quality 98, 4:2:0", files)

    def jpeg_6mp(self) -> PhotoSet:
        """Return one baseline JPEG of 3000x2000."""
        return self._one(
            "jpeg-6mp", "upscaled to 3000x2000, baseline JPEG", "0.jpg", self._jpeg_6mp
        )

    def png_6mp(self) -> PhotoSet:
        """Return one RGBA PNG of 3000x2000, a photo cut out with a soft edge."""
        return self._one(
            "png-6mp", "upscaled to 3000x2000, PNG with soft alpha", "0.png", self._png_6mp
        )

    def truncated_12mp(self) -> PhotoSet:
        """Return one JPEG of 4000x3000 whose end is missing."""
        return self._one(
            "truncated-12mp",
            f"upscaled to 4000x3000, JPEG cut off at {TRUNCATED_AT:.0%}",
            "0.jpg",
            self._truncated_12mp,
        )

    def _jpegs(
        self, about: str, side: int, count: int, grain: int = GRAIN, *, baseline: bool = False
    ) -> PhotoSet:
        name, kinds = str(side), "1 in 5 progressive"
        if baseline:
            name, kinds = f"{side}-baseline", "all baseline"
        make = functools.partial(self._scaled_jpeg, side=side, grain=grain, baseline=baseline)
        files = tuple(
            self._made(name, f"{i}.jpg", functools.partial(make, i)) for i in range(count)
        )
        return PhotoSet(name, f"{about}, quality 85-90, 4:2:0, {kinds}", files)

    def _one(self, name: str, about: str, file_name: str, make: Callable[[], bytes]) -> PhotoSet:
        return PhotoSet(name, about, (self._made(name, file_name, make),))

    def _made(self, name: str, file_name: str, make: Callable[[], bytes]) -> Path:
        file = self.folder / name / file_name
        _make_once(file, make)
        return file

    def _original(self, i: int) -> Image.Image:
        with Image.open(self.originals[i % len(self.originals)]) as image:
            return image.convert("RGB")

    def _scaled_jpeg(self, i: int, *, side: int, grain: int, baseline: bool) -> bytes:
        image = self._original(i)
        factor = side / max(image.size)
        size = (round(image.width * factor), round(image.height * factor))
        image = with_grain(image.resize(size, Image.Resampling.LANCZOS), seed=i, amplitude=grain)
        progressive = not baseline and (i + 1) % 5 == 0
        return encode_jpeg(image, quality=85 + i % 6, progressive=progressive)

    def _fitted(self, size: tuple[int, int], i: int) -> Image.Image:
        return with_grain(ImageOps.fit(self._original(i), size), seed=i)

    def _heavy(self, i: int) -> bytes:
        image = ImageOps.fit(self._original(i), (2300, 1725))
        return encode_jpeg(with_grain(image, seed=i, amplitude=COARSE_GRAIN), quality=98)

    def _jpeg_6mp(self) -> bytes:
        return encode_jpeg(self._fitted((3000, 2000), 0), quality=88)

    def _truncated_12mp(self) -> bytes:
        whole = encode_jpeg(self._fitted((4000, 3000), 1), quality=88)
        return whole[: int(len(whole) * TRUNCATED_AT)]

    def _png_6mp(self) -> bytes:
        image = self._fitted((3000, 2000), 2)
        # radial_gradient is 0 in the centre and 255 at the rim of a 256 px square.
        distance = Image.radial_gradient("L").resize(image.size)
        alpha = distance.point([max(0, min(255, (170 - d) * 8)) for d in range(256)])
        cut_out = Image.new("RGBA", image.size, (0, 0, 0, 0))
        cut_out.paste(image, mask=alpha.point(lambda a: 255 if a else 0))
        cut_out.putalpha(alpha)
        out = BytesIO()
        cut_out.save(out, "PNG", compress_level=6)
        return out.getvalue()


def with_grain(image: Image.Image, seed: int, amplitude: int = GRAIN) -> Image.Image:
    """Return *image* (RGB) with a fixed grey grain of about 1.5 px added."""
    width, height = image.size
    # Not effect_noise: that draws from the C library's generator, which differs by platform.
    raw = random.Random(seed).randbytes(width * height)
    grain = Image.frombytes("L", image.size, raw).filter(ImageFilter.BoxBlur(0.5))
    brighter = grain.point([max(0, (v - 128) * amplitude // 64) for v in range(256)])
    darker = grain.point([max(0, (128 - v) * amplitude // 64) for v in range(256)])
    image = ImageChops.add(image, Image.merge("RGB", [brighter] * 3))
    return ImageChops.subtract(image, Image.merge("RGB", [darker] * 3))


def encode_jpeg(image: Image.Image, *, quality: int, progressive: bool = False) -> bytes:
    """Return *image* as a 4:2:0 JPEG."""
    out = BytesIO()
    image.save(out, "JPEG", quality=quality, subsampling="4:2:0", progressive=progressive)
    return out.getvalue()


def _make_once(file: Path, make: Callable[[], bytes]) -> None:
    """Write what *make* returns to *file*, unless it is there; never half a file."""
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.{os.getpid()}.unfinished")
    unfinished.write_bytes(make())
    unfinished.replace(file)
