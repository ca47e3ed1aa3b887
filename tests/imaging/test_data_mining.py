"""What an image says of data mining is found wherever it may stand, and never costs much."""

from __future__ import annotations

import struct
import time
import tracemalloc
import zlib
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL.PngImagePlugin import PngInfo

from scrapy_imgpipe.imaging.metadata.datamining import MOST_BYTES, data_mining
from scrapy_imgpipe.imaging.metadata.pieces import MOST_PIECES
from tests.imaging.pictures import decoded, encoded, noisy

VALUE = "DMI-PROHIBITED-AIMLTRAINING"
VOCABULARY = "http://ns.useplus.org/ldf/vocab/"
RDF = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
PLUS = 'xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/"'
SIZE = (12, 8)


def packet(attributes: str = "", inside: str = "") -> str:
    """Return XMP as Adobe's toolkit lays it out."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/">\n <rdf:RDF {RDF}>\n'
        f'  <rdf:Description rdf:about=""\n    {attributes}>\n   {inside}\n  </rdf:Description>\n'
        f' </rdf:RDF>\n</x:xmpmeta>\n{" " * 99}\n<?xpacket end="w"?>'
    )


def saying(value: str) -> str:
    return packet(f'{PLUS}\n    plus:DataMining="{VOCABULARY}{value}"')


XMP = saying(VALUE).encode()
ALLOWED = saying("DMI-ALLOWED").encode()


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def jpeg(*payloads: bytes) -> bytes:
    """Return a photo with these APP1 segments behind its JFIF header."""
    data = encoded(noisy(SIZE))
    return data[:20] + b"".join(segment(0xE1, each) for each in payloads) + data[20:]


def standard(xmp: bytes) -> bytes:
    return b"http://ns.adobe.com/xap/1.0/\0" + xmp


def extended(xmp: bytes, start: int, end: int, digest: bytes = b"0" * 32) -> bytes:
    head = b"http://ns.adobe.com/xmp/extension/\0" + digest
    return head + struct.pack(">II", len(xmp), start) + xmp[start:end]


def png(xmp: bytes, *, packed: bool = False, behind: bool = False) -> bytes:
    texts = PngInfo()
    texts.add_text("Comment", "a photo")
    texts.add_itxt("XML:com.adobe.xmp", xmp.decode(), "en", "XMP", zip=packed)
    data = encoded(noisy(SIZE), "PNG", pnginfo=texts)
    if behind:
        at, end = data.index(b"iTXt") - 4, data.index(b"IDAT") - 4
        return data[:at] + data[end:-12] + data[at:end] + data[-12:]
    return data


def gif(xmp: bytes) -> bytes:
    """Return a GIF with the packet as it is, and the trailer that makes it sub-blocks."""
    data = encoded(noisy(SIZE).quantize(16), "GIF")
    trailer = b"\1" + bytes(range(255, -1, -1)) + b"\0"
    at = data.index(b",", 13 + 3 * 16)
    return data[:at] + b"!\xff\x0bXMP DataXMP" + xmp + trailer + data[at:]


def tiff(xmp: bytes, order: str = "<") -> bytes:
    fields = [(256, 3, 1, 1), (257, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 0), (279, 4, 1, 1)]
    fields.append((700, 1, len(xmp), 8 + 2 + 12 * 6 + 4))
    head = b"II*\0" if order == "<" else b"MM\0*"
    table = b"".join(struct.pack(f"{order}HHII", *field) for field in fields)
    return head + struct.pack(f"{order}IH", 8, 6) + table + bytes(4) + xmp


def tiff_of_pillow(xmp: bytes) -> bytes:
    return encoded(noisy(SIZE), "TIFF", tiffinfo={700: xmp})


def files(xmp: bytes) -> dict[str, bytes]:
    return {
        "jpeg": jpeg(standard(xmp)),
        "jpeg of pillow": encoded(noisy(SIZE), xmp=xmp, progressive=True),
        "jpeg behind exif": jpeg(b"Exif\0\0MM\0*\0\0\0\x08\0\0\xff\xda\xff\xd9", standard(xmp)),
        "jpeg with filler": encoded(noisy(SIZE))[:2] + b"\xff\xff" + jpeg(standard(xmp))[2:],
        "jpeg extended": jpeg(
            standard(packet().encode()), extended(xmp, 300, 9999), extended(xmp, 0, 300)
        ),
        "png": png(xmp),
        "png packed": png(xmp, packed=True),
        "png behind pixels": png(xmp, behind=True),
        "apng": encoded(
            noisy(SIZE),
            "PNG",
            save_all=True,
            append_images=[noisy(SIZE, seed=2)],
            pnginfo=texts(xmp),
        ),
        "gif": gif(xmp),
        "webp": encoded(noisy(SIZE), "WEBP", xmp=xmp),
        "webp lossless": encoded(noisy(SIZE, "RGBA"), "WEBP", xmp=xmp, lossless=True),
        "tiff": tiff(xmp),
        "tiff big-endian": tiff(xmp, ">"),
        "tiff of pillow": tiff_of_pillow(xmp),
        "avif": encoded(noisy(SIZE), "AVIF", xmp=xmp),
    }


def texts(xmp: bytes) -> PngInfo:
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp.decode())
    return info


FILES = files(XMP)


@pytest.mark.parametrize("name", FILES)
def test_found_in(name):
    assert data_mining(FILES[name]) == VALUE


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_found_where_it_is_allowed(name):
    assert data_mining(files(ALLOWED)[name]) is None


# Neither compressed nor in two parts.
PLAIN = [name for name in FILES if name not in {"png packed", "jpeg extended"}]


@pytest.mark.parametrize("name", PLAIN)
def test_found_in_a_file_that_was_cut_off(name):
    """As far as the packet is there; the pixels need not be."""
    data = FILES[name]
    assert data_mining(data[: data.rindex(b"DMI-") + 200]) == VALUE


def test_found_in_heif():
    heif = pytest.importorskip("pillow_heif")
    file = BytesIO()
    heif.from_pillow(noisy((64, 64))).save(file, xmp=XMP)
    assert data_mining(file.getvalue()) == VALUE


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP"])
def test_nothing_without_xmp(kind):
    assert data_mining(encoded(noisy(SIZE), kind)) is None
    assert data_mining(b"") is None


def test_elsewhere_in_a_sound_file_it_says_nothing():
    """In a comment, in a text of another name, or behind the image: not the image's XMP."""
    data = encoded(noisy(SIZE))
    assert data_mining(data[:20] + segment(0xFE, XMP) + data[20:]) is None
    assert data_mining(jpeg(b"http://example.com/\0" + XMP)) is None
    assert data_mining(data + jpeg(standard(XMP))) is None
    assert data_mining(b"\xff\xd8" + segment(0xDA, b"") + segment(0xE1, standard(XMP))) is None
    info = PngInfo()
    info.add_itxt("Comment", XMP.decode())
    data = encoded(noisy(SIZE), "PNG", pnginfo=info)
    assert data_mining(data) is None
    assert data_mining(encoded(noisy(SIZE), "PNG") + png(XMP)) is None
    assert data_mining(encoded(noisy(SIZE), "WEBP", exif=b"Exif\0\0" + XMP)) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("DMI-PROHIBITED", True),
        ("DMI-PROHIBITED-AIMLTRAINING", True),
        ("DMI-PROHIBITED-GENAIMLTRAINING", True),
        ("DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING", True),
        ("DMI-PROHIBITED-SEECONSTRAINT", True),
        ("DMI-PROHIBITED-SEEEMBEDDEDRIGHTSEXPR", True),
        ("DMI-PROHIBITED-SEELINKEDRIGHTSEXPR", True),
        ("PROHIBITED", True),
        ("PROHIBITED-AITRAINING", True),
        ("DMI-UNSPECIFIED", False),
        ("DMI-ALLOWED", False),
        ("", False),
        ("NOT-PROHIBITED", False),
        ("DMI-PROHIBITEDNOT", False),
        ("DMI-PROHIBITED/no", False),
        ("DMI-PROHIBITED" + "-A" * 99, False),
        ("DMI-PROHIBITED-" + "A" * 99, False),
    ],
)
def test_values(value, expected):
    for text in [saying(value), packet(f'{PLUS} plus:DataMining="{value}"'), saying(value.lower())]:
        assert data_mining(jpeg(standard(text.encode()))) == (value if expected else None)


