"""S3 for real: the contract through both clients, and a server that fails in every way."""

from __future__ import annotations

import os
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest

from scrapy_imgpipe.errors import SettingError, StoreFailed
from scrapy_imgpipe.stores import Access, Facts, Signing, Store, open_store
from scrapy_imgpipe.stores.s3 import Patience
from scrapy_imgpipe.stores.texts import verify_of
from tests.integration.faults import CUT, HALF, HANG, Faults
from tests.integration.s3_server import BUCKET, KEY, READER, READER_SECRET, SECRET
from tests.stores.contract import StoreContract

CLIENTS = ("botocore", "obstore")
BAD_BUCKETS = [
    "s3://user:secret@b/x",
    "s3://AKIA:secret/key@b/x",
    "s3://a b",
    "s3://b!",
    "s3://b\n/x",
]
both = pytest.mark.parametrize("client", CLIENTS)
_numbers = count()


def place(endpoint: str, client: str, uri: str = "", **access: Any) -> Store:
    """Return a store that no other test has, unless *uri* says so."""
    terms = {
        "aws_access_key_id": KEY,
        "aws_secret_access_key": SECRET,
        "aws_region": "us-east-1",
        "first_pause_seconds": 0.05,
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


@both
def test_every_put_has_its_own_tries(faults: Faults, client: str) -> None:
    store = place(faults.url, client, retries=2, first_pause_seconds=0.01)
    tries: Counter[str] = Counter()

    def fault(method: str, path: str, _: int) -> int | None:
        tries[path] += 1
        return 503 if tries[path] <= 2 else None

    faults.fault = fault
    with ThreadPoolExecutor(16) as pool:  # botocore's mode 'standard' gives up after a hundred
        list(pool.map(lambda number: store.put(f"full/{number}.jpg", b"x"), range(150)))
    assert set(tries.values()) == {3}


@both
def test_pauses_are_as_long_as_is_said(faults: Faults, client: str) -> None:
    store = place(faults.url, client, retries=2, first_pause_seconds=0.3)
    times = []
    faults.fault = lambda *_: times.append(time.monotonic()) or 503
    with pytest.raises(StoreFailed, match="503"):
        store.put("full/a.jpg", b"x")
    pauses = [after - before for before, after in pairwise(times)]
    assert len(pauses) == 2
    assert min(pauses) >= 0.29


def test_pauses_last_as_long_with_each_client_and_never_too_long() -> None:
    patience = Patience(Access(retries=9))
    answer = SimpleNamespace(status_code=503), {}
    pauses = [patience(tries, answer, None) for tries in range(1, 10)]
    assert pauses[0] == 1
    assert all(1 <= pause <= 32 for pause in pauses)
    assert patience(10, answer, None) is None
    assert patience(1, (SimpleNamespace(status_code=404), {}), None) is None
    assert patience(1, (SimpleNamespace(status_code=400), {"Error": {"Code": "SlowDown"}}), None)


@both
def test_a_body_may_come_for_longer_than_a_server_may_be_silent(
    faults: Faults, client: str
) -> None:
    store = place(faults.url, client, retries=0, timeout_seconds=0.5)
    store.put("full/a.jpg", bytes(100_000))
    faults.rate = 100_000
    assert store.get("full/a.jpg") == bytes(100_000)


def test_much_may_be_sent_for_longer_than_a_server_may_be_silent(faults: Faults) -> None:
    # With botocore what is in the system's buffer counts as sent, which is not much in 60 s.
    store = place(faults.url, "obstore", retries=0, timeout_seconds=1)
    faults.rate = 2_000_000
    store.put("full/a.jpg", bytes(3_000_000))
    assert store.stat("full/a.jpg").bytes == 3_000_000


def test_obstore_does_not_read_forever_what_comes_in_drops(faults: Faults) -> None:
    store = place(faults.url, "obstore", retries=0, timeout_seconds=0.2)
    store.put("full/a.jpg", bytes(100_000))
    faults.rate = 10_000
    begin = time.monotonic()
    with pytest.raises(StoreFailed):
        store.get("full/a.jpg")
    assert time.monotonic() - begin < 6  # of the 10 that it would take


def test_a_panic_is_a_failure_of_the_store(s3: str) -> None:
    class Panic(BaseException):
        pass

    def panic(*_: Any, **__: Any) -> None:
        raise Panic("request valid: InvalidUri")

    store = place(s3, "obstore")
    store._obstore = SimpleNamespace(put=panic, get=panic, list=panic, delete=panic, sign=panic)
    for deed in (
        lambda: store.put("full/a.jpg", b"x"),
        lambda: store.stat("full/a.jpg"),
        lambda: store.get("full/a.jpg"),
        lambda: store.delete("full/a.jpg"),
        lambda: store.signed_url("full/a.jpg", 60),
        lambda: list(store.list()),
    ):
        with pytest.raises(StoreFailed, match="InvalidUri"):
            deed()
    store._obstore.get = lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        store.get("full/a.jpg")


@both
@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"])
def test_a_line_break_in_credentials_of_the_environment_is_a_failure_of_the_store(
    s3: str, client: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv(name, "hidden\n")
    store = place(s3, client, aws_access_key_id="", aws_secret_access_key="", retries=0)
    for deed in (lambda: store.put("full/a.jpg", b"x"), lambda: list(store.list())):
        with pytest.raises(StoreFailed) as caught:  # obstore panics
            deed()
        assert "hidden" not in caught.value.reason


@pytest.mark.parametrize("odd", ["p/full//b.jpg", "p/full/./b.jpg", "p/../b.jpg", "p/b\x7f.jpg"])
def test_a_key_in_a_listing_that_obstore_cannot_read_is_told(odd: str) -> None:
    with listing("p/full/a.jpg", odd) as endpoint:
        assert "full/a.jpg" in list(place(endpoint, "botocore", "s3://images/p").list())
        with pytest.raises(StoreFailed, match=r"obstore cannot read; .* 'botocore' lists it"):
            list(place(endpoint, "obstore", "s3://images/p").list())


@both
def test_the_marker_of_a_folder_is_no_path(s3: str, client: str) -> None:
    with listing("p/", "p/empty.jpg", "p/full/", "p/full/a.jpg", size=0) as endpoint:
        store = place(endpoint, client, "s3://images/p")
        assert sorted(store.list()) == ["empty.jpg", "full/a.jpg"]


@contextmanager
def listing(*keys: str, size: int = 1) -> Iterator[str]:
    """Run a server whose bucket has *keys*, of *size* bytes each; yield its endpoint."""
    each = (
        "<Contents><Key>{}</Key><LastModified>2026-11-30T00:00:00.000Z</LastModified>"
        f"<ETag>x</ETag><Size>{size}</Size></Contents>"
    )
    answer = (
        "<ListBucketResult><Name>images</Name><IsTruncated>false</IsTruncated>"
        f"{''.join(each.format(key) for key in keys)}</ListBucketResult>"
    ).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def do_HEAD(self) -> None:
            self.send_response(200 if self.path.removeprefix("/images/") in keys else 404)
            self.send_header("Content-Length", str(size))
            self.send_header("Last-Modified", "Mon, 30 Nov 2026 00:00:00 GMT")
            self.send_header("ETag", "x")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


# --- the environment ---


@both
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("AWS_SESSION_TOKEN", "of-somebody-else"),
        ("AWS_ACCESS_KEY_ID", "of-somebody-else"),
        ("AWS_SKIP_SIGNATURE", "true"),
        ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true"),
        ("AWS_S3_EXPRESS", "true"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
    ],
)
def test_what_is_said_is_not_mixed_with_the_environment(
    faults: Faults, client: str, name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, text)
    store = place(faults.url, client, retries=0)
    store.put("full/a.jpg", b"x")
    assert store.get("full/a.jpg") == b"x"
    sent = {key.lower(): told for _, _, headers in faults.headers for key, told in headers.items()}
    assert "x-amz-security-token" not in sent


@both
def test_a_token_that_is_said_is_sent(faults: Faults, client: str) -> None:
    store = place(faults.url, client, retries=0, aws_session_token="mine")
    with suppress(StoreFailed):  # the server knows of none
        store.stat("full/a.jpg")
    headers = {name.lower(): told for name, told in faults.headers[0][2].items()}
    assert headers["x-amz-security-token"] == "mine"


@both
@pytest.mark.parametrize("where", ["a file", "AWS_DEFAULT_REGION", "AWS_REGION"])
def test_the_region_is_found_next_to_a_key_that_is_said(
    client: str, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    if where == "a file":
        (tmp_path / "config").write_text("[default]\nregion = eu-west-3\n")
    else:
        monkeypatch.setenv(where, "eu-west-3")
    known = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET}
    url = open_store("s3://images", Access(**known, object_store=client)).signed_url("a", 60)
    assert "/eu-west-3/s3/" in unquote(url)


@both
@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "endpoint_url"])
def test_the_endpoint_is_found_where_botocore_finds_it(
    s3: str, client: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    if name == "endpoint_url":
        (tmp_path / "config").write_text(f"[default]\nendpoint_url = {s3}\n")
    else:
        monkeypatch.setenv(name, s3)
    store = place("", client, f"s3://{BUCKET}/found-{name}-{client}")
    store.put("full/a.jpg", b"x")
    assert list(store.list()) == ["full/a.jpg"]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


# --- settings ---


@both
@pytest.mark.parametrize(
    "url", ["127.0.0.1:9000", "http://", "http:///x", "ftp://h", "http://a b", "http://h:x", "h\n"]
)
def test_an_endpoint_is_a_url(client: str, url: str) -> None:
    with pytest.raises(SettingError) as caught:
        place(url, client)
    assert str(caught.value).startswith(
        "Expected a URL that begins with http:// or https:// and a host for AWS_ENDPOINT_URL"
        " but received "
    )


def test_the_endpoint_of_the_environment_is_a_url_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "127.0.0.1:9000")
    for client in CLIENTS:
        with pytest.raises(ValueError, match=r"AWS_ENDPOINT_URL|Invalid endpoint"):
            place("", client)


