"""``render``: local files into a store, or what a store lacks made of what is in it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

from scrapy_imgpipe.commands.checking import Check, Compared
from scrapy_imgpipe.commands.failing import failing_outcomes, status_of
from scrapy_imgpipe.commands.parallel import chunks, in_threads
from scrapy_imgpipe.commands.place import place_of
from scrapy_imgpipe.commands.renditions import add_to_settings, rendition_settings
from scrapy_imgpipe.commands.verifying import require_records, still_known
from scrapy_imgpipe.index.rows import key_of
from scrapy_imgpipe.local import Job, inputs_of, rows_of
from scrapy_imgpipe.optouts import DATA_MINING
from scrapy_imgpipe.pipeline.choosing import pipeline_of, store_of
from scrapy_imgpipe.records import SUCCESSES, ImageRecord, Outcome, rendition_told
from scrapy_imgpipe.report import check_report_path, open_report, timestamp
from scrapy_imgpipe.tasks.reading import ReadRules

if TYPE_CHECKING:
    import argparse

    from scrapy.settings import Settings

    from scrapy_imgpipe.commands.console import Console
    from scrapy_imgpipe.commands.place import Place
    from scrapy_imgpipe.progress import Progress

#: Rows, or records, that are written at a time.
_AT_ONCE = 256

#: What the plan of a rendition is called that is to be made again.
_FORCED = "-"


def render(
    wanted: argparse.Namespace, settings: Settings, console: Console, progress: Progress
) -> int:
    """Make what *wanted* asks for; return the exit status.

    Args:
        wanted: the parsed arguments.
        settings: of a project, or of none.
        console: gets a line for each image that failed, and the totals.
        progress: told of each image.

    Raises:
        SettingError: an argument or a setting cannot be used.
        StoreFailed: there is no such store, or it cannot be reached, or listed.
        IndexFailed: without files, there is no index, or none that knows of an image.
    """
    failing = failing_outcomes(wanted.fail_on)
    add_to_settings(settings, rendition_settings(wanted))
    if wanted.report is not None:
        check_report_path(wanted.report, "--report")
    with ExitStack() as stack:
        if wanted.files:
            rows = rows_of_files(wanted.files, settings, wanted.pipeline, force=wanted.force)
        else:
            place = place_of(settings, wanted.pipeline)
            stack.enter_context(closing(place.index))
            rows = _rows_of_index(place, force=wanted.force)
        rows = stack.enter_context(closing(_told(rows, console, progress)))
        outcomes = _written(rows, wanted.report)
    _sum_up(outcomes, console)
    return status_of(outcomes, failing)


def rows_of_files(
    files: list[str], settings: Settings, pipeline: str | None, *, force: bool
) -> Generator[dict[str, Any], None, None]:
    """Yield a row for each of *files*, rendered as a crawl with *settings* would."""
    built = pipeline_of(settings, pipeline)
    rules, options = built._rules(), built.options  # noqa: SLF001 - as for a place
    store = store_of(built)
    job = Job(
        rules.plan,
        store,
        measures=rules.measures,
        skip_existing=not force,
        reading=ReadRules(
            options.min_bytes,
            options.max_bytes,
            DATA_MINING in built._opt_out,  # noqa: SLF001 - as above
        ),
        workers=options.most_workers,
        isolation=options.isolation,
        seconds=options.timeout_seconds,
        memory=options.process_memory,
        connections=built.access.connections,
    )
    return rows_of(inputs_of(files, rules.plan.formats, store), job)


# --- what is in the store already ---


def _rows_of_index(place: Place, *, force: bool) -> Generator[dict[str, Any], None, None]:
    """Make what images that the index knows lack, tell it, and yield a row for each."""
    require_records(place)
    check = Check(place, fast=True, repair=True)

    def looked_at(record: ImageRecord) -> tuple[ImageRecord, Compared]:
        return record, check.of(_to_be_made_again(record, place) if force else record)

    records = (record for record in place.index.records() if record.full is not None)
    with closing(in_threads(looked_at, records, place.threads)) as compared:
        for some in chunks(compared, _AT_ONCE):
            made = [(record, one.now) for record, one in some if one.made]
            known = still_known(place, [record for record, _ in made])
            place.index.put([now for record, now in made if key_of(record) in known])
            for record, one in some:
                yield _row_of(record, one, place)
    require_records(place)


def _to_be_made_again(record: ImageRecord, place: Place) -> ImageRecord:
    """Return *record* as if its renditions were made for something else."""
    files = (
        file._replace(plan=_FORCED) if file.name in place.rules.digests else file
        for file in record.renditions
    )
    return record._replace(renditions=tuple(files))


def _row_of(record: ImageRecord, compared: Compared, place: Place) -> dict[str, Any]:
    full = record.full
    assert full is not None  # noqa: S101 - the others are left out
    outcome, reason = _outcome_of(compared, place)
    failed = outcome not in SUCCESSES
    new = [file for file in compared.now.renditions if file.name in compared.made]
    row = {
        "url": record.url or full.path,
        "path": None if failed else full.path,
        "status": "failed" if failed else "rendered" if new else "uptodate",
        "outcome": str(outcome),
        "bytes_stored": sum(file.bytes for file in new),
        "finished": timestamp(time.time()),
    }
    if failed:
        return {**row, "reason": reason}
    renditions = [rendition_told(file) for file in compared.now.renditions]
    size = {"width": full.width, "height": full.height, "format": record.format}
    return {**row, **size, "checksum": full.checksum, "renditions": renditions}


def _outcome_of(compared: Compared, place: Place) -> tuple[Outcome, str]:
    """Return how one image ended, and why it did not end well."""
    if compared.full:
        return Outcome.BROKEN, f"The full image is not as it was stored: {compared.full}"
    if compared.made:
        return Outcome.STORED, ""
    if compared.thumbs:
        return Outcome.BROKEN, f"A rendition is {compared.trouble or 'not as it is to be'}"
    there = {file.name for file in compared.now.renditions}
    ours = not place.is_of_another(compared.record.plan)
    unnamed = [name for name in place.rules.digests if name not in there]
    if unnamed and ours:
        return Outcome.BAD_PATH, f"Only a crawl can tell where {', '.join(unnamed)} is to be"
    return Outcome.UP_TO_DATE, ""


# --- what is told ---


def _told(
    rows: Generator[dict[str, Any], None, None], console: Console, progress: Progress
) -> Generator[dict[str, Any], None, None]:
    """Yield *rows*, and tell of each that failed."""
    done = failed = size = 0
    try:
        for row in rows:
            done += 1
            size += row.get("bytes_in") or 0
            if row["outcome"] not in SUCCESSES:
                failed += 1
                progress.wipe()
                console.line(str(row["url"]), str(row["outcome"]), str(row["reason"]))
            progress.update(done, failed, size)
            yield row
    finally:
        rows.close()
        progress.close()


def _written(rows: Iterable[dict[str, Any]], report: str | None) -> Counter[str]:
    """Write *rows* into a *report*, where there is to be one; return how they ended."""
    outcomes: Counter[str] = Counter()
    with ExitStack() as stack:
        file = None if report is None else stack.enter_context(closing(open_report(report)))
        waiting: list[dict[str, Any]] = []
        try:
            for row in rows:
                outcomes[row["outcome"]] += 1
                if file is None:
                    continue
                waiting.append(row)
                if len(waiting) >= _AT_ONCE:
                    some, waiting = waiting, []
                    file.write(some)
        finally:  # it has the rows of what was done, also where it is interrupted
            if file is not None:
                file.write(waiting)
    return outcomes


def _sum_up(outcomes: Counter[str], console: Console) -> None:
    failures = {code: count for code, count in sorted(outcomes.items()) if code not in SUCCESSES}
    failed = sum(failures.values())
    causes = ", ".join(f"{code} {count:,}" for code, count in failures.items())
    there = outcomes[Outcome.UP_TO_DATE] + outcomes[Outcome.JOINED]
    console.line(
        f"{outcomes.total():,} images: {outcomes[Outcome.STORED]:,} rendered, {there:,} up to date,"
        f" {failed:,} failed{f' ({causes})' if causes else ''}"
    )
