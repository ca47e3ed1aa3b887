"""What servers send in place of an image, by its first characters."""

from __future__ import annotations

import codecs
import re

#: Bytes that are looked at; a comment in front of the first element may take some.
LOOKED_AT = 1024

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_COMMENT = re.compile(r"<!--.*?(-->|\Z)\s*|<\?(?!xml)[^>]*>\s*", re.DOTALL)
_XML = re.compile(r"<\?xml[^>]*>\s*")
_DOCTYPE = re.compile(r"<!doctype\s+(\w+)", re.IGNORECASE)
# What a browser takes for HTML without any DOCTYPE (mimesniff.spec.whatwg.org, 7.1).
_HTML = re.compile(
    r"<(html|head|body|script|iframe|h1|div|font|table|a|style|title|b|br|p|meta|link|img|center)"
    r"[\s/>]",
    re.IGNORECASE,
)
_SVG = re.compile(r"<(\w+:)?svg[\s/>]")
_ELEMENT = re.compile(r"<[A-Za-z_][\w.:-]*[\s/>]")
_JSON = re.compile(r'[\[{]\s*(["{\[\]}]|-?\d|true|false|null)')


def text_kind(data: bytes) -> str:
    """Return what text *data* begins as: ``HTML``, ``SVG``, ``XML``, ``JSON`` or nothing."""
    text = _text_of(data[:LOOKED_AT])
    if text[:1] in {"{", "["}:
        return "JSON" if _JSON.match(text) else ""
    if text[:1] != "<":
        return ""
    bare = _COMMENT.sub("", text).lstrip()
    rest = _COMMENT.sub("", _XML.sub("", bare, count=1))
    doctype = _DOCTYPE.match(rest)
    name = doctype[1].lower() if doctype else ""
    if name == "html" or _HTML.match(rest):
        return "HTML"
    if name == "svg" or _SVG.match(rest):
        return "SVG"
    return "XML" if bare != rest or _ELEMENT.match(rest) else ""


def _text_of(head: bytes) -> str:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return head[len(mark) :].decode(encoding, "replace").lstrip()
    return head.decode("latin-1").lstrip(" \t\r\n\f")
