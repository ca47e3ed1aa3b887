"""What a worker does for one source: look it up, render, hash, write.

Blocking; called in worker threads and processes. No event loop, no Scrapy, no user hooks
but those that are arguments.
"""

from __future__ import annotations

from scrapy_imgpipe.tasks.looking import (
    Found,
    Wanted,
    are_there,
    found_of,
    look_up,
    with_time,
)
from scrapy_imgpipe.tasks.making import (
    Prepared,
    Source,
    check_hash,
    check_permission,
    content_of,
    keep,
    make_and_save,
    prepare,
    save,
    twin_of,
)
from scrapy_imgpipe.tasks.mending import Mended, mend, put_remade, remade_of
from scrapy_imgpipe.tasks.nearness import put_marked
from scrapy_imgpipe.tasks.outputs import (
    Output,
    Saved,
    collect,
    convert,
    output_of,
    snapshot,
    taken,
)
from scrapy_imgpipe.tasks.rules import PlaceholderRules, Rules
from scrapy_imgpipe.tasks.seeing import record_of_file

__all__ = [
    "Found",
    "Mended",
    "Output",
    "PlaceholderRules",
    "Prepared",
    "Rules",
    "Saved",
    "Source",
    "Wanted",
    "are_there",
    "check_hash",
    "check_permission",
    "collect",
    "content_of",
    "convert",
    "found_of",
    "keep",
    "look_up",
    "make_and_save",
    "mend",
    "output_of",
    "prepare",
    "put_marked",
    "put_remade",
    "record_of_file",
    "remade_of",
    "save",
    "snapshot",
    "taken",
    "twin_of",
    "with_time",
]
