"""Where the renditions of one image go, and which of them are there."""

from __future__ import annotations

import os
import posixpath
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from scrapy_imgpipe.errors import StoreFailed
from scrapy_imgpipe.imaging import extension_of, format_of
from scrapy_imgpipe.local.inputs import is_same
from scrapy_imgpipe.paths import checked_path
from scrapy_imgpipe.stores import FileSystemStore
from scrapy_imgpipe.variants import OUTPUTS, SOURCE, Variant, output_format

if TYPE_CHECKING:
    from scrapy_imgpipe.imaging import Plan
    from scrapy_imgpipe.local.inputs import Input
    from scrapy_imgpipe.stores import Store

#: ``(path below the folder, name or None for the full image, extension) -> path in the store``
PathFunction: TypeAlias = Callable[[str, str | None, str], str]

_HEAD_BYTES = 64  # what tells a format


class Paths(NamedTuple):
    """Where the renditions of one image go.

    Attributes:
        full: the full image.
        thumbs: the others, by name.
        is_full: whether the image itself is the full image, in the very store.
    """

    full: str
    thumbs: Mapping[str, str]
    is_full: bool = False

    @property
    def all(self) -> list[str]:
        """Each of them, the full image first."""
        return [self.full, *self.thumbs.values()]


def paths_of(one: Input, plan: Plan, path_func: PathFunction, store: Store) -> Paths:
    """Return where the renditions of *one* go.

    The file is looked into where the format of a rendition is that of its source.

    Raises:
        OSError: it cannot be looked into.
        StoreFailed: ``bad-path``: one that no store can keep, that two renditions would have, or
            that is the image itself.
        Exception: what *path_func* raises.
    """
    form = _format(one) if _follows_source(plan) else "JPEG"
    is_full = one.store is not None and is_same_store(one.store, store)
    full = one.label if is_full else path_func(one.relative, None, _full_extension(plan, form))
    thumbs = {
        variant.name: path_func(one.relative, variant.name, _extension(variant, form))
        for variant in plan.variants
    }
    checked = _checked_near if isinstance(store, FileSystemStore) else _checked_far
    full = checked(full, store)
    thumbs = {name: checked(path, store) for name, path in thumbs.items()}
    if isinstance(store, FileSystemStore) and one.file:
        is_full = is_full or _is_file_of(full, store, one.file)
        _check_own(one.file, store, thumbs.values())
    paths = Paths(full, thumbs, is_full)
    if len(set(paths.all)) <= len(thumbs):
        path = Counter(paths.all).most_common(1)[0][0]
        raise StoreFailed(f"{path!r} would be two renditions: see path_func", "bad-path")
    return paths


def _checked_near(path: str, _: Store) -> str:
    return posixpath.normpath(checked_path(path, windows=os.name == "nt"))


def _checked_far(path: str, store: Store) -> str:
    store.url(checked_path(path))  # it refuses what only this store cannot keep
    return path


def _check_own(file: str, store: FileSystemStore, paths: Iterable[str]) -> None:
    for path in paths:
        if _is_file_of(path, store, file):
            raise StoreFailed(f"{path!r} is the image itself: see path_func", "bad-path")


def _is_file_of(path: str, store: FileSystemStore, file: str) -> bool:
    """Return whether *path* in *store* is *file*; a link to it may be replaced, it is another."""
    if os.path.basename(path).lower() != os.path.basename(file).lower():  # noqa: PTH119 - or stat
        return False
    there = f"{store.base}/{path}"
    return is_same(there, file) and os.path.realpath(there) == os.path.realpath(file)


def missing_of(paths: Paths, store: Store) -> tuple[str, ...] | None:
    """Return the names of variants that are not in *store*; None where all is to be made."""
    if not paths.is_full and not _is_there(paths.full, store):
        return None
    return tuple(name for name, path in paths.thumbs.items() if not _is_there(path, store))


def is_same_store(one: Store, other: Store) -> bool:
    """Return whether two stores keep their files at the same place."""
    if isinstance(one, FileSystemStore) and isinstance(other, FileSystemStore):
        return os.path.realpath(one.base) == os.path.realpath(other.base)
    return one is other or (type(one) is type(other) and one.url("x") == other.url("x"))


def _is_there(path: str, store: Store) -> bool:
    stat = store.stat(path)
    return stat is not None and stat.bytes > 0


def _follows_source(plan: Plan) -> bool:
    return plan.full == SOURCE or any(variant.format == SOURCE for variant in plan.outputs)


def _full_extension(plan: Plan, form: str) -> str:
    if isinstance(plan.full, Variant):
        return _extension(plan.full, form)
    return extension_of(form) if plan.full == SOURCE else extension_of("JPEG")


def _extension(variant: Variant, form: str) -> str:
    return extension_of(output_format(form, variant.format))


def _format(one: Input) -> str:
    """Return the format of *one*; of what is in a store elsewhere, as its name has it."""
    if one.file:
        with open(one.file, "rb") as file:  # noqa: PTH123 - a million times
            return format_of(file.read(_HEAD_BYTES)) or "JPEG"
    own = os.path.splitext(one.label)[1].lower()  # noqa: PTH122 - of a key
    named = [form for form in OUTPUTS if extension_of(form) == own]
    return named[0] if named else "JPEG" if own in {".jpeg", ".mpo"} else own[1:].upper() or "JPEG"
