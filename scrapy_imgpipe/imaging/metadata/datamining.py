"""What an image itself says of data mining: the property DataMining in its XMP.

Bytes in, a word out: no Pillow, nothing decoded. The IPTC Photo Metadata Standard has the
property since 2023.1 ("Data Mining"; www.iptc.org/std/photometadata/specification/); it is
kept as XMP of the PLUS namespace only, IPTC's older binary form has none. Its values:
ns.useplus.org/LDF/ldf-XMPSpecification#DataMining. Where each format has its XMP: Adobe,
XMP Specification part 3, "Storage in files", January 2020.

XML from strangers is not given to a parser, so there are no entities to expand. It is
looked through for a few names, in linear time, whatever the bytes: tags are what stands
between one ``<`` and the next, and comments are no tags. The scope of a prefix is the whole
packet.
"""

from __future__ import annotations

import re
import string
import struct
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Literal

from scrapy_imgpipe.imaging.metadata import blocks, chunks, riff
from scrapy_imgpipe.imaging.metadata.pieces import MOST_PIECES

#: Most bytes of XMP that are looked at in one file; usual are 2 to 60 KiB.
MOST_BYTES = 256 * 1024

_MALFORMED = (ValueError, IndexError, struct.error, zlib.error)

_NAMESPACE = "http://ns.useplus.org/ldf/xmp/1.0/"
_PROPERTY = "DataMining"

# Possessive repeats and runs that end at a quote, so that no search goes over a text twice.
# In pieces of text without "<", which attributes may not have either (XML 1.0, 3.1).
_BINDING = re.compile(rf"\sxmlns(?::([\w.-]++))?+\s*+=\s*+[\"']{re.escape(_NAMESPACE)}[\"']")
_TAG = re.compile(r"(/?+[\w:.-]++)((?:\s++[\w:.-]++\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'))*+)\s*+(/?+)>")
_ATTRIBUTE = re.compile(r"([\w:.-]++)\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)')")

# Bytes of a tag before the namespace, where there is no other way to find where it begins.
_MOST_TAG = 64 * 1024

# How many tags behind an opening one may still belong to its value: rdf:Bag, rdf:li and the
# like. Other documents are not XMP.
_MOST_INSIDE = 6

# The vocabulary: DMI-UNSPECIFIED, DMI-ALLOWED, DMI-PROHIBITED, and that with -AIMLTRAINING,
# -GENAIMLTRAINING, -EXCEPTSEARCHENGINEINDEXING, -SEECONSTRAINT, -SEEEMBEDDEDRIGHTSEXPR or
# -SEELINKEDRIGHTSEXPR. Values are URIs that end in one, http://ns.useplus.org/ldf/vocab/...,
# or the bare name. Writers make up endings of their own (-AITRAINING): they prohibit, too.
_PROHIBITED = re.compile(r"(?:DMI-)?PROHIBITED(?:-[A-Z]{1,40}){0,3}")

# How a packet is written that has to be searched for.
_SEARCHED = ("utf-8", "utf-16-le", "utf-16-be")

