"""A proxy on loopback that passes requests on, and answers some of them itself, badly."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

#: What may be done to a request: answered with a status, never answered, cut off before an
#: answer, or cut off in the middle of its body.
Fault = int | str
HANG, CUT, HALF = "hang", "cut", "half"

#: Seconds between two pieces of a body.
_PAUSE = 0.05

_HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive"}


class Faults:
    """The proxy, for a ``with`` statement.

    Attributes:
        url: where it listens.
        seen: how many requests of each method have come.
        fault: method, path and how many of that method came before it -> what is done to a
            request; None passes it on.
        rate: bytes that bodies have in a second, in both directions; 0 for as fast as it goes.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream)
        self.seen: Counter[str] = Counter()
        self.headers: list[tuple[str, str, dict[str, str]]] = []
        self.fault: Callable[[str, str, int], Fault | None] = lambda *_: None
        self.hung = threading.Event()
        self.rate = 0
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do(self) -> None:
                proxy.answer(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do  # noqa: N815 - its names

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def server_bind(self) -> None:
                # or a body would be in the buffer while its sender believes that it has come
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
                super().server_bind()

            def handle_error(self, *_: Any) -> None:
                pass  # clients hang up

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hung.set()
        self._server.shutdown()
        self._server.server_close()

    def first(self, count: int, fault: Fault, method: str = "PUT") -> None:
        """Do *fault* to the next *count* requests of *method*."""
        seen = self.seen[method]
        self.fault = lambda of, _, number: fault if of == method and number < seen + count else None

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        method = request.command
        left = int(request.headers.get("Content-Length") or 0)
        body = b""
        for size in self._pieces(left):
            body += request.rfile.read(size)
        with self._lock:
            number = self.seen[method]
            self.seen[method] += 1
            self.headers.append((method, request.path, dict(request.headers.items())))
        fault = self.fault(method, request.path, number)
        if fault is None or fault == HALF:
            self._pass_on(request, body, half=fault == HALF)
        elif isinstance(fault, int):
            request.send_response(fault)
            request.send_header("Content-Length", "0")
            request.end_headers()
        else:
            if fault == HANG:
                self.hung.wait(60)
            with suppress(OSError):
                request.connection.shutdown(socket.SHUT_RDWR)
            request.close_connection = True

    def _pieces(self, whole: int) -> Iterator[int]:
        """Yield the sizes of what is read or written at once; pause between them."""
        piece = int(self.rate * _PAUSE) or whole
        while whole > 0:
            yield min(piece, whole)
            whole -= piece
            if self.rate:
                time.sleep(_PAUSE)

    def _pass_on(self, request: BaseHTTPRequestHandler, body: bytes, *, half: bool) -> None:
        there = http.client.HTTPConnection(str(self.upstream.hostname), self.upstream.port or 80)
        there.putrequest(request.command, request.path, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers.items():
            if name.lower() not in {"expect", "connection"}:
                there.putheader(name, value)
        there.endheaders(body)
        answer = there.getresponse()
        data = answer.read()
        there.close()
        request.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP_BY_HOP and name.lower() != "content-length":
                request.send_header(name, value)
        length = answer.getheader("Content-Length") or str(len(data))
        request.send_header("Content-Length", length)
        request.end_headers()
        data = data[: len(data) // 2] if half else data
        begin = 0
        for size in self._pieces(len(data)):
            request.wfile.write(data[begin : begin + size])
            begin += size
        if half:
            request.close_connection = True
