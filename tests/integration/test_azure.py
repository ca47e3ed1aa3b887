"""Azure's blob storage, against Microsoft's own server for tests."""

from __future__ import annotations

import urllib.request
from itertools import count
from typing import Any

import pytest

from scrapy_imgpipe.errors import StoreFailed
from scrapy_imgpipe.stores import Access, Facts, Store, open_store
from tests.integration.azure_server import ACCOUNT, CONTAINER, KEY
from tests.integration.faults import CUT, HANG, Faults
from tests.stores.contract import StoreContract

_numbers = count()


def place(endpoint: str, uri: str = "", **access: Any) -> Store:
    """Return a store that no other test has, unless *uri* says so."""
    terms = {"azure_account": ACCOUNT, "azure_key": KEY, "azure_endpoint_url": endpoint, **access}
    return open_store(uri or f"az://{CONTAINER}/test-{next(_numbers)}", Access(**terms))


class TestContract(StoreContract):
    @pytest.fixture
    def store(self, azure: str) -> Store:
        return place(azure)


def test_media_type_headers_size_and_checksum_travel_along(azure: str) -> None:
    store = place(azure, headers={"Cache-Control": "max-age=60"})
    facts = Facts("image/webp", 90, 30, "9dd4e461268c8034f5c8564e155c67a6")
    store.put("full/a.webp", b"x", facts)
    assert store.stat("full/a.webp").checksum == facts.checksum
    with urllib.request.urlopen(store.signed_url("full/a.webp", 60), timeout=10) as answer:
        assert answer.read() == b"x"
        told = answer.headers
    assert (told["Content-Type"], told["Cache-Control"]) == ("image/webp", "max-age=60")
    assert (told["x-ms-meta-width"], told["x-ms-meta-height"]) == ("90", "30")


def test_a_name_that_obstore_signs_wrongly_is_not_signed(azure: str) -> None:
    store = place(azure)
    with pytest.raises(StoreFailed, match="cannot sign such a name"):
        store.signed_url("full/a b.jpg", 60)


@pytest.fixture
def faults(azure: str):
    with Faults(azure) as faults:
        faults.url += f"/{ACCOUNT}"
        yield faults


@pytest.mark.parametrize("fault", [500, 503, CUT])
def test_a_passing_fault_is_tried_again(faults: Faults, fault: int | str) -> None:
    store = place(faults.url, retries=2)
    for method in ("PUT", "HEAD", "GET"):
        faults.first(2, fault, method)
        store.put("full/a.jpg", b"new")
        assert store.get("full/a.jpg") == b"new"
        assert store.stat("full/a.jpg").bytes == 3
        assert faults.seen[method] >= 3


@pytest.mark.parametrize("fault", [500, 403, CUT, HANG])
def test_a_lasting_fault_is_told_and_never_taken_for_absent(
    faults: Faults, fault: int | str
) -> None:
    store = place(faults.url, retries=1, timeout_seconds=0.5)
    faults.fault = lambda *_: fault
    for deed in (
        lambda: store.put("full/a.jpg", b"x"),
        lambda: store.stat("full/a.jpg"),
        lambda: store.get("full/a.jpg"),
        lambda: store.delete("full/a.jpg"),
        lambda: list(store.list()),
    ):
        with pytest.raises(StoreFailed) as caught:
            deed()
        assert KEY not in caught.value.reason
        assert "\n" not in caught.value.reason


def test_a_container_that_is_not_there_is_told(azure: str) -> None:
    store = place(azure, "az://nobodys/images")
    for deed in (lambda: store.put("a.jpg", b""), lambda: store.get("a.jpg")):
        with pytest.raises(StoreFailed, match="ContainerNotFound"):
            deed()


def test_a_signature_in_a_url_is_not_told() -> None:
    access = {"azure_key": "", "azure_sas": "?sv=2021-01-01&sig=SECRET", "retries": 0}
    store = place("http://127.0.0.1:1/tests", **access)
    with pytest.raises(StoreFailed) as caught:
        store.get("a.jpg")
    assert "SECRET" not in caught.value.reason


def test_without_an_account_the_start_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_CONNECTION_STRING"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="Account must be specified"):
        open_store("az://images")
