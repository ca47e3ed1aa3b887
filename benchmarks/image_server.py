"""Serve image files from memory on 127.0.0.1, in a process of its own.

``python image_server.py FOLDER`` loads every file below FOLDER, prints its port
and serves until its standard input ends, so it cannot outlive whoever started it.
A query string is ignored: ``/500/7.jpg?copy=3`` is one more source for one file.
Does as little per request as a server can, for it shares the cores with the crawl;
``/cpu`` tells what it used, so that the benchmarks can say so.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = "/page"
"""The one page a crawl starts from."""

_TYPES = {".jpg": "image/jpeg", ".png": "image/png"}
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


class ImageProtocol(asyncio.Protocol):
    """Answers the GET requests of one kept-alive connection, in order."""

    def __init__(self, answers: dict[bytes, tuple[bytes, bytes]]) -> None:
        self.answers = answers
        self.unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to write to."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request whose head is complete; GET has no body."""
        self.unread += data
        while b"\r\n\r\n" in self.unread:
            head, self.unread = self.unread.split(b"\r\n\r\n", 1)
            path = head.split(b" ", 2)[1].split(b"?", 1)[0]
            if path == b"/cpu":
                self._send(*as_answer(str(time.process_time()).encode(), "text/plain"))
            else:
                self._send(*self.answers.get(path, (_NOT_FOUND, b"")))

    def _send(self, head: bytes, body: bytes) -> None:
        self.transport.write(head)
        self.transport.write(body)


def as_answer(body: bytes, content_type: str) -> tuple[bytes, bytes]:
    """Return head and body of a 200 response."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode(), body


def load(folder: Path) -> dict[bytes, tuple[bytes, bytes]]:
    """Return the answer to each URL path: every image below *folder*, and the page."""
    answers = {PAGE.encode(): as_answer(b"<html><title>photos</title></html>", "text/html")}
    for file in folder.rglob("*"):
        if file.suffix in _TYPES:
            path = f"/{file.relative_to(folder).as_posix()}"
            answers[path.encode()] = as_answer(file.read_bytes(), _TYPES[file.suffix])
    return answers


async def serve(folder: Path) -> None:
    """Serve *folder* until standard input ends."""
    answers = load(folder)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: ImageProtocol(answers), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


class ServerAddress:
    """Where a running image server is, and what it has cost."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"

    def cpu_s(self) -> float:
        """Return the server's CPU seconds, user and system, since its start."""
        with urlopen(f"{self.base}/cpu", timeout=10) as response:
            return float(response.read())


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[ServerAddress]:
    """Run the server of *folder* as a child process for the time of the block."""
    command = [sys.executable, __file__, str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            yield ServerAddress(int(server.stdout.readline()))
        finally:
            server.terminate()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
