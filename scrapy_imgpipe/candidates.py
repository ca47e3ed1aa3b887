"""The same picture at several addresses: tell such an entry from a plain URL.

Pure: no network, no settings. Whether a candidate can be asked for is not judged
here; the guards do that. Runs on the event loop for every entry, so a URL without
blanks costs one search, and hostile text as long as it likes only linear time.

The grammar is that of ``<img srcset>``, html.spec.whatwg.org/multipage/images.html,
"Parsing a srcset attribute". A browser drops a candidate that it cannot read; here
such a candidate says that the text never was a srcset.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

# Blanks of the standard, "ASCII whitespace": fewer than str.split() knows.
_BLANK = re.compile(r"[\t\n\f\r ]")
_WORD = re.compile(r"[^\t\n\f\r ]++")

# Valid non-negative integers and floating-point numbers of the same standard: no plus
# sign before them, no digits of other scripts, no point at the end.
_WIDTH_OR_HEIGHT = re.compile(r"([0-9]++)([wh])")
_DENSITY = re.compile(r"(-?(?:[0-9]++(?:\.[0-9]++)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)x")

_ABSOLUTE = re.compile(r"(?:[a-zA-Z][a-zA-Z0-9+.-]*+:)?//|data:", re.IGNORECASE)
_MARK_OF_A_URL = re.compile(r"[./:]")


class _Candidate(NamedTuple):
    url: str
    width: float  # 0 when not given, as 0 cannot be given
    density: float
    described: bool


def candidates_of(entry: object) -> list[object] | None:
    """Return the addresses of one picture, best first, or None for any other entry.

    A list or tuple stays in its order, and a srcset in it is replaced by its
    candidates. Those of a srcset are ordered by width, the widest first; behind them
    those without a width, by density, which is 1 when not given. Equals stay in their
    order. What is named twice is kept in the better place.

    Text is a srcset when all of it can be read as one and either a candidate has a
    descriptor (``http://x/a.jpg 2x``) or there are several that all begin with a
    scheme or ``//``. Where the first is absolute, a later one must have a dot, a slash
    or a colon. So ``http://x/my photo 2x.jpg``, ``http://x/Paris, France.jpg`` and
    ``http://x/a.jpg,http://x/b.jpg`` are plain URLs.

    Args:
        entry: of an item's ``image_urls``; anything.

    Returns:
        None for a plain URL and for whatever is no text, list or tuple. Else the
        candidates: text unchanged but for the blanks around it in a srcset, and
        elements that are no text as they are, for the caller to refuse. An empty
        list has none.
    """
    if isinstance(entry, str):
        found = _srcset(entry)
        return None if found is None else list(dict.fromkeys(found))
    if not isinstance(entry, list | tuple):
        return None
    flat: list[object] = []
    known: set[str] = set()
    for element in entry:
        if not isinstance(element, str):
            flat.append(element)  # not compared: it may be unhashable, or odd
            continue
        for url in _srcset(element) or [element]:
            if url not in known:
                known.add(url)
                flat.append(url)
    return flat


def _srcset(text: str) -> list[str] | None:
    """Return the URLs of a srcset, best first, or None when *text* is a plain URL."""
    if _BLANK.search(text) is None:
        return None
    candidates = _parsed(text)
    if candidates is None or not _is_srcset(candidates):
        return None
    candidates.sort(key=lambda each: (-each.width, -each.density))
    return [each.url for each in candidates]


def _is_srcset(candidates: list[_Candidate]) -> bool:
    if not any(each.described for each in candidates):
        return len(candidates) > 1 and all(_ABSOLUTE.match(each.url) for each in candidates)
    # "http://x/Rome, Summer 2x" is a URL with blanks; a relative one would be of no use
    # as a plain URL, so there nothing can be lost.
    return _ABSOLUTE.match(candidates[0].url) is None or all(
        _MARK_OF_A_URL.search(each.url) for each in candidates
    )


def _parsed(text: str) -> list[_Candidate] | None:
    """Return the candidates in *text* as they stand, or None at the first parse error."""
    candidates: list[_Candidate] = []
    place = 0
    while word := _WORD.search(text, place):
        url = word[0].rstrip(",")
        commas = len(word[0]) - len(url)
        place, descriptors = word.end(), ""
        if commas == 0:
            comma = text.find(",", place)
            end = comma if comma >= 0 else len(text)
            descriptors, place = text[place:end], end + 1
        candidate = _described(url, descriptors)
        if commas > 1 or word[0][0] == "," or candidate is None:
            return None
        candidates.append(candidate)
    return candidates


def _described(url: str, descriptors: str) -> _Candidate | None:
    """Return the candidate, or None when its *descriptors* are wrong.

    One in parentheses is wrong in any case, so commas between them need no care.
    """
    found: dict[str, float] = {}
    for word in _WORD.findall(descriptors):
        match = _WIDTH_OR_HEIGHT.fullmatch(word) or _DENSITY.fullmatch(word)
        if match is None or word[-1] in found:
            return None
        # float() and not int(), which refuses very long digits and takes its time
        number = float(match[1])
        if not math.isfinite(number) or number < 0 or (number == 0 and word[-1] != "x"):
            return None
        found[word[-1]] = number
    # A density stands alone, and a height only beside a width.
    if ("x" in found and len(found) > 1) or found.keys() == {"h"}:
        return None
    return _Candidate(url, found.get("w", 0), found.get("x", 1), bool(found))
