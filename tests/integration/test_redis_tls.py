"""The index and the leases over TLS, as ``rediss://`` asks for it."""

from __future__ import annotations

import functools
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest

from scrapy_imgpipe.errors import IndexFailed
from scrapy_imgpipe.index import RedisIndex
from scrapy_imgpipe.index.redis_server import connect
from scrapy_imgpipe.leases import Leases
from tests.index.known import key, stored
from tests.redis_server import server

trustme = pytest.importorskip("trustme")


class Relay(ThreadingTCPServer):
    """Speaks TLS with clients, and passes on to the socket *path* what they say."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext, path: Path) -> None:
        super().__init__(("127.0.0.1", 0), Pass)
        self.context, self.path = context, path


class Pass(BaseRequestHandler):
    server: Relay

    def handle(self) -> None:
        with (
            suppress(OSError),  # who does not believe the certificate hangs up
            self.server.context.wrap_socket(self.request, server_side=True) as client,
            socket.socket(socket.AF_UNIX) as upstream,
        ):
            upstream.connect(str(self.server.path))
            back = threading.Thread(target=self.passed, args=(upstream, client), daemon=True)
            back.start()
            self.passed(client, upstream)
            back.join()

    @staticmethod
    def passed(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Return the address of a server whose certificate *tmp_path*/ca.pem vouches for."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with server(tmp_path / "redis") as behind, Relay(context, behind.socket) as relay:
        threading.Thread(target=relay.serve_forever, args=(0.02,), daemon=True).start()
        yield f"rediss://localhost:{relay.server_address[1]}/0"
        relay.shutdown()


def test_index_and_leases_over_tls(url, tmp_path):
    url = f"{url}?ssl_ca_certs={tmp_path / 'ca.pem'}"
    with closing(RedisIndex(url, "store")) as index:
        record = stored(1)
        index.put([record])
        assert index.get([key(record)]) == [record]
        leases = Leases(functools.partial(connect, url), index.prefix, 30)
        with closing(leases):
            assert leases.exchange(["a"], []) == [True]
            assert leases.are_taken(["a", "b"]) == [True, False]


def test_a_certificate_that_nobody_vouches_for_is_refused(url):
    with (
        closing(RedisIndex(url, "store")) as index,
        pytest.raises(IndexFailed, match="certificate"),
    ):
        index.count()
