"""Images that are there already: the bytes of a crawl, in order, streamed, nothing overwritten."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from scrapy_imgpipe import Plan, Variant, process_images, read_report
from scrapy_imgpipe.errors import ImageBroken, SettingError, SourceRejected
from scrapy_imgpipe.imaging import phash
from scrapy_imgpipe.local import Job, inputs_of, rows_of
from scrapy_imgpipe.paths import image_path, thumb_path
from scrapy_imgpipe.stores import FileSystemStore, MemoryStore
from tests.fakes import Crawl
from tests.pictures import encoded, jpeg, noise, opened

SMALL = Variant("small", 50, 50)
PLAN = Plan((SMALL, Variant("card", 40, 30, fit="cover", format="WEBP")))
ROOT = Path(__file__).parents[2]


def put(folder: Path, **images: bytes) -> Path:
    """Write *images*; two underscores are a slash, one is a dot."""
    for name, data in images.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture
def photos(tmp_path):
    return put(
        tmp_path / "photos",
        a_jpg=jpeg(),
        shoes__b_png=encoded(noise(mode="RGBA"), "PNG"),
        shoes__c_JPEG=jpeg((300, 200)),
        shoes__red__d_webp=encoded(noise(), "WEBP"),
        notes_txt=b"no image",
    )


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


# --- what is made ---


def test_the_bytes_are_those_of_a_crawl(tmp_path, store):
    images = {
        "a.jpg": jpeg((700, 500), progressive=True),
        "b.png": encoded(noise((300, 200), "LA"), "PNG"),
        "c.jpg": encoded(noise((300, 200), "CMYK")),
        "d.gif": encoded(noise((90, 60)), "GIF"),
    }
    answers = {f"http://a.example/{name}": data for name, data in images.items()}
    renditions = {"card": {"width": 40, "height": 30, "fit": "cover", "format": "WEBP"}}
    settings = {"IMAGES_THUMBS": {"small": (50, 50)}, "IMGPIPE_RENDITIONS": renditions}
    with Crawl(tmp_path / "crawl", answers, **settings, IMGPIPE_RECORD=["phash"]) as crawl:
        results = crawl.images(*answers)
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, data in images.items():
        (folder / name).write_bytes(data)
    table = process_images(folder, PLAN, store, record=["phash"])
    assert set(table["outcome"]) == {"stored"}
    made, crawled = files(store), files(tmp_path / "crawl")
    for (url, name), result in zip(zip(answers, images, strict=True), results, strict=True):
        stem = name.rpartition(".")[0]
        assert made[f"full/{stem}.jpg"] == crawled[image_path(url)]
        assert made[f"thumbs/small/{stem}.jpg"] == crawled[thumb_path(url, "small")]
        assert made[f"thumbs/card/{stem}.webp"] == crawled[thumb_path(url, "card", ".webp")]
        row = table.loc[str(folder / name)]
        for key in ("checksum", "width", "height", "format"):
            assert row[key] == result[key]
        assert row["phash"] == phash(opened(made[f"full/{stem}.jpg"]))["phash"]


def test_folders_stay_and_each_file_has_its_row(photos, store):
    table = process_images(photos, PLAN, store)
    assert set(files(store)) == {
        f"{kind}{name}"
        for kind in ("full/", "thumbs/small/")
        for name in ("a.jpg", "shoes/b.jpg", "shoes/c.JPEG", "shoes/red/d.jpg")
    } | {f"thumbs/card/{name}.webp" for name in ("a", "shoes/b", "shoes/c", "shoes/red/d")}
    assert sorted(table.index) == sorted(
        str(path)
        for path in photos.rglob("*")
        if path.suffix.lower() in {".jpg", ".png", ".jpeg", ".webp"}
    )
    row = table.loc[str(photos / "shoes" / "c.JPEG")]
    assert (row["path"], row["status"], row["width"], row["format"]) == (
        "full/shoes/c.JPEG",
        "rendered",
        300,
        "JPEG",
    )
    assert [one["path"] for one in row["renditions"]] == [
        "thumbs/small/shoes/c.JPEG",
        "thumbs/card/shoes/c.webp",
    ]
    assert row["bytes_in"] == (photos / "shoes" / "c.JPEG").stat().st_size
    assert table.index.name == "source"
    assert not {"item", "page", "http_status"} & set(table.columns)


def test_rows_come_in_the_order_of_the_inputs_whatever_takes_long(tmp_path, store):
    names = [str(tmp_path / f"{number}.jpg") for number in range(40)]
    for name in names:
        Path(name).write_bytes(jpeg((40, 30)))
    others = threading.Event()
    counted, lock = itertools.count(), threading.Lock()

    def slow(image: Image.Image) -> dict[str, int]:
        with lock:
            number = next(counted)
        if number == 0:
            assert others.wait(60)
        elif number == 10:
            others.set()
        return {"number": number}

    table = process_images(iter(names), PLAN, store, workers=2, isolation="thread", record=[slow])
    assert list(table.index) == names
    assert sorted(table["number"]) == list(range(40))


def test_the_true_extension_where_the_format_is_that_of_the_source(tmp_path, store):
    photos = put(tmp_path / "photos", a_jpg=encoded(noise(), "PNG"), b_png=jpeg())
    plan = Plan((Variant("same", 20, 20, format="source"),), full="source")
    table = process_images(photos, plan, store)
    expected = {"full/a.png", "full/b.jpg", "thumbs/same/a.png", "thumbs/same/b.jpg"}
    assert set(files(store)) == expected
    assert files(store)["full/a.png"] == (photos / "a.jpg").read_bytes()
    again = process_images(photos, plan, store)
    assert list(table["outcome"]) == ["stored"] * 2
    assert list(again["outcome"]) == ["up-to-date"] * 2


def test_a_path_function_names_everything(photos, store):
    def named(path: str, name: str | None, extension: str) -> str:
        return f"{name or 'all'}/{path.replace('/', '-')}{extension}"

    table = process_images(photos / "shoes", PLAN, store, named)
    assert "all/red-d.webp.jpg" in set(table["path"])
    assert {path.split("/")[0] for path in files(store)} == {"all", "small", "card"}


# --- what is there already ---


def test_what_exists_is_not_read_and_what_is_missing_alone_is_made(photos, store):
    process_images(photos, PLAN, store)
    before = files(store)
    changed = photos / "shoes" / "c.JPEG"
    original = changed.read_bytes()
    changed.write_bytes(b"not even an image")
    assert set(process_images(photos, PLAN, store)["outcome"]) == {"up-to-date"}
    assert files(store) == before
    (store / "thumbs/small/shoes/c.JPEG").unlink()
    table = process_images(photos, PLAN, store)
    assert table.loc[str(changed), "outcome"] == "not-an-image"
    changed.write_bytes(original)
    (store / "full/a.jpg").write_bytes(b"somebody else's")
    table = process_images(photos, PLAN, store)
    assert table.loc[str(changed), "outcome"] == "stored"
    assert [one["name"] for one in table.loc[str(changed), "renditions"]] == ["small"]
    assert files(store) == before | {"full/a.jpg": b"somebody else's"}
    process_images(photos, PLAN, store, skip_existing=False)
    assert files(store) == before


def test_two_inputs_never_share_a_path(tmp_path, store):
    first, second = jpeg(), encoded(noise(), "PNG")
    photos = put(tmp_path / "photos", a_jpg=first, a_png=second)
    names = [str(photos / "a.jpg"), str(photos / "a.png")]
    table = process_images(names, PLAN, store)
    assert list(table["outcome"]) == ["stored", "bad-path"]
    assert table["reason"].iloc[1] == (
        f"'full/a.jpg' is made of {names[0]!r}, too: tell them apart with path_func"
    )
    assert files(store)["full/a.jpg"] == first
    assert not (store / "full/a.png").exists()


def test_an_input_that_is_named_twice_is_done_once(photos, store, monkeypatch):
    monkeypatch.chdir(photos.parent)
    (photos.parent / "link").symlink_to("photos")
    table = process_images([photos, "photos", "./photos/", "link"], PLAN, store)
    assert list(table["outcome"]) == ["stored"] * 4 + ["joined"] * 12


@pytest.mark.parametrize("kind", [MemoryStore, FileSystemStore])
def test_what_only_has_the_same_name_in_another_store_is_not_the_same(tmp_path, store, kind):
    sources = [kind(str(tmp_path / name)) for name in ("one", "two")]
    for source in sources:
        source.put("full/a.jpg", jpeg())
    table = process_images(sources, PLAN, store)
    assert list(table["outcome"]) == ["stored", "bad-path"]


def test_two_renditions_of_an_image_never_share_a_path(photos, store):
    table = process_images(photos, PLAN, store, path_func=lambda path, *_: path)
    assert set(table["outcome"]) == {"bad-path"}
    assert table["reason"].str.endswith("would be two renditions: see path_func").all()
    assert files(store) == {}


def test_of_one_path_are_all_its_spellings(photos, store):
    def path_func(path, name, extension):
        return f".//{name or 'full'}{extension}" if path == "a.jpg" else f"{name or 'full'}.jpg"

    table = process_images([photos / "a.jpg", photos / "shoes/c.JPEG"], PLAN, store, path_func)
    assert list(table["outcome"]) == ["stored", "bad-path"]
    assert table["path"].iloc[0] == "full.jpg"


def test_a_source_is_never_replaced(photos):
    before = files(photos)

    def path_func(path, name, _):
        return f"photos/{path}" if name else path

    table = process_images(
        photos / "a.jpg", Plan((SMALL,)), photos.parent, path_func, skip_existing=False
    )
    assert list(table["outcome"]) == ["bad-path"]
    assert files(photos) == before


def test_a_folder_of_the_store_has_its_full_images(photos, store):
    process_images(photos, Plan(), store)
    put(store / "full", cmyk_jpg=encoded(noise(mode="CMYK"), "JPEG"))  # another would be made of it
    before = files(store)
    table = process_images(store / "full", Plan((SMALL,)), store, skip_existing=False)
    assert set(table["outcome"]) == {"stored"}
    assert {path: files(store)[path] for path in before} == before
    assert len(files(store)) == 2 * len(before)


def test_a_file_of_too_many_bytes_is_not_read(photos, store):
    (photos / "huge.png").touch()
    os.truncate(photos / "huge.png", 1 << 40)
    table = process_images(photos / "huge.png", PLAN, store)
    assert list(table["outcome"]) == ["too-many-bytes"]
    length = (photos / "a.jpg").stat().st_size
    for limit, outcome in [(length - 1, "too-many-bytes"), (length, "stored")]:
        table = process_images(photos / "a.jpg", PLAN, store, max_bytes=limit)
        assert list(table["outcome"]) == [outcome]


# --- stores ---


def test_from_a_store_to_itself_variants_alone_are_made(tmp_path, photos, store):
    process_images(photos, Plan(), store)
    full = files(store)
    for place in (FileSystemStore(store), f"file://{store}", str(store)):
        table = process_images(place, PLAN, store, skip_existing=False)
        assert sorted(table.index) == sorted(full)
        assert sorted(table["path"]) == sorted(full)
        made = files(store)
        assert {path: made[path] for path in full} == full
        assert set(made) - set(full) == {
            f"thumbs/{name}/shoes/{stem}"
            for name, stem in [
                ("small", "b.jpg"),
                ("small", "c.JPEG"),
                ("small", "red/d.jpg"),
                ("card", "b.webp"),
                ("card", "c.webp"),
                ("card", "red/d.webp"),
            ]
        } | {"thumbs/small/a.jpg", "thumbs/card/a.webp"}
    assert set(process_images(str(store), PLAN, store)["outcome"]) == {"up-to-date"}


def test_from_and_to_stores_elsewhere(photos, store):
    process_images(photos, PLAN, store)
    here, there = MemoryStore("from"), MemoryStore("to")
    for _ in range(2):
        table = process_images(photos, PLAN, here)
    assert set(table["outcome"]) == {"up-to-date"}
    assert {path: here.get(path) for path in here.list()} == files(store)
    table = process_images("memory://from", PLAN, "memory://to")
    assert set(table["outcome"]) == {"stored"}
    assert {path: there.get(path) for path in there.list()}.keys() == files(store).keys()
    assert there.get("full/a.jpg") == files(store)["full/a.jpg"]
    for path in list(here.list("thumbs/card/")):
        here.delete(path)
    table = process_images(here, PLAN, here)
    assert sorted(here.list()) == sorted(files(store))
    assert set(table["outcome"]) == {"stored"}


def test_what_lies_in_the_store_is_no_input(photos):
    process_images(photos, PLAN, photos / "out")
    table = process_images(photos, PLAN, photos / "out")
    assert list(table["outcome"]) == ["up-to-date"] * 4


# --- what fails ---


def test_errors_cost_one_row(tmp_path, store):
    photos = put(
        tmp_path, broken_jpg=jpeg((300, 200))[:-5000], page_png=b"<html>", good_jpg=jpeg((90, 90))
    )
    gone = str(photos / "gone.jpg")
    names = [str(photos / name) for name in ("broken.jpg", "page.png", "good.jpg")]
    table = process_images([*names, gone], PLAN, store)
    assert list(table["outcome"]) == ["broken", "not-an-image", "stored", "download-failed"]
    assert table["reason"].iloc[3] == "Could not read it: No such file or directory"
    assert list(table["status"]) == ["failed", "failed", "rendered", "failed"]
    assert set(files(store)) == {"full/good.jpg", "thumbs/small/good.jpg", "thumbs/card/good.webp"}


def test_others_end_it_and_what_has_begun_is_finished(tmp_path, store):
    data, taken = jpeg((20, 20)), itertools.count()

    def inputs():
        for number in range(10_000):
            next(taken)
            path = tmp_path / f"{number}.jpg"
            path.write_bytes(data if number != 2 else b"<html>")
            yield path

    report = tmp_path / "report.jsonl"
    with pytest.raises(SourceRejected, match="HTML"):
        process_images(inputs(), PLAN, store, workers=1, catch=ImageBroken, report=report)
    rows = read_report(report)
    assert next(taken) < 60
    assert list(rows["outcome"][:3]) == ["stored", "stored", "not-an-image"]
    stored = rows[rows["outcome"] == "stored"]
    assert len(files(store)) == 3 * len(stored)


@pytest.mark.parametrize("catch", [(), (LookupError, OSError)])
def test_an_error_of_a_user_function_is_theirs(tmp_path, store, catch):
    def named(path: str, name: str | None, extension: str) -> str:
        raise LookupError("no name")

    photos = put(tmp_path, a_jpg=jpeg())
    if not catch:
        with pytest.raises(LookupError, match="no name"):
            process_images(photos / "a.jpg", PLAN, store, named, catch=catch)
        return
    (row,) = process_images(photos / "a.jpg", PLAN, store, named, catch=catch).itertuples()
    assert (row.outcome, row.reason) == ("hook-failed", "LookupError: no name")


def test_a_path_that_leaves_the_store_is_refused(photos, store):
    table = process_images(photos, PLAN, store, lambda path, *_: f"../{path}")
    assert set(table["outcome"]) == {"bad-path"}
    assert files(store) == {}


WRONG = [
    {"plan": {"small": (50, 50)}},
    {"store": 3},
    {"paths": 3},
    {"paths": [3]},
    {"paths": b"folder"},
    {"paths": "file:///no/such/folder"},
    {"path_func": "name"},
    {"workers": 0},
    {"isolation": "none"},
    {"catch": "all"},
    {"record": ["nothing"]},
    {"record": ["scrapy_imgpipe.nothing"]},
    {"report": "report.xls"},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_wrong_arguments_are_one_sentence(photos, store, wrong):
    with pytest.raises(SettingError, match=r"^Expected .* but received "):
        process_images(**{"paths": photos, "plan": PLAN, "store": store, **wrong})


def test_without_pandas_it_does_not_begin(photos, store, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install scrapy-imgpipe\[report\]"):
        process_images(photos, PLAN, store)
    assert not store.exists()


# --- how it runs ---


def test_inputs_and_rows_are_streams(tmp_path, store):
    data, taken = jpeg((20, 20)), itertools.count()

    def paths():
        while True:
            path = tmp_path / f"{next(taken)}.jpg"
            path.write_bytes(data)
            yield path

    target = FileSystemStore(store)
    before = set(threading.enumerate())
    job = Job(Plan((SMALL,)), target, workers=1, isolation="thread")
    with closing(rows_of(inputs_of(paths(), PLAN.formats, target), job)) as rows:
        for number, row in zip(range(100), rows, strict=False):
            assert row["path"] == f"full/{number}.jpg"
    assert next(taken) <= 100 + 17
    assert set(threading.enumerate()) == before


def test_the_report_is_written_in_its_format(photos, store, tmp_path):
    table = process_images(photos, PLAN, store, report=tmp_path / "report.csv")
    written = read_report(tmp_path / "report.csv")
    assert list(written.index) == list(table.index)
    pd.testing.assert_series_equal(
        written["checksum"], table["checksum"], check_names=False, check_index=False
    )


def test_inside_of_an_event_loop(photos, store):
    async def main() -> pd.DataFrame:
        return process_images(photos, PLAN, store)

    assert len(asyncio.run(main())) == 4


def test_from_a_script_without_a_main_guard_again_and_again(photos, store, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from scrapy_imgpipe import Plan, Variant, process_images\n"
        "plan = Plan((Variant('small', 50, 50),))\n"
        "for isolation in ('process', 'process', 'thread'):\n"
        f"    table = process_images({str(photos)!r}, plan, {str(store)!r}, skip_existing=False,\n"
        "        isolation=isolation)\n"
        "    print(table['outcome'].value_counts().to_dict())\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", script.name],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stderr, done.stdout) == ("", "{'stored': 4}\n" * 3)
