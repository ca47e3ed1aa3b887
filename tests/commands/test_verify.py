"""The index compared with the files, and what is done about the difference."""

from __future__ import annotations

import os
from contextlib import closing

import pytest

from scrapy_imgpipe import ImagesPipeline
from scrapy_imgpipe.commands.importing import import_store
from scrapy_imgpipe.commands.verifying import verify
from scrapy_imgpipe.errors import IndexFailed
from scrapy_imgpipe.index import SqliteIndex
from scrapy_imgpipe.paths import image_path, thumb_path
from tests.commands.places import (
    THUMBS,
    URLS,
    crawl_of,
    crawled,
    damage_index,
    many_imported,
    records,
    run,
)
from tests.pictures import encoded, jpeg, noise, opened

A, B, C = URLS
FULL = image_path(A)
SMALL, BIG = (thumb_path(A, name) for name in THUMBS)
FINE = "3 images and 6 thumbnails looked at: 0 problems"


@pytest.fixture
def store(tmp_path):
    """A store with three images and their thumbnails, all right."""
    crawled(tmp_path, {url: jpeg((300, 200)) for url in URLS}, IMAGES_THUMBS=THUMBS)
    return tmp_path / "store"


def check(tmp_path, **options):
    """Run the command; return its status, the lines of its problems, and the totals."""
    status, lines = run(tmp_path, verify, **{"IMAGES_THUMBS": THUMBS, **options})
    return status, [line.split("\t") for line in lines[:-1]], lines[-1]


def files(store):
    return {path: path.read_bytes() for path in store.rglob("*.jpg")}


def write(path, data):
    """Write *data* without a trace in the file's time."""
    stat = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def flipped(data, *, place):
    changed = bytearray(data)
    changed[place] ^= 0xFF
    return bytes(changed)


@pytest.mark.parametrize("fast", [False, True])
def test_a_store_without_fault(tmp_path, store, fast):
    assert check(tmp_path, fast=fast) == (0, [], FINE)


DAMAGE = {
    "missing": (lambda path, data: path.unlink(), "missing", "missing"),
    "empty": (lambda path, data: write(path, b""), "empty", "empty"),
    "cut": (lambda path, data: write(path, data[:-200]), "truncated", "bytes in place of"),
    "longer": (lambda path, data: write(path, data + b"x"), "bytes in place of", "bytes in place"),
    "flipped": (lambda path, data: write(path, flipped(data, place=-40)), "other bytes", None),
    "other": (lambda path, data: write(path, b"<html>".ljust(len(data))), "Not an image", None),
}


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("kind", DAMAGE)
def test_each_damage_of_a_full_image_is_told(tmp_path, store, kind, fast):
    damage, read, unread = DAMAGE[kind]
    damage(store / FULL, (store / FULL).read_bytes())
    status, problems, total = check(tmp_path, fast=fast)
    what = unread if fast else read
    if what is None:
        assert (status, problems, total) == (0, [], FINE)
        return
    assert status == 1
    ((path, told, url),) = problems
    assert (path, url) == (FULL, A)
    assert what in told
    assert total == FINE.replace("0 problems", "1 problems")


@pytest.mark.parametrize("kind", DAMAGE)
def test_each_damage_of_a_thumbnail_is_told_and_mended(tmp_path, store, kind):
    before, known = files(store), records(tmp_path)
    damage, *_ = DAMAGE[kind]
    damage(store / SMALL, (store / SMALL).read_bytes())
    status, problems, _ = check(tmp_path)
    assert status == 1
    assert [(path, url) for path, _, url in problems] == [(SMALL, A)]
    assert records(tmp_path) == known  # looking changes nothing
    status, problems, total = check(tmp_path, repair=True)
    assert status == 1
    assert problems[0][1].endswith(", made again")
    assert "1 thumbnails made again, 0 images to be downloaded again" in total
    assert files(store) == before
    assert [file.name for file in records(tmp_path)[0].renditions] == ["small", "big"]
    assert check(tmp_path) == (0, [], FINE)
    crawl = crawled(tmp_path, None, *URLS, IMAGES_THUMBS=THUMBS)
    assert crawl.outcomes() == {"up-to-date": 3}
    assert "imgpipe/renditions/restored" not in crawl.stats


