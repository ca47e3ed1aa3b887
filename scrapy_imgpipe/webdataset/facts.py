"""What is told of a sample: a row of our report in the words of img2dataset.

No I/O. ``status`` and ``error_message`` take the place of our ``status`` and ``reason``,
whose ``outcome`` stays; the other columns of the report and those of the list stand behind.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from scrapy_imgpipe.records import SUCCESSES, Outcome
from scrapy_imgpipe.report.cells import clean, to_json
from scrapy_imgpipe.report.columns import NAMES

SUCCESS: Final = "success"
NO_DOWNLOAD: Final = "failed_to_download"
NO_PICTURE: Final = "failed_to_resize"

#: Columns that every shard has, in order, with those of img2dataset first.
COLUMNS: Final = (
    *("url", "key", "status", "error_message", "width", "height"),
    *("original_width", "original_height", "exif", "sha256"),
    *(name for name in NAMES if name not in {"url", "status", "reason", "width", "height"}),
)

#: Columns of pixels, 0 and up, of 32 bits as img2dataset has them.
SIDES: Final = frozenset({"width", "height", "original_width", "original_height"})

#: Those that JSON beside a picture has even where they are empty.
_ALWAYS = COLUMNS[: COLUMNS.index("sha256") + 1]

#: Ours; what a list has under such a name becomes ``list_<name>``.
_OURS = frozenset({"key", "error_message", "sha256"})

# Columns of the report that others take the place of, or that are told anew.
_REPLACED = frozenset({"status", "reason", "exif"})

#: How those end that were downloaded, and then had no picture to give.
_DOWNLOADED = frozenset(
    {
        Outcome.TOO_MANY_PIXELS,
        Outcome.TOO_SMALL,
        Outcome.ASPECT_RATIO,
        Outcome.NOT_AN_IMAGE,
        Outcome.FORMAT_NOT_ALLOWED,
        Outcome.PLACEHOLDER,
        Outcome.BROKEN,
        Outcome.CRASHED,
        Outcome.TIMED_OUT,
        Outcome.BAD_PATH,
        Outcome.STORE_FAILED,
        Outcome.HOOK_FAILED,
    }
)


def facts_of(
    row: Mapping[str, Any], key: str, full: bytes | None, caption: str = ""
) -> dict[str, Any]:
    """Return what is told of one sample; empty cells are left out.

    Args:
        row: of the report, with the columns of the list.
        key: of the sample.
        full: the full image; None where there is none.
        caption: name of the column that is told as ``caption``; empty for none.
    """
    cells = clean(row)
    facts: dict[str, Any] = {"url": cells.pop("url", ""), "key": key, **_ending(cells, full)}
    if full is not None:
        facts["sha256"] = hashlib.sha256(full).hexdigest()
    exif = cells.get("exif")
    if exif is not None:
        facts["exif"] = exif if isinstance(exif, str) else to_json(exif)
    if caption:
        facts["caption"] = text_of(cells.pop(caption, None))
    for name, value in cells.items():
        if name in SIDES and not _is_side(value):
            continue
        if name not in _REPLACED:
            facts[_name_beside(name, facts, cells)] = value
    return facts


def _is_side(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31


def _name_beside(name: str, facts: Mapping[str, Any], cells: Mapping[str, Any]) -> str:
    """Return what a further column is called beside ours."""
    if name not in _OURS and name not in facts:
        return name
    free = f"list_{name}"
    while free in facts or free in cells:
        free += "_2"
    return free


def _ending(cells: Mapping[str, Any], full: bytes | None) -> dict[str, Any]:
    if full is not None:
        return {"status": SUCCESS}
    outcome = cells.get("outcome")
    status = NO_PICTURE if outcome in _DOWNLOADED else NO_DOWNLOAD
    if outcome in SUCCESSES:
        return {"status": status, "error_message": "The bytes of the image were not there"}
    return {"status": status, "error_message": cells.get("reason") or outcome or "No reason known"}


def text_of(value: object) -> str:
    """Return a caption as text, whatever it is."""
    if value is None:
        return ""
    return value if isinstance(value, str) else to_json(value)


def json_of(facts: Mapping[str, Any]) -> str:
    """Return the JSON that stands beside a picture."""
    return to_json({**dict.fromkeys(_ALWAYS), **facts})