def test_the_password_of_an_endpoint_is_not_told() -> None:
    with pytest.raises(SettingError, match=r"AWS_ENDPOINT_URL but received 'h' of type str"):
        place("http://user:hidden@h", "botocore")


@both
@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("aws_access_key_id", "AWS_ACCESS_KEY_ID"),
        ("aws_secret_access_key", "AWS_SECRET_ACCESS_KEY"),
        ("aws_session_token", "AWS_SESSION_TOKEN"),
        ("aws_region", "AWS_REGION_NAME"),
    ],
)
def test_a_line_break_in_credentials_is_found_at_the_start(
    s3: str, client: str, field: str, name: str
) -> None:
    with pytest.raises(SettingError) as caught:
        place(s3, client, **{field: "hidden\n"})
    assert str(caught.value) == (
        "Expected text without line breaks and other control characters for"
        f" {name} but received one that has them (at its end)"
    )


@both
@pytest.mark.parametrize("text", ["a\r\nX-Evil: b", "a\n", "\x7f"])
def test_a_line_break_in_a_header_is_found_at_the_start(client: str, text: str) -> None:
    access = Access(headers={"Cache-Control": text}, object_store=client, aws_region="us-east-1")
    with pytest.raises(SettingError, match=r"IMGPIPE_STORE_HEADERS\['Cache-Control'\]"):
        open_store("s3://b", access)


