"""A web page that shows what a crawl brought home, opened from disk without a server.

No Scrapy, no event loop, no network but that of the store. Everything blocks. Of the pictures
only as many are in memory as are worked on; of the rest some hundred bytes each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TypeAlias

from scrapy_imgpipe.errors import SettingError, StoreFailed
from scrapy_imgpipe.report.gallery.entries import Entry, of_files, of_record, of_row
from scrapy_imgpipe.report.gallery.links import base_of
from scrapy_imgpipe.report.gallery.page import Page, check_ours, known_in
from scrapy_imgpipe.report.gallery.thumbnails import Thumbnails, Tile
from scrapy_imgpipe.report.reading import read_rows
from scrapy_imgpipe.stores import FileSystemStore, Store

if TYPE_CHECKING:
    from scrapy_imgpipe.index import Index

__all__ = ["Gallery", "gallery"]

#: Calls a function for each of many things, in their order: the built-in map, or threads.
Spread: TypeAlias = Callable[[Callable[[Entry], Tile | None], Iterable[Entry]], Iterable[Any]]


@dataclass(frozen=True, slots=True)
class Gallery:
    """A gallery that was written.

    Attributes:
        page: path of its ``index.html``.
        pictures: that it shows, each file once.
        failures: of sources.
        faults: pictures of which the file is missing or damaged.
        made: thumbnails and views that were made in this run.
        removed: files of an earlier run that were needed no more.
    """

    page: str
    pictures: int
    failures: int
    faults: int
    made: int
    removed: int


def gallery(  # noqa: PLR0913 - what to show, where to, and how to go about it
    store: str | os.PathLike[str] | Store,
    folder: str | os.PathLike[str],
    *,
    report: str | os.PathLike[str] | None = None,
    index: Index | None = None,
    title: str = "",
    spread: Spread = map,
    seen: Callable[[], object] = int,
) -> Gallery:
    """Write a page into *folder* that shows the images of *store*, and what failed.

    Shown are the rows of *report*; else what *index* knows; else every image among the files
    of the store. A second run makes only what is missing, and removes what is stale and
    ours. Until it is done, the page of an earlier run stays as it was. A picture that is
    missing or damaged is a tile that says so.

    Args:
        store: directory, or store; it is only read.
        folder: for the page; made if it is not there, and not the store itself.
        report: of the crawl, as :func:`~scrapy_imgpipe.report.read_rows` takes it.
        index: of the store.
        title: of the page; else the name of the report or of the store.
        spread: calls the function that it is given for each thing, and yields what that
            returns in the same order; it may use threads.
        seen: called for each entry.

    Raises:
        SettingError: *folder* is the store, or has another page; *report* is of no known kind.
        FileNotFoundError: there is no report.
        StoreFailed: the store or the report cannot be read, or *folder* not written.
        IndexFailed: the index cannot be read.
        ImportError: pyarrow is needed and missing.
    """
    place = _opened(store)
    target = os.path.abspath(folder)  # noqa: PTH100 - links stay as they are
    inside = _inside(place, target)
    entries = _entries(place, report, index, inside)
    check_ours(target)
    files = FileSystemStore(target)
    base = base_of(place, target)
    thumbnails = Thumbnails(place, base, files, known_in(files))
    page = Page(files, base)
    for tile in spread(thumbnails.of, entries):
        seen()
        if tile is not None:
            page.add(tile)
    removed = page.finish(title or _title(place, report))
    return Gallery(
        os.path.join(target, "index.html"),  # noqa: PTH118
        page.pictures,
        page.failures,
        page.faults,
        page.made,
        removed,
    )


def _opened(store: str | os.PathLike[str] | Store) -> Store:
    if isinstance(store, Store):
        return store
    if not Path(store).is_dir():
        raise StoreFailed(f"There is no store at {os.fspath(store)!r}")
    return FileSystemStore(store)


def _inside(store: Store, folder: str) -> str:
    """Return how paths of *store* in *folder* begin; empty where there are none.

    Raises:
        SettingError: they are one.
    """
    if not isinstance(store, FileSystemStore):
        return ""
    real, base = (os.path.realpath(path) for path in (folder, store.base))
    if os.path.normcase(real) == os.path.normcase(base):
        raise SettingError(f"Expected a folder other than the store but received {folder!r}")
    if not real.startswith(os.path.join(base, "")):  # noqa: PTH118
        return ""
    return f"{PurePath(os.path.relpath(real, base)).as_posix()}/"


def _entries(
    store: Store, report: str | os.PathLike[str] | None, index: Index | None, inside: str
) -> Iterable[Entry]:
    if report is not None:
        return map(of_row, read_rows(report))
    if index is not None:
        return map(of_record, index.records())
    return of_files(store, inside)


def _title(store: Store, report: str | os.PathLike[str] | None) -> str:
    if report is not None:
        return PurePath(report).name
    base = getattr(store, "base", "")
    return PurePath(base).name or store.url("x").removesuffix("x").rstrip("/")
