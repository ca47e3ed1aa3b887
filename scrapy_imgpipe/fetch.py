"""``fetch_images``: lists of URLs in the hands of programs, on one machine or a cluster."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapy_imgpipe.cluster.spread import spread
from scrapy_imgpipe.fetching import settings as of_crawls
from scrapy_imgpipe.fetching.fetch import Fetched, Task, fetch
from scrapy_imgpipe.fetching.places import FILES
from scrapy_imgpipe.fetching.run import Audience
from scrapy_imgpipe.lists import ImageList, list_of, open_list
from scrapy_imgpipe.progress import Progress
from scrapy_imgpipe.webdataset import SHARD_ROWS

if TYPE_CHECKING:
    from scrapy.settings import Settings

    from scrapy_imgpipe.pipeline import ImagesPipeline


def fetch_images(  # noqa: PLR0913 - one for each choice there is
    urls: str | os.PathLike[str] | Iterable[str | Mapping[str, Any]],
    store: str | os.PathLike[str] | None = None,
    *,
    thumbs: Mapping[str, tuple[int, int]] | None = None,
    renditions: Mapping[str, Mapping[str, Any]] | None = None,
    full: str | Mapping[str, Any] | None = None,
    report: str | os.PathLike[str] | None = None,
    column: str = "url",
    verify_hash: str = "",
    processes: int = 1,
    output: str = FILES,
    shard_size: int = SHARD_ROWS,
    caption: str = "",
    cluster: str = "",
    pipeline: type[ImagesPipeline] | str | None = None,
    settings: Settings | Mapping[str, Any] | None = None,
    progress: Progress | bool | None = None,
) -> Fetched:
    """Download, render and store the images of a list; no project, no spider.

    The crawl runs in processes of its own, so this may be called again and again, from any
    thread, from a script without a main guard and from a notebook. All settings of a crawl
    count. The list is streamed, and a thousand lines are under way in each process.

    What is in the store and fresh is not downloaded again. A run that was ended before its
    list was through goes on where it stopped, when it is called again with the same list and
    the same *report*.

    Args:
        urls: URLs, mappings with a *column* that has one, or the path of a file of them:
            ``.txt``, ``.csv``, ``.jsonl``, ``.parquet`` and more, see :func:`open_list`. What
            stands beside a URL is carried into the report, and is in the item that hooks
            of *pipeline* see.
        store: where images go, as ``IMAGES_STORE``.
        thumbs: as ``IMAGES_THUMBS``.
        renditions: as ``IMGPIPE_RENDITIONS``.
        full: as ``IMGPIPE_FULL``.
        report: where the report goes, ``.jsonl``, ``.csv``, ``.sqlite`` or ``.parquet``; else a
            temporary file, which is there as long as what is returned.
        column: that has the URLs, in lists with several.
        verify_hash: column with the MD5, SHA-1 or SHA-2 that a download should have, in
            hexadecimal digits; what has another is downloaded ``IMGPIPE_RETRIES`` times
            more, then its outcome is ``hash-mismatch``. Empty cells are not looked at.
        processes: that share the list by host, so that the limits per host hold; the
            other limits are shared out. More than one pays where one event loop is the limit.
        output: ``files``, each image by itself; or ``webdataset``, tar shards with a Parquet
            file beside each, as readers of img2dataset expect them, with one row for each line
            and no index: a line is downloaded for itself, and complete shards are gone on behind.
        shard_size: rows of a shard.
        caption: column of the list that goes into the shards as text.
        cluster: address of a Dask scheduler, as ``tcp://10.0.0.1:8786``, whose workers share the
            list, *shard_size* lines at a time; *report* is a folder, ``.parquet``, and tells
            which shards are done. Other machines reach the *store* by the same name.
        pipeline: class derived from ours, or its import path.
        settings: of the crawl.
        progress: a line about it on standard error; True for one where that is a terminal.

    Raises:
        SettingError: something cannot be used; nothing has been downloaded.
        StoreFailed: the report cannot be written, or the store keeps failing.
        FetchFailed: the crawl died again and again; or shards failed on a cluster.
        KeyboardInterrupt: what was under way has been finished.
    """
    known = {
        "IMAGES_STORE": store,
        "IMAGES_THUMBS": thumbs,
        "IMGPIPE_RENDITIONS": renditions,
        "IMGPIPE_FULL": full,
    }
    complete = of_crawls.complete(settings)
    given = {
        name: os.fspath(value) if isinstance(value, os.PathLike) else value
        for name, value in known.items()
        if value is not None
    }
    complete.setdict(given, "cmdline")
    task = Task(verify_hash, processes, pipeline, output, shard_size, caption)
    audience = Audience(_progress_of(progress))
    with _opened(urls, column) as images:
        if cluster:
            place = None if report is None else Path(report)
            return spread(images, complete, place, task, audience, cluster)
        if report is not None:
            return fetch(images, complete, Path(report), task, audience)
        folder = tempfile.mkdtemp(prefix="imgpipe-")
        try:
            fetched = fetch(images, complete, Path(folder, "report.jsonl"), task, audience)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    weakref.finalize(fetched, shutil.rmtree, folder, ignore_errors=True)
    return fetched


def _opened(urls: Any, column: str) -> ImageList:
    if isinstance(urls, (str, os.PathLike)):
        return open_list(urls, column=column)
    if hasattr(urls, "itertuples") and hasattr(urls, "columns"):  # a DataFrame
        names = [str(name) for name in urls.columns]
        urls = (dict(zip(names, row, strict=True)) for row in urls.itertuples(index=False))
    return list_of(urls, column=column)


def _progress_of(progress: Progress | bool | None) -> Progress | None:  # noqa: FBT001
    if isinstance(progress, Progress):
        return progress
    return Progress(sys.stderr) if progress and sys.stderr is not None else None
