"""Print what the rivals' crawls measured, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from in_turn import DOWNLOAD_ONLY, OURS, STOCK
from machine import cores, describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from in_turn import Run, Runs


@dataclass(frozen=True)
class Column:
    """One figure of a run."""

    head: str
    figure: Callable[[Run], float]
    places: int
    """Decimal places."""
    more_is_better: bool = False
    compared: bool = True
    """Whether a ratio of ours to Scrapy's means anything."""


def cpu_ms(run: Run) -> float:
    """Return the crawl's CPU milliseconds per image."""
    return run.report.cpu_s / max(1, run.report.images) * 1000


def server_ms(run: Run) -> float:
    """Return the image server's CPU milliseconds per image, the warm-up's included."""
    return run.server_cpu_s / max(1, run.report.images) * 1000


COLUMNS = (
    Column("  wall s", lambda run: run.report.wall_s, 2),
    Column("CPU ms/image", cpu_ms, 2),
    Column("images/s", lambda run: run.report.images / run.report.wall_s, 0, more_is_better=True),
    Column("peak MiB", lambda run: run.report.peak_rss_mib, 0),
    Column("children", lambda run: run.report.children, 0, compared=False),
    Column("longest stall ms", lambda run: run.report.longest_stall_ms, 1),
    Column("p99 stall ms", lambda run: run.report.p99_stall_ms, 1),
    Column("server ms/image", server_ms, 2, compared=False),
    Column("others' cores", lambda run: run.other_cores or 0.0, 2, compared=False),
)


def over_runs(runs: Sequence[Run], figure: Callable[[Run], float]) -> float:
    """Return the median of *figure* over *runs*."""
    return median(figure(run) for run in runs)


def better_by(
    runs: Runs, column: Column, one: str = OURS.label, than: str = STOCK.label
) -> list[float]:
    """Return by what factor rival *one* is better *than* another, round by round."""
    pairs = zip(runs[than], runs[one], strict=True)
    factors = [column.figure(other) / max(column.figure(own), 1e-9) for other, own in pairs]
    return [1 / factor for factor in factors] if column.more_is_better else factors


def beyond_downloader(runs: Runs, label: str) -> list[float]:
    """Return by how many ms *label*'s longest stall exceeds the downloader's, by round."""
    pairs = zip(runs[label], runs[DOWNLOAD_ONLY.label], strict=True)
    return [one.report.longest_stall_ms - alone.report.longest_stall_ms for one, alone in pairs]


def print_machine(rounds: int, ours: str) -> None:
    """Print what is measured, on what, and how to read the tables."""
    print(f"{OURS.label} is {ours}, {STOCK.label} is {STOCK.pipeline}")
    print(describe())
    print(
        f"Medians of {rounds} round(s), all rivals in turn in each; factors are medians of the\n"
        f"rounds' own, above 1 where {OURS.label} is better. others' cores: how many cores\n"
        "processes that are none of ours kept busy meanwhile; 0.0 is a quiet machine.\n"
    )


def print_runs(title: str, runs: Runs) -> None:
    """Print one table: a line for each rival, then the factors."""
    print(title)
    print_rivals(runs)
    factors = (as_factor(median(better_by(runs, c))) if c.compared else "" for c in COLUMNS)
    print(f"{'ours better by':18}" + _in_columns(factors))
    print(f"wall, round by round: {as_factors(better_by(runs, COLUMNS[0]))}")


def print_rivals(runs: Runs, columns: Sequence[Column] = COLUMNS) -> None:
    """Print the heads of *columns* and a line for each rival."""
    print(" " * 18 + "".join(f"  {column.head}" for column in columns))
    for label, own in runs.items():
        figures = (f"{over_runs(own, c.figure):.{c.places}f}" for c in columns)
        print(f"{label:18}" + _in_columns(figures, columns))


def print_stalls(runs: Runs) -> None:
    """Print how far each rival's longest stall exceeds that of the downloader alone."""
    for label in (STOCK.label, OURS.label):
        beyond = beyond_downloader(runs, label)
        each = " ".join(f"{ms:+.1f}" for ms in beyond)
        print(f"{label}: longest stall {median(beyond):+.1f} ms to the downloader alone ({each})")


def print_floor(runs: Runs, codec_ms: float) -> None:
    """Print the least an image can take on these cores, and how near to it ours comes."""
    alone = runs[DOWNLOAD_ONLY.label]
    download_ms, serve_ms = over_runs(alone, cpu_ms), over_runs(alone, server_ms)
    floor_ms = max(download_ms, (download_ms + codec_ms + serve_ms) / cores())
    ours_ms = 1000 / over_runs(runs[OURS.label], COLUMNS[2].figure)
    print(
        f"floor: D {download_ms:.2f}, C {codec_ms:.2f}, S {serve_ms:.2f} -> "
        f"max(D, (D + C + S) / {cores()}) = {floor_ms:.2f} ms an image; "
        f"{OURS.label}: {ours_ms:.2f} ms, {ours_ms / floor_ms:.2f} times that"
    )


def as_factor(factor: float) -> str:
    """Return *factor* as ``1.20x``."""
    return f"{factor:.2f}x"


def as_factors(factors: Sequence[float]) -> str:
    """Return *factors* as ``1.20x 1.31x``."""
    return " ".join(as_factor(factor) for factor in factors)


def _in_columns(cells: Iterable[str], columns: Sequence[Column] = COLUMNS) -> str:
    return "".join(f"  {cell:>{len(c.head)}}" for c, cell in zip(columns, cells, strict=True))
