"""What can be refused by looking at a URL.

Runs on the event loop for every source, so an ordinary URL costs one regular expression.

The rules follow ``w3lib.url.safe_url_string``, which ``scrapy.Request`` applies:
what Scrapy would download is not refused. That is the URL living standard
(url.spec.whatwg.org) for surrounding blanks, embedded tabs and newlines, and
backslashes; :func:`check_url` sees past them in the same way but changes nothing.
"""

from __future__ import annotations

import re
import unicodedata
from ipaddress import IPv6Address
from typing import TYPE_CHECKING
from urllib.parse import unquote

from scrapy_imgpipe.errors import SourceRejected
from scrapy_imgpipe.guards.shown import BLANK_OR_CONTROL, TAB_OR_NEWLINE, shown_value

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_PORT = 65535  # RFC 9293, section 3.1: 16 bits

# Schemes of Scrapy's own download handlers that name a server, or a bucket.
_NEED_HOST = frozenset({"http", "https", "ftp", "s3"})
# Those that scrapy.Request takes without "://".
_NEED_NO_SLASHES = frozenset({"data", "about"})
# "Special" in the URL living standard: a backslash is a slash before "?" and "#".
_BACKSLASH_IS_SLASH = frozenset({"http", "https", "ftp", "file", "ws", "wss"})

_SHOWN_CHARACTERS = 100
_MOST_HOST = 300  # RFC 1035, 2.3.4: 255 bytes

# Nine URLs in ten; whatever it does not match is looked at properly.
_ORDINARY = re.compile(r"(https?)://[a-zA-Z0-9_-][a-zA-Z0-9._-]*(?::[1-9][0-9]{0,3})?(?:[/?#]|$)")
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):")
_HOST_AND_PORT = re.compile(r"[^/?#]*\.[^/?#]*:|[^/?#:]+:[0-9]")
_BRACKETED = re.compile(r"\[([^\[\]]+)\](?::(.*))?", re.DOTALL)
_AUTHORITY_END = re.compile(r"[/?#]")
_AUTHORITY_DELIMITER = re.compile(r"[/?#@:\\]")
_BAD_IN_HOST = re.compile(r"[\x00-\x20\x7f-\x9f]|\s")
_BUCKET = re.compile(r"[A-Za-z0-9._-]+")
_BAD_IN_COMMAND = re.compile(r"[\x00-\x1f\x7f]")
_FUTURE_ADDRESS = re.compile(r"[vV][0-9a-fA-F]+\..+")  # RFC 3986, section 3.2.2


def check_entry(entry: object) -> str:
    """Return *entry* when it is text with something in it.

    For what an item's ``image_urls`` holds, before a request is made of it.

    Raises:
        SourceRejected: ``bad-url``, for anything else.
    """
    if isinstance(entry, str) and entry.strip(BLANK_OR_CONTROL):
        return entry
    raise _not_absolute(entry)


def check_url(url: str, allowed_schemes: Collection[str]) -> None:
    """Refuse a *url* that no request should be sent for.

    Args:
        url: what an item named, or ``Request.url``.
        allowed_schemes: ``IMGPIPE_ALLOWED_SCHEMES``, in lower case.

    Raises:
        SourceRejected: ``bad-url`` when it is not absolute, lacks the host that
            its scheme needs, or has an unusable host or port;
            ``url-not-allowed`` when its scheme is not among *allowed_schemes*.
    """
    # str.isascii() looks at a flag, not at the characters.
    if url.isascii():
        ordinary = _ORDINARY.match(url)
        if ordinary is not None and ordinary[1] in allowed_schemes:
            return
    _check_closely(url, allowed_schemes)


