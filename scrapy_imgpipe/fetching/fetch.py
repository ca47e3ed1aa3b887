"""A list of URLs in, images in a store and a report out."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack, suppress
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
from scrapy_imgpipe.lists import ImageList
from scrapy_imgpipe.parsers import Parser, parse, whole_number
from scrapy_imgpipe.pipeline.choosing import pipeline_of, store_of
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
        outcomes_before: how these had ended.
        bytes_in: of all bodies.
        bytes_stored: of all renditions.
        seconds: that it took.
    """

    def __init__(
        self,
        results: Results,
        report: Path,
        passed_over: int,
        seconds: float,
        outcomes_before: Mapping[str, int],
    ) -> None:
        self.report: Path = report
        self.outcomes: Mapping[str, int] = Counter(results.outcomes)
        self.failed: int = results.failed
        self.passed_over: int = passed_over
        self.outcomes_before: Mapping[str, int] = outcomes_before
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


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done with a list, beside the settings of its crawls.

    Attributes: as the parameters of :func:`scrapy_imgpipe.fetch_images`.
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
    """As ``fetch_images``, for a list that is open and settings that are complete.

    Args:
        images: the list.
        settings: of the crawls.
        report: where it goes; None for none.
        task: what is to be done.
        audience: that is told of it.

    Raises:
        SettingError: something cannot be used; nothing has been downloaded.
        StoreFailed: the report cannot be written, or the store keeps failing.
        FetchFailed: the crawl died again and again.
    """
    began = time.monotonic()
    parse(_PROCESSES, "processes", task.processes)
    parse(_OUTPUT, "output", task.output)
    if report is not None:
        check_report_path(os.fspath(report), "report")
        check_no_source(report, images)
    item_key = str(settings.get("IMGPIPE_ITEM_KEY") or "")
    built = pipeline_for(settings, task)
    each = of_crawls.shared_out(settings, built, task.processes)
    looked = Looked(images)
    task = replace(
        task,
        verify_hash=looked.column(task.verify_hash, "the column of digests"),
        caption=looked.column(task.caption, "the column of captions"),
    )
    orders_of(each, built, task)  # whether they can be sent, before anything is replaced
    with ExitStack() as stack:
        place: InFiles | InShards
        if task.output == WEBDATASET:
            place = InShards(images, store_of(built), report, task, stack)
            each = of_crawls.staged(each, built, place.folder)
        else:
            place = InFiles(images, report, stack)
        results = Results(place.sinks, item_key)
        lines = Lines(looked, lambda: images.share, place.done)
        run = Run(lines, Crawls(orders_of(each, built, task), task.processes), results, audience)
        run.run()
        place.end()
    seconds = time.monotonic() - began
    before = place.done.outcomes
    return Fetched(results, report or Path(), run.passed_over, seconds, before)


def check_no_source(report: Path, images: ImageList) -> None:
    """Refuse a *report* that the list is read from: its rows would take the place of the list.

    Raises:
        SettingError: it is a file of *images*, or a folder with one.
    """
    plain = os.path.abspath(report)  # noqa: PTH100 - without "x/.."; x may be made first
    for file in map(Path, images.files):
        for place in (file, file.parent):
            with suppress(OSError):  # one of them is not there
                if place.samefile(plain):
                    raise SettingError(
                        "Expected a file that the list is not read from for report but received"
                        f" {os.fspath(report)!r} of type {type(report).__name__}"
                    )


def pipeline_for(settings: Settings, task: Task) -> ImagesPipeline:
    """Return the pipeline of *settings*, which shows whether they can be used."""
    try:
        return pipeline_of(settings, task.pipeline)
    except ImagePipeError:
        raise
    except (TypeError, ValueError) as error:  # as Scrapy says it of a setting of its own
        what = f"{type(error).__name__}: {error}"
        raise SettingError(f"The crawl could not begin: {what}") from error


def orders_of(settings: Settings, pipeline: ImagesPipeline, task: Task) -> tuple[bytes, bytes]:
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
