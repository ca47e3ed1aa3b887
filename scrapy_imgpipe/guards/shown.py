"""How a URL, and text with URLs in it, is shown to people: without user and password.

Three cases, for they leave different room for doubt. A URL that is downloaded: what is cut is
exact, and so is all that stays. What an item has, which may be no URL at all: in doubt it is a
password. A sentence of somebody else, such as the message of an error: in doubt it is none, or
nobody could read it.

Each takes time linear in what it is given; pages have URLs of megabytes.
"""

from __future__ import annotations

import hashlib
import re
from urllib.parse import unquote

BLANK_OR_CONTROL = "".join(map(chr, range(0x21)))
TAB_OR_NEWLINE = str.maketrans("", "", "\t\n\r")

_OF_DATA = 64
_OF_URL = 8000  # as long as servers should take (RFC 9110, 4.1)
_MOST_PORT = 65535  # RFC 9293, section 3.1: 16 bits

# What stands before a host, and user and password: browsers need no slashes behind the
# schemes that they know. Not anywhere in a word or in a run of slashes, or time is quadratic.
_SCHEME = r"[a-z][a-z0-9+.-]{0,30}:"
_NO_SLASHES = r"(?<![^\s'\"<>])(?:https?|ftp|wss?):[/\\]*"
_BEFORE = rf"(?:{_NO_SLASHES}|(?:{_SCHEME})?(?<![/\\])[/\\]{{2,}})"
_USERINFO = re.compile(rf"({_BEFORE})([^/?#\\]*)@", re.IGNORECASE)
# A URL inside of another one, up to the next parameter of that; or of several in one text.
_BEHIND = re.compile(
    r"([a-z]:[/\\]{2,}|(?<=[\s,'\"])[/\\]{2,})(?:(?!&[\w.-]+=)[^/?#\\])*@", re.IGNORECASE
)
_IN_SENTENCE = re.compile(
    rf"({_NO_SLASHES}|{_SCHEME}[/\\]{{2,}}|(?<![^\s'\"<>(])[/\\]{{2,}})"
    r"(?:(?!&[\w.-]+=)[^/?#\\\s'\"<>])*@",
    re.IGNORECASE,
)
# The same without a scheme, "user:password@host", as a word of a sentence.
_PAIR = re.compile(r"(?<![^\s'\"<>])(?!mailto:|cid:)[^\s:/?#\\@'\"<>]+:[^\s/?#\\'\"<>]*@")
_BEGIN = re.compile(rf"\s*(?:{_BEFORE}|[^:/?#\\]*:[/\\]+)?", re.IGNORECASE)
_NO_HOST = re.compile(r"(?:mailto|cid|mid|javascript|about|blob|tel):", re.IGNORECASE)
_BEGINS_REPR = ("{", "[", "<")
_AUTHORITY = re.compile(r"[^/?#\\]*")
_HOST_AND_PORT = re.compile(r"(?:\[[0-9a-fA-F:.%\w-]*\]|[^:]*)(?::([0-9]*))?")


def shown_url(url: str) -> str:
    """Return *url* as logs, the index and the report show it.

    Without user and password, which are nobody else's business; of a ``data:`` URL, which
    may have megabytes, the first 64 characters and its SHA-1; of any other, the first 8000.

    Args:
        url: of a request. What cannot be one is for :func:`shown_entry`.
    """
    if url[:1] <= " ":
        url = url.strip(BLANK_OR_CONTROL)
    if url[:5].lower() == "data:":
        return _cut(url, _OF_DATA)
    if "@" in url:
        url = _BEHIND.sub(r"\1", without_credentials(url))
    return _cut(url, _OF_URL)


def without_credentials(url: str) -> str:
    """Return *url* without user and password."""
    if "@" not in url:
        return url
    plain = url.translate(TAB_OR_NEWLINE)
    found = _USERINFO.match(plain)
    return found[1] + plain[found.end() :] if found is not None else url


def credentials_in(url: str) -> tuple[str, str] | None:
    """Return user and password that *url* carries, or None."""
    found = _USERINFO.match(url) if "@" in url else None
    if found is None:
        return None
    user, _, password = found[2].partition(":")
    return unquote(user), unquote(password)


def shown_entry(text: str) -> str:
    """Return what an item has, or what is no URL, as logs, index and report show it.

    In a good URL the same is cut as by :func:`shown_url`. Where there is a colon and no port
    behind it, as in ``user:pass/word@host``, all up to the last ``@`` may be a secret.
    """
    plain = text.strip(BLANK_OR_CONTROL).translate(TAB_OR_NEWLINE)
    if plain[:5].lower() == "data:":
        return shown_url(text)
    shown = plain
    if "@" in plain:
        shown = _BEHIND.sub(r"\1", _without_doubtful(without_credentials(plain)))
    return _cut(text if shown == plain else shown, _OF_URL)


def _without_doubtful(text: str) -> str:
    begin = _BEGIN.match(text).end()  # type: ignore[union-attr]  # it matches nothing as well
    last = text.rfind("@")
    if text[:1] in _BEGINS_REPR:
        return shown_text(text)
    if last < begin or _NO_HOST.match(text):
        return text
    authority = _AUTHORITY.match(text, begin)[0]  # type: ignore[index]
    user, found, host = authority.rpartition("@")
    if found and (begin or ":" in user):
        return text[:begin] + host + text[begin + len(authority) :]
    place = _HOST_AND_PORT.fullmatch(authority)
    if found or (place is not None and _is_port(place[1] or "")):
        return text
    return text[:begin] + text[last + 1 :]


def _is_port(digits: str) -> bool:
    digits = digits.lstrip("0")
    return not digits or (len(digits) <= len(str(_MOST_PORT)) and int(digits) <= _MOST_PORT)


def shown_text(text: str) -> str:
    """Return a sentence that URLs may stand in, without their users and passwords.

    An ``@`` in a path, an address of e-mail, what has a blank or a quote in it stay.
    """
    if "@" not in text:
        return text
    return _PAIR.sub("", _IN_SENTENCE.sub(r"\1", text))


def shown_value(value: object, most: int) -> str:
    """Return the ``repr`` of anything in the place of a URL, *most* characters of it."""
    plain = _plain(value)
    # Cut before repr as well: an entry may have megabytes.
    text = repr(plain[: most + 1] if isinstance(plain, str | bytes) else plain)
    if not isinstance(value, str):
        text = shown_text(text)
    return text if len(text) <= most else f"{text[:most]}..."


def _plain(value: object, depth: int = 3) -> object:
    """Return *value* with :func:`shown_entry` of all texts in it."""
    if isinstance(value, str):
        return shown_entry(value)
    if isinstance(value, bytes):
        return shown_entry(value.decode("latin-1")).encode("latin-1")
    if not depth:
        return value
    # No classes derived from these: nobody knows how they are made.
    if type(value) is dict:
        return {key: _plain(each, depth - 1) for key, each in value.items()}
    if type(value) in {list, tuple, set}:
        return type(value)(_plain(each, depth - 1) for each in value)  # type: ignore[call-arg, attr-defined]
    return value


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    told = hashlib.sha1(text.encode(errors="replace"), usedforsecurity=False).hexdigest()
    return f"{text[:most]}...sha1={told}"
