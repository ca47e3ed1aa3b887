"""S3 for real: the contract through both clients, and a server that fails in every way."""

from __future__ import annotations

import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest

from scrapy_imgpipe.errors import SettingError, StoreFailed
from scrapy_imgpipe.stores import Access, Facts, Signing, Store, open_store
from tests.integration.faults import CUT, HALF, HANG, Faults
from tests.integration.s3_server import BUCKET, KEY, READER, READER_SECRET, SECRET
from tests.stores.contract import StoreContract

CLIENTS = ("botocore", "obstore")
both = pytest.mark.parametrize("client", CLIENTS)
_numbers = count()


def place(endpoint: str, client: str, uri: str = "", **access: Any) -> Store:
    """Return a store that no other test has, unless *uri* says so."""
    terms = {
        "aws_access_key_id": KEY,
        "aws_secret_access_key": SECRET,
        "aws_region": "us-east-1",
        **access,
    }
    terms |= {"aws_endpoint_url": endpoint, "object_store": client}
    return open_store(uri or f"s3://{BUCKET}/test-{next(_numbers)}", Access(**terms))


class TestBotocore(StoreContract):
    @pytest.fixture
    def store(self, s3: str) -> Store:
        return place(s3, "botocore")


class TestObstore(StoreContract):
    @pytest.fixture
    def store(self, s3: str) -> Store:
        return place(s3, "obstore")


@both
def test_each_client_finds_what_the_other_has_stored(s3: str, client: str) -> None:
    uri = f"s3://{BUCKET}/exchanged-{client}"
    other = place(s3, *(name for name in CLIENTS if name != client), uri)
    for path in ("full/é ü/a b%20#?&+;=@~.jpg", "full/b.jpg"):
        place(s3, client, uri).put(path, b"x", Facts("image/jpeg"))
        assert other.get(path) == b"x"
    assert sorted(other.list()) == ["full/b.jpg", "full/é ü/a b%20#?&+;=@~.jpg"]


@both
def test_a_prefix_is_joined_with_a_slash_however_it_is_written(s3: str, client: str) -> None:
    prefix = f"joined-{client}"
    everything = place(s3, client, f"s3://{BUCKET}")
    place(s3, client, f"s3://{BUCKET}/{prefix}").put("full/a.jpg", b"a")
    place(s3, client, f"s3://{BUCKET}/{prefix}/").put("full/b.jpg", b"b")
    keys = [f"{prefix}/full/a.jpg", f"{prefix}/full/b.jpg"]
    assert sorted(everything.list(prefix)) == keys
    # As Scrapy 2.19 joins them, and how they can be had all the same.
    everything.put(f"{prefix}full/c.jpg", b"c")
    assert sorted(everything.list(prefix)) == [*keys, f"{prefix}full/c.jpg"]


@both
def test_media_type_headers_size_and_checksum_travel_along(s3: str, client: str) -> None:
    headers = {"Cache-Control": "max-age=60", "Content-Disposition": "inline"}
    store = place(s3, client, headers=headers)
    facts = Facts("image/webp", 90, 30, "9dd4e461268c8034f5c8564e155c67a6")
    assert store.put("full/a.webp", b"x", facts).checksum == facts.checksum
    reader = place(s3, "botocore", f"{store.address}/{store.prefix}")
    found = reader.client.head_object(Bucket=BUCKET, Key=f"{store.prefix}full/a.webp")
    assert found["ContentType"] == "image/webp"
    assert found["CacheControl"] == "max-age=60"
    assert found["ContentDisposition"] == "inline"
    assert found["Metadata"] == {"width": "90", "height": "30", "md5": facts.checksum}
    assert store.stat("full/a.webp").checksum == facts.checksum


