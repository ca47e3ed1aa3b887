"""What a site says against the use of its images: response headers and tdmrep.json.

Pure: no network, no settings; header values and the file's bytes are arguments. What
stands in an image itself is read by :mod:`scrapy_imgpipe.imaging.metadata.datamining`.
All of it comes from strangers, so nothing but :func:`words_of` raises, and each function
takes time linear in what it is given.

Standards:

- X-Robots-Tag: no specification; as Google documents it, "Robots meta tag,
  data-nosnippet, and X-Robots-Tag specifications", developers.google.com/search/docs/
  crawling-indexing/robots-meta-tag, and MDN for several robots in one value,
  developer.mozilla.org/docs/Web/HTTP/Reference/Headers/X-Robots-Tag.
- TDM-Reservation and tdmrep.json: TDM Reservation Protocol, W3C Community Group Final
  Report, 10 May 2024, www.w3.org/community/reports/tdmrep/CG-FINAL-tdmrep-20240510/.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple
from urllib.parse import quote

#: The word for the header TDM-Reservation and the file tdmrep.json.
TDM = "tdm"

#: The word for the property that stands in an image.
DATA_MINING = "data-mining"

#: What ``True`` stands for: all that speaks of machine learning, text and data mining.
#: ``noai`` and ``noimageai`` are DeviantArt's (2022), ``noml`` is of noml.info. img2dataset
#: refuses ``noai``, ``noimageai``, ``noindex`` and ``noimageindex`` unless told otherwise;
#: the last two speak of search engines only, so they have to be asked for here.
ALL = frozenset({"noai", "noimageai", "noml", TDM, DATA_MINING})

#: Where a site keeps its rules (TDMRep, "TDM File on the Origin Server").
TDM_PATH = "/.well-known/tdmrep.json"

#: Most bytes of that file, and most rules in it; ours, the report has no limits.
MAX_TDM_BYTES = 64 * 1024
MAX_TDM_RULES = 1000

# Characters of a URL's path and query that are compared; servers need to take no more
# (RFC 9110, section 4.1), and a hostile page may have URLs of megabytes.
_MOST_PATH = 8000

_WORD = re.compile(r"[a-z0-9_-]+")

# Between directives stands a comma. Some sites write a semicolon, or quote what they say.
_BETWEEN = re.compile("[,;]")
_AROUND = string.whitespace + "\x85\xa0\"'"

# Directives that a value follows, so that their colon is not a robot's. All four: Google.
_WITH_VALUE = frozenset(
    {"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"}
)
# Google: "none" is equivalent to these two.
_NONE = frozenset({"noindex", "nofollow"})
# Before a directive, a robot's name, or one that means all: robots.txt has an asterisk
# for it (RFC 9309, section 2.2.1), the meta tag "robots". Dates have colons, too, but
# nothing in front of them begins with a letter and has no blanks.
_ROBOT = re.compile(r"\*|[a-z][a-z0-9_.+/-]*")
_EVERYONE = frozenset({"", "*", "robots"})
# Between the products of a user agent, which stand in its comments, too (RFC 9110, section
# 10.1.5): "Mozilla/5.0 (compatible; bot/1; +https://example.com/about)".
_BETWEEN_PRODUCTS = re.compile(r"[\s();,]+")

_RESERVATIONS: dict[object, bool] = {1: True, 0: False, "1": True, "0": False}

# RFC 3986: what may be escaped or not (section 2.3), and what means an escape.
_UNRESERVED = frozenset(string.ascii_letters + string.digits + "-._~")
_ESCAPE = re.compile(r"%([0-9a-fA-F]{2})")
# An asterisk and a dollar sign of a URL are compared as escapes: in a pattern they have
# a meaning, and "%2A" and "%24" stand for them (RFC 9309, section 2.2.3).
_LEFT_AS_THEY_ARE = string.punctuation.replace("*", "").replace("$", "")


def words_of(value: bool | str | Iterable[str]) -> frozenset[str]:  # noqa: FBT001 - a setting's
    """Return the words that ``IMGPIPE_OPT_OUT`` has.

    ``tdm`` and ``data-mining`` are what this module calls them; every other word is a
    directive of X-Robots-Tag, whether it is known (``noai``, ``noimageai``, ``noml``,
    ``noindex``, ``noimageindex``, ``none``) or not.

    Args:
        value: words in any case, as one text with commas between them, too; True for
            :data:`ALL`; False for none.

    Raises:
        ValueError: for what cannot be a directive.
        TypeError: for what is no text.
    """
    if isinstance(value, bool):
        return ALL if value else frozenset()
    if isinstance(value, str):
        value = value.split(",") if value else ()
    words = frozenset(str.lower(word).strip() for word in value)
    if not all(_WORD.fullmatch(word) for word in words):
        raise ValueError("Expected directives of X-Robots-Tag")
    return words


def refused_by_robots_tag(
    values: Iterable[str], words: frozenset[str], user_agent: str
) -> str | None:
    """Return the directive of X-Robots-Tag that refuses us, or None.

    Directives are separated by commas; a semicolon is taken for one. A name before one
    (``otherbot: noindex, noai``) says whom it and those behind it are for, up to the next
    name or the end of the value.
    What is for somebody counts where the name is a product of *user_agent*, as in
    robots.txt (RFC 9309, section 2.2.1): in any case, versions left aside.
    ``none`` refuses where *words* have ``noindex``.

    Proxies may join the headers of a response into one. Then a directive for everybody
    that follows one for somebody cannot be told from that one's, and is taken for it.

    Args:
        values: of each such header in a response.
        words: as :func:`words_of` returns them.
        user_agent: the header of that name that our request had.

    Returns:
        One of *words*, or ``none``.
    """
    wanted = words - {TDM, DATA_MINING}
    if wanted & _NONE:
        wanted |= {"none"}
    for value in values:
        scope = ""
        for part in _BETWEEN.split(value.lower()):
            scope, directive = _scoped(part, scope, wanted)
            if directive in wanted and _concerns(scope, user_agent):
                return directive
    return None


def _scoped(part: str, scope: str, wanted: frozenset[str]) -> tuple[str, str]:
    """Return whom *part* of a value is for, and its directive without what follows it."""
    name, colon, behind = part.partition(":")
    name = name.strip(_AROUND)
    if not colon or name in _WITH_VALUE or name in wanted or not _ROBOT.fullmatch(name):
        return scope, name
    return name, behind.partition(":")[0].strip(_AROUND)


def _concerns(scope: str, user_agent: str) -> bool:
    name = scope.partition("/")[0]
    if name in _EVERYONE:
        return True
    words = _BETWEEN_PRODUCTS.split(user_agent.lower())
    return name in {word.partition("/")[0] for word in words}


def refused_by_tdm_header(values: Iterable[str]) -> bool | None:
    """Return whether the header TDM-Reservation reserves an image; None if it says nothing.

    What it says supersedes tdmrep.json (TDMRep, "Processing priority"): after a False that
    file does not count. Values other than 1 and 0 are to be taken for unset
    ("tdm-reservation"). Where both are there, 1 counts; what follows a semicolon is another
    value, and quotes are none of it.

    Args:
        values: of each such header in a response.
    """
    parts = (part for value in values for part in _BETWEEN.split(value))
    told = {_RESERVATIONS.get(part.strip(_AROUND)) for part in parts}
    if True in told:
        return True
    return False if False in told else None


class TdmRule(NamedTuple):
    """One rule of a tdmrep.json, ready to be compared.

    Attributes:
        parts: what stands between the asterisks of its location, escapes normalised.
        ends: whether a URL has to end with the last one, as ``$`` says.
        reserved: what it says of the URLs that it matches.
    """

    parts: tuple[str, ...]
    ends: bool
    reserved: bool

    def matches(self, path: str) -> bool:
        """Return whether a normalised *path* begins with the pattern, from its first character.

        Each part is taken where it first fits, which is never worse than later: no step
        back, so the time is linear.
        """
        first, *others = self.parts
        if self.ends and not others:
            return path == first
        last = others.pop() if self.ends else ""
        if not path.startswith(first) or not path.endswith(last):
            return False
        at = len(first)
        for part in others:
            found = path.find(part, at)
            if found < 0:
                return False
            at = found + len(part)
        return at <= len(path) - len(last)


@dataclass(frozen=True, slots=True)
class TdmRules:
    """The rules of a site's tdmrep.json; without any nothing is reserved.

    Attributes:
        rules: in the order of the file.
    """

    rules: tuple[TdmRule, ...] = ()

    @classmethod
    def parse(cls, body: bytes) -> TdmRules:
        """Return the rules in *body*, the bytes of a tdmrep.json.

        None where it is no JSON array or longer than :data:`MAX_TDM_BYTES`. Entries
        without a location, or without a reservation of 1 or 0, are left out; so are those
        behind the first :data:`MAX_TDM_RULES`. Never raises.
        """
        if len(body) > MAX_TDM_BYTES:
            return cls()
        try:
            entries = json.loads(body)
        except (ValueError, RecursionError):
            return cls()
        if not isinstance(entries, list):
            return cls()
        rules = (rule for rule in map(_rule, entries) if rule is not None)
        return cls(tuple(islice(rules, MAX_TDM_RULES)))

    def reserved(self, path_and_query: str) -> bool:
        """Return what the first rule that matches says; False where none does.

        "The most specific match found MUST be used. The most specific match is the first
        in sequence" (TDMRep, "TDM File on the Origin Server"); in robots.txt it is the
        longest. Case matters, and a location is a prefix unless it ends in ``$``.

        Args:
            path_and_query: of a URL, from the slash behind the host. Its first 8000
                characters are looked at.
        """
        path = _rooted(_normal(path_and_query[:_MOST_PATH]))[:_MOST_PATH]
        return next((rule.reserved for rule in self.rules if rule.matches(path)), False)


def _rule(entry: object) -> TdmRule | None:
    if not isinstance(entry, dict):
        return None
    location, reservation = entry.get("location"), entry.get("tdm-reservation")
    if not isinstance(location, str) or not isinstance(reservation, int | str):
        return None
    reserved = _RESERVATIONS.get(reservation)
    if reserved is None:
        return None
    pattern = location.removesuffix("$")
    if not pattern.startswith("*"):
        pattern = _rooted(pattern)
    parts = tuple(_normal(part) for part in pattern.split("*"))
    return TdmRule(parts, location.endswith("$"), reserved)


def _rooted(path: str) -> str:
    return path if path.startswith("/") else f"/{path}"


def _normal(text: str) -> str:
    """Return *text* with one spelling for each character (RFC 9309, section 2.2.2).

    What needs no escape has none, the others' hexadecimal digits are upper case, and what
    is not ASCII is escaped as UTF-8.
    """
    return quote(_ESCAPE.sub(_unescaped, text), _LEFT_AS_THEY_ARE, errors="replace")


def _unescaped(escape: re.Match[str]) -> str:
    character = chr(int(escape[1], 16))
    return character if character in _UNRESERVED else escape[0].upper()
