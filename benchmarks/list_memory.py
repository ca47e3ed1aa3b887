"""Read lists of a thousand and of a million images in every format: what it takes.

Prints, for each format and number of lines, the peak of resident memory that reading it
added to a process of its own, and the lines a second. Memory that grows with the number of
lines would show.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import options
from machine import describe

from scrapy_imgpipe.lists import open_list
from scrapy_imgpipe.report.optional import pyarrow

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

FORMATS = (".txt", ".csv", ".tsv", ".jsonl", ".jsonl.gz", ".json", ".parquet")
FEW = 1_000


def main(arguments: Namespace) -> None:
    """Write a list, read it in another process, delete it; for each format and number."""
    many = 100_000 if arguments.quick else 1_000_000
    print(describe())
    print(f"{'list':>10} {'lines':>11} {'peak, MiB':>10} {'lines/s':>10}")
    with tempfile.TemporaryDirectory(prefix="imgpipe-bench-") as folder:
        for kind in FORMATS if find_spec("pyarrow") else FORMATS[:-1]:
            for count in (FEW, many):
                measured(Path(folder, f"list{kind}"), kind, count)


def measured(path: Path, kind: str, count: int) -> None:
    """Print what it takes to read *count* lines."""
    write(path, kind, count)
    command = [sys.executable, "-c", f"import list_memory as m; m.read(m.Path({str(path)!r}))"]
    here = Path(__file__).parent
    ran = subprocess.run(command, cwd=here, check=True, capture_output=True, text=True)
    mib, speed = map(float, ran.stdout.split())
    print(f"{kind:>10} {count:>11,} {mib:>10.1f} {speed:>10,.0f}")
    path.unlink()


def read(path: Path) -> None:
    """Go through the list; print the MiB that this has added to the peak, and lines a second."""
    if path.suffix == ".parquet":
        pyarrow()  # what the library takes is no matter of lists
    before, start, count = peak_mib(), time.perf_counter(), 0
    with open_list([path]) as lines:
        for _ in lines:
            count += 1
    print(peak_mib() - before, count / (time.perf_counter() - start))


def peak_mib() -> float:
    """Return the most memory that this process has had (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def write(path: Path, kind: str, count: int) -> None:
    """Write a list of *count* images with two further columns."""
    records = ((url(n), f"A caption, of image {n}", n % 4096) for n in range(count))
    if kind == ".parquet":
        write_parquet(path, list(records))
        return
    with gzip.open(path, "wt", 1) if kind.endswith(".gz") else path.open("w") as file:
        file.writelines(pieces(kind.removesuffix(".gz"), records))


def url(number: int) -> str:
    """Return a URL of usual length."""
    return f"https://images{number % 97}.example.com/photos/{number:08}/large/photo-{number}.jpg"


def pieces(kind: str, records: Iterator[tuple[str, str, int]]) -> Iterator[str]:
    """Yield the text of a list."""
    separator = "\t" if kind == ".tsv" else ","
    if kind in {".csv", ".tsv"}:
        yield separator.join(("url", "caption", "size")) + "\n"
    between = "[\n"
    for address, caption, size in records:
        row = {"url": address, "caption": caption, "size": size}
        if kind == ".txt":
            yield f"{address}\n"
        elif kind in {".csv", ".tsv"}:
            yield f'{address}{separator}"{caption}"{separator}{size}\n'
        elif kind == ".jsonl":
            yield f"{json.dumps(row)}\n"
        else:
            yield f"{between}{json.dumps(row)}"
            between = ",\n"
    if kind == ".json":
        yield "\n]\n"


def write_parquet(path: Path, records: list[tuple[str, str, int]]) -> None:
    """Write one file with row groups of up to a million rows, as pyarrow does by itself."""
    arrow, parquet = pyarrow()
    columns = dict(zip(("url", "caption", "size"), zip(*records, strict=True), strict=True))
    parquet.write_table(arrow.table({name: list(cells) for name, cells in columns.items()}), path)


if __name__ == "__main__":
    sys.exit(main(options.parse(__doc__ or "")))
