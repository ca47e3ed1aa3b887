"""What an analysis answers, as frozen records of plain numbers and text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Totals:
    """A whole report.

    Attributes:
        asks: rows.
        sources: different URLs.
        failed: asks whose outcome is a failure.
        bytes_in: of all response bodies.
        bytes_stored: of all files written.
        outcomes: outcome and asks, the most frequent first; "" for rows without one.
    """

    asks: int
    sources: int
    failed: int
    bytes_in: int
    bytes_stored: int
    outcomes: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Host:
    """All asks for the URLs of one host.

    Attributes:
        name: in lower case; for URLs without a host their scheme, ``data:``.
        asks: rows.
        failed: those whose outcome is a failure.
        bytes_in: of its response bodies.
        bytes_stored: of the files made from them.
        seconds: median of its downloads; None where there were none.
    """

    name: str
    asks: int
    failed: int
    bytes_in: int
    bytes_stored: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Source:
    """One URL, by its slowest or its largest ask.

    Attributes:
        url: as it was asked for.
        outcome: of that ask.
        seconds: of waiting, downloading, rendering and storing together.
        bytes_in: of the response body.
    """

    url: str
    outcome: str
    seconds: float
    bytes_in: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What one report tells."""

    totals: Totals
    hosts: tuple[Host, ...]
    slowest: tuple[Source, ...]
    largest: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """URLs that share something: how many, and the first of them in order of asking."""

    count: int
    first: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a later report has that an earlier one had not. Each URL counts once.

    Attributes:
        new: not in the earlier report.
        gone: not in the later one.
        changed: fine in both, with another checksum.
        newly_failing: fine in the earlier one, failed in the later.
    """

    new: Found
    gone: Found
    changed: Found
    newly_failing: Found