# By the bytes at the start of a packet, which begins with "<" or a byte order mark.
_ENCODINGS = (
    (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\xfe\xff", "utf-16-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\0\0\0<", "utf-32-be"),
    (b"<\0\0\0", "utf-32-le"),
    (b"\0<", "utf-16-be"),
    (b"<\0", "utf-16-le"),
)

# A character by its number (XML 1.0, 4.1). Others than those of names and addresses could
# only be the beginning of something else.
_REFERENCE = re.compile(r"&#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}));")
_ASCII = 128
_PLAIN = frozenset("/:.-_#" + string.ascii_letters + string.digits)

# Names before packets (XMP part 3).
_JPEG_NAME = b"http://ns.adobe.com/xap/1.0/\0"
_JPEG_EXTENSION_NAME = b"http://ns.adobe.com/xmp/extension/\0"
_PNG_NAME = b"XML:com.adobe.xmp\0"
_PNG_HEX_NAME = b"Raw profile type xmp\0"  # ImageMagick's
_GIF_NAME = b"\x0bXMP DataXMP"

# A segment of a JPEG up to its length, which counts its own two bytes (ITU-T T.81, B.1.1).
_SEGMENT = re.compile(rb"\xff++([\x01-\xfe])(..)", re.DOTALL)
_TEXTS = frozenset({b"iTXt", b"zTXt", b"tEXt"})
_APP1, _SCAN = b"\xe1", b"\xda"

# Of an extension: a digest of all of it, its length, and where this part belongs.
_DIGEST, _OFFSET, _EXTENSION_BYTES = slice(32), slice(36, 40), 40

_TIFF_XMP = 700  # XMP part 3; a field of bytes


def data_mining(data: bytes) -> str | None:
    """Return the value of DataMining in *data* that prohibits it, or None.

    Read from JPEG (extended XMP, too), PNG, GIF, WEBP and the first directory of a TIFF;
    in other formats (AVIF, HEIF, JPEG XL) and in malformed files a packet is searched for
    that is not compressed. Of several values one that prohibits counts. More than
    :data:`MOST_BYTES` of XMP are not looked at. Never raises, whatever the bytes.

    Args:
        data: an image file, whole or cut off.

    Returns:
        The name in the vocabulary, in capitals, as ``DMI-PROHIBITED-AIMLTRAINING``; at
        most some 130 characters.
    """
    left = MOST_BYTES
    for packet in _packets(data):
        value = _prohibition(packet[:left])
        if value is not None:
            return value
        left -= len(packet)
        if left <= 0:
            break
    return None


def _packets(data: bytes) -> Iterator[bytes]:
    """Find the XMP of a file, the extended in one with what it extends last."""
    for start, signature, walk in _WALKS:
        if data.startswith(signature, start):
            try:
                yield from walk(data)
            except _MALFORMED:
                break
            return
    yield from _searched(data)


def _in_jpeg(data: bytes) -> Iterator[bytes]:
    """Walk the segments before the first scan."""
    at, extensions, held = 2, [], 0
    for _ in range(MOST_PIECES):
        found = _SEGMENT.match(data, at)
        if found is None or found[1] == _SCAN:
            break
        body, at = found.end(), found.start(2) + int.from_bytes(found[2])
        if found[1] != _APP1:
            continue
        if data.startswith(_JPEG_NAME, body):
            yield data[body + len(_JPEG_NAME) : at]
        elif data.startswith(_JPEG_EXTENSION_NAME, body) and held < MOST_BYTES:
            part = data[body + len(_JPEG_EXTENSION_NAME) : at]
            extensions.append((part[_DIGEST], part[_OFFSET], part[_EXTENSION_BYTES:]))
            held += len(part)
    yield b"".join(part for _, _, part in sorted(extensions))


def _in_png(data: bytes) -> Iterator[bytes]:
    """Walk the texts: XMP in iTXt, and where other writers put it."""
    for kind, _, body, end in chunks.pieces(data):
        if kind not in _TEXTS or not data.startswith((_PNG_NAME, _PNG_HEX_NAME), body):
            continue
        start = data.index(b"\0", body) + 1
        text = data[start : end - 4]
        if kind == b"iTXt":
            # 3rd edition, 11.3.3.4: whether compressed, how; language, translated name.
            content = text[2:].split(b"\0", 2)[2]
            text = _inflated(content) if text[0] else content
        elif kind == b"zTXt":
            text = _inflated(text[1:])
        yield _from_hex(text) if data.startswith(_PNG_HEX_NAME, body) else text


def _inflated(packed: bytes) -> bytes:
    return zlib.decompressobj().decompress(packed, MOST_BYTES)


def _from_hex(text: bytes) -> bytes:
    """Return what ImageMagick has written in lines of digits, behind a name and a length."""
    digits = text.strip().split(maxsplit=2)[2:]
    return bytes.fromhex(b"".join(b"".join(digits).split()).decode("ascii"))


def _in_gif(data: bytes) -> Iterator[bytes]:
    """Find application extensions; their XMP is not cut into sub-blocks, 258 bytes follow it."""
    for _, _, body, end in blocks.pieces(data):
        if data.startswith(_GIF_NAME, body):
            yield data[body + len(_GIF_NAME) : end]


def _in_webp(data: bytes) -> Iterator[bytes]:
    return (data[body:end] for kind, _, body, end in riff.pieces(data) if kind == b"XMP ")


def _in_tiff(data: bytes) -> Iterator[bytes]:
    order: Literal["little", "big"] = "little" if data.startswith(b"II") else "big"
    at = int.from_bytes(data[4:8], order)
    count = int.from_bytes(data[at : at + 2], order)
    fields = struct.Struct(f"{'<' if order == 'little' else '>'}HHII")
    table = data[at + 2 : at + 2 + count * fields.size]
    for tag, _, length, place in fields.iter_unpack(table):
        if tag == _TIFF_XMP:
            yield data[place : place + min(length, MOST_BYTES)]


_WALKS: tuple[tuple[int, bytes | tuple[bytes, ...], Callable[[bytes], Iterator[bytes]]], ...] = (
    (0, b"\xff\xd8\xff", _in_jpeg),
    (0, b"\x89PNG\r\n\x1a\n", _in_png),
    (0, (b"GIF87a", b"GIF89a"), _in_gif),
    (8, b"WEBP", _in_webp),
    (0, (b"II*\0", b"MM\0*"), _in_tiff),
)


def _searched(data: bytes) -> Iterator[bytes]:
    """Find the tags that name the namespace, with what follows: the property is there."""
    for encoding in _SEARCHED:
        name, sign = _NAMESPACE.encode(encoding), "<".encode(encoding)
        at = data.find(name)
        while at >= 0:
            start = data.rfind(sign, max(at - _MOST_TAG, 0), at)
            start = at if start < 0 else start
            yield data[start : start + MOST_BYTES]
            at = data.find(name, start + MOST_BYTES)


def _prohibition(packet: bytes) -> str | None:
    """Return the value in an XMP *packet* that prohibits, or None."""
    encoding = next((name for start, name in _ENCODINGS if packet.startswith(start)), "utf-8")
    text = _REFERENCE.sub(_character, packet.decode(encoding, "replace"))
    if _NAMESPACE not in text or _PROPERTY not in text:
        return None
    text = _literal(_without(_without(text, "<!--", "-->"), "<?", "?>"))
    prefixes = set(_BINDING.findall(text))
    names = {f"{prefix}:{_PROPERTY}" if prefix else _PROPERTY for prefix in prefixes}
    for value in _values(text, names):
        name = value.strip().rpartition("/")[2].upper()
        if _PROHIBITED.fullmatch(name):
            return name
    return None


def _character(reference: re.Match[str]) -> str:
    """Return what a *reference* stands for, if it is plain, else the reference itself."""
    number = int(reference[1], 16) if reference[1] else int(reference[2])
    return chr(number) if number < _ASCII and chr(number) in _PLAIN else reference[0]


def _without(text: str, start: str, end: str) -> str:
    """Return *text* without what stands from *start* to *end*, or has no end."""
    before, *others = text.split(start)
    return before + "".join(other.partition(end)[2] for other in others)


def _literal(text: str) -> str:
    """Return *text* with what is to be taken as it is (XML 1.0, 2.7), and has no tags then."""
    before, *others = text.split("<![CDATA[")
    parts = (other.partition("]]>") for other in others)
    return before + "".join(inside.replace("<", "&lt;") + rest for inside, _, rest in parts)


def _values(text: str, names: set[str]) -> Iterator[str]:
    """Find what attributes and elements of *names* hold, and some tags inside of these."""
    inside = 0
    for piece in islice(text.split("<"), 1, None):
        if not inside and _PROPERTY not in piece:
            continue
        inside = max(inside - 1, 0)
        tag = _TAG.match(piece)
        if tag is None:
            continue
        if tag[1] in names:
            inside = _MOST_INSIDE + 1
        elif tag[1].removeprefix("/") in names:
            inside = 0
        for name, quoted, apostrophed in _ATTRIBUTE.findall(tag[2]):
            if inside or name in names:
                yield quoted or apostrophed
        if tag[3]:
            inside = 0 if tag[1] in names else inside
        elif inside:
            yield piece[tag.end() :]
