"""A list on two workers: as on one machine, whoever is killed, and never twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scrapy_imgpipe import FetchFailed, SettingError, StoreFailed, fetch_images
from scrapy_imgpipe.cluster import engine
from scrapy_imgpipe.cluster.parts import Parts
from scrapy_imgpipe.cluster.settings import deciding, named_for_all
from scrapy_imgpipe.cluster.spread import Spread
from scrapy_imgpipe.fetching import settings as of_crawls
from scrapy_imgpipe.fetching.fetch import Task, pipeline_for
from scrapy_imgpipe.report import open_report, read_rows
from tests.cluster.conftest import Cluster, without_times
from tests.crawl.crawls import POLL_SECONDS, TIMEOUT_SECONDS, files
from tests.crawl.site import Answer, Site
from tests.fetching.commands import are_gone
from tests.fetching.reports import photos, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="Linux has many loopback addresses, /proc and pidfd"
)

COMMAND = (sys.executable, "-m", "scrapy", "imgpipe", "fetch")
EACH, AT_ONCE, SHARD, GATED = 50, 2, 50, 4

#: What Scrapy asks a host for at a time, unless it is told.
PER_HOST = 8


def fetched(cluster: Cluster, urls: object, folder: Path, **more: Any) -> Spread:
    more = {"shard_size": SHARD, **more}
    report = folder / "report.parquet"
    done = fetch_images(urls, folder / "store", report=report, cluster=cluster.address, **more)
    assert isinstance(done, Spread)
    return done


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files(folder)}


def descendants(pid: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found[1:]


class Gated:
    """A list of several hosts, none of which answers before it is let."""

    def __init__(self, sites: list[Site], folder: Path) -> None:
        self.gate = threading.Event()
        self.sites = sites[:GATED]
        self.urls = [url for site in self.sites for url in photos(site, EACH)]
        self.report = folder / "report.parquet"
        for site in self.sites:
            for path, body in site.answers.items():
                site.answers[path] = Answer(body, gate=self.gate)
        self.list = folder / "list.txt"
        self.list.write_text("\n".join(self.urls))

    def wait_for_two_shards(self) -> None:
        """Wait until two hosts are asked, each by a crawl of its own."""
        for _ in range(int(TIMEOUT_SECONDS / POLL_SECONDS)):
            if self._two_are_asked():
                return
            threading.Event().wait(POLL_SECONDS)
        raise AssertionError("fewer hosts were asked")

    def _two_are_asked(self) -> bool:
        return sum(bool(site.visits) for site in self.sites) >= 2


@pytest.fixture
def gated(sites: list[Site], tmp_path: Path) -> Iterator[Gated]:
    gated = Gated(sites, tmp_path)
    yield gated
    gated.gate.set()


class Client:
    """``scrapy imgpipe fetch --cluster`` as a process."""

    def __init__(self, folder: Path, environ: dict[str, str], *arguments: object) -> None:
        self._log = folder / "client.log"
        told = ("--store", "store", "--report", "report.parquet", "--shard-size", SHARD)
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*COMMAND, *map(str, (*arguments, *told))],
                env=environ,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def end(self) -> tuple[int, str]:
        try:
            code = self.process.wait(TIMEOUT_SECONDS)
        finally:
            self.process.kill()
            self.process.wait()
        return code, self._log.read_text()


def test_it_is_as_on_one_machine_and_not_done_again(
    cluster: Cluster, sites: list[Site], tmp_path: Path
) -> None:
    urls = [url for site in sites for url in photos(site, EACH)]
    urls[7] = "no URL"
    urls[60] = sites[1].url("/none.jpg")
    records = [{"link": url, "sku": f"s{number}"} for number, url in enumerate(urls)]
    small: dict[str, Any] = {"thumbs": {"small": (20, 20)}, "column": "link"}
    small["shard_size"] = 2 * EACH
    first = fetched(cluster, records, tmp_path, **small)
    assert first.outcomes == {"stored": 298, "bad-url": 1, "http-status": 1}
    assert first.shards == 4
    alone = fetch_images(records, tmp_path / "alone", report=tmp_path / "alone.parquet", **small)
    for part in first.report.glob("part-*.parquet"):
        lines = [row["line"] for row in read_rows(part)]
        assert lines == sorted(lines)
    there, here = (without_times(rows_of(one)) for one in (first, alone))
    assert there == here
    assert contents(tmp_path / "store") == contents(tmp_path / "alone")
    summary = json.loads((first.report / "summary.json").read_text())
    assert (summary["lines"], summary["shards_finished"], summary["failed"]) == (300, 4, 2)
    assert summary["outcomes"] == first.outcomes
    for site in sites:
        site.forget()
    again = fetched(cluster, records, tmp_path, **small)
    assert (again.passed_over, again.outcomes) == (300, {})
    assert again.outcomes_before == first.outcomes
    assert not any(site.visits for site in sites)
    assert without_times(rows_of(again)) == here
    # a part that is damaged is done again, and that alone
    part = first.report / "part-00002.parquet"
    lost = len([*read_rows(part)])
    part.write_bytes(b"PAR1")
    mended = fetched(cluster, records, tmp_path, **small)
    assert (mended.passed_over, mended.outcomes.total()) == (300 - lost, lost)
    assert {*mended.outcomes} <= {"up-to-date", "bad-url", "http-status"}
    assert len(rows_of(mended)) == 300
    # another way to do it is another report
    larger = fetched(cluster, records, tmp_path, **{**small, "thumbs": {"small": (30, 30)}})
    assert larger.passed_over == 0
    shorter = fetched(cluster, records[:100], tmp_path, **small)
    assert (shorter.passed_over, len(rows_of(shorter))) == (0, 100)


def test_a_killed_workers_shard_is_done_by_another(
    cluster: Cluster, gated: Gated, tmp_path: Path
) -> None:
    ended: list[Spread] = []
    thread = threading.Thread(
        target=lambda: ended.append(fetched(cluster, gated.urls, tmp_path)), daemon=True
    )
    thread.start()
    gated.wait_for_two_shards()
    crawls = descendants(cluster.workers[0].pid)
    assert crawls
    cluster.workers[0].kill()
    cluster.workers[0].wait()
    assert are_gone(crawls)
    gated.gate.set()
    thread.join(TIMEOUT_SECONDS)
    (done,) = ended
    rows = rows_of(done)
    assert [row["url"] for row in rows] == gated.urls
    assert {row["outcome"] for row in rows} == {"stored"}
    assert len(files(tmp_path / "store")) == len(gated.urls)
    assert not done.failed_shards


def test_who_takes_over_lets_the_crawl_of_the_dead_end_first(
    cluster: Cluster, gated: Gated, tmp_path: Path
) -> None:
    site, urls = gated.sites[0], gated.urls[:EACH]
    ended: list[Spread] = []
    thread = threading.Thread(
        target=lambda: ended.append(fetched(cluster, urls, tmp_path)), daemon=True
    )
    thread.start()
    while len(site.visits) < PER_HOST:
        thread.join(POLL_SECONDS)
        assert thread.is_alive()
    (busy,) = (worker for worker in cluster.workers if descendants(worker.pid))
    crawls = descendants(busy.pid)
    busy.kill()
    busy.wait()
    assert are_gone(crawls)
    assert len(site.visits) == PER_HOST  # the other worker is idle, and asks nobody yet
    gated.gate.set()
    thread.join(TIMEOUT_SECONDS)
    assert ended[0].outcomes == {"stored": EACH}


def test_a_host_is_never_in_two_shards_at_a_time(
    cluster: Cluster, sites: list[Site], tmp_path: Path
) -> None:
    giant, *others = sites
    urls = photos(giant, 3 * EACH) + [url for site in others for url in photos(site, 10)]
    for site in sites:
        for path, body in site.answers.items():
            site.answers[path] = Answer(body, drips=2)
    limits = {"CONCURRENT_REQUESTS_PER_DOMAIN": AT_ONCE}
    done = fetched(cluster, urls, tmp_path, settings=limits, shard_size=40)
    assert done.shards >= 5
    assert {row["outcome"] for row in rows_of(done)} == {"stored"}
    assert [max(visit.beside for visit in site.visits) + 1 for site in sites] == [AT_ONCE] * 6
    # and meanwhile another worker had the other hosts
    spans = [(site.visits[0].seconds, site.visits[-1].seconds) for site in sites]
    assert any(spans[0][0] < begin < spans[0][1] for begin, _ in spans[1:])


def test_ctrl_c_ends_the_crawls_of_all_workers(
    cluster: Cluster, gated: Gated, tmp_path: Path, environ: dict[str, str]
) -> None:
    client = Client(tmp_path, environ, gated.list, "--cluster", cluster.address)
    gated.wait_for_two_shards()
    crawls = [pid for worker in cluster.workers for pid in descendants(worker.pid)]
    assert len(crawls) >= 2
    client.process.send_signal(signal.SIGINT)
    code, text = client.end()
    assert code == 130, text
    assert "Traceback" not in text
    assert are_gone(crawls)
    summary = json.loads((gated.report / "summary.json").read_text())
    assert (summary["shards"], summary["shards_finished"]) == (GATED, 0)
    gated.gate.set()
    code, text = Client(tmp_path, environ, gated.list, "--cluster", cluster.address).end()
    assert code == 0, text
    assert len(rows_of(gated.report)) == len(gated.urls)


def test_a_killed_client_leaves_no_crawls(
    cluster: Cluster, gated: Gated, tmp_path: Path, environ: dict[str, str]
) -> None:
    client = Client(tmp_path, environ, gated.list, "--cluster", cluster.address)
    gated.wait_for_two_shards()
    crawls = [pid for worker in cluster.workers for pid in descendants(worker.pid)]
    client.process.kill()
    client.end()
    assert are_gone(crawls)


def test_a_scheduler_that_goes_is_one_sentence(
    cluster: Cluster, gated: Gated, tmp_path: Path, environ: dict[str, str]
) -> None:
    client = Client(tmp_path, environ, gated.list, "--cluster", cluster.address)
    gated.wait_for_two_shards()
    crawls = [pid for worker in cluster.workers for pid in descendants(worker.pid)]
    cluster.scheduler.kill()
    code, text = client.end()
    assert are_gone(crawls)
    assert code == 2, text
    gone = f"scrapy imgpipe fetch: The scheduler at {cluster.address} is gone"
    assert text.splitlines()[-1].startswith(gone)
    assert "Traceback" not in text


def test_no_scheduler_no_worker_no_report(
    tmp_path: Path, site: Site, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_PATIENCE_SECONDS", 1)
    nobody = site.refusing_url.replace("http", "tcp").rpartition("/")[0]
    told = {"store": tmp_path / "store", "report": tmp_path / "report.parquet"}
    with pytest.raises(SettingError, match="Expected the address of a Dask scheduler"):
        fetch_images(["http://127.0.0.1/a"], **told, cluster="nonsense://")
    with pytest.raises(SettingError, match="Expected the address of a Dask scheduler"):
        fetch_images(["http://127.0.0.1/a"], **told, cluster=nobody)
    with pytest.raises(SettingError, match=r"folder ending in \.parquet.*received 'run\.jsonl'"):
        fetch_images([], tmp_path / "store", report="run.jsonl", cluster=nobody)
    with pytest.raises(SettingError, match=r"folder ending in \.parquet.*received None"):
        fetch_images([], tmp_path / "store", cluster=nobody)
    with pytest.raises(SettingError, match="--format files"):
        fetch_images([], **told, output="webdataset", cluster=nobody)
    for worker in cluster.workers:
        worker.kill()
        worker.wait()
    with pytest.raises(SettingError, match="has no workers"):
        fetch_images([], **told, cluster=cluster.address)


def test_a_shard_that_fails_costs_itself(
    cluster: Cluster, sites: list[Site], tmp_path: Path
) -> None:
    """Two hosts, of which one has an image that kills each crawl at once."""
    urls = [url for site in sites for url in photos(site, 10)]
    told: dict[str, Any] = {"pipeline": "tests.cluster.pipelines.Deadly", "shard_size": 10}
    with pytest.raises(FetchFailed, match=r"^1 of 6 shards failed.*died 3 times in a row"):
        fetched(cluster, [*urls[:-10], "http://deadly.example/"], tmp_path, **told)
    summary = json.loads((tmp_path / "report.parquet" / "summary.json").read_text())
    assert (summary["shards_finished"], len(summary["shards_failed"])) == (5, 1)
    assert summary["outcomes"] == {"stored": 50}


def test_workers_of_another_version_are_named(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scrapy_imgpipe.__version__", "9.9")
    with pytest.raises(SettingError, match=r"^tcp://127.* has scrapy-imgpipe .*, and not 9\.9$"):
        fetched(cluster, ["http://127.0.0.1/a"], tmp_path)


def test_a_late_worker_of_another_version_costs_nobody_a_try(
    cluster: Cluster, gated: Gated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left_out = cluster.workers.pop()
    left_out.kill()
    left_out.wait()
    ended: list[Spread] = []
    thread = threading.Thread(
        target=lambda: ended.append(fetched(cluster, gated.urls, tmp_path)), daemon=True
    )
    thread.start()
    while not any(site.visits for site in gated.sites):
        thread.join(POLL_SECONDS)
        assert thread.is_alive()
    other = tmp_path / "other.py"
    other.write_text("import scrapy_imgpipe; scrapy_imgpipe.__version__ = '0.0.1'")
    cluster.workers.append(cluster.start_worker("--preload", other))
    while "begun again: tcp://127" not in capsys.readouterr().err:  # it is there
        thread.join(POLL_SECONDS)
        assert thread.is_alive()
    # it alone is left for a while: that is no reason to fail
    cluster.workers[0].kill()
    cluster.workers[0].wait()
    said = ""
    while "no workers: waiting for one" not in said:
        said += capsys.readouterr().err
        thread.join(POLL_SECONDS)
        assert thread.is_alive()
    cluster.workers.append(cluster.start_worker())
    gated.gate.set()
    thread.join(TIMEOUT_SECONDS)
    (done,) = ended
    assert done.outcomes.total() == len(gated.urls)
    assert {*done.outcomes} <= {"stored", "up-to-date"}


def test_a_worker_that_dies_with_what_it_has_done_costs_its_shard_only(
    cluster: Cluster, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has ended, the scheduler knows so, and nobody has fetched what came of it."""
    cluster.wait_for_workers()
    left = list(cluster.workers)
    wait = engine.Engine.wait

    def late(self: engine.Engine, seconds: float) -> Any:
        while left and self._ended.empty():
            threading.Event().wait(POLL_SECONDS)
        if left:
            (task,) = self._tasks.values()
            (holder,) = next(iter(self._client.who_has([task]).values()))
            pids = self._client.run(os.getpid)
            (dead,) = (worker for worker in left if worker.pid == pids[holder])
            left.clear()
            dead.kill()
            dead.wait()
            while task.status == "finished":
                threading.Event().wait(POLL_SECONDS)
        return wait(self, seconds)

    monkeypatch.setattr(engine.Engine, "wait", late)
    done = fetched(cluster, photos(site, 4), tmp_path)
    assert not left
    assert done.outcomes.total() == 4


