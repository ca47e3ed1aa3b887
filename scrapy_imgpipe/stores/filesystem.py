"""Renditions as files under one directory.

Every write goes to a temporary file beside its target and is renamed over it,
so a reader, a crash or a ``kill -9`` meets the old file or the new one. There is
no fsync: the promise covers the death of the process, not the loss of power.

Paths cannot leave the directory, for each is checked first. A symbolic link that
somebody made inside is that person's decision: one to a directory is followed
(``full`` on another disk); one to a file is read through, and replaced by a
put, which leaves the file that it pointed to alone.
"""

# A Path costs microseconds per put, and os.path.abspath() keeps links as they are.
# ruff: noqa: PTH100, PTH108, PTH112, PTH116, PTH120

from __future__ import annotations

import errno
import os
import stat as stat_flags
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import quote

from scrapy_imgpipe.errors import StoreFailed
from scrapy_imgpipe.paths import checked_path
from scrapy_imgpipe.stores import temporary
from scrapy_imgpipe.stores.files import adopt, create, make_directory, read_whole, replace
from scrapy_imgpipe.stores.protocol import NO_FACTS, Facts, File, Stat
from scrapy_imgpipe.stores.tree import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_T = TypeVar("_T")
_Stats: TypeAlias = list[Stat]

_WINDOWS = os.name == "nt"

#: Directories known to exist. One that was forgotten costs a mkdir and a scan
#: when it is met again; 4096 names of 100 characters are about 1 MB.
_KNOWN_DIRECTORIES = 4096

#: Stores that a worker process keeps; a crawl has one for each of its pipelines.
_KNOWN_STORES = 16


