"""The service as its users run it: a process of its own, on a port of loopback."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = ROOT / "example_project" / "photos"
PHOTO = PHOTOS / "scikit-image" / "coffee.jpg"

_ADDRESS = re.compile(r"running on (http://\S+)")


def id_of(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


class Server:
    """A process of the service, and a client of it."""

    def __init__(self, store: Path | str, index: Path | None = None, **environment: str) -> None:
        path = os.pathsep.join(map(str, (ROOT, ROOT / "example_project")))
        command = [sys.executable, "-m", "service", "--port", "0", "--store", str(store)]
        if index is not None:
            command += ["--index", str(index)]
        self.process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": path, **environment},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        self.log: deque[str] = deque(maxlen=100)
        self.url = self._address()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        limits = httpx.Limits(max_connections=60)
        self.client = httpx.Client(base_url=self.url, timeout=60, limits=limits, trust_env=False)

    def _address(self) -> str:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            if found := _ADDRESS.search(line):
                return found[1]
        raise RuntimeError("The service did not start:\n" + "".join(self.log))

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.log.extend(self.process.stderr)

    def logged(self, words: str) -> bool:
        return any(words in line for line in list(self.log))

    def upload(self, data: bytes, mode: str = "now", **headers: str) -> httpx.Response:
        headers = {"Content-Type": "image/jpeg", **headers}
        return self.client.post("/images", params={"mode": mode}, content=data, headers=headers)

    def health(self) -> dict[str, Any]:
        return self.client.get("/health").json()

    def end(self, *, kill: bool = False) -> None:
        """End the process, at once or when it has finished; nothing may be left of it."""
        self.client.close()
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        self.process.wait(60)
        self._reader.join(60)
        assert self.process.stderr is not None
        self.process.stderr.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Return what starts a service; all are ended after the test."""
    servers: list[Server] = []

    def started(*args: Any, **kwargs: Any) -> Server:
        servers.append(Server(*args, **kwargs))
        return servers[-1]

    yield started
    for server in servers:
        if server.process.poll() is None:
            server.end()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    """Return a service that the tests of a module share, with an index."""
    server = Server(place / "store", place / "index.sqlite")
    yield server
    server.end()
    assert not [line for line in server.log if "Traceback" in line]
