"""Azure's blob storage, against Microsoft's own server for tests."""

from __future__ import annotations

import urllib.request
from itertools import count
from typing import Any

import pytest

from scrapy_imgpipe.errors import SettingError, StoreFailed
from scrapy_imgpipe.stores import Access, Facts, Store, open_store
from tests.integration.azure_server import ACCOUNT, CONTAINER, KEY
from tests.integration.faults import CUT, HANG, Faults
from tests.stores.contract import StoreContract

_numbers = count()


def place(endpoint: str, uri: str = "", **access: Any) -> Store:
    """Return a store that no other test has, unless *uri* says so."""
    terms = {"azure_account": ACCOUNT, "azure_key": KEY, "azure_endpoint_url": endpoint}
    terms |= {"first_pause_seconds": 0.05, **access}
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


@pytest.mark.parametrize("url", ["127.0.0.1:10000", "https://", "http://h\n"])
def test_an_endpoint_is_a_url(url: str) -> None:
    with pytest.raises(SettingError, match="a host for IMGPIPE_AZURE_ENDPOINT_URL but received"):
        place(url)


@pytest.mark.parametrize("field", ["azure_account", "azure_key", "azure_sas"])
def test_a_line_break_in_credentials_is_found_at_the_start(field: str) -> None:
    with pytest.raises(SettingError, match=f"IMGPIPE_{field.upper()} but received one") as caught:
        place("http://127.0.0.1:9", **{field: "hidden\n"})
    assert "hidden" not in str(caught.value)


def test_a_key_that_is_none_is_one_sentence() -> None:
    with pytest.raises(ValueError, match="Invalid Access Key") as caught:
        place("http://127.0.0.1:9", azure_key="hidden!")
    assert "hidden" not in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="SAS") as caught:
        place("http://127.0.0.1:9", azure_key="", azure_sas="hidden")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("name", ["ACCOUNT_KEY", "TOKEN", "SAS_KEY", "SKIP_SIGNATURE"])
def test_what_is_said_is_not_mixed_with_the_environment(
    azure: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = place(azure)
    store.put("full/a.jpg", b"x")
    signature = store.signed_url("full/a.jpg", 60).partition("?")[2]
    monkeypatch.setenv(f"AZURE_STORAGE_{name}", "true" if name == "SKIP_SIGNATURE" else "d3Jvbmc=")
    uri = f"az://{CONTAINER}/{store.prefix}"
    for terms in ({}, {"azure_key": "", "azure_sas": signature}):
        assert place(azure, uri, **terms, retries=0).get("full/a.jpg") == b"x"


def test_much_may_be_sent_for_longer_than_a_server_may_be_silent(faults: Faults) -> None:
    store = place(faults.url, retries=0, timeout_seconds=1)
    faults.rate = 2_000_000
    store.put("full/a.jpg", bytes(3_000_000))
    assert store.stat("full/a.jpg").bytes == 3_000_000


@pytest.mark.parametrize(
    "uri", ["az://", "az://key@images", "az://images/a//b", "az://images/../b"]
)
def test_a_uri_without_a_container_or_with_an_odd_prefix_is_refused(uri: str) -> None:
    with pytest.raises(
        ValueError, match=r"it has to be az://|obstore has no keys|Refused the path"
    ):
        place("http://127.0.0.1:9", uri)
