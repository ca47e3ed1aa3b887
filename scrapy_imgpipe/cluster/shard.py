"""One shard, where a worker does it: the same crawl as on one machine, in a process of its own.

Knows no engine: it is asked whether it is still wanted, and says how far it is.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import scrapy_imgpipe
from scrapy_imgpipe.cluster.cutting import lines_in
from scrapy_imgpipe.cluster.parts import facts_of, packed_part
from scrapy_imgpipe.errors import ImagePipeError
from scrapy_imgpipe.fetching import wires
from scrapy_imgpipe.fetching.done import Done
from scrapy_imgpipe.fetching.results import Results
from scrapy_imgpipe.fetching.run import Audience, Crawls, Lines, Run
from scrapy_imgpipe.lists import Line
from scrapy_imgpipe.options import usable_cpus
from scrapy_imgpipe.report import open_report

#: How long what is under way may take once nobody wants the shard any more, in seconds.
GRACE_SECONDS = 5.0

_WORKERS = "IMGPIPE_WORKERS"

#: Rows, failed ones, and bytes so far.
Far: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class ShardOrder:
    """What a worker is to do.

    Attributes:
        number: of the shard.
        name: that tells it from all others.
        lines: of the list, packed.
        crawls: orders for its crawl, and for that once it has died.
        item_key: column that tells an item from the others in the report.
        version: of this package, which the worker is to have as well.
    """

    number: int
    name: str
    lines: bytes
    crawls: tuple[bytes, bytes]
    item_key: str
    version: str


@dataclass(frozen=True, slots=True)
class ShardEnd:
    """What came of it.

    Attributes:
        part: its report, a Parquet file; empty where there is none.
        problem: why there is none.
        worker: where it was done.
        is_unfit: whether that worker cannot do any.
    """

    part: bytes = b""
    problem: str = ""
    worker: str = ""
    is_unfit: bool = False


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a shard is done.

    Attributes:
        name: of the worker.
        threads: shards that are done there at a time, which share its CPUs.
        is_wanted: whether the shard is still to be done.
        tell: called with how far it is.
        folder: for what is needed meanwhile, on the worker's disk.
    """

    name: str
    threads: int
    is_wanted: Callable[[], bool]
    tell: Callable[[Far], None]
    folder: str


class _Watch:
    """Follows a run, and ends it when nobody wants the shard any more."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._ends_at: float | None = None

    def update(
        self,
        done: int,
        failed: int = 0,
        bytes_in: int = 0,
        *,
        share: float | None = None,  # noqa: ARG002 - as a run calls it; here and below
        waiting: int | None = None,  # noqa: ARG002
    ) -> None:
        self._bench.tell((done, failed, bytes_in))
        now = time.monotonic()
        if self._ends_at is None and not self._bench.is_wanted():
            self._ends_at = now + GRACE_SECONDS
            raise KeyboardInterrupt
        if self._ends_at is not None and now >= self._ends_at:
            self._ends_at = now + GRACE_SECONDS
            raise KeyboardInterrupt

    def wipe(self) -> None:
        pass

    def close(self) -> None:
        pass


def fetch_shard(order: ShardOrder, bench: Bench) -> ShardEnd:
    """Do a shard; what goes wrong is told in what comes back.

    Args:
        order: what is to be done.
        bench: where it is done.
    """
    if order.version != scrapy_imgpipe.__version__:
        return ShardEnd(
            problem=f"{bench.name} has scrapy-imgpipe {scrapy_imgpipe.__version__},"
            f" and not {order.version}",
            worker=bench.name,
            is_unfit=True,
        )
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="imgpipe-", dir=bench.folder) as folder:
            report = Path(folder, "rows.parquet")
            results = _run(order, bench, report)
            facts = facts_of(order.name, results, time.monotonic() - began, bench.name)
            return ShardEnd(packed_part(report, facts))
    except KeyboardInterrupt:
        return ShardEnd(problem="It was given up")
    except (ImagePipeError, OSError) as error:
        return ShardEnd(problem=f"{error} (on {bench.name})", worker=bench.name)
    except Exception as error:  # noqa: BLE001 - told where somebody reads it
        return ShardEnd(
            problem=f"{type(error).__name__}: {error} (on {bench.name})", worker=bench.name
        )


def _run(order: ShardOrder, bench: Bench, report: Path) -> Results:
    lines = [Line(*line) for line in lines_in(order.lines)]
    crawls = (
        _shared_out(order.crawls[0], bench.threads),
        _shared_out(order.crawls[1], bench.threads),
    )
    with closing(open_report(report)) as file:
        results = Results([file], order.item_key)
        audience = Audience(_Watch(bench))
        Run(Lines(lines, lambda: None, Done()), Crawls(crawls, 1), results, audience).run()
    return results


def _shared_out(orders: bytes, threads: int) -> bytes:
    """Return *orders* for one of *threads* crawls that share the CPUs of a worker."""
    if threads == 1:
        return orders
    read = wires.read_orders(io.BytesIO(orders))  # type: ignore[arg-type]  # it reads as one
    value, priority = read.settings.get(_WORKERS, (None, 0))
    workers = -(-int(value or usable_cpus()) // threads)
    shared = {**read.settings, _WORKERS: (workers, max(priority, 40))}
    return wires.packed(replace(read, settings=shared))
