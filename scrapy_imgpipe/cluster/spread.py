"""A list on its way through a cluster: which shard is next, which is done again, what came of all.

Of the shards of one lane, which may have a host in common, one is under way at a time.
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import scrapy_imgpipe
from scrapy_imgpipe.cluster.cutting import Cut, Shard, cut, known_cut
from scrapy_imgpipe.cluster.engine import Engine
from scrapy_imgpipe.cluster.parts import Facts, Parts, totals
from scrapy_imgpipe.cluster.settings import deciding, named_for_all
from scrapy_imgpipe.cluster.shard import Far, ShardEnd, ShardOrder
from scrapy_imgpipe.errors import FetchFailed, SettingError, StoreFailed
from scrapy_imgpipe.fetching import settings as of_crawls
from scrapy_imgpipe.fetching.columns import Looked
from scrapy_imgpipe.fetching.fetch import (
    Fetched,
    Task,
    check_no_source,
    orders_of,
    pipeline_for,
)
from scrapy_imgpipe.fetching.places import FILES
from scrapy_imgpipe.fetching.results import Results
from scrapy_imgpipe.parsers import Parser, parse, whole_number
from scrapy_imgpipe.report import check_report_path

if TYPE_CHECKING:
    from scrapy.settings import Settings

    from scrapy_imgpipe.fetching.run import Audience
    from scrapy_imgpipe.lists import ImageList

#: Where the cut of an unfinished list is, in the folder of the report.
_CUT = "_shards"

#: How often a shard is begun.
_MOST_TRIES = 3

#: Shards that may fail in a row before the run ends: then it is not the shards.
_MOST_FAILED = 10

#: How long one waits before the progress is looked after, in seconds.
_SECONDS = 0.2


class Spread(Fetched):
    """What became of a list on a cluster.

    Attributes:
        shards: how many it was cut into.
        failed_shards: why each has failed, by its number; its lines have no rows.
    """

    shards: int = 0
    failed_shards: Mapping[int, str] = {}


def _parse_report(value: Any) -> Path:
    path = Path(value)
    if path.suffix.lower() != ".parquet" or path.is_file():
        raise ValueError
    return path


_SHARD_SIZE = whole_number(1, "rows")

_REPORT = Parser("a folder ending in .parquet, where a cluster has the list,", _parse_report)


def spread(  # noqa: PLR0913, PLR0917 - as `fetch`, and where
    images: ImageList,
    settings: Settings,
    report: Path | None,
    task: Task,
    audience: Audience,
    address: str,
) -> Spread:
    """As ``fetch``, by the workers of the Dask scheduler at *address*.

    Args:
        images: the list.
        settings: of the crawls.
        report: a folder, which gets a file for each shard.
        task: what is to be done.
        audience: that is told of it.
        address: of the scheduler.

    Raises:
        SettingError: something cannot be used; nothing has been downloaded.
        StoreFailed: the report cannot be written.
        FetchFailed: shards have failed, or the scheduler is gone; the others are done.
        KeyboardInterrupt: workers give up what is under way.
    """
    began = time.monotonic()
    folder = parse(_REPORT, "report", None if report is None else os.fspath(report))
    check_report_path(folder, "report")
    check_no_source(folder, images)
    parse(_SHARD_SIZE, "shard_size", task.shard_size)
    if task.output != FILES or task.processes != 1:
        raise SettingError("Expected --format files and --processes 1 where a cluster has the list")
    built = pipeline_for(settings, task)
    settings = named_for_all(settings, built)
    each = of_crawls.shared_out(settings, built, 1)
    looked = Looked(images)
    digests = looked.column(task.verify_hash, "the column of digests")
    orders = orders_of(each, built, replace(task, verify_hash=digests))
    what = deciding(settings, built, digests)
    item_key = str(settings.get("IMGPIPE_ITEM_KEY") or "")
    with closing(Engine(address)) as engine, closing(Parts(folder)) as parts:
        spreading = _Spreading(parts, orders, item_key, what, audience)
        engine.hear = spreading.hear
        spreading.cut(images, looked, task.shard_size)
        try:
            spreading.run(engine)
        except BaseException:
            with suppress(StoreFailed):  # there is worse to be told
                spreading.summarise(time.monotonic() - began)
            raise
        spreading.summarise(time.monotonic() - began)
        return spreading.ended(time.monotonic() - began)


class _Spreading:
    """One list on a cluster.

    Args:
        parts: of the report.
        orders: for each crawl, and for it once it has died.
        item_key: column that tells an item from the others in the report.
        what: that tells this way to do it from others.
        audience: that is told of it.
    """

    def __init__(
        self,
        parts: Parts,
        orders: tuple[bytes, bytes],
        item_key: str,
        what: str,
        audience: Audience,
    ) -> None:
        self._orders = orders
        self._item_key = item_key
        self._what = what
        self._audience = audience
        self._parts = parts
        self._before: dict[int, Facts] = {}
        self._now: dict[int, Facts] = {}
        self._failed: dict[int, str] = {}
        self._failed_in_a_row = 0
        self._far: dict[int, Far] = {}  # of those under way
        self._tries: Counter[int] = Counter()
        self._tried: dict[int, set[str]] = {}  # where it has failed
        self._is_alone = False
        self._lanes: dict[int, deque[Shard]] = {}

    def cut(self, images: ImageList, looked: Looked, shard_size: int) -> None:
        """Cut the list, or find it cut; look for shards that are done."""
        folder = self._parts.folder / _CUT
        found = known_cut(folder, images.identity, shard_size)
        if found is not None:
            self._look_at(found)
            if len(self._before) == len(found.shards) or found.has_lines():
                return
        progress = self._audience.progress

        def tell(_: int) -> None:
            if progress is not None:
                progress.update(0, share=images.share)

        self._look_at(cut(looked, folder, images.identity, shard_size, tell))

    def _look_at(self, found: Cut) -> None:
        self._cut = found
        self._before = self._parts.known(map(self._name, found.shards))

    def _name(self, shard: Shard) -> str:
        return sha256(f"{shard.digest} {self._what}".encode()).hexdigest()

    def hear(self, number: int, far: Far) -> None:
        """Take note of how far a shard is."""
        if number not in self._now:
            self._far[number] = far

    def run(self, engine: Engine) -> None:
        """Do all shards that are not done.

        Raises:
            FetchFailed: too many have failed in a row, or the scheduler is gone.
            KeyboardInterrupt: when asked to stop.
        """
        for shard in self._cut.shards:
            if shard.number not in self._before:
                self._lanes.setdefault(shard.lane, deque()).append(shard)
        # those that take longest begin first
        waiting = deque(sorted(self._lanes, key=lambda lane: -_rows_of(self._lanes[lane])))
        under_way: dict[int, int] = {}  # shard and its lane
        try:
            while waiting or under_way:
                self._look_for_workers(engine)
                while waiting and engine.places and len(under_way) <= engine.places:
                    lane = waiting.popleft()
                    shard = self._lanes[lane][0]
                    under_way[shard.number] = lane
                    self._tries[shard.number] += 1
                    engine.begin(self._order(shard), self._tried.get(shard.number, ()))
                came = engine.wait(_SECONDS)
                if came is not None:
                    lane = under_way.pop(came[0])
                    self._ended(*came, self._lanes[lane], engine)
                    if self._lanes[lane]:
                        waiting.appendleft(lane)
                self._tell()
        finally:
            self._far.clear()
            self._tell()
            if self._audience.progress is not None:
                self._audience.progress.close()

    def _look_for_workers(self, engine: Engine) -> None:
        if bool(engine.places) == self._is_alone:
            self._is_alone = not self._is_alone
            if self._is_alone:
                self._audience.say("The cluster has no workers: waiting for one")

    def _order(self, shard: Shard) -> ShardOrder:
        return ShardOrder(
            shard.number,
            self._name(shard),
            self._cut.lines(shard),
            self._orders,
            self._item_key,
            scrapy_imgpipe.__version__,
        )

    def _ended(self, number: int, end: ShardEnd, lane: deque[Shard], engine: Engine) -> None:
        """Take what came of the first shard of *lane*; it stays there to be done again."""
        self._far.pop(number, None)
        if end.part:
            self._now[number] = self._parts.put(number, end.part)
            self._failed_in_a_row = 0
            lane.popleft()
            return
        if end.worker:
            self._tried.setdefault(number, set()).add(end.worker)
        if end.is_unfit:
            engine.leave_out(end.worker)
            self._tries[number] -= 1
        if self._tries[number] < _MOST_TRIES:
            self._audience.say(f"Shard {number} is begun again: {end.problem}")
            return
        lane.popleft()
        self._failed[number] = end.problem
        self._failed_in_a_row += 1
        self._audience.say(f"Shard {number} has failed: {end.problem}")
        if self._failed_in_a_row >= _MOST_FAILED:
            raise FetchFailed(f"{_MOST_FAILED} shards failed in a row: {end.problem}")

    def _tell(self) -> None:
        if self._audience.progress is None:
            return
        far = [(0, 0, 0), *self._far.values()]
        far += [(facts.rows, facts.failed, facts.bytes_in) for facts in self._now.values()]
        done, failed, bytes_in = (sum(column) for column in zip(*far, strict=True))
        through = sum(facts.rows for facts in self._before.values()) + done
        self._audience.progress.update(
            done, failed, bytes_in, share=through / max(self._cut.rows, 1)
        )

    def summarise(self, seconds: float) -> None:
        """Write the summary, however the run has ended.

        Raises:
            StoreFailed: it cannot be written.
        """
        count = sum(facts.rows for facts in self._now.values())
        self._parts.summarise(
            {
                "lines": self._cut.rows,
                "shards": len(self._cut.shards),
                "shards_finished": len(self._before) + len(self._now),
                "shards_failed": self._failed,
                **totals([*self._before.values(), *self._now.values()]),
                "last_run": {
                    "seconds": round(seconds, 3),
                    "images": count,
                    "images_per_second": round(count / max(seconds, 1e-3), 1),
                },
            }
        )

    def ended(self, seconds: float) -> Spread:
        """Return what came of the list.

        Raises:
            FetchFailed: shards have failed.
        """
        results = Results([], "")
        for facts in self._now.values():
            results.outcomes.update(facts.outcomes)
            results.failed += facts.failed
            results.bytes_in += facts.bytes_in
            results.bytes_stored += facts.bytes_stored
        before: Counter[str] = Counter()
        for facts in self._before.values():
            before.update(facts.outcomes)
        fetched = Spread(results, self._parts.folder, before.total(), seconds, before)
        fetched.shards = len(self._cut.shards)
        fetched.failed_shards = self._failed
        if self._failed:
            number, why = next(iter(self._failed.items()))
            raise FetchFailed(
                f"{len(self._failed)} of {fetched.shards} shards failed,"
                f" shard {number} for this: {why} ({fetched})"
            )
        self._cut.forget_lines()
        return fetched


def _rows_of(shards: deque[Shard]) -> int:
    return sum(shard.rows for shard in shards)
