"""Serve image files from memory on 127.0.0.1, in a process of its own.

``python image_server.py FOLDER`` loads every file below FOLDER, prints its port
and serves until its standard input ends, so it cannot outlive whoever started it.
A query string is ignored: ``/500/7.jpg?copy=3`` is one more source for one file.
Does as little per request as a server can, for it shares the cores with the crawl;
``/cpu`` tells what it used, so that the benchmarks can say so.

``--latency-ms`` lets each image wait, and has the transfers counted that are open at
once: ``/transfers`` tells the most of them since it was last asked. ``--hosts`` serves
on 127.0.0.1, 127.0.0.2 and so on, each a host of its own to a crawler; Linux has all
of 127.0.0.0/8 on loopback. ``--rate-kib`` lets each connection have so many KiB a second,
and ``/sent`` tells how many bytes of bodies went out since it was last asked.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = "/page"
"""The one page a crawl starts from."""

_TYPES = {
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".gif": "image/gif",
    ".html": "image/jpeg",  # as servers say that send a page in place of an image
    ".mp4": "image/jpeg",
}
SLICE = 16 << 10
"""Bytes that a slow server sends at a time."""

_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True)
class Transfers:
    """How many images were under way at once, at most."""

    in_all: int
    per_host: int
    """To the host that had the most."""


@dataclass
class TransferCount:
    """Counts the images under way: asked for, and not yet handed to the network whole."""

    now: Counter[str] = field(default_factory=Counter)
    most: int = 0
    most_per_host: int = 0

    def begin(self, host: str) -> None:
        """Count one more to *host*."""
        self.now[host] += 1
        self.most = max(self.most, self.now.total())
        self.most_per_host = max(self.most_per_host, self.now[host])

    def end(self, host: str, transfers: int = 1) -> None:
        """Count *transfers* less to *host*."""
        self.now[host] -= transfers

    def told(self) -> bytes:
        """Return the maxima as JSON, and forget them."""
        told = json.dumps([self.most, self.most_per_host]).encode()
        self.most = self.most_per_host = 0
        return told


class ImageProtocol(asyncio.Protocol):
    """Answers the GET requests of one kept-alive connection, in order."""

    def __init__(self, answers: dict[bytes, tuple[bytes, bytes]], count: TransferCount) -> None:
        self.answers = answers
        self.count = count
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
            elif path == b"/transfers":
                self._send(*as_answer(self.count.told(), "application/json"))
            else:
                self._answer(*self.answers.get(path, (_NOT_FOUND, b"")))

    def _answer(self, head: bytes, body: bytes) -> None:
        self._send(head, body)

    def _send(self, head: bytes, body: bytes) -> None:
        self.transport.write(head)
        self.transport.write(body)


class LateProtocol(ImageProtocol):
    """Lets each image and page wait, and counts what is under way."""

    latency_s = 0.0  # set once, before the first connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask to be told when all that was written is with the network."""
        super().connection_made(transport)
        self.host: str = self.transport.get_extra_info("sockname")[0]
        self.transport.set_write_buffer_limits(high=0)
        self.under_way = 0

    def connection_lost(self, _exc: Exception | None) -> None:
        """Count nothing of this connection any more."""
        self.count.end(self.host, self.under_way)
        self.under_way = 0

    def resume_writing(self) -> None:
        """Count what was written as through."""
        self._end()

    def _answer(self, head: bytes, body: bytes) -> None:
        self.under_way += 1
        self.count.begin(self.host)
        asyncio.get_running_loop().call_later(self.latency_s, self._send_late, head, body)

    def _send_late(self, head: bytes, body: bytes) -> None:
        if self.transport.is_closing():
            return
        self._send(head, body)
        if not self.transport.get_write_buffer_size():  # else resume_writing follows
            self._end()

    def _end(self) -> None:
        if self.under_way:  # resume_writing also comes for answers that are not counted
            self.under_way -= 1
            self.count.end(self.host)


class SlowProtocol(ImageProtocol):
    """Lets each connection have a part of the line, and counts what went out."""

    rate = 0.0  # bytes a second; set once, before the first connection
    sent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send one answer after the other."""
        super().connection_made(transport)
        self.free_at = 0.0

    def data_received(self, data: bytes) -> None:
        """Tell what was sent, or answer as ever."""
        if data.startswith(b"GET /sent "):
            self._send(*as_answer(str(SlowProtocol.sent).encode(), "text/plain"))
            SlowProtocol.sent = 0
        else:
            super().data_received(data)

    def _answer(self, head: bytes, body: bytes) -> None:
        loop = asyncio.get_running_loop()
        self.free_at = max(self.free_at, loop.time() + LateProtocol.latency_s)
        for start in range(0, max(len(body), 1), SLICE):
            piece = body[start : start + SLICE]
            loop.call_at(self.free_at, self._send_slice, head if not start else b"", piece)
            self.free_at += len(piece) / SlowProtocol.rate

    def _send_slice(self, head: bytes, piece: bytes) -> None:
        if not self.transport.is_closing():
            self._send(head, piece)
            SlowProtocol.sent += len(piece)


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


def address(host: int) -> str:
    """Return the loopback address of the *host*-th host, counted from 0."""
    return f"127.0.0.{host + 1}"


async def serve(folder: Path, hosts: int, latency_s: float, rate: float) -> None:
    """Serve *folder* until standard input ends."""
    answers, count = load(folder), TransferCount()
    LateProtocol.latency_s, SlowProtocol.rate = latency_s, rate
    protocol = LateProtocol if latency_s else ImageProtocol
    if rate:
        protocol = SlowProtocol
    loop = asyncio.get_running_loop()
    port = 0  # any that is free, then the same for all
    for i in range(hosts):
        server = await loop.create_server(lambda: protocol(answers, count), address(i), port)
        port = server.sockets[0].getsockname()[1]
    print(port, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


class ServerAddress:
    """Where a running image server is, what it has cost, and what it has seen."""

    def __init__(self, port: int, hosts: int = 1) -> None:
        self.bases = [f"http://{address(i)}:{port}" for i in range(hosts)]
        self.base = self.bases[0]

    def cpu_s(self) -> float:
        """Return the server's CPU seconds, user and system, since its start."""
        return float(self._ask("/cpu"))

    def transfers(self) -> Transfers:
        """Return the most images under way at once since this was last asked.

        0 for a server without latency, which does not count.
        """
        return Transfers(*json.loads(self._ask("/transfers")))

    def sent(self) -> int:
        """Return how many bytes of bodies a slow server has sent since this was last asked."""
        return int(self._ask("/sent"))

    def _ask(self, path: str) -> bytes:
        with urlopen(f"{self.base}{path}", timeout=10) as response:
            answer: bytes = response.read()
        return answer


@contextlib.contextmanager
def serving(
    folder: Path, *, hosts: int = 1, latency_ms: float = 0.0, rate_kib: float = 0.0
) -> Iterator[ServerAddress]:
    """Run the server of *folder* as a child process for the time of the block."""
    command = [sys.executable, __file__, str(folder)]
    command += [f"--hosts={hosts}", f"--latency-ms={latency_ms}", f"--rate-kib={rate_kib}"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            yield ServerAddress(int(server.stdout.readline()), hosts)
        finally:
            server.terminate()


def main() -> None:
    """Serve as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--hosts", type=int, default=1)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--rate-kib", type=float, default=0.0)
    arguments = parser.parse_args()
    rate = arguments.rate_kib * 1024
    asyncio.run(serve(arguments.folder, arguments.hosts, arguments.latency_ms / 1000, rate))


if __name__ == "__main__":
    main()
