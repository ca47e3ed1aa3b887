"""Random crawling against a server that misbehaves at random.

``python tests/chaos/run.py --seconds 60 [--seed N] [--folder DIR]`` crawls for so long, then
looks at what is left: exit status, log, report, files, memory. It prints a table; exit
status 1, and what is wrong, where anything is. Traffic stays on loopback. A folder that is
named is kept; a seed repeats what each URL answers, not the moments.

Half an hour of it is due before a release: memory that creeps shows in no minute.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from scrapy_imgpipe.errors import ImagePipeError  # noqa: E402 - a script; its path is above
from scrapy_imgpipe.imaging import inspect  # noqa: E402
from scrapy_imgpipe.records import Outcome  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
SAMPLE_SECONDS = 0.25
#: Longest that a crawl may go on when there are no more pages.
GRACE_SECONDS = 120
#: What memory may rise by, from the second third of the time to the last.
MOST_SHARE, MOST_BYTES = 1.15, 30e6
#: Less than this says nothing of memory: caches fill, worker processes start.
LEAST_SECONDS = 45
SETTINGS = {
    "ITEM_PIPELINES": {"scrapy_imgpipe.ImagesPipeline": 1},
    "IMAGES_THUMBS": {"small": [50, 50]},
    "IMGPIPE_RENDITIONS": {"card": {"width": 100, "format": "WEBP"}},
    "IMGPIPE_KEEP_FAILED": True,
    "IMGPIPE_ITEM_KEY": "key",
    "MEDIA_ALLOW_REDIRECTS": True,
    "MEDIA_CACHE_SIZE": 500,
    "IMAGES_EXPIRES": 0,  # whatever comes again is asked for again
    "DOWNLOAD_TIMEOUT": 2,
    "RETRY_TIMES": 1,
    "CONCURRENT_REQUESTS": 32,
    "CONCURRENT_REQUESTS_PER_DOMAIN": 24,
    "LOG_LEVEL": "INFO",
    "TELNETCONSOLE_ENABLED": False,
}
BAD_WORDS = ("Traceback", "Unhandled", "Exception ignored", "ResourceWarning", "CRITICAL")


@dataclass
class Seen:
    """What a crawl left.

    Attributes:
        folder: with its store, report and log.
        code: exit status; None where it had to be killed.
        memory: resident bytes of the crawl and its workers, sampled.
    """

    folder: Path
    code: int | None
    memory: list[int]
    asked: dict[str, list[Any]] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def read(self) -> None:
        """Read what was asked for, and what the report says of it."""
        self.asked = dict(lines_of(self.folder / "asked.jsonl"))
        self.rows = lines_of(self.folder / "report.jsonl")


def lines_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "SCRAPY"))}
    return {**kept, "PYTHONPATH": str(ROOT)}


@contextmanager
def server(seed: int, seconds: float) -> Iterator[int]:
    """Run the server; it ends with us, as its standard input does."""
    command = [sys.executable, str(HERE / "server.py"), str(seed), str(seconds)]
    with subprocess.Popen(
        command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())[0]
        finally:
            process.stdin.close()


def resident(pid: int) -> int:
    """Return the resident bytes of a process and its children; 0 where nobody tells."""
    total = 0
    try:
        total = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += sum(map(resident, map(int, (task / "children").read_text().split())))
    except (OSError, ValueError, IndexError):
        pass  # it has ended, or this is not Linux
    return total


def crawled(folder: Path, port: int, seconds: float) -> Seen:
    """Crawl the pages on *port* into *folder* to their end."""
    settings = {
        **SETTINGS,
        "IMAGES_STORE": str(folder / "store"),
        "IMGPIPE_INDEX": str(folder / "index"),
        "IMGPIPE_REPORT": str(folder / "report.jsonl"),
        "LOG_FILE": str(folder / "log.txt"),
    }
    task = {
        "settings": settings,
        "page": f"http://127.0.0.1:{port}/page/0",
        "asked": str(folder / "asked.jsonl"),
    }
    (folder / "task.json").write_text(json.dumps(task))
    command = [sys.executable, str(HERE / "spider.py"), str(folder / "task.json")]
    memory, code = [], None
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environment(),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        last = time.monotonic() + seconds + GRACE_SECONDS
        while code is None and time.monotonic() < last:
            memory.append(resident(process.pid))
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(SAMPLE_SECONDS)
        if code is None:
            process.kill()
            process.wait()
    return Seen(folder, code, memory)


def wrong_with_process(seen: Seen) -> Iterator[str]:
    if seen.code != 0:
        yield "the crawl did not end" if seen.code is None else f"exit status {seen.code}"
    for name in ("log.txt", "output.txt"):
        text = (seen.folder / name).read_text(errors="replace")
        for word in BAD_WORDS:
            if word in text:
                at = text.index(word)
                yield f"{name} has {word!r}: {text[max(at - 300, 0) : at + 1500]}"


def wrong_with_report(seen: Seen) -> Iterator[str]:
    """Tell which URL of which item has no row, or more than one, or an unknown outcome."""
    known = {str(outcome) for outcome in Outcome}
    slots = Counter((row["item"], row["slot"]) for row in seen.rows)
    for key, urls in seen.asked.items():
        for slot, url in enumerate(urls):
            if slots.pop((key, slot), 0) != 1:
                yield f"not one row for {url!r}, slot {slot} of {key}"
    if slots:
        yield f"rows that nobody asked for: {list(slots)[:5]}"
    for row in seen.rows:
        if row.get("outcome") not in known:
            yield f"unknown outcome: {row}"


def wrong_with_files(seen: Seen) -> Iterator[str]:
    """Tell which file is no whole image, or in no row, as one that was left over."""
    told = {row["path"] for row in seen.rows if row.get("path")}
    told |= {made["path"] for row in seen.rows for made in row.get("renditions") or ()}
    store = seen.folder / "store"
    for path in store.rglob("*"):
        name = path.relative_to(store).as_posix()
        if path.is_dir():
            continue
        if name not in told:
            yield f"in no row: {name}"
        told.discard(name)
        try:
            inspect(path.read_bytes(), to_end=True)
        except ImagePipeError as error:
            yield f"no whole image: {name} ({error})"
    yield from (f"not in the store: {name}" for name in told)


def thirds(memory: list[int]) -> tuple[float, float]:
    """Return the median of the second third, and of the last."""
    third = max(len(memory) // 3, 1)
    return statistics.median(memory[third : 2 * third] or [0]), statistics.median(memory[-third:])


def wrong_with_memory(seen: Seen, seconds: float) -> Iterator[str]:
    before, after = thirds(seen.memory)
    if seconds >= LEAST_SECONDS and after > before * MOST_SHARE + MOST_BYTES:
        yield f"memory rose from {before / 1e6:.0f} to {after / 1e6:.0f} MB"


def wrong_with(seen: Seen, seconds: float) -> list[str]:
    """Return what is wrong, in sentences; an empty list where nothing is."""
    found = list(wrong_with_process(seen))
    try:
        seen.read()
    except (OSError, ValueError) as error:
        return [*found, f"no report: {error}"]
    found += wrong_with_report(seen)
    found += wrong_with_files(seen)
    found += wrong_with_memory(seen, seconds)
    if not any(row["outcome"] == "stored" for row in seen.rows):
        found.append("nothing was stored")
    return found


def table(seen: Seen) -> str:
    """Return how many URLs ended how, and what that took."""
    counts = Counter(row["outcome"] for row in seen.rows)
    lines = [f"{count:8}  {outcome}" for outcome, count in counts.most_common()]
    before, after = thirds(seen.memory)
    lines.append(f"{sum(counts.values()):8}  URLs of {len(seen.asked)} items")
    lines.append(
        f"{max(seen.memory) / 1e6:8.0f}  MB at most, {before / 1e6:.0f} then {after / 1e6:.0f}"
    )
    return "\n".join(lines)


def chaos(folder: Path, seconds: float, seed: int) -> tuple[Seen, list[str]]:
    """Crawl, and return what was seen with what is wrong about it."""
    with server(seed, seconds) as port:
        seen = crawled(folder, port, seconds)
    return seen, wrong_with(seen, seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--folder", type=Path, help="kept; else a temporary one is used")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        sys.stdout.write(f"seed {args.seed}, {args.seconds:g} seconds\n")
        seen, wrong = chaos(folder, args.seconds, args.seed)
    sys.stdout.write(table(seen) + "\n" if seen.rows else "")
    for sentence in wrong[:20]:
        sys.stdout.write(f"WRONG: {sentence}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
