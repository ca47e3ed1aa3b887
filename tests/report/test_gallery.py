"""The gallery on disk: what is made, what is linked, what is told of it, and what goes again."""

from __future__ import annotations

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from importlib.resources import files

import pytest
from PIL import Image

from scrapy_imgpipe.errors import SettingError, StoreFailed
from scrapy_imgpipe.index import SqliteIndex
from scrapy_imgpipe.records import ImageRecord, Rendition
from scrapy_imgpipe.report.gallery import gallery
from scrapy_imgpipe.report.gallery.entries import of_row
from scrapy_imgpipe.stores import FileSystemStore, MemoryStore
from tests.pictures import encoded, jpeg, noise, opened
from tests.report.galleries import file_at, files_in, put, report_of, told


@pytest.fixture
def store(tmp_path):
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


@pytest.fixture
def page(tmp_path):
    return tmp_path / "page"


def test_a_report_becomes_a_page_with_thumbnails(store, page, tmp_path):
    data = put(store, "full/a.jpg")
    rows = [
        {"url": "http://Shop.example/a.jpg", "path": "full/a.jpg", "width": 900, "height": 600},
        {"url": "http://shop.example/b.jpg", "outcome": "http-status", "status": "failed"},
    ]
    made = gallery(store, page, report=report_of(tmp_path / "crawl.jsonl", *rows))
    assert (made.pictures, made.failures, made.faults, made.made) == (1, 1, 0, 1)
    assert made.page == str(page / "index.html")
    shown, failed = told(page).rows
    assert (shown["url"], shown["host"], shown["format"]) == (
        rows[0]["url"],
        "shop.example",
        "JPEG",
    )
    assert (shown["width"], shown["height"], shown["bytes"]) == (900, 600, len(data))
    assert file_at(page, shown["source"]).read_bytes() == data
    thumb = opened(file_at(page, shown["thumb"]).read_bytes())
    assert (thumb.format, thumb.size) == ("JPEG", (600, 400))
    assert (failed["outcome"], failed["flags"], failed["thumb"]) == ("http-status", 1, "")
    assert told(page).about["fine"] == [True, False]


def test_each_record_has_all_columns_and_what_further_ones_there_are(store, page, tmp_path):
    put(store, "full/a.jpg")
    thumbs = [{"name": "s", "path": "thumbs/s/a.jpg", "width": 5, "height": 4, "format": "JPEG"}]
    row = {"url": "http://a.example/", "path": "full/a.jpg", "slot": 3, "renditions": thumbs}
    further = {"alt": "a cup", "mean": 1.5, "exif": {"Make": "X"}, "large": 2**60, "__proto__": "p"}
    gallery(store, page, report=report_of(tmp_path / "r.csv", row | further))
    (record,) = told(page).records
    assert record["slot"] == 3
    assert record["renditions"] == ["s · 5×4 · JPEG · thumbs/s/a.jpg"]  # noqa: RUF001
    assert record["exif"] == '{"Make": "X"}'
    assert record["large"] == str(2**60)  # 2**60 is another number in JavaScript
    assert (record["mean"], record["__proto__"]) == (1.5, "p")
    assert "reason" not in record
    assert told(page).rows[0]["alt"] == "a cup"


@pytest.mark.parametrize("ending", ["csv", "sqlite", "parquet"])
def test_every_kind_of_report_gives_the_same_page(store, tmp_path, ending):
    put(store, "full/a.jpg")
    row = {"url": "http://a.example/", "path": "full/a.jpg", "finished": "2026-11-30T12:00:00.500Z"}
    pages = []
    for kind in ("jsonl", ending):
        gallery(store, tmp_path / kind, report=report_of(tmp_path / f"r.{kind}", row), title="T")
        pages.append(told(tmp_path / kind))
    assert pages[0].rows == pages[1].rows
    assert pages[0].records == pages[1].records
    assert pages[0].rows[0]["time"] == 1796040000.5


NASTY = "</script><img src=x onerror=alert(1)><!-- \u2028 \u2029 & ' \" ` \U0001f600 \x07"


