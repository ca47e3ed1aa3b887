"""Renditions on a command line: ``--thumb``, ``--rendition`` and ``--full``, of several commands.

What they say is checked by the parsers of the settings, so that what is wrong is said in the
same words; names of steps are looked up where the settings are read.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from scrapy_imgpipe import values
from scrapy_imgpipe.parsers import Parser, parse

if TYPE_CHECKING:
    import argparse

    from scrapy.settings import BaseSettings

_THUMBS, _RENDITIONS, _FULL = "IMAGES_THUMBS", "IMGPIPE_RENDITIONS", "IMGPIPE_FULL"

# A side may be missing; fit and format may follow.
_SHORT = re.compile(
    r"(?P<width>[0-9.]*)[xX](?P<height>[0-9.]*)(?::(?P<fit>\w*)(?::(?P<format>\w*))?)?"
)


class _Named(NamedTuple):
    """What stands on both sides of the equals sign."""

    name: str
    value: Any


def add_renditions(command: argparse.ArgumentParser) -> None:
    """Let *command* take the options that :func:`rendition_settings` reads."""
    group = command.add_argument_group("what to make")
    group.add_argument(
        "--thumb",
        metavar="NAME=WxH",
        dest="thumbs",
        action="append",
        default=[],
        help="a thumbnail, a JPEG that fits inside so many pixels (as in IMAGES_THUMBS)",
    )
    group.add_argument(
        "--rendition",
        metavar="NAME=WxH[:FIT[:FORMAT]]",
        dest="renditions",
        action="append",
        default=[],
        help="another rendition: card=400x300:cover:webp, wide=1200x, or all that"
        ' IMGPIPE_RENDITIONS takes as JSON: card=\'{"width": 400, "quality": 60}\'',
    )
    group.add_argument(
        "--full",
        metavar="jpeg|source|JSON",
        help="what the full image is to be (as in IMGPIPE_FULL)",
    )


def rendition_settings(wanted: argparse.Namespace) -> dict[str, Any]:
    """Return what the options of :func:`add_renditions` mean, as settings.

    Args:
        wanted: the parsed arguments.

    Returns:
        ``IMAGES_THUMBS``, ``IMGPIPE_RENDITIONS`` and ``IMGPIPE_FULL``, each only where the
        command line speaks of it, as a user would write it.

    Raises:
        SettingError: for the first value that cannot be used.
    """
    found: dict[str, Any] = {}
    thumbs = _by_name("--thumb", _THUMB, wanted.thumbs)
    taken = Parser("another name for each", functools.partial(_unlike, thumbs))
    renditions = _by_name("--rendition", _RENDITION, wanted.renditions)
    parse(values.RENDITIONS, "--rendition", renditions)
    for name in renditions:
        parse(taken, "--rendition", name)
    if thumbs:
        found[_THUMBS] = thumbs
    if renditions:
        found[_RENDITIONS] = renditions
    if wanted.full is not None:
        parse(values.FULL, "--full", wanted.full)
        found[_FULL] = json.loads(wanted.full) if wanted.full.startswith("{") else wanted.full
    return found


def add_to_settings(settings: BaseSettings, wanted: Mapping[str, Any]) -> None:
    """Set *wanted*, of :func:`rendition_settings`; renditions are added to those that are set.

    Of two with one name that of the command line counts. So it is for the settings that carry
    the name of a class, too.

    Raises:
        SettingError: what *settings* has is of no use.
    """
    for name, value in wanted.items():
        keys = [key for key in settings if isinstance(key, str) and key.endswith(f"_{name}")]
        for key in {name, *keys}:
            known = settings.get(key)
            merged = value
            if name != _FULL and known:
                read = Parser("dict of name to what it is to be like", _as_dict)
                merged = {**parse(read, key, known), **value}
            settings.set(key, merged, priority="cmdline")


def _as_dict(value: Any) -> dict[str, Any]:
    return dict(json.loads(value) if isinstance(value, str) else value)


def _by_name(option: str, parser: Parser, texts: Iterable[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    taken = Parser("another name for each", functools.partial(_unlike, found))
    for text in texts:
        named: _Named = parse(parser, option, text)
        parse(taken, option, named.name)
        found[named.name] = named.value
    return found


def _unlike(taken: Mapping[str, Any], name: str) -> str:
    if name in taken:
        raise ValueError
    return name


def _named(read: Callable[[str], Any], text: str) -> _Named:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ValueError
    return _Named(name, read(value))


def _read_thumb(text: str) -> tuple[float, float]:
    short = _SHORT.fullmatch(text)
    if short is None or short["fit"] is not None:
        raise ValueError
    size = _side(short["width"]), _side(short["height"])
    values.THUMBS.parse({"": size})
    return size


def _read_rendition(text: str) -> dict[str, Any]:
    if text.startswith("{"):
        described: dict[str, Any] = json.loads(text)
        return described
    short = _SHORT.fullmatch(text)
    if short is None:
        raise ValueError
    described = {side: _side(short[side]) for side in ("width", "height") if short[side]}
    if not described:
        raise ValueError
    described.update((key, short[key]) for key in ("fit", "format") if short[key])
    return described


def _side(text: str) -> float:
    """Return a number of pixels; a whole one as such, for it tells one size from another."""
    return int(text) if text.isdecimal() else float(text)


_THUMB = Parser(
    "NAME=WIDTHxHEIGHT, in pixels, 1 or more each,", functools.partial(_named, _read_thumb)
)
_RENDITION = Parser(
    "NAME=WIDTHxHEIGHT[:FIT[:FORMAT]] or NAME={JSON}",
    functools.partial(_named, _read_rendition),
)