@both
def test_the_time_of_an_object_is_utc_wherever_we_are(
    s3: str, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")  # 14 hours ahead
    time.tzset()
    try:
        store = place(s3, client)
        store.put("full/a.jpg", b"x")
        assert abs(store.stat("full/a.jpg").modified - time.time()) < 60
    finally:
        monkeypatch.undo()
        time.tzset()


@both
def test_a_signed_url_lets_anybody_read(s3: str, client: str) -> None:
    store = place(s3, client)
    store.put("full/a b.jpg", b"content")
    assert isinstance(store, Signing)
    url = store.signed_url("full/a b.jpg", 60)
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.read() == b"content"
    assert "X-Amz-Expires=60" in url


# --- failures ---


@pytest.fixture
def faults(s3: str):
    with Faults(s3) as faults:
        yield faults


@both
@pytest.mark.parametrize("fault", [500, 503, CUT])
@pytest.mark.parametrize("method", ["PUT", "HEAD", "GET"])
def test_a_passing_fault_is_tried_again(
    faults: Faults, client: str, fault: int | str, method: str
) -> None:
    store = place(faults.url, client, retries=2)
    store.put("full/a.jpg", b"old")
    faults.first(2, fault, method)
    store.put("full/a.jpg", b"new")
    assert store.get("full/a.jpg") == b"new"
    assert store.stat("full/a.jpg").bytes == 3
    assert faults.seen[method] >= 3


@both
def test_a_body_that_is_cut_off_is_asked_for_again(faults: Faults, client: str) -> None:
    store = place(faults.url, client)
    store.put("full/a.jpg", b"x" * 100_000)
    faults.first(1, HALF, "GET")
    assert store.get("full/a.jpg") == b"x" * 100_000


@both
@pytest.mark.parametrize(
    ("fault", "said"), [(500, "500"), (503, "503"), (403, "403"), (CUT, ""), (HANG, "")]
)
@pytest.mark.parametrize("deed", ["put", "stat", "get", "delete", "list"])
def test_a_lasting_fault_is_told_and_never_taken_for_absent(
    faults: Faults, client: str, fault: int | str, said: str, deed: str
) -> None:
    store = place(faults.url, client, retries=1, timeout_seconds=0.5)
    faults.fault = lambda *_: fault
    deeds = {
        "put": lambda: store.put("full/a.jpg", b"x"),
        "stat": lambda: store.stat("full/a.jpg"),
        "get": lambda: store.get("full/a.jpg"),
        "delete": lambda: store.delete("full/a.jpg"),
        "list": lambda: list(store.list()),
    }
    with pytest.raises(StoreFailed) as caught:
        deeds[deed]()
    assert caught.value.code == "store-failed"
    assert said in caught.value.reason
    assert SECRET not in caught.value.reason
    assert "\n" not in caught.value.reason
    assert caught.value.__context__ is caught.value.__cause__ is None
    assert sum(faults.seen.values()) <= 2


@both
def test_a_put_that_is_never_answered_holds_up_no_other(faults: Faults, client: str) -> None:
    store = place(faults.url, client, retries=0, timeout_seconds=2, connections=4)
    faults.fault = lambda _, path, __: HANG if "hung" in path else None
    with ThreadPoolExecutor(4) as pool:
        hung = pool.submit(store.put, "full/hung.jpg", b"x")
        others = [pool.submit(store.put, f"full/{number}.jpg", b"x") for number in range(40)]
        for other in others:
            other.result()
        assert not hung.done()
        with pytest.raises(StoreFailed):
            hung.result()


@both
def test_who_may_not_write_is_told(s3: str, client: str) -> None:
    uri = f"s3://{BUCKET}/permissions-{client}"
    place(s3, client, uri).put("full/a.jpg", b"x")
    reader = place(s3, client, uri, aws_access_key_id=READER, aws_secret_access_key=READER_SECRET)
    assert reader.get("full/a.jpg") == b"x"
    with pytest.raises(StoreFailed, match=r"Could not store 'full/a.jpg': .*AccessDenied"):
        reader.put("full/a.jpg", b"y")
    stranger = place(s3, client, uri, aws_secret_access_key="wrong")
    with pytest.raises(StoreFailed, match="403"):
        stranger.stat("full/a.jpg")


@both
def test_a_bucket_that_is_not_there_is_told(s3: str, client: str) -> None:
    store = place(s3, client, "s3://nobodys/images")
    for deed in (lambda: store.put("a.jpg", b""), lambda: store.get("a.jpg")):
        with pytest.raises(StoreFailed, match="NoSuchBucket"):
            deed()


# --- settings ---


def test_each_store_has_its_own_acl(faults: Faults) -> None:
    private = place(faults.url, "botocore", s3_acl="private")
    public = place(faults.url, "botocore", s3_acl="public-read")
    for store in (private, public):
        store.put("full/a.jpg", b"x")
    acls = [headers.get("x-amz-acl") for method, _, headers in faults.headers if method == "PUT"]
    assert acls == [None, "public-read"]  # private is what holds without one


def test_an_acl_goes_with_botocore_only() -> None:
    terms = {"s3_acl": "public-read", "aws_region": "us-east-1"}
    assert type(open_store("s3://b", Access(**terms))).__name__ == "S3Store"
    with pytest.raises(SettingError, match="IMAGES_STORE_S3_ACL is 'public-read'"):
        open_store("s3://b", Access(**terms, object_store="obstore"))


@both
def test_a_header_that_the_client_does_not_know_is_found_at_the_start(client: str) -> None:
    access = Access(headers={"X-Unheard-Of": "1"}, object_store=client, aws_region="us-east-1")
    with pytest.raises(SettingError, match=r"IMGPIPE_STORE_HEADERS .*X-Unheard-Of"):
        open_store("s3://b", access)


@pytest.mark.parametrize("uri", ["s3:", "s3://", "s3:///images", "s3://user:pw@b/x", "s3://b?x"])
def test_a_uri_without_a_bucket_is_refused(uri: str) -> None:
    for client in CLIENTS:
        with pytest.raises(ValueError, match="it has to be s3://BUCKET or s3://BUCKET/PREFIX"):
            open_store(uri, Access(object_store=client))


def test_as_many_connections_as_threads_are_kept(s3: str, caplog: pytest.LogCaptureFixture) -> None:
    store = place(s3, "botocore", connections=16)
    ready = threading.Barrier(16)

    def put(number: int) -> None:
        ready.wait(10)
        for each in range(4):
            store.put(f"full/{number}-{each}.jpg", b"x")

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(put, range(16)))
    assert "pool is full" not in caplog.text
