"""Metadata out, pixels as they were: nothing is decoded, nothing is encoded again."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageSequence
from PIL.PngImagePlugin import PngInfo

from scrapy_imgpipe.imaging import open_image, upright
from scrapy_imgpipe.imaging.metadata import end_of_image, strip, stripped
from scrapy_imgpipe.imaging.metadata.exif import reduced
from scrapy_imgpipe.imaging.metadata.pieces import MOST_PIECES
from tests.imaging.pictures import alpha_bmp, cmyk_profile, decoded, encoded, noisy, rgb_profile

SECRET = b"Jane Doe, 51.5007 N"
TEXT = SECRET.decode()
NAMES = ["Exif", "Photoshop", "http", "xmp", "JUMBF", "GPS", "Canon"]
XMP = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{TEXT}</x:xmpmeta>".encode()
PROFILE = rgb_profile()
ORIENTATION, ARTIST, COPYRIGHT = 0x0112, 0x013B, 0x8298
SIZE = (40, 24)
LOOK = {"lossless": True, "quality": 20}  # of WEBP


def private_exif(orientation: int = 6, order: str = "<") -> bytes:
    """Return EXIF as a camera writes it: maker, names, GPS, and a thumbnail in IFD1."""
    tags = Image.Exif()
    tags.endian = order
    tags[ORIENTATION] = orientation
    tags[ExifTags.Base.Make] = f"Canon {TEXT}"
    tags[ARTIST], tags[COPYRIGHT] = "J. D.", "(c) J. D. 2026"
    tags.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (51.0, 30.0, 2.5), 29: TEXT})
    tags.get_ifd(ExifTags.IFD.Exif).update({0x9286: b"ASCII\0\0\0" + SECRET})
    data = bytearray(tags.tobytes())
    thumbnail = encoded(noisy((16, 12)), comment=SECRET)
    place = 6 + 8
    (count,) = struct.unpack_from(f"{order}H", data, place)
    tiff_end = len(data) - 6
    struct.pack_into(f"{order}I", data, place + 2 + 12 * count, tiff_end)
    where = tiff_end + 2 + 24 + 4
    data += struct.pack(f"{order}HHHIIHHIII", 2, 0x201, 4, 1, where, 0x202, 4, 1, len(thumbnail), 0)
    return bytes(data) + thumbnail


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(
        kind + struct.pack("<I", len(each)) + each + bytes(len(each) % 2) for kind, each in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def riff_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 12
    while at < len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        found.append((kind, data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    return found


def application(name: bytes, body: bytes) -> bytes:
    return b"!\xff\x0b" + name + bytes([len(body)]) + body + b"\0"


def before(data: bytes, mark: bytes, extra: bytes) -> bytes:
    at = data.index(mark)
    return data[:at] + extra + data[at:]


def private_jpeg(mode: str = "RGB", kind: str = "JPEG", **options: object) -> bytes:
    data = encoded(
        noisy(SIZE, mode),
        kind,
        exif=private_exif(),
        xmp=XMP,
        comment=SECRET,
        icc_profile=cmyk_profile() if mode == "CMYK" else PROFILE,
        **options,
    )
    extra = segment(0xED, b"Photoshop 3.0\0008BIM\x04\x04\0\0" + struct.pack(">I", 20) + SECRET)
    extra += segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + SECRET)
    extra += segment(0xE0, b"JFXX\0\x10" + SECRET) + segment(0xE2, b"FPXR\0" + SECRET)
    for marker in [0xE3, 0xE7, 0xEB, 0xEC, 0xEF]:
        extra += b"\xff\xff" + segment(marker, b"JUMBF" + SECRET)
    return data[:2] + extra + data[2:]


def private_png(kind: str = "PNG", **options: object) -> bytes:
    texts = PngInfo()
    texts.add_text("Author", TEXT)
    texts.add_text("Comment", TEXT * 9, zip=True)
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=False)
    data = encoded(
        noisy(SIZE),
        kind,
        pnginfo=texts,
        exif=private_exif(),
        icc_profile=PROFILE,
        dpi=(72, 72),
        **options,
    )
    extra = chunk(b"tIME", bytes((7, 0xEA, 5, 6, 7, 8, 9))) + chunk(b"caBX", b"JUMBF" + SECRET)
    extra += chunk(b"zTXt", b"GPS\0\0" + zlib.compress(SECRET)) + chunk(b"prVt", SECRET)
    extra += chunk(b"bKGD", bytes(6))
    return before(data, data[data.index(b"IDAT") - 4 :][:8], extra)


def private_webp(**options: object) -> bytes:
    options = {**LOOK, "exif": private_exif(), "xmp": XMP, "icc_profile": PROFILE, **options}
    data = encoded(noisy(SIZE), "WEBP", **options)
    return riff(*riff_chunks(data), (b"C2PA", SECRET))


def private_gif(**options: object) -> bytes:
    data = encoded(noisy(SIZE).quantize(16), "GIF", comment=SECRET, **options)
    extra = application(b"XMP DataXMP", SECRET) + b"!\x77\x02" + SECRET[:2] + b"\0"
    at = data.index(b"\0,") + 1 if b"\0," in data else data.index(b",")
    return data[:at] + extra + data[at:]


def frames(count: int = 3) -> dict[str, object]:
    extra = [noisy(SIZE, seed=seed) for seed in range(2, count + 1)]
    return {"save_all": True, "append_images": extra, "duration": [80, 130, 210], "loop": 3}


def transparent() -> Image.Image:
    image = noisy(SIZE, "RGBA")
    image.putalpha(noisy(SIZE, "L", seed=2))
    return image


def runs_bmp() -> bytes:
    """Return a BMP that is compressed (RLE8): each row one run."""
    runs = b"".join(bytes((40, row * 9, 0, 0)) for row in range(24)) + b"\0\1"
    table = bytes(part for level in range(256) for part in (level, 0, 9, 0))
    head = struct.pack("<IiiHHIIiiII", 40, 40, 24, 1, 8, 1, len(runs), 0, 0, 0, 0)
    start = 14 + len(head) + len(table)
    return b"BM" + struct.pack("<III", start + len(runs), 0, start) + head + table + runs


JPEGS = {
    "baseline": private_jpeg(),
    "progressive": private_jpeg(progressive=True),
    "restarts": private_jpeg(restart_marker_blocks=3),
    "progressive-restarts": private_jpeg(progressive=True, restart_marker_blocks=2),
    "grey": private_jpeg("L"),
    "cmyk": private_jpeg("CMYK"),
    "mpo": private_jpeg(kind="MPO", save_all=True, append_images=[noisy(SIZE, seed=2)]),
}
OTHERS = {
    "png": private_png(),
    "apng": private_png(**frames()),
    "webp": private_webp(),
    "webp-lossy": private_webp(lossless=False, quality=60),
    "webp-animated": private_webp(**frames()),
    "gif": private_gif(),
    "gif-animated": private_gif(**frames()),
}
PRIVATE = JPEGS | OTHERS
ORIENTED = {name: data for name, data in PRIVATE.items() if not name.startswith("gif")}
CLEAN = {
    "jpeg": encoded(noisy(SIZE)),
    "jpeg-progressive": encoded(noisy(SIZE), progressive=True),
    "jpeg-cmyk": encoded(noisy(SIZE, "CMYK")),
    "png": encoded(noisy(SIZE), "PNG", dpi=(96, 96), icc_profile=PROFILE),
    "png-palette": encoded(noisy(SIZE).quantize(9), "PNG", transparency=3),
    "webp": encoded(noisy(SIZE), "WEBP"),
    "webp-alpha": encoded(transparent(), "WEBP", quality=60, icc_profile=PROFILE),
    "webp-animated": encoded(noisy(SIZE), "WEBP", **LOOK, **frames()),
    "gif": encoded(noisy(SIZE), "GIF"),
    "gif-animated": encoded(noisy(SIZE), "GIF", **frames()),
    "ico": encoded(transparent(), "ICO", sizes=[SIZE, (8, 8)]),
    "ico-dib": encoded(transparent(), "ICO", sizes=[SIZE, (8, 8)], bitmap_format="bmp"),
    **{f"bmp-{mode}": encoded(noisy(SIZE, mode), "BMP") for mode in ("1", "L", "P", "RGB")},
    "bmp-alpha": alpha_bmp(),
    "bmp-profile": alpha_bmp(profile=PROFILE),
    "bmp-runs": runs_bmp(),
    **{f"ppm-{mode}": encoded(noisy(SIZE, mode), "PPM") for mode in ("1", "L", "RGB")},
    "ppm-deep": b"P5 8\n20  65535\n" + bytes(range(160)) * 2,
}
FOREIGN = {
    "TIFF": encoded(noisy(SIZE), "TIFF", description=TEXT),
    "PPM": b"P2 2 1 9 3 4\n",
}


def pictures(data: bytes) -> list[tuple[object, ...]]:
    """Return mode, pixels and timing of every frame; of the first only of an MPO."""
    image = decoded(data)
    if image.format == "MPO":
        return [(image.mode, image.size, image.tobytes(), None, None)]
    return [
        (
            frame.mode,
            frame.size,
            frame.tobytes(),
            frame.info.get("duration"),
            frame.info.get("loop"),
        )
        for frame in ImageSequence.Iterator(image)
    ]


def tags(data: bytes) -> dict[int, object]:
    """Return the EXIF tags, also of directories below."""
    exif = decoded(data).getexif()
    found = dict(exif)
    for directory in ExifTags.IFD:
        with suppress(KeyError):  # Pillow 11, where there is no such directory
            found.update(exif.get_ifd(directory))
    return found


@pytest.mark.parametrize("name", PRIVATE)
def test_pixels_stay_and_secrets_go(name):
    data = PRIVATE[name]
    stripped = strip(data)
    assert pictures(stripped) == pictures(data)
    assert SECRET in data
    assert SECRET not in stripped
    assert not [each for each in NAMES[1:] if each.encode() in stripped]
    assert len(stripped) < len(data)
    assert strip(stripped) is stripped


@pytest.mark.parametrize("name", ORIENTED)
def test_the_way_up_and_the_profile_stay(name):
    data = ORIENTED[name]
    image = decoded(strip(data))
    assert tags(strip(data)) == {ORIENTATION: 6}
    assert (
        image.info["icc_profile"]
        == decoded(data).info["icc_profile"]
        in {
            PROFILE,
            cmyk_profile(),
        }
    )
    turned, expected = upright(open_image(strip(data))), upright(open_image(data))
    assert turned.size == expected.size == SIZE[::-1]
    assert turned.tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", ORIENTED)
def test_rights_stay_on_request(name):
    stripped = strip(ORIENTED[name], copyright=True)
    assert tags(stripped) == {ORIENTATION: 6, ARTIST: "J. D.", COPYRIGHT: "(c) J. D. 2026"}
    assert SECRET not in stripped
    assert strip(stripped, copyright=True) is stripped
    assert strip(stripped) == strip(ORIENTED[name])


@pytest.mark.parametrize("name", ORIENTED)
def test_the_profile_goes_on_request(name):
    stripped = strip(ORIENTED[name], profile=False)
    assert "icc_profile" not in decoded(stripped).info
    assert pictures(stripped) == pictures(ORIENTED[name])
    assert strip(stripped, profile=False) is stripped


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("turn", range(10))
def test_only_turns_are_worth_an_exif(turn, order):
    for kind in ["JPEG", "PNG", "WEBP"]:
        stripped = strip(encoded(noisy(SIZE), kind, exif=private_exif(turn, order)))
        assert tags(stripped) == ({ORIENTATION: turn} if 2 <= turn <= 8 else {})
        assert (b"MM\0*" in stripped) == (2 <= turn <= 8)


@pytest.mark.parametrize("name", CLEAN)
def test_nothing_to_do_is_no_copy(name):
    assert strip(CLEAN[name]) is CLEAN[name]
    assert strip(CLEAN[name], copyright=True) is CLEAN[name]
    assert end_of_image(CLEAN[name]) == len(CLEAN[name])


@pytest.mark.parametrize("name", FOREIGN)
def test_other_formats_are_left_alone(name):
    assert strip(FOREIGN[name]) is FOREIGN[name]
    assert end_of_image(FOREIGN[name]) is None


def test_an_avif_ends_but_cannot_be_stripped():
    data = encoded(noisy(SIZE), "AVIF", exif=private_exif())
    film = b"\0\0\0\x10mpvdfilmfilm"
    long = struct.pack(">I4sQ", 1, b"free", 16)
    assert strip(data) is data
    assert end_of_image(data) == end_of_image(data + film) == len(data)
    assert end_of_image(data + b"PK\3\4") == len(data)
    assert end_of_image(data + long + film) == len(data) + 16
    assert end_of_image(data[:-1]) is None
    assert end_of_image(data + b"\0\0\0\0free" + film) == len(data) + 8 + len(film)


@pytest.mark.parametrize("tail", [b"\0", b"PK\x03\x04 zip", encoded(noisy(SIZE)), bytes(5000)])
@pytest.mark.parametrize("name", CLEAN)
def test_what_follows_is_cut(name, tail):
    data = CLEAN[name]
    assert end_of_image(data + tail) == len(data)
    assert strip(data + tail) == data


@pytest.mark.parametrize("name", CLEAN)
def test_a_cut_file_is_left_alone(name):
    data = CLEAN[name]
    for length in {*range(60), *range(60, len(data), 211), *range(len(data) - 20, len(data))}:
        cut = data[:length]
        assert strip(cut) is cut
        assert end_of_image(cut) is None


def test_an_mpo_is_its_first_picture():
    first, second = encoded(noisy(SIZE)), noisy(SIZE, seed=2)
    both = encoded(noisy(SIZE), "MPO", save_all=True, append_images=[second])
    assert decoded(both).format == "MPO"
    assert strip(both) == first
    assert end_of_image(both) == both.index(b"\xff\xd9") + 2


def test_thumbnails_of_jfif():
    data = CLEAN["jpeg"]
    plain = data[6:20]
    assert plain.startswith(b"JFIF\0")
    large = plain[:12] + bytes((2, 1)) + b"GPSGPS"
    for payload in [large, plain + SECRET]:
        assert strip(data.replace(segment(0xE0, plain), segment(0xE0, payload))) == data
    short = data.replace(segment(0xE0, plain), segment(0xE0, plain[:9]))
    assert strip(short) is short  # no JFIF to a decoder: not to become one


def test_behind_the_adobe_segment():
    data = CLEAN["jpeg-cmyk"]
    at = data.index(b"\xff\xee")
    adobe = data[at + 4 : at + 16]
    assert adobe.startswith(b"Adobe")
    assert strip(data.replace(segment(0xEE, adobe), segment(0xEE, adobe + SECRET))) == data


def test_segments_between_scans():
    data = CLEAN["jpeg-progressive"]
    second = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    at = data.rindex(b"\xff\xc4", 0, second)
    extra = segment(0xFE, SECRET) + segment(0xE1, b"Exif\0\0" + private_exif()[6:])
    assert strip(data[:at] + extra + data[at:]) == data
    assert strip(data[:at] + extra + b"\xff\xff" + data[at:]) == data[:at] + b"\xff\xff" + data[at:]


def test_bytes_behind_a_segment_are_not_made_pixels():
    data = CLEAN["jpeg"]
    middle = data.index(b"\xff\xda") + 200
    odd = data[:middle] + segment(0xFE, b"note") + data[middle:]
    assert strip(odd) is odd
    assert end_of_image(odd) is None


@pytest.mark.parametrize("marker", [0x01, 0xBF, 0xC8, 0xD0, 0xD8, 0xF7])
def test_markers_that_no_jpeg_header_has(marker):
    data = before(CLEAN["jpeg"], b"\xff\xdb", segment(0xFE, SECRET) + segment(marker, b"12"))
    assert strip(data) is data


def test_the_first_exif_counts():
    two = [segment(0xE1, b"Exif\0\0" + private_exif(turn)[6:]) for turn in (1, 8)]
    assert tags(strip(before(CLEAN["jpeg"], b"\xff\xdb", b"".join(two)))) == {}
    assert tags(strip(before(CLEAN["jpeg"], b"\xff\xdb", two[1] + two[0]))) == {ORIENTATION: 8}


def test_exif_behind_the_pixels_of_a_png():
    data = before(CLEAN["png"], b"\0\0\0\0IEND", chunk(b"eXIf", private_exif()[6:]))
    bare = strip(data)
    assert tags(bare) == {ORIENTATION: 6}
    assert bare.index(b"eXIf") > bare.index(b"IDAT")
    assert strip(before(data, b"\0\0\0\0IEND", chunk(b"eXIf", private_exif(3)))) == bare


@pytest.mark.parametrize("kind", [b"sRGB", b"cICP", b"mDCV", b"cLLI", b"sBIT", b"PRIv"])
def test_chunks_that_stay(kind):
    data = before(
        CLEAN["png"], b"\0\0\0\x09pHYs", chunk(kind, b"\1" if kind == b"sRGB" else b"\1\2\3")
    )
    assert strip(data) is data


@pytest.mark.parametrize("kind", [b"pHYs", b"bKGD", b"sBIT", b"sPLT", b"hIST", b"gAMA"])
def test_chunks_with_more_than_they_may_have(kind):
    data = before(CLEAN["png-palette"], b"\0\0\0\x1bPLTE", chunk(kind, bytes(9) + SECRET))
    assert strip(data) == CLEAN["png-palette"]


@pytest.mark.parametrize("kind", [b"ABcD", b"tRNS", b"PLTE"])
def test_chunks_that_cannot_be_left_out(kind):
    data = before(CLEAN["png"], b"\0\0\0\x09pHYs", chunk(kind, SECRET * 50))
    assert strip(data) is data
    assert stripped(data) is None
    assert end_of_image(data) == len(data)


@pytest.mark.parametrize("kind", [b"I-AT", b"IEND"])
def test_chunks_that_no_png_has(kind):
    data = before(private_png(), b"\0\0\0\x09pHYs", chunk(kind, b"\1\2\3"))
    assert strip(data) is data


def test_a_simple_webp_keeps_its_bitstream_only():
    data = CLEAN["webp"]
    (bitstream,) = riff_chunks(data)
    assert strip(riff(bitstream, (b"EXIF", private_exif()[6:]), (b"XMP ", XMP))) == data


def test_flags_of_a_webp_say_what_is_there():
    assert {name: strip(PRIVATE[name])[20] for name in PRIVATE if "webp" in name} == {
        "webp": 0x28,
        "webp-lossy": 0x28,
        "webp-animated": 0x3A,  # Pillow writes animations with alpha
    }
    assert strip(PRIVATE["webp-animated"], profile=False)[20] == 0x1A
    assert strip(CLEAN["webp-alpha"], profile=False)[20] == 0x10


def test_webp_chunks_that_the_flags_deny():
    (kind, head), *others = riff_chunks(PRIVATE["webp"])
    stripped = strip(riff((kind, b"\0" + head[1:]), *others))
    assert [name for name, _ in riff_chunks(stripped)] == [b"VP8X", b"VP8L"]
    assert pictures(stripped) == pictures(PRIVATE["webp"])


def test_unknown_chunks_inside_webp_frames():
    chunks = riff_chunks(CLEAN["webp-animated"])
    inside = b"note" + struct.pack("<I", len(SECRET)) + SECRET + bytes(len(SECRET) % 2)
    odd = riff(*((kind, body + inside if kind == b"ANMF" else body) for kind, body in chunks))
    assert pictures(odd) == pictures(CLEAN["webp-animated"])
    assert strip(odd) == CLEAN["webp-animated"]


def test_a_webp_without_its_last_padding():
    (bitstream,) = riff_chunks(CLEAN["webp"])
    odd = riff((b"VP8X", bytes(10)), bitstream, (b"note", b"odd"))[:-1]
    uncounted = odd[:4] + struct.pack("<I", len(odd) - 8) + odd[8:]
    expected = riff((b"VP8X", bytes(10)), bitstream)
    assert strip(uncounted) == strip(uncounted + b"\0") == expected
    assert end_of_image(uncounted) == len(uncounted)
    assert end_of_image(uncounted + b"\0zip") == len(uncounted) + 1
    assert strip(odd) is odd  # the header counts a byte that is not there


def test_a_webp_without_pixels():
    for data in [riff((b"EXIF", SECRET)), riff((b"VP8X", SECRET)), b"RIFX" + CLEAN["webp"][4:]]:
        assert strip(data) is data


def test_blocks_of_a_gif():
    data = CLEAN["gif-animated"]
    assert data.count(application(b"NETSCAPE2.0", b"\1\3\0")) == 1
    text = b"!\x01\x0c" + bytes(12) + b"\x05shown\0"
    profile = application(b"ICCRGBG1012", b"profile")
    nul = b"\0"  # some writers leave one
    more = data[:-1] + text + nul + profile + b"!\xfe\x02hm\0" + application(b"ANIMEXTS1.0", b"\1")
    kept = data[:-1] + nul + profile + b";"
    assert strip(more + b";") == kept
    assert strip(kept) is kept
    assert strip(kept, profile=False) == kept.replace(profile, b"")
    assert strip(more + b"?;") == more + b"?;"


def test_extensions_of_a_gif_keep_what_has_a_meaning():
    data, loop = CLEAN["gif-animated"], application(b"NETSCAPE2.0", b"\1\3\0")
    more = loop[:-6] + b"\5\2" + SECRET[:4] + b"\5\1\3\0" + SECRET[:2] + b"\4" + SECRET[:4] + b"\0"
    odd = data.replace(loop, loop[:-5] + more[len(loop) - 6 :])
    assert strip(odd) == data
    at = data.index(b"!\xf9\4")
    odd = data[:at] + b"!\xf9\7" + data[at + 3 : at + 7] + SECRET[:3] + b"\2hm" + data[at + 7 :]
    assert strip(odd) == data


@pytest.mark.parametrize(
    "parts",
    [
        [b"\1\1" + SECRET * 9],
        [b"\1\2" + PROFILE],
        [b"\1\1" + PROFILE, b"\2\1" + SECRET],
        [b"\1\2" + PROFILE, b"\1\2" + SECRET],
    ],
)
def test_segments_that_are_no_profile(parts):
    extra = b"".join(segment(0xE2, b"ICC_PROFILE\0" + part) for part in parts)
    assert strip(before(CLEAN["jpeg"], b"\xff\xdb", extra)) == CLEAN["jpeg"]


def test_a_profile_in_several_segments():
    extra = [
        segment(0xE2, b"ICC_PROFILE\0" + bytes((n, 2)) + PROFILE[n * 99 - 99 :][:99])
        for n in (2, 1)
    ]
    data = before(CLEAN["jpeg"], b"\xff\xdb", b"".join(extra))
    assert strip(data) is data


def test_a_frame_that_would_be_left_without_pixels():
    for kind in (b"VP8 ", b"VP8L"):
        data = CLEAN["webp-animated"]
        at = data.rfind(kind)
        if at > 0:
            odd = data[:at] + b"VPx " + data[at + 4 :]
            assert strip(odd) is odd
            assert stripped(odd) is None
    still = CLEAN["webp-alpha"].replace(b"VP8 ", b"VPx ")
    assert strip(still) is still


def test_an_icon_keeps_all_of_its_pictures():
    png, small = private_png(), CLEAN["ico-dib"][6 + 32 :][:40]
    tails = [(b"\x28\x18", png + b"zip"), (b"\x08\x08", small)]
    head, at = struct.pack("<HHH", 0, 1, 3), 6 + 3 * 16
    for sides, body in tails:
        head += sides + struct.pack("<xxHHII", 1, 32, len(body), at)
        at += len(body)
    head += head[6:22]  # the first picture once more
    data = head + b"".join(body for _, body in tails)
    bare = strip(data)
    inside = strip(png)
    assert len(bare) == 6 + 3 * 16 + len(inside) + len(small)
    assert bare.endswith(inside + small)
    assert bare[6:22] == bare[38:54]
    assert pictures(bare) == pictures(data)
    assert strip(bare) is bare


def test_pictures_of_an_icon_that_overlap_are_not_multiplied():
    png = CLEAN["png"]
    entries = [struct.pack("<8xII", len(png) - less, 6 + 40 * 16) for less in range(40)]
    data = struct.pack("<HHH", 0, 1, 40) + b"".join(entries) + png
    assert strip(data) is data
    assert stripped(data) is None


def test_comments_of_a_ppm():
    data = b"P6 # by me\n2 1\n#" + SECRET + b"\r255\nabcdef"
    assert strip(data + b"zip") == b"P6\n2\n1\n255\nabcdef"
    assert pictures(strip(data)) == pictures(data)
    for odd in [b"P6 2 1 255#x\nabcdef", b"P6 2 1# 255 abcdef", b"P6 2 1 255\nabcde", b"P6 x"]:
        assert strip(odd) is odd
        assert end_of_image(odd) is None


def test_a_bmp_says_how_long_it_is():
    odd = CLEAN["bmp-RGB"][:2] + bytes(4) + CLEAN["bmp-RGB"][6:]
    assert strip(odd + SECRET) == CLEAN["bmp-RGB"]
    for start in (SECRET, b"\x0c\0\0\0" + SECRET):
        assert end_of_image(b"BM" + bytes(12) + start) is None


def test_the_profile_of_a_bmp_goes_on_request():
    bare = strip(CLEAN["bmp-profile"], profile=False)
    assert bare == CLEAN["bmp-alpha"][:126] + CLEAN["bmp-profile"][126:134] + bare[134:]


@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0", b"Exif\0\xff"])
def test_exif_keeps_its_prefix(prefix):
    exif = private_exif()[6:]
    assert reduced(prefix + exif, rights=False) == prefix + reduced(exif, rights=False)


def field(tag: int, kind: int, count: int, value: bytes, at: int = 8) -> bytes:
    return b"MM\0*" + struct.pack(">IHHHI", at, 1, tag, kind, count) + value.ljust(4, b"\0")


@pytest.mark.parametrize(
    "exif",
    [
        field(ORIENTATION, 3, 2, b"\0\6"),
        field(ORIENTATION, 2, 1, b"\0\6"),
        field(ORIENTATION, 3, 1, b"\0\6", at=0xFFFFFFFF),
        field(ORIENTATION, 3, 1, b"\0\6", at=0),
        field(COPYRIGHT, 2, 0xFFFFFFFF, b"\0\0\0\6"),
        field(COPYRIGHT, 2, 9, b"\0\0\0\x14"),
        field(COPYRIGHT, 2, 0, b""),
        field(COPYRIGHT, 2, 30000, b"\0\0\0\6") + bytes(40000),
        field(COPYRIGHT, 7, 2, b"hm"),
        b"II+\0" + field(ORIENTATION, 3, 1, b"\0\6")[4:],
        b"MM\0*",
        b"",
    ],
)
def test_exif_that_says_nothing(exif):
    assert reduced(exif, rights=True) == b""


def test_exif_as_odd_writers_have_it():
    turned = field(ORIENTATION, 3, 1, b"\0\6") + bytes(4)
    assert reduced(field(ORIENTATION, 4, 1, b"\0\0\0\6"), rights=False) == turned
    assert reduced(turned[:9] + b"\7" + turned[10:], rights=False) == turned  # six fields missing
    short = field(COPYRIGHT, 129, 3, b"me\0") + bytes(4)
    assert reduced(short, rights=True) == short


def test_the_longest_rights_fit_into_a_segment():
    at = 8 + 2 + 24 + 4
    most = 28 * 1024
    entries = struct.pack(">HHIIHHIII", ARTIST, 2, most, at, COPYRIGHT, 2, most, at, 0)
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\2" + entries + b"x" * most
    data = before(CLEAN["jpeg"], b"\xff\xdb", segment(0xE1, exif))
    stripped = strip(data, copyright=True)
    assert tags(stripped) == {ARTIST: "x" * most, COPYRIGHT: "x" * most}
    assert strip(stripped, copyright=True) is stripped


@pytest.mark.parametrize("many", [1000, MOST_PIECES])
def test_millions_of_pieces_are_not_walked(many):
    chunks = riff((b"VP8X", bytes(10)), *[(b"note", b"")] * many, (b"VP8 ", b"pixels"))
    for data in [
        b"\xff\xd8" + segment(0xFE, b"") * many + b"\xff\xd9",
        CLEAN["png"][:33] + chunk(b"prVt", b"") * many + CLEAN["png"][33:],
        CLEAN["gif"][:-1] + b"!\xfe\0" * many + b";",
        chunks,
    ]:
        assert (strip(data) is data) == (many == MOST_PIECES)


@given(st.binary(max_size=200), st.booleans())
def test_any_exif(body, rights):
    for head in [b"", b"MM\0*\0\0\0\x08", b"II*\0\x08\0\0\0"]:
        once = reduced(head + body, rights=rights)
        assert reduced(once, rights=rights) == once


SIGNATURES = [
    b"",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0",
    b"\0\0\1\0\1\0",
    CLEAN["bmp-1"][:30],
    b"P4 ",
    b"\0\0\0\x0cftypavif",
]


@given(st.sampled_from(SIGNATURES), st.binary(max_size=200), st.booleans(), st.booleans())
def test_any_bytes(signature, body, rights, profile):
    data = signature + body
    bare = strip(data, copyright=rights, profile=profile)
    assert strip(bare, copyright=rights, profile=profile) is bare
    end = end_of_image(data)
    assert end is None or 0 < end <= len(data)
    assert end is not None or bare is data


MUTATED = [*PRIVATE.values(), *CLEAN.values()]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_files_are_no_worse_for_it(data):
    damaged = bytearray(data.draw(st.sampled_from(MUTATED)))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        at = min(at, data.draw(st.integers(0, len(damaged) - 1)))  # headers are at the front
        change = data.draw(st.sampled_from(["set", "cut", "insert", "repeat"]))
        if change == "set":
            damaged[at] = data.draw(st.integers(0, 255) | st.just(0xFF))
        elif change == "cut":
            del damaged[at : at + data.draw(st.integers(1, 40))]
        elif change == "insert":
            damaged[at:at] = data.draw(st.binary(min_size=1, max_size=9) | st.just(b"\xff\xd9"))
        else:
            damaged[at:at] = damaged[at : at + 64]
        if not damaged:
            return
    file = bytes(damaged)
    stripped = strip(file)
    assert strip(stripped) is stripped
    shown = None
    with suppress(Exception):  # what does not open need not open
        shown = pictures(file)
    if shown is not None:
        assert pictures(stripped) == shown
