"""``fetch``: a list of URLs into a store, without a spider."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from scrapy_imgpipe.cluster.spread import spread
from scrapy_imgpipe.commands.failing import failing_outcomes, status_of
from scrapy_imgpipe.commands.renditions import add_to_settings, rendition_settings
from scrapy_imgpipe.errors import SettingError
from scrapy_imgpipe.fetching.fetch import Fetched, Task, fetch
from scrapy_imgpipe.fetching.run import Audience
from scrapy_imgpipe.fetching.settings import complete
from scrapy_imgpipe.lists import open_list
from scrapy_imgpipe.parsers import parse, whole_number
from scrapy_imgpipe.progress import Progress

if TYPE_CHECKING:
    import argparse

    from scrapy.settings import Settings

    from scrapy_imgpipe.commands.console import Console

_PROCESSES = whole_number(1, "processes")
_SHARD_SIZE = whole_number(1, "rows")


def fetch_list(wanted: argparse.Namespace, settings: Settings, console: Console) -> int:
    """Fetch what *wanted* asks for; return the exit status.

    Args:
        wanted: the parsed arguments.
        settings: of a project, or of none.
        console: gets the totals.

    Raises:
        SettingError: an argument or a setting cannot be used.
        StoreFailed: the store or the report cannot be used, or keeps failing.
        FetchFailed: the crawl died again and again.
    """
    failing = failing_outcomes(wanted.fail_on)
    task = Task(
        wanted.verify_hash,
        parse(_PROCESSES, "--processes", wanted.processes),
        wanted.pipeline,
        wanted.format,
        parse(_SHARD_SIZE, "--shard-size", wanted.shard_size),
        wanted.caption,
    )
    if not wanted.sources:
        raise SettingError("Expected URLs, lists of them, or - for standard input")
    add_to_settings(settings, rendition_settings(wanted))
    report = None if wanted.report is None else Path(wanted.report)
    with open_list(wanted.sources, column=wanted.column) as images:
        audience = Audience(Progress(sys.stderr))
        fetched: Fetched
        if wanted.cluster:
            address = wanted.cluster
            fetched = spread(images, complete(settings), report, task, audience, address)
        else:
            fetched = fetch(images, complete(settings), report, task, audience)
    if fetched.passed_over:
        console.line(f"Done before: {fetched.passed_over:,} of the list")
    console.line(str(fetched))
    return status_of(Counter(fetched.outcomes) + Counter(fetched.outcomes_before), failing)
