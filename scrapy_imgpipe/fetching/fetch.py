"""``fetch_images``: a list of URLs in, images in a store and a report out."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
import weakref
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapy_imgpipe.errors import ImagePipeError, SettingError
from scrapy_imgpipe.fetching import settings as of_crawls
from scrapy_imgpipe.fetching import wires
from scrapy_imgpipe.fetching.columns import Looked
from scrapy_imgpipe.fetching.places import FILES, WEBDATASET, InFiles, InShards
from scrapy_imgpipe.fetching.results import Results
from scrapy_imgpipe.fetching.run import Audience, Crawls, Lines, Run
from scrapy_imgpipe.lists import ImageList, list_of, open_list
from scrapy_imgpipe.parsers import Parser, parse, whole_number
from scrapy_imgpipe.pipeline.choosing import pipeline_of, store_of
from scrapy_imgpipe.progress import Progress
from scrapy_imgpipe.report import check_report_path, read_report
from scrapy_imgpipe.stats import BYTES_IN, BYTES_OUT, OUTCOME, summary
from scrapy_imgpipe.webdataset import SHARD_ROWS

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped, import-not-found, unused-ignore]
    from scrapy.settings import Settings

    from scrapy_imgpipe.pipeline import ImagesPipeline


def _parse_output(value: Any) -> str:
    if value not in {FILES, WEBDATASET}:
        raise ValueError
    return str(value)


_PROCESSES = whole_number(1, "processes")
_OUTPUT = Parser(f"{FILES!r} or {WEBDATASET!r}", _parse_output)

#: How a crawl goes on that has died: what it died of costs one image then.
_CAREFUL = {"IMGPIPE_ISOLATION": ("process", 40)}


class Fetched:
    """What became of a list.

    Attributes:
        report: where its report is, a row for each source.
        outcomes: how many sources ended how, by the codes of the report; of this call.
        failed: how many of them have no image.
        passed_over: lines that an earlier, unfinished call was through with.
        bytes_in: of all bodies.
        bytes_stored: of all renditions.
        seconds: that it took.
    """

    def __init__(self, results: Results, report: Path, passed_over: int, seconds: float) -> None:
        self.report: Path = report
        self.outcomes: Mapping[str, int] = Counter(results.outcomes)
        self.failed: int = results.failed
        self.passed_over: int = passed_over
        self.bytes_in: int = results.bytes_in
        self.bytes_stored: int = results.bytes_stored
        self.seconds: float = seconds

    def frame(self) -> pd.DataFrame:
        """Return the report as a ``DataFrame`` by URL; see :func:`read_report`."""
        return read_report(self.report)

    def __str__(self) -> str:
        stats = {OUTCOME + code: count for code, count in self.outcomes.items()}
        sizes = {BYTES_IN: self.bytes_in, BYTES_OUT: self.bytes_stored}
        return summary({**stats, **sizes}, self.seconds) or "Images: none"


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
        pipeline: class derived from ours, or its import path.
        settings: of the crawl.
        progress: a line about it on standard error; True for one where that is a terminal.

    Raises:
        SettingError: something cannot be used; nothing has been downloaded.
        StoreFailed: the report cannot be written, or the store keeps failing.
        FetchFailed: the crawl died again and again.
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


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done with a list, beside the settings of its crawls.

    Attributes: as the parameters of :func:`fetch_images`.
    """

    verify_hash: str = ""
    processes: int = 1
    pipeline: type[ImagesPipeline] | str | None = None
    output: str = FILES
    shard_size: int = SHARD_ROWS
    caption: str = ""


def fetch(
    images: ImageList,
    settings: Settings,
    report: Path | None,
    task: Task,
    audience: Audience,
) -> Fetched:
    """As :func:`fetch_images`, for a list that is open and settings that are complete.

    Args:
        images: the list.
        settings: of the crawls.
        report: where it goes; None for none.
        task: what is to be done.
        audience: that is told of it.
    """
    began = time.monotonic()
    parse(_PROCESSES, "processes", task.processes)
    parse(_OUTPUT, "output", task.output)
    if report is not None:
        check_report_path(os.fspath(report), "report")
    item_key = str(settings.get("IMGPIPE_ITEM_KEY") or "")
    built = _built(settings, task)
    each = of_crawls.shared_out(settings, built, task.processes)
    looked = Looked(images)
    task = replace(
        task,
        verify_hash=looked.column(task.verify_hash, "the column of digests"),
        caption=looked.column(task.caption, "the column of captions"),
    )
    _orders(each, built, task)  # whether they can be sent, before anything is replaced
    with ExitStack() as stack:
        place: InFiles | InShards
        if task.output == WEBDATASET:
            place = InShards(images, store_of(built), report, task, stack)
            each = of_crawls.staged(each, built, place.folder)
        else:
            place = InFiles(images, report, stack)
        results = Results(place.sinks, item_key)
        lines = Lines(looked, lambda: images.share, place.done)
        run = Run(lines, Crawls(_orders(each, built, task), task.processes), results, audience)
        run.run()
        place.end()
    seconds = time.monotonic() - began
    return Fetched(results, report or Path(), run.passed_over, seconds)


def _built(settings: Settings, task: Task) -> ImagesPipeline:
    """Return the pipeline of *settings*, which shows whether they can be used."""
    try:
        return pipeline_of(settings, task.pipeline)
    except ImagePipeError:
        raise
    except (TypeError, ValueError) as error:  # as Scrapy says it of a setting of its own
        what = f"{type(error).__name__}: {error}"
        raise SettingError(f"The crawl could not begin: {what}") from error


def _orders(settings: Settings, pipeline: ImagesPipeline, task: Task) -> tuple[bytes, bytes]:
    """Return the orders for a crawl, and for one that takes the place of one that died."""
    sent = of_crawls.travelling(settings)
    kind = type(pipeline)
    if kind.__module__ == "__main__" or "<locals>" in kind.__qualname__:
        raise SettingError(
            "Expected a pipeline that another process can import, but received"
            f" {kind.__qualname__} of {kind.__module__}"
        )
    name = f"{kind.__module__}.{kind.__qualname__}"
    numbered = task.output == WEBDATASET
    orders = [
        wires.packed(wires.Orders(each, name, task.verify_hash, numbered))
        for each in (sent, {**sent, **_CAREFUL})
    ]
    return orders[0], orders[1]
