"""The FTP store against a real server: what it promises, and what it makes of each fault."""

# A store is closed before its server ends; and some imports need what may not be there.
# ruff: noqa: SIM117, E402

from __future__ import annotations

import ftplib
import gc
import os
import shutil
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

trustme = pytest.importorskip("trustme")
pytest.importorskip("pyftpdlib")

from pyftpdlib.filesystems import AbstractedFS

from scrapy_imgpipe.errors import StoreFailed
from scrapy_imgpipe.stores import Access, Stat, ftp_session, open_store
from scrapy_imgpipe.stores.ftp import FtpStore
from tests.integration.ftp_server import (
    ALL,
    PASSWORD,
    USER,
    WITHOUT_FACTS,
    Server,
    ftp_server,
)
from tests.stores.contract import StoreContract

LOGIN = f"{quote(USER)}:{quote(PASSWORD, safe='')}"
OLD = 1_000_000_000  # 2001-09-09 01:46:40 UTC


def store_on(server: Server, base: str = "/base", **access: Any) -> FtpStore:
    known = {"timeout_seconds": 10, "retries": 0, "connections": 4} | access
    return FtpStore(f"ftp://{LOGIN}@{server.address}{base}", Access(**known))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with ftp_server(tmp_path / "root") as server:
        yield server


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Server]:
    """A server that knows no MLST and MLSD."""
    with ftp_server(tmp_path / "root", without=WITHOUT_FACTS) as server:
        yield server


@pytest.fixture
def store(server: Server) -> Iterator[FtpStore]:
    store = store_on(server)
    yield store
    store.close()


@pytest.fixture(scope="module")
def authority() -> Any:
    return trustme.CA()


@pytest.fixture(scope="module")
def certificate(authority: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(path)
    return str(path)


@pytest.fixture
def trusted(authority: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))


def failure_of(deed: Callable[[], object]) -> str:
    """Return the reason of the failure of *deed*, which has to be one of a store."""
    with pytest.raises(StoreFailed) as caught:
        deed()
    assert caught.value.code == "store-failed"
    assert caught.value.__context__ is None
    assert PASSWORD not in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestContract(StoreContract):
    @pytest.fixture
    def store(self, server: Server) -> Iterator[FtpStore]:
        store = store_on(server)
        yield store
        store.close()


class TestContractWithTls(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path, certificate: str, trusted: None) -> Iterator[FtpStore]:
        with ftp_server(tmp_path / "root", certificate=certificate) as server:
            access = Access(ftp_user=USER, ftp_password=PASSWORD, timeout_seconds=10, retries=0)
            store = FtpStore(f"ftps://localhost:{server.port}", access)
            yield store
            store.close()


