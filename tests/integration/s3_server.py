"""A SeaweedFS on loopback, which checks signatures and digests as S3 does."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY, SECRET = "test-key", "test-secret"
READER, READER_SECRET = "reader-key", "reader-secret"
BUCKET = "images"
START_SECONDS = 60

#: Who may do what: one who may do everything, and one who may only read.
IDENTITIES = {
    "identities": [
        {
            "name": "owner",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "List", "Tagging", "Write"],
        },
        {
            "name": "reader",
            "credentials": [{"accessKey": READER, "secretKey": READER_SECRET}],
            "actions": ["Read", "List"],
        },
    ]
}


def free_ports(count: int) -> list[int]:
    """Return ports that are free just now, each with the one 10,000 above it."""
    found: list[int] = []
    held = []
    try:
        while len(found) < count:
            low = socket.socket()
            held.append(low)
            low.bind(("127.0.0.1", 0))
            port = low.getsockname()[1]
            if port > 50_000 or port < 10_000:  # its second one is a port, too
                continue
            with socket.socket() as high:
                try:
                    high.bind(("127.0.0.1", port + 10_000))
                except OSError:
                    continue
            found.append(port)
    finally:
        for one in held:
            one.close()
    return found


@contextmanager
def seaweed(folder: Path) -> Iterator[str]:
    """Run a server with its files in *folder*; yield its endpoint."""
    program = shutil.which("weed") or str(Path(sys.executable).with_name("weed"))
    master, volume, filer, s3, admin = free_ports(5)
    (folder / "data").mkdir()
    (folder / "identities.json").write_text(json.dumps(IDENTITIES))
    # Its sockets lie under a path of a hundred characters at most.
    with tempfile.TemporaryDirectory(prefix="weed-") as sockets, (folder / "log").open("wb") as log:
        command = [
            *(program, "mini", f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
            *("-master.telemetry=false", "-webdav=false", "-admin.ui=false"),
            *(f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"),
            *(f"-admin.port={admin}", f"-s3.port={s3}", "-s3.port.iceberg=0", "-s3.port.lance=0"),
            *(f"-s3.config={folder / 'identities.json'}", "-s3.autoCreateBucket=false"),
            *(f"-filer.localSocket={sockets}/filer.sock", f"-s3.localSocket={sockets}/s3.sock"),
            f"-bucket={BUCKET}",
        ]
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={"PATH": os.environ.get("PATH", ""), "HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_for(f"http://127.0.0.1:{s3}/", process, folder / "log")
            yield f"http://127.0.0.1:{s3}"
        finally:
            process.kill()
            process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):
                pass
        except urllib.error.HTTPError:
            if "components are running" in log.read_text(errors="replace"):
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"The server did not start:\n{log.read_text(errors='replace')}")