def _check_closely(url: str, allowed_schemes: Collection[str]) -> None:
    text = url.strip(BLANK_OR_CONTROL).translate(TAB_OR_NEWLINE)
    found = _SCHEME.match(text)
    if found is None:
        raise _not_absolute(url)
    scheme = found[1].lower()
    if scheme not in allowed_schemes:
        # "example.com/a.jpg" with a port has the form of a scheme, but means none.
        if _HOST_AND_PORT.match(text[:_MOST_HOST]) is not None and not text.startswith(
            "//", found.end()
        ):
            raise _not_absolute(url)
        shown = shown_value(url, _SHOWN_CHARACTERS)
        msg = f"The scheme {scheme!r} of {shown} is not in IMGPIPE_ALLOWED_SCHEMES"
        raise SourceRejected(msg, "url-not-allowed")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _bad_url(url, "a URL that UTF-8 can express") from None
    if scheme in _NEED_NO_SLASHES:
        return
    rest = text[found.end() :]
    if scheme in _BACKSLASH_IS_SLASH:
        rest = rest.replace("\\", "/")
    if scheme in _NEED_HOST:
        _check_authority(url, rest)
        if scheme in {"ftp", "s3"}:
            _check_commands(url, scheme, rest)
    elif "://" not in text:
        raise _not_absolute(url)


def _check_commands(url: str, scheme: str, rest: str) -> None:
    """Refuse what Scrapy's handlers would make another command, or another host, of."""
    if scheme == "ftp" and _BAD_IN_COMMAND.search(unquote(rest)):
        raise _bad_url(url, "no control characters, escaped or not, in a URL of FTP")
    bucket = _AUTHORITY_END.split(rest[2:], maxsplit=1)[0]
    if scheme == "s3" and _BUCKET.fullmatch(bucket) is None:
        raise _bad_url(url, "the name of a bucket")


def _check_authority(url: str, rest: str) -> None:
    if not rest.startswith("//"):
        raise _bad_url(url, "'//' and a host after the scheme")
    end = _AUTHORITY_END.search(rest, 2)
    authority = rest[2 : end.start() if end is not None else len(rest)]
    _check_delimiters(url, authority)
    place = authority.rpartition("@")[2]
    if "[" in authority or "]" in authority:
        bracketed = _BRACKETED.fullmatch(place)
        if bracketed is None or not _is_address(bracketed[1]):
            raise _bad_url(url, "an IPv6 address in brackets")
        host, port = bracketed[1], bracketed[2] or ""
    else:
        host, _, port = place.partition(":")
    if not host:
        raise _bad_url(url, "a host")
    if _BAD_IN_HOST.search(host) is not None:
        raise _bad_url(url, "a host without spaces and control characters")
    if port and not _is_port(port):
        raise _bad_url(url, f"a port between 1 and {MAX_PORT}")


def _check_delimiters(url: str, authority: str) -> None:
    """Refuse an *authority* that becomes another one when IDNA normalises it.

    With U+FF0F, a wide slash, what is one host to a parser is a host and a path
    to IDNA. CVE-2019-9636; ``urllib`` and w3lib refuse it, too.
    """
    if authority.isascii():
        return
    cleaned = _AUTHORITY_DELIMITER.sub("", authority)
    normal = unicodedata.normalize("NFKC", cleaned)
    if normal != cleaned and _AUTHORITY_DELIMITER.search(normal) is not None:
        raise _bad_url(url, "a host that stays the same when normalised")


def _is_address(text: str) -> bool:
    if _FUTURE_ADDRESS.fullmatch(text) is not None:
        return True
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def _is_port(text: str) -> bool:
    # 0 cannot be connected to. isdigit() alone takes digits of other scripts,
    # and int() of a very long run of digits is refused by Python itself.
    if not (text.isascii() and text.isdigit()):
        return False
    digits = text.lstrip("0")
    return 0 < len(digits) <= len(str(MAX_PORT)) and int(digits) <= MAX_PORT


def _not_absolute(value: object) -> SourceRejected:
    return _bad_url(value, "an absolute URL")


def _bad_url(value: object, expected: str) -> SourceRejected:
    shown = shown_value(value, _SHOWN_CHARACTERS)
    msg = f"Expected {expected} but received {shown} of type {type(value).__name__}"
    return SourceRejected(msg, "bad-url")
