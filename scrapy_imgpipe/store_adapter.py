"""Our stores behind the protocol that Scrapy's pipelines speak.

Scrapy's own ``FilesPipeline`` and users' overrides call ``persist_file`` and
``stat_file`` on ``self.store``, and in the file system ``_get_filesystem_path`` and
``_mkdir``; all of them work here. The pipeline itself goes to :func:`native_store` or
:func:`far_store` instead and calls that store from its workers.
"""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapy.pipelines.files import FSFilesStore
from scrapy.utils.asyncio import run_in_thread
from scrapy.utils.defer import deferred_from_coro

from scrapy_imgpipe.records import Rendition, checksum, stamp
from scrapy_imgpipe.stores import Access, Facts, FileSystemStore, Store, open_store

if TYPE_CHECKING:
    from scrapy.pipelines.files import StatInfo
    from scrapy.pipelines.media import MediaPipeline
    from twisted.internet.defer import Deferred


class FileSystemFilesStore(FSFilesStore):
    """Scrapy's file-system store, whose files appear whole or not at all."""

    def __init__(self, basedir: str | os.PathLike[str]) -> None:
        place = os.fspath(basedir)
        # before Scrapy's own, which fails where another crawl makes it at the same moment
        self.native: FileSystemStore = FileSystemStore(place.partition("://")[2] or place)
        super().__init__(basedir)

    def persist_file(
        self,
        path: str | os.PathLike[str],
        buf: BytesIO,
        info: MediaPipeline.SpiderInfo,
        meta: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Write all of *buf* under *path*, relative to the store.

        Raises:
            StoreFailed: when *path* is refused or the write fails; an older
                file under *path* is untouched then.
        """
        store, name = self._place(path)
        if store is not self.native:
            self._mkdir(Path(store.base), info)
        store.put(name, buf.getvalue())

    def stat_file(self, path: str | os.PathLike[str], info: MediaPipeline.SpiderInfo) -> StatInfo:
        """Return checksum (MD5) and time of change (Unix seconds), ``{}`` where nothing is.

        An empty file counts as nothing.
        """
        store, name = self._place(path)
        return stat_info(store, name)

    def _place(self, path: str | os.PathLike[str]) -> tuple[FileSystemStore, str]:
        """Return the store and the name in it, wherever a subclass puts its files."""
        name = "_get_filesystem_path"
        own = getattr(type(self), name) is getattr(FileSystemFilesStore, name)
        if own:
            return self.native, os.fspath(path)
        place = self._get_filesystem_path(path)
        return FileSystemStore(place.parent), place.name


class FarFilesStore:
    """One of our stores on another machine, for who speaks Scrapy's protocol.

    Args:
        uri: as for :func:`~scrapy_imgpipe.stores.open_store`.
        access: how it is reached; each pipeline gives its own.
    """

    def __init__(self, uri: str, access: Access | None = None) -> None:
        self.native: Store = open_store(uri, access)

    def persist_file(
        self,
        path: str,
        buf: BytesIO,
        info: MediaPipeline.SpiderInfo,
        meta: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Deferred[Any]:
        """Put all of *buf* under *path*, in a thread.

        Of *meta* the width and height travel along, of *headers* the ``Content-Type``.

        Raises:
            StoreFailed: in what is returned.
        """
        meta, headers = meta or {}, headers or {}
        size = (int(meta.get("width") or 0), int(meta.get("height") or 0))
        facts = Facts(headers.get("Content-Type", ""), *size)
        return deferred_from_coro(run_in_thread(self.native.put, path, buf.getvalue(), facts))

    def stat_file(self, path: str, info: MediaPipeline.SpiderInfo) -> Deferred[StatInfo]:
        """Return checksum (MD5) and time of change (Unix seconds), ``{}`` where nothing is.

        Raises:
            StoreFailed: in what is returned.
        """
        return deferred_from_coro(run_in_thread(stat_info, self.native, path))


def stat_info(store: Store, path: str, known: Rendition | None = None) -> StatInfo:
    """Return what *store* has under *path*, as Scrapy's stores tell it; empty files are nothing.

    A store that knows no checksums is asked for the file, unless it has size and time of what is
    *known* of it. The checksum of what has another size is none.
    """
    stat = store.stat(path)
    if stat is None or not stat.bytes:
        return {}
    found = stat.checksum
    if known is not None and stat.bytes != known.bytes:
        found = "of other bytes"
    elif known is not None and not found and stamp(stat.modified) == known.modified:
        found = known.checksum
    if not found:
        data = store.get(path)
        if data is None:
            return {}
        found = checksum(data)
    return {"last_modified": stat.modified, "checksum": found}


_OF_FILES = ("persist_file", "stat_file", "_get_filesystem_path", "_mkdir")
_OF_FAR = ("persist_file", "stat_file")


def native_store(store: object) -> Store | None:
    """Return the store that any worker may call, or None for one that is elsewhere.

    A subclass that overrides any of Scrapy's methods is called through them.
    """
    if not isinstance(store, FileSystemFilesStore):
        return None
    return None if _overrides(store, FileSystemFilesStore, _OF_FILES) else store.native


def far_store(store: object) -> Store | None:
    """Return our store on another machine, or None for one that only Scrapy's protocol reaches.

    A subclass is called as for :func:`native_store`.
    """
    if not isinstance(store, FarFilesStore):
        return None
    return None if _overrides(store, FarFilesStore, _OF_FAR) else store.native


def _overrides(store: object, base: type, names: tuple[str, ...]) -> bool:
    return any(getattr(type(store), name) is not getattr(base, name) for name in names)
