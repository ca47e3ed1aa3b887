"""Serve a folder on loopback and count what was asked for. Nothing leaves the machine."""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST = "127.0.0.1"
DEFAULT_PORT = 8765
"""Fixed: image files are named after their URLs, so another port means other files."""


class PortError(Exception):
    """The site cannot be served on the port; the message says why and what helps."""

    def __init__(self, port: int, error: OSError) -> None:
        if error.errno == errno.EADDRINUSE:
            problem = "is taken: stop the program that uses it (perhaps this example with --serve)"
        else:
            problem = f"cannot be used: {error.strerror}. Free it"
        super().__init__(f"Port {port} of {HOST} {problem}, or choose another one with --port.")


class _Answer(SimpleHTTPRequestHandler):
    """Answers with files; keeps connections open, shows no folder listings, logs nothing."""

    server: SiteServer
    protocol_version = "HTTP/1.1"
    # Head and body are two writes; with Nagle's algorithm the second waits for the
    # client's delayed acknowledgement of the first, 40 ms on Linux.
    disable_nagle_algorithm = True
    extensions_map = {  # noqa: RUF012 (the base class has it per instance)
        **SimpleHTTPRequestHandler.extensions_map,
        ".html": "text/html; charset=utf-8",
        ".txt": "text/plain; charset=utf-8",
        ".avif": "image/avif",
        ".webp": "image/webp",
    }

    def do_GET(self) -> None:
        self.server.count(self.path)
        super().do_GET()

    def list_directory(self, path: Any) -> None:  # noqa: ARG002
        self.send_error(404)

    def log_message(self, *_args: Any) -> None:
        pass


class SiteServer(ThreadingHTTPServer):
    """The HTTP server of one folder, with a tally of GET requests by path."""

    daemon_threads = True
    request_queue_size = 128
    # On Windows this option would let two servers share the port.
    allow_reuse_address = os.name != "nt"

    def __init__(self, folder: Path, port: int) -> None:
        self._lock = threading.Lock()
        self._tally: Counter[str] = Counter()
        try:
            super().__init__((HOST, port), partial(_Answer, directory=str(folder)))
        except OSError as error:
            raise PortError(port, error) from error

    @property
    def url(self) -> str:
        """The site's address, with a slash at its end."""
        return f"http://{HOST}:{self.server_port}/"

    def count(self, path: str) -> None:
        """Add one request for *path* to the tally."""
        with self._lock:
            self._tally[path] += 1

    def take_tally(self) -> dict[str, int]:
        """Return the number of requests by path since the last call, and start again."""
        with self._lock:
            tally, self._tally = self._tally, Counter()
        return dict(sorted(tally.items()))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent when a client goes away in the middle of an answer."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serving(folder: Path, port: int) -> Iterator[SiteServer]:
    """Serve *folder* in a thread for as long as the block runs.

    Args:
        folder: what to show, and nothing above it.
        port: 0 takes any free one.

    Raises:
        PortError: somebody else listens there, or it is not for us; nothing was started.
    """
    with SiteServer(folder, port) as server:
        thread = threading.Thread(target=server.serve_forever, name="site", daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