@pytest.mark.parametrize("kind", ["missing", "empty", "cut", "longer"])
def test_what_shows_without_reading_is_mended_without_reading_the_others(tmp_path, store, kind):
    before = files(store)
    DAMAGE[kind][0](store / BIG, (store / BIG).read_bytes())
    write(store / image_path(B), bytes((store / image_path(B)).stat().st_size))
    status, problems, _ = check(tmp_path, repair=True, fast=True)
    assert (status, [path for path, *_ in problems]) == (1, [BIG])
    assert (store / BIG).read_bytes() == before[store / BIG]


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_full_image_is_downloaded_by_the_next_crawl(tmp_path, store, kind):
    data = (store / FULL).read_bytes()
    DAMAGE[kind][0](store / FULL, data)
    status, ((_, told, _),), total = check(tmp_path, repair=True)
    forgotten = int(kind != "missing")  # in that case, a crawl sees for itself
    assert status == 1
    assert told.endswith(", to be downloaded again") == forgotten
    assert f"0 thumbnails made again, {forgotten} images to be downloaded again" in total
    crawl = crawled(tmp_path, dict.fromkeys(URLS, data), IMAGES_THUMBS=THUMBS)
    assert crawl.site.urls == [A]
    assert check(tmp_path) == (0, [], FINE)


def test_without_it_a_crawl_does_not_see_what_changed_without_a_trace(tmp_path, store):
    DAMAGE["flipped"][0](store / FULL, (store / FULL).read_bytes())
    assert crawled(tmp_path, {}, *URLS, IMAGES_THUMBS=THUMBS).site.urls == []


def with_broken_table(data):
    """Return a JPEG whose first Huffman table has more codes than there can be."""
    place = data.index(b"\xff\xc4") + 5
    return data[:place] + b"\xff" * 8 + data[place + 8 :]


