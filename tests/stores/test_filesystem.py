"""What only the file system store promises: atomic, tidy, and honest about failure."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
import sys
import traceback
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from scrapy_imgpipe.errors import StoreFailed
from scrapy_imgpipe.stores import Adopting, FileSystemStore, temporary
from tests.stores.contract import LinkingContract

POSIX = pytest.mark.skipif(os.name != "posix", reason="umask and links as POSIX has them")


@pytest.fixture
def store(tmp_path: Path) -> FileSystemStore:
    return FileSystemStore(tmp_path / "store")


def files(base: str) -> list[str]:
    """Return every file under *base*, temporary ones too, as the system sees it."""
    found = (path for path in Path(base).rglob("*") if not path.is_dir())
    return sorted(path.relative_to(base).as_posix() for path in found)


class TestContract(LinkingContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> FileSystemStore:
        return FileSystemStore(tmp_path / "store")


def test_a_put_tells_the_very_time(store: FileSystemStore) -> None:
    assert store.put("full/a.jpg", b"x") == store.stat("full/a.jpg")
    assert store.put_all([("full/b.jpg", b"x")]) == [store.stat("full/b.jpg")]


def test_a_local_file_is_moved_and_not_copied(store: FileSystemStore, tmp_path: Path) -> None:
    local = tmp_path / "local"
    local.write_bytes(b"x")
    number = local.stat().st_ino
    assert isinstance(store, Adopting)
    assert store.put_file("full/a.tar", str(local)) == store.stat("full/a.tar")
    assert Path(store.base, "full/a.tar").stat().st_ino == number
    assert files(store.base) == ["full/a.tar"]


def test_a_local_file_of_another_disk_is_copied(
    store: FileSystemStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", link)
    local = tmp_path / "local"
    local.write_bytes(b"x" * 100_000)
    store.put_file("full/a.tar", str(local))
    assert store.get("full/a.tar") == b"x" * 100_000
    assert not local.exists()
    assert files(store.base) == ["full/a.tar"]


def test_a_local_file_stays_where_it_was_when_it_cannot_be_moved(
    store: FileSystemStore, tmp_path: Path
) -> None:
    store.put("full/a.tar/b", b"")
    local = tmp_path / "local"
    local.write_bytes(b"x")
    with pytest.raises(StoreFailed, match="Is a directory"):
        store.put_file("full/a.tar", str(local))
    with pytest.raises(StoreFailed, match=r"Could not write 'b.tar': No such file"):
        store.put_file("b.tar", str(tmp_path / "none"))
    assert local.read_bytes() == b"x"
    assert files(store.base) == ["full/a.tar/b"]


def test_a_local_file_goes_into_a_directory_that_somebody_removed(
    store: FileSystemStore, tmp_path: Path
) -> None:
    store.put("full/a.jpg", b"x")
    shutil.rmtree(Path(store.base, "full"))
    local = tmp_path / "local"
    local.write_bytes(b"y")
    store.put_file("full/a.tar", str(local))
    assert store.get("full/a.tar") == b"y"


def test_a_base_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for base in (tmp_path / "file", tmp_path / "file" / "store"):
        with pytest.raises(StoreFailed, match=r"Could not make the directory '.*': Not a dir"):
            FileSystemStore(base)


def test_the_base_is_fixed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = FileSystemStore("store")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.put("a.jpg", b"x")
    assert (tmp_path / "store" / "a.jpg").read_bytes() == b"x"


def test_the_url_leads_to_the_file(store: FileSystemStore) -> None:
    store.put("é/a b%#.jpg", b"x")
    url = store.url("é/a b%#.jpg")
    assert url.endswith("/store/%C3%A9/a%20b%25%23.jpg")
    if os.name == "posix":
        assert Path(unquote(urlsplit(url).path)).read_bytes() == b"x"


@POSIX
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_honours_the_umask(store: FileSystemStore, umask: int) -> None:
    before = os.umask(umask)
    try:
        store.put("full/a.jpg", b"x")
    finally:
        os.umask(before)
    full = Path(store.base, "full")
    assert stat.S_IMODE((full / "a.jpg").stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE(full.stat().st_mode) == 0o777 & ~umask


def test_makes_a_directory_again_that_was_removed(store: FileSystemStore) -> None:
    store.put_all([("thumbs/a.jpg", b"1"), ("full/a.jpg", b"1")])
    shutil.rmtree(store.base)
    store.put_all([("thumbs/a.jpg", b"2"), ("full/a.jpg", b"2")])
    assert store.get("thumbs/a.jpg") == store.get("full/a.jpg") == b"2"
    assert files(store.base) == ["full/a.jpg", "thumbs/a.jpg"]


def failure_of(store: FileSystemStore, path: str, data: bytes) -> StoreFailed:
    with pytest.raises(StoreFailed) as caught:
        store.put(path, data)
    return caught.value


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("file/a.jpg", "Could not write 'file/a.jpg': Not a directory"),
        ("file/deep/a.jpg", "Could not write 'file/deep/a.jpg': Not a directory"),
        ("directory", "Could not write 'directory': Is a directory"),
    ],
)
def test_a_failed_put_changes_nothing(store: FileSystemStore, path: str, reason: str) -> None:
    store.put("file", b"old")
    store.put("directory/kept", b"old")
    failure = failure_of(store, path, b"new")
    assert str(failure) == reason
    assert failure.code == "store-failed"
    assert files(store.base) == ["directory/kept", "file"]
    assert store.get("file") == b"old"


@pytest.mark.parametrize("bad", ["file/a.jpg", "directory", "../a.jpg"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_failed_put_all_changes_nothing(store: FileSystemStore, bad: str, place: int) -> None:
    store.put_all([("file", b"old"), ("directory/a.jpg", b"old"), ("full/a.jpg", b"old")])
    before = files(store.base)
    wanted = [("thumbs/a.jpg", b"new"), ("full/a.jpg", b"new")]
    wanted.insert(place, (bad, b"new"))
    with pytest.raises(StoreFailed) as caught:
        store.put_all(wanted)
    assert repr(bad) in str(caught.value)
    assert files(store.base) == before
    assert store.get("full/a.jpg") == b"old"


def test_put_all_renames_in_the_given_order(store: FileSystemStore) -> None:
    # The audit hook sees every rename, as the interpreter makes it.
    renamed: list[str] = []

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "os.rename" and str(arguments[1]).startswith(store.base):
            renamed.append(Path(str(arguments[1])).name)

    sys.addaudithook(hook)
    store.put_all([("c.jpg", b""), ("a.jpg", b""), ("b.jpg", b"")])
    assert renamed == ["c.jpg", "a.jpg", "b.jpg"]


def test_links_are_one_file_on_the_disk(store: FileSystemStore) -> None:
    store.put("full/a.jpg", b"content")
    store.put("full/b.jpg", b"old")
    pairs = [
        ("full/b.jpg", "full/a.jpg"),
        ("new/c.jpg", "full/a.jpg"),
        ("full/a.jpg", "full/a.jpg"),
    ]
    for _ in range(3):  # from the second time on, they are links already
        store.link_all(pairs)
        numbers = {Path(store.base, path).stat().st_ino for path in files(store.base)}
        assert len(numbers) == 1
        assert files(store.base) == ["full/a.jpg", "full/b.jpg", "new/c.jpg"]
    assert Path(store.base, "full/a.jpg").stat().st_nlink == 3


def test_link_all_renames_in_the_given_order(store: FileSystemStore) -> None:
    store.put("there.jpg", b"x")
    renamed: list[str] = []

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "os.rename" and str(arguments[1]).startswith(store.base):
            renamed.append(Path(str(arguments[1])).name)

    sys.addaudithook(hook)
    store.link_all([("c.jpg", "there.jpg"), ("a.jpg", "there.jpg"), ("b.jpg", "there.jpg")])
    assert renamed == ["c.jpg", "a.jpg", "b.jpg"]


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        (("b.jpg", "none.jpg"), "Could not write 'b.jpg': No such file or directory"),
        (("file/b.jpg", "a.jpg"), "Could not write 'file/b.jpg': Not a directory"),
        (("directory", "a.jpg"), "Could not write 'directory': Is a directory"),
        (("b.jpg", "directory"), "Could not write 'b.jpg': Operation not permitted"),
    ],
)
def test_a_failed_link_leaves_nothing(
    store: FileSystemStore, pair: tuple[str, str], reason: str
) -> None:
    store.put_all([("a.jpg", b"x"), ("file", b"old"), ("directory/kept", b"old")])
    before = files(store.base)
    with pytest.raises(StoreFailed) as caught:
        store.link_all([("new/a.jpg", "a.jpg"), pair])
    assert str(caught.value) == reason
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert files(store.base) == before
    assert Path(store.base, "a.jpg").stat().st_nlink == 1


def test_links_into_a_directory_that_was_removed(store: FileSystemStore) -> None:
    store.put_all([("full/a.jpg", b"x"), ("thumbs/a.jpg", b"x")])
    shutil.rmtree(Path(store.base, "thumbs"))
    store.link_all([("thumbs/b.jpg", "full/a.jpg")])
    assert store.get("thumbs/b.jpg") == b"x"


@pytest.mark.parametrize("path", ["file/a.jpg", "../a.jpg"])
@pytest.mark.parametrize("several", [False, True])
def test_a_failure_refers_to_no_data(store: FileSystemStore, path: str, several: bool) -> None:
    store.put("file", b"old")
    try:
        if several:
            store.put_all([(path, b"the data")])
        else:
            store.put(path, b"the data")
    except StoreFailed as error:
        failure = error
    assert failure.__cause__ is None
    assert failure.__context__ is None
    frames = [frame for frame, _ in traceback.walk_tb(failure.__traceback__)][1:]
    assert len(frames) == 1
    assert "the data" not in repr([frame.f_locals for frame in frames])


def test_a_prefix_spares_the_other_directories(store: FileSystemStore) -> None:
    store.put_all([("full/ab/1.jpg", b""), ("full/b/1.jpg", b""), ("thumbs/1.jpg", b"")])
    read: list[str] = []

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "os.scandir" and str(arguments[0]).startswith(store.base):
            read.append(Path(str(arguments[0])).name)

    sys.addaudithook(hook)
    assert list(store.list("full/a")) == ["full/ab/1.jpg"]
    assert read == ["full", "ab"]


@POSIX
def test_a_link_to_a_file_is_replaced(store: FileSystemStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside.jpg"
    outside.write_bytes(b"precious")
    Path(store.base, "a.jpg").symlink_to(outside)
    assert store.get("a.jpg") == b"precious"
    store.put("a.jpg", b"new")
    assert outside.read_bytes() == b"precious"
    assert store.get("a.jpg") == b"new"
    assert not Path(store.base, "a.jpg").is_symlink()


@POSIX
def test_a_link_to_a_directory_is_followed(store: FileSystemStore, tmp_path: Path) -> None:
    (tmp_path / "big-disk").mkdir()
    Path(store.base, "full").symlink_to(tmp_path / "big-disk")
    store.put("full/a.jpg", b"x")
    assert (tmp_path / "big-disk" / "a.jpg").read_bytes() == b"x"
    assert list(store.list()) == list(store.list("full/")) == ["full/a.jpg"]
    assert str(failure_of(store, "full", b"x")) == "Could not write 'full': Is a directory"
    assert Path(store.base, "full").is_symlink()


@POSIX
def test_links_in_circles_end(store: FileSystemStore, tmp_path: Path) -> None:
    store.put_all([("a/1", b""), ("b/deep/2", b"")])
    base = Path(store.base)
    (base / "a" / "up").symlink_to("..")
    (base / "a" / "above").symlink_to(tmp_path)
    (base / "a" / "across").symlink_to("../b/deep")
    (base / "b" / "deep" / "back").symlink_to("../../a")
    (base / "self").symlink_to("self")
    (base / "broken").symlink_to("nowhere")
    expected = ["a/1", "a/across/2", "b/deep/2", "b/deep/back/1"]
    assert sorted(store.list()) == expected
    with pytest.raises(StoreFailed, match="Could not read 'self': "):
        store.get("self")
    with pytest.raises(StoreFailed, match="Could not look at 'self': ") as caught:
        store.stat("self")
    assert caught.value.__context__ is None
    assert store.delete("self") is True


@POSIX
def test_lists_only_what_can_be_got(
    store: FileSystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = os.fsencode(store.base)
    for name in (b"\xff.jpg", b"new\nline.jpg", b".imgpipe-x", b"good.jpg"):
        Path(os.fsdecode(base + b"/" + name)).write_bytes(b"")
    monkeypatch.chdir(store.base)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    os.mkfifo(Path(store.base, "pipe"))
    assert list(store.list()) == ["good.jpg"]
    assert store.stat("pipe") is None


def test_lists_as_a_stream(store: FileSystemStore) -> None:
    store.put_all([(f"{number}/a.jpg", b"") for number in range(20)])
    listed = store.list()
    first = next(listed)
    for number in range(20):
        shutil.rmtree(Path(store.base, str(number)))
    assert list(listed) == []
    assert first.endswith("/a.jpg")


def test_no_two_temporary_names_are_the_same() -> None:
    names = [temporary.new_name() for _ in range(1000)]
    assert len(set(names)) == 1000
    assert all(f"-{os.getpid()}-" in name for name in names)
