"""A Google Cloud Storage on loopback: gcp-storage-emulator, and answers it would never give."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import ThreadingHTTPServer
from io import BytesIO
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from gcp_storage_emulator.server import RequestHandler
from gcp_storage_emulator.storage import Storage
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Client

BUCKET = "images"
#: Longest that an answer is held back, in seconds; only a failing test waits so long.
HELD_SECONDS = 30
#: Digests of 8 bytes, four of which :func:`cuts_short` sends.
HALF_HASH = "crc32c=DqNeOg==,md5=4ElUvxdNu3g7lQ7KLbfBWw=="


class Seen(NamedTuple):
    """A request that has come."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes

    @property
    def properties(self) -> Any:
        """What an upload says of its object: JSON, alone or as the first part of two."""
        if self.query["uploadType"] == "resumable":
            return json.loads(self.body)
        return json.loads(self.body.split(b"\r\n\r\n", 2)[1].partition(b"\r\n--")[0])


class Handler(RequestHandler):  # type: ignore[misc] # the emulator has no types
    """One connection; requests go to the emulator where no fault is due."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # it writes headers and body apart: 40 ms for each answer
    server: GcsServer

    def do(self, real: Callable[[RequestHandler], None]) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        seen = Seen(self.command, unquote(url.path), dict(parse_qsl(url.query)), body)
        self.server.connections.add(self.client_address)
        fault = self.server.take(seen)
        if fault is not None:
            fault(self)
            return
        connection, self.rfile = self.rfile, BytesIO(self.server.change(body))
        with self.server.lock:  # the emulator is made for one thread
            real(self)
        self.rfile = connection

    def do_GET(self) -> None:  # noqa: N802 - http.server's names
        self.do(RequestHandler.do_GET)

    def do_POST(self) -> None:  # noqa: N802
        self.do(RequestHandler.do_POST)

    def do_PUT(self) -> None:  # noqa: N802
        self.do(RequestHandler.do_PUT)

    def do_DELETE(self) -> None:  # noqa: N802
        self.do(RequestHandler.do_DELETE)

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def hang_up(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True


#: What is done to a request in place of the emulator; None leaves it to the emulator.
Fault = Callable[[Handler], None] | None


class GcsServer(ThreadingHTTPServer):
    """The server, for :func:`serving`.

    Attributes:
        seen: every request, in the order they came.
        connections: addresses of all clients.
        faults: what is done to the next requests; when there are no more, the emulator answers.
        change: what is done to the bodies that the emulator gets.
        url: for ``STORAGE_EMULATOR_HOST``.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.connections: set[Any] = set()
        self.faults: Iterator[Fault] = iter(())
        self.change: Callable[[bytes], bytes] = bytes
        self.lock = threading.Lock()
        self.over = threading.Event()
        super().__init__(("127.0.0.1", 0), partial(Handler, Storage(use_memory_fs=True)))
        self.url = f"http://127.0.0.1:{self.server_port}"

    def take(self, seen: Seen) -> Fault:
        with self.lock:
            self.seen.append(seen)
            return next(self.faults, None)

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients hang up, and so do we."""


@contextmanager
def serving(*buckets: str) -> Iterator[GcsServer]:
    """Run a server with *buckets*; ``STORAGE_EMULATOR_HOST`` has to name it for its clients.

    Yields:
        It, with nothing seen.
    """
    with GcsServer() as server:
        # A loop's turn, in seconds, is what its end takes.
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            _make(server, buckets)
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


def _make(server: GcsServer, buckets: tuple[str, ...]) -> None:
    client = Client("test", AnonymousCredentials(), client_options={"api_endpoint": server.url})
    for bucket in buckets:
        client.create_bucket(bucket, timeout=5, retry=None)
    client.close()
    server.seen.clear()
    server.connections.clear()


def says(status: int, body: bytes | dict[str, Any] = b"", **headers: str) -> Fault:
    """Answer with *status* and *body*; what is no bytes is sent as JSON."""
    is_bytes = isinstance(body, bytes)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    told.setdefault("Content-Type", "text/html" if is_bytes else "application/json")

    def fault(handler: Handler) -> None:
        handler.answer(status, content, told)

    fault.__name__ = f"says-{status}"  # for the names of tests
    return fault


def refuses(status: int, message: str) -> Fault:
    """Answer as the JSON API does
    (cloud.google.com/storage/docs/json_api/v1/status-codes).
    """
    error = {"message": message, "domain": "global", "reason": "notFound"}
    return says(status, {"error": {"code": status, "message": message, "errors": [error]}})


def hangs(handler: Handler) -> None:
    """Say nothing until the test is over."""
    handler.server.over.wait(HELD_SECONDS)
    handler.close_connection = True


def cuts(handler: Handler) -> None:
    """End the connection in place of an answer."""
    handler.hang_up()


def cuts_short(handler: Handler) -> None:
    """End the connection in the middle of a body; the digests are of all of it."""
    headers = {"Content-Length": "8", "Content-Type": "image/jpeg", "X-Goog-Hash": HALF_HASH}
    handler.answer(200, b"half", headers)
    handler.hang_up()
