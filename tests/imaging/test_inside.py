"""What is inside a file counts: streams, tiles and later frames, whatever its header says."""

from __future__ import annotations

import struct
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from scrapy_imgpipe.errors import ImageBroken, ImagePipeError, SourceRejected
from scrapy_imgpipe.imaging import Plan, Variant, check_early, render, rendering_bytes
from scrapy_imgpipe.imaging.decoded import Inside, canvases, inside
from scrapy_imgpipe.probe import Prober, probe
from tests.hostile_files import making_avif as avif
from tests.hostile_files.making import behind_directory, box, field, gif_frame, tiff
from tests.imaging.pictures import decoded, encoded, noisy

SIZE = (61, 47)


def pixels(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def stream_of(data: bytes) -> bytes:
    """Return what Pillow has encoded."""
    return data[data.rindex(b"mdat") + 4 :]


def config_of(data: bytes) -> bytes:
    at = data.index(b"av1C") - 4
    return data[at : at + 12]


def refusal(data: bytes, plan: Plan) -> str:
    with pytest.raises(ImagePipeError) as caught:
        render(data, plan)
    return caught.value.code


# --- AVIF as it is made ---

FRAMES = [noisy(SIZE, "RGBA", seed) for seed in range(3)]


@pytest.mark.parametrize(
    ("size", "mode", "options"),
    [
        ((64, 48), "RGB", {}),
        (SIZE, "RGB", {}),
        (SIZE, "RGB", {"subsampling": "4:4:4"}),
        (SIZE, "RGBA", {}),
        (SIZE, "L", {}),
        ((1, 1), "RGB", {}),
        ((300, 7), "RGBA", {"quality": 100}),
        (SIZE, "RGBA", {"save_all": True, "append_images": FRAMES}),
        (
            SIZE,
            "RGB",
            {"save_all": True, "append_images": FRAMES, "speed": 4},
        ),
        ((600, 500), "RGB", {"tile_rows": 1, "tile_cols": 1, "autotiling": False}),
    ],
)
def test_an_avif_has_as_many_pixels_as_it_says(size, mode, options):
    data = encoded(noisy(size, mode), "AVIF", **{"speed": 9, **options})
    assert inside(data) == Inside(pixels(size))
    assert render(data, Plan(max_pixels=pixels(size)))
    if pixels(size) > 1:
        assert refusal(data, Plan(max_pixels=pixels(size) - 1)) == "too-many-pixels"


def test_a_grid_has_the_pixels_of_its_tiles():
    tile = encoded(noisy((64, 64)), "AVIF")
    data = avif.tiles(3, stream_of(tile), (64, 64), (150, 140), config_of(tile))
    assert decoded(data).size == (150, 140)
    assert inside(data) == Inside(9 * 64 * 64)
    assert render(data, Plan(max_pixels=9 * 64 * 64))


def test_pictures_in_layers_are_counted_once():
    film = encoded(noisy(SIZE), "AVIF", save_all=True, append_images=FRAMES)
    layers = avif.one(stream_of(film), SIZE, config=config_of(film))
    assert decoded(layers).size == SIZE
    assert inside(layers) == Inside(pixels(SIZE))


def test_a_layer_may_be_smaller_than_its_stream():
    large = encoded(noisy(SIZE), "AVIF")
    lsel = struct.pack(">I4sH", 10, b"lsel", 0)
    assert inside(avif.one(stream_of(large), (20, 16), lsel)).fault == ""
    assert inside(avif.one(stream_of(large), (20, 16))).fault


@pytest.mark.parametrize("boxed", [False, True])
def test_bytes_of_an_item_may_be_anywhere(boxed):
    """In two pieces; in the box of the items; at the end of the file, however long."""
    data = bytearray(avif.one(avif.still((640, 480)), SIZE))
    at = data.index(b"iloc") + 4
    start, length = struct.unpack_from(">II", data, at + 14)
    extents = [(start, 9), (start + 9, 0)]
    if boxed:
        body = bytes(data[start : start + length])
        data[at - 8 : at - 8] = struct.pack(">I4s", 8 + length, b"idat") + body
        struct.pack_into(">I", data, data.index(b"meta") - 4, len(data) - data.index(b"meta") - 4)
        at, extents = data.index(b"iloc") + 4, [(0, 9), (9, length - 9)]
    told = b"\1\0\0\0\x44\0\0\1" + struct.pack(">HHHH", 1, int(boxed), 0, 2)
    told += b"".join(struct.pack(">II", *each) for each in extents)
    meta, end = data.index(b"meta") - 4, at + struct.unpack_from(">I", data, at - 8)[0] - 8
    more = len(told) - (end - at)
    data[at:end] = told
    struct.pack_into(">I", data, at - 8, len(told) + 8)
    struct.pack_into(">I", data, meta, struct.unpack_from(">I", data, meta)[0] + more)
    if not boxed:
        struct.pack_into(">II", data, at + 16, start + more, 9)
        struct.pack_into(">II", data, at + 24, start + more + 9, 0)
    assert inside(bytes(data)).pixels == 640 * 480


# --- and as it is not ---


def test_a_stream_may_not_be_much_larger_than_it_says():
    real = encoded(noisy((64, 48)), "AVIF")
    said = avif.one(stream_of(real), (48, 40), config=config_of(real))
    assert render(said, Plan())[0].width == 48
    assert refusal(said, Plan(max_pixels=64 * 48 - 1)) == "too-many-pixels"
    said = avif.one(stream_of(real), (32, 40), config=config_of(real))
    with pytest.raises(ImageBroken, match="its stream has 64x48 pixels, not 32x40"):
        render(said, Plan())


def test_one_stream_may_be_decoded_many_times():
    real = encoded(noisy((64, 64)), "AVIF")
    data = avif.tiles(4, stream_of(real), (64, 64), (64, 64), config_of(real))
    assert refusal(data, Plan(max_pixels=16 * 64 * 64 - 1)) == "too-many-pixels"


def test_the_samples_of_an_animation_count():
    film = encoded(noisy(SIZE), "AVIF", save_all=True, append_images=FRAMES[:1])
    sizes = film.index(b"stsz") + 16
    first, second = struct.unpack_from(">II", film, sizes)
    samples = stream_of(film)[-first - second :]
    data = avif.film((16, 16), samples[:first], samples[first:], config=config_of(film))
    assert probe(data).frames == 2
    assert inside(data).pixels == pixels(SIZE)
    assert refusal(data, Plan(max_pixels=pixels(SIZE) - 1)) == "too-many-pixels"


def test_frames_of_an_animation_count_with_what_they_are_decoded_as(monkeypatch):
    monkeypatch.setattr("scrapy_imgpipe.imaging.animation.MOST_PIXELS", 2 * pixels(SIZE))
    data = encoded(noisy(SIZE), "AVIF", save_all=True, append_images=FRAMES)
    assert inside(data).pixels == pixels(SIZE)
    look = Variant("v", 20, format="WEBP", frames=9)
    with Image.open(BytesIO(render(data, Plan((look,)))[1].data)) as image:
        assert image.n_frames == 2


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (avif.frame(), (90, 50)),
        (avif.frame((400, 300)), (400, 300)),
        (avif.frame((400, 300), shown=False), (400, 300)),
        (avif.frame((400, 300), kind=2), (400, 300)),
        (avif.frame((400, 300), kind=1), (1 << 16, 1 << 16)),  # cannot be told
        (avif.frame((400, 300), kind=3), (1 << 16, 1 << 16)),
        (avif.frame() + avif.unit(6, b"\x80"), (90, 50)),  # shows one again
        (avif.frame() + avif.unit(6, b""), (90, 50)),  # cut off
        (avif.frame() + b"\x32\xff\xff\xff", (90, 50)),
    ],
)
def test_frames_say_their_size(frame, expected):
    assert inside(avif.one(avif.moving((90, 50), frame), expected)).pixels == pixels(expected)


