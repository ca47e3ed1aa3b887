"""Real servers on loopback, started for the tests and ended after them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.azure_server import azurite, program
from tests.integration.s3_server import seaweed

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.register_assert_rewrite("tests.stores.contract")


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the endpoint of a server that speaks S3."""
    with seaweed(tmp_path_factory.mktemp("seaweed")) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the endpoint of an account of a server that speaks Azure's protocol."""
    if program() is None:
        pytest.skip("azurite is not installed (npm install azurite)")
    with azurite(tmp_path_factory.mktemp("azurite")) as endpoint:
        yield endpoint
