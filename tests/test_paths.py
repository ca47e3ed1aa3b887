"""Scrapy's names, and what no store is asked to keep."""

from __future__ import annotations

import ntpath
import os
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrapy_imgpipe.errors import StoreFailed
from scrapy_imgpipe.paths import checked_path, image_path, thumb_path

URL = "http://www.example.com/image.jpg"


def test_names_are_scrapys() -> None:
    assert image_path(URL) == "full/3afec3b4765f8f0a07b78f98c07b83f013567a0a.jpg"
    assert thumb_path(URL, "50") == "thumbs/50/3afec3b4765f8f0a07b78f98c07b83f013567a0a.jpg"
    assert image_path("http://é/") == "full/8efca72597b58c76f555869f716275063723362b.jpg"


@pytest.mark.parametrize(
    "path",
    [
        image_path(URL),
        thumb_path(URL, "big"),
        "a.jpg",
        "..a/a../...",
        ".hidden",
        ".imgpipe",
        "é ü/日本.jpg",
        "a\\b.jpg",
        "C:x",
        "NUL",
        "a.",
        "x" * 255,
        "é" * 127,
        "/".join(["x" * 204] * 5),
    ],
)
def test_returns_a_good_path_unchanged(path: str) -> None:
    assert checked_path(path) == path


def test_takes_path_objects() -> None:
    assert checked_path(PurePosixPath("full/a.jpg")) == "full/a.jpg"
    assert checked_path(PureWindowsPath("full/a.jpg"), windows=True) == "full/a.jpg"
    assert checked_path(PureWindowsPath("full/a.jpg")) == "full\\a.jpg"


REFUSED = [
    ("", "it is empty"),
    ("/etc/passwd", "it is absolute; paths are relative to the store"),
    ("//server/a.jpg", "it is absolute; paths are relative to the store"),
    ("../a.jpg", "it climbs out with '..'"),
    ("full/../../a.jpg", "it climbs out with '..'"),
    ("full/..", "it climbs out with '..'"),
    ("full/.", "it names a directory, not a file"),
    (".", "it names a directory, not a file"),
    ("full/", "it names a directory, not a file"),
    ("a\x00.jpg", "it contains a control character"),
    ("a\x1f.jpg", "it contains a control character"),
    ("a\n", "it contains a control character"),
    ("full/\ud800.jpg", "it contains a lone surrogate, which UTF-8 cannot express"),
    ("x" * 256, "a component is 256 bytes long, more than 255"),
    ("a/" + "é" * 128 + "/b", "a component is 256 bytes long, more than 255"),
    ("/".join(["x" * 204] * 5) + "x", None),
    ("a/" * 512 + "a", "it is 1025 bytes long, more than 1024"),
    (".imgpipe-x", "names that begin with '.imgpipe-' are our temporary files"),
    ("full/.IMGPIPE-1.tmp/a", "names that begin with '.imgpipe-' are our temporary files"),
]
REFUSED_ON_WINDOWS = [
    ("\\a.jpg", "it is absolute; paths are relative to the store"),
    ("\\\\server\\share\\a.jpg", "it is absolute; paths are relative to the store"),
    ("a\\..\\..\\b", "it climbs out with '..'"),
    ("full\\", "it names a directory, not a file"),
    ("C:x", 'it contains one of <>:"|?*, which Windows cannot store'),
    ("C:\\x", 'it contains one of <>:"|?*, which Windows cannot store'),
    ("a.jpg:stream", 'it contains one of <>:"|?*, which Windows cannot store'),
    ("what?.jpg", 'it contains one of <>:"|?*, which Windows cannot store'),
    ("a./b", "a component ends in a dot or a space, which Windows drops"),
    ("... /b", "a component ends in a dot or a space, which Windows drops"),
    ("b ", "a component ends in a dot or a space, which Windows drops"),
    ("NUL", "it names a device of Windows"),
    ("full/con.jpg", "it names a device of Windows"),
    ("nul .tar.gz", "it names a device of Windows"),
    ("Com1", "it names a device of Windows"),
    ("lpt\u00b2.jpg", "it names a device of Windows"),
    ("CONIN$", "it names a device of Windows"),
]


@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize(("path", "fault"), [case for case in REFUSED if case[1]])
def test_refuses(path: str, fault: str, windows: bool) -> None:
    with pytest.raises(StoreFailed) as caught:
        checked_path(path, windows=windows)
    assert caught.value.code == "bad-path"
    assert str(caught.value).endswith(f": {fault}")


@pytest.mark.parametrize(("path", "fault"), REFUSED_ON_WINDOWS)
def test_refuses_on_windows(path: str, fault: str) -> None:
    with pytest.raises(StoreFailed) as caught:
        checked_path(path, windows=True)
    assert caught.value.code == "bad-path"
    assert str(caught.value) == f"Refused the path {path!r}: {fault}"


@pytest.mark.parametrize("path", ["console.jpg", "com.jpg", "com10", "null", "a.nul", "x.con.y"])
def test_is_not_afraid_of_names_like_devices(path: str) -> None:
    assert checked_path(path, windows=True) == path


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (None, "None of type NoneType"),
        (5, "5 of type int"),
        (b"full/a.jpg", "b'full/a.jpg' of type bytes"),
        (["a"], "['a'] of type list"),
        ("x" * 0 + "a/" * 600, None),
    ],
)
def test_refuses_what_is_no_path(path: object, shown: str | None) -> None:
    with pytest.raises(StoreFailed) as caught:
        checked_path(path)
    assert caught.value.code == "bad-path"
    if shown is not None:
        assert str(caught.value) == f"Expected a path as str or os.PathLike but received {shown}"
    assert len(str(caught.value)) < 200


class Somewhere(os.PathLike[str]):
    def __init__(self, path: str) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return self.path


@given(
    st.text(st.sampled_from("./\\a:\x00 é-\ud800")) | st.text(),
    st.booleans(),
)
def test_never_leaves_the_store(text: str, windows: bool) -> None:
    try:
        path = checked_path(Somewhere(text), windows=windows)
    except StoreFailed as error:
        assert error.code == "bad-path"  # noqa: PT017 - either answer is fine, but no third
        return
    assert path == (text.replace("\\", "/") if windows else text)
    assert os.path.normpath(f"/base/{path}").startswith("/base/")
    if windows:
        parts = [part for part in path.split("/") if part not in {"", "."}]
        assert PureWindowsPath("C:/base", path).parts[1:] == ("base", *parts)
        # Python 3.13 has a function for it, and calls the method deprecated
        reserved = getattr(ntpath, "isreserved", lambda p: PureWindowsPath(p).is_reserved())
        assert not reserved(path)
