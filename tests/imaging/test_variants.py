"""Variants of every look, compared with what Pillow makes step by step."""

from __future__ import annotations

import io
import struct
from dataclasses import fields, replace

import pytest
from PIL import Image, ImageOps
from PIL.Image import Resampling

from scrapy_imgpipe.imaging import FULL, Plan, Variant, render
from scrapy_imgpipe.imaging.encode import MOST_SIDE
from scrapy_imgpipe.variants import FITS, KERNELS, OUTPUTS
from tests.imaging.pictures import (
    RED,
    WHITE,
    about,
    decoded,
    difference,
    encoded,
    exif,
    noisy,
    rgb_profile,
)

#: Mean difference, of 255, that two encodings at quality 95 may have, or two ways to resize.
LOSSY, LOSSLESS = 6.0, 2.5

SIZE = (310, 230)
CORNER = {"fit": "cover", "gravity": (0.0, 0.0)}
MODES = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "I;16", "YCbCr"]


def one(data, plan=None, **fields):
    """Render *data* to one variant of *fields*, and return that."""
    (made,) = render(data, replace(plan or Plan(), variants=(Variant("v", **fields),)))[1:]
    return made


def over(image, background=WHITE):
    image = image.convert("RGBA")
    canvas = Image.new("RGBA", image.size, background)
    return Image.alpha_composite(canvas, image).convert("RGB")


@pytest.mark.parametrize("form", OUTPUTS)
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_in_every_format(mode, form):
    kind = {"CMYK": "JPEG", "YCbCr": "JPEG", "PA": "TIFF"}.get(mode, "PNG")
    if mode == "PA":
        # Pillow reads PA, and writes it in no format
        kind, source = "PNG", noisy(SIZE, "RGBA").convert("PA").convert("RGBA")
    else:
        source = (
            noisy(SIZE).convert("I").point(lambda v: v * 257).convert("I;16")
            if mode == "I;16"
            else noisy(SIZE, mode)
        )
    data = encoded(source, kind)
    options = (("quality", 95),) if form in {"JPEG", "WEBP", "AVIF"} else ()
    made = one(data, width=150, height=150, format=form, options=options)
    assert (made.format, made.width, made.height) == (form, 150, 111)
    before = decoded(data)
    if before.mode == "I;16":
        before = before.convert("I").point(lambda value: value / 256).convert("L")
    expected = over(before).resize((150, 111), Resampling.LANCZOS, reducing_gap=2.0)
    lossless = form == "PNG"
    tolerance = LOSSLESS if lossless else LOSSY if form != "GIF" else 12
    assert difference(over(decoded(made.data)), expected) < tolerance


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("full", ["jpeg", "source"])
def test_a_part_of_every_orientation(kind, orientation, full):
    data = encoded(noisy(SIZE), kind, exif=exif(orientation))
    made = one(data, Plan(full=full), width=80, height=80, **CORNER, options=(("quality", 95),))
    upright = ImageOps.exif_transpose(decoded(data)).convert("RGB")
    side = min(upright.size)
    expected = upright.crop((0, 0, side, side)).resize((80, 80), Resampling.LANCZOS)
    assert difference(decoded(made.data), expected) < LOSSY
    assert decoded(made.data).getexif().get(0x0112) is None


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_fits_as_a_user_sees_them(fit, kind):
    data = encoded(noisy((400, 200)), kind)
    made = one(data, width=100, height=100, fit=fit, background=RED, format="PNG")
    size = {"inside": (100, 50), "outside": (200, 100)}.get(fit, (100, 100))
    assert decoded(made.data).size == size == (made.width, made.height)
    corner = decoded(made.data).getpixel((2, 2))
    assert about(corner, RED) == (fit == "contain")


def test_small_pictures_are_enlarged_only_where_asked_for():
    data = encoded(noisy((40, 20)))
    assert one(data, width=100).width == 40
    assert one(data, width=100, enlarge=True).width == 100
    assert one(data, width=100, height=100, fit="cover").height == 20


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_are_pillows(kernel):
    data = encoded(noisy((400, 300)), "PNG")
    made = one(data, width=100, kernel=kernel, format="PNG")
    resampling = Resampling[kernel.upper()]
    expected = decoded(data).resize((100, 75), resampling, reducing_gap=2.0)
    assert decoded(made.data).tobytes() == expected.tobytes()