def test_nothing_that_comes_from_outside_can_be_markup(store, page, tmp_path):
    put(store, "full/a.jpg")
    row = {"url": f"javascript:{NASTY}", "path": "full/a.jpg", "alt": NASTY, NASTY: NASTY}
    bad = {"url": NASTY, "outcome": "broken", "status": "failed", "reason": NASTY}
    report = report_of(tmp_path / "r.jsonl", row, bad)
    gallery(store, page, report=report, title=f"@assets@ {NASTY}")
    for script in (page / "data").glob("*.js"):
        text = script.read_bytes()
        assert text.isascii()
        assert not set(b"<>&") & set(text)
    index = (page / "index.html").read_text("utf-8")
    assert "onerror=alert(1)>" not in index
    assert "<title>@assets@ &lt;/script&gt;&lt;img" in index
    seen = told(page)
    assert seen.rows[0]["alt"] == NASTY
    assert seen.rows[1]["reason"] == NASTY
    assert seen.records[0][NASTY] == NASTY
    assert seen.about["title"].endswith(NASTY)


def test_a_title_may_be_the_name_of_a_file_in_no_known_encoding(store, page):
    gallery(store, page, title="caf\udce9")
    assert b"<title>caf?</title>" in (page / "index.html").read_bytes()


def test_the_page_allows_itself_no_network_and_no_script_in_its_text(store, page):
    put(store, "a.jpg")
    gallery(store, page)
    index = (page / "index.html").read_text("utf-8")
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', index)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert {rules[name] for name in ("script-src", "style-src")} == {"'self' file:"}
    assert "unsafe" not in policy
    assert "http" not in policy
    assert not re.search(r"<script(?! src=)|\son\w+=|\sstyle=", index)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", index)
    for url in re.findall(r'(?:src|href)="([^"#]+)"', index):
        assert url == "data:," or file_at(page, url).is_file()


ODD = [
    "a#b.jpg",
    "a?b=c.jpg",
    "50%.jpg",
    "a b.jpg",
    "é漢.jpg",
    "q'u\"o.jpg",
    "<b>&.jpg",
    "%41.jpg",
]


@pytest.mark.parametrize("name", ODD)
def test_odd_names_are_linked_right(store, page, name):
    try:
        data = put(store, f"full/d d/{name}")
    except OSError:
        pytest.skip("no file of this name can be here")
    gallery(store, page)
    (row,) = told(page).rows
    assert row["path"] == f"full/d d/{name}"
    assert file_at(page, row["source"]).read_bytes() == data


def test_a_rendition_of_the_right_size_is_the_thumbnail(store, page, tmp_path):
    put(store, "full/a.jpg")
    put(store, "thumbs/big/a.jpg", jpeg((450, 300)))
    put(store, "thumbs/square/a.jpg", jpeg((300, 300)))
    put(store, "thumbs/tiny/a.jpg", jpeg((75, 50)))
    sizes = [("tiny", 75, 50), ("square", 300, 300), ("gone", 600, 400), ("big", 450, 300)]
    thumbs = [
        {"name": name, "path": f"thumbs/{name}/a.jpg", "width": width, "height": height}
        for name, width, height in sizes
    ]
    row = {"url": "http://a.example/", "path": "full/a.jpg", "renditions": thumbs}
    made = gallery(store, page, report=report_of(tmp_path / "r.jsonl", row))
    assert made.made == 0
    assert file_at(page, told(page).rows[0]["thumb"]) == store / "thumbs/big/a.jpg"
    # Where it is lost later, one is made.
    (store / "thumbs/big/a.jpg").unlink()
    assert gallery(store, page, report=tmp_path / "r.jsonl").made == 1
    assert file_at(page, told(page).rows[0]["thumb"]).is_relative_to(page / "thumbs")


def test_a_small_picture_is_its_own_thumbnail(store, page):
    put(store, "a.png", encoded(noise((90, 60)), "PNG"))
    assert gallery(store, page).made == 0
    (row,) = told(page).rows
    assert row["thumb"] == row["source"] == "../store/a.png"


def test_what_browsers_cannot_show_gets_a_view(store, page):
    put(store, "a.tif", encoded(noise((2000, 1000)), "TIFF"))
    assert gallery(store, page).made == 2
    (row,) = told(page).rows
    assert (row["width"], row["height"], row["format"]) == (2000, 1000, "TIFF")
    assert opened(file_at(page, row["source"]).read_bytes()).size == (1600, 800)
    assert opened(file_at(page, row["thumb"]).read_bytes()).size == (800, 400)