LIE = avif.one(avif.still((16_000, 16_000)), (1_000, 1_000))
FILM = avif.film((16, 16), avif.moving((16_000, 16_000), avif.frame()), avif.frame())


@pytest.mark.parametrize(
    "more",
    [
        box(b"meta", bytes(4) + box(b"pitm", b"\0") + box(b"iloc", b"\0")),
        box(b"meta", bytes(4) + box(b"iprp", box(b"ipma", bytes(7)))),
        box(b"moov", box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", box(b"stsz")))))),
        struct.pack(">I", 3) + b"free",
        b"\0",
    ],
)
@pytest.mark.parametrize("data", [LIE, FILM])
def test_what_is_malformed_hides_nothing(data, more):
    assert inside(data + more).pixels == 256_000_000


def test_boxes_within_boxes_are_not_followed_for_ever():
    deep = b""
    for _ in range(3_000):
        deep = box(b"mdia", deep)
    assert inside(box(b"ftyp", b"avis") + box(b"moov", box(b"trak", deep))) == Inside()


def test_two_tables_of_samples_are_refused():
    table = FILM.index(b"stsz") - 4
    (length,) = struct.unpack_from(">I", FILM, table)
    data = bytearray(FILM[:table] + FILM[table : table + length] * 2 + FILM[table + length :])
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        at = data.index(kind) - 4
        struct.pack_into(">I", data, at, struct.unpack_from(">I", data, at)[0] + length)
    with pytest.raises(ImageBroken, match="two tables"):
        inside(bytes(data))


def test_a_redundant_header_is_one_of_a_frame():
    (other,) = avif.frame((400, 300))[:1]
    stream = avif.moving((90, 50), bytes([other & 7 | 7 << 3]) + avif.frame((400, 300))[1:])
    assert inside(avif.one(stream, (400, 300))).pixels == 400 * 300


def test_times_and_models_of_a_decoder_are_read_over():
    timed = [(9, 32), (9, 32), (1, 1), (1, 1), (0, 1)]
    model = [*timed[:-1], (1, 1), (9, 5), (9, 32), (9, 5), (9, 5)]
    stream = avif.moving((90, 50), avif.frame(), times=timed)
    assert inside(avif.one(stream, (90, 50))).pixels == 90 * 50
    modelled = avif.moving((90, 50), avif.frame(), times=model)
    assert inside(avif.one(modelled, (90, 50))).pixels == 1 << 32  # may be anything


def test_what_came_in_so_far_is_not_known_to_lie():
    """Early stops see the header; the streams are looked at when all of them are there."""
    data = avif.one(avif.still((16_000, 16_000)), (1_000, 1_000))
    prober = Prober()
    prober.feed(data)
    check_early(prober, Plan())
    assert (prober.size, prober.probe) == ((1_000, 1_000), probe(data))
    assert refusal(data, Plan()) == "too-many-pixels"


# --- HEIF ---


@pytest.mark.parametrize("size", [(64, 64), SIZE, (300, 200)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_heif_has_as_many_pixels_as_it_says_and_some_beside(size, mode):
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    data = encoded(noisy(size, mode), "HEIF")
    found = inside(data)
    assert not found.fault
    assert pixels(size) <= found.pixels <= pixels(tuple(-(-side // 64) * 64 for side in size))
    at = data.index(b"ispe") + 8
    lie = data.replace(data[at : at + 8], struct.pack(">II", 16, 16))
    assert bool(inside(lie).fault) == (size == (300, 200))


# --- TIFF ---


def tiled(size: tuple[int, int], tile: tuple[int, int], order: str = "<", kind: int = 4) -> bytes:
    told = [(256, size[0]), (257, size[1]), (322, tile[0]), (323, tile[1])]
    fields = [field(tag, kind, 1, side) for tag, side in told]
    fields += [field(tag, 3, 1, value) for tag, value in ((258, 8), (262, 1), (277, 1))]
    at, count = behind_directory(9), pixels(tile)
    data = tiff(*fields, field(324, 4, 1, at), field(325, 4, 1, count), pixels=bytes(count))
    if order == "<":
        return data
    out = b"MM\0*" + struct.pack(">IH", 8, 9)
    for tag, code, many, value in struct.iter_unpack("<HHII", data[10 : 10 + 9 * 12]):
        out += struct.pack(">HHI", tag, code, many)
        out += struct.pack(">HH" if code == 3 else ">I", *([value, 0] if code == 3 else [value]))
    return out + data[len(out) :]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", [3, 4])
def test_tiles_of_a_tiff_count_beyond_its_edges(order, kind):
    data = tiled((16, 16), (64, 48), order, kind)
    assert decoded(data).size == (16, 16)
    assert inside(data) == Inside(64 * 48)
    assert render(data, Plan(max_pixels=64 * 48))
    assert refusal(data, Plan(max_pixels=64 * 48 - 1)) == "too-many-pixels"
    assert inside(tiled((65, 97), (64, 48))).pixels == 128 * 144


def test_a_strip_may_say_any_number_of_rows():
    data = encoded(noisy(SIZE), "TIFF", tiffinfo={278: 60_000})
    assert render(data, Plan(max_pixels=pixels(SIZE)))
    assert inside(data) == Inside()
    assert inside(tiled((16, 16), (0, 48))) == Inside()


def test_a_large_tile_takes_the_memory_that_it_has():
    plan, small, large = Plan(), tiled((16, 16), (16, 16)), tiled((16, 16), (640, 480))
    one, other = (rendering_bytes(data, probe(data), plan) for data in (small, large))
    assert other - one >= 640 * 480 * 4


def test_a_large_tiff_in_64_bits():
    told = [(256, 16), (257, 16), (322, 30_000), (323, 30_000)]
    fields = b"".join(struct.pack("<HHQQ", tag, 16, 1, value) for tag, value in told)
    data = b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 4) + fields + bytes(8)
    assert inside(data).pixels == 900_000_000
    assert refusal(data, Plan()) == "too-many-pixels"


# --- GIF ---


def gif(*frames: tuple[int, int], between: bytes = b"") -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", 10, 10, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return screen + between.join(gif_frame(*each) for each in frames) + b";"


@pytest.mark.parametrize(
    "between",
    [
        b"",
        b"\0\0junk",
        b"!\xfe\3abc\0",
        b"!\xfe\0",
        b"!\xf9\4\0\0\0\0\0",
        b"!\xf9\0\1a\0",
        b"!\xff\x0bNETSCAPE2.0\3\1\0\0\0",
        b"!\xf9\0\x0a,\0\0\0\0\x50\0\x50\0\0\0",
    ],
)
def test_canvases_are_those_that_pillow_makes(between):
    data = gif((4, 4), (30, 5), (3, 40), between=between)
    found = list(canvases(data))
    with Image.open(BytesIO(data)) as image:
        for number, size in enumerate(found):
            image.seek(number)
            assert image.size == size
        with pytest.raises(EOFError):
            image.seek(len(found))
    assert found[-1] == (30, 40)


def test_a_gif_that_is_cut_off_has_the_canvases_before():
    data = gif((4, 4), (30, 5))
    for length in range(13, len(data)):
        assert list(canvases(data[:length])) in ([], [(10, 10)], [(10, 10), (30, 10)])


# --- no bytes make it fail ---

SEEDS = [
    avif.one(avif.still(SIZE), SIZE),
    avif.tiles(2, avif.moving(SIZE, avif.frame(), avif.frame(SIZE, kind=2)), SIZE, SIZE),
    avif.film(SIZE, avif.moving(SIZE, avif.frame()), avif.frame(shown=False)),
    tiled((16, 16), (20, 20)),
    gif((4, 4), (30, 5)),
]


@settings(deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=4),
    st.integers(0, 1000),
)
def test_no_bytes_make_it_fail(seed, changes, length):
    data = bytearray(seed)
    for place, value in changes:
        data[place % len(data)] = value
    try:
        found = inside(bytes(data[:length]))
    except (ImageBroken, SourceRejected):
        return
    assert found.pixels >= 0
    if data[:3] == b"GIF" and length > 12:
        list(canvases(bytes(data[:length])))
