"""``render``: local files as a crawl would, and what a store lacks, without a download."""

from __future__ import annotations

import io
from argparse import ArgumentParser, Namespace
from pathlib import Path

import pytest
from scrapy.settings import Settings

from scrapy_imgpipe.commands.program import run as run_program
from scrapy_imgpipe.commands.renditions import add_renditions, add_to_settings, rendition_settings
from scrapy_imgpipe.commands.verifying import verify
from scrapy_imgpipe.errors import SettingError
from scrapy_imgpipe.paths import image_path, thumb_path
from scrapy_imgpipe.report import read_rows
from tests.commands.places import THUMBS, URLS, crawl_of, crawled, records, run
from tests.pictures import encoded, jpeg, noise, opened

A, B, C = URLS
OPTIONS = Namespace(logfile=None, loglevel=None, nolog=False)


@pytest.fixture
def render(tmp_path, monkeypatch, capsys):
    """Return what runs the command: its status, lines, and what it said beside them."""
    monkeypatch.chdir(tmp_path)

    def called(*arguments, **settings):
        settings = {"IMGPIPE_INDEX": str(tmp_path / "index.sqlite"), **settings}
        status = run_program(["render", *map(str, arguments)], Settings(settings), OPTIONS)
        out, err = capsys.readouterr()
        return status, [line.split("\t") for line in out.splitlines()], err

    return called


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(jpeg((300, 200)))
    (folder / "sub" / "b.png").write_bytes(encoded(noise((300, 200)), "PNG"))
    return folder


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


class Interrupted(io.StringIO):
    """Output of somebody who presses Ctrl-C when a failure shows."""

    def write(self, text):
        if "not-an-image" in text:
            raise KeyboardInterrupt
        return super().write(text)


# --- local files ---


def test_files_and_folders_go_into_the_store(render, photos, tmp_path):
    arguments = (photos, "--store", "out", "--thumb", "small=50x50", "--report", "made.jsonl")
    status, lines, _ = render(*arguments, "--rendition", "card=40x30:cover:webp")
    assert (status, lines) == (0, [["2 images: 2 rendered, 0 up to date, 0 failed"]])
    assert files(tmp_path / "out") == {
        "full/a.jpg",
        "full/sub/b.jpg",
        "thumbs/small/a.jpg",
        "thumbs/small/sub/b.jpg",
        "thumbs/card/a.webp",
        "thumbs/card/sub/b.webp",
    }
    assert opened((tmp_path / "out/thumbs/card/a.webp").read_bytes()).size == (40, 30)
    assert {row["path"] for row in read_rows("made.jsonl")} == {"full/a.jpg", "full/sub/b.jpg"}
    status, lines, _ = render(*arguments)
    assert (status, lines) == (0, [["2 images: 0 rendered, 2 up to date, 0 failed"]])


def test_what_is_there_is_made_again_by_force(render, photos, tmp_path):
    render(photos, "--store", "out")
    (tmp_path / "out/full/a.jpg").write_bytes(b"other")
    assert render(photos, "--store", "out")[1][0][0].startswith("2 images: 0 rendered")
    assert render(photos, "--store", "out", "--force")[1][0][0].startswith("2 images: 2 rendered")
    assert (tmp_path / "out/full/a.jpg").read_bytes() == (photos / "a.jpg").read_bytes()


def test_the_report_has_what_was_done_before_an_interrupt(render, photos, monkeypatch, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no image")
    arguments = (photos / "a.jpg", "bad.png", "--store", "out", "--report", "made.jsonl")
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", Interrupted())
        assert render(*arguments)[0] == 130
    (row,) = read_rows("made.jsonl")
    assert row["url"] == str(photos / "a.jpg")


def test_settings_count_as_in_a_crawl(render, photos, tmp_path):
    settings = {
        "IMAGES_STORE": str(tmp_path / "out"),
        "IMAGES_THUMBS": {"small": (50, 50)},
        "IMGPIPE_RENDITIONS": '{"mid": {"width": 90}}',
        "IMGPIPE_STRIP_METADATA": True,
        "IMGPIPE_MAX_PIXELS": 50_000,
        "IMGPIPE_MIN_BYTES": 500,
    }
    (photos / "large.jpg").write_bytes(jpeg((400, 300), comment=b"secret", progressive=True))
    (photos / "tiny.png").write_bytes(encoded(noise((3, 3)), "PNG"))
    (photos / "a.jpg").write_bytes(jpeg((150, 100), comment=b"secret"))
    status, lines, _ = render(photos, "--thumb", "big=100x100", **settings)
    told = {line[0]: line[1] for line in lines[:-1]}
    assert status == 0
    assert told == {
        str(photos / "large.jpg"): "too-many-pixels",
        str(photos / "sub" / "b.png"): "too-many-pixels",
        str(photos / "tiny.png"): "too-few-bytes",
    }
    assert files(tmp_path / "out") == {
        "full/a.jpg",
        "thumbs/small/a.jpg",
        "thumbs/big/a.jpg",
        "thumbs/mid/a.jpg",
    }
    assert b"secret" not in (tmp_path / "out/full/a.jpg").read_bytes()


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ((), 0),
        (("any",), 1),
        (("not-an-image",), 1),
        (("broken,not-an-image",), 1),
        (("broken",), 0),
    ],
)
def test_failures_are_lines_and_the_status_where_one_asks(render, photos, wanted, status):
    (photos / "page.jpg").write_bytes(b"<html>")
    asked = ["--fail-on", *wanted] if wanted else []
    found, lines, err = render(photos, "--store", "out", *asked)
    assert found == status
    assert lines == [
        [str(photos / "page.jpg"), "not-an-image", "Not an image, but HTML"],
        ["3 images: 2 rendered, 0 up to date, 1 failed (not-an-image 1)"],
    ]
    assert err.startswith("3 images, ")
    assert err.endswith(", 1 failed\n")