def test_transparent_edges_stay_clean():
    # A white disc on transparent black: mixed without its alpha, its edge would be grey.
    picture = Image.new("RGBA", (200, 200), (0, 0, 0, 0))
    picture.paste((255, 255, 255, 255), (50, 50, 150, 150))
    made = decoded(one(encoded(picture, "PNG"), width=31, format="PNG").data)
    shown = made.getchannel("A").point(lambda alpha: 255 * (alpha > 0))
    for band in made.split()[:3]:
        masked = Image.composite(band, Image.new("L", band.size, 255), shown)
        assert masked.getextrema()[0] >= 250
    assert made.getpixel((0, 0))[3] == 0


def test_transparency_goes_where_a_background_is_asked_for():
    picture = Image.new("RGBA", (60, 60), (0, 0, 0, 0))
    data = encoded(picture, "PNG")
    variants = (
        Variant("keeps", 30, format="PNG"),
        Variant("own", 30, format="PNG", background=RED),
        Variant("plans", 30),
    )
    full, keeps, own, plans = render(data, Plan(variants, background=(0, 0, 255)))
    assert decoded(keeps.data).getpixel((5, 5))[3] == 0
    assert about(decoded(own.data).getpixel((5, 5)), RED)
    assert about(decoded(plans.data).getpixel((5, 5)), (0, 0, 255))
    assert about(decoded(full.data).getpixel((5, 5)), (0, 0, 255))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "I;16"])
def test_a_transparent_colour_counts(mode):
    source = Image.new("L", (40, 40), 0)
    source.paste(255, (0, 0, 20, 40))
    if mode == "I;16":
        source = source.convert("I").point(lambda value: value * 257).convert("I;16")
    source = source.convert(mode)
    transparent = {"P": source.getpixel((30, 5)), "RGB": (0, 0, 0)}.get(mode, 0)
    data = encoded(source, "PNG", transparency=transparent)
    made = decoded(one(data, format="PNG").data)
    assert made.getpixel((5, 5)) == (255, 255, 255, 255)
    assert made.getpixel((35, 5))[3] == 0


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "AVIF"])
def test_the_best_quality_within_a_target(form):
    data = encoded(noisy((300, 200)))
    free = len(one(data, format=form).data)
    target = free // 2
    made = one(data, format=form, target_bytes=target)
    assert target * 0.6 < len(made.data) <= target
    assert one(data, format=form, target_bytes=free).data == one(data, format=form).data
    least = one(data, format=form, target_bytes=10).data
    assert 10 < len(least) < len(made.data)


def test_options_reach_the_encoder():
    data = encoded(noisy((160, 120)))
    plain = one(data, width=100)
    progressive = one(data, width=100, options=(("progressive", True),))
    assert decoded(progressive.data).info.get("progressive")
    assert not decoded(plain.data).info.get("progressive")
    assert len(one(data, width=100, options=(("optimise", True),)).data) < len(plain.data)
    fine = one(data, width=100, options=(("subsampling", "4:4:4"),))
    assert [layer[1] for layer in Image.open(io.BytesIO(fine.data)).layer] == [1, 1, 1]
    lossless = {"format": "WEBP", "options": (("lossless", True),)}
    png = decoded(one(data, width=100, format="PNG").data)
    assert decoded(one(data, width=100, **lossless).data).tobytes() == png.tobytes()
    few = decoded(one(data, width=100, format="PNG", options=(("colours", 8),)).data)
    assert len(few.convert("RGB").getcolors(9)) <= 8
    sizes = [
        len(one(data, width=100, format=form, options=(("effort", effort),)).data)
        for form, low, high in (("PNG", 1, 9), ("WEBP", 0, 6), ("AVIF", 0, 10))
        for effort in (low, high)
    ]
    assert all(fast > slow for fast, slow in zip(sizes[::2], sizes[1::2], strict=True))


def test_options_of_other_formats_have_no_effect():
    data = encoded(noisy((300, 200)))
    target = len(one(data).data) // 2
    options = (("lossless", True), ("colours", 4), ("effort", 3))
    made = one(data, format="source", options=options, target_bytes=target)
    assert made.format == "JPEG"
    assert len(made.data) <= target
    assert made.data == one(data, format="source", target_bytes=target).data


def test_xmp_stays_in_the_format_of_the_source():
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>"
    data = encoded(noisy(), xmp=xmp)
    made = one(data, width=40, format="source", metadata="all")
    assert decoded(made.data).info["xmp"].strip() == xmp


