"""A web site on loopback: answers are scripted, faults included, and visits are counted."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Gate = threading.Event

#: Between two pieces of a slow answer, in seconds.
DRIP_SECONDS = 0.02
#: Longest that an answer is held back, in seconds; only a failing test waits so long.
HELD_SECONDS = 30


@dataclass
class Answer:
    """What one path answers.

    Attributes:
        body: what the client is to get.
        status: HTTP status.
        headers: besides Content-Length and Connection.
        cut: bytes of the body that are sent; Content-Length still promises all of it.
        drips: pieces that the body is sent in, with a short pause after each.
        reset: the connection is reset in place of any answer.
        gate: the answer is held back until this is set.
        raw: sent as it is in place of any answer, and then the connection ends.
        etag: validator; who asks with it gets a 304 without a body.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    drips: int = 1
    reset: bool = False
    gate: Gate | None = None
    raw: bytes = b""
    etag: str = ""


@dataclass(frozen=True)
class Visit:
    """One request that reached the server.

    Attributes:
        path: of its URL.
        referer: its header.
        seconds: when it came, on a clock that only goes forward.
        beside: how many other requests were being answered just then.
    """

    path: str
    referer: str | None
    seconds: float
    beside: int


class Site:
    """The site; ``with Site() as site`` serves it on a port of its own.

    Args:
        host: a loopback address; Linux has many of them.

    Attributes:
        answers: what each path answers; bytes are a 200, of a list each is given once and
            the last one for ever. Other paths are a 404.
        visits: every request, in the order they came.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host = host
        self.answers: dict[str, Answer | bytes | list[Answer | bytes]] = {}
        self.visits: list[Visit] = []
        self.visited = threading.Condition()
        self.open = 0  # requests that are being answered
        self._server = _Server((host, 0), _Handler)
        self._server.site = self
        self.port: int = self._server.server_address[1]
        # Bound and not listening: who connects is refused, and nobody else gets the port.
        self._closed = socket.socket()
        self._closed.bind(("127.0.0.1", 0))

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._closed.close()

    def url(self, path: str, host: str = "") -> str:
        return f"http://{host or self.host}:{self.port}{path}"

    @property
    def refusing_url(self) -> str:
        return f"http://127.0.0.1:{self._closed.getsockname()[1]}/refused.jpg"

    def add_page(self, path: str, images: Iterable[str]) -> str:
        """Serve a page with *images*, which are URLs or paths of this site; return its URL."""
        urls = [self.url(image) if image.startswith("/") else image for image in images]
        tags = "".join(f'<img src="{escape(url)}">' for url in urls)
        page = f"<!doctype html><title>{path}</title><body>{tags}</body>".encode()
        self.answers[path] = Answer(page, headers={"Content-Type": "text/html; charset=utf-8"})
        return self.url(path)

    def asked(self, suffix: str = "") -> Counter[str]:
        """Return how often each path that ends with *suffix* was asked for."""
        with self.visited:
            return Counter(visit.path for visit in self.visits if visit.path.endswith(suffix))

    def referers(self) -> dict[str, str | None]:
        with self.visited:
            return {visit.path: visit.referer for visit in self.visits}

    def forget(self) -> None:
        """Count visits from zero."""
        with self.visited:
            self.visits.clear()

    def wait_for(self, count: int, suffix: str = "") -> bool:
        """Wait until *count* requests for paths that end with *suffix* have come."""

        def come() -> bool:
            return sum(visit.path.endswith(suffix) for visit in self.visits) >= count

        with self.visited:
            return self.visited.wait_for(come, HELD_SECONDS)


class _Server(ThreadingHTTPServer):
    site: Site
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that were killed have a right to vanish."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = HELD_SECONDS
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        site = self.server.site
        path = unquote(self.path)
        with site.visited:
            visit = Visit(path, self.headers.get("Referer"), time.monotonic(), site.open)
            site.open += 1
            site.visits.append(visit)
            site.visited.notify_all()
            answer = site.answers.get(path, Answer(b"not here", status=404))
            if isinstance(answer, list):
                answer = answer.pop(0) if len(answer) > 1 else answer[0]
        self.counted = True
        try:
            self._send(answer if isinstance(answer, Answer) else Answer(answer))
        finally:
            self._count_out()

    def _count_out(self) -> None:
        """Count the answer as given; before its last bytes, or the client may be faster."""
        if self.counted:
            self.counted = False
            with self.server.site.visited:
                self.server.site.open -= 1

    def _send(self, answer: Answer) -> None:
        if answer.gate is not None:
            answer.gate.wait(HELD_SECONDS)
        if answer.reset:
            self._reset()
        elif answer.raw:
            self.close_connection = True
            self._count_out()
            self.wfile.write(answer.raw)
        else:
            self._send_whole(answer)

    def _reset(self) -> None:
        # Linger on, for zero seconds: close() sends RST and not FIN.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.rfile.close()
        self.wfile.close()
        self.connection.close()

    def _send_whole(self, answer: Answer) -> None:
        if answer.etag and self.headers.get("If-None-Match") == answer.etag:
            answer = Answer(status=304, headers=answer.headers, etag=answer.etag)
        self.send_response(answer.status)
        if answer.etag:
            self.send_header("ETag", answer.etag)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        body = answer.body[: answer.cut]
        if not body:
            self._count_out()
        self.end_headers()
        size = -(-len(body) // answer.drips) or 1
        for start in range(0, len(body), size):
            if start + size >= len(body):
                self._count_out()
            self.wfile.write(body[start : start + size])
            if answer.drips > 1:
                threading.Event().wait(DRIP_SECONDS)

    def log_message(self, *_: object) -> None:
        """Keep the output of the tests clean."""
