"""A web site for each test, and an environment that has the command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.commands.conftest import environ, registered  # noqa: F401
from tests.crawl.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        yield site
