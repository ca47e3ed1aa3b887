"""Say what a crawl brought home, from its stats and its folder. Makes text; prints nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

OUTCOME = "imgpipe/outcome/"
STATUS = "file_status_count/"
STORED = ("stored", "cached")
KEPT = ("up-to-date", "revalidated")
JOINED = ("joined",)
"""A second asker for an image that is on its way: neither a new image nor a failure."""


@dataclass(frozen=True)
class Crawl:
    """How one crawl ended, in numbers of items and images."""

    spider: str
    items: int
    dropped: int
    """Items."""
    stored: int
    kept: int
    """Images that were in the store already."""
    failed: Mapping[str, int]
    """Number of images by outcome."""


def crawl_of(spider: str, stats: Mapping[str, Any]) -> Crawl:
    """Read the numbers of a crawl from its Scrapy stats.

    Without the library's own stats (a crawl with Scrapy's pipeline) the failures
    are unknown, and broken images count as stored.
    """
    outcomes = _below(OUTCOME, stats)
    if not outcomes:
        statuses = _below(STATUS, stats)
        names = {"downloaded": "stored", "uptodate": "up-to-date", "cached": "cached"}
        outcomes = {names.get(name, name): count for name, count in statuses.items()}
    good = (*STORED, *KEPT, *JOINED)
    return Crawl(
        spider=spider,
        items=stats.get("item_scraped_count", 0),
        dropped=stats.get("item_dropped_count", 0),
        stored=sum(outcomes.get(name, 0) for name in STORED),
        kept=sum(outcomes.get(name, 0) for name in KEPT),
        failed={name: count for name, count in outcomes.items() if name not in good},
    )


def crawl_lines(crawl: Crawl, output: Path) -> list[str]:
    """Describe one crawl whose results are in *output*: what happened, and where things are."""
    images = output / crawl.spider
    failed = sum(crawl.failed.values())
    dropped = f" ({crawl.dropped} dropped for want of images)" if crawl.dropped else ""
    downloaded = f"{_count(crawl.stored, 'image')} downloaded, {crawl.kept} up to date"
    return [
        f"{crawl.spider}: {_count(crawl.items, 'item')}{dropped}",
        f"  {downloaded}, {failed} failed{_reasons(crawl.failed)}",
        _folder_line("images", images / "full"),
        *(_folder_line("thumbnails", folder) for folder in sorted(images.glob("thumbs/*"))),
        f"  items       {images}.jsonl",
        f"  report      {images}.report.csv",
        f"  log         {images}.log",
    ]


def closing_lines(crawls: list[Crawl]) -> list[str]:
    """Sum up all crawls of a run."""
    stored = sum(crawl.stored for crawl in crawls)
    kept = sum(crawl.kept for crawl in crawls)
    failed = sum(sum(crawl.failed.values()) for crawl in crawls)
    lines = [f"downloaded {_count(stored, 'image')}; {kept} were up to date"]
    if failed:
        lines.append(
            f"{failed} have no stored copy (missing, broken or too small), so every run asks "
            "for them again"
        )
    return lines


def _folder_line(label: str, folder: Path) -> str:
    sizes = [path.stat().st_size for path in folder.glob("*")]
    return f"  {label:<11} {folder} ({_count(len(sizes), 'file')}, {sum(sizes) / 1e6:.1f} MB)"


def _below(prefix: str, stats: Mapping[str, Any]) -> dict[str, int]:
    return {key[len(prefix) :]: value for key, value in stats.items() if key.startswith(prefix)}


def _reasons(failed: Mapping[str, int]) -> str:
    listed = ", ".join(f"{count} {name}" for name, count in sorted(failed.items()))
    return f" ({listed})" if listed else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
