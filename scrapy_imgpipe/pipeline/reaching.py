"""Which store the settings of a class name, how it is reached, and where its index is.

No requests are sent: wrong settings are found while the crawler starts.
"""

from __future__ import annotations

import functools
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from scrapy.pipelines.files import FilesPipeline
from scrapy.pipelines.images import ImagesPipeline

from scrapy_imgpipe import options
from scrapy_imgpipe.errors import SettingError, StoreFailed
from scrapy_imgpipe.guards import shown_entry, shown_text
from scrapy_imgpipe.index import Index, RedisIndex, index_at, store_address
from scrapy_imgpipe.index.redis_server import connect, without_secrets
from scrapy_imgpipe.leases import Leases
from scrapy_imgpipe.parsers import BOOLEAN, Parser, parse, whole_number
from scrapy_imgpipe.pipeline.places import index_path
from scrapy_imgpipe.store_adapter import FarFilesStore
from scrapy_imgpipe.stores import Access
from scrapy_imgpipe.stores.access import CONNECTIONS, servers_of

if TYPE_CHECKING:
    from scrapy.pipelines.files import FilesStoreProtocol
    from scrapy.settings import BaseSettings, Settings

# What stores raise for a URI they cannot use; ImportError for a missing extra.
_STORE_ERRORS = (KeyError, ValueError, AssertionError, OSError, ImportError, StoreFailed)


class Reaching(ImagesPipeline):
    """The part of the pipeline that finds its store, under its class's own names too."""

    options: options.Options
    access: Access

    def _index(self, store_uri: str | PathLike[str]) -> Index | None:
        """Return the index of the store; it is opened when it is first asked."""
        uri = fspath(store_uri)
        servers = servers_of(uri, self.access)
        key, _ = self._look_up_setting(self.crawler.settings, "IMGPIPE_INDEX")
        place = self.options.index or index_path(uri, *servers)
        return index_at(place, store_address(uri, *servers), key)

    def _leases(self, index: Index | None) -> Leases | None:
        """Return what crawls tell each other by which of them has a source; None for no word."""
        seconds = self.options.lease_seconds
        if not isinstance(index, RedisIndex) or not seconds:
            return None
        plain = functools.partial(without_secrets, url=index.url)
        return Leases(functools.partial(connect, index.url), index.prefix, seconds, plain)

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
            scheme: kind for scheme, kind in cls.STORE_SCHEMES.items() if not _is_ours(kind)
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
        ours: Any = kind if _is_ours(kind) else None
        try:
            return ours(uri, self.access) if ours else super()._get_store(uri)
        except SettingError:
            raise
        except _STORE_ERRORS as error:
            told = ours is not None or isinstance(error, (OSError, StoreFailed, ImportError))
            unusable = self._unusable_store(uri, f" ({shown_text(str(error))})" if told else "")
        raise unusable  # out here, or the log would show two tracebacks

    def _access(self, settings: Settings) -> Access:
        """Return how stores on other machines are reached, by the settings of this class."""

        def text(name: str) -> str:
            return str(self._look_up_setting(settings, name)[1] or "")

        def parsed(name: str, parser: Parser, default: Any) -> Any:
            key, value = self._look_up_setting(settings, name)
            return default if value is None else parse(parser, key, value)

        read, verify = self.options, self._look_up_setting(settings, "AWS_VERIFY")[1]
        pool = parsed("AWS_MAX_POOL_CONNECTIONS", whole_number(1, "connections"), None)
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
            aws_use_ssl=parsed("AWS_USE_SSL", BOOLEAN, True),
            aws_verify=True if verify is None else verify,  # type: ignore[arg-type]  # they look
            s3_acl=text("IMAGES_STORE_S3_ACL"),
            azure_account=read.azure_account,
            azure_key=read.azure_key,
            azure_sas=read.azure_sas,
            azure_endpoint_url=read.azure_endpoint_url,
            gcs_project=text("GCS_PROJECT_ID"),
            gcs_acl=text("IMAGES_STORE_GCS_ACL"),
            ftp_user=text("FTP_USER"),
            ftp_password=text("FTP_PASSWORD"),
            ftp_active=parsed("FEED_STORAGE_FTP_ACTIVE", BOOLEAN, False),
        )

    def _unusable_store(self, uri: object, reason: str = "") -> SettingError:
        if isinstance(uri, str):  # an FTP server's may have a password
            uri = shown_entry(uri)
        schemes = ", ".join(repr(scheme) for scheme in sorted(self.STORE_SCHEMES) if scheme)
        msg = (
            f"Expected a directory or a complete URI with a scheme of {schemes} for"
            f" IMAGES_STORE but received {uri!r} of type {type(uri).__name__}{reason}"
        )
        return SettingError(msg)


def _is_ours(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, FarFilesStore)
