"""An Azurite on loopback: Azure's blob storage, as Microsoft gives it for tests.

``npm install azurite`` brings it; ``AZURITE`` names its ``azurite-blob``, else the one on the
path counts.
"""

from __future__ import annotations

import base64
import hmac
import http.client
import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACCOUNT = "tests"
KEY = base64.b64encode(b"a key that is made up for these tests").decode()
CONTAINER = "images"
START_SECONDS = 60


def program() -> str | None:
    """Return the path of the server; None where it is not installed."""
    return os.environ.get("AZURITE") or shutil.which("azurite-blob")


@contextmanager
def azurite(folder: Path) -> Iterator[str]:
    """Run a server with its files in *folder*; yield the endpoint of its account."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(str(program()), "--blobHost", "127.0.0.1", "--blobPort", str(port)),
        *("--location", str(folder), "--silent", "--disableTelemetry", "--skipApiVersionCheck"),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env={"PATH": os.environ["PATH"], "AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_for(port, process, folder / "log")
            endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
            _make_container(endpoint)
            yield endpoint
        finally:
            process.kill()
            process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"The server did not start:\n{log.read_text(errors='replace')}")


def _make_container(endpoint: str) -> None:
    """Make it as learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key has it."""
    parts = urlsplit(endpoint)
    path = f"{parts.path}/{CONTAINER}"
    told = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
    lines = ["PUT", *[""] * 11, *(f"{name}:{value}" for name, value in told.items())]
    text = "\n".join((*lines, f"/{ACCOUNT}{path}", "restype:container"))
    digest = hmac.digest(base64.b64decode(KEY), text.encode(), "sha256")
    told["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
    there = http.client.HTTPConnection(parts.netloc, timeout=10)
    there.request("PUT", f"{path}?restype=container", headers=told)
    answer = there.getresponse()
    if answer.status != http.HTTPStatus.CREATED:
        raise RuntimeError(answer.read().decode())
    there.close()