def test_what_is_transparent_stays_so(store, page):
    image = noise((900, 600), "RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    put(store, "a.png", encoded(image, "PNG"))
    gallery(store, page)
    thumb = opened(file_at(page, told(page).rows[0]["thumb"]).read_bytes())
    assert (thumb.format, thumb.mode) == ("WEBP", "RGBA")
    assert thumb.getpixel((5, 0))[3] < 20


def test_a_turned_photo_is_told_upright(store, page):
    turned = Image.Exif()
    turned[0x0112] = 6
    put(store, "a.jpg", jpeg((900, 600), exif=turned.tobytes()))
    gallery(store, page)
    (row,) = told(page).rows
    assert (row["width"], row["height"]) == (600, 900)
    assert opened(file_at(page, row["thumb"]).read_bytes()).size == (267, 400)


@pytest.mark.parametrize("name", ["a.html", "a.XHTML", "a.svg", "a.jpg.htm", "a.pdf"])
def test_what_a_browser_may_open_as_a_page_is_not_linked(store, page, name):
    put(store, name, jpeg((90, 60)))
    gallery(store, page)
    (row,) = told(page).rows
    assert re.fullmatch(r"views/../imgpipe-\w+\.jpg", row["source"])
    assert row["thumb"].endswith(".jpg")


@pytest.mark.parametrize("name", ["a", "a.JPG", "a.jfif", "a.b.png"])
def test_pictures_of_any_usual_name_are_linked(store, page, name):
    put(store, name, jpeg((90, 60)))
    gallery(store, page)
    assert file_at(page, told(page).rows[0]["source"]) == store / name


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
@pytest.mark.parametrize("size", [(30, 20), (300, 900)])
def test_what_browsers_may_not_turn_is_turned_for_them(store, page, form, size):
    turned = Image.Exif()
    turned[0x0112] = 6
    put(store, "a", encoded(noise(size), form, exif=turned.tobytes()))
    gallery(store, page)
    (row,) = told(page).rows
    assert (row["width"], row["height"]) == size[::-1]
    for url in (row["source"], row["thumb"]):
        shown = opened(file_at(page, url).read_bytes())
        assert shown.width / shown.height == pytest.approx(size[1] / size[0], rel=0.01)
        assert 0x0112 not in shown.getexif()
    assert gallery(store, page).made == 0


def test_a_store_elsewhere_is_copied_small(page):
    far = MemoryStore("gallery-elsewhere")
    far.put("full/a.jpg", jpeg((2000, 1000)))
    made = gallery(far, page)
    (row,) = told(page).rows
    assert made.made == 2
    assert opened(file_at(page, row["source"]).read_bytes()).size == (1600, 800)
    assert opened(file_at(page, row["thumb"]).read_bytes()).size == (800, 400)
    assert told(page).about["title"] == "memory://gallery-elsewhere"


def test_damaged_and_missing_files_leave_a_tile_that_says_so(store, page, tmp_path):
    put(store, "full/cut.jpg", jpeg((900, 600))[:20_000])
    put(store, "full/empty.jpg", b"")
    put(store, "full/text.jpg", b"no image, " * 20)
    put(store, "full/good.jpg")
    paths = ["cut", "empty", "text", "missing", "good"]
    rows = [{"url": f"http://a.example/{name}", "path": f"full/{name}.jpg"} for name in paths]
    rows.append({"url": "http://a.example/out", "path": "../../etc/passwd"})
    made = gallery(store, page, report=report_of(tmp_path / "r.jsonl", *rows))
    assert (made.pictures, made.faults, made.made) == (6, 5, 1)
    faults = {row["path"]: row["fault"] for row in told(page).rows}
    assert "truncated" in faults["full/cut.jpg"]
    assert faults["full/empty.jpg"] == "The file is empty"
    assert faults["full/missing.jpg"] == "The file is missing"
    assert "climbs out" in faults["../../etc/passwd"]
    assert faults["full/text.jpg"]
    assert faults["full/good.jpg"] == ""
    assert all(not row["thumb"] for row in told(page).rows if row["fault"])


def test_a_plain_folder_of_images_is_enough(store, tmp_path):
    put(store, "b/2.jpg")
    put(store, "a/1.png", encoded(noise((30, 20)), "PNG"))
    put(store, "notes.txt", b"these are no images\n" * 10)
    put(store, "thumbs/c.jpg", jpeg((30, 20)))
    page = store / "web"  # what is in it is none of the store
    for _ in range(2):
        gallery(store, page)
        assert [row["path"] for row in told(page).rows] == ["a/1.png", "b/2.jpg", "thumbs/c.jpg"]
    assert told(page).about["title"] == "store"


def test_what_a_gallery_has_made_is_no_picture(store):
    put(store, "a.jpg")
    for name in ("one", "two"):
        page = store / name
        gallery(store, page)
        assert [row["path"] for row in told(page).rows] == ["a.jpg"]
        (made,) = (path for path in files_in(page) if path.startswith("thumbs/"))
        put(store, f"copy/{made}")


def test_thumbnails_of_a_crawl_are_no_pictures_of_their_own(store, page):
    put(store, "full/a.jpg")
    put(store, "thumbs/small/a.jpg", jpeg((30, 20)))
    gallery(store, page)
    assert [row["path"] for row in told(page).rows] == ["full/a.jpg"]


def test_an_index_tells_what_it_knows(store, page, tmp_path):
    data = put(store, "full/a.jpg")
    index = SqliteIndex(tmp_path / "index.sqlite")
    full = Rendition("", "full/a.jpg", 900, 600, len(data), 5, "0" * 32)
    good = ImageRecord("aa", "full/a.jpg", "http://a.example/a", full, "JPEG", outcome="stored")
    imported = good._replace(fingerprint="ab", url="", outcome="", measured={"phash": "f" * 16})
    bad = ImageRecord("bb", "full/b.jpg", "http://a.example/b", outcome="broken", reason="cut off")
    index.put([good._replace(stored_at=7.5), imported, bad._replace(failed_at=9)])
    made = gallery(store, page, index=index)
    index.close()
    assert (made.pictures, made.failures) == (1, 1)
    rows = {row["outcome"]: row for row in told(page).rows}
    assert (rows["stored"]["time"], rows["broken"]["time"]) == (7.5, 9)
    assert (rows["broken"]["flags"], rows["broken"]["reason"]) == (1, "cut off")
    assert rows[""]["flags"] & 1 == 0
    assert any(record.get("phash") == "f" * 16 for record in told(page).records)


def test_who_asked_again_is_marked_as_a_repeat(store, page, tmp_path):
    put(store, "full/a.jpg")
    row = {"url": "http://a.example/a", "path": "full/a.jpg"}
    report = report_of(tmp_path / "r.jsonl", row, row | {"outcome": "joined"})
    assert gallery(store, page, report=report).pictures == 1
    assert [row["flags"] for row in told(page).rows] == [0, 2]


def test_a_second_run_makes_only_what_is_missing(store, page):
    for name in ("a.jpg", "b.jpg"):
        put(store, name)
    put(store, "small.jpg", jpeg((30, 20)))
    assert gallery(store, page).made == 2
    first = files_in(page)
    thumbs = [path for path in first if path.startswith("thumbs/")]
    again = gallery(store, page)
    assert again.made == 0
    assert {path: first[path] for path in thumbs} == {
        path: time for path, time in files_in(page).items() if path in thumbs
    }
    (page / thumbs[0]).unlink()
    assert gallery(store, page).made == 1
    assert (page / thumbs[0]).is_file()


def test_a_second_run_removes_what_is_stale_and_ours(store, page):
    put(store, "a.jpg")
    put(store, "b.jpg")
    gallery(store, page)
    theirs = ["notes.txt", "thumbs/mine.jpg", "thumbs/ab/cd.jpg", "data/rows-1.js", "assets-x/a.js"]
    theirs.append(f"thumbs/ab/{'0' * 40}.jpg")
    for path in theirs:
        put(page, path, b"theirs")
    before = files_in(page)
    (store / "a.jpg").unlink()
    put(store, "b.jpg")  # another picture
    made = gallery(store, page)
    assert (made.pictures, made.made) == (1, 1)
    after = files_in(page)
    assert set(theirs) <= set(after)
    thumbs = re.compile(r"thumbs/../imgpipe-")
    assert sum(bool(thumbs.match(path)) for path in before) == 2
    assert sum(bool(thumbs.match(path)) for path in after) == 1
    assert sum(path.startswith("data/page-") for path in after) == 1
    folders = [path for path in (page / "thumbs").iterdir() if path.is_dir()]
    assert all(any(folder.iterdir()) for folder in folders)


class _Stopped(Exception):
    pass


def test_a_run_that_is_stopped_leaves_the_old_page_as_it_was(store, page):
    put(store, "a.jpg")
    gallery(store, page, title="old")
    before = files_in(page)
    (store / "a.jpg").unlink()
    for number in range(3):
        put(store, f"{number}.jpg")
    count = iter(range(3))

    def stop():
        if next(count) == 2:
            raise _Stopped

    with pytest.raises(_Stopped):
        gallery(store, page, seen=stop)
    assert before.items() <= files_in(page).items()
    assert told(page).about["title"] == "old"
    assert gallery(store, page).made == 3
    assert [row["path"] for row in told(page).rows] == ["0.jpg", "1.jpg", "2.jpg"]


def test_the_page_of_somebody_else_is_left_alone(store, page):
    put(page, "index.html", b"<h1>mine</h1>")
    with pytest.raises(SettingError, match=r"Expected a folder without an index\.html of another"):
        gallery(store, page)
    assert files_in(page).keys() == {"index.html"}


def test_the_store_itself_is_no_place_for_the_page(store):
    put(store, "a.jpg")
    with pytest.raises(SettingError, match="Expected a folder other than the store"):
        gallery(store, store)


def test_a_store_that_is_not_there_is_not_made(tmp_path, page):
    with pytest.raises(StoreFailed, match="There is no store"):
        gallery(tmp_path / "nowhere", page)
    assert not (tmp_path / "nowhere").exists()


def test_threads_make_the_same_page(store, tmp_path):
    for number in range(12):
        put(store, f"{number:02}.jpg")
    gallery(store, tmp_path / "one", title="T")
    seen = set()

    def spread(function, things):
        def noted(thing):
            seen.add(threading.get_ident())
            return function(thing)

        with ThreadPoolExecutor(4) as pool:
            yield from pool.map(noted, things)

    gallery(store, tmp_path / "four", title="T", spread=spread)
    assert seen - {threading.get_ident()}
    assert told(tmp_path / "one").rows == told(tmp_path / "four").rows


def test_many_rows_are_told_in_pieces(store, page, tmp_path):
    put(store, "full/a.jpg", jpeg((30, 20)))
    rows = [{"url": f"http://a.example/{n}", "path": "full/a.jpg"} for n in range(4500)]
    gallery(store, page, report=report_of(tmp_path / "r.jsonl", *rows))
    seen = told(page)
    assert [row["url"] for row in seen.rows] == [row["url"] for row in rows]
    assert [record["url"] for record in seen.records] == [row["url"] for row in rows]
    assert (len(seen.about["rows"]), len(seen.about["records"])) == (3, 23)
    assert seen.about["count"] == 4500


def test_an_empty_store_is_a_page_without_pictures(store, page):
    made = gallery(FileSystemStore(store), page)
    assert (made.pictures, told(page).rows) == (0, [])


def test_what_was_found_out_and_is_damaged_costs_another_look_only(store, page):
    put(store, "a.jpg")
    gallery(store, page)
    (page / "data/known.jsonl").write_bytes(b'["x"]\n{\n\xff\n')
    assert gallery(store, page).made == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {0: "wide"},
        {0: 0},
        {1: None},
        {2: 5},
        {3: 7},
        {3: ["x"]},
        {3: "../../store/a.jpg"},
        {4: "thumbs/../../x.jpg"},
    ],
)
def test_what_was_found_out_is_not_believed_whatever_it_is(store, page, wrong):
    put(store, "a.jpg")
    gallery(store, page)
    known = page / "data/known.jsonl"
    cells = json.loads(known.read_bytes())
    for place, value in wrong.items():
        cells[place + 1] = value
    known.write_text(f"{'[' * 100_000}\n{json.dumps(cells)}\n")
    right = told(page).rows
    assert gallery(store, page).made == 1
    assert told(page).rows == right