WRONG = [
    (("--fail-on", "all"), "Expected 'any' or outcomes out of "),
    (("--fail-on", "stored"), "Expected 'any' or outcomes out of "),
    (("--thumb", "small"), "Expected NAME=WIDTHxHEIGHT, in pixels, 1 or more each, for --thumb"),
    (("--report", "a.xls"), "Expected local path ending in .jsonl, .csv, .sqlite or .parquet"),
    (("--full", "png"), "Expected 'jpeg', 'source' or dict of what it is to be like for --full"),
    (("--store", "gopher://x"), "Expected a directory or a complete URI"),
]


@pytest.mark.parametrize(("arguments", "sentence"), WRONG)
def test_wrong_arguments_are_one_sentence(render, photos, arguments, sentence):
    store = () if "--store" in arguments else ("--store", "out")
    status, lines, err = render(photos, *store, *arguments)
    assert (status, lines) == (2, [])
    assert err.startswith(f"scrapy imgpipe render: {sentence}")


def test_without_a_store_there_is_nothing_to_do(render, photos):
    status, _, err = render(photos)
    assert (status, err) == (
        2,
        "scrapy imgpipe render: IMAGES_STORE is not set: name the store with --store DIR\n",
    )


# --- from the store to itself ---


@pytest.fixture
def store(tmp_path):
    crawled(tmp_path, {url: jpeg((300, 200)) for url in URLS}, IMAGES_THUMBS=THUMBS)
    return tmp_path / "store"


def test_what_is_missing_is_made_and_the_index_told(render, store, tmp_path):
    arguments = ("--store", store, "--thumb", "small=50x50", "--thumb", "big=90x90")
    assert render(*arguments)[1] == [["3 images: 0 rendered, 3 up to date, 0 failed"]]
    card = ("--rendition", "card=40x30:cover:webp")
    status, lines, _ = render(*arguments, *card, "--report", "made.jsonl")
    assert (status, lines) == (0, [["3 images: 3 rendered, 0 up to date, 0 failed"]])
    for url in URLS:
        made = (store / thumb_path(url, "card", ".webp")).read_bytes()
        assert opened(made).size == (40, 30)
    assert sorted(row["url"] for row in read_rows("made.jsonl")) == list(URLS)
    known = {"IMAGES_THUMBS": THUMBS, "IMGPIPE_RENDITIONS": {"card": _CARD}}
    assert run(tmp_path, verify, **known)[0] == 0
    with crawl_of(tmp_path, {}, **known) as crawl:  # nothing is asked for, nothing made
        assert [len(one["renditions"]) for one in crawl.images(*URLS)] == [3, 3, 3]
        assert crawl.site.asked == []
        assert "imgpipe/renditions/restored" not in crawl.stats


_CARD = {"width": 40, "height": 30, "fit": "cover", "format": "webp"}


def test_other_sizes_replace_those_of_the_same_name(render, store):
    assert render("--store", store, "--thumb", "small=30x30")[1][0][0].startswith(
        "3 images: 3 rend"
    )
    assert opened((store / thumb_path(A, "small")).read_bytes()).size == (30, 20)
    assert opened((store / thumb_path(A, "big")).read_bytes()).size == (90, 60)