OTHER = PLUS.replace("plus", "p-1.x", 1)
BARE = PLUS.replace(":plus", "", 1)
URI = VOCABULARY + VALUE


@pytest.mark.parametrize(
    "text",
    [
        packet(f"plus:DataMining='{URI}' {PLUS}"),
        packet(f'{PLUS} plus:Version="1 > 0" plus:DataMining = "\n{URI} "'),
        packet(PLUS, f"<plus:DataMining>{URI}</plus:DataMining>"),
        packet(PLUS, f"<plus:DataMining>\n  {URI}\n</plus:DataMining >"),
        packet(PLUS, f'<plus:DataMining rdf:resource="{URI}"/>'),
        packet(PLUS, f"<plus:DataMining rdf:resource='{URI}' ></plus:DataMining>"),
        packet(
            PLUS, f"<plus:DataMining><rdf:Bag><rdf:li>{URI}</rdf:li></rdf:Bag></plus:DataMining>"
        ),
        packet(PLUS, f'<plus:DataMining><rdf:Seq><rdf:li rdf:resource="{URI}"/></rdf:Seq>'),
        packet("", f"<plus:DataMining {PLUS}>{URI}</plus:DataMining>"),
        packet("", f"<DataMining {BARE}>{URI}</DataMining>"),
        packet(f'{OTHER} p-1.x:DataMining="{URI}"'),
        packet(OTHER, f"<p-1.x:DataMining>{URI}</p-1.x:DataMining>"),
        packet(f"xmlns:a='http://ns.useplus.org/ldf/xmp/1.0/'\n{PLUS} a:DataMining=\"{URI}\""),
        packet(
            f'{PLUS} plus:DataMining="DMI-ALLOWED"', f"<plus:DataMining>{URI}</plus:DataMining>"
        ),
        packet(PLUS, f"<!-- no --><plus:DataMining><!-- <a> -->{URI}</plus:DataMining>"),
        f"<rdf:RDF {RDF}><rdf:Description {PLUS} plus:DataMining='{URI}'/></rdf:RDF>",
        packet(f"{PLUS} plus:DataMining='{URI.replace('/', '&#x2F;')}'"),
        packet(f"{PLUS} plus:DataMining='{URI.replace('D', '&#68;')}'"),
        packet(PLUS, f"<plus:DataMining><![CDATA[{URI}]]></plus:DataMining>"),
        packet(PLUS, f"<plus:DataMining><?a <b>?><!-- c -->{URI}</plus:DataMining>"),
    ],
)
def test_spellings(text):
    for each in [text, text.replace("\n", "\r\n\t")]:
        assert data_mining(jpeg(standard(each.encode()))) == VALUE
    assert data_mining(tiff(text.encode())) == VALUE
    assert data_mining(b"\0\0\0\x0cftypavif" + text.encode()) == VALUE