BROKEN = {
    "PNG": lambda data: flipped(data, place=len(data) // 2),
    "JPEG": with_broken_table,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_an_image_that_was_broken_when_it_was_recorded_is_found(tmp_path, kind):
    whole = encoded(noise((300, 200)), kind)
    (tmp_path / "store" / "full").mkdir(parents=True)
    # begins and ends as it should, and more is not looked at by an import
    (tmp_path / "store" / FULL).write_bytes(BROKEN[kind](whole))
    run(tmp_path, import_store)
    status, ((path, told),), _ = check(tmp_path, IMAGES_THUMBS={}, repair=True)
    assert (status, path) == (1, FULL)
    assert told.startswith("Image cannot be decoded")
    assert told.endswith(", to be downloaded again")
    assert crawled(tmp_path, {A: whole}).site.urls == [A]


def test_a_missing_image_is_no_less_known_when_its_disk_is_back(tmp_path, store):
    known = records(tmp_path)
    store.rename(tmp_path / "elsewhere")
    status, problems, _ = check(tmp_path, repair=True)
    assert (status, {told for _, told, _ in problems}) == (1, {"missing"})
    assert len(problems) == 9
    store.rmdir()
    (tmp_path / "elsewhere").rename(store)
    assert records(tmp_path) == known


def test_new_times_of_right_bytes_are_recorded(tmp_path, store):
    for path in store.rglob("*.jpg"):
        os.utime(path, (2e9, 2e9))
    before = records(tmp_path)
    for fast, said in ((True, "not read"), (False, "with the right bytes")):
        status, problems, total = check(tmp_path, fast=fast)
        assert (status, problems) == (0, [])
        assert total == f"{FINE}; 9 files have another time than was recorded ({said})"
    assert records(tmp_path) == before
    status, _, total = check(tmp_path, repair=True)
    assert status == 0
    assert total.endswith("9 files have another time than was recorded (recorded now)")
    assert check(tmp_path, fast=True) == (0, [], FINE)
    assert [record.checked_at for record in records(tmp_path)] == [r.checked_at for r in before]


def test_thumbnails_of_sizes_that_came_later_are_made(tmp_path, store):
    thumbs = {**THUMBS, "small": (40, 40), "new": (20, 20)}
    status, problems, _ = check(tmp_path, IMAGES_THUMBS=thumbs, repair=True)
    assert status == 1
    assert [tuple(problem) for problem in problems if problem[2] == A] == [
        (SMALL, "made for another size, made again", A),
        (thumb_path(A, "new"), "missing, made again", A),
    ]
    assert opened((store / SMALL).read_bytes()).size == (40, 27)
    assert opened((store / thumb_path(A, "new")).read_bytes()).size == (20, 13)
    assert check(tmp_path, IMAGES_THUMBS=thumbs)[0] == 0
    crawl = crawled(tmp_path, None, *URLS, IMAGES_THUMBS=thumbs)
    assert "imgpipe/renditions/restored" not in crawl.stats
    assert [file.name for file in records(tmp_path)[0].renditions] == ["small", "big", "new"]


def test_thumbnails_of_sizes_that_nobody_asks_for_any_more_are_dropped_when_damaged(
    tmp_path, store
):
    (store / SMALL).unlink()
    thumbs = {"big": THUMBS["big"]}
    status, problems, _ = check(tmp_path, IMAGES_THUMBS=thumbs, repair=True)
    assert (status, problems) == (1, [[SMALL, "missing", A]])
    assert [file.name for file in records(tmp_path)[0].renditions] == ["big"]
    assert [file.name for file in records(tmp_path)[1].renditions] == ["small", "big"]
    assert check(tmp_path, IMAGES_THUMBS=thumbs)[0] == 0


def test_thumbnails_of_sizes_that_nobody_asks_for_any_more_stay_while_they_are_good(
    tmp_path, store
):
    (store / BIG).unlink()
    check(tmp_path, IMAGES_THUMBS={"big": THUMBS["big"]}, repair=True)
    assert [file.name for file in records(tmp_path)[0].renditions] == ["big", "small"]
    assert check(tmp_path)[0] == 0


def test_a_thumbnail_is_not_made_from_a_damaged_image(tmp_path, store):
    DAMAGE["flipped"][0](store / FULL, (store / FULL).read_bytes())
    (store / SMALL).unlink()
    before = records(tmp_path)
    told = "missing (not made again: the full image is not good enough)"
    status, problems, _ = check(tmp_path, repair=True, fast=True)
    assert (status, problems) == (1, [[SMALL, told, A]])
    assert records(tmp_path) == before
    assert not (store / SMALL).exists()


@pytest.mark.parametrize("hook", ["get_images", "thumb_path", "file_path"])
def test_nobody_misses_thumbnails_of_which_only_a_crawl_can_tell(tmp_path, hook):
    class Own(ImagesPipeline):
        pass

    def own(self, *args, **kwargs):
        return getattr(ImagesPipeline, hook)(self, *args, **kwargs)

    setattr(Own, hook, own)
    (tmp_path / "store" / "full").mkdir(parents=True)
    (tmp_path / "store" / FULL).write_bytes(jpeg())
    run(tmp_path, import_store, pipeline=Own)  # there is no URL to tell them by
    assert check(tmp_path, pipeline=Own)[0] == 0
    assert check(tmp_path)[0] == 1


def test_what_an_import_knows_only_by_name_is_mended_too(tmp_path, store):
    for path in tmp_path.glob("index.sqlite*"):
        path.unlink()
    (store / SMALL).unlink()
    run(tmp_path, import_store, IMAGES_THUMBS=THUMBS)
    status, problems, _ = check(tmp_path, repair=True)
    assert (status, problems) == (1, [[SMALL, "missing, made again"]])
    assert check(tmp_path)[0] == 0


def test_users_own_convert_image_makes_the_thumbnails(tmp_path):
    class Grey(ImagesPipeline):
        async def convert_image(self, image, size=None, *, response_body):
            image, buffer = super().convert_image(image, size, response_body=response_body)
            if size:
                image = image.convert("L")
                buffer.seek(0)
                buffer.truncate()
                buffer.write(encoded(image, "PNG"))
            return image, buffer

    with crawl_of(tmp_path, {A: jpeg((300, 200))}, Grey, IMAGES_THUMBS=THUMBS) as crawl:
        crawl.images(A)
    before = files(tmp_path / "store")
    (tmp_path / "store" / SMALL).unlink()
    status, problems, _ = check(tmp_path, pipeline=Grey, repair=True)
    assert (status, problems) == (1, [[SMALL, "missing, made again", A]])
    assert files(tmp_path / "store") == before
    assert check(tmp_path, pipeline=Grey)[0] == 0


def test_a_hook_that_fails_leaves_the_thumbnail_to_the_next_crawl(tmp_path, store):
    class Failing(ImagesPipeline):
        def convert_image(self, image, size=None, *, response_body):
            raise RuntimeError("out of order")

    (store / SMALL).unlink()
    before = records(tmp_path)
    status, problems, _ = check(tmp_path, pipeline=Failing, repair=True)
    told = "missing (not made again: RuntimeError('out of order'))"
    assert (status, problems) == (1, [[SMALL, told, A]])
    assert records(tmp_path) == before


def test_a_thumbnail_that_cannot_be_written_is_told(tmp_path, store):
    (store / SMALL).unlink()
    (store / SMALL).mkdir()
    status, ((_, told, _),), _ = check(tmp_path, repair=True)
    assert status == 1
    assert "not made again: Could not write" in told


def test_where_hooks_decide_what_is_stored_a_damaged_thumbnail_is_fetched_with_its_image(tmp_path):
    class Own(ImagesPipeline):
        def get_images(self, response, request, info, *, item=None):
            yield from super().get_images(response, request, info, item=item)

    data = jpeg((300, 200))
    with crawl_of(tmp_path, {A: data}, Own, IMAGES_THUMBS=THUMBS) as crawl:
        crawl.images(A)
    (tmp_path / "store" / SMALL).write_bytes(b"")
    status, problems, _ = check(tmp_path, pipeline=Own, repair=True)
    assert (status, problems) == (1, [[SMALL, "empty, to be downloaded again", A]])
    with crawl_of(tmp_path, {A: data}, Own, IMAGES_THUMBS=THUMBS) as crawl:
        crawl.images(A)
    assert crawl.site.urls == [A]
    assert check(tmp_path, pipeline=Own)[0] == 0
    thumbs = {"small": (9, 9), "new": (5, 5)}
    assert check(tmp_path, pipeline=Own, IMAGES_THUMBS=thumbs)[0] == 0


def test_what_a_users_hook_stores_need_not_be_an_image(tmp_path):
    class Raw(ImagesPipeline):
        def get_images(self, response, request, info, *, item=None):
            for path, image, buffer in super().get_images(response, request, info, item=item):
                buffer.seek(0)
                buffer.truncate()
                buffer.write(b"anything at all")
                yield path, image, buffer

    with crawl_of(tmp_path, {A: jpeg()}, Raw) as crawl:
        crawl.images(A)
    assert check(tmp_path, pipeline=Raw, IMAGES_THUMBS={}) == (
        0,
        [],
        "1 images and 0 thumbnails looked at: 0 problems",
    )


def test_sources_that_failed_have_no_files(tmp_path):
    crawled(tmp_path, {A: jpeg(), B: 404})
    assert check(tmp_path, IMAGES_THUMBS={}) == (
        0,
        [],
        "1 images and 0 thumbnails looked at: 0 problems",
    )


def test_an_index_without_images_is_refused(tmp_path):
    crawled(tmp_path, {A: 404})
    with pytest.raises(IndexFailed, match="run 'scrapy imgpipe import' first"):
        check(tmp_path)


def test_a_record_that_a_crawl_changed_meanwhile_stays(tmp_path, store):
    class Crawling(ImagesPipeline):
        """Tells the index something new just when a thumbnail is made."""

        def convert_image(self, image, size=None, *, response_body):
            with closing(SqliteIndex(tmp_path / "index.sqlite")) as index:
                index.put([before[0]._replace(tries=7)])
            return super().convert_image(image, size, response_body=response_body)

    before = records(tmp_path)
    (store / SMALL).unlink()
    os.utime(store / image_path(B), (2e9, 2e9))
    check(tmp_path, pipeline=Crawling, repair=True)
    first, second, third = records(tmp_path)
    assert (first.tries, first.renditions) == (7, before[0].renditions)
    assert second.full.modified == 2e9
    assert third == before[2]


def test_what_cannot_be_read_is_a_problem_and_not_the_end(tmp_path, store):
    (store / FULL).unlink()
    (store / FULL).symlink_to((store / FULL).name)  # a link to itself: nobody can read it
    status, problems, _ = check(tmp_path)
    assert status == 1
    assert [path for path, *_ in problems] == [FULL]
    assert "Could not look at" in problems[0][1]


def test_more_images_than_fit_into_one_transaction(tmp_path):
    store = many_imported(tmp_path, 600)
    os.utime(store / "full" / "0.jpg", (2e9, 2e9))  # of all of them
    assert check(tmp_path, IMAGES_THUMBS={}, repair=True)[0] == 0
    assert {record.full.modified for record in records(tmp_path)} == {2e9}


def test_an_index_that_turns_out_to_be_damaged_is_not_without_problems(tmp_path):
    many_imported(tmp_path, 2000)
    damage_index(tmp_path)
    with pytest.raises(IndexFailed, match="run 'scrapy imgpipe import' first"):
        check(tmp_path, fast=True)
