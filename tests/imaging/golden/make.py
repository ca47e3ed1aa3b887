"""Make the golden files: sources of many kinds, and what libvips makes of them.

    pip install pyvips pyvips-binary pillow
    python -m tests.imaging.golden.make

libvips is a renderer of its own (https://www.libvips.org): it decodes, converts colours and
resizes with code that is not Pillow's, though with the same libraries for JPEG (libjpeg-turbo)
and for profiles (littleCMS). All it makes are PNGs in sRGB. ``PROVENANCE.md`` says which version
made those that are here.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from PIL import Image

from tests.imaging.pictures import cmyk_profile, encoded, exif, rgb_profile

HERE = Path(__file__).parent
PHOTOS = HERE.parents[2] / "example_project" / "photos" / "clothing"
BACKGROUND = [255, 255, 255]


def photo(name: str, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """Return a part of an example photo."""
    with Image.open(PHOTOS / f"{name}.jpg") as image:
        picture = image.convert("RGB")
    scale = max(size[0] / picture.width, size[1] / picture.height)
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    left, top = (picture.width - size[0]) // 2, (picture.height - size[1]) // 2
    return picture.crop((left, top, left + size[0], top + size[1]))


def faded(image: Image.Image) -> Image.Image:
    """Return *image*, transparent towards the right."""
    image = image.convert("RGBA")
    image.putalpha(Image.linear_gradient("L").rotate(90).resize(image.size))
    return image


def sources() -> dict[str, bytes]:
    """Return a file of each kind."""
    palette = photo("plaid-shirt").quantize(64)
    grey = photo("denim-shirt").convert("L")
    deep = grey.convert("I").point(lambda value: value * 257).convert("I;16")
    return {
        "photo.jpg": encoded(photo("summer-dress"), quality=90),
        "full-colour.jpg": encoded(photo("tartan-cap"), quality=90, subsampling=0),
        "progressive.jpg": encoded(photo("brown-boots"), quality=90, progressive=True),
        "turned.jpg": encoded(photo("blue-jeans"), quality=90, exif=exif(6)),
        "grey.jpg": encoded(grey, quality=90),
        "profile.jpg": encoded(photo("zigzag-jumper"), quality=92, icc_profile=rgb_profile("gbr")),
        "cmyk.jpg": encoded(
            photo("olive-jumper").convert("CMYK"), quality=95, icc_profile=cmyk_profile()
        ),
        "faded.png": encoded(faded(photo("striped-jumper")), "PNG"),
        "palette.png": encoded(palette, "PNG"),
        "grey-faded.png": encoded(faded(grey).convert("LA"), "PNG"),
        "grey16.png": encoded(deep, "PNG"),
        "photo.webp": encoded(photo("sandals"), "WEBP", quality=90),
        "photo.gif": encoded(photo("knitted-hat").quantize(128), "GIF"),
        "photo.tif": encoded(photo("grey-polo"), "TIFF", compression="tiff_adobe_deflate"),
    }


#: Looks, as libvips calls them: width, height, and what else ``thumbnail_buffer`` is told.
LOOKS: dict[str, tuple[int, int, dict[str, Any]]] = {
    "inside": (72, 72, {}),
    "cover": (60, 60, {"crop": "centre"}),
    "fill": (64, 28, {"size": "force"}),
}

#: Of which there are all looks; of the others there is the first.
ALL_LOOKS = ("photo.jpg", "turned.jpg", "faded.png")


def rendered(data: bytes, look: str) -> bytes:
    """Return what libvips makes of *data*: a PNG in sRGB, over white, upright."""
    import pyvips

    width, height, told = LOOKS[look]
    image = pyvips.Image.new_from_buffer(data, "").autorot()
    if image.get_typeof("icc-profile-data"):
        told_of = {"intent": "relative", "black_point_compensation": True, "embedded": True}
        image = image.icc_transform("srgb", **told_of)
    elif image.interpretation in {"grey16", "rgb16"} or image.format == "ushort":
        image = image.colourspace("srgb")
    if image.hasalpha():
        image = image.flatten(background=BACKGROUND[: image.bands - 1])
    image = image.colourspace("srgb").thumbnail_image(width, height=height, **told)
    made: bytes = image.pngsave_buffer(strip=True, compression=9)
    return made


def main() -> None:
    """Write all of them."""
    for name, data in sources().items():
        (HERE / name).write_bytes(data)
        for look in LOOKS if name in ALL_LOOKS else ["inside"]:
            made = rendered(data, look)
            with Image.open(io.BytesIO(made)) as image:
                assert image.mode in {"RGB", "L"}, (name, image.mode)
            (HERE / f"{name}.{look}.png").write_bytes(made)


if __name__ == "__main__":
    main()