@pytest.mark.parametrize(
    "text",
    [
        packet(f'{PLUS} plus:DataMiningX="{URI}"'),
        packet(f'{PLUS} plus:Other="{URI}" plus:DataMining=""'),
        packet(f'{PLUS} other:DataMining="{URI}"'),
        packet(f'xmlns:plus="http://example.com/" plus:DataMining="{URI}"'),
        packet(f'xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/more" plus:DataMining="{URI}"'),
        packet(PLUS, f"<!-- <plus:DataMining>{URI}</plus:DataMining> -->"),
        packet(PLUS, f"<!-- <!-- --><!-- <plus:DataMining rdf:resource='{URI}'/>"),
        packet(PLUS, f'<dc:title>plus:DataMining="{URI}"</dc:title>'),
        packet(PLUS, f"<plus:DataMining>DMI-ALLOWED</plus:DataMining><a>{URI}</a>"),
        packet(PLUS, f"<plus:DataMining/><a>{URI}</a>"),
        packet(PLUS, f"<plus:DataMining>{'<a>' * 9}{URI}</plus:DataMining>"),
        packet(PLUS, f"<plus:DataMining>not {VALUE}</plus:DataMining>"),
        packet(PLUS, f"</plus:DataMining>{URI}"),
        packet(PLUS, f"<?a <plus:DataMining>{URI}</plus:DataMining> ?>"),
        packet(PLUS, f"<a><![CDATA[<plus:DataMining>]]>{URI}</a>"),
        packet(PLUS, f"<a>&#60;plus:DataMining>{URI}&#60;/plus:DataMining></a>"),
        packet(f"{PLUS} plus:DataMining='{URI.replace('D', '&#1234567;')}'"),
        packet(
            "", f"<!DOCTYPE a [<!ENTITY e '{URI}'>]><plus:DataMining {PLUS}>&e;</plus:DataMining>"
        ),
    ],
)
def test_what_does_not_say_so(text):
    assert data_mining(jpeg(standard(text.encode()))) is None


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_encodings(encoding, mark):
    inside = "<dc:title>\u4e3c\u3c00\u223e\U0001f600 -\u2d2d-\u3e00</dc:title>"
    text = packet(f'{PLUS} plus:Title="\u2222\u3e3e" plus:DataMining="{URI}"', inside)
    assert data_mining(tiff((mark + text).encode(encoding))) == VALUE