TAGGED = Image.Exif()
TAGGED.update({0x0112: 6, 0x013B: "Ann", 0x8298: "(c) Ann", 0x010F: "Camera"})


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_what_stays_of_the_metadata(form, kind):
    profile = Image.open(io.BytesIO(with_display_p3(noisy()))).info["icc_profile"]
    data = encoded(noisy(), kind, exif=TAGGED, icc_profile=profile)
    found = {}
    for metadata in ("none", "profile", "copyright", "all"):
        made = decoded(one(data, width=40, format=form, metadata=metadata).data)
        found[metadata] = set(made.getexif()), made.info.get("icc_profile")
        assert made.size == (40, 60)  # turned, whatever stays
    rights = {0x013B, 0x8298}
    assert found == {
        "none": (set(), None),
        "profile": (set(), profile),
        "copyright": (rights, None),
        "all": (rights | {0x010F}, profile),
    }


def test_all_of_the_exif_stays_with_its_directories():
    camera = Image.Exif()
    camera.update({0x010F: "Camera", 0x8298: "(c) Ann", 0x0112: 6})
    camera.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    camera.get_ifd(0x8825)[1] = "N"
    data = encoded(noisy(), exif=camera)
    for form in ("JPEG", "PNG", "WEBP", "AVIF"):
        found = decoded(one(data, width=40, format=form, metadata="all").data).getexif()
        assert (found[0x010F], found[0x8298], found.get(0x0112)) == ("Camera", "(c) Ann", None)
        assert found.get_ifd(0x8769)[0x9003] == "2020:01:01 00:00:00"
        assert found.get_ifd(0x8825)[1] == "N"


def test_what_is_too_long_for_a_jpeg_is_left_out():
    long = Image.Exif()
    long.update({0x010E: "x" * 70_000, 0x8298: "(c) Ann"})
    made = one(encoded(noisy(), "PNG", exif=long), width=40, metadata="all")
    assert dict(decoded(made.data).getexif()) == {0x8298: "(c) Ann"}
    long[0x8298] = "y" * 70_000
    made = one(encoded(noisy(), "PNG", exif=long), width=40, metadata="copyright")
    assert dict(decoded(made.data).getexif()) == {}
    made = one(encoded(noisy(), "WEBP", xmp=b"x" * 70_000), width=40, metadata="all")
    assert "xmp" not in decoded(made.data).info


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "AVIF"])
@pytest.mark.parametrize(
    "turned", [b' tiff:Orientation="6"/>', b"><tiff:Orientation>6</tiff:Orientation></x>"]
)
def test_xmp_that_stays_does_not_turn_it_once_more(form, turned):
    xmp = b"<x xmlns:tiff='http://ns.adobe.com/tiff/1.0/'" + turned
    made = one(encoded(noisy((80, 40)), xmp=xmp), format=form, metadata="all")
    shown = decoded(made.data)
    assert shown.size == (40, 80)
    assert shown.getexif().get(0x0112) is None
    assert b"xmlns:tiff" in shown.info["xmp"]


@pytest.mark.parametrize("form", sorted(OUTPUTS))
def test_nothing_of_the_source_comes_along_unasked(form):
    hidden = b"SECRET" * 20
    sources = [
        encoded(noisy(), comment=hidden),
        encoded(noisy(), "GIF", comment=hidden),
        encoded(noisy(), "PNG", icc_profile=hidden),
        encoded(noisy().convert("L"), "PNG", icc_profile=hidden),
        encoded(noisy(), "WEBP", xmp=hidden, exif=b"Exif\0\0" + hidden),
    ]
    for data in sources:
        for look in (Variant("v", format=form), Variant("v", 40, format=form)):
            made = render(data, Plan((look,)))[1].data
            assert b"SECRET" not in made
            assert not {"icc_profile", "comment", "xmp", "exif"} & decoded(made).info.keys()


def test_a_profile_stays_only_where_it_fits():
    data = encoded(Image.new("RGB", (40, 40), (200, 60, 30)), "PNG", icc_profile=rgb_profile())
    gif = decoded(one(data, format="GIF", metadata="profile").data).convert("RGB")
    png = decoded(one(data, format="PNG").data)
    assert gif.getpixel((9, 9)) == png.getpixel((9, 9)) != (200, 60, 30)
    grey = one(data, format="PNG", metadata="profile", steps=(ImageOps.grayscale,))
    assert decoded(grey.data).mode == "RGB"
    assert decoded(grey.data).info["icc_profile"] == rgb_profile()


def test_effort_stops_where_the_format_does():
    for kind in ("WEBP", "PNG", "AVIF"):
        data = encoded(noisy((60, 60)), kind)
        assert one(data, format="source", options=(("effort", 10),)).format == kind


