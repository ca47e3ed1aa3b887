"""Where the images of a fetch and the rows about them go, and what is there from before."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from itertools import islice
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any

from scrapy_imgpipe.errors import StoreFailed
from scrapy_imgpipe.fetching.done import Begun, Done
from scrapy_imgpipe.fetching.results import done_in
from scrapy_imgpipe.fetching.shards import Shards, begun, done_in_shards, rows_in_shards
from scrapy_imgpipe.paths import TEMPORARY_PREFIX
from scrapy_imgpipe.report import open_report, read_rows
from scrapy_imgpipe.stores import FileSystemStore, temporary
from scrapy_imgpipe.webdataset import ShardWriter

if TYPE_CHECKING:
    from scrapy_imgpipe.fetching.fetch import Task
    from scrapy_imgpipe.fetching.results import Sink
    from scrapy_imgpipe.lists import ImageList
    from scrapy_imgpipe.stores import Store

FILES, WEBDATASET = "files", "webdataset"

#: Rows that are written to a report at a time, of shards that are there.
_ROWS = 500


class InFiles:
    """Crawls write images into the store; rows go into the report, if there is one.

    Args:
        images: the list.
        report: where it goes; gone on with where it is an unfinished one of this list.
        stack: that closes what is opened.

    Attributes:
        done: lines that need not be done again.
        sinks: that get the rows.
    """

    def __init__(self, images: ImageList, report: Path | None, stack: ExitStack) -> None:
        self.done: Done = Done()
        self.sinks: list[Sink] = []
        self._begun: Begun | None = None
        if report is None:
            return
        self._begun = Begun(report, images.identity)
        continued = self._begun.is_continued() and report.exists()
        if continued:
            self.done = done_in(read_rows(report))
        self._begun.begin()
        self.sinks.append(stack.enter_context(closing(open_report(report, append=continued))))

    def end(self) -> None:
        """Take note that the list is through."""
        if self._begun is not None:
            self._begun.end()


class InShards:
    """Crawls leave files in a folder of their own, from which they go into tar shards.

    Args:
        images: the list.
        store: of the shards; gone on with where it has some of this list.
        report: where it goes; written anew.
        task: size of shards, and captions.
        stack: that closes what is opened.

    Raises:
        SettingError: the store has shards of another list.
        StoreFailed: it cannot be used.

    Attributes:
        done: lines that need not be done again.
        sinks: that get the rows.
        folder: where crawls have to leave their files.
    """

    def __init__(
        self, images: ImageList, store: Store, report: Path | None, task: Task, stack: ExitStack
    ) -> None:
        complete = begun(store, images.identity)
        self.done: Done = done_in_shards(complete)
        reports = []
        if report is not None:
            file = stack.enter_context(closing(open_report(report)))
            reports.append(file)
            _copy(rows_in_shards(complete), file)
        # on the disk of the shards: there is room for them
        base = store.base if isinstance(store, FileSystemStore) else gettempdir()
        self.folder: str = _folder_in(base, stack)
        writer = ShardWriter(
            store, shard_size=task.shard_size, caption=task.caption, first=complete.next
        )
        self._shards = Shards(writer, FileSystemStore(self.folder), reports)
        stack.callback(self._shards.abandon)  # where it was not ended before
        self.sinks: list[Sink] = [self._shards]

    def end(self) -> None:
        """Finish the last shard: the list is through."""
        self._shards.close()


def _folder_in(base: str, stack: ExitStack) -> str:
    """Make a folder below *base* that goes with *stack*; remove those of processes that died."""
    with suppress(OSError), os.scandir(base) as entries:
        for entry in entries:
            if entry.name.startswith(TEMPORARY_PREFIX) and entry.is_dir(follow_symlinks=False):
                with suppress(OSError):
                    if temporary.is_left_over(entry, time.time()):
                        shutil.rmtree(entry.path, ignore_errors=True)
    folder = Path(base, temporary.new_name())
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise StoreFailed(f"Could not make {str(folder)!r}: {error.strerror}") from None
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    return str(folder)


def _copy(rows: Iterator[dict[str, Any]], sink: Sink) -> None:
    source = iter(rows)
    while some := list(islice(source, _ROWS)):
        sink.write(some)
