"""Which images somebody means: files, all that are in folders, and those of a store.

A stream: of a folder with millions of files one directory is open at a time.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from scrapy_imgpipe.errors import SettingError
from scrapy_imgpipe.imaging import extension_of
from scrapy_imgpipe.local.naming import FULL, SPELLINGS, THUMBS
from scrapy_imgpipe.paths import TEMPORARY_PREFIX
from scrapy_imgpipe.stores import SCHEMES, FileSystemStore, Store, store_at
from scrapy_imgpipe.stores.tree import walk

#: What may be named: a file, a folder, the address of a store, or a store.
Place: TypeAlias = "str | os.PathLike[str] | Store"

_EXPECTED = "Expected files, folders, stores or their URIs for paths but received"


@dataclass(frozen=True, slots=True)
class Input:
    """An image that is to be looked at.

    Attributes:
        label: what the report calls it.
        relative: its path below what was named, separated by ``/``.
        file: where it is, if that is on this machine; else empty.
        store: that it is in, if it is in one.
        error: why it cannot be had, where that is known.
    """

    label: str
    relative: str
    file: str = ""
    store: Store | None = None
    error: OSError | None = None

    @property
    def whereabouts(self) -> str:
        """Where it is, in one spelling however it was named."""
        if self.store is not None and not self.file:
            return self.store.url(self.label)
        return os.path.abspath(self.file)  # noqa: PTH100 - keeps links


def inputs_of(
    paths: Place | Iterable[Place], formats: Collection[str], target: Store | None = None
) -> Iterator[Input]:
    """Yield the images that *paths* name, in their order; in a folder as the system lists it.

    Links to directories are followed, but not in circles. What is in *target* is passed over,
    where that lies in a folder, or a link leads there; a folder that is *target* itself counts
    as a store.

    Args:
        paths: one place, or several. Each may be a file, whatever its extension; a folder,
            for all files below it with an extension of *formats* in any case; or a store, for
            all in it with such an extension that is not below ``thumbs/``.
        formats: in Pillow's spelling.
        target: the store that renditions go to.

    Raises:
        SettingError: one of *paths* is none of these.
    """
    suffixes = tuple(extensions_of(formats))
    if isinstance(paths, bytes) or not isinstance(paths, (str, os.PathLike, Store, Iterable)):
        raise SettingError(f"{_EXPECTED} {paths!r} of type {type(paths).__name__}")
    for place in [paths] if isinstance(paths, (str, os.PathLike, Store)) else paths:
        where = _local(place)
        if where is None:
            store = _store_of(place)
            yield from _in_store(store, suffixes)
        elif not os.path.isdir(where):  # noqa: PTH112 - it is text
            yield Input(where, os.path.basename(where), where, error=_no_file(where))  # noqa: PTH119
        elif isinstance(target, FileSystemStore) and is_same(where, target.base):
            yield from _in_store(target, suffixes)
        else:
            yield from _in_folder(where, suffixes, target)


def extensions_of(formats: Collection[str]) -> Iterator[str]:
    """Yield the extensions that files of *formats* have, in lower case, with the dot."""
    for form in formats:
        own = extension_of(form)
        yield own
        yield from SPELLINGS.get(own, ())
        if form not in _MORE:
            continue
        yield from _MORE[form]


#: Extensions of formats of which Pillow has several under one name.
_MORE: dict[str, tuple[str, ...]] = {
    "PNG": (".apng",),
    "BMP": (".dib",),
    "PPM": (".pbm", ".pgm", ".pnm", ".pfm"),
    "MPO": (".mpo",),
    "AVIF": (".avifs",),
    "JPEG2000": (".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
    "HEIF": (".heic", ".heics", ".heifs", ".hif"),
}


def _local(place: Any) -> str | None:
    """Return *place* where it is a path of this machine's, None for a store."""
    if isinstance(place, Store):
        return None
    if not isinstance(place, (str, os.PathLike)):
        raise SettingError(f"{_EXPECTED} {place!r} of type {type(place).__name__}")
    text = os.fspath(place)
    if not isinstance(text, str) or not text:
        raise SettingError(f"{_EXPECTED} {place!r} of type {type(place).__name__}")
    scheme, slashes, _ = text.partition("://")
    is_uri = bool(slashes) and scheme in {"file", *SCHEMES}
    return None if is_uri else text


def _store_of(place: Any) -> Store:
    if isinstance(place, str) and place.startswith("file://"):
        folder = place.removeprefix("file://")
        if not os.path.isdir(folder):  # noqa: PTH112 - or an empty one would be made
            raise SettingError(f"{_EXPECTED} {place!r}, where there is no folder")
    return store_at(place, key="paths")


def _no_file(path: str) -> OSError | None:
    """Return why *path* is never read: a pipe may keep who opens it waiting for ever."""
    try:
        found = os.stat(path)  # noqa: PTH116 - it is text
    except (OSError, ValueError):  # told when it is opened
        return None
    regular = stat.S_ISREG(found.st_mode)
    return None if regular else OSError(errno.EINVAL, "It is no regular file")


def is_same(one: str, other: str) -> bool:
    """Return whether two paths lead to one file, or one folder, that is there."""
    try:
        return os.path.samefile(one, other)  # noqa: PTH121 - it is text
    except (OSError, ValueError):
        return False


def _in_folder(folder: str, suffixes: tuple[str, ...], target: Store | None) -> Iterator[Input]:
    base = os.path.abspath(folder)  # noqa: PTH100 - keeps links
    within = _within(base, target)
    failures: list[tuple[str, OSError]] = []

    def fail(directory: str, error: OSError) -> None:
        failures.append((directory, error))

    for path, entry in walk(base, "", failed=fail):
        yield from _failed(folder, failures)
        name = entry.name
        if not name.lower().endswith(suffixes) or name.lower().startswith(TEMPORARY_PREFIX):
            continue
        if _is_file(entry) and not within(os.path.dirname(entry.path)):  # noqa: PTH120
            label = _joined(folder, path)
            yield Input(label, path, label)
    yield from _failed(folder, failures)


def _failed(folder: str, failures: list[tuple[str, OSError]]) -> Iterator[Input]:
    while failures:
        directory, error = failures.pop(0)
        label = _joined(folder, directory) if directory else folder
        yield Input(label, directory or ".", error=error)


def _joined(folder: str, path: str) -> str:
    return os.path.join(folder, *path.split("/"))  # noqa: PTH118 - a million times


def _within(base: str, target: Store | None) -> Callable[[str], bool]:
    """Return what tells of folders below *base* whether they are in *target*, by any link.

    Where *base* itself is in there, it was named on purpose: none is.
    """
    store = os.path.realpath(target.base) if isinstance(target, FileSystemStore) else ""

    @lru_cache(1)  # the files of a folder come together
    def within(folder: str) -> bool:
        return f"{os.path.realpath(folder)}{os.sep}".startswith(os.path.join(store, ""))  # noqa: PTH118

    return (lambda _: False) if not store or within(base) else within


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def _in_store(store: Store, suffixes: tuple[str, ...]) -> Iterator[Input]:
    base = store.base if isinstance(store, FileSystemStore) else None
    for path in store.list():
        if path.startswith(THUMBS) or not path.lower().endswith(suffixes):
            continue
        file = "" if base is None else _joined(base, path)
        yield Input(path, path.removeprefix(FULL), file, store)