def test_what_json_has_no_word_for_is_told_as_text():
    """Tables of others have bytes and moments in their lists."""
    entry = of_row({"path": "a.jpg", "further": [b"x", {"at": date(2026, 11, 30)}]})
    assert "2026-11-30" in dict(entry.record)["further"]


def test_sides_that_no_picture_has_are_unknown(store, page, tmp_path):
    sides = [(-5, 9), (2**62, 0), (7, -1)]
    rows = [{"path": f"{w}", "width": w, "height": h} for w, h in sides]  # of files that are gone
    gallery(store, page, report=report_of(tmp_path / "r.jsonl", *rows))
    told_ = [(row["width"], row["height"]) for row in told(page).rows]
    assert told_ == [(0, 9), (0, 0), (7, 0)]


def test_the_lightbox_is_the_released_one():
    """What NOTICE.md says is what is there."""
    import hashlib

    folder = files("scrapy_imgpipe.report.gallery") / "static/photoswipe"
    sums = re.findall(r"\| `(\S+)` \| `\S+` \| `(\w{64})` \|", (folder / "NOTICE.md").read_text())
    assert len(sums) == 3
    for name, digest in sums:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_no_script_of_ours_makes_markup_of_text_or_asks_a_network():
    static = files("scrapy_imgpipe.report.gallery") / "static"
    scripts = [entry for entry in static.iterdir() if entry.name.endswith(".js")]
    assert len(scripts) > 5
    for script in scripts:
        text = script.read_text("utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|fetch\(|"
            r"XMLHttp|WebSocket|EventSource|sendBeacon|import\(",
            text,
        ), script.name
        assert text.startswith("// "), f"{script.name}: what may it know?"