def test_a_worker_that_does_not_answer_is_named(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_PATIENCE_SECONDS", 1)
    cluster.wait_for_workers()
    stopped = cluster.workers[0]
    stopped.send_signal(signal.SIGSTOP)
    with pytest.raises(SettingError, match=r"^tcp://127\.0\.0\.1:[0-9]+ does not answer$"):
        fetched(cluster, ["http://127.0.0.1/a"], tmp_path)


def test_failures_of_before_count_for_fail_on(
    cluster: Cluster, site: Site, tmp_path: Path, environ: dict[str, str]
) -> None:
    site.answers["/a.jpg"] = Answer(status=404)
    told = (site.url("/a.jpg"), "--cluster", cluster.address, "--fail-on", "any")
    for said in ("Images: 0 stored", "Done before: 1 of the list"):
        code, text = Client(tmp_path, environ, *told).end()
        assert code == 1, text
        assert said in text


def test_a_report_has_one_run_at_a_time(tmp_path: Path) -> None:
    with closing(Parts(tmp_path)), pytest.raises(SettingError, match="no other run has"):
        Parts(tmp_path)
    Parts(tmp_path).close()


def test_parts_of_another_kind_of_report_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "report.parquet"
    with closing(open_report(folder)) as report:
        report.write([{"url": "a"}])
    before = contents(folder)
    with pytest.raises(SettingError, match=r"which has 'part-00000\.parquet'"):
        Parts(folder)
    assert contents(folder) == before
    (folder / "part-00000.parquet").rename(folder / "mine.parquet")
    with pytest.raises(SettingError, match=r"which has 'mine\.parquet'"):
        Parts(folder)
    (folder / "mine.parquet").unlink()
    (folder / ".lock").write_text("somebody else's" * 100)
    with pytest.raises(StoreFailed, match="Could not lock"):
        Parts(folder)


@pytest.mark.parametrize("size", [0, -3, 2.5, "5 lines"])
def test_a_shard_has_a_line_at_least(tmp_path: Path, size: Any) -> None:
    report = tmp_path / "report.parquet"
    with pytest.raises(SettingError, match="for shard_size"):
        fetch_images([], tmp_path, report=report, cluster="tcp://127.0.0.1:9", shard_size=size)


def test_paths_mean_the_same_in_all_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"IMAGES_STORE": Path("store"), "IMGPIPE_INDEX": "index.sqlite"}
    settings = of_crawls.complete(given)
    named = named_for_all(settings, pipeline_for(settings, Task()))
    other = of_crawls.complete({**given, "IMAGES_THUMBS": {"a": (9, 9)}})
    what = [deciding(one, pipeline_for(one, Task()), "") for one in (settings, other)]
    assert what[0] != what[1]
    assert named["IMAGES_STORE"] == str(tmp_path / "store")
    assert named["IMGPIPE_INDEX"] == str(tmp_path / "index.sqlite")
    for index in ("off", "redis://127.0.0.1/0"):
        settings = of_crawls.complete({**given, "IMGPIPE_INDEX": index})
        assert named_for_all(settings, pipeline_for(settings, Task()))["IMGPIPE_INDEX"] == index


def test_the_cpus_of_a_worker_are_shared_by_its_threads() -> None:
    import io

    from scrapy_imgpipe.cluster.shard import _shared_out
    from scrapy_imgpipe.fetching import wires

    orders = wires.packed(wires.Orders({"IMGPIPE_WORKERS": (7, 20)}, "a.B"))
    assert _shared_out(orders, 1) == orders
    for given, workers in ((orders, 3), (wires.packed(wires.Orders({}, "a.B")), None)):
        read = wires.read_orders(io.BytesIO(_shared_out(given, 3)))
        expected = workers or -(-len(os.sched_getaffinity(0)) // 3)
        assert read.settings["IMGPIPE_WORKERS"] == (expected, 40)
