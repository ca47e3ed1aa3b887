"""The same bytes as Pillow's, by whatever file the system grants."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from scrapy_imgpipe.errors import ImageBroken
from scrapy_imgpipe.imaging import encode_jpeg
from tests.imaging.pictures import noisy

LARGE = (400, 300)
DESCRIPTORS = Path("/proc/self/fd")


def pillows(image: Image.Image, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("size", [(1, 1), (64, 48), LARGE])
@pytest.mark.parametrize("mode", ["RGB", "YCbCr", "L", "CMYK"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"quality": 95, "subsampling": 0},
        {"progressive": True},
        {"optimize": True},
        {"exif": b"Exif\0\0" + bytes(60_000), "icc_profile": bytes(200_000)},
    ],
)
def test_the_bytes_are_pillows(size, mode, options):
    image = noisy(size, mode)
    assert encode_jpeg(image, **options) == pillows(image, **options)


def test_a_large_image_is_written_to_a_descriptor(monkeypatch):
    made = []
    create = os.memfd_create if hasattr(os, "memfd_create") else tempfile.TemporaryFile

    def counted(*arguments, **keywords):
        made.append(arguments)
        return create(*arguments, **keywords)

    if hasattr(os, "memfd_create"):
        monkeypatch.setattr(os, "memfd_create", counted)
    else:
        monkeypatch.setattr(tempfile, "TemporaryFile", counted)
    encode_jpeg(noisy((20, 20)))
    assert made == []
    encode_jpeg(noisy(LARGE))
    assert len(made) == 1


def test_without_files_in_memory(monkeypatch):
    monkeypatch.delattr(os, "memfd_create", raising=False)
    assert encode_jpeg(noisy(LARGE)) == pillows(noisy(LARGE))


def test_without_any_descriptor_left(monkeypatch):
    def none_left(*arguments, **keywords):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", none_left, raising=False)
    monkeypatch.setattr(tempfile, "TemporaryFile", none_left)
    assert encode_jpeg(noisy(LARGE)) == pillows(noisy(LARGE))


@pytest.mark.parametrize("size", [(20, 20), LARGE])
def test_a_mode_that_jpeg_has_not(size):
    with pytest.raises(ImageBroken, match="RGBA"):
        encode_jpeg(noisy(size, "RGBA"))


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="counts descriptors as Linux lists them")
def test_no_descriptor_leaks():
    def work():
        encode_jpeg(noisy(LARGE))
        with pytest.raises(ImageBroken):
            encode_jpeg(noisy(LARGE, "RGBA"))

    work()
    before = len(list(DESCRIPTORS.iterdir()))
    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(DESCRIPTORS.iterdir())) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_parent_and_child_encode_at_the_same_time():
    mine, yours = noisy(LARGE, seed=3), noisy(LARGE, seed=4)
    expected = pillows(mine), pillows(yours)
    encode_jpeg(mine)
    child = os.fork()
    if not child:
        os._exit(any(encode_jpeg(yours) != expected[1] for _ in range(10)))
    results = [encode_jpeg(mine) == expected[0] for _ in range(10)]
    assert os.waitpid(child, 0)[1] == 0
    assert all(results)
