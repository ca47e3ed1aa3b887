"""Our file-system store behind the protocol that Scrapy's pipelines speak.

Scrapy's own ``FilesPipeline`` and users' overrides call ``persist_file``,
``stat_file``, ``_get_filesystem_path`` and ``_mkdir`` on ``self.store``; all of
them work here. The pipeline itself goes to :func:`native_store` instead and
calls that store from its workers.
"""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapy.pipelines.files import FSFilesStore

from scrapy_imgpipe.records import checksum
from scrapy_imgpipe.stores import FileSystemStore, Store

if TYPE_CHECKING:
    from scrapy.pipelines.files import StatInfo
    from scrapy.pipelines.media import MediaPipeline


class FileSystemFilesStore(FSFilesStore):
    """Scrapy's file-system store, whose files appear whole or not at all."""

    def __init__(self, basedir: str | os.PathLike[str]) -> None:
        super().__init__(basedir)
        self.native: FileSystemStore = FileSystemStore(self.basedir)

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
        stat = store.stat(name)
        data = store.get(name) if stat and stat.bytes else None
        if stat is None or not data:
            return {}
        return {"last_modified": stat.modified, "checksum": checksum(data)}

    def _place(self, path: str | os.PathLike[str]) -> tuple[FileSystemStore, str]:
        """Return the store and the name in it, wherever a subclass puts its files."""
        name = "_get_filesystem_path"
        own = getattr(type(self), name) is getattr(FileSystemFilesStore, name)
        if own:
            return self.native, os.fspath(path)
        place = self._get_filesystem_path(path)
        return FileSystemStore(place.parent), place.name


def native_store(store: object) -> Store | None:
    """Return the store that workers may call, or None for one that only Scrapy's protocol reaches.

    A subclass that overrides any of Scrapy's methods is called through them.
    """
    if not isinstance(store, FileSystemFilesStore):
        return None
    overridable = ("persist_file", "stat_file", "_get_filesystem_path", "_mkdir")
    if any(
        getattr(type(store), name) is not getattr(FileSystemFilesStore, name)
        for name in overridable
    ):
        return None
    return store.native
