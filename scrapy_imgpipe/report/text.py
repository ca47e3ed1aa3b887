"""Figures as lines of plain text, aligned, for a terminal or a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from scrapy_imgpipe.report.figures import Comparison, Found, Source, Summary

_MEGA = 1_000_000
_GAP = "  "
_LEAST_WIDTH = 20  # of a column that is shortened; below it, nothing is recognised
_FLEXIBLE = "~"


def summary_lines(summary: Summary, width: int = 100) -> Iterator[str]:
    """Yield what one report tells; URLs and hosts are shortened to *width* characters."""
    totals = summary.totals
    yield (
        f"{totals.asks:,} asks for {totals.sources:,} URLs: "
        f"{totals.asks - totals.failed:,} fine, {totals.failed:,} failed; "
        f"{_mega(totals.bytes_in)} MB in, {_mega(totals.bytes_stored)} MB stored"
    )
    outcomes = [(outcome or "(none)", f"{asks:,}") for outcome, asks in totals.outcomes]
    yield from _table(("<outcome", ">asks"), outcomes, width)
    hosts = [
        (
            host.name or "(none)",
            f"{host.asks:,}",
            f"{host.failed:,}",
            _mega(host.bytes_in),
            _mega(host.bytes_stored),
            "" if host.seconds is None else f"{host.seconds:,.2f}",
        )
        for host in summary.hosts
    ]
    titles = ("~host", ">asks", ">failed", ">MB in", ">MB stored", ">seconds")
    yield from _table(titles, hosts, width)
    yield from _sources("slowest", summary.slowest, width)
    yield from _sources("largest", summary.largest, width)


def comparison_lines(comparison: Comparison, width: int = 100) -> Iterator[str]:
    """Yield how two reports differ; URLs are shortened to *width* characters."""
    yield from _found("new", comparison.new, width)
    yield from _found("gone", comparison.gone, width)
    yield from _found("changed", comparison.changed, width)
    yield from _found("newly failing", comparison.newly_failing, width)


def shortened(url: str, width: int) -> str:
    """Return *url* in at most *width* characters, 1 or more, all of them printable.

    What goes is the middle: scheme and host stay where they take less than two
    thirds, and so does the end, where the name of the file is. What is not
    printable (it could command a terminal) becomes U+FFFD.
    """
    if len(url) > width:
        head = min(_length_of_host(url), width * 2 // 3)
        tail = width - head - 1
        url = f"{url[:head]}…{url[len(url) - tail :]}"
    return "".join(character if character.isprintable() else "\ufffd" for character in url)


def _sources(title: str, sources: Sequence[Source], width: int) -> Iterator[str]:
    rows = [
        (f"{source.seconds:,.2f}", _mega(source.bytes_in), source.outcome, source.url)
        for source in sources
    ]
    yield from _table((">seconds", ">MB in", "<outcome", f"~{title}"), rows, width)


def _found(title: str, found: Found, width: int) -> Iterator[str]:
    yield f"{title}: {found.count:,}"
    for url in found.first:
        yield f"{_GAP}{shortened(url, max(width - len(_GAP), _LEAST_WIDTH))}"
    if 0 < len(found.first) < found.count:
        yield f"{_GAP}and {found.count - len(found.first):,} more"


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """Yield an empty line, the titles and the rows; nothing when there are no rows.

    Args:
        titles: each with its alignment before it: ``<``, ``>``, or ``~``, which is
            ``<`` and shortened to what the others leave.
        rows: one cell for each title.
        width: of all columns together, where the shortened one can make it so.
    """
    if not rows:
        return
    lines = [tuple(title[1:] for title in titles), *rows]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    for place, title in enumerate(titles):
        if title.startswith(_FLEXIBLE):
            others = sum(widths) - widths[place] + len(_GAP) * (len(widths) - 1)
            widths[place] = min(widths[place], max(width - others, _LEAST_WIDTH))
    yield ""
    for line in lines:
        cells = (
            f"{shortened(cell, room):{'>' if title[0] == '>' else '<'}{room}}"
            for cell, room, title in zip(line, widths, titles, strict=True)
        )
        yield _GAP.join(cells).rstrip()


def _mega(count: int) -> str:
    return f"{count / _MEGA:,.1f}"


def _length_of_host(url: str) -> int:
    try:
        parts = urlsplit(url)
    except ValueError:
        return 0
    return len(f"{parts.scheme}://{parts.netloc}/") if parts.netloc else len(parts.scheme) + 1