def test_the_namespace_may_have_references():
    text = saying(VALUE).replace("http://ns.useplus", "http:&#47;&#x2F;ns.useplus")
    assert data_mining(jpeg(standard(text.encode()))) == VALUE


def profile(xmp: bytes) -> bytes:
    """Return XMP as ImageMagick writes it into a text."""
    digits = xmp.hex().encode()
    lines = [digits[at : at + 72] for at in range(0, len(digits), 72)]
    return b"\n".join([b"\nxmp", b"%8d" % len(xmp), *lines, b""])


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("name", "text"), [(b"XML:com.adobe.xmp", XMP), (b"Raw profile type xmp", profile(XMP))]
)
def test_found_where_other_writers_of_png_put_it(name, text, packed):
    kind, content = (b"zTXt", b"\0" + zlib.compress(text)) if packed else (b"tEXt", text)
    body = name + b"\0" + content
    chunk = struct.pack(">I", len(body)) + kind + body
    chunk += struct.pack(">I", zlib.crc32(kind + body))
    data = encoded(noisy(SIZE), "PNG")
    assert data_mining(data[:33] + chunk + data[33:]) == VALUE
    assert data_mining(data[:33] + chunk.replace(name, b"x" * len(name)) + data[33:]) is None


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_found_in_two_bytes_a_letter_in_avif(encoding):
    data = encoded(noisy(SIZE), "AVIF", xmp=XMP.decode().encode(encoding))
    assert data_mining(data) == VALUE


def test_several_packets():
    assert data_mining(jpeg(standard(ALLOWED), standard(XMP))) == VALUE
    other = b"1" * 32
    both = [extended(ALLOWED, 0, 9999, other), extended(XMP, 0, 99), extended(XMP, 99, 9999)]
    assert data_mining(jpeg(*both)) == VALUE
    assert data_mining(jpeg(*both[:2])) is None


@pytest.mark.parametrize("make", [tiff, png, lambda xmp: bytes(99) + xmp])
def test_only_so_much_is_looked_at(make):
    before = f"<a {PLUS}>".encode()
    room = MOST_BYTES - len(before) - len(XMP)
    assert data_mining(make(before + b" " * room + XMP)) == VALUE
    assert data_mining(make(before + b" " * (room + len(XMP)) + XMP)) is None


def test_only_so_much_is_inflated():
    data = png(b"<a>" + b" " * (20 << 20) + XMP, packed=True)
    tracemalloc.start()
    assert data_mining(data) is None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * MOST_BYTES


def test_only_so_many_segments_are_walked():
    for many, expected in [(MOST_PIECES - 1, VALUE), (MOST_PIECES, None)]:
        data = b"\xff\xd8" + segment(0xFE, b"") * many + segment(0xE1, standard(XMP))
        assert data_mining(data) == expected


def test_found_anywhere_in_an_unknown_format():
    data = b"\0\0\0\x0cftypavif" + bytes(300_000)
    assert data_mining(data + XMP + bytes(300_000)) == VALUE
    far = packet(f"{PLUS} a='{' ' * 60_000}'", f"<plus:DataMining>{URI}</plus:DataMining>")
    assert data_mining(data + far.encode()) == VALUE
    assert data_mining(data + PLUS.encode() + bytes(100_000) + XMP) == VALUE


def broken_texts(count: int) -> bytes:
    """Return chunks that inflate to a lot, and then turn out to be damaged."""
    deflated = zlib.compress(b" " * (MOST_BYTES - 1))[:-4] + b"oops"
    body = b"XML:com.adobe.xmp\0\1\0\0\0" + deflated
    return (struct.pack(">I", len(body)) + b"iTXt" + body + bytes(4)) * count


