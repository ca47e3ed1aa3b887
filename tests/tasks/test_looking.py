"""What is there already: what the index says, and what the files say where it is wrong."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from scrapy_imgpipe.errors import ImageBroken, StoreFailed
from scrapy_imgpipe.freshness import Policy, Verdict
from scrapy_imgpipe.imaging import Plan, Variant, exif
from scrapy_imgpipe.index import Key, SqliteIndex
from scrapy_imgpipe.records import ImageRecord, Rendition, checksum, stamp
from scrapy_imgpipe.tasks import (
    Found,
    Mended,
    Output,
    PlaceholderRules,
    found_of,
    look_up,
    mend,
)
from tests.index.memory import MemoryIndex
from tests.pictures import encoded, jpeg, noise, opened
from tests.tasks.place import BIG, DAY, ETAG, PLAN, POLICY, SMALL, Place, fingerprint_of, gone

FULL, SMALL_PATH, BIG_PATH = "full/a.jpg", "thumbs/small/a.jpg", "thumbs/big/a.jpg"
ALL = (FULL, SMALL_PATH, BIG_PATH)


def transparent() -> bytes:
    return encoded(noise(mode="RGBA"), "PNG")


def mended(place: Place, found: Found) -> Mended:
    """Do what *found* asks for, and tell the index, as the pipeline does."""
    done = mend(found, place.rules)
    assert done is not None
    place.know(done.record)
    place.store.read.clear()
    return done


def is_settled(place: Place, **fields: Any) -> bool:
    """Return whether the next look needs the index and stat alone."""
    place.store.read.clear()
    found = place.look("a", **fields)
    assert (found.verdict, found.missing, found.need) == (Verdict.FRESH, (), 0)
    return found.told and not place.store.read


# --- as it was recorded ---


@pytest.mark.parametrize("data", [jpeg(), encoded(noise(), "PNG"), transparent(), jpeg((9, 7))])
def test_what_is_as_recorded_is_fresh_and_not_read(place: Place, data: bytes) -> None:
    record = place.crawl("a", data)
    assert place.look("a") == Found(Verdict.FRESH, record)
    assert place.store.read == []


def test_nothing_is_known_and_nothing_is_there(place: Place) -> None:
    found = place.look("a")
    assert found == Found(Verdict.FETCH, None)
    assert not found


def test_many_are_one_question_to_the_index(place: Place) -> None:
    asked: list[int] = []

    class CountingIndex(MemoryIndex):
        def get(self, keys: Sequence[Key]) -> list[ImageRecord | None]:
            asked.append(len(keys))
            return super().get(keys)

    place.index = CountingIndex()
    names = [f"{number}" for number in range(9)]
    records = [place.crawl(name, jpeg((30, 20))) for name in names[:6]]
    found = look_up([place.wanted(name) for name in reversed(names)], place.rules)
    assert asked == [9]
    assert found == [
        *[Found(Verdict.FETCH, None)] * 3,
        *[Found(Verdict.FRESH, record) for record in reversed(records)],
    ]


def test_no_question_is_no_answer(place: Place) -> None:
    assert look_up([], place.rules) == []


def test_an_error_is_that_of_one_source(place: Place) -> None:
    record = place.crawl("a", jpeg())
    place.crawl("b", jpeg())
    place.path("full/b.jpg").unlink()
    place.path("full/b.jpg").symlink_to("b.jpg")  # to itself
    found = look_up([place.wanted("b"), place.wanted("a")], place.rules)
    assert isinstance(found[0], StoreFailed)
    assert found[1] == Found(Verdict.FRESH, record)


def test_a_response_may_have_named_the_file(place: Place) -> None:
    source = place.source("a", full="full/of the response.jpg")
    full = place.crawl("a", jpeg())._replace(asked="")
    assert full.full is not None
    place.path(FULL).rename(place.path(source.full))
    record = place.know(full._replace(full=full.full._replace(path=source.full)))
    key = Key(fingerprint_of("a"), "")
    assert place.look("a", key=key) == Found(Verdict.FRESH, record)
    place.path(source.full).unlink()
    assert place.look("a", key=key) == Found(Verdict.FETCH, record)


# --- files that are another than was recorded ---


@pytest.mark.parametrize("later_seconds", [3600, -3600, -80 * DAY])
@pytest.mark.parametrize("touched", [(FULL,), (SMALL_PATH,), ALL])
def test_another_time_of_the_same_bytes_is_learned_once(
    place: Place, later_seconds: float, touched: tuple[str, ...]
) -> None:
    record = place.crawl("a", jpeg())
    modified = {path: place.touch(path, -later_seconds) for path in touched}
    found = place.look("a")
    assert found.verdict is Verdict.FRESH
    assert (found.missing, found.need, found.told) == ((), 0, False)
    assert set(place.store.read) == set(touched)
    assert found.record is not None
    for file, was in zip(found.record.files, record.files, strict=True):
        assert file == was._replace(modified=modified.get(file.path, was.modified))
    place.know(found.record)
    assert is_settled(place)


def test_an_older_file_makes_the_image_older(place: Place) -> None:
    record = place.crawl("a", jpeg())
    modified = place.touch(FULL, 10 * DAY)
    found = place.look("a")
    assert found.record is not None
    assert found.record.checked_at == modified
    place.know(found.record)
    place.touch(FULL)
    found = place.look("a")
    assert found.record is not None
    assert found.record.checked_at == modified, "a newer file does not make it younger"
    assert found.record.stored_at == record.stored_at


@pytest.mark.parametrize(("etag", "expected"), [("", Verdict.FETCH), (ETAG, Verdict.REVALIDATE)])
def test_an_old_file_under_a_young_record_has_expired(
    place: Place, etag: str, expected: Verdict
) -> None:
    place.crawl("a", jpeg(), etag=etag)
    place.touch(FULL, 91 * DAY)
    assert place.look("a").verdict is expected


def test_a_copied_store_shows_a_change_of_background(place: Place) -> None:
    place.crawl("a", transparent())
    place.touch(FULL, 3600)
    black = place.under(plan=replace(PLAN, background=(0, 0, 0)))
    assert black.look("a").verdict is Verdict.FETCH


def test_other_bytes_are_looked_into(place: Place) -> None:
    record = place.crawl("a", jpeg(), etag=ETAG, measured={"x": 1}, placeholder="one-colour")
    other = jpeg((240, 160))
    place.path(FULL).write_bytes(other)
    modified = place.touch(FULL)
    found = place.look("a")
    assert (found.verdict, found.missing, found.told) == (Verdict.FRESH, (), False)
    assert found.record == ImageRecord(
        record.fingerprint,
        record.asked,
        record.url,
        Rendition("", FULL, 240, 160, len(other), modified, checksum(other)),
        "JPEG",
        record.renditions,
        place.rules.digest,
        "limits",
        stored_at=modified,
        checked_at=modified,
        outcome="stored",
    )
    place.know(found.record)
    assert is_settled(place)


def test_other_bytes_of_the_same_size_are_seen(place: Place) -> None:
    one, image = encoded(noise(), comment=b"x" * 1_000), noise()
    length = 1_000 + len(one) - len(encoded(image, comment=b"x" * 1_000))
    other = encoded(image, comment=b"x" * length)
    assert len(other) == len(one)
    place.crawl("a", one)
    place.path(FULL).write_bytes(other)
    modified = place.touch(FULL, 3600)
    found = place.look("a")
    assert (found.verdict, found.told) == (Verdict.FRESH, False)
    assert found.record is not None
    assert found.record.files[0].checksum == checksum(other)
    assert found.record.files[0].modified == modified


@pytest.mark.parametrize(
    "data",
    [b"", b"no picture", jpeg()[:-100], jpeg()[:200], encoded(noise(), "PNG")[:-30]],
    ids=["empty", "text", "cut off", "header", "cut off PNG"],
)
def test_a_damaged_file_is_fetched_again(place: Place, data: bytes) -> None:
    place.crawl("a", jpeg(), etag=ETAG)
    place.path(FULL).write_bytes(data)
    found = place.look("a")
    assert found.verdict is Verdict.FETCH
    assert place.store.read == ([FULL] if data else [])


@pytest.mark.parametrize("etag", ["", ETAG])
def test_a_file_that_is_gone_is_fetched_again(place: Place, etag: str) -> None:
    record = place.crawl("a", jpeg(), etag=etag, last_modified=etag)
    place.path(FULL).unlink()
    assert place.look("a") == Found(Verdict.FETCH, record)


def test_an_emptied_store_is_fetched_again(place: Place) -> None:
    place.crawl("a", jpeg())
    shutil.rmtree(place.store.base)
    assert place.look("a").verdict is Verdict.FETCH


# --- thumbnails ---


@pytest.mark.parametrize("data", [jpeg(), transparent()])
@pytest.mark.parametrize("damage", [b"", b"x", jpeg((50, 33)), None])
def test_a_thumbnail_that_is_no_more_is_made_again(
    place: Place, data: bytes, damage: bytes | None
) -> None:
    record = place.crawl("a", data)
    before = place.files()
    if damage is None:
        place.path(SMALL_PATH).unlink()
    else:
        place.path(SMALL_PATH).write_bytes(damage)
    found = place.look("a")
    assert (found.verdict, found.missing, found.told) == (Verdict.FRESH, ("small",), False)
    assert found.need > 120 * 80
    if damage is None or len(damage) != record.renditions[0].bytes:
        assert place.store.read == [FULL], "its size is enough to tell"
    place.store.written.clear()
    done = mended(place, found)
    assert place.store.written == [SMALL_PATH]
    assert (done.files, done.written, done.trouble) == (1, len(place.files()[SMALL_PATH]), "")
    assert done.rendering > 0
    assert done.storing > 0
    assert [file.name for file in done.record.renditions] == ["small", "big"]
    assert done.record.full == record.full
    assert is_settled(place)
    if data.startswith(b"\xff\xd8"):
        assert place.files() == before


def test_a_thumbnail_of_another_size_is_made_again(place: Place) -> None:
    before = place.crawl("a", jpeg())
    place = place.under(plan=Plan((Variant("small", 60, 60), BIG)))
    found = place.look("a")
    assert found.missing == ("small",)
    done = mended(place, found)
    small, big = done.record.renditions
    assert (small.width, small.height) == (60, 40)
    assert opened(place.files()[SMALL_PATH]).size == (60, 40)
    assert big == before.renditions[1]
    assert is_settled(place)


def test_a_box_of_another_size_counts_even_where_the_picture_does_not_change(
    place: Place,
) -> None:
    place.crawl("a", jpeg())
    place = place.under(plan=Plan((Variant("small", 50, 40), BIG)))
    assert place.look("a").missing == ("small",)


def test_a_thumbnail_that_is_no_longer_wanted_is_left_out(place: Place) -> None:
    record = place.crawl("a", jpeg())
    place = place.under(plan=Plan((BIG,)))
    found = place.look("a")
    expected = record._replace(renditions=record.renditions[1:], plan=place.rules.digest)
    assert found == Found(Verdict.FRESH, expected, told=False)
    assert place.store.read == []
    assert SMALL_PATH in place.files()
    place.know(expected)
    assert is_settled(place)


def test_a_new_thumbnail_is_made_of_what_is_stored(place: Place) -> None:
    place.crawl("a", jpeg())
    place = place.under(plan=Plan((SMALL, Variant("tiny", 10, 10), BIG)))
    found = place.look("a")
    assert found.missing == ("tiny",)
    done = mended(place, found)
    assert [file.name for file in done.record.renditions] == ["small", "tiny", "big"]
    assert opened(place.files()["thumbs/tiny/a.jpg"]).size == (10, 7)
    assert is_settled(place)


def test_the_first_thumbnails_are_made_of_what_is_stored(place: Place) -> None:
    place.under(plan=Plan()).crawl("a", jpeg())
    found = place.look("a")
    assert found.missing == ("small", "big")
    assert mended(place, found).files == 2
    assert is_settled(place)


def test_thumbnails_in_another_order_are_the_same(place: Place) -> None:
    place.crawl("a", jpeg())
    place = place.under(plan=Plan((BIG, SMALL)))
    found = place.look("a")
    assert (found.verdict, found.missing) == (Verdict.FRESH, ())
    assert found.record is not None
    assert [file.name for file in found.record.renditions] == ["big", "small"]
    assert place.store.read == []


def test_a_thumbnail_under_another_path_is_made_there(place: Place) -> None:
    place.crawl("a", jpeg())
    thumbs = {"small": "elsewhere/a.jpg", "big": BIG_PATH}
    found = place.look("a", thumbs=thumbs)
    assert found.missing == ("small",)
    assert mended(place, found).record.renditions[0].path == "elsewhere/a.jpg"
    assert is_settled(place, thumbs=thumbs)


# --- thumbnails whose names only a response tells ---


def test_names_that_nobody_can_tell_are_those_of_last_time(place: Place) -> None:
    record = place.crawl("a", jpeg())
    assert place.look("a", thumbs=None) == Found(Verdict.FRESH, record)
    assert place.store.read == []
    place.path(SMALL_PATH).unlink()
    found = place.look("a", thumbs=None)
    assert (found.missing, found.thumbs) == (
        ("small",),
        {"small": SMALL_PATH, "big": BIG_PATH},
    )
    assert mended(place, found).files == 1
    assert is_settled(place, thumbs=None)


def test_a_new_name_that_nobody_can_tell_is_fetched(place: Place) -> None:
    place.crawl("a", jpeg(), etag=ETAG)
    place = place.under(plan=Plan((SMALL, BIG, Variant("tiny", 10, 10))))
    found = place.look("a", thumbs=None)
    assert found.verdict is Verdict.FETCH
    assert found.record is not None
    assert found.record.checked_at == 0, "a 304 would not do"


def test_a_name_that_nobody_asks_for_any_more_is_left_out(place: Place) -> None:
    record = place.crawl("a", jpeg())
    place = place.under(plan=Plan((SMALL,)))
    found = place.look("a", thumbs=None)
    expected = record._replace(renditions=record.renditions[:1], plan=place.rules.digest)
    assert found == Found(Verdict.FRESH, expected, told=False)
    place.path(SMALL_PATH).unlink()
    done = mended(place, place.look("a", thumbs=None))
    assert [file.name for file in done.record.renditions] == ["small"]
    assert is_settled(place, thumbs=None)


def test_a_file_without_a_record_may_have_thumbnails_that_nobody_can_name(place: Place) -> None:
    place.crawl("a", jpeg())
    place.index.forget([place.wanted("a").key])
    found = place.look("a", thumbs=None)
    assert (found.verdict, found.missing, found.need) == (Verdict.FRESH, (), 0)
    assert found.record is not None
    assert found.record.renditions == ()


# --- another background ---


def test_a_passed_through_image_has_no_background(place: Place) -> None:
    record = place.crawl("a", jpeg(), etag=ETAG)
    place = place.under(plan=replace(PLAN, background=(0, 0, 0)))
    expected = record._replace(plan=place.rules.digest)
    assert place.look("a") == Found(Verdict.FRESH, expected, told=False)
    assert place.store.read == []
    place.know(expected)
    assert is_settled(place)


def test_another_background_has_a_transparent_image_fetched(place: Place) -> None:
    record = place.crawl("a", transparent(), etag=ETAG, last_modified="x")
    place = place.under(plan=replace(PLAN, background=(0, 0, 0)))
    # A 304 would not do either.
    expected = record._replace(etag="", last_modified="", checked_at=0)
    assert place.look("a") == Found(Verdict.FETCH, expected)


# --- age ---


@pytest.mark.parametrize(
    ("validators", "expected"),
    [
        ({}, Verdict.FETCH),
        ({"etag": ETAG}, Verdict.REVALIDATE),
        ({"last_modified": "Wed, 21 Oct 2015 07:28:00 GMT"}, Verdict.REVALIDATE),
    ],
)
@pytest.mark.parametrize("thumbs", [True, False])
def test_what_has_expired(
    place: Place, validators: dict[str, str], expected: Verdict, thumbs: bool
) -> None:
    record = place.crawl("a", jpeg(), checked_at=time.time() // 1 - 91 * DAY, **validators)
    if not thumbs:
        place.path(SMALL_PATH).unlink()
    assert place.look("a") == Found(expected, record)
    assert place.store.read == []


@pytest.mark.parametrize("touched", [False, True])
@pytest.mark.parametrize("other", [False, True])
def test_what_is_to_be_fetched_again_is_although_it_is_there(
    place: Place, touched: bool, other: bool
) -> None:
    place.crawl("a", jpeg(), checked_at=0, etag=ETAG, last_modified="x")
    if other:
        place.path(FULL).write_bytes(jpeg((240, 160)))
    if touched:
        place.touch(FULL, 3600)
    found = place.look("a")
    assert found.verdict is Verdict.FETCH
    assert found.record is not None
    assert found.record.checked_at == 0


def test_a_file_without_a_record_is_as_old_as_its_time(place: Place) -> None:
    place.crawl("a", jpeg())
    place.index.forget([place.wanted("a").key])
    place.touch(FULL, 91 * DAY)
    assert place.look("a") == Found(Verdict.FETCH, None)
    assert place.store.read == []
    assert place.under(policy=Policy(92)).look("a").verdict is Verdict.FRESH


# --- what failed ---


def test_a_lasting_failure_is_not_asked_again(place: Place) -> None:
    record = place.know(gone("a"))
    found = place.look("a")
    assert found == Found(Verdict.REFUSE, record)
    assert found


@pytest.mark.parametrize(
    ("changes", "policy"),
    [
        ({"http_status": 503}, POLICY),
        ({"http_status": 0, "outcome": "download-failed"}, POLICY),
        ({}, Policy(90, 0, "limits")),
        ({"http_status": 200, "outcome": "too-small"}, Policy(90, 30, "others")),
    ],
)
def test_other_failures_are_asked_again(
    place: Place, changes: dict[str, Any], policy: Policy
) -> None:
    record = place.know(gone("a")._replace(**changes))
    assert place.under(policy=policy).look("a") == Found(Verdict.FETCH, record)


def test_a_failure_does_not_hide_a_file(place: Place) -> None:
    place.make("a", jpeg())
    place.know(gone("a")._replace(http_status=503))
    found = place.look("a")
    assert (found.verdict, found.missing, found.told) == (Verdict.FRESH, (), False)
    assert found.record is not None
    assert (found.record.failed_at, found.record.tries) == (0, 0)


def test_a_lasting_failure_is_believed_without_a_look(place: Place) -> None:
    place.make("a", jpeg())
    place.know(gone("a")._replace(outcome="too-small", http_status=200))
    assert place.look("a").verdict is Verdict.REFUSE
    assert place.store.read == []


def test_what_failed_since_it_was_stored_is_still_served(place: Place) -> None:
    failed = {"failed_at": time.time() // 1, "outcome": "http-status", "http_status": 404}
    record = place.crawl("a", jpeg(), **failed)
    assert place.look("a") == Found(Verdict.FRESH, record)
    place.path(FULL).unlink()
    assert place.look("a") == Found(Verdict.REFUSE, record)
    assert place.under(policy=Policy(90)).look("a") == Found(Verdict.FETCH, record)


# --- what an import left, and what nobody recorded ---


def imported(record: ImageRecord, **fields: Any) -> ImageRecord:
    return record._replace(fingerprint="", url="", content="", outcome="", **fields)


def test_an_import_becomes_the_record_of_its_source(place: Place) -> None:
    record = place.crawl("a", jpeg())
    place.index.forget([place.wanted("a").key])
    place.know(imported(record))
    found = place.look("a")
    expected = record._replace(content="", outcome="")
    assert found == Found(Verdict.FRESH, expected, told=False)
    assert place.store.read == []
    place.know(expected)
    assert place.index.count() == 1
    assert is_settled(place)


@pytest.mark.parametrize("knows_bytes", [False, True])
def test_an_import_of_which_nobody_knows_the_plan_is_fresh(place: Place, knows_bytes: bool) -> None:
    record = place.crawl("a", transparent())
    place.index.forget([place.wanted("a").key])
    content = record.content if knows_bytes else ""
    place.know(imported(record, plan="", renditions=())._replace(content=content))
    place = place.under(plan=replace(PLAN, background=(0, 0, 0)))
    found = place.look("a")
    assert (found.verdict, found.missing) == (Verdict.FRESH, ("small", "big"))
    done = mended(place, found)
    assert (done.record.fingerprint, done.record.url) == (record.fingerprint, record.url)
    assert is_settled(place)


@pytest.mark.parametrize("data", [jpeg(), transparent(), jpeg((9, 7))])
def test_without_a_record_files_are_looked_into(place: Place, data: bytes) -> None:
    record = place.crawl("a", data)
    place.index.forget([place.wanted("a").key])
    found = place.look("a")
    assert (found.verdict, found.missing, found.told) == (Verdict.FRESH, (), False)
    assert found.record is not None
    assert record.full is not None
    at = record.full.modified
    expected = record._replace(content="", stored_at=at, checked_at=at, http_status=0)
    assert found.record == expected
    place.know(found.record)
    assert is_settled(place)


def test_without_a_record_thumbnails_of_the_wrong_size_are_made_again(place: Place) -> None:
    place.crawl("a", jpeg())
    place.index.forget([place.wanted("a").key])
    place.path(SMALL_PATH).write_bytes(jpeg((51, 33)))
    found = place.look("a")
    assert found.missing == ("small",)
    mended(place, found)
    assert opened(place.files()[SMALL_PATH]).size == (50, 33)
    assert is_settled(place)


def test_an_index_is_not_needed(place: Place) -> None:
    place.crawl("a", jpeg())
    found = place.under(index=None).look("a")
    assert (found.verdict, found.trouble, found.told) == (Verdict.FRESH, "", False)


@pytest.mark.parametrize("known", [False, True])
def test_an_index_that_fails_is_told_of_and_files_are_looked_into(
    place: Place, tmp_path: Path, known: bool
) -> None:
    if known:
        place.crawl("a", jpeg())
    (tmp_path / "directory").mkdir()
    place = place.under(index=SqliteIndex(tmp_path / "directory"))
    found = place.look("a")
    assert found.verdict is (Verdict.FRESH if known else Verdict.FETCH)
    assert found.trouble.startswith("Could not use the index '")
    assert found.told is not known


# --- measures ---


def width(image: Image.Image) -> dict[str, Any]:
    return {"width": image.width}


def colours(image: Image.Image) -> dict[str, Any]:
    return {"mode": image.mode}


def test_measures_that_came_later_are_taken_of_what_is_stored(place: Place) -> None:
    record = place.crawl("a", jpeg())
    before = place.files()
    place = place.under(measures=(width,))
    found = place.look("a")
    assert (found.verdict, found.missing, found.told) == (Verdict.FRESH, (), False)
    assert found.need > 120 * 80
    done = mended(place, found)
    assert done.record.measured == {"width": 120}
    assert (done.files, done.written, done.record.files) == (0, 0, record.files)
    assert place.files() == before
    assert is_settled(place)
    place = place.under(measures=(width, colours))
    assert mended(place, place.look("a")).record.measured == {"width": 120, "mode": "RGB"}
    assert is_settled(place)


def test_measures_are_taken_of_a_file_without_a_record(place: Place) -> None:
    place.make("a", jpeg())
    place = place.under(measures=(width,))
    assert mended(place, place.look("a")).record.measured == {"width": 120}
    assert is_settled(place)


def test_measures_and_thumbnails_are_made_at_once(place: Place) -> None:
    place.crawl("a", jpeg())
    place.path(BIG_PATH).unlink()
    place = place.under(measures=(width,))
    done = mended(place, place.look("a"))
    assert (done.record.measured, done.files) == ({"width": 120}, 1)
    assert is_settled(place)


def test_measures_that_are_no_longer_asked_for_cost_nothing(place: Place) -> None:
    place = place.under(measures=(width,))
    record = place.crawl("a", jpeg())
    assert record.measured == {"width": 120}
    assert is_settled(place)
    place = place.under(measures=())
    assert place.look("a").verdict is Verdict.FRESH
    assert place.store.read == []


def test_measures_of_a_thumbnail_that_changes_stay(place: Place) -> None:
    place = place.under(measures=(width,))
    place.crawl("a", jpeg())
    place = place.under(plan=Plan((SMALL,)))
    found = place.look("a")
    assert (found.verdict, found.need) == (Verdict.FRESH, 0)
    assert place.store.read == []


def test_exif_that_only_the_download_had_stays(place: Place) -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    place = place.under(measures=(exif,))
    told = {"exif": {"Orientation": 6}}
    assert place.crawl("a", jpeg(exif=tags)).measured == told
    place.path(BIG_PATH).unlink()
    assert mended(place, place.look("a")).record.measured == told
    place = place.under(measures=(exif, width))
    assert mended(place, place.look("a")).record.measured == {**told, "width": 80}
    place = place.under(measures=(width,))
    assert mended(place, place.look("a")).record.measured == {"width": 80}
    place = place.under(measures=(exif,))
    assert mended(place, place.look("a")).record.measured == {}
    assert is_settled(place)


# --- placeholders ---


def test_a_placeholder_is_kept_until_they_are_refused(place: Place) -> None:
    record = place.crawl("a", encoded(Image.new("RGB", (90, 60), "red")))
    assert record.placeholder == "one-colour"
    assert place.look("a") == Found(Verdict.FRESH, record)
    refusing = place.under(placeholders=PlaceholderRules(refused=True))
    found = refusing.look("a")
    assert found.verdict is Verdict.REFUSE
    assert found.record.reason == "The picture is a placeholder (one-colour)"
    assert found.record == record._replace(outcome="placeholder", reason=found.record.reason)
    blind = place.under(placeholders=PlaceholderRules(sought=False))
    assert blind.look("a") == Found(Verdict.FRESH, record._replace(placeholder=""))


# --- where overridden methods decide what is stored ---


def test_whatever_a_hook_stored_is_good(place: Place) -> None:
    place.store.put(FULL, b"no picture at all")
    assert place.look("a", thumbs={}).verdict is Verdict.FETCH
    place = place.under(any_content=True, plan=Plan())
    found = place.look("a")
    assert found.verdict is Verdict.FRESH
    assert found.record is not None
    assert (found.record.format, found.record.files[0].width) == ("", 0)


def test_of_what_is_no_picture_nobody_knows_the_size_of_thumbnails(place: Place) -> None:
    place.make("a", jpeg())
    place.path(FULL).write_bytes(b"no picture at all")
    place.path(SMALL_PATH).write_bytes(jpeg((9, 9)))
    found = place.under(any_content=True).look("a")
    assert (found.verdict, found.missing) == (Verdict.FRESH, ())
    assert found.record is not None
    assert found.record.renditions[0].width == 9


def test_thumbnails_that_a_hook_decides_on_are_not_looked_for(place: Place) -> None:
    record = place.crawl("a", jpeg())
    shutil.rmtree(place.path("thumbs"))
    place = place.under(any_thumbs=True)
    assert place.look("a", thumbs={}) == Found(Verdict.FRESH, record)
    place.touch(FULL)
    found = place.look("a", thumbs={})
    assert (found.verdict, found.told) == (Verdict.FRESH, False)
    assert found.record is not None
    place.know(found.record)
    assert is_settled(place, thumbs={})


def test_other_thumbnails_have_what_a_hook_decides_on_fetched(place: Place) -> None:
    place.crawl("a", jpeg())
    place = place.under(any_thumbs=True)
    assert place.under(measures=(width,)).look("a", thumbs={}).verdict is Verdict.FRESH
    for plan in (Plan((SMALL,)), replace(PLAN, background=(0, 0, 0))):
        found = place.under(plan=plan).look("a", thumbs={})
        assert found.verdict is Verdict.FETCH
        assert found.record is not None
        assert found.record.checked_at == 0


def test_a_size_that_a_hook_decides_on_is_good(place: Place) -> None:
    place.crawl("a", jpeg())
    place.index.forget([place.wanted("a").key])
    place.path(SMALL_PATH).write_bytes(jpeg((51, 33)))
    assert place.under(any_size=True).look("a").missing == ()


# --- a store that only Scrapy's protocol reaches ---


def test_without_a_store_the_record_is_all_there_is(place: Place) -> None:
    record = place.crawl("a", jpeg(), etag=ETAG)
    shutil.rmtree(place.store.base)
    far = place.under(store=None)
    assert far.look("a") == Found(Verdict.FRESH, record)
    assert far.look("b") == Found(Verdict.FETCH, None)
    more = far.under(plan=Plan((SMALL, BIG, Variant("tiny", 10, 10))))
    assert more.look("a") == Found(Verdict.FETCH, record._replace(checked_at=0))
    less = far.under(plan=Plan((SMALL,)))
    assert less.look("a").verdict is Verdict.FRESH
    place.know(record._replace(checked_at=time.time() // 1 - 91 * DAY))
    assert far.look("a").verdict is Verdict.REVALIDATE


# --- found_of, after a 304 ---


def test_a_record_can_be_judged_without_the_index(place: Place) -> None:
    old = place.crawl("a", jpeg(), checked_at=1.0, etag=ETAG)
    now = stamp(time.time())
    found = found_of(place.wanted("a"), old._replace(checked_at=now), place.rules, now)
    assert found == Found(Verdict.FRESH, old._replace(checked_at=now))
    found = found_of(place.wanted("a"), old, place.rules, now)
    assert found == Found(Verdict.REVALIDATE, old)


# --- mending that cannot be ---


def without_thumbs(place: Place, data: bytes) -> Found:
    place.under(plan=Plan()).crawl("a", data)
    found = place.look("a")
    assert found.missing == ("small", "big")
    return found


@pytest.mark.parametrize("data", [None, b"", jpeg()])
def test_nothing_is_made_of_another_file_than_was_found(place: Place, data: bytes | None) -> None:
    found = without_thumbs(place, jpeg())
    if data is None:
        place.path(FULL).unlink()
    else:
        place.path(FULL).write_bytes(data)
    place.store.written.clear()
    assert mend(found, place.rules) is None
    assert place.store.written == []


def test_nothing_is_made_of_what_is_no_picture(place: Place) -> None:
    data = jpeg()[:-500]
    found = without_thumbs(place, jpeg())
    assert found.record is not None
    assert found.record.full is not None
    place.path(FULL).write_bytes(data)
    full = found.record.full._replace(checksum=checksum(data))
    assert mend(found._replace(record=found.record._replace(full=full)), place.rules) is None


def test_nothing_found_is_nothing_mended(place: Place) -> None:
    assert mend(Found(), place.rules) is None
    assert mend(Found(record=gone("a")), place.rules) is None
    found = without_thumbs(place, jpeg())
    assert mend(found, place.under(store=None).rules) is None


def test_thumbnails_that_cannot_be_written_leave_the_image_as_good_as_it_was(
    place: Place,
) -> None:
    found = without_thumbs(place, jpeg())
    place.path("thumbs").write_bytes(b"a file in the way")
    done = mend(found, place.rules)
    assert done is not None
    assert done.trouble == "Could not write 'thumbs/small/a.jpg': Not a directory"
    assert (done.record, done.files, done.written) == (found.record, 0, 0)
    place.know(done.record)
    place.path("thumbs").unlink()
    assert place.look("a").missing == ("small", "big")


def test_a_hook_may_make_the_thumbnails(place: Place) -> None:
    found = without_thumbs(place, jpeg())
    asked: list[str] = []

    def remake(data: bytes, name: str) -> Output:
        asked.append(name)
        assert data == place.path(FULL).read_bytes()
        return Output(found.thumbs[name], name, b"made by a hook", 7, 5, "JPEG")

    done = mend(found, place.rules, remake)
    assert done is not None
    assert asked == ["small", "big"]
    assert place.files()[BIG_PATH] == b"made by a hook"
    assert [(file.width, file.height, file.bytes) for file in done.record.renditions] == [
        (7, 5, 14),
        (7, 5, 14),
    ]


def test_a_hook_that_finds_the_picture_broken_has_it_fetched(place: Place) -> None:
    found = without_thumbs(place, jpeg())

    def remake(data: bytes, name: str) -> Output:
        raise ImageBroken("not good enough")

    assert mend(found, place.rules, remake) is None
    assert "thumbs/small/a.jpg" not in place.files()
