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

from scrapy_imgpipe.parsers import (
    BOOLEAN,
    COLOUR,
    Parser,
    Wrong,
    number,
    one_of,
    parse_part,
    whole_number,
)
from scrapy_imgpipe.variants import (
    ENTROPY,
    FITS,
    GRAVITIES,
    KERNELS,
    METADATA,
    MOST_EFFORT,
    MOST_PIXELS,
    OUTPUTS,
    SOURCE,
    Gravity,
    Variant,
)


def _parse_side(value: Any) -> float | None:
    return None if value is None else _SIDE.parse(value)


def _parse_gravity(value: Any) -> Gravity:
    if isinstance(value, str):
        return ENTROPY if value.lower() == ENTROPY else GRAVITIES[value.lower()]
    x, y = (_SHARE.parse(part) for part in value)
    return float(x), float(y)


def _gravity(value: Any) -> Gravity:
    try:
        return _parse_gravity(value)
    except KeyError:
        raise ValueError from None


def _parse_multiples(value: Any) -> tuple[float, ...]:
    if not isinstance(value, (list, tuple)):
        raise TypeError
    return tuple(_MULTIPLE.parse(part) for part in value)


def _parse_format(value: Any) -> str:
    if isinstance(value, str) and value.upper() == "JPG":
        return "JPEG"
    word: str = one_of(*OUTPUTS, SOURCE).parse(value)
    return word


def _parse_steps(value: Any) -> tuple[Any, ...]:
    """Accept names, functions, and dicts of one name to its arguments; found later."""
    steps = (value,) if isinstance(value, (str, Mapping)) or callable(value) else value
    if not isinstance(steps, (list, tuple)):
        raise TypeError
    for step in steps:
        named = isinstance(step, str) or (isinstance(step, Mapping) and len(step) == 1)
        if not (step and (named or callable(step))):
            raise ValueError
    return tuple(steps)


_SIDE = number(1, MOST_PIXELS)
_SHARE = number(0, 1)
_MULTIPLE = number(0.1, 10)

#: What can be said of every rendition, beside the options of its format.
KEYS: Final[Mapping[str, Parser]] = MappingProxyType(
    {
        "width": Parser(f"number of pixels from 1 to {MOST_PIXELS}", _parse_side),
        "height": Parser(f"number of pixels from 1 to {MOST_PIXELS}", _parse_side),
        "fit": one_of(*FITS),
        "gravity": Parser(
            "'centre', an edge, a corner ('top-left'), 'entropy' or two shares from 0 to 1",
            _gravity,
        ),
        "enlarge": BOOLEAN,
        "multiples": Parser("list of factors from 0.1 to 10", _parse_multiples),
        "kernel": one_of(*KERNELS),
        "format": Parser(f"{', '.join(map(repr, OUTPUTS))} or {SOURCE!r}", _parse_format),
        "target_bytes": whole_number(1, "bytes"),
        "background": COLOUR,
        "steps": Parser("list of functions, their names, or {name: arguments}", _parse_steps),
        "metadata": one_of(*METADATA),
        "frames": whole_number(1, "frames"),
    }
)

#: Other words for some of them.
_ALSO: Final[Mapping[str, str]] = MappingProxyType(
    {"optimize": "optimise", "method": "effort", "colors": "colours"}
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
    known = {_ALSO.get(key, key): part for key, part in value.items()}
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


def options_of(form: str) -> Mapping[str, Parser]:
    """Return the options of format *form*; those of all where the source decides."""
    if form != SOURCE:
        return OUTPUTS[form].options
    known: dict[str, Parser] = {}
    for output in reversed(list(OUTPUTS.values())):
        known.update(output.options)
    known["effort"] = whole_number(0, maximum=max(MOST_EFFORT.values()))  # each stops at its own
    return known


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