HEAD = f"<a {PLUS}>".encode()
HOSTILE = {
    "comments": b"<!--" * 60_000,
    "tags": b"<" * 200_000,
    "names": b"<plus:DataMining " * 15_000,
    "attributes": b"<plus:DataMining" + b" a='b'" * 40_000,
    "blanks": b"<plus:DataMining" + b" " * 200_000,
    "quotes": b'<plus:DataMining a="' * 12_000,
    "open": b"<plus:DataMining>" * 15_000,
    "bindings": b" xmlns:a " * 25_000,
    "prefixes": b"".join(
        b" xmlns:p%d='http://ns.useplus.org/ldf/xmp/1.0/'" % number for number in range(4500)
    ),
    "values": b"<plus:DataMining>" + b"/" * 200_000,
    "bytes": bytes(range(128, 256)) * 1500,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_xml_takes_linear_time(name):
    data = HEAD + b"<plus:DataMining>" + HOSTILE[name]
    start = time.process_time()
    assert data_mining(tiff(data)) is None
    assert data_mining(data) is None
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8" + segment(0xE1, b"") * 1_000_000,
        b"\xff\xd8" + segment(0xE1, extended(XMP, 0, 0)) * 100_000,
        b"\xff\xd8\xff\xe0\0\2" + b"\xff" * 5_000_000,
        b"\x89PNG\r\n\x1a\n" + broken_texts(10_000),
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s4x", 0, b"iTXt") * 400_000,
        b"II*\0\x08\0\0\0\xff\xff" + struct.pack("<HHII", 700, 1, 0xFFFFFFFF, 0) * 0xFFFF,
        b"II*\0\x08\0\0\0\xff\xff" + struct.pack("<HHII", 700, 1, 1, 0) * 0xFFFF,
        b"http://ns.useplus.org/ldf/xmp/1.0/" * 300_000,
        b"GIF89a" + bytes(7) + b"!\xff\x0bXMP DataXMP\0" * 300_000,
    ],
    ids=["segments", "extensions", "filler", "deflated", "chunks", "long", "many", "names", "gif"],
)
def test_hostile_files_take_linear_time(data):
    start = time.process_time()
    assert data_mining(data) is None
    assert time.process_time() - start < 2


STARTS = [
    b"",
    b"\xff\xd8\xff",
    b"\xff\xd8\xff\xe1\0\x40http://ns.adobe.com/xap/1.0/\0",
    b"\xff\xd8\xff\xe1\0\x40http://ns.adobe.com/xmp/extension/\0",
    b"\x89PNG\r\n\x1a\n",
    b"\x89PNG\r\n\x1a\n\0\0\0\x20iTXtXML:com.adobe.xmp\0",
    b"GIF89a",
    b"RIFF\x40\0\0\0WEBPXMP ",
    b"II*\0\x08\0\0\0",
    b"MM\0*\0\0\0\x08\0\1\x02\xbc",
    *(HEAD.decode().encode(encoding) for encoding in ["utf-8", "utf-16", "utf-32"]),
]
TEXTS = st.lists(
    st.sampled_from([*"<>/= '\"", "<!--", "-->", "plus:DataMining", PLUS, URI, "rdf:li", "\n"])
).map(lambda parts: "".join(parts).encode())


@given(st.sampled_from(STARTS), st.binary(max_size=200) | TEXTS)
def test_any_bytes(start, body):
    assert data_mining(start + body) in {None, VALUE}


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_files(data):
    damaged = bytearray(data.draw(st.sampled_from([*FILES.values()])))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at] = data.draw(st.integers(0, 255))
    found = data_mining(bytes(damaged[: data.draw(st.integers(1, len(damaged)))]))
    assert found is None or "PROHIBITED" in found


@pytest.mark.parametrize(
    "name", [name for name in FILES if name not in {"tiff", "tiff big-endian"}]
)
def test_what_is_made_here_is_what_readers_read(name):
    """Pillow finds the packets, too, where it looks for any: they are no invention of ours."""
    image = decoded(FILES[name])
    if name == "tiff of pillow":
        assert image.tag_v2[700] == XMP
    elif name not in {"gif", "jpeg extended"}:
        assert (image.info.get("xmp") or image.info["XML:com.adobe.xmp"].encode()) == XMP
