"""What the settings of a crawl mean for one pipeline class; found wrong at the start.

No requests, no images: this file is read once, while the crawler starts.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from scrapy.pipelines.files import FilesPipeline
from scrapy.pipelines.images import ImagesPipeline
from scrapy.utils.misc import load_object

from scrapy_imgpipe import imaging, options, paths, values
from scrapy_imgpipe.errors import SettingError, StoreFailed
from scrapy_imgpipe.guards import HostRules, network_or_name, shown_text, without_credentials
from scrapy_imgpipe.index import Index, SqliteIndex
from scrapy_imgpipe.optouts import words_of
from scrapy_imgpipe.parsers import Parser, parse
from scrapy_imgpipe.pipeline.hooks import checked
from scrapy_imgpipe.pipeline.places import index_path
from scrapy_imgpipe.processes.names import why_not_found
from scrapy_imgpipe.processes.process import Terms
from scrapy_imgpipe.report import check_report_path
from scrapy_imgpipe.store_adapter import FarFilesStore
from scrapy_imgpipe.stores import Access, Signing
from scrapy_imgpipe.stores.access import CONNECTIONS
from scrapy_imgpipe.variants import SOURCE, output_format
from scrapy_imgpipe.workers import Workers

if TYPE_CHECKING:
    from scrapy.http import Response
    from scrapy.pipelines.files import FilesStoreProtocol
    from scrapy.settings import BaseSettings, Settings

# What stores raise for a URI they cannot use; ImportError for a missing extra.
_STORE_ERRORS = (KeyError, ValueError, AssertionError, OSError, ImportError, StoreFailed)


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


class Configured(ImagesPipeline):
    """The part of the pipeline that reads settings, under its class's own names too."""

    options: options.Options
    access: Access
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

    def _index(self, store_uri: str | PathLike[str]) -> Index | None:
        """Return the index of the store; it is opened when it is first asked."""
        place = self.options.index or index_path(fspath(store_uri))
        return None if place == "off" else SqliteIndex(place)

    def _look_up_setting(self, settings: Settings, name: str) -> tuple[str, object]:
        base = "MediaPipeline" if name.startswith("MEDIA_") else "ImagesPipeline"
        key = self._key_for_pipe(name, base_class_name=base, settings=settings)
        return key, settings.get(key)

    def _key_for_pipe(
        self,
        key: str,
        base_class_name: str | None = None,
        settings: Settings | None = None,
    ) -> str:
        """Return the name under which a setting of this class is found.

        ``MYPIPELINE_IMAGES_EXPIRES`` counts for a class MyPipeline when it is
        set at all: also to 0, an empty dict or False, which Scrapy ignores.
        """
        name = type(self).__name__
        own = f"{name.upper()}_{key}"
        if not base_class_name or name == base_class_name:
            return key
        return own if settings is None or settings.get(own) is not None else key

    @classmethod
    def _update_stores(cls, settings: BaseSettings) -> None:
        """Set up Scrapy's own classes of stores, for who uses them: they are told as classes.

        Ours get what they need when they are made, each by its pipeline.
        """
        schemes = {**cls.STORE_SCHEMES, **FilesPipeline.STORE_SCHEMES}
        schemes |= {
            scheme: kind
            for scheme, kind in cls.STORE_SCHEMES.items()
            if not issubclass(kind, FarFilesStore)
        }
        theirs: Any = type(cls.__name__, (ImagesPipeline,), {"STORE_SCHEMES": schemes})
        theirs._update_stores(settings)  # noqa: SLF001 - its own, one class up

    def _get_store(self, uri: str) -> FilesStoreProtocol:
        """Return the store for *uri*, reached as the settings of this pipeline say.

        Raises:
            SettingError: for an unknown scheme, a URI that its store cannot use, or one that
                needs what is not installed.
        """
        kind = None if Path(uri).is_absolute() else self.STORE_SCHEMES.get(urlsplit(uri).scheme)
        ours = kind is not None and issubclass(kind, FarFilesStore)
        try:
            return kind(uri, self.access) if ours else super()._get_store(uri)  # type: ignore[misc,call-arg]
        except SettingError:
            raise
        except _STORE_ERRORS as error:
            told = ours or isinstance(error, (OSError, StoreFailed, ImportError))
            unusable = self._unusable_store(uri, f" ({shown_text(str(error))})" if told else "")
        raise unusable  # out here, or the log would show two tracebacks

    def _access(self, settings: Settings) -> Access:
        """Return how stores on other machines are reached, by the settings of this class."""

        def text(name: str) -> str:
            return str(self._look_up_setting(settings, name)[1] or "")

        read, verify = self.options, settings.get("AWS_VERIFY")
        pool = settings.getint("AWS_MAX_POOL_CONNECTIONS")
        return Access(
            timeout_seconds=read.store_timeout_seconds,
            retries=read.store_retries,
            connections=read.store_connections or pool or CONNECTIONS,
            headers=read.store_headers,
            object_store=read.object_store,
            aws_access_key_id=text("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=text("AWS_SECRET_ACCESS_KEY"),
            aws_session_token=text("AWS_SESSION_TOKEN"),
            aws_endpoint_url=text("AWS_ENDPOINT_URL"),
            aws_region=text("AWS_REGION_NAME"),
            aws_use_ssl=settings.get("AWS_USE_SSL") is None or settings.getbool("AWS_USE_SSL"),
            aws_verify=True if verify is None else verify,
            s3_acl=text("IMAGES_STORE_S3_ACL"),
            azure_account=read.azure_account,
            azure_key=read.azure_key,
            azure_sas=read.azure_sas,
            azure_endpoint_url=read.azure_endpoint_url,
            gcs_project=text("GCS_PROJECT_ID"),
            gcs_acl=text("IMAGES_STORE_GCS_ACL"),
            ftp_user=text("FTP_USER"),
            ftp_password=text("FTP_PASSWORD"),
            ftp_active=settings.getbool("FEED_STORAGE_FTP_ACTIVE"),
        )

    def _unusable_store(self, uri: object, reason: str = "") -> SettingError:
        if isinstance(uri, str):  # an FTP server's may have a password
            uri = without_credentials(uri)
        schemes = ", ".join(repr(scheme) for scheme in sorted(self.STORE_SCHEMES) if scheme)
        msg = (
            f"Expected a directory or a complete URI with a scheme of {schemes} for"
            f" IMAGES_STORE but received {uri!r} of type {type(uri).__name__}{reason}"
        )
        return SettingError(msg)
