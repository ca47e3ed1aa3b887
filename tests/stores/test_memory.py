"""The store without any file."""

from __future__ import annotations

import pytest

from scrapy_imgpipe.errors import StoreFailed
from scrapy_imgpipe.stores import Facts, MemoryStore, Stat, open_store
from tests.stores.contract import StoreContract


class TestContract(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


class TestWithPrefix(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore(prefix="images/")


def test_two_of_one_name_share_what_they_keep() -> None:
    open_store("memory://shared/images").put("full/a.jpg", b"x", Facts("image/jpeg", 3, 2))
    assert list(open_store("memory://shared/").list()) == ["images/full/a.jpg"]
    assert list(open_store("memory://other").list()) == []
    assert MemoryStore("shared", "images").facts("full/a.jpg") == Facts("image/jpeg", 3, 2)
    MemoryStore("shared").clear()
    assert list(open_store("memory://shared/images").list()) == []


def test_a_prefix_is_no_part_of_a_path() -> None:
    everything, images = MemoryStore("prefixes"), MemoryStore("prefixes", "images")
    everything.put("imagesfull/a.jpg", b"x")
    images.put("full/a.jpg", b"y")
    assert list(images.list()) == ["full/a.jpg"]
    assert images.url("full/a.jpg") == "memory://prefixes/images/full/a.jpg"
    everything.clear()


def test_a_prefix_that_climbs_out_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Refused the path 'a/../b': it climbs out"):
        open_store("memory://prefixes/a/../b")


class Full(MemoryStore):
    def _put(self, key: str, data: bytes, facts: Facts) -> Stat:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("several", [False, True])
def test_a_failure_refers_to_no_data(several: bool) -> None:
    store, failure = Full(), None
    try:
        if several:
            store.put_all([("full/a.jpg", b"the data")])
        else:
            store.put("full/a.jpg", b"the data")
    except StoreFailed as error:
        failure = error
    assert failure is not None
    assert failure.__context__ is failure.__cause__ is None
    assert failure.__traceback__ is not None
    frame = failure.__traceback__.tb_next
    while frame is not None:
        assert "the data" not in repr(frame.tb_frame.f_locals)
        frame = frame.tb_next