def test_by_force_they_are_made_again(render, store):
    thumb = store / thumb_path(A, "small")
    good = thumb.read_bytes()
    thumb.write_bytes(good[:-1] + b"x")
    arguments = ("--store", store, "--thumb", "small=50x50", "--thumb", "big=90x90")
    assert render(*arguments)[1][0][0].startswith("3 images: 0 rendered")
    assert render(*arguments, "--force")[1][0][0].startswith("3 images: 3 rendered")
    assert thumb.read_bytes() == good


def test_an_image_that_is_gone_is_a_failure_and_stays_known(render, store, tmp_path):
    (store / image_path(B)).unlink()
    before = records(tmp_path)
    arguments = ("--store", store, "--thumb", "small=30x30", "--fail-on", "broken")
    status, lines, _ = render(*arguments)
    assert status == 1
    assert lines[0] == [B, "broken", "The full image is not as it was stored: missing"]
    assert lines[-1] == ["3 images: 2 rendered, 0 up to date, 1 failed (broken 1)"]
    after = {record.url: record for record in records(tmp_path)}
    assert after[B] == next(record for record in before if record.url == B)


def test_an_index_that_knows_nothing_is_said(render, tmp_path):
    (tmp_path / "empty").mkdir()
    status, _, err = render("--store", "empty", "--thumb", "small=30x30")
    assert status == 2
    assert "run 'scrapy imgpipe import' first" in err


# --- renditions on the command line ---


def settings_of(*arguments):
    parser = ArgumentParser()
    add_renditions(parser)
    return rendition_settings(parser.parse_args(arguments))


def test_renditions_are_settings():
    assert settings_of() == {}
    assert settings_of(
        "--thumb",
        "a=50x50.5",
        "--rendition",
        "b=400x",
        "--rendition",
        "c=X30:cover:webp",
        "--rendition",
        'd={"width": 9, "multiples": [2]}',
        "--rendition",
        "e=2x3::png",
        "--full",
        '{"format": "WEBP"}',
    ) == {
        "IMAGES_THUMBS": {"a": (50, 50.5)},
        "IMGPIPE_RENDITIONS": {
            "b": {"width": 400},
            "c": {"height": 30, "fit": "cover", "format": "webp"},
            "d": {"width": 9, "multiples": [2]},
            "e": {"width": 2, "height": 3, "format": "png"},
        },
        "IMGPIPE_FULL": {"format": "WEBP"},
    }


WRONG_RENDITIONS = [
    (("--thumb", "a=50x"), "Expected NAME=WIDTHxHEIGHT, in pixels, 1 or more each, for --thumb"),
    (("--thumb", "=5x5"), "Expected NAME=WIDTHxHEIGHT"),
    (("--thumb", "a=0x5"), "Expected NAME=WIDTHxHEIGHT"),
    (("--thumb", "a=5x5:cover"), "Expected NAME=WIDTHxHEIGHT"),
    (("--thumb", "a=5x5", "--thumb", "a=6x6"), "Expected another name for each for --thumb"),
    (("--thumb", "a=5x5", "--rendition", "a=6x6"), "Expected another name for each for --rend"),
    (("--rendition", "a=x"), "Expected NAME=WIDTHxHEIGHT[:FIT[:FORMAT]] or NAME={JSON}"),
    (("--rendition", "a={"), "Expected NAME=WIDTHxHEIGHT[:FIT[:FORMAT]] or NAME={JSON}"),
    (("--rendition", "a=5x5:covre"), "'fill' for --rendition['a']['fit'] but received 'covre'"),
    (("--rendition", 'a={"w": 5}'), "for --rendition['a'] but received 'w' of type str"),
    (("--full", "{"), "for --full but received '{' of type str"),
]


@pytest.mark.parametrize(("arguments", "sentence"), WRONG_RENDITIONS)
def test_wrong_renditions_are_said_as_wrong_settings_are(arguments, sentence):
    with pytest.raises(SettingError) as raised:
        settings_of(*arguments)
    assert sentence in str(raised.value)


def test_they_are_added_to_those_of_the_settings_of_every_class():
    settings = Settings(
        {
            "IMAGES_THUMBS": '{"a": [5, 5], "b": [6, 6]}',
            "PHOTOS_IMAGES_THUMBS": {"c": (7, 7)},
            "IMGPIPE_FULL": "jpeg",
        }
    )
    add_to_settings(settings, settings_of("--thumb", "a=9x9", "--full", "source"))
    assert dict(settings["IMAGES_THUMBS"]) == {"a": (9, 9), "b": [6, 6]}
    assert dict(settings["PHOTOS_IMAGES_THUMBS"]) == {"c": (7, 7), "a": (9, 9)}
    assert settings["IMGPIPE_FULL"] == "source"
