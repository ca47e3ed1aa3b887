"""A cluster on loopback: a scheduler and two workers, processes that tests may kill."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

import distributed
import pytest

from tests.commands.conftest import environ, registered  # noqa: F401
from tests.crawl.crawls import POLL_SECONDS, TIMEOUT_SECONDS, environment
from tests.crawl.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORKERS = 2
_QUIET = {
    "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s",
    "DASK_LOGGING__DISTRIBUTED": "error",
}


class Cluster:
    """A Dask scheduler and its workers, each with a thread, in processes of their own.

    Args:
        folder: for their files.

    Attributes:
        address: of the scheduler.
        scheduler: its process.
        workers: theirs; no nanny, so that who is killed stays so.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "scheduler.json"
        self.scheduler = self._started("scheduler", "--port", "0", "--scheduler-file", self._file)
        self.address = self._address()
        self.workers = [self.start_worker() for _ in range(WORKERS)]

    def start_worker(self, *options: object) -> subprocess.Popen[bytes]:
        told = ("--nthreads", 1, "--no-nanny", "--local-directory", self._folder, *options)
        return self._started("worker", self.address, *told)

    def _started(self, kind: str, *arguments: object) -> subprocess.Popen[bytes]:
        found = environment()
        here = os.getcwd()  # pipelines of these tests  # noqa: PTH109
        told = ("--host", "127.0.0.1", "--no-dashboard", *map(str, arguments))
        with (self._folder / f"{kind}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{kind}", *told],
                env={**found, **_QUIET, "PYTHONPATH": os.pathsep.join((found["PYTHONPATH"], here))},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _address(self) -> str:
        for _ in range(int(TIMEOUT_SECONDS / POLL_SECONDS)):
            with contextlib.suppress(OSError, ValueError):
                return str(json.loads(self._file.read_text())["address"])
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.scheduler.wait(POLL_SECONDS)
                break
        raise AssertionError((self._folder / "scheduler.log").read_text())

    def wait_for_workers(self) -> None:
        """Wait until the scheduler knows all of them."""
        with distributed.Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(len(self.workers), timeout=TIMEOUT_SECONDS)

    def log(self) -> str:
        return "".join(log.read_text() for log in self._folder.glob("*.log"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def sites() -> Iterator[list[Site]]:
    """Serve on several hosts; Linux has many loopback addresses."""
    with contextlib.ExitStack() as stack:
        hosts = [f"127.0.0.{number}" for number in range(1, 7)]
        yield [stack.enter_context(Site(host)) for host in hosts]


def without_times(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return *rows* without what differs from run to run."""
    return [
        {name: cell for name, cell in row.items() if not name.startswith(("seconds", "finished"))}
        for row in rows
    ]


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        yield site
