"""``gallery``: a web page that shows what a crawl brought home."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from scrapy_imgpipe.commands.parallel import in_threads
from scrapy_imgpipe.commands.place import Place, place_of
from scrapy_imgpipe.errors import IndexFailed
from scrapy_imgpipe.report.gallery import gallery
from scrapy_imgpipe.report.location import EXTENSIONS, extension_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from scrapy.settings import Settings

    from scrapy_imgpipe.commands.console import Console
    from scrapy_imgpipe.index import Index


def write_gallery(wanted: argparse.Namespace, settings: Settings, console: Console) -> int:
    """Write the page that *wanted* asks for, say where it is, and return the exit status.

    Raises:
        ImagePipeError, ImportError, OSError: as :func:`~scrapy_imgpipe.report.gallery.gallery`
            and :func:`~scrapy_imgpipe.commands.place.place_of`.
    """
    report = wanted.what if wanted.what and _is_report(wanted.what) else None
    store = wanted.what if wanted.what and report is None else wanted.store
    if store is not None:
        settings.set("IMAGES_STORE", store, priority="cmdline")
    with TemporaryDirectory() as folder:
        place = _place(settings, wanted.pipeline, folder)
        with closing(place.index):
            made = gallery(
                place.store,
                wanted.output,
                report=report,
                index=None if report else _filled(place.index),
                title=wanted.title,
                spread=lambda function, things: _spread(function, things, place.threads),
                seen=console.seen,
            )
    faults = f", {made.faults:,} of them missing or damaged" if made.faults else ""
    console.line(
        f"{made.pictures:,} pictures{faults}; {made.failures:,} failures;"
        f" {made.made:,} thumbnails made, {made.removed:,} stale files removed"
    )
    console.line(f"the page is at {made.page}")
    return 0


def _spread(function: Any, things: Iterable[Any], threads: int) -> Iterable[Any]:
    with closing(in_threads(function, things, threads)) as results:
        yield from results


def _is_report(what: str) -> bool:
    """Return whether *what* is called as a report is; a folder of images may be, too."""
    is_called = extension_of(what) in EXTENSIONS and "://" not in what
    return is_called and (extension_of(what) == ".parquet" or not Path(what).is_dir())


def _place(settings: Settings, pipeline: str | None, folder: str) -> Place:
    """Return the place of *settings*, with an empty index where that is switched off."""
    try:
        return place_of(settings, pipeline)
    except IndexFailed:
        path = os.path.join(folder, "index.sqlite")  # noqa: PTH118
        settings.set("IMGPIPE_INDEX", path, priority="cmdline")
        return place_of(settings, pipeline)


def _filled(index: Index) -> Index | None:
    """Return *index* where it knows anything; it is not made for the question."""
    path = getattr(index, "path", None)
    if path is not None and not Path(path).exists():
        return None
    return index if index.count() else None
