"""Google Cloud Storage: the contract against its emulator, and answers that only fail."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
import traceback
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import md5
from itertools import repeat
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("google.cloud.storage")
pytest.importorskip("gcp_storage_emulator")

from google_crc32c import Checksum

from scrapy_imgpipe.errors import SettingError, StoreFailed
from scrapy_imgpipe.stores import Access, Facts, Signing, Stat, gcs
from scrapy_imgpipe.stores.gcs import GcsStore
from tests.integration.gcs_server import (
    BUCKET,
    Fault,
    GcsServer,
    cuts,
    cuts_short,
    hangs,
    refuses,
    says,
    serving,
)
from tests.stores.contract import StoreContract

# The sentences of the service, in JSON and bare (github.com/fsouza/fake-gcs-server/issues/1187).
NO_OBJECT = f"No such object: {BUCKET}/full/a.jpg"
NO_BUCKET = "The specified bucket does not exist."
#: Of what may be asked of a store about one path: its name in errors, and how.
DEEDS = {
    "store": lambda store: store.put("full/a.jpg", b"x"),
    "read": lambda store: store.get("full/a.jpg"),
    "look at": lambda store: store.stat("full/a.jpg"),
    "delete": lambda store: store.delete("full/a.jpg"),
    "list": lambda store: list(store.list("full/a.jpg")),
}
#: As POSIX writes them: so many hours west of Greenwich.
ZONES = ("UTC", "West+11", "East-14", "Summer+5Time,M3.2.0,M11.1.0")

each_deed = pytest.mark.parametrize("deed", DEEDS)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Without credentials, and without a look for a machine of Google's around us."""
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    # The variable NO_GCE_CHECK is read once, and not by all of the versions.
    monkeypatch.setattr("google.auth.compute_engine._metadata.is_on_gce", lambda *_, **__: False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("CLOUDSDK_CONFIG", "/nonexistent")
    look_up = socket.getaddrinfo

    def look_up_loopback(host: str, *args: Any, **options: Any) -> Any:
        assert host == "127.0.0.1"
        return look_up(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up_loopback)
    return monkeypatch


@pytest.fixture
def server(environment: pytest.MonkeyPatch) -> Iterator[GcsServer]:
    with serving(BUCKET, "other") as server:
        environment.setenv("STORAGE_EMULATOR_HOST", server.url)
        yield server


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What would have been slept."""
    pauses: list[float] = []
    monkeypatch.setattr(gcs, "sleep", pauses.append)
    return pauses


def place(uri: str = f"gs://{BUCKET}", **access: Any) -> GcsStore:
    return GcsStore(uri, Access(**{"timeout_seconds": 5, **access}))


def failure_of(store: GcsStore, deed: str) -> StoreFailed:
    with pytest.raises(StoreFailed) as caught:
        DEEDS[deed](store)
    assert caught.value.code == "store-failed"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return caught.value


class TestContract(StoreContract):
    @pytest.fixture
    def store(self, server: GcsServer) -> GcsStore:
        return place()


class TestContractUnderAPrefix(StoreContract):
    @pytest.fixture
    def store(self, server: GcsServer) -> GcsStore:
        for path in ("a.jpg", "of/ours", "of/oursfull/a.jpg"):
            place().put(path, b"not of the store")
        return place(f"gs://{BUCKET}/of/ours")


def test_its_making_sends_nothing(server: GcsServer) -> None:
    place(gcs_project="ours")
    assert server.seen == []


def test_a_project_is_not_looked_for(server: GcsServer, environment: pytest.MonkeyPatch) -> None:
    environment.setattr("google.auth.default", lambda **_: pytest.fail("looked for"))
    assert place().client.project is None
    assert place(gcs_project="ours").client.project == "ours"


@pytest.mark.parametrize("uri", ["gs://", "gs:///full", "gs://me@images", "gs://images?a=b"])
def test_a_uri_without_a_bucket_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="it has to be gs://BUCKET or gs://BUCKET/PREFIX"):
        place(uri)


@pytest.mark.parametrize("key", ["", "{}", "no JSON"])
def test_credentials_that_are_not_there_are_one_sentence(
    environment: pytest.MonkeyPatch, tmp_path: Path, key: str
) -> None:
    if key:
        (tmp_path / "key.json").write_text(key)
        environment.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    with pytest.raises(ValueError, match=r"^[^\n]+[^.\n]$") as caught:
        place()
    assert type(caught.value) is ValueError
    assert caught.value.__context__ is None
    assert "://" not in str(caught.value)


def test_a_prefix_is_joined_with_a_slash_however_it_is_written(server: GcsServer) -> None:
    place(f"gs://{BUCKET}/").put("a.jpg", b"a")
    place(f"gs://{BUCKET}/to").put("b.jpg", b"b")
    place(f"gs://{BUCKET}/to/").put("c.jpg", b"c")
    assert sorted(place().list()) == ["a.jpg", "to/b.jpg", "to/c.jpg"]
    assert place(f"gs://{BUCKET}/to").url("é.jpg") == f"gs://{BUCKET}/to/%C3%A9.jpg"


def test_media_type_headers_and_metadata_travel_along(server: GcsServer) -> None:
    headers = {
        "Cache-Control": "max-age=60",
        "content-disposition": "inline",
        "Content-Language": "eo",
        "X-Goog-Storage-Class": "NEARLINE",
    }
    store = place(headers=headers)
    store.put("full/a.webp", b"x", Facts("image/webp", 90, 30, md5(b"x").hexdigest()))
    blob = store.client.bucket(BUCKET).get_blob("full/a.webp")
    assert blob.content_type == "image/webp"
    assert blob.metadata == {"width": "90", "height": "30", "md5": md5(b"x").hexdigest()}
    assert blob.cache_control == "max-age=60"
    assert blob.content_disposition == "inline"
    assert blob.content_language == "eo"
    assert blob.storage_class == "NEARLINE"


def test_without_facts_a_file_is_bytes_that_are_kept_for_two_days(server: GcsServer) -> None:
    store = place()
    store.put("full/a", b"x")
    blob = store.client.bucket(BUCKET).get_blob("full/a")
    assert blob.content_type == "application/octet-stream"
    assert blob.cache_control == "max-age=172800"
    assert not blob.metadata


def test_a_put_is_one_request_and_a_big_one_two(server: GcsServer) -> None:
    store = place()
    for size, requests in ((8 << 20, 1), ((8 << 20) + 1, 2)):
        server.seen.clear()
        told = store.put("full/a.jpg", b"x" * size, Facts("image/jpeg", 90, 30))
        assert len(server.seen) == requests
        assert server.seen[0].properties["metadata"] == {"width": "90", "height": "30"}
        assert told == store.stat("full/a.jpg")
        assert (told.bytes, told.checksum) == (size, md5(b"x" * size).hexdigest())
        assert store.client.bucket(BUCKET).get_blob("full/a.jpg").content_type == "image/jpeg"


@pytest.mark.parametrize("size", [3, (8 << 20) + 1])
@pytest.mark.parametrize("known", [False, True])
def test_what_was_changed_on_the_way_replaces_nothing(
    server: GcsServer, size: int, known: bool
) -> None:
    store = place(retries=0)
    was = store.put("full/a.jpg", b"old")
    data = b"x" * size
    digest = md5(data).hexdigest()
    server.change = lambda body: body.replace(b"xxx", b"xyx", 1)
    with pytest.raises(StoreFailed, match=r"Could not store 'full/a.jpg': 400 Provided MD5 hash"):
        store.put("full/a.jpg", data, Facts(checksum=digest if known else ""))
    assert store.stat("full/a.jpg") == was
    assert store.get("full/a.jpg") == b"old"


def test_what_was_changed_on_the_way_back_is_read_again(
    server: GcsServer, pauses: list[float]
) -> None:
    digests = {"md5": md5(b"sent").digest(), "crc32c": Checksum(b"sent").digest()}
    told = [f"{name}={b64encode(digest).decode()}" for name, digest in digests.items()]
    sent = {"X-Goog-Hash": ",".join(told)}
    server.faults = iter([says(200, b"rent", **sent), says(200, b"sent", **sent)])
    assert place().get("full/a.jpg") == b"sent"
    server.faults = repeat(says(200, b"rent", **sent))
    reason = str(failure_of(place(retries=1), "read"))
    assert reason.startswith("Could not read 'full/a.jpg': Checksum mismatch")
    assert "://" not in reason


def test_what_was_put_with_an_encoding_comes_back_with_it(server: GcsServer) -> None:
    store = place(headers={"Content-Encoding": "gzip"})
    data = bytes.fromhex("1f8b080000000000000303000000000000000000")  # an empty file, packed
    store.put("full/a.svg", data)
    assert server.seen[-1].properties["contentEncoding"] == "gzip"
    server.faults = iter([says(200, data, Content_Encoding="gzip")])
    assert store.get("full/a.svg") == data


@pytest.mark.parametrize("name", ["X-Powered-By", "x-amz-storage-class", "Content-Type"])
def test_a_header_that_nobody_knows_is_refused_at_once(server: GcsServer, name: str) -> None:
    with pytest.raises(SettingError) as caught:
        place(headers={"Cache-Control": "no-cache", name: "x"})
    assert str(caught.value) == (
        "Expected headers that Google Cloud Storage knows for IMGPIPE_STORE_HEADERS but received"
        f" ['{name}']"
    )


def test_two_stores_with_two_acls_do_not_mix(server: GcsServer) -> None:
    acls = ["publicRead", "", "private", "bucket-owner-read", "", "publicRead"]
    stores = {acl: place(gcs_acl=acl) for acl in acls}
    for acl in acls:
        stores[acl].put(f"full/{acl}.jpg", b"x")
    sent = [seen.query.get("predefinedAcl", "") for seen in server.seen]
    assert sent == [acl.replace("bucket-owner-read", "bucketOwnerRead") for acl in acls]


def test_an_acl_that_nobody_knows_is_refused_at_once(server: GcsServer) -> None:
    with pytest.raises(SettingError) as caught:
        place(gcs_acl="public")
    assert str(caught.value).startswith("Expected one of authenticated-read, ")
    assert str(caught.value).endswith(" for IMAGES_STORE_GCS_ACL but received 'public'")


@pytest.fixture(params=ZONES)
def zone(request: pytest.FixtureRequest) -> Iterator[str]:
    """A time zone that we are in."""
    if not hasattr(time, "tzset"):
        pytest.skip("a process has one time zone here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


def test_the_time_is_that_of_the_last_put_wherever_we_are(server: GcsServer, zone: str) -> None:
    store = place()
    told = store.put("full/a.jpg", b"x")
    assert abs(told.modified - time.time()) < 600
    assert told == store.stat("full/a.jpg")
    # Composed of others, without an MD5, and with new metadata since.
    answer = {
        "size": "3",
        "timeCreated": "2024-07-01T12:00:00.250Z",
        "updated": "2024-08-01T12:00:00.000Z",
    }
    server.faults = iter([says(200, answer)])
    assert store.stat("full/a.jpg") == Stat(3, 1719835200.25, "")


@each_deed
@pytest.mark.parametrize("status", [400, 403, 412])
def test_a_refusal_is_reported_at_once(
    server: GcsServer, pauses: list[float], deed: str, status: int
) -> None:
    server.faults = iter([refuses(status, "nobody@example.org may\nnot do that.")])
    failure = failure_of(place(), deed)
    assert str(failure) == (
        f"Could not {deed} 'full/a.jpg': {status} nobody@example.org may not do that."
    )
    assert len(server.seen) == 1
    assert pauses == []


@each_deed
@pytest.mark.parametrize("fault", [says(408), says(429), says(500), says(503), cuts])
def test_what_passes_is_tried_again(
    server: GcsServer, pauses: list[float], deed: str, fault: Fault
) -> None:
    store = place()
    store.put("full/a.jpg", b"x")
    expected: dict[str, Any] = {"read": b"x", "delete": True, "list": ["full/a.jpg"]}
    expected["look at"] = store.stat("full/a.jpg")
    server.seen.clear()
    server.faults = repeat(fault, 3)
    found = DEEDS[deed](store)
    assert len(server.seen) == 4
    assert len({(seen.method, seen.path) for seen in server.seen}) == 1
    expected["store"] = store.stat("full/a.jpg")
    assert found == expected[deed]
    assert 0.5 <= pauses[0] <= 1 <= pauses[1] <= 2 <= pauses[2] <= 4
    assert len(pauses) == 3


@each_deed
@pytest.mark.parametrize("retries", [0, 2])
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (refuses(503, "Try again."), "503 Try again."),
        (says(502, b"<!DOCTYPE html><title>Error 502</title>"), "502 Bad Gateway"),
        (says(429), "429 Too Many Requests"),
        (cuts, "Remote end closed connection without response"),
    ],
)
def test_what_does_not_pass_is_reported_in_the_end(
    server: GcsServer, pauses: list[float], deed: str, retries: int, fault: Fault, reason: str
) -> None:
    server.faults = repeat(fault)
    failure = failure_of(place(retries=retries), deed)
    assert str(failure) == f"Could not {deed} 'full/a.jpg': {reason}"
    assert len(server.seen) == retries + 1
    assert len(pauses) == retries


def test_pauses_grow_to_half_a_minute_and_tries_end_with_the_time(
    server: GcsServer, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gcs, "monotonic", lambda: sum(pauses))
    monkeypatch.setattr(gcs, "uniform", lambda _, most: most)
    server.faults = repeat(says(503))
    failure_of(place(timeout_seconds=1, retries=100), "look at")
    assert pauses == [1, 2, 4, 8, 16, 32, 32, 32, 32]  # one more would end after 161 seconds


@each_deed
def test_silence_is_reported_when_its_time_is_over(server: GcsServer, deed: str) -> None:
    server.faults = repeat(hangs)
    failure = failure_of(place(timeout_seconds=0.1, retries=0), deed)
    assert "timed out" in str(failure).lower()
    assert str(failure).startswith(f"Could not {deed} 'full/a.jpg': ")
    assert len(server.seen) == 1


def test_after_silence_another_try_is_made(server: GcsServer, pauses: list[float]) -> None:
    store = place(timeout_seconds=1)
    server.faults = iter([hangs])
    told = store.put("full/a.jpg", b"x")
    assert len(pauses) == 1
    assert store.stat("full/a.jpg") == told


@pytest.mark.parametrize("fault", [cuts_short, says(200, b"<html>Log in</html>")])
def test_half_an_answer_is_none(server: GcsServer, pauses: list[float], fault: Fault) -> None:
    server.faults = repeat(fault)
    failure_of(place(retries=1), "look at")
    failure_of(place(retries=1), "list")
    failure_of(place(retries=1), "store")


def test_a_body_that_was_cut_off_is_read_again(server: GcsServer, pauses: list[float]) -> None:
    store = place()
    store.put("full/a.jpg", b"whole")
    server.faults = iter([cuts_short])  # which urllib3 notices since 2.0; before, MD5 differs
    assert store.get("full/a.jpg") == b"whole"
    assert len(pauses) == 1
    server.faults = repeat(cuts_short)
    failure_of(store, "read")


@each_deed
def test_a_server_that_is_not_there_is_named_without_queries(
    environment: pytest.MonkeyPatch, deed: str
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        port = nobody.getsockname()[1]
        environment.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        reason = str(failure_of(place(retries=0), deed))
    assert reason.startswith(f"Could not {deed} 'full/a.jpg': ")
    assert "refused" in reason
    assert "?" not in reason
    assert "/storage/v1" not in reason


@each_deed
def test_no_reason_has_urls(server: GcsServer, deed: str) -> None:
    message = "See https://example.org/upload?upload_id=secret&a=b for more"
    server.faults = iter([refuses(400, message)])
    assert str(failure_of(place(), deed)) == f"Could not {deed} 'full/a.jpg': 400 See for more"


@pytest.mark.parametrize("deed", ["read", "look at", "delete"])
@pytest.mark.parametrize("fault", [refuses(404, NO_OBJECT), says(404, NO_OBJECT.encode())])
def test_a_missing_object_is_absent_without_another_request(
    server: GcsServer, deed: str, fault: Fault
) -> None:
    server.faults = iter([fault])
    assert not DEEDS[deed](place("gs://none"))
    assert len(server.seen) == 1


@pytest.mark.parametrize("deed", ["read", "look at", "delete"])
@pytest.mark.parametrize("fault", [refuses(404, "Not Found"), says(404)])
def test_where_words_do_not_tell_the_bucket_is_asked(
    server: GcsServer, deed: str, fault: Fault
) -> None:
    server.faults = iter([fault])
    assert not DEEDS[deed](place())
    assert [seen.path for seen in server.seen][1:] == [f"/storage/v1/b/{BUCKET}/o"]
    assert server.seen[1].query["maxResults"] == "1"
    server.faults = iter([fault, refuses(403, "No list.")])
    assert str(failure_of(place(), deed)) == f"Could not {deed} 'full/a.jpg': 403 No list."


@each_deed
@pytest.mark.parametrize("says_so", [False, True])
def test_a_missing_bucket_is_reported_and_never_absent(
    server: GcsServer, deed: str, says_so: bool
) -> None:
    if says_so:
        server.faults = repeat(refuses(404, NO_BUCKET))
    failure = failure_of(place("gs://none"), deed)
    assert str(failure) == (
        f"Could not {deed} 'full/a.jpg': 404 {NO_BUCKET if says_so else 'Not Found'}"
    )


def test_pages_are_asked_for_when_they_are_read(server: GcsServer) -> None:
    server.faults = iter(
        [
            says(200, {"items": [{"name": "to/b.jpg"}], "nextPageToken": "second"}),
            says(200, {"nextPageToken": "third"}),
            says(503),
            says(200, {"items": [{"name": "to/"}, {"name": "to/a.jpg"}]}),
        ]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gcs, "sleep", lambda _: None)
        listed = place(f"gs://{BUCKET}/to").list()
        assert server.seen == []
        assert next(listed) == "b.jpg"
        assert len(server.seen) == 1
        assert list(listed) == ["a.jpg"]  # what ends in a slash stands for a folder
    tokens = [seen.query.get("pageToken") for seen in server.seen]
    assert tokens == [None, "second", "third", "third"]
    assert {seen.query["prefix"] for seen in server.seen} == {"to/"}
    assert {seen.query["fields"] for seen in server.seen} == {"items(name),nextPageToken"}


@pytest.mark.parametrize("fault", [refuses(403, "No."), cuts])
def test_a_failure_refers_to_no_data(server: GcsServer, pauses: list[float], fault: Fault) -> None:
    server.faults = repeat(fault)
    try:
        place().put("full/a.jpg", b"the data")
    except StoreFailed as error:
        failure = error
    assert failure.__cause__ is None
    assert failure.__context__ is None
    frames = [frame for frame, _ in traceback.walk_tb(failure.__traceback__)][1:]
    assert not any(frame.f_code.co_filename == gcs.__file__ for frame in frames)


THREADS = 16


def together(status: int, body: bytes) -> Fault:
    """Answer when as many requests have come as there are threads."""
    barrier = threading.Barrier(THREADS, timeout=20)

    def wait(handler: Any) -> None:
        barrier.wait()
        handler.answer(status, body, {"Content-Type": "application/json"})

    return wait


def test_as_many_threads_as_connections_have_room(
    server: GcsServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults = repeat(together(404, NO_OBJECT.encode()))
    store = place(connections=THREADS, retries=0)
    with caplog.at_level(logging.WARNING, "urllib3"), ThreadPoolExecutor(THREADS) as pool:
        for _ in range(2):
            assert not any(pool.map(store.get, map(str, range(THREADS))))
    assert caplog.messages == []
    assert len(server.connections) == THREADS


@pytest.fixture(scope="module")
def private_key() -> str:
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

    key = generate_private_key(65537, 2048)
    unencrypted = serialization.NoEncryption()
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, unencrypted)
    return key.private_bytes(*form).decode()


@pytest.fixture
def account(
    server: GcsServer, environment: pytest.MonkeyPatch, private_key: str, tmp_path: Path
) -> dict[str, str]:
    """Be a service account that nobody has, with Google itself as the server; return its key."""
    account = {
        "type": "service_account",
        "client_email": "images@example.iam.gserviceaccount.com",
        "private_key": private_key,
        "private_key_id": "1",
        "project_id": "example",
        "token_uri": f"{server.url}/token",
    }
    (tmp_path / "key.json").write_text(json.dumps(account))
    environment.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    environment.delenv("STORAGE_EMULATOR_HOST")
    return account


def test_no_project_is_missed(account: dict[str, str], tmp_path: Path) -> None:
    del account["project_id"]
    (tmp_path / "key.json").write_text(json.dumps(account))
    assert place().client.project is None


@pytest.mark.usefixtures("account")
def test_as_many_threads_as_connections_may_ask_for_a_token(
    server: GcsServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults = repeat(together(400, b'{"error": "invalid_grant"}'))
    store = place(connections=THREADS, retries=0)
    with caplog.at_level(logging.WARNING, "urllib3"), ThreadPoolExecutor(THREADS) as pool:
        for asked in [pool.submit(store.get, "full/a.jpg") for _ in range(THREADS)]:
            with pytest.raises(StoreFailed, match="invalid_grant"):
                asked.result()
    assert caplog.messages == []
    assert len(server.connections) == THREADS


@pytest.mark.usefixtures("account")
def test_a_signed_url_is_made_without_a_request(
    server: GcsServer, environment: pytest.MonkeyPatch
) -> None:
    for name in ("connect", "connect_ex", "sendto"):
        environment.setattr(socket.socket, name, lambda *_: pytest.fail("a request"))
    store = place(f"gs://{BUCKET}/to")
    assert isinstance(store, Signing)
    parts = urlsplit(store.signed_url("é/a b.jpg", 600))
    assert parts.scheme == "https"
    assert parts.netloc == "storage.googleapis.com"
    assert parts.path == f"/{BUCKET}/to/%C3%A9/a%20b.jpg"
    query = parse_qs(parts.query)
    assert query["X-Goog-Algorithm"] == ["GOOG4-RSA-SHA256"]
    assert query["X-Goog-Expires"] == ["600"]
    assert len(bytes.fromhex(query["X-Goog-Signature"][0])) == 256


@pytest.mark.usefixtures("account")
def test_a_url_is_signed_for_a_week_at_most() -> None:
    week = 7 * 24 * 60 * 60
    assert f"X-Goog-Expires={week}&" in place().signed_url("full/a.jpg", week)
    with pytest.raises(StoreFailed) as caught:
        place().signed_url("full/a.jpg", week + 1)
    assert str(caught.value) == (
        "Could not sign a URL of 'full/a.jpg': it can last 604800 seconds, not 604801"
    )


def test_credentials_without_a_key_sign_nothing(server: GcsServer) -> None:
    with pytest.raises(StoreFailed) as caught:
        place().signed_url("full/a.jpg", 60)
    assert str(caught.value) == (
        "Could not sign a URL of 'full/a.jpg': the credentials have no key; those of a service"
        " account have one"
    )


@pytest.mark.usefixtures("account")
def test_a_bad_path_is_not_signed() -> None:
    with pytest.raises(StoreFailed) as caught:
        place().signed_url("../a.jpg", 60)
    assert caught.value.code == "bad-path"


@each_deed
@pytest.mark.usefixtures("account")
def test_credentials_that_google_refuses_are_reported_without_tokens(
    server: GcsServer, pauses: list[float], deed: str
) -> None:
    answer = {"error": "invalid_grant", "error_description": "Bad JWT.", "id_token": "secret"}
    server.faults = iter([says(400, answer)])
    assert (
        str(failure_of(place(), deed)) == f"Could not {deed} 'full/a.jpg': invalid_grant: Bad JWT."
    )
    assert [seen.path for seen in server.seen] == ["/token"]
    assert pauses == []


@each_deed
@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (cuts, "Remote end closed connection without response"),
        (says(503, {"error": "backend_error", "error_description": "Later."}), "Later."),
    ],
)
def test_where_no_token_can_be_had_another_try_is_made(
    server: GcsServer,
    pauses: list[float],
    environment: pytest.MonkeyPatch,
    deed: str,
    fault: Fault,
    reason: str,
) -> None:
    environment.setattr(time, "sleep", lambda _: None)  # for google-auth, which tries as well
    server.faults = repeat(fault)
    failure = failure_of(place(retries=2), deed)
    assert str(failure).startswith(f"Could not {deed} 'full/a.jpg': ")
    assert str(failure).endswith(reason)
    assert {seen.path for seen in server.seen} == {"/token"}
    assert len(pauses) == 2
