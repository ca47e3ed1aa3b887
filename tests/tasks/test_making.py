"""Bytes in, files in the store and a word about them out."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from scrapy_imgpipe.errors import ImageBroken, Overtaken, SourceRejected, StoreFailed
from scrapy_imgpipe.freshness import Policy, Verdict
from scrapy_imgpipe.imaging import Plan, Variant, exif
from scrapy_imgpipe.index import SqliteIndex
from scrapy_imgpipe.leases import Lease
from scrapy_imgpipe.records import Rendition, checksum, stamp
from scrapy_imgpipe.stores import FileSystemStore, Stat
from scrapy_imgpipe.tasks import (
    PlaceholderRules,
    content_of,
    keep,
    make_and_save,
    save,
    twin_of,
)
from tests.pictures import encoded, jpeg, noise, opened
from tests.tasks.place import PLAN, SMALL, CountingStore, Place, recorded

REFUSING = PlaceholderRules(refused=True)
RED_JPEG = encoded(Image.new("RGB", (90, 60), (200, 10, 10)))
RED_PNG = encoded(Image.new("RGB", (90, 60), (200, 10, 10)), "PNG")


def expected_file(place: Place, stored: str, name: str, size: tuple[int, int]) -> Rendition:
    """Return what a record says of a file that is there, told from the file itself."""
    path = place.path(stored)
    data = path.read_bytes()
    assert opened(data).size == size
    modified = stamp(path.stat().st_mtime)
    plan = place.rules.digests.get(name, "")
    form = "JPEG" if name else ""
    return Rendition(name, stored, *size, len(data), modified, checksum(data), plan, form)


# --- stored ---


@pytest.mark.parametrize("data", [jpeg(), encoded(noise(mode="RGBA"), "PNG"), jpeg(quality=40)])
def test_tells_all_of_what_it_stored(place: Place, data: bytes) -> None:
    saved = place.make("a", data)
    full = expected_file(place, "full/a.jpg", "", (120, 80))
    small = expected_file(place, "thumbs/small/a.jpg", "small", (50, 33))
    big = expected_file(place, "thumbs/big/a.jpg", "big", (100, 67))
    assert (saved.full, saved.renditions) == (full, (small, big))
    assert small.plan != big.plan
    assert saved.checksum == full.checksum
    assert saved.content == checksum(data) == content_of(data)
    assert (saved.format, saved.placeholder, saved.measured) == ("JPEG", "", {})
    assert saved.files == 3
    assert saved.written == full.bytes + small.bytes + big.bytes
    assert saved.rendering > 0
    assert saved.storing > 0
    assert saved.rendering + saved.storing < 60
    assert sorted(place.files()) == ["full/a.jpg", "thumbs/big/a.jpg", "thumbs/small/a.jpg"]


def test_a_photo_arrives_untouched(place: Place) -> None:
    data = jpeg()
    saved = place.make("a", data)
    assert place.files()["full/a.jpg"] == data
    assert saved.checksum == saved.content


def test_the_full_image_comes_last(place: Place) -> None:
    place.make("a", jpeg())
    assert place.store.written == ["thumbs/big/a.jpg", "thumbs/small/a.jpg", "full/a.jpg"]


def test_no_thumbnails_are_one_file(place: Place) -> None:
    saved = place.under(plan=Plan()).make("a", jpeg())
    assert (saved.files, saved.renditions) == (1, ())
    assert list(place.files()) == ["full/a.jpg"]


def test_keeping_writes_nothing(place: Place) -> None:
    prepared = keep(jpeg(), place.source("a"), place.rules)
    assert place.files() == {}
    full = prepared.saved.full
    assert full is not None
    assert (full.modified, prepared.saved.storing) == (0, 0)
    assert [output.path for output in prepared.outputs] == [
        "full/a.jpg",
        "thumbs/small/a.jpg",
        "thumbs/big/a.jpg",
    ]
    saved = save(prepared, place.store)
    assert saved.full == expected_file(place, "full/a.jpg", "", (120, 80))
    assert saved == replace(
        prepared.saved, full=saved.full, renditions=saved.renditions, storing=saved.storing
    )


@pytest.mark.parametrize(
    ("data", "error", "code"),
    [
        (b"<html>", SourceRejected, "not-an-image"),
        (jpeg()[:-99], ImageBroken, "broken"),
        (jpeg((20, 20)), SourceRejected, "too-small"),
    ],
)
def test_what_cannot_be_rendered_leaves_nothing(
    place: Place, data: bytes, error: type[ImageBroken], code: str
) -> None:
    place = place.under(plan=replace(PLAN, min_width=30), dedupe=True)
    with pytest.raises(error) as caught:
        place.make("a", data)
    assert caught.value.code == code
    assert place.files() == {}


def test_what_cannot_be_written_leaves_the_old_files(place: Place) -> None:
    place.make("a", jpeg())
    before = place.files()
    with pytest.raises(StoreFailed):
        make_and_save(
            jpeg(), place.source("a", thumbs={"small": "x", "big": "full/a.jpg/y"}), place.rules
        )
    assert place.files() == before


def width(image: Image.Image) -> dict[str, Any]:
    return {"width": image.width, "mode": image.mode}


def test_measures_are_taken_of_what_is_stored(place: Place) -> None:
    saved = place.under(measures=(width,)).make("a", encoded(noise(mode="RGBA"), "PNG"))
    assert saved.measured == {"width": 120, "mode": "RGB"}


def test_exif_is_that_of_the_download(place: Place) -> None:
    tags = Image.Exif()
    tags[0x0110], tags[0x0112] = "EOS 5D", 6
    saved = place.under(measures=(exif, width)).make("a", jpeg(exif=tags))
    told = {"exif": {"Model": "EOS 5D", "Orientation": 6}}
    assert saved.measured == {**told, "width": 80, "mode": "RGB"}
    assert not opened(place.path("full/a.jpg").read_bytes()).getexif()


# --- placeholders ---


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (encoded(Image.new("RGB", (1, 1), "red")), "1x1"),
        (encoded(Image.new("RGBA", (1, 1)), "PNG"), "1x1"),
        (encoded(Image.new("P", (1, 1)), "GIF"), "1x1"),
        (encoded(noise((1, 1))), "1x1"),
        (RED_JPEG, "one-colour"),
        (RED_PNG, "one-colour"),
        (encoded(Image.new("L", (90, 60), 77)), "one-colour"),
        (encoded(Image.new("RGBA", (90, 60), (9, 9, 9, 0)), "PNG"), "one-colour"),
        (encoded(Image.linear_gradient("L").resize((2, 1)), "PNG"), "one-colour"),
        (encoded(Image.linear_gradient("L").resize((1, 2)), "PNG"), ""),
        (encoded(Image.linear_gradient("L").rotate(90).resize((2, 1)), "PNG"), ""),
        (jpeg(), ""),
        (encoded(noise(), "PNG"), ""),
    ],
)
def test_placeholders_are_told_by_their_pixels(place: Place, data: bytes, kind: str) -> None:
    saved = place.make("a", data)
    assert saved.placeholder == kind
    assert place.files()["full/a.jpg"], "it is stored all the same"
    assert (
        place.under(placeholders=PlaceholderRules(sought=False)).make("b", data).placeholder == ""
    )


def test_one_colour_and_a_corner_of_another_is_a_picture(place: Place) -> None:
    image = Image.new("RGB", (640, 480), "white")
    image.paste("black", (3, 5, 9, 9))
    for number, form in enumerate(("PNG", "JPEG")):
        assert place.make(f"{number}", encoded(image, form)).placeholder == ""


@pytest.mark.parametrize("data", [RED_JPEG, RED_PNG, encoded(noise((1, 1)))])
def test_a_refused_placeholder_leaves_nothing(place: Place, data: bytes) -> None:
    place = place.under(placeholders=REFUSING)
    with pytest.raises(SourceRejected, match=r"^The picture is a placeholder \(") as caught:
        place.make("a", data)
    assert caught.value.code == "placeholder"
    assert place.files() == {}
    assert place.make("b", jpeg()).placeholder == ""


@pytest.mark.parametrize("as_stored", [False, True])
@pytest.mark.parametrize("data", [jpeg(), encoded(noise(), "PNG"), RED_JPEG])
def test_listed_pictures_are_placeholders(place: Place, data: bytes, as_stored: bool) -> None:
    known = place.make("known", data)
    digest = known.checksum if as_stored else checksum(data)
    listed = PlaceholderRules(digests=frozenset({checksum(b"another"), digest}))
    assert place.under(placeholders=listed).make("a", data).placeholder == "listed"
    assert place.under(placeholders=listed).make("b", jpeg()).placeholder == ""
    before = place.files()
    with pytest.raises(SourceRejected, match=r"placeholder \(listed\)"):
        place.under(placeholders=replace(listed, refused=True)).make("c", data)
    assert place.files() == before


THREE = PlaceholderRules(urls=3)


@pytest.mark.parametrize("dedupe", [False, True])
def test_one_picture_behind_many_urls_of_a_host_is_a_placeholder(
    place: Place, dedupe: bool
) -> None:
    place, data = place.under(placeholders=THREE, dedupe=dedupe), jpeg()
    kinds = [place.crawl(name, data).placeholder for name in "abcd"]
    assert kinds == ["", "", "many-urls", "many-urls"]
    assert place.crawl("e", jpeg()).placeholder == ""


@pytest.mark.parametrize("dedupe", [False, True])
def test_one_picture_behind_many_urls_can_be_refused(place: Place, dedupe: bool) -> None:
    data = jpeg()
    place = place.under(placeholders=replace(THREE, refused=True), dedupe=dedupe)
    place.crawl("a", data)
    place.crawl("b", data)
    before = place.files()
    for name in "cd":
        with pytest.raises(SourceRejected, match=r"placeholder \(many-urls\)"):
            place.make(name, data)
    assert place.files() == before
    # Those that were there before stay what they were.
    assert place.crawl("a", data).placeholder == ""


def test_the_same_url_again_is_one_url(place: Place) -> None:
    place, data = place.under(placeholders=THREE), jpeg()
    assert [place.crawl("a", data).placeholder for _ in range(5)] == [""] * 5


def test_other_hosts_do_not_count(place: Place) -> None:
    place, data = place.under(placeholders=THREE), jpeg()
    for number in range(9):
        record = recorded(f"{number}", place.make(f"{number}", data), place.rules)
        place.know(record._replace(url=f"https://{number}.example.com/a"))
    assert place.make("a", data).placeholder == ""
    for number, url in enumerate(("http://EXAMPLE.com:8080/x", "https://user@example.com/y")):
        place.know(place.crawl(f"more {number}", data)._replace(url=url))
    assert place.make("a", data).placeholder == "many-urls"


def test_no_number_is_no_limit(place: Place) -> None:
    data = jpeg()
    assert [place.crawl(f"{number}", data).placeholder for number in range(20)] == [""] * 20


def test_an_index_that_fails_knows_of_no_other_urls(place: Place, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    failing = SqliteIndex(tmp_path / "directory")
    for index in (failing, None):
        place = place.under(index=index, dedupe=True, placeholders=THREE)
        assert place.make("a", jpeg()).files == 3


# --- equal bytes are stored once ---


@pytest.fixture
def deduping(place: Place) -> Place:
    return place.under(dedupe=True)


def inode(place: Place, stored: str) -> int:
    return place.path(stored).stat().st_ino


PAIRS = [
    (f"{folder}/a.jpg", f"{folder}/b.jpg") for folder in ("full", "thumbs/small", "thumbs/big")
]


@pytest.mark.parametrize("data", [jpeg(), encoded(noise(mode="RGBA"), "PNG")])
def test_equal_bytes_are_linked(deduping: Place, data: bytes) -> None:
    place = deduping
    first = place.crawl("a", data, etag="x", tries=2)
    place.store.written.clear()
    saved = place.make("b", data)
    assert place.store.written == []
    assert place.store.linked == ["thumbs/small/b.jpg", "thumbs/big/b.jpg", "full/b.jpg"]
    for one, other in PAIRS:
        assert inode(place, one) == inode(place, other)
    assert len(place.files()) == 6
    assert (saved.files, saved.written, saved.rendering) == (0, 0, 0)
    assert saved.storing > 0
    assert (saved.content, saved.checksum) == (first.content, first.files[0].checksum)
    full = expected_file(place, "full/b.jpg", "", (120, 80))
    small = expected_file(place, "thumbs/small/b.jpg", "small", (50, 33))
    big = expected_file(place, "thumbs/big/b.jpg", "big", (100, 67))
    assert (saved.full, saved.renditions, saved.format) == (full, (small, big), "JPEG")
    place.know(recorded("b", saved, place.rules))
    place.store.read.clear()
    assert place.look("b").verdict is Verdict.FRESH
    assert place.store.read == []


def test_each_of_equal_bytes_is_replaced_alone(deduping: Place) -> None:
    place, data = deduping, jpeg()
    place.crawl("a", data)
    place.crawl("b", data)
    other = jpeg()
    place.crawl("a", other)
    assert place.files()["full/a.jpg"] == other
    assert place.files()["full/b.jpg"] == data
    for one, two in PAIRS:
        assert inode(place, one) != inode(place, two)
    place.store.delete("full/b.jpg")
    assert place.look("a").verdict is Verdict.FRESH
    assert place.look("b").verdict is Verdict.FETCH


def test_old_files_are_replaced_by_links(deduping: Place) -> None:
    place, data = deduping, jpeg()
    place.crawl("a", data)
    place.crawl("b", jpeg())
    place.crawl("b", data)
    for one, other in PAIRS:
        assert inode(place, one) == inode(place, other)
    assert [path.name for path in place.path("full").iterdir() if "imgpipe" in path.name] == []


def test_the_same_source_again_is_its_own_twin(deduping: Place) -> None:
    place, data = deduping, jpeg()
    before = place.crawl("a", data)
    place.store.written.clear()
    saved = place.make("a", data)
    assert (place.store.written, place.store.linked) == ([], [])
    assert (saved.full, *saved.renditions) == before.files


@pytest.mark.parametrize("stored", [one for one, _ in PAIRS])
@pytest.mark.parametrize("damage", ["another", "touched", "gone"])
def test_a_twin_that_was_changed_is_no_twin(deduping: Place, stored: str, damage: str) -> None:
    place, data = deduping, jpeg()
    place.crawl("a", data)
    if damage == "another":
        place.path(stored).write_bytes(jpeg((300, 200)))
    elif damage == "touched":
        place.touch(stored, 60)
    else:
        place.path(stored).unlink()
    saved = place.make("b", data)
    assert (saved.files, place.store.linked) == (3, [])
    assert place.files()["full/b.jpg"] == data


@pytest.mark.parametrize(
    "settings",
    [
        {"plan": Plan((SMALL,))},
        {"plan": Plan((SMALL, Variant("big", 99, 99)))},
        {"plan": replace(PLAN, background=(0, 0, 0))},
        {"measures": (width,)},
    ],
)
def test_a_twin_of_another_plan_is_no_twin(deduping: Place, settings: dict[str, Any]) -> None:
    place, data = deduping, jpeg()
    place.crawl("a", data)
    assert twin_of(place.source("b", content=checksum(data)), place.rules) is not None
    other = place.under(**settings)
    assert twin_of(other.source("b", content=checksum(data)), other.rules) is None
    assert other.make("b", data).files > 0
    assert place.store.linked == []


def test_a_twin_of_other_limits_is_no_twin(deduping: Place) -> None:
    place, data = deduping, jpeg()
    place.crawl("a", data)
    strict = place.under(
        plan=replace(PLAN, min_width=200), policy=Policy(90, 30, "limits of a stricter crawl")
    )
    with pytest.raises(SourceRejected, match="too small"):
        strict.make("b", data)
    # It may have failed under the new limits itself, and still be stored.
    known = {"limits": strict.rules.policy.limits, "plan": strict.rules.digest}
    place.crawl("a", data, **known, failed_at=1.5, outcome="too-small")
    with pytest.raises(SourceRejected, match="too small"):
        strict.make("b", data)


@pytest.mark.parametrize(
    "changes",
    [{"checked_at": 0}, {"full": None, "renditions": ()}, {"content": checksum(b"another")}],
)
def test_a_record_that_is_no_twin(deduping: Place, changes: dict[str, Any]) -> None:
    place, data = deduping, jpeg()
    place.crawl("a", data, **changes)
    assert twin_of(place.source("b", content=checksum(data)), place.rules) is None
    assert place.make("b", data).files == 3


def test_a_twin_that_lacks_a_thumbnail_is_no_twin(deduping: Place) -> None:
    # One could not be written when they were made anew.
    place, data = deduping, jpeg()
    record = place.crawl("a", data)
    place.know(record._replace(renditions=record.renditions[1:]))
    assert twin_of(place.source("b", content=checksum(data)), place.rules) is None
    assert len(place.make("b", data).renditions) == 2


def test_a_later_record_may_be_the_twin(deduping: Place) -> None:
    place, data = deduping, jpeg()
    for name in "abc":
        place.crawl(name, data, checked_at=0)
    good = place.crawl("d", data)
    assert twin_of(place.source("e", content=checksum(data)), place.rules) == good


def test_equal_bytes_are_written_where_that_is_asked_for(place: Place) -> None:
    data = jpeg()
    place.crawl("a", data)
    assert place.make("b", data).files == 3
    assert place.store.linked == []
    assert inode(place, "full/a.jpg") != inode(place, "full/b.jpg")


def test_what_was_downloaded_counts_not_what_is_stored(deduping: Place) -> None:
    place = deduping
    image = noise()
    place.crawl("a", encoded(image, "PNG"))
    assert place.make("b", encoded(image, "PNG", compress_level=1)).files == 3


class UnlinkedStore(CountingStore):
    def link_all(self, files: Sequence[tuple[str, str]]) -> list[Stat]:
        super().link_all(files[:0])
        raise StoreFailed(f"Could not write {files[0][0]!r}: {os.strerror(errno.EMLINK)}")


class PlainStore:
    """A store whose protocol knows no links."""

    def __init__(self, store: FileSystemStore) -> None:
        self.put, self.put_all = store.put, store.put_all
        self.get, self.stat = store.get, store.stat
        self.delete, self.list, self.url = store.delete, store.list, store.url


@pytest.mark.parametrize("plain", [False, True])
def test_a_store_that_cannot_link_writes(deduping: Place, plain: bool) -> None:
    base, data = Path(deduping.store.base), jpeg()
    store: Any = PlainStore(deduping.store) if plain else UnlinkedStore(base)
    place = deduping.under(store=store)
    place.crawl("a", data)
    saved = place.make("b", data)
    assert saved.files == 3
    assert inode(place, "full/a.jpg") != inode(place, "full/b.jpg")
    assert place.files()["full/b.jpg"] == data


def test_a_placeholder_stays_one_when_it_is_linked(deduping: Place) -> None:
    place = deduping
    place.crawl("a", RED_JPEG)
    saved = place.make("b", RED_JPEG)
    assert (saved.files, saved.placeholder) == (0, "one-colour")


def test_a_placeholder_that_is_refused_now_is_not_linked(deduping: Place) -> None:
    deduping.crawl("a", RED_JPEG)
    with pytest.raises(SourceRejected, match=r"placeholder \(one-colour\)"):
        deduping.under(placeholders=REFUSING).make("b", RED_JPEG)
    assert len(deduping.files()) == 3


@pytest.mark.parametrize("refused", [False, True])
def test_a_placeholder_that_is_listed_since_is_told_of_a_link(
    deduping: Place, refused: bool
) -> None:
    data = jpeg()
    deduping.crawl("a", data)
    listed = PlaceholderRules(refused=refused, digests=frozenset({checksum(data)}))
    place = deduping.under(placeholders=listed)
    if refused:
        with pytest.raises(SourceRejected, match=r"placeholder \(listed\)"):
            place.make("b", data)
    else:
        assert place.make("b", data).placeholder == "listed"


def test_a_placeholder_that_is_none_any_more_is_not_told_of_a_link(deduping: Place) -> None:
    data = jpeg()
    listed = PlaceholderRules(digests=frozenset({checksum(data)}))
    assert deduping.under(placeholders=listed).crawl("a", data).placeholder == "listed"
    other = jpeg()
    two = deduping.under(placeholders=PlaceholderRules(urls=2))
    assert [two.crawl(name, other).placeholder for name in "bc"] == ["", "many-urls"]
    deduping.index.forget([deduping.wanted("b").key])
    for name, body in (("d", data), ("e", other)):
        saved = deduping.make(name, body)
        assert (saved.files, saved.placeholder) == (0, "")


def test_a_placeholder_is_none_where_nobody_looks_for_them(deduping: Place) -> None:
    deduping.crawl("a", RED_JPEG)
    place = deduping.under(placeholders=PlaceholderRules(sought=False))
    assert place.make("b", RED_JPEG).placeholder == ""


def test_measures_are_shared_by_equal_bytes(deduping: Place) -> None:
    place, data = deduping.under(measures=(width,)), jpeg()
    place.crawl("a", data)
    saved = place.make("b", data)
    assert (saved.files, saved.measured) == (0, {"width": 120, "mode": "RGB"})


@pytest.mark.parametrize("dedupe", [False, True])
def test_what_another_crawl_may_have_is_neither_written_nor_linked(
    place: Place, dedupe: bool
) -> None:
    place, data = place.under(dedupe=dedupe), jpeg()
    place.crawl("a", data)
    before = place.files()
    lease = Lease("b", -inf)
    source = replace(place.source("b"), lease=lease)
    with pytest.raises(Overtaken):
        make_and_save(data, source, place.rules)
    assert place.files() == before
    lease.until = inf
    make_and_save(data, source, place.rules)
    assert len(place.files()) == 2 * len(before)