class TestContractWithoutFacts(StoreContract):
    """As vsftpd: no MLST, no MLSD, and no words that tell one 550 from another."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[FtpStore]:
        with ftp_server(tmp_path / "root", without=WITHOUT_FACTS) as server:
            server.says["550"] = "550 Failed."
            store = store_on(server)
            yield store
            store.close()


# --- where, and as whom ---


def test_the_address_has_no_credentials(server: Server) -> None:
    store = store_on(server, base="/b c/")
    assert store.address == f"ftp://{server.address}"
    assert store.url("é.jpg") == f"ftp://{server.address}/b%20c/%C3%A9.jpg"
    assert server.log == []  # no request


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("ftp://host", "ftp://host"),
        ("ftp://host:21/base", "ftp://host"),
        ("ftps://user:password@host:2121/", "ftps://host:2121"),
        ("ftp://[::1]:2121", "ftp://[::1]:2121"),
    ],
)
def test_the_port_may_be_left_out(uri: str, address: str) -> None:
    store = FtpStore(uri, Access())
    assert store.address == address
    assert store.url("a.jpg").startswith(f"{address}/")


def test_a_missing_port_is_21(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    asked = []

    def connect(self: ftplib.FTP, host: str, port: int) -> None:
        asked.append((host, port))
        raise ConnectionRefusedError("nobody there")

    monkeypatch.setattr(ftplib.FTP, "connect", connect)
    store = FtpStore("ftp://example.com/base", Access(retries=0))
    assert failure_of(lambda: store.stat("a")) == "Could not look at 'a': nobody there"
    assert asked == [("example.com", 21)]


@pytest.mark.parametrize(
    "uri",
    [
        "ftp://",
        "ftp:///base",
        "ftp://us:se%63ret@/base",
        "ftp://us:se/cret@host/base",
        "ftp://us:se#cret@host",
        "ftp://host:x/",
        "ftp://us:se\u2100cret@host",
        "ftp://us:secret@[host",
        "ftp://host/a?b",
        "ftp://host/../a",
        "ftp://host/a\x01b",
        "ftp://us%0d%0aDELE%20x:secret@host",
        "ftp://us:secret%0aDELE%20x@host",
    ],
)
def test_refuses_what_names_no_place(uri: str) -> None:
    with pytest.raises(ValueError, match=r"^it has to be ftp://HOST/BASE, ") as caught:
        FtpStore(uri, Access())
    assert "cret" not in str(caught.value)


def test_refuses_a_password_that_would_be_another_command() -> None:
    with pytest.raises(ValueError, match="without control characters") as caught:
        FtpStore("ftp://host", Access(ftp_password="secret\r\nDELE x"))
    assert "secret" not in str(caught.value)


def test_credentials_of_the_settings(server: Server) -> None:
    access = Access(ftp_user=USER, ftp_password=PASSWORD, retries=0)
    with closing(FtpStore(f"ftp://{server.address}", access)) as store:
        store.put("a.jpg", b"x")
    assert server.sent("USER", "PASS") == [f"USER {USER}", f"PASS {PASSWORD}"]


def test_credentials_of_the_uri_come_first(server: Server) -> None:
    with closing(store_on(server, ftp_user="other", ftp_password="other")) as store:
        store.put("a.jpg", b"x")
    assert server.sent("USER", "PASS") == [f"USER {USER}", f"PASS {PASSWORD}"]


def test_nobody_is_anonymous(tmp_path: Path) -> None:
    with ftp_server(tmp_path / "root", user="anonymous", permissions="elr") as server:
        with closing(FtpStore(f"ftp://{server.address}", Access(retries=0))) as store:
            assert store.get("a.jpg") is None
        assert server.sent("USER") == ["USER anonymous"]


@pytest.mark.parametrize("ask", ["stat", "get", "delete"])
def test_a_refused_login_is_no_absent_file(server: Server, ask: str) -> None:
    store = FtpStore(f"ftp://{USER}:wrong@{server.address}", Access(retries=3))
    assert "530 Authentication failed" in failure_of(lambda: getattr(store, ask)("a.jpg"))
    assert len(server.sent("PASS")) == 1  # it would be refused again


def test_a_password_that_the_server_repeats_is_not_told(server: Server) -> None:
    server.always["PASS"] = f"530 no user with {PASSWORD}"
    told = failure_of(lambda: store_on(server).put("a.jpg", b"x"))
    assert told == "Could not store 'a.jpg': 530 no user with ***"


def test_the_base_is_counted_from_the_root(server: Server) -> None:
    with closing(store_on(server, base="/a b/c/")) as store:
        store.put("full/x.jpg", b"x")
        assert list(store.list()) == ["full/x.jpg"]
        (server.root / "other.jpg").write_bytes(b"x")
        assert list(store.list()) == ["full/x.jpg"]
    assert server.files() == ["a b/c/full/x.jpg", "other.jpg"]


def test_other_spellings_are_one_file(store: FtpStore, server: Server) -> None:
    store.put("full//a.jpg", b"x")
    assert store.get("./full/a.jpg") == b"x"
    assert server.files() == ["base/full/a.jpg"]


def test_opens_by_its_uri(server: Server) -> None:
    assert isinstance(open_store(f"ftp://{server.address}"), FtpStore)


# --- TLS ---


def test_the_data_connections_resume_the_session(
    tmp_path: Path, certificate: str, trusted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed = []
    unwrap = ssl.SSLSocket.unwrap

    def seen(self: ssl.SSLSocket) -> Any:
        resumed.append(self.session_reused)
        return unwrap(self)

    monkeypatch.setattr(ssl.SSLSocket, "unwrap", seen)
    with ftp_server(tmp_path / "root", certificate=certificate) as server:
        access = Access(ftp_user=USER, ftp_password=PASSWORD, retries=0)
        with closing(FtpStore(f"ftps://localhost:{server.port}", access)) as store:
            store.put("a.jpg", b"x")
            assert store.get("a.jpg") == b"x"
    assert resumed == [True, True]


def test_a_certificate_of_a_stranger_is_refused(tmp_path: Path, certificate: str) -> None:
    with ftp_server(tmp_path / "root", certificate=certificate) as server:
        store = FtpStore(f"ftps://{LOGIN}@localhost:{server.port}", Access(retries=3))
        assert "certificate verify failed" in failure_of(lambda: store.put("a.jpg", b"x"))
        assert len(server.sent("AUTH")) == 1
        assert server.sent("USER", "PASS") == []


def test_a_certificate_of_another_host_is_refused(
    tmp_path: Path, certificate: str, trusted: None
) -> None:
    with ftp_server(tmp_path / "root", certificate=certificate) as server:
        store = FtpStore(f"ftps://{LOGIN}@127.0.0.1:{server.port}", Access(retries=0))
        assert "certificate verify failed" in failure_of(lambda: store.put("a.jpg", b"x"))
        assert server.sent("USER", "PASS") == []


@pytest.mark.parametrize("scheme", ["ftps", "FTPS"])
def test_tls_is_never_given_up(server: Server, scheme: str) -> None:
    store = FtpStore(f"{scheme}://{LOGIN}@{server.address}", Access(retries=0))
    assert "500 Command" in failure_of(lambda: store.put("a.jpg", b"x"))
    assert server.sent("USER", "PASS") == []


# --- times ---


@pytest.mark.parametrize("zone", ["UTC", "XYZ-09:30", "XYZ+11"])
@pytest.mark.parametrize("without", [frozenset(), WITHOUT_FACTS])
def test_times_are_utc_wherever_the_server_is(
    tmp_path: Path, zone: str, without: frozenset[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        with ftp_server(tmp_path / "root", without=without) as server:
            with closing(store_on(server)) as store:
                told = store.put("a.jpg", b"x")
                file = server.root / "base" / "a.jpg"
                assert told.modified == int(file.stat().st_mtime)
                os.utime(file, (OLD, OLD))
                assert store.stat("a.jpg") == Stat(1, OLD)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20010909014640", OLD),
        ("20010909014640.125", OLD + 0.125),
        ("19700101000000", 0),
        ("20240229235960", 1709251200),  # a leap second, which RFC 3659 allows
        ("20011309014640", 0),
        ("1000000000", 0),  # what Scrapy took it for
        ("", 0),
    ],
)
def test_reads_times(text: str, seconds: float) -> None:
    assert ftp_session.seconds_of(text) == seconds


def test_a_server_without_times(tmp_path: Path) -> None:
    with ftp_server(tmp_path / "root", without=WITHOUT_FACTS | {"MDTM"}) as server:
        with closing(store_on(server)) as store:
            assert store.put("a.jpg", b"x") == store.stat("a.jpg") == Stat(1, 0)


# --- absent, or not to be known ---


class Guarded(AbstractedFS):
    """Nobody may look at what is called secret, nor rename over it."""

    def stat(self, path: str) -> os.stat_result:
        if "secret" in path:
            raise PermissionError(13, "Permission denied")
        return super().stat(path)


def test_what_we_may_not_see_is_not_absent(tmp_path: Path) -> None:
    with ftp_server(tmp_path / "root", file_system=Guarded) as server:
        with closing(store_on(server, base="")) as store:
            (server.root / "secret.jpg").write_bytes(b"x")
            told = failure_of(lambda: store.stat("secret.jpg"))
            assert told == "Could not look at 'secret.jpg': 550 Permission denied."


@pytest.mark.parametrize("without", [frozenset(), WITHOUT_FACTS])
def test_a_server_that_lets_nobody_look(tmp_path: Path, without: frozenset[str]) -> None:
    permissions = ALL.replace("l", "")
    with ftp_server(tmp_path / "root", permissions=permissions, without=without) as server:
        with closing(store_on(server)) as store:
            assert store.put("a.jpg", b"x") == Stat(1, 0)  # it said that all had come
            assert store.get("a.jpg") == b"x"
            for deed in (lambda: store.stat("a.jpg"), lambda: list(store.list())):
                assert failure_of(deed).endswith(": 550 Not enough privileges.")


@pytest.mark.parametrize("name", ["a.jpg", "a b*.jpg", "-a.jpg", " a.jpg"])
def test_where_words_do_not_tell_the_listing_does(plain: Server, name: str) -> None:
    with closing(store_on(plain)) as store:
        store.put(f"full/{name}", b"x")
        plain.always[f"SIZE /base/full/{name}"] = "550 Sorry."
        plain.always["RNFR"] = "550 Sorry."
        told = failure_of(lambda: store.stat(f"full/{name}"))
        assert told == f"Could not look at {f'full/{name}'!r}: 550 Sorry."
        assert store.stat(f"full/x{name}") is None
    # what may be a pattern or an option is not asked for
    assert (f"NLST {name}" in plain.log) is (name == "a.jpg")


@pytest.mark.parametrize("path", ["full/a.jpg", "full/none.jpg", "full/deep/a.jpg"])
def test_a_directory_that_we_may_not_enter_hides_nothing(plain: Server, path: str) -> None:
    with closing(store_on(plain)) as store:
        store.put("full/a.jpg", b"x")
        for command in ("SIZE", "CWD", "RETR", "DELE", "RNFR"):
            plain.always[f"{command} /base/full"] = "550 Sorry."
        for deed in (store.stat, store.get, store.delete):
            assert failure_of(lambda deed=deed: deed(path)).endswith(": 550 Sorry.")
        assert failure_of(lambda: list(store.list())).endswith(": 550 Sorry.")
        assert store.stat("none/a.jpg") is None


def test_a_directory_that_vsftpd_cannot_open_is_not_empty(plain: Server) -> None:
    with closing(store_on(plain)) as store:
        store.put("a.jpg", b"x")
        plain.says["226"] = "226 Transfer done (but failed to open directory)."
        assert "failed to open directory" in failure_of(lambda: list(store.list()))


@pytest.mark.parametrize("name", ["not found.jpg", "no such.jpg"])
def test_the_name_of_a_file_is_no_word_of_the_server(server: Server, name: str) -> None:
    with closing(store_on(server)) as store:
        store.put(name, b"x")
        server.always["MLST"] = f"550 /base/{name}: Permission denied"
        assert "Permission denied" in failure_of(lambda: store.stat(name))


def test_what_could_be_renamed_is_there(plain: Server) -> None:
    with closing(store_on(plain)) as store:
        store.put("a.jpg", b"x")
        plain.always["SIZE"] = "550 Sorry."
        assert failure_of(lambda: store.stat("a.jpg")).endswith(": 550 Sorry.")
        assert store.stat("b.jpg") is None
    assert not plain.sent("NLST")


def test_plain_words_need_no_second_question(server: Server, store: FtpStore) -> None:
    assert store.get("a.jpg") is None
    assert store.delete("a.jpg") is False
    assert not server.sent("MLST", "NLST", "RNFR")


@pytest.mark.parametrize("answer", ["550 Permission denied.", "550 Access is denied.", "530 No."])
def test_who_refuses_to_tell_is_not_asked_another_way(plain: Server, answer: str) -> None:
    plain.always["SIZE"] = answer
    with closing(store_on(plain)) as store:
        assert failure_of(lambda: store.stat("none.jpg")).endswith(f": {answer}")
    assert not plain.sent("NLST")


@pytest.mark.parametrize("ask", ["stat", "get", "delete"])
def test_other_failures_are_not_absence(server: Server, store: FtpStore, ask: str) -> None:
    store.put("a.jpg", b"x")
    for answer in ("530 Please log in.", "452 Busy.", "421 Going down.", "599 What?"):
        for command in ("MLST", "SIZE", "RETR", "DELE"):
            server.always[command] = answer
        assert failure_of(lambda: getattr(store, ask)("a.jpg")).endswith(f": {answer}")
    assert server.files() == ["base/a.jpg"]


def test_a_failed_delete_is_not_absence(tmp_path: Path) -> None:
    with ftp_server(tmp_path / "root", permissions=ALL.replace("d", "")) as server:
        with closing(store_on(server)) as store:
            store.put("a.jpg", b"x")
            assert "privileges" in failure_of(lambda: store.delete("a.jpg"))
            assert store.delete("b.jpg") is False


def test_an_answer_that_is_not_utf_8(tmp_path: Path) -> None:
    with ftp_server(tmp_path / "root", encoding="latin-1") as server:
        server.always["MLST"] = "550 F\u00fcr die Datei gilt: No such file"
        with closing(store_on(server)) as store:
            assert store.stat("a.jpg") is None


# --- puts that fail ---


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(server: Server) -> None:
    with closing(store_on(server)) as store:
        store.put("a.jpg", b"old")
        server.always["MLST"] = ""  # after all bytes have come, before the name changes
        with ThreadPoolExecutor(1) as pool:
            with closing(store_on(server, timeout_seconds=1)) as slow:
                put = pool.submit(slow.put, "a.jpg", b"new")
                server.wait(lambda: bool(server.sent("MLST")[1:]))
                assert store.get("a.jpg") == b"old"
                del server.always["MLST"]
                assert "timed out" in failure_of(put.result)
        assert store.get("a.jpg") == b"old"
    assert server.files() == ["base/a.jpg"]


@pytest.mark.parametrize("retries", [0, 2])
def test_an_upload_that_is_cut_leaves_the_old_file(server: Server, retries: int) -> None:
    with closing(store_on(server, retries=retries)) as store:
        store.put("a.jpg", b"old")
        server.cut = 100_000
        failure_of(lambda: store.put("a.jpg", b"x" * 3_000_000))
        assert store.get("a.jpg") == b"old"
    assert len(set(server.sent("STOR"))) >= 2 + retries  # each its own name
    assert server.files() == ["base/a.jpg"]


def test_a_full_disk_leaves_the_old_file_and_is_told(server: Server) -> None:
    with closing(store_on(server, retries=3)) as store:
        store.put("a.jpg", b"old")
        server.full = True
        told = failure_of(lambda: store.put("a.jpg", b"x" * 3_000_000))
        assert told == "Could not store 'a.jpg': 552 Exceeded storage allocation."
        assert store.get("a.jpg") == b"old"
    assert server.files() == ["base/a.jpg"]


def test_a_server_that_takes_no_data_and_says_that_all_is_well(tmp_path: Path) -> None:
    with ftp_server(tmp_path / "root", permissions=ALL.replace("l", "")) as server:
        server.full = True
        server.says["552"] = "226 Transfer complete."
        with closing(store_on(server)) as store:
            told = failure_of(lambda: store.put("a.jpg", b"x" * 20_000_000))
        assert told == "Could not store 'a.jpg': the server closed the data connection"
        assert server.files() == []


def test_bytes_that_got_lost_are_missed(server: Server, store: FtpStore) -> None:
    store.put("a.jpg", b"old")
    begin = "MLST /base/.imgpipe-"
    server.always[begin] = "250-\r\n type=file;size=2;modify=20240101000000; x\r\n250 End"
    told = failure_of(lambda: store.put("a.jpg", b"new"))
    assert told == "Could not store 'a.jpg': of 3 bytes not all arrived"
    assert server.files() == ["base/a.jpg"]
    assert store.get("a.jpg") == b"old"


def test_a_directory_is_not_replaced(server: Server, store: FtpStore) -> None:
    store.put("full/a.jpg", b"x")
    assert "550" in failure_of(lambda: store.put("full", b"new"))
    assert "550" in failure_of(lambda: store.put("full/a.jpg/b.jpg", b"new"))
    assert server.files() == ["base/full/a.jpg"]


class Windows(AbstractedFS):
    """Does not rename over a file."""

    def rename(self, src: str, dst: str) -> None:
        if Path(dst).exists():
            raise FileExistsError(17, "File exists")
        super().rename(src, dst)


class Stubborn(Windows):
    """Lets no new file become a.jpg once there was one."""

    was = ""

    def rename(self, src: str, dst: str) -> None:
        if src.endswith("a.jpg"):
            Stubborn.was = dst
        elif dst.endswith("a.jpg") and src != self.was and self.was:
            raise PermissionError(13, "Permission denied")
        super().rename(src, dst)


def test_replaces_on_a_server_that_does_not_rename_over_files(tmp_path: Path) -> None:
    with ftp_server(tmp_path / "root", file_system=Windows) as server:
        server.says["550"] = "550 Failed."
        with closing(store_on(server)) as store:
            store.put("a.jpg", b"old")
            store.put("a.jpg", b"new")
            assert store.get("a.jpg") == b"new"
        assert server.files() == ["base/a.jpg"]


def test_the_old_file_comes_back_where_the_new_one_cannot_take_its_place(tmp_path: Path) -> None:
    with ftp_server(tmp_path / "root", file_system=Stubborn) as server:
        with closing(store_on(server)) as store:
            store.put("a.jpg", b"old")
            assert "Permission denied" in failure_of(lambda: store.put("a.jpg", b"new"))
            assert store.get("a.jpg") == b"old"
        assert server.files() == ["base/a.jpg"]


def test_makes_a_directory_again_that_was_removed(server: Server, store: FtpStore) -> None:
    store.put("full/deep/a.jpg", b"1")
    shutil.rmtree(server.root / "base")
    store.put("full/deep/b.jpg", b"2")
    assert server.files() == ["base/full/deep/b.jpg"]


def test_a_directory_that_another_one_makes_at_the_same_time(server: Server) -> None:
    (server.root / "base" / "full").mkdir(parents=True)
    server.always["MKD /base/full"] = "550 No such file or directory."  # there was none yet
    with closing(store_on(server)) as store:
        store.put("full/a.jpg", b"x")
    assert server.files() == ["base/full/a.jpg"]


def test_remembers_directories(server: Server, store: FtpStore) -> None:
    for number in range(10):
        store.put(f"full/{number}.jpg", b"x")
    made = ["MKD /base/full", "MKD /base", "MKD /base/full"]
    assert server.sent("MKD", "CWD") == made


def test_a_failure_keeps_nothing_alive(server: Server, store: FtpStore) -> None:
    class Data(bytearray):
        pass

    gone = threading.Event()
    server.always["STOR"] = "553 No."
    data = Data(b"x" * 1000)
    weakref.finalize(data, gone.set)
    failure = None
    try:
        store.put("a.jpg", data)
    except StoreFailed as error:
        failure = error.with_traceback(None)
    del data
    assert failure is not None
    assert gone.is_set()


# --- connections ---


def test_a_thousand_puts_log_in_once(server: Server, store: FtpStore) -> None:
    for number in range(1000):
        store.put(f"full/{number}.jpg", b"x")
    assert server.logins == 1
    assert len(server.files()) == 1000


def test_sixteen_threads_have_no_more_connections_than_allowed(server: Server) -> None:
    paths = [f"{number % 3}/{number}.jpg" for number in range(200)]
    with closing(store_on(server, connections=3)) as store, ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda path: store.put(path, path.encode()), paths))
        assert list(pool.map(store.get, paths)) == [path.encode() for path in paths]
        assert sorted(store.list()) == sorted(paths)
    assert server.logins <= 3


def test_a_server_that_allows_fewer_connections_is_enough(tmp_path: Path) -> None:
    with ftp_server(tmp_path / "root", connections=2) as server:
        with closing(store_on(server, connections=8)) as store, ThreadPoolExecutor(16) as pool:
            store.put("a.jpg", b"x")
            list(pool.map(lambda number: store.put(f"{number}.jpg", b"x"), range(100)))
        assert server.logins <= 2
        assert len(server.files()) == 101


def test_close_ends_connections_and_the_next_call_opens_one(server: Server) -> None:
    store = store_on(server)
    store.put("a.jpg", b"x")
    store.close()
    server.wait(lambda: server.opened == 0)
    assert server.sent("QUIT") == ["QUIT"]
    assert store.get("a.jpg") == b"x"
    store.close()


def test_a_forgotten_store_leaves_no_connection(server: Server) -> None:
    store = store_on(server)
    store.put("a.jpg", b"x")
    assert server.opened == 1
    del store
    gc.collect()  # a ResourceWarning would be an error
    server.wait(lambda: server.opened == 0)


@pytest.mark.parametrize("end", [None, "421 Idle for too long."])
def test_a_connection_that_ended_while_it_waited_costs_no_retry(
    server: Server, end: str | None
) -> None:
    with closing(store_on(server, retries=0)) as store:
        store.put("a.jpg", b"x")
        server.once.append(("RETR", end))
        assert store.get("a.jpg") == b"x"
        server.once.append(("MLST", end))
        assert store.stat("a.jpg") is not None
        server.once.append(("PASV", end))
        assert list(store.list()) == ["a.jpg"]
        server.once.append(("STOR", end))
        store.put("a.jpg", b"y")
        server.once.append(("DELE", end))
        assert store.delete("a.jpg") is True
    assert server.once == []
    assert server.files() == []


@pytest.mark.parametrize("fault", [None, "421 Going down.", "450 Busy.", "426 Cut."])
@pytest.mark.parametrize("command", ["USER", "STOR", "MLST", "RNTO"])
def test_what_fails_for_now_is_tried_again(server: Server, fault: str | None, command: str) -> None:
    for retries, expected in ((1, False), (2, True)):
        server.once[:] = [(command, fault)] * 2
        with closing(store_on(server, retries=retries)) as store:
            if expected:
                store.put(f"{retries}.jpg", b"x")
            else:
                failure_of(lambda store=store: store.put("1.jpg", b"x"))
        assert server.once == []
    assert server.files() == ["base/2.jpg"]


def test_what_fails_for_good_is_not_tried_again(server: Server) -> None:
    server.always["RETR"] = "550 Permission denied."
    server.always["RNTO"] = "553 No such name."
    with closing(store_on(server, retries=3)) as store:
        assert failure_of(lambda: store.put("b.jpg", b"x")).endswith(": 553 No such name.")
        assert len(server.sent("STOR")) == 1
        (server.root / "base" / "a.jpg").write_bytes(b"x")
        assert failure_of(lambda: store.get("a.jpg")).endswith(": 550 Permission denied.")
        assert len(server.sent("RETR")) == 1


def test_pauses_double_and_end_at_five_seconds(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("scrapy_imgpipe.stores.ftp_pool.time.sleep", pauses.append)
    server.always["MLST"] = "450 Busy."
    with closing(store_on(server, retries=8)) as store:
        failure_of(lambda: store.stat("a.jpg"))
    most = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]
    assert len(pauses) == len(most)
    assert all(top / 2 <= pause <= top for pause, top in zip(pauses, most, strict=True))
    assert server.logins == 1


@pytest.mark.parametrize("answer", ["", "150 Go on."])
@pytest.mark.parametrize("size", [10, 20_000_000])
def test_a_server_that_hangs_holds_up_nobody_else(server: Server, answer: str, size: int) -> None:
    server.always["STOR /base/hang/"] = answer
    with closing(store_on(server, timeout_seconds=1, connections=2)) as store:
        with ThreadPoolExecutor(1) as pool:
            hanging = pool.submit(store.put, "hang/a.jpg", b"x" * size)
            server.wait(lambda: bool(server.sent("STOR /base/hang/")))
            for number in range(20):
                store.put(f"{number}.jpg", b"x")
            assert not hanging.done()
            assert "timed out" in failure_of(hanging.result)
    assert len(server.files()) == 20


def test_a_server_that_does_not_answer_at_all(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        store = FtpStore(f"ftp://127.0.0.1:{port}", Access(retries=0, timeout_seconds=0.2))
        assert failure_of(lambda: store.stat("a")) == "Could not look at 'a': timed out"


def test_nobody_listens(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    store = FtpStore(f"ftp://127.0.0.1:{port}", Access(retries=1))
    assert "refused" in failure_of(lambda: store.stat("a"))


def test_active_mode(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = []
    create_server = socket.create_server

    def seen(address: tuple[str, int], **options: Any) -> socket.socket:
        hosts.append(address[0])
        return create_server(address, **options)

    monkeypatch.setattr(socket, "create_server", seen)
    with closing(store_on(server, ftp_active=True)) as store:
        store.put("full/a.jpg", b"x" * 100_000)
        assert store.get("full/a.jpg") == b"x" * 100_000
        assert list(store.list()) == ["full/a.jpg"]
    assert set(hosts) == {"127.0.0.1"}  # nobody from elsewhere can send data
    assert server.sent("PORT")
    assert not server.sent("PASV", "EPSV")


def test_a_refused_port_leaves_no_socket(server: Server) -> None:
    server.always["PORT"] = "500 Not here."
    with closing(store_on(server, ftp_active=True)) as store:
        assert failure_of(lambda: store.put("a.jpg", b"x")).endswith(": 500 Not here.")
    gc.collect()  # a ResourceWarning would be an error


def test_data_goes_to_the_host_of_the_control_connection(tmp_path: Path) -> None:
    elsewhere = "192.0.2.1"  # TEST-NET-1, RFC 5737
    with ftp_server(tmp_path / "root", masquerade_address=elsewhere) as server:
        with closing(store_on(server)) as store:
            store.put("a.jpg", b"x")
            assert store.get("a.jpg") == b"x"


# --- lists ---


class Physical(AbstractedFS):
    """Tells where we are without links, as vsftpd and ProFTPD do."""

    def chdir(self, path: str) -> None:
        super().chdir(path)
        self.cwd = self.fs2ftp(self.realpath(path))


@pytest.fixture(params=[frozenset(), WITHOUT_FACTS], ids=["MLSD", "NLST"])
def any_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    with ftp_server(
        tmp_path / "root",
        without=request.param,
        file_system=Physical,
        unicode_errors="surrogateescape",
    ) as server:
        yield server


def test_temporary_and_other_files_that_cannot_be_put_are_passed_over(any_server: Server) -> None:
    base = any_server.root / "base"
    base.mkdir()
    for name in ("a.jpg", ".imgpipe-x.tmp", "b\x01.jpg"):
        (base / name).write_bytes(b"x")
    Path(os.fsdecode(os.fsencode(base) + b"/\xff.jpg")).write_bytes(b"x")
    (base / ".imgpipe-dir").mkdir()
    (base / ".imgpipe-dir" / "c.jpg").write_bytes(b"x")
    with closing(store_on(any_server)) as store:
        assert list(store.list()) == ["a.jpg"]
    assert not any_server.sent("CWD /base/.imgpipe-dir")


def test_links_are_followed_but_not_in_circles(any_server: Server) -> None:
    base = any_server.root / "base"
    (base / "full").mkdir(parents=True)
    (base / "full" / "a.jpg").write_bytes(b"x")
    (base / "link.jpg").symlink_to(base / "full" / "a.jpg")
    (base / "other").symlink_to(base / "full")
    (base / "full" / "circle").symlink_to(base)
    (base / "broken").symlink_to(base / "none")
    with closing(store_on(any_server)) as store:
        assert sorted(store.list()) == ["full/a.jpg", "link.jpg", "other/a.jpg"]


def test_circles_end_where_the_server_cannot_tell(plain: Server) -> None:
    (plain.root / "base" / "full").mkdir(parents=True)
    (plain.root / "base" / "full" / "circle").symlink_to(plain.root / "base")
    (plain.root / "base" / "other").symlink_to(plain.root / "base" / "full")
    with closing(store_on(plain)) as store:
        assert "a circle of links" in failure_of(lambda: list(store.list()))


class Hiding(AbstractedFS):
    """Leaves out what begins with a dot unless asked with -a, as vsftpd does."""

    asked = False

    def ftp2fs(self, ftppath: str) -> str:
        self.asked = ftppath == "-a"
        return super().ftp2fs("." if self.asked else ftppath)

    def listdir(self, path: str) -> list[str]:
        return [name for name in super().listdir(path) if self.asked or name[0] != "."]


class Ignorant(Hiding):
    """Takes -a for a name that it does not find."""

    def listdir(self, path: str) -> list[str]:
        return [] if self.asked else AbstractedFS.listdir(self, path)


@pytest.mark.parametrize("file_system", [Hiding, Ignorant])
def test_hidden_files_are_listed_as_others(tmp_path: Path, file_system: type[AbstractedFS]) -> None:
    root = tmp_path / "root"
    with ftp_server(root, without=WITHOUT_FACTS, file_system=file_system) as server:
        with closing(store_on(server)) as store:
            for path in (".hidden/.a.jpg", "full/b.jpg"):
                store.put(path, b"x")
            assert sorted(store.list()) == [".hidden/.a.jpg", "full/b.jpg"]


def test_reads_no_directory_that_cannot_match(any_server: Server) -> None:
    with closing(store_on(any_server)) as store:
        for path in ("full/a/b.jpg", "full/c/d.jpg", "thumbs/e.jpg"):
            store.put(path, b"x")
        any_server.log.clear()
        assert list(store.list("full/a")) == ["full/a/b.jpg"]
    entered = set(any_server.sent("CWD"))
    assert entered <= {"CWD /base/full", "CWD /base/full/a"}


def test_a_reader_of_a_list_may_use_the_only_connection(any_server: Server) -> None:
    with closing(store_on(any_server, connections=1)) as store:
        paths = [f"{number % 3}/{number}.jpg" for number in range(30)]
        for path in paths:
            store.put(path, b"x")
        assert sorted(path for path in store.list() if store.delete(path)) == sorted(paths)
    assert any_server.files() == []


def test_a_long_listing_is_not_kept_in_memory(
    any_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ftp_session, "_LISTING_IN_MEMORY", 1000)
    base = any_server.root / "base"
    base.mkdir()
    for number in range(200):
        (base / f"{number}.jpg").touch()
    with closing(store_on(any_server)) as store:
        listed = store.list()
        first = next(listed)
        assert {first, *listed} == {f"{number}.jpg" for number in range(200)}
        next(store.list())  # and nobody reads on


def test_a_list_that_is_cut_is_read_again_from_its_beginning(any_server: Server) -> None:
    with closing(store_on(any_server, retries=1)) as store:
        for number in range(10):
            store.put(f"{number}.jpg", b"x")
        any_server.once.append(("MLSD", None))
        any_server.once.append(("NLST", None))
        assert sorted(store.list()) == [f"{number}.jpg" for number in range(10)]


def test_files_that_vanish_are_passed_over(tmp_path: Path) -> None:
    with ftp_server(tmp_path / "root", without=WITHOUT_FACTS) as server:
        server.says["550"] = "550 Failed."
        with closing(store_on(server)) as store:
            for number in range(10):
                store.put(f"{number}.jpg", b"x")
            listed = store.list()
            first = next(listed)
            for path in (server.root / "base").iterdir():
                path.unlink()
            assert [first, *listed] == ["0.jpg"]


def test_a_directory_that_vanishes_is_empty(any_server: Server) -> None:
    with closing(store_on(any_server)) as store:
        for number in range(3):
            store.put(f"{number}/a.jpg", b"x")
        listed = store.list()
        first = next(listed)
        shutil.rmtree(any_server.root / "base")
        assert list(listed) == []
        assert first.endswith("/a.jpg")
