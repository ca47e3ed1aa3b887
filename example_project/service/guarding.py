"""Who may ask: browsers carry requests of pages that have no business here."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from service.problems import Refused

_Connection: TypeAlias = ASGIConnection[Any, Any, Any, Any]


def of_host(hosts: Collection[str]) -> Callable[[_Connection, BaseRouteHandler], None]:
    """Return what refuses requests for any host but *hosts*; ``*`` is any.

    A page whose own name was made to lead here (DNS rebinding) asks for that name.
    """

    def check(connection: _Connection, _: BaseRouteHandler) -> None:
        try:
            asked = urlsplit(f"//{connection.headers.get('host', '')}").hostname
        except ValueError:  # half an address
            asked = None
        if asked not in hosts and "*" not in hosts:
            raise Refused(421, "host", "This service has another name: see SERVICE_HOSTS")

    return check


def not_of_another_site(connection: _Connection, _: BaseRouteHandler) -> None:
    """Refuse what the page of another site has a browser send: it may send forms anywhere."""
    if connection.headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
        raise Refused(403, "another-site", "Pages of other sites may not upload")
