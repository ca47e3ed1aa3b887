"""What the settings of a crawl mean for one pipeline class; found wrong at the start.

No requests, no images: this file is read once, while the crawler starts.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from scrapy.utils.misc import load_object

from scrapy_imgpipe import imaging, paths, values
from scrapy_imgpipe.errors import SettingError, StoreFailed
from scrapy_imgpipe.guards import HostRules, network_or_name
from scrapy_imgpipe.optouts import words_of
from scrapy_imgpipe.parsers import Parser, parse
from scrapy_imgpipe.pipeline.hooks import checked
from scrapy_imgpipe.pipeline.reaching import Reaching
from scrapy_imgpipe.processes.names import why_not_found
from scrapy_imgpipe.processes.process import Terms
from scrapy_imgpipe.report import check_report_path
from scrapy_imgpipe.stores import Signing
from scrapy_imgpipe.variants import SOURCE, output_format
from scrapy_imgpipe.workers import Workers

if TYPE_CHECKING:
    from scrapy.http import Response


def _parse_known_formats(value: object) -> None:
    if imaging.unknown_formats(values.FORMAT_LIST.parse(value)):
        raise ValueError


def _parse_known_hosts(value: object) -> None:
    for entry in values.HOST_LIST.parse(value):
        network_or_name(entry)


def _parse_names_of_paths(value: object) -> None:
    try:
        for name in values.THUMBS.parse(value):
            checked(paths.thumb_path("", str(name)))
    except StoreFailed as error:
        raise ValueError from error


def _parse_measures(value: object) -> None:
    for one in values.MEASURES.parse(value):
        _measure(one)


def _measure(one: object) -> imaging.Measure:
    """Return the record function that *one* is, or is the name of.

    Raises:
        ValueError: it cannot be imported, or is no function.
    """
    measure = imaging.READY.get(one) if isinstance(one, str) else one
    if measure is None:
        try:
            measure = load_object(str(one))
        except (ImportError, NameError) as error:
            raise ValueError from error
    if not callable(measure):
        raise ValueError  # noqa: TRY004 - as for a name of something else
    return measure


def _name_of_path(name: str) -> None:
    try:
        checked(paths.thumb_path("", name))
    except StoreFailed as error:
        raise ValueError from error
    if not name:
        raise ValueError


def _with_steps(variant: imaging.Variant, where: str) -> imaging.Variant:
    """Return *variant* with steps that can be called."""
    steps = [parse(_STEP, f"{where}['steps']", step) for step in variant.steps]
    return replace(variant, steps=tuple(steps)) if steps else variant


_STEP = Parser("steps that are there and take their arguments", imaging.step_of)


def _parse_known_words(value: object) -> None:
    words_of(values.OPT_OUT.parse(value))


_HOSTS = Parser("host names, addresses or networks", _parse_known_hosts)

_BY_NAME = {
    "IMGPIPE_OPT_OUT": Parser("True, False or directives", _parse_known_words),
    "IMGPIPE_ALLOWED_HOSTS": _HOSTS,
    "IMGPIPE_BLOCKED_HOSTS": _HOSTS,
    "IMGPIPE_FORMATS": Parser("names of formats that Pillow knows", _parse_known_formats),
    "IMGPIPE_RECORD": Parser(
        "functions, their import paths or names of ready ones", _parse_measures
    ),
    "IMAGES_THUMBS": Parser("names that make file names", _parse_names_of_paths),
}


class Configured(Reaching):
    """The part of the pipeline that reads settings, under its class's own names too."""

    renditions: dict[str, imaging.Variant]
    full_image: imaging.Variant | str

    def _renditions(self) -> dict[str, imaging.Variant]:
        """Return the renditions that the settings describe, with steps that can be called.

        Raises:
            SettingError: for a name that a thumbnail has, or that makes no path, and for a
                step that is not there.
        """
        key, _ = self._look_up_setting(self.crawler.settings, "IMGPIPE_RENDITIONS")
        thumbs = {str(name) for name in self.thumbs}
        found = {}
        for name, variant in (self.options.renditions or {}).items():
            parser = Parser("names that make file names and that no thumbnail has", _name_of_path)
            parse(parser, key, "" if name in thumbs else name)
            found[name] = _with_steps(variant, f"{key}[{name!r}]")
        return found

    def _full_image(self) -> imaging.Variant | str:
        full = self.options.full_image
        if isinstance(full, str):
            return full
        key, _ = self._look_up_setting(self.crawler.settings, "IMGPIPE_FULL")
        return _with_steps(full, key)

    @staticmethod
    def _extension(wanted: imaging.Variant | str, response: Response | None) -> str:
        """Return the extension of a file that is *wanted* of *response*, with the dot."""
        source = imaging.format_of(response.body[:64]) if response is not None else "JPEG"
        if isinstance(wanted, imaging.Variant):
            return imaging.extension_of(output_format(source, wanted.format))
        return imaging.extension_of(source or "JPEG") if wanted == SOURCE else ".jpg"

    def _guards(self) -> tuple[HostRules, frozenset[str]]:
        """Return which hosts may be asked, and which ways to say no are honoured."""
        hosts = HostRules(
            tuple(map(network_or_name, self.options.allowed_hosts)),
            tuple(map(network_or_name, self.options.blocked_hosts)),
            self.options.private_addresses,
        )
        return hosts, words_of(self.options.opt_out)

    @property
    def measures(self) -> tuple[imaging.Measure, ...]:
        """The record functions that the settings name, or need."""
        named = tuple(map(_measure, self.options.measures))
        missing = self.options.near_duplicates is not None and imaging.phash not in named
        return (*named, imaging.phash) if missing else named

    def _check_names(self) -> None:
        """Find what the parsers of the options cannot know.

        Raises:
            SettingError: for a format that Pillow does not know, a thumbnail's name that
                makes no path, a function that is not there, a report of no known kind, or
                near-duplicates without an index, or signed URLs of a store that has none.
        """
        for name, parser in _BY_NAME.items():
            key, value = self._look_up_setting(self.crawler.settings, name)
            if value is not None:
                parse(parser, key, value)
        key, value = self._look_up_setting(self.crawler.settings, "IMGPIPE_REPORT")
        if value is not None:
            check_report_path(value, key)
        if self.options.near_duplicates is not None and self.options.index == "off":
            key, _ = self._look_up_setting(self.crawler.settings, "IMGPIPE_NEAR_DUPLICATES")
            raise SettingError(f"{key} needs an index, but IMGPIPE_INDEX is 'off'")
        if self.options.public_url == values.SIGNED and not isinstance(
            getattr(self.store, "native", None), Signing
        ):
            key, _ = self._look_up_setting(self.crawler.settings, "IMGPIPE_PUBLIC_URL")
            raise SettingError(f"{key} is 'signed', but this store cannot sign URLs")

    def _check_found(self) -> None:
        """Find functions that no worker process would find, where these do all the rendering.

        Raises:
            SettingError: for the first of them.
        """
        if self.options.isolation != "process":
            return
        wanted = [(key, one) for key, ones in self._functions() for one in ones]
        terms = Terms((), self.options.timeout_seconds, self.options.process_memory)
        for (key, one), why in zip(
            wanted, why_not_found([one for _, one in wanted], terms), strict=True
        ):
            if why:
                msg = (
                    "Expected functions that worker processes can import, as IMGPIPE_ISOLATION is"
                    f" 'process', for {key} but received {one!r} of type {type(one).__name__}"
                )
                raise SettingError(f"{msg} ({why})")

    def _functions(self) -> Iterator[tuple[str, Iterable[object]]]:
        """Yield what the user's settings have called, and the name of each such setting."""
        find = functools.partial(self._look_up_setting, self.crawler.settings)
        yield find("IMGPIPE_RECORD")[0], self.measures
        for name, variant in self.renditions.items():
            yield f"{find('IMGPIPE_RENDITIONS')[0]}[{name!r}]['steps']", variant.steps
        if isinstance(self.full_image, imaging.Variant):
            yield f"{find('IMGPIPE_FULL')[0]}['steps']", self.full_image.steps

    def _workers(self) -> Workers:
        read = self.options
        return Workers(
            read.most_workers,
            read.isolation,
            read.timeout_seconds,
            read.process_memory,
            self.access.connections,
        )