class FileSystemStore:
    """A :class:`~scrapy_imgpipe.stores.protocol.Store` in a directory.

    Directories are made as needed, and again when somebody removed them. The
    first put of a process into a directory removes the temporary files that
    dead processes left there.

    Safe for threads, processes and forks at once, also on one directory.

    Args:
        base: the directory; made at once, and absolute from then on.
        clock: Unix seconds; to judge the age of temporary files.

    Raises:
        StoreFailed: when *base* cannot be made.
    """

    def __init__(
        self, base: str | os.PathLike[str], *, clock: Callable[[], float] = time.time
    ) -> None:
        self.base: str = os.path.abspath(base)
        self.clock = clock
        self._prefix = f"{self.base.rstrip(os.sep)}/"
        # Keyed by pid as well, for after a fork the child has its own first put.
        # Two threads may prepare one directory at the same time; no lock can
        # then be left locked in a forked child.
        self._prepared = lru_cache(_KNOWN_DIRECTORIES)(self._prepare)
        try:
            make_directory(self.base)
        except OSError as error:
            raise _failed("make the directory", self.base, error) from None

    def __reduce__(self) -> tuple[Callable[..., FileSystemStore], tuple[Any, ...]]:
        """Let other processes write here too; each keeps one store for all it is sent."""
        return _kept, (type(self), self.base, self.clock)

    def put(self, path: str, data: bytes, facts: Facts = NO_FACTS) -> Stat:  # noqa: ARG002
        """Write one file; whatever was there stays until the new one is whole.

        A directory, or a link to one, is never replaced.

        Raises:
            StoreFailed: refers to neither the data nor another exception.
        """
        stored = self._store(((path, data),), create)
        del data
        if isinstance(stored, list):
            return stored[0]
        try:
            raise stored
        finally:
            del stored

    def put_all(self, files: Sequence[File | tuple[str, bytes]]) -> _Stats:
        """Write all temporary files, then rename them in the given order.

        What goes wrong while writing (a full disk, a directory that cannot be
        made, a target that is a directory) leaves every old file as it was.

        Raises:
            StoreFailed: as for :meth:`put`.
        """
        stored = self._store([file[:2] for file in files], create)
        del files
        if isinstance(stored, list):
            return stored
        try:
            raise stored
        finally:
            del stored

    def link_all(self, files: Sequence[tuple[str, str]]) -> _Stats:
        """Give stored files further names: (new path, path of what is there), in this order.

        Hard links: the disk keeps one file, and each name lives on without the others.

        Raises:
            StoreFailed: one is not there, or the file system cannot link it once more.
        """
        stored = self._store([(path, self._target(there)) for path, there in files], _link)
        if isinstance(stored, list):
            return stored
        try:
            raise stored
        finally:
            del stored

    def put_file(self, path: str, file: str) -> Stat:
        """Move a local file here; from another disk, or one without hard links, it is copied.

        Raises:
            StoreFailed: *file* is as it was.
        """
        stored = self._store(((path, file),), adopt)
        if isinstance(stored, StoreFailed):
            raise stored
        with suppress(OSError):
            os.unlink(file)
        return stored[0]

    def get(self, path: str) -> bytes | None:
        """Return the whole file; a directory counts as no file."""
        target = self._target(path)
        try:
            return read_whole(target)
        except OSError as error:
            if _is_absent(error, target):
                return None
            failure = _failed("read", path, error)
        raise failure

    def stat(self, path: str) -> Stat | None:
        """Return size and time; what is no regular file counts as none."""
        target = self._target(path)
        try:
            found = os.stat(target)
        except OSError as error:
            if _is_absent(error, target):
                return None
            failure = _failed("look at", path, error)
        else:
            if not stat_flags.S_ISREG(found.st_mode):
                return None
            return Stat(found.st_size, found.st_mtime)
        raise failure

    def delete(self, path: str) -> bool:
        """Remove the file; its directory stays, also when it is empty now."""
        target = self._target(path)
        try:
            os.unlink(target)
        except OSError as error:
            if _is_absent(error, target):
                return False
            failure = _failed("delete", path, error)
        else:
            return True
        raise failure

    def list(self, prefix: str = "") -> Iterator[str]:
        """Yield the files below; links to directories are followed, but not in circles.

        Files under names that :meth:`put` refuses are passed over.
        """
        if prefix:
            checked_path(prefix.removesuffix("/"), windows=_WINDOWS)
        return self._list(prefix)

    def url(self, path: str) -> str:
        """Return a ``file:`` URI; bytes beyond ASCII are percent-encoded UTF-8."""
        checked = checked_path(path, windows=_WINDOWS)
        return f"{Path(self.base).as_uri().rstrip('/')}/{quote(checked)}"

    def sweep(self, directory: str = "") -> int:
        """Remove the left-over temporary files under *directory*; return how many.

        Safe while others write: what belongs to a living process stays.

        Raises:
            StoreFailed: when a directory cannot be read.
        """
        if directory:
            directory = checked_path(directory, windows=_WINDOWS)
        try:
            entries = (entry for _, entry in walk(self.base, directory))
            return temporary.remove_left_over(entries, self.clock())
        except OSError as error:
            failure = _failed("sweep", directory or self.base, error)
        raise failure

    def _list(self, prefix: str) -> Iterator[str]:
        try:
            for path, entry in walk(self.base, prefix.rpartition("/")[0], prefix):
                if path.startswith(prefix) and _is_listed(path, entry):
                    yield path
        except OSError as error:
            failure = _failed("list", prefix or self.base, error)
        else:
            return
        raise failure

    def _store(
        self, files: Sequence[tuple[str, _T]], make: Callable[[str, _T], os.stat_result]
    ) -> _Stats | StoreFailed:
        """Make and rename; return the failure, with nothing attached to it.

        Returned, not raised: the frames of a traceback hold the data, and an
        exception raised while another is handled holds that one's frames.
        """
        try:
            targets = [(path, self._target(path), content) for path, content in files]
            try:
                return self._attempt(targets, make)
            except FileNotFoundError:
                # Somebody removed a directory that we knew. Once more, from scratch.
                self._prepared.cache_clear()
                return self._attempt(targets, make)
        except StoreFailed as failure:
            return failure.with_traceback(None)
        except OSError as error:
            return _failed("write", error.filename, error)

    def _attempt(
        self,
        targets: Sequence[tuple[str, str, _T]],
        make: Callable[[str, _T], os.stat_result],
    ) -> _Stats:
        made: list[tuple[str, str, str]] = []
        stats: _Stats = []
        path = ""
        try:
            for path, target, content in targets:
                name = self._new_name(target)
                made.append((path, target, name))
                found = make(name, content)
                stats.append(Stat(found.st_size, found.st_mtime))
            for path, target, name in made:  # noqa: B007 - read below, by the handler
                replace(name, target)
        except BaseException as error:
            for _, _, name in made:
                with suppress(OSError):
                    os.unlink(name)
            if isinstance(error, OSError):
                error.filename = path
            raise
        return stats

    def _new_name(self, target: str) -> str:
        """Return a name for a temporary file beside *target*."""
        directory = os.path.dirname(target)
        self._prepared(directory, os.getpid())
        if os.path.isdir(target):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        return f"{target[: target.rindex('/') + 1]}{temporary.new_name()}"

    def _prepare(self, directory: str, _pid: int) -> None:
        make_directory(directory)
        # Tidying is no reason for a put to fail.
        with suppress(OSError), os.scandir(directory) as entries:
            temporary.remove_left_over(entries, self.clock())

    def _target(self, path: str) -> str:
        return self._prefix + checked_path(path, windows=_WINDOWS)


@lru_cache(_KNOWN_STORES)
def _kept(kind: type[FileSystemStore], base: str, clock: Callable[[], float]) -> FileSystemStore:
    """Return the store that knows its directories, where this process was sent it before."""
    return kind(base, clock=clock)


def _link(name: str, there: str) -> os.stat_result:
    os.link(there, name)
    return os.stat(name)


def _is_listed(path: str, entry: os.DirEntry[str]) -> bool:
    try:
        checked_path(path, windows=_WINDOWS)
        return entry.is_file()
    except (StoreFailed, OSError):  # a link to itself, for one
        return False


def _is_absent(error: OSError, target: str) -> bool:
    """Return whether *error* says that no file is there; a directory is no file."""
    if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.EISDIR}:
        return True
    # Windows and macOS have other words for a directory.
    return isinstance(error, PermissionError) and os.path.isdir(target)


def _failed(deed: str, path: str, error: OSError) -> StoreFailed:
    return StoreFailed(f"Could not {deed} {path!r}: {error.strerror or error}")