@both
@pytest.mark.parametrize("name", ["Content-Length", "content-md5", "Content-Type", "If-None-Match"])
def test_headers_that_are_ours_to_say_are_refused(client: str, name: str) -> None:
    access = Access(headers={name: "5"}, object_store=client, aws_region="us-east-1")
    with pytest.raises(SettingError, match=rf"IMGPIPE_STORE_HEADERS .*{name}"):
        open_store("s3://b", access)


def test_what_a_header_cannot_say_is_found_at_the_start() -> None:
    access = Access(headers={"Expires": "tomorrow"}, aws_region="us-east-1")
    with pytest.raises(SettingError, match=r"IMGPIPE_STORE_HEADERS .*Expires"):
        open_store("s3://b", access)
    open_store("s3://b", replace(access, headers={"Expires": "Thu, 01 Dec 2030 16:00:00 GMT"}))


@both
@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_half_of_the_credentials_is_told(s3: str, client: str, missing: str) -> None:
    with pytest.raises(SettingError, match=f"Expected {missing} to be set"):
        place(s3, client, **{missing.lower(): ""})


@both
def test_a_profile_that_is_not_there_is_told(
    s3: str, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobodys")
    with pytest.raises(ValueError, match=r"nobodys.* could not be found") as caught:
        place(s3, client, aws_access_key_id="", aws_secret_access_key="")
    assert "\n" not in str(caught.value)
    assert caught.value.__context__ is None


def test_what_obstore_refuses_at_the_start_is_one_sentence(
    s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="Zone") as caught:
        place(s3, "obstore", "s3://images--x-s3")
    assert "\n" not in str(caught.value)


def test_a_prefix_that_obstore_has_no_path_for_goes_with_botocore_only(s3: str) -> None:
    for prefix in ("a//b", "./a", "a/./b"):
        uri = f"s3://{BUCKET}/{prefix}"
        with pytest.raises(ValueError, match=r"obstore has no keys with an empty or '.' part"):
            place(s3, "obstore", uri)
        assert type(place(s3, "auto", uri)).__name__ == "S3Store"
    store = place(s3, "auto", f"s3://{BUCKET}//a/")
    assert (type(store).__name__, store.prefix) == ("ObjectStore", "a/")


def test_a_path_that_obstore_has_no_key_for_is_a_bad_path(s3: str) -> None:
    for path in ("a//b.jpg", "./a.jpg", "a\x7f.jpg"):
        for deed in ("get", "stat", "delete"):
            with pytest.raises(StoreFailed) as caught:
                getattr(place(s3, "obstore"), deed)(path)
            assert caught.value.code == "bad-path"


@both
def test_a_prefix_that_climbs_out_is_refused(client: str) -> None:
    for uri in ("s3://b/a/../c", "s3://b/..", "s3://b/.imgpipe-x"):
        with pytest.raises(ValueError, match="Refused the path"):
            open_store(uri, Access(object_store=client, aws_region="us-east-1"))


def test_an_acl_that_nobody_knows_is_found_at_the_start(s3: str) -> None:
    with pytest.raises(SettingError, match=r"public-read, .* for IMAGES_STORE_S3_ACL .*'publik'"):
        place(s3, "auto", s3_acl="publik")


def test_a_client_that_there_is_not_is_told() -> None:
    with pytest.raises(SettingError, match="IMGPIPE_OBJECT_STORE but received 'weird'"):
        Access(object_store="weird")


def test_plain_http_without_an_endpoint_goes_with_botocore_only() -> None:
    known = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET, "aws_use_ssl": False}
    store = open_store("s3://images", Access(**known, aws_region="us-east-1"))
    assert store.signed_url("a.jpg", 60).startswith("http://")
    with pytest.raises(SettingError, match="AWS_USE_SSL is False"):
        open_store("s3://images", Access(**known, object_store="obstore"))


@both
def test_certificates_are_looked_at_unless_somebody_says_otherwise(client: str) -> None:
    with pytest.raises(SettingError, match=r"AWS_VERIFY but received '/nowhere/ca.pem'"):
        place("https://127.0.0.1:9", client, aws_verify="/nowhere/ca.pem")
    for told in (True, False, "False", "0", "", "True"):
        place("https://127.0.0.1:9", client, aws_verify=told)
    assert [verify_of(told) for told in ("False", "no", "0", "", "1")] == [False] * 3 + [True] * 2


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


@pytest.mark.parametrize("uri", ["s3:", "s3://", "s3:///images", "s3://b?x", *BAD_BUCKETS])
def test_a_uri_without_a_bucket_is_refused(uri: str) -> None:
    for client in CLIENTS:
        with pytest.raises(
            ValueError, match="it has to be s3://BUCKET or s3://BUCKET/PREFIX"
        ) as caught:
            open_store(uri, Access(object_store=client))
        assert "secret" not in str(caught.value)


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
