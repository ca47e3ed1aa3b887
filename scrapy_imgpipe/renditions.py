"""Renditions as users write them: a dict for each, and what is said of a wrong one.

Pure: names of functions are not looked up, that takes imports.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from scrapy_imgpipe.parsers import Parser, Wrong, number, one_of, parse_part, whole_number
from scrapy_imgpipe.variants import ALSO, LOOKS, MOST_PIXELS, SOURCE, Variant, options_of


def _parse_side(value: Any) -> float | None:
    return None if value is None else _SIDE.parse(value)


def _parse_multiples(value: Any) -> tuple[float, ...]:
    if not isinstance(value, (list, tuple)):
        raise TypeError
    return tuple(_MULTIPLE.parse(part) for part in value)


_SIDE = number(1, MOST_PIXELS)
_MULTIPLE = number(0.1, 10)

#: What can be said of every rendition, beside the options of its format.
KEYS: Final[Mapping[str, Parser]] = MappingProxyType(
    {
        "width": Parser(f"number of pixels from 1 to {MOST_PIXELS}", _parse_side),
        "height": Parser(f"number of pixels from 1 to {MOST_PIXELS}", _parse_side),
        "multiples": Parser("list of factors from 0.1 to 10", _parse_multiples),
        "target_bytes": whole_number(1, "bytes"),
        **LOOKS,
    }
)


def parse_variant(name: str, value: Any) -> Iterator[Variant]:
    """Yield the rendition that *value* describes, and one for each of its multiples.

    Args:
        name: its key; multiples have ``@`` and the factor behind it (``card@2x``).
        value: a dict of :data:`KEYS` and of the options of its format.

    Raises:
        Wrong: for the first key or value that cannot be used.
        TypeError: where it is no dict.
    """
    if not isinstance(value, Mapping):
        raise TypeError
    known = {ALSO.get(key, key): part for key, part in value.items()}
    form = parse_part(KEYS["format"], "['format']", known.get("format", "JPEG"))
    parsers = {**KEYS, **options_of(form)}
    parsed: dict[str, Any] = {}
    for key, part in known.items():
        if key not in parsers:
            raise Wrong("", f"keys out of {', '.join(sorted(parsers))}", key)
        parsed[key] = parse_part(parsers[key], f"[{key!r}]", part)
    multiples = parsed.pop("multiples", ())
    options = {key: parsed.pop(key) for key in tuple(parsed) if key not in KEYS}
    variant = Variant(name, **{**parsed, "options": tuple(sorted(options.items()))})
    yield variant
    for factor in multiples:
        yield _multiplied(variant, factor)


def _multiplied(variant: Variant, factor: float) -> Variant:
    width, height = (
        side and min(max(math.floor(side * factor + 0.5), 1), MOST_PIXELS)
        for side in (variant.width, variant.height)
    )
    return replace(variant, name=f"{variant.name}@{factor:g}x", width=width, height=height)


def parse_renditions(value: Any) -> dict[str, Variant]:
    """Return the renditions of ``IMGPIPE_RENDITIONS`` by name, in their order.

    Raises:
        Wrong: for the first one that cannot be used.
        TypeError: where *value* is no dict.
    """
    if isinstance(value, str):
        value = json.loads(value)
    if not isinstance(value, Mapping):
        raise TypeError
    found: dict[str, Variant] = {}
    for name, description in value.items():
        parse = functools.partial(_parse_variants, str(name))
        parser = Parser("dict of what a rendition is to be like", parse)
        for variant in parse_part(parser, f"[{str(name)!r}]", description):
            if variant.name in found:
                raise Wrong(f"[{str(name)!r}]", "another name for each rendition", variant.name)
            found[variant.name] = variant
    return found


def _parse_variants(name: str, value: Any) -> tuple[Variant, ...]:
    return tuple(parse_variant(name, value))


def parse_full(value: Any) -> Variant | str:
    """Return what the full image is to be: ``jpeg``, ``source``, or as described.

    Raises:
        Wrong: for the part of a description that cannot be used.
        TypeError: where *value* is neither a word nor a dict.
        ValueError: for another word.
    """
    if isinstance(value, str) and not value.startswith("{"):
        return one_of("jpeg", SOURCE).parse(value)  # type: ignore[no-any-return]
    if isinstance(value, str):
        value = json.loads(value)
    found = tuple(parse_variant("", value))
    if len(found) > 1:
        raise Wrong("['multiples']", "one full image", value["multiples"])
    return found[0]
