"""Rows of the report for images that were not downloaded."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from scrapy_imgpipe.errors import ImagePipeError
from scrapy_imgpipe.records import Outcome, rendition_told
from scrapy_imgpipe.report import timestamp

if TYPE_CHECKING:
    from scrapy_imgpipe.local.inputs import Input
    from scrapy_imgpipe.local.places import Paths
    from scrapy_imgpipe.tasks.outputs import Saved

_MOST_CHARACTERS = 500  # of what somebody's exception says


def made_row(one: Input, paths: Paths, saved: Saved, bytes_in: int) -> dict[str, Any]:
    """Return the row of an image of which something was stored."""
    full = saved.full
    row = _row(one, Outcome.STORED, "rendered", paths.full)
    if full is not None:
        row.update(width=full.width, height=full.height, format=saved.format)
        row["checksum"] = saved.checksum
    row.update(
        bytes_in=bytes_in,
        bytes_stored=saved.written,
        renditions=[rendition_told(file) for file in saved.renditions],
        seconds_rendering=saved.rendering,
        seconds_storing=saved.storing,
    )
    if saved.placeholder:
        row["placeholder"] = saved.placeholder
    return row | dict(saved.measured)


def untouched_row(
    one: Input, paths: Paths, outcome: Outcome = Outcome.UP_TO_DATE
) -> dict[str, Any]:
    """Return the row of an image whose renditions are there; nobody has looked into them."""
    row = _row(one, outcome, "uptodate", paths.full)
    renditions = [{"name": name, "path": path} for name, path in paths.thumbs.items()]
    return {**row, "bytes_in": 0, "bytes_stored": 0, "renditions": renditions}


def failed_row(one: Input, error: Exception) -> dict[str, Any]:
    """Return the row of an image that *error* was raised for."""
    row = _row(one, code_of(error), "failed", None)
    return {**row, "reason": _sentence(error), "bytes_stored": 0}


def code_of(error: Exception) -> str:
    """Return the outcome that *error* means."""
    if isinstance(error, ImagePipeError):
        return error.code
    return Outcome.DOWNLOAD_FAILED if isinstance(error, OSError) else Outcome.HOOK_FAILED


def _row(one: Input, outcome: str, status: str, path: str | None) -> dict[str, Any]:
    return {
        "url": one.label,
        "path": path,
        "status": status,
        "outcome": str(outcome),
        "finished": timestamp(time.time()),
    }


def _sentence(error: Exception) -> str:
    if isinstance(error, ImagePipeError):
        return error.reason
    if isinstance(error, OSError):
        return f"Could not read it: {error.strerror or error}"
    said = " ".join(str(error).split())[:_MOST_CHARACTERS]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
