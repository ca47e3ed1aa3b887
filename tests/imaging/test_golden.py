"""Our renditions beside those of libvips: see ``golden/PROVENANCE.md``.

Tolerances are differences of 8-bit samples; lossy formats add what they lose.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from scrapy_imgpipe.imaging import Plan, Variant, render
from tests.imaging.golden.make import ALL_LOOKS, BACKGROUND, LOOKS
from tests.imaging.pictures import decoded

FOLDER = Path(__file__).parent / "golden"
SOURCES = sorted(file.name for file in FOLDER.iterdir() if file.name.count(".") == 1)
PICTURES = [name for name in SOURCES if not name.endswith((".py", ".md"))]

#: Format: options, and the most in the mean and for the worst pixel.
TOLERANCES = {
    "PNG": ((), 1, 8),
    "JPEG": ((("quality", 95), ("subsampling", "4:4:4")), 3.5, 24),
    "WEBP": ((("lossless", True),), 1, 8),
    "AVIF": ((("quality", 95), ("subsampling", "4:4:4")), 2.5, 32),
}


def test_there_is_a_golden_file_for_each():
    looks = {name: LOOKS if name in ALL_LOOKS else ["inside"] for name in PICTURES}
    wanted = {f"{name}.{look}.png" for name, several in looks.items() for look in several}
    assert {file.name for file in FOLDER.glob("*.*.*.png")} == wanted
    assert len(PICTURES) == 14


@pytest.mark.parametrize("form", TOLERANCES)
@pytest.mark.parametrize("golden", sorted(file.name for file in FOLDER.glob("*.*.*.png")))
def test_ours_is_what_libvips_makes(golden, form):
    name, look, _ = golden.rsplit(".", 2)
    options, most_in_mean, most = TOLERANCES[form]
    width, height, _ = LOOKS[look]
    wanted = Variant(
        "v", width, height, look, format=form, options=options, background=tuple(BACKGROUND)
    )
    _, made = render((FOLDER / name).read_bytes(), Plan((wanted,)))
    with Image.open(FOLDER / golden) as image:
        expected = image.convert("RGB")
    assert (made.width, made.height) == expected.size
    difference = ImageChops.difference(decoded(made.data).convert("RGB"), expected)
    found = ImageStat.Stat(difference)
    assert sum(found.mean) / 3 <= most_in_mean
    assert max(high for _, high in found.extrema) <= most