@pytest.mark.parametrize("form", ["WEBP", "JPEG"])
@pytest.mark.parametrize("fit", ["contain", "fill", "cover", "inside", "outside"])
def test_sizes_stop_where_the_format_does(form, fit):
    most = MOST_SIDE[form]
    look = {"width": 65_535, "height": 50, "fit": fit, "enlarge": fit != "contain"}
    made = one(encoded(noisy((400, 534))), format=form, **look)
    assert max(made.width, made.height) <= most
    if fit in {"contain", "fill"}:
        assert (made.width, made.height) == (most, 50)


def with_display_p3(image):
    """Return *image* as a JPEG whose colours are wider than sRGB."""
    primaries = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
    return encoded(image, icc_profile=matrix_profile(primaries))


def matrix_profile(primaries):
    """Return a small ICC profile (ICC.1:2010, 8.3.2) of *primaries* with gamma 2.2."""

    def s15(value):
        return struct.pack(">i", round(value * 65536))

    white = (0.9642, 1.0, 0.8249)
    total = [(x / y, 1.0, (1 - x - y) / y) for x, y in primaries]
    scale = [white[1] / 3] * 3
    xyz = [tuple(part * factor for part in each) for each, factor in zip(total, scale, strict=True)]
    tags = [
        (name, b"XYZ \0\0\0\0" + b"".join(map(s15, value)))
        for name, value in zip((b"rXYZ", b"gXYZ", b"bXYZ"), xyz, strict=True)
    ]
    tags += [(b"wtpt", b"XYZ \0\0\0\0" + b"".join(map(s15, white)))]
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256)) + bytes(2)
    tags += [(name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")]
    tags += [
        (b"desc", b"desc\0\0\0\0" + struct.pack(">I", 3) + b"P3\0" + bytes(79)),
        (b"cprt", b"text\0\0\0\0CC0\0"),
    ]
    table, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, value in tags:
        padded = value + bytes(-len(value) % 4)
        table += name + struct.pack(">II", at + len(body), len(padded))
        body += padded
    head = struct.pack(
        ">I4sI4s4s4s", at + len(body), b"lcms", 0x02400000, b"mntr", b"RGB ", b"XYZ "
    )
    head += bytes(12) + b"acsp" + bytes(28) + b"".join(map(s15, white)) + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + body


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_kept_profile_keeps_its_colours_and_a_dropped_one_is_converted(kind):
    picture = Image.new("RGB", (64, 64), (200, 40, 40))
    profile = decoded(with_display_p3(picture)).info["icc_profile"]
    data = encoded(picture, kind, icc_profile=profile)
    kept = one(data, width=32, metadata="profile", format="PNG")
    dropped = one(data, width=32, format="PNG")
    assert about(decoded(kept.data).getpixel((9, 9)), (200, 40, 40), 4)
    assert not about(decoded(dropped.data).getpixel((9, 9)), (200, 40, 40), 8)


def test_variants_are_the_same_whether_made_alone_or_together():
    looks = (
        Variant("small", 50, 50),
        Variant("part", 60, 60, **CORNER),
        Variant("png", 90, format="PNG"),
        Variant("steps", 70, steps=(ImageOps.grayscale,)),
        Variant("busy", 40, 80, "cover", "entropy"),
    )
    data = encoded(noisy((900, 700)))
    together = {made.name: made.data for made in render(data, Plan(looks))}
    for look in looks:
        (alone,) = render(data, Plan(looks), only={look.name})
        assert alone.data == together[look.name]


def test_of_equal_looks_only_those_are_made_that_are_asked_for():
    data = encoded(noisy())
    plan = Plan((Variant("a", 40), Variant("b", 40), Variant("c", 30)))
    assert [made.name for made in render(data, plan, only={"b"})] == ["b"]
    assert [made.name for made in render(data, plan, only={"c", "a"})] == ["a", "c"]


def test_equal_looks_share_their_bytes():
    data = encoded(noisy())
    _, first, second = render(data, Plan((Variant("a", 20), Variant("b", 20))))
    assert first.data is second.data
    assert (first.name, second.name) == ("a", "b")


def test_entropy_goes_where_something_is():
    picture = Image.new("RGB", (400, 100), WHITE)
    picture.paste(noisy((100, 100)), (260, 0))
    busy = decoded(one(encoded(picture), width=50, height=50, fit="cover", gravity="entropy").data)
    blank = decoded(one(encoded(picture), width=50, height=50, fit="cover").data)
    assert len(busy.convert("L").getcolors(256)) > 3 * len(blank.convert("L").getcolors(256))


def test_a_full_image_may_be_described():
    plan = Plan((Variant("v", 20),), full=Variant("anything", 60, format="WEBP"))
    picture = noisy((96, 64), "RGBA")
    picture.putpixel((0, 0), (0, 0, 0, 0))
    full, small = render(encoded(picture, "PNG"), plan)
    assert (full.name, full.format, full.width, full.uniform) == (FULL, "WEBP", 60, False)
    assert decoded(full.data).mode == "RGBA"
    assert (small.name, small.format) == ("v", "JPEG")
    flat = Image.new("RGB", (50, 50), RED)
    assert render(encoded(flat), plan)[0].uniform


@pytest.mark.parametrize(
    "kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "ICO", "AVIF"]
)
def test_the_source_stays_as_it_came(kind):
    size = (64, 64) if kind == "ICO" else (90, 60)
    data = encoded(noisy(size), kind)
    full, small = render(data, Plan((Variant("v", 20, format="source"),), full="source"))
    assert full.data is data
    assert (full.format, full.width, full.height) == (kind, *size)
    assert small.format == (kind if kind in OUTPUTS else "PNG")


def test_an_animation_stays_one():
    frames = [noisy(seed=seed).convert("P") for seed in range(3)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=40)
    full, small = render(data, Plan((Variant("v", 20),), full="source"))
    assert full.data is data
    assert difference(decoded(small.data), decoded(data).convert("RGB").resize((20, 13))) < 25


CHANGED = {
    "width": 9,
    "height": 9,
    "fit": "cover",
    "gravity": (0, 0),
    "enlarge": True,
    "kernel": "box",
    "format": "PNG",
    "options": (("quality", 9),),
    "target_bytes": 9,
    "background": RED,
    "steps": (ImageOps.grayscale,),
    "metadata": "all",
    "frames": 9,
}


def test_every_field_counts_in_the_digest():
    usual = Variant("v", 20, 20)
    assert {field.name for field in fields(Variant)} == {*CHANGED, "name"}
    digests = {replace(usual, **{name: value}).digest for name, value in CHANGED.items()}
    assert len(digests | {usual.digest}) == len(CHANGED) + 1
    assert replace(usual, name="other").digest == usual.digest
    plans = {
        Plan(full=full, strip=strip).full_digest
        for full in ("jpeg", "source", usual, replace(usual, width=9))
        for strip in ("", "all", "copyright")
    }
    assert len(plans) == 2 * 3 + 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"fit": "covr"},
        {"gravity": "tip"},
        {"gravity": (0.5, 2)},
        {"width": -5},
        {"height": float("nan")},
        {"width": float("inf")},
        {"format": "BMP"},
        {"kernel": "foo"},
        {"options": {"speed": 9}},
        {"options": {"quality": 101}},
        {"options": 80},
        {"background": (0, 0, 256)},
        {"steps": 7},
        {"metadata": "some"},
        {"frames": 0},
        {"target_bytes": -1},
        {"enlarge": "perhaps"},
    ],
)
def test_what_no_variant_can_be_is_said_in_a_sentence(wrong):
    ((field, value),) = wrong.items()
    with pytest.raises(
        ValueError, match=f"^Expected .* for '{field}' of Variant 'v' but"
    ) as caught:
        Variant("v", **wrong)
    assert str(caught.value).endswith(f"{value!r} of type {type(value).__name__}")
    with pytest.raises(ValueError, match=r"^Expected "):
        replace(Variant("v"), **wrong)


def test_values_are_brought_to_one_spelling():
    spelt = Variant(
        "v",
        "20",
        fit="COVER",
        gravity="top",
        kernel="Box",
        format="webp",
        options={"quality": "80", "method": 3},
        background="#ff0000",
        steps=[ImageOps.grayscale],
        metadata="All",
    )
    usual = Variant(
        "v",
        20,
        fit="cover",
        gravity=(0.5, 0.0),
        kernel="box",
        format="WEBP",
        options=(("effort", 3), ("quality", 80)),
        background=RED,
        steps=(ImageOps.grayscale,),
        metadata="all",
    )
    assert spelt == usual
    assert Variant("v", format="jpg", steps=ImageOps.flip).steps == (ImageOps.flip,)
    assert one(encoded(noisy()), width=20, format="webp", options={"quality": 5}).format == "WEBP"
