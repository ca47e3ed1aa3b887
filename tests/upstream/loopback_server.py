"""Scrapy's mock HTTP server, on the loopback interface only.

As shipped it listens on all interfaces, which is nothing for a shared machine. Started by
its own parent (``tests.mockserver.http.MockServer``) in place of ``tests.mockserver.http``.
"""

from __future__ import annotations

import runpy
from typing import TYPE_CHECKING, Any

from twisted.internet import reactor

if TYPE_CHECKING:
    from twisted.internet.interfaces import IListeningPort
    from twisted.internet.protocol import ServerFactory


def stay_local() -> None:
    """Make 127.0.0.1 the interface of ``listenTCP``, which ``listenSSL`` goes through too."""
    untyped: Any = reactor  # Twisted's own annotations take it for a class
    listen = untyped.listenTCP

    def listen_locally(
        port: int, factory: ServerFactory, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        return listen(port, factory, backlog, interface or "127.0.0.1")  # type: ignore[no-any-return]

    untyped.listenTCP = listen_locally


if __name__ == "__main__":
    stay_local()
    runpy.run_module("tests.mockserver.http", run_name="__main__")
