"""Which files are meant, and what their renditions are called."""

from __future__ import annotations

import errno
import os

import pytest

from scrapy_imgpipe.errors import SettingError
from scrapy_imgpipe.imaging import DEFAULT_FORMATS
from scrapy_imgpipe.local import default_path, inputs_of
from scrapy_imgpipe.local.naming import Taken
from scrapy_imgpipe.stores import FileSystemStore, MemoryStore


def made(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b".")
    return folder


def relative(paths, *arguments):
    return sorted(one.relative for one in inputs_of(paths, *(arguments or (DEFAULT_FORMATS,))))


def test_of_a_folder_all_files_with_an_extension_of_the_formats(tmp_path):
    images = "a.jpg", "b.JPEG", "x/c.Png", "x/y/d.tiff", "x/e.ppm", "f.jfif", "g.avif", "h.apng"
    others = "i.txt", "jpg", "x/.imgpipe-abc.jpg", "k.jpg.part", "l.heic", "m.jp2"
    made(tmp_path, *images, *others)
    assert relative(tmp_path) == sorted(images)
    assert relative(tmp_path, ("HEIF", "JPEG2000")) == ["l.heic", "m.jp2"]


def test_a_named_file_is_taken_whatever_it_is_called(tmp_path):
    made(tmp_path, "a.dat")
    (one,) = inputs_of(tmp_path / "a.dat", DEFAULT_FORMATS)
    assert (one.label, one.relative, one.file) == (
        str(tmp_path / "a.dat"),
        "a.dat",
        str(tmp_path / "a.dat"),
    )


@pytest.mark.skipif(os.name != "posix", reason="pipes have names on POSIX")
def test_a_named_pipe_is_not_opened_for_it_may_never_answer(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    (one,) = inputs_of(tmp_path / "a.png", DEFAULT_FORMATS)
    assert str(one.error) == f"[Errno {errno.EINVAL}] It is no regular file"
    assert relative(tmp_path) == []


@pytest.mark.parametrize(
    ("paths", "said"),
    [(b"in", "b'in' of type bytes"), (3, "3 of type int"), ([b"in"], "b'in' of type bytes")],
)
def test_what_is_no_place_is_said(paths, said):
    with pytest.raises(SettingError) as refused:
        relative(paths)
    assert str(refused.value) == (
        f"Expected files, folders, stores or their URIs for paths but received {said}"
    )


def test_links_are_followed_and_circles_do_no_harm(tmp_path):
    made(tmp_path, "in/a.jpg", "in/sub/b.jpg", "other/c.jpg")
    (tmp_path / "in/sub/up").symlink_to("..")
    (tmp_path / "in/self").symlink_to("self")
    (tmp_path / "in/self.jpg").symlink_to("self.jpg")
    (tmp_path / "in/gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "in/there").symlink_to("../other")
    (tmp_path / "in/file.jpg").symlink_to("../other/c.jpg")
    assert relative(tmp_path / "in") == ["a.jpg", "file.jpg", "sub/b.jpg", "there/c.jpg"]


def test_a_folder_that_cannot_be_read_is_an_input_that_failed(tmp_path, monkeypatch):
    made(tmp_path, "a.jpg", "closed/b.jpg", "open/c.jpg")
    scan = os.scandir

    def refused(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refused)
    found = {one.relative: one.error for one in inputs_of(tmp_path, DEFAULT_FORMATS)}
    assert found.keys() == {"a.jpg", "closed", "open/c.jpg"}
    assert isinstance(found["closed"], PermissionError)
    assert found["a.jpg"] is found["open/c.jpg"] is None


def test_the_store_that_renditions_go_to_is_left_out(tmp_path):
    made(tmp_path, "a.jpg", "out/full/a.jpg", "outer/b.jpg")
    target = FileSystemStore(tmp_path / "out")
    assert relative(tmp_path, DEFAULT_FORMATS, target) == ["a.jpg", "outer/b.jpg"]
    assert relative(tmp_path / "out", DEFAULT_FORMATS, target) == ["a.jpg"]
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/link").symlink_to("../out")
    (tmp_path / "deep/far").symlink_to("../out/full")
    assert relative(tmp_path / "deep", DEFAULT_FORMATS, target) == []
    assert relative(tmp_path / "out/full", DEFAULT_FORMATS, target) == ["a.jpg"]
    (tmp_path / "link").symlink_to("out")
    assert relative(tmp_path / "link", DEFAULT_FORMATS, target) == ["a.jpg"]


def test_of_a_store_all_but_thumbnails_without_their_folder(tmp_path):
    made(tmp_path, "full/a.jpg", "thumbs/small/a.jpg", "b/c.png", "index.sqlite")
    assert (
        relative(FileSystemStore(tmp_path))
        == relative(f"file://{tmp_path}")
        == ["a.jpg", "b/c.png"]
    )
    store = MemoryStore("inputs")
    store.put("full/x.jpg", b".")
    (one,) = inputs_of("memory://inputs", DEFAULT_FORMATS)
    assert (one.label, one.relative, one.file) == ("full/x.jpg", "x.jpg", "")


@pytest.mark.parametrize(
    ("path", "name", "extension", "expected"),
    [
        ("a.png", None, ".jpg", "full/a.jpg"),
        ("x/y.z/a.jpg", "small", ".jpg", "thumbs/small/x/y.z/a.jpg"),
        ("a.JPEG", None, ".jpg", "full/a.JPEG"),
        ("a.JPG", "w", ".webp", "thumbs/w/a.webp"),
        ("a.b.tiff", None, ".tif", "full/a.b.tiff"),
        ("a", None, ".jpg", "full/a.jpg"),
        (".hidden", None, ".jpg", "full/.hidden.jpg"),
    ],
)
def test_names(path, name, extension, expected):
    assert default_path(path, name, extension) == expected


def test_a_path_belongs_to_the_first_who_takes_it():
    with Taken(folds=False) as taken:
        assert [taken.take("a.jpg", "a"), taken.take("A.jpg", "b")] == ["", ""]
        assert [taken.take("a.jpg", "c"), taken.take("a.jpg", "a")] == ["a", "a"]
        assert taken.take("\udcff.jpg", "\udcff") == ""
        assert taken.take("\udcff.jpg", "\udcfe") == "\udcff"
    with Taken(folds=True) as taken:
        assert [taken.take("\u00e4.jpg", "a"), taken.take("A\u0308.JPG", "b")] == ["", "a"]
