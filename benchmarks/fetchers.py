"""The programs that ``fetch.py`` compares: how each is called, and what it has made.

Both are told to make the same: JPEGs at quality 95 whose shorter side is 270 px at most,
scaled by averaging areas. Hash and EXIF of what was downloaded are recorded in shards, by
both, and not with files, by neither.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING

from in_turn import LOG_CHARACTERS, CrawlFailed, environment, kill_group
from job import CrawlReport
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES, SHARDS = "files", "webdataset"
SIDE = 270
"""Of what is made: its shorter side, in pixels."""
QUALITY = 95
RETRIES = 2
"""What Scrapy does by itself; nothing fails here."""
RUN_REPORT = "run.json"
ONE_PROGRAM = Path(__file__).with_name("one_program.py")

_QUIET = {
    # Its resizing library asks PyPI for a newer version of itself, each time that a process
    # imports it: that takes a while, and nothing here leaves the machine.
    "NO_ALBUMENTATIONS_UPDATE": "1",
    "WANDB_MODE": "disabled",
}


@dataclass(frozen=True)
class Order:
    """What a program is to do."""

    urls: Path
    """A text file with a URL on each line."""
    folder: Path
    """An empty one, for all that it writes."""
    output: str
    """``files`` or ``webdataset``."""
    sources: int
    """How many lines the list has."""

    @property
    def store(self) -> Path:
        """Return the folder for images or shards."""
        return self.folder / "images"


@dataclass(frozen=True)
class Ours:
    """``scrapy imgpipe fetch``."""

    label: str
    processes: int = 1
    kernel: str = "box"
    pipeline: str = ""

    def command(self, order: Order) -> list[str]:
        """Return the command line for *order*."""
        box = {"width": SIDE, "height": SIDE, "fit": "outside"}
        full = {**box, "kernel": self.kernel, "quality": QUALITY}
        command = [program("scrapy"), "imgpipe", "fetch", str(order.urls)]
        command += ["-s", f"IMGPIPE_INDEX={order.folder}/index.sqlite"]  # goes with the folder
        command += ["-s", f"RETRY_TIMES={RETRIES}", f"--processes={self.processes}"]
        command += [f"--store={order.store}", f"--full={json.dumps(full)}"]
        if self.pipeline:
            command.append(f"--pipeline={self.pipeline}")
        if order.output == SHARDS:
            return [*command, "--format=webdataset", f"--shard-size={shard_rows(order)}"]
        return [*command, f"--report={order.folder}/report.parquet"]


@dataclass(frozen=True)
class Theirs:
    """``img2dataset``."""

    processes: int
    threads: int
    label: str = "img2dataset"

    def command(self, order: Order) -> list[str]:
        """Return the command line for *order*.

        Each process works on a shard at a time, files as well: there is one for each.
        """
        rows = shard_rows(order) if order.output == SHARDS else -(-order.sources // self.processes)
        command = [program("img2dataset"), f"--url_list={order.urls}"]
        command += [f"--output_folder={order.store}", f"--output_format={order.output}"]
        command += [f"--processes_count={self.processes}", f"--thread_count={self.threads}"]
        command += [f"--image_size={SIDE}", "--resize_mode=keep_ratio"]
        command += ["--resize_only_if_bigger=True", f"--encode_quality={QUALITY}"]
        command += [f"--retries={RETRIES}", f"--number_sample_per_shard={rows}"]
        command += ["--enable_wandb=False", "--incremental_mode=incremental"]
        if order.output == FILES:
            command += ["--compute_hash=None", "--extract_exif=False"]
        return command

    def describe(self) -> str:
        """Return what is particular about it."""
        return f"--processes_count={self.processes} --thread_count={self.threads}"


def shard_rows(order: Order) -> int:
    """Return the size of each of two shards: as many as processes are tried."""
    return max(1, -(-order.sources // 2))


def program(name: str) -> str:
    """Return the path of a program that is installed beside this interpreter.

    Raises:
        SystemExit: it is not.
    """
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        raise SystemExit(f"Expected {path}, but it is not there: use `tox -e fetch`")
    return str(path)


def run(command: list[str], folder: Path, limit_s: int, stop_s: int = 0) -> tuple[CrawlReport, str]:
    """Run *command* with *folder* as its working directory.

    Args:
        command: a program and its arguments.
        folder: gets the report of the run, too.
        limit_s: after so many seconds it is killed, with all it has started.
        stop_s: after so many it is interrupted, which is no failure; 0 for never.

    Returns:
        What it took, and the end of what it wrote.

    Raises:
        CrawlFailed: it ended with an error, or was killed.
    """
    report = folder / RUN_REPORT
    name = Path(command[0]).name
    whole = [sys.executable, str(ONE_PROGRAM), str(report), str(stop_s), *command]
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            whole, stderr=log, text=True, cwd=folder, env=surroundings(), start_new_session=True
        ) as process,
    ):
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise CrawlFailed(f"{name}: not done in {limit_s} s\n{_end_of(log)}") from None
        finally:
            kill_group(process)
        allowed = {0, 128 + signal.SIGINT} if stop_s else {0}
        if process.returncode not in allowed:
            raise CrawlFailed(f"{name}: exit {process.returncode}\n{_end_of(log)}")
        return CrawlReport.from_json(report.read_text()), _end_of(log)


def _end_of(log: IO[str]) -> str:
    log.seek(0)
    return log.read()[-LOG_CHARACTERS:]


def surroundings() -> dict[str, str]:
    """Return our environment without what leads away from this machine."""
    kept = {name: value for name, value in environment().items() if "proxy" not in name.lower()}
    return {**kept, **_QUIET}


@dataclass(frozen=True)
class Made:
    """What a program has made."""

    sizes: Counter[tuple[int, int]]
    """How many images there are of each width and height."""
    kib: float
    """Mean size of an image."""

    @classmethod
    def of(cls, order: Order) -> Made:
        """Look at the header of each image of *order*."""
        sizes: Counter[tuple[int, int]] = Counter()
        weight = 0
        for data in images_of(order):
            weight += len(data)
            with Image.open(BytesIO(data)) as image:
                sizes[image.size] += 1
        return cls(sizes, weight / 1024 / max(1, sizes.total()))


def images_of(order: Order) -> Iterator[bytes]:
    """Yield the JPEGs that were made; those in shards as the readers of shards see them."""
    if order.output == FILES:
        yield from (file.read_bytes() for file in order.store.rglob("*.jpg"))
        return
    import webdataset  # noqa: PLC0415 - not needed with files

    shards = sorted(str(file) for file in order.store.glob("*.tar"))
    for sample in webdataset.WebDataset(shards, shardshuffle=False):
        yield sample["jpg"]
