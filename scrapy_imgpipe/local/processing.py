"""``process_images``: images that are there already in, renditions and a table out."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapy_imgpipe import values
from scrapy_imgpipe.imaging import READY, Measure, Plan
from scrapy_imgpipe.local.inputs import Place, inputs_of
from scrapy_imgpipe.local.naming import default_path
from scrapy_imgpipe.local.run import Job, rows_of
from scrapy_imgpipe.options import usable_cpus
from scrapy_imgpipe.parsers import Parser, one_of, parse, whole_number
from scrapy_imgpipe.progress import Progress
from scrapy_imgpipe.records import SUCCESSES
from scrapy_imgpipe.report import check_report_path, open_report, read_report
from scrapy_imgpipe.report.optional import pandas
from scrapy_imgpipe.stores import Store, store_at
from scrapy_imgpipe.tasks.reading import ReadRules

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped, import-not-found, unused-ignore]

    from scrapy_imgpipe.local.places import PathFunction
    from scrapy_imgpipe.report import ReportFile

#: Rows that are written at a time.
_ROWS = 500

#: Columns of a crawl's report that say nothing here.
_NOT_HERE = (
    "item",
    "page",
    "slot",
    "http_status",
    "attempts",
    "seconds_waiting",
    "seconds_downloading",
)


def process_images(  # noqa: PLR0913 - named ones
    paths: Place | Iterable[Place],
    plan: Plan,
    store: str | os.PathLike[str] | Store,
    path_func: PathFunction = default_path,
    *,
    workers: int | None = None,
    isolation: str = "auto",
    skip_existing: bool = True,
    catch: type[BaseException] | tuple[type[BaseException], ...] = Exception,
    max_bytes: int = 256 << 20,
    record: Sequence[str | Measure] = (),
    report: str | os.PathLike[str] | None = None,
    progress: Progress | bool | None = None,
) -> pd.DataFrame:
    """Render images of folders, or of a store, into a store; the same bytes as in a crawl.

    Inputs are streamed, and the report is written as it goes: memory does not grow with their
    number, but for the table at the end. May be called again and again, from any thread,
    from a script without a main guard, and from a notebook.

    Args:
        paths: files, whatever their extension; folders, for all files below them with an
            extension of the plan's formats, in any case; stores and their URIs, for what is
            stored there outside of ``thumbs/``. Links to folders are followed, but not in
            circles. From a store to itself, what is stored are the full images, and
            variants alone are made.
        plan: what is made of each.
        store: a directory, a URI or a store.
        path_func: where a rendition goes: called with the path below the folder that was named
            (``shoes/a.png``), the name of the variant or None for the full image, and the
            extension of its format (``.jpg``); returns a path in the store. Called in the
            caller's thread. By default ``full/shoes/a.jpg`` and ``thumbs/<name>/shoes/a.jpg``.
            What would get a path that another input of this call has is refused
            (``bad-path``).
        workers: threads, 1 or more; the usable CPUs if left out. Small images go to worker
            processes, as with ``IMGPIPE_ISOLATION``.
        isolation: ``auto``, ``thread`` or ``process``.
        skip_existing: whether an input whose renditions are all in the store is not even read;
            of what is missing, only that is made. A newer file is not told from an older one.
        catch: errors that cost one row only. Any other ends the call: nothing is begun any
            more, what has begun is finished, and it is raised.
        max_bytes: a file of more is refused, and not read; 0 for any.
        record: functions image -> dict, or names of ready ones, as ``IMGPIPE_RECORD``.
        report: a file for the table, too: ``.jsonl``, ``.csv``, ``.sqlite`` or ``.parquet``; it
            is replaced, and has the rows of what was done when the call fails.
        progress: a line about it on standard error; True for one.

    Returns:
        A row for each input, in their order, by what was named (in a store by its path
        there), with columns as in the report of a crawl: ``path``, ``outcome`` (``stored``,
        ``up-to-date``, ``joined`` where it was named before, or what failed), ``reason``,
        ``width``, ``height``, ``renditions``, ... Of what is up to date sizes are not told.

    Raises:
        ImportError: pandas is missing, or what a store needs.
        SettingError: an argument cannot be used.
        StoreFailed: the store cannot be made, or the report not be written.
        Exception: what *catch* does not name.
    """
    pandas()  # or an hour's work would end without a table
    job = Job(
        parse(_PLAN, "plan", plan),
        store_at(store),
        parse(_FUNCTION, "path_func", path_func),
        parse(_RECORD, "record", record),
        skip_existing,
        parse(_CATCH, "catch", catch),
        ReadRules(max_bytes=parse(_MAX_BYTES, "max_bytes", max_bytes)),
        workers=usable_cpus() if workers is None else parse(_WORKERS, "workers", workers),
        isolation=parse(_ISOLATION, "isolation", isolation),
    )
    rows = rows_of(inputs_of(paths, job.plan.formats, job.store), job)
    told = _progress_of(progress)
    if report is not None:
        check_report_path(os.fspath(report), "report")
        return _written(rows, os.fspath(report), told)
    with tempfile.TemporaryDirectory(prefix="imgpipe-") as folder:
        return _written(rows, os.fspath(Path(folder, "report.jsonl")), told)


def _written(
    rows: Generator[dict[str, Any], None, None], path: str, progress: Progress | None
) -> pd.DataFrame:
    with (
        closing(open_report(path)) as file,
        closing(_Writing(file, progress)) as writing,
        closing(rows),
    ):
        for row in rows:
            writing.add(row)
    frame = read_report(path)
    return frame.drop(columns=list(_NOT_HERE)).rename_axis("source")


class _Writing:
    """Rows on their way into a report."""

    def __init__(self, file: ReportFile, progress: Progress | None) -> None:
        self._file = file
        self._progress = progress
        self._rows: list[Mapping[str, Any]] = []
        self._done = self._failed = self._bytes = 0

    def add(self, row: Mapping[str, Any]) -> None:
        self._rows.append(row)
        if len(self._rows) >= _ROWS:
            self._flush()
        self._done += 1
        self._failed += row["outcome"] not in SUCCESSES
        self._bytes += row.get("bytes_in") or 0
        if self._progress is not None:
            self._progress.update(self._done, self._failed, self._bytes)

    def close(self) -> None:
        """Write what is left, also where the call has failed."""
        self._flush()
        if self._progress is not None:
            self._progress.close()

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        self._file.write(rows)


def _progress_of(progress: Progress | bool | None) -> Progress | None:  # noqa: FBT001 - a value
    if isinstance(progress, Progress):
        return progress
    return Progress(sys.stderr) if progress and sys.stderr is not None else None


def _parse_plan(value: Any) -> Plan:
    if not isinstance(value, Plan):
        raise TypeError
    return value


def _parse_function(value: Any) -> Callable[..., Any]:
    if not callable(value):
        raise TypeError
    return value  # type: ignore[no-any-return]


def _parse_catch(value: Any) -> tuple[type[BaseException], ...]:
    kinds = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
        raise TypeError
    return kinds


def _parse_record(value: Any) -> tuple[Measure, ...]:
    return tuple(map(_measure, values.MEASURES.parse(value)))


def _measure(one: Any) -> Measure:
    found = READY.get(one, one) if isinstance(one, str) else one
    if isinstance(found, str):
        module, _, name = found.rpartition(".")
        try:
            found = getattr(import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise ValueError from error
    if not callable(found):
        raise ValueError  # noqa: TRY004 - as for a name of nothing
    return found


_WORKERS = whole_number(1, "threads")
_MAX_BYTES = whole_number(0, "bytes")
_ISOLATION = one_of("auto", "thread", "process")
_PLAN = Parser("a Plan", _parse_plan)
_FUNCTION = Parser("a function", _parse_function)
_CATCH = Parser("a type of exceptions, or a tuple of them,", _parse_catch)
_RECORD = Parser("functions, their import paths or names of ready ones", _parse_record)
